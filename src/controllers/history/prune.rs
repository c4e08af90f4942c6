//! Takes the oldest finished runs of one environment out of the objects.

use super::archive::{self, ArchiveError};
use super::line::ArchivedRun;
use super::{Key, rows};
use crate::api::run::{RunMode, Trigger};
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun};
use crate::controllers::answer::store_error;
use crate::controllers::conditions::{self, Truth};
use crate::controllers::context::Context;
use crate::controllers::environment::status::update;
use crate::controllers::events::{Transition, publish};
use crate::controllers::locks::lease;
use crate::controllers::run::store::call;
use crate::controllers::text::cut;
use crate::engine::journal::Phase;
use crate::engine::ports::StoreError;
use kube::api::{DeleteParams, ListParams, Preconditions, PropagationPolicy};
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt};
use std::collections::HashSet;
use std::time::Duration;

/// Runs taken in one go: one write of the archive for all of them.
const BATCH: usize = 100;
/// The condition of an environment whose archive cannot be written.
const ARCHIVED: &str = "HistoryArchived";
/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(5);

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    /// Nothing is left to be done.
    Done,
    /// There is more.
    More,
    /// The archive was not written; nothing was deleted, and the environment says so.
    NotArchived,
}

/// Archives and deletes what is beyond `spec.history` of one environment.
///
/// # Errors
/// When the API server cannot be asked; what was not deleted is tried again.
pub async fn prune(context: &Context, key: &Key) -> Result<Pruned, StoreError> {
    let Some(cached) = context.known.get(&key.namespace, &key.name) else {
        return Ok(Pruned::Done);
    };
    // Nobody knows what to keep of one that cannot be read, or is going away with what it owns.
    let Ok(known) = &cached.0 else {
        return Ok(Pruned::Done);
    };
    let beyond = context
        .histories
        .lock()
        .rows
        .beyond(key, &known.spec.history);
    if beyond.is_empty() || known.metadata.deletion_timestamp.is_some() {
        return Ok(Pruned::Done);
    }
    let environments = context.environments(&key.namespace);
    let Some(environment) = call(environments.get_opt(&key.name)).await? else {
        return Ok(Pruned::Done);
    };
    let used = in_use(context).await?;
    let runs: Api<DeserializeGuard<CloneRun>> =
        Api::namespaced(context.client.clone(), &key.namespace);
    let mut leaving: Vec<CloneRun> = Vec::new();
    for name in &beyond {
        if leaving.len() == BATCH {
            break;
        }
        let Some(found) = call(runs.get_opt(name)).await? else {
            context.histories.lock().rows.drop_row(key, name);
            continue;
        };
        match found.0 {
            Ok(run) if leaves(&run, &environment, &used) => leaving.push(run),
            Ok(_) => {}
            // Reported by its own loop where it is open; an archive without its row would be a lie.
            Err(invalid) => {
                let error = invalid.error;
                tracing::debug!(run = name, error, "a row that cannot be read stays");
            }
        }
    }
    let rows: Vec<ArchivedRun> = leaving.iter().filter_map(ArchivedRun::of).collect();
    if rows.is_empty() {
        return Ok(Pruned::Done);
    }
    match archive::add(&context.client, &key.namespace, &key.name, &rows).await {
        Ok(()) => told(context, &environment, None).await?,
        Err(ArchiveError::Store(error)) => return Err(error),
        Err(error) => {
            told(context, &environment, Some(&error)).await?;
            return Ok(Pruned::NotArchived);
        }
    }
    for run in &leaving {
        delete(context, key, run).await?;
    }
    tracing::info!(
        environment = key.name,
        namespace = key.namespace,
        rows = rows.len(),
        "rows went to the archive"
    );
    Ok(if leaving.len() == BATCH {
        Pruned::More
    } else {
        Pruned::Done
    })
}

/// Runs that a lock Lease names as holder or as owner of the image. Asked of the API server: an image that is taken for
/// dead would lose its row.
async fn in_use(context: &Context) -> Result<HashSet<String>, StoreError> {
    let locks = ListParams::default().labels(lease::LOCK_LABEL);
    let found = call(context.leases().list(&locks)).await?;
    let named = |l| [lease::holder(l), lease::image_owner(l).map(|o| o.uid)];
    Ok(found.items.iter().flat_map(named).flatten().collect())
}

/// The last word on the object itself; labels are only labels.
fn leaves(run: &CloneRun, environment: &CloneEnvironment, used: &HashSet<String>) -> bool {
    let Some(status) = run.status.as_ref().filter(|s| s.phase.is_final()) else {
        return false;
    };
    let given = run
        .metadata
        .generate_name
        .as_deref()
        .unwrap_or_default()
        .is_empty()
        && run.spec.trigger != Trigger::Schedule;
    let success = run.spec.mode == RunMode::Clone
        && matches!(status.phase, Phase::Succeeded | Phase::Warning);
    let known = environment.status.as_ref();
    let last = known.and_then(|s| s.last_success_time);
    // An environment that was restored does not know its last success: until it does, none goes.
    let last_success =
        success && last.is_none_or(|at| status.finished_at.is_none_or(|end| end >= at));
    let uid = run.uid().unwrap_or_default();
    run.spec.environment == environment.name_any()
        && rows::may_go(run, &run.spec.environment)
        && !given
        && !last_success
        && status.image.is_none()
        && !used.contains(&uid)
}

/// Deletes the very object and version that was archived. One that changed meanwhile stays until the next look.
async fn delete(context: &Context, key: &Key, run: &CloneRun) -> Result<(), StoreError> {
    let parameters = DeleteParams {
        // Its logs are its own and go with it.
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions {
            uid: run.uid(),
            resource_version: run.resource_version(),
        }),
        ..DeleteParams::default()
    };
    let (runs, name) = (context.runs(&key.namespace), run.name_any());
    match tokio::time::timeout(CALL, runs.delete(&name, &parameters)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() || status.is_conflict() => {
            Ok(())
        }
        Ok(Err(error)) => Err(store_error(error)),
        Err(_) => Err(StoreError::Lost("the API server did not answer".into())),
    }
}

/// Condition `HistoryArchived`: there only since the first time when it was False. One event when it becomes so.
async fn told(
    context: &Context,
    environment: &CloneEnvironment,
    error: Option<&ArchiveError>,
) -> Result<(), StoreError> {
    let list = environment.status.as_ref().map(|s| s.conditions.as_slice());
    let shown = conditions::get(list.unwrap_or_default(), ARCHIVED);
    let (truth, reason, message) = match error {
        Some(error) => {
            let text = format!("old rows stay as objects: {error}");
            (Truth::False, error.reason(), cut(&text, 800))
        }
        None if shown.is_none() => return Ok(()),
        None => (Truth::True, "Archived", String::new()),
    };
    if shown.is_some_and(|c| c.status == truth.as_str() && c.reason == reason) {
        return Ok(());
    }
    let now = context.now();
    let api = context.environments(&environment.namespace().unwrap_or_default());
    let set = |object: &CloneEnvironment, status: &mut CloneEnvironmentStatus| {
        let generation = object.metadata.generation;
        let list = &mut status.conditions;
        conditions::set(list, ARCHIVED, truth, reason, &message, generation, now);
    };
    update(&api, &environment.name_any(), set).await?;
    let warning = error.is_some();
    let told = Transition::new(warning, reason, "Archive", message);
    publish(&context.recorder, environment, &[told]).await;
    Ok(())
}
