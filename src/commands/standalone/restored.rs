//! The first start on a store that was restored from a backup.
//!
//! It shows the site as it was at that moment. Runs that were under way, or waited to be opened, have gone on since then or were
//! never wanted again: none of them executes (rule 14 of `architecture.md` § 4). A clone that was started for a disaster after that
//! moment is pinned nowhere any more, so nothing is started on a schedule either before a person has looked.

use crate::api::{CloneEnvironment, CloneRun, OPENED_ANNOTATION};
use crate::commands::{CommandError, MANAGER};
use crate::controllers::OPEN;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// What stands in the annotation instead of the object's own UID: it is a copy of the one that was opened.
const ELSEWHERE: &str = "restored";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settled {
    /// Environments, all of them paused now.
    pub(super) environments: usize,
    /// Runs that are not executed.
    pub(super) runs: usize,
}

/// Pauses every environment and marks every open run as a copy. Before an operator looks at them; it may be done twice.
///
/// # Errors
/// A store that cannot be read or written: nothing may be started on it.
pub(super) async fn settle(client: &Client) -> Result<Settled, CommandError> {
    let open = ListParams::default().fields(OPEN);
    let runs: Api<CloneRun> = Api::all(client.clone());
    // Metadata alone: one that this version cannot read must not be executed either.
    let found = runs.list_metadata(&open).await;
    let found = found.map_err(|e| CommandError::kube("list open runs", &e))?;
    let copy = json!({"metadata": {"annotations": {OPENED_ANNOTATION: ELSEWHERE}}});
    for run in &found.items {
        let api: Api<CloneRun> = Api::namespaced(client.clone(), &of(run.namespace()));
        change(&api, &run.name_any(), &copy).await?;
    }
    let environments: Api<CloneEnvironment> = Api::all(client.clone());
    let all = environments.list_metadata(&ListParams::default()).await;
    let all = all.map_err(|e| CommandError::kube("list environments", &e))?;
    let pause = json!({"spec": {"suspend": true}});
    for environment in &all.items {
        let api: Api<CloneEnvironment> =
            Api::namespaced(client.clone(), &of(environment.namespace()));
        change(&api, &environment.name_any(), &pause).await?;
    }
    Ok(Settled {
        environments: all.items.len(),
        runs: found.items.len(),
    })
}

fn of(namespace: Option<String>) -> String {
    namespace.unwrap_or_default()
}

/// Answered with metadata: the object itself may be one that cannot be read.
async fn change<K>(api: &Api<K>, name: &str, change: &Value) -> Result<(), CommandError>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let parameters = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(change);
    let changed = api.patch_metadata(name, &parameters, &patch).await;
    changed
        .map(drop)
        .map_err(|e| CommandError::kube(format!("change {name}"), &e))
}
