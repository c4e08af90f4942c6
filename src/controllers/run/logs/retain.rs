//! Logs are kept for the newest runs only: `logs.retainRuns` of the environment.

use super::live::LIVE;
use super::{LOG_LABEL, RUN_LABEL, part_bytes};
use crate::api::{ENVIRONMENT_LABEL, NUMBER_LABEL};
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeSet;

/// Deletes the logs of all but the newest `retain` runs of an environment. Rows stay. Gives the compressed bytes that are
/// stored of `run`.
///
/// # Errors
/// When the API server cannot be asked; the next run's end tries again.
pub async fn forget_old_logs(
    client: &Client,
    namespace: &str,
    environment: &str,
    run: &str,
    retain: usize,
) -> Result<u64, StoreError> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    // Live tails are of runs under way, and go with their end.
    let selector = format!("{ENVIRONMENT_LABEL}={environment},{LOG_LABEL},{LOG_LABEL}!={LIVE}");
    let found = call(maps.list_metadata(&ListParams::default().labels(&selector))).await?;
    let number = |o: &dyn Fn(&str) -> Option<String>| -> i64 {
        o(NUMBER_LABEL).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let runs: BTreeSet<(i64, String)> = found
        .iter()
        .map(|o| {
            let label = |key: &str| o.labels().get(key).cloned();
            (number(&label), label(RUN_LABEL).unwrap_or_default())
        })
        .collect();
    let kept: BTreeSet<String> = runs
        .into_iter()
        .rev()
        .take(retain)
        .map(|(_, name)| name)
        .collect();
    for old in &found.items {
        let run = old.labels().get(RUN_LABEL);
        if run.is_some_and(|run| !kept.contains(run)) {
            match call(maps.delete(&old.name_any(), &DeleteParams::default())).await {
                Ok(_) | Err(StoreError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
    }
    let of_run = |o: &&PartialObjectMeta<ConfigMap>| {
        o.labels().get(RUN_LABEL).is_some_and(|name| name == run)
    };
    Ok(found.iter().filter(of_run).map(part_bytes).sum())
}
