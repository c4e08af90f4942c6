//! What the logs of all runs may take together (`--log-budget-mib`): beyond it the logs of the oldest runs go, the runs are
//! marked, and their environments say so in condition `LogBudget`.
//!
//! Asking for all logs is expensive, so it is done once per process and then only when what was stored since may have
//! passed the budget.

use super::{LOGS_REMOVED, RUN_LABEL, part_bytes, stored};
use crate::api::{
    CloneEnvironment, CloneEnvironmentStatus, CloneRun, ENVIRONMENT_LABEL, created_at,
};
use crate::controllers::conditions::{self, Truth};
use crate::controllers::context::Context;
use crate::controllers::environment::status::update;
use crate::controllers::pages::pages;
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::engine::time::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

/// Condition of an environment.
const LOG_BUDGET: &str = "LogBudget";
/// ConfigMaps asked for at once.
const PAGE: u32 = 500;
/// What is left after a removal, percent: the next run must not be at the limit again.
const DOWN_TO: u64 = 90;

/// What is stored, as far as this process knows.
#[derive(Default)]
pub struct LogBudget {
    /// Compressed bytes of all logs; `None` = nobody has asked yet. Held while they are asked for.
    known: tokio::sync::Mutex<Option<u64>>,
    /// Stored since, and not added yet.
    since: AtomicU64,
}

/// The logs of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RunOfLogs {
    /// When the newest of them was stored, seconds since 1970.
    stored: i64,
    namespace: String,
    environment: String,
    run: String,
    bytes: u64,
    maps: Vec<String>,
}

impl LogBudget {
    /// A run has stored so many bytes. Removes the logs of the oldest runs, if that is too much.
    ///
    /// # Errors
    /// When the API server cannot be asked; the next run's end tries again.
    pub async fn stored(&self, context: &Context, bytes: u64) -> Result<(), StoreError> {
        let budget = context.config.log_budget;
        self.since.fetch_add(bytes, Ordering::Relaxed);
        // Somebody is asking just now: no end of a run waits for that, the next one adds it up.
        let Ok(mut known) = self.known.try_lock() else {
            return Ok(());
        };
        let since = self.since.swap(0, Ordering::Relaxed);
        let assumed = known.map(|sum| sum.saturating_add(since));
        if let Some(sum) = assumed.filter(|sum| *sum <= budget) {
            *known = Some(sum);
            return Ok(());
        }
        // Unknown until this has gone well.
        *known = None;
        let runs = every_run(context).await?;
        let sum = runs.iter().map(|r| r.bytes).sum();
        if sum <= budget {
            *known = Some(sum);
            return Ok(());
        }
        let going = oldest(runs, sum, budget);
        let freed: u64 = going.iter().map(|r| r.bytes).sum();
        for run in &going {
            remove(context, run).await?;
        }
        tell(context, &going, budget).await?;
        *known = Some(sum - freed);
        Ok(())
    }
}

/// The oldest runs whose logs have to go. The newest run of all keeps its logs, however much it is.
fn oldest(mut runs: Vec<RunOfLogs>, sum: u64, budget: u64) -> Vec<RunOfLogs> {
    runs.sort_by(|a, b| (a.stored, &a.run).cmp(&(b.stored, &b.run)));
    runs.pop();
    let goal = budget / 100 * DOWN_TO;
    let mut left = sum;
    runs.into_iter()
        .take_while(|run| {
            let goes = left > goal;
            left -= if goes { run.bytes } else { 0 };
            goes
        })
        .collect()
}

async fn every_run(context: &Context) -> Result<Vec<RunOfLogs>, StoreError> {
    let namespaces: Vec<Option<&String>> = match context.config.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().map(Some).collect(),
    };
    let mut runs: BTreeMap<(String, String), RunOfLogs> = BTreeMap::new();
    for namespace in namespaces {
        let maps: Api<ConfigMap> = match namespace {
            None => Api::all(context.client.clone()),
            Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        };
        let list = |page: ListParams| {
            let maps = &maps;
            async move { call(maps.list_metadata(&page)).await }
        };
        pages(stored(), PAGE, list, |map| {
            enter(&mut runs, &map);
            Ok(())
        })
        .await?;
    }
    // An open run is just collecting its logs.
    let open = context.open_runs.all().unwrap_or_default();
    let open: BTreeSet<(String, String)> = open
        .iter()
        .map(|run| (run.namespace().unwrap_or_default(), run.name_any()))
        .collect();
    runs.retain(|key, _| !open.contains(key));
    Ok(runs.into_values().collect())
}

fn enter(runs: &mut BTreeMap<(String, String), RunOfLogs>, map: &impl ResourceExt) {
    let label = |key: &str| map.labels().get(key).cloned().unwrap_or_default();
    let (namespace, run) = (map.namespace().unwrap_or_default(), label(RUN_LABEL));
    let stored = created_at(map).map_or(0, |at| at.timestamp());
    let entry = runs.entry((namespace.clone(), run.clone()));
    let known = entry.or_insert_with(|| RunOfLogs {
        stored,
        namespace,
        environment: label(ENVIRONMENT_LABEL),
        run,
        bytes: 0,
        maps: Vec::new(),
    });
    known.bytes += part_bytes(map);
    known.stored = known.stored.max(stored);
    known.maps.push(map.name_any());
}

async fn remove(context: &Context, run: &RunOfLogs) -> Result<(), StoreError> {
    let gone = |answer: Result<(), StoreError>| match answer {
        Ok(()) | Err(StoreError::Gone) => Ok(()),
        Err(error) => Err(error),
    };
    // The mark first: a run without logs must say why.
    let runs: Api<CloneRun> = context.runs(&run.namespace);
    let mark = json!({"metadata": {"annotations": {LOGS_REMOVED: LOG_BUDGET}}});
    let (parameters, mark) = (PatchParams::default(), Patch::Merge(&mark));
    gone(
        call(runs.patch_metadata(&run.run, &parameters, &mark))
            .await
            .map(drop),
    )?;
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &run.namespace);
    for name in &run.maps {
        let deleted = call(maps.delete(name, &DeleteParams::default())).await;
        gone(deleted.map(drop))?;
    }
    tracing::warn!(
        run = run.run,
        namespace = run.namespace,
        bytes = run.bytes,
        "logs are removed: together they take more than the operator's budget"
    );
    Ok(())
}

/// The environments that lost logs say so.
async fn tell(context: &Context, gone: &[RunOfLogs], budget: u64) -> Result<(), StoreError> {
    let mut of: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for run in gone {
        let key = (run.namespace.as_str(), run.environment.as_str());
        of.entry(key).or_default().push(&run.run);
    }
    let now = context.now();
    for ((namespace, environment), runs) in of {
        let named: Vec<&str> = runs.iter().rev().take(3).copied().collect();
        let more = runs.len() - named.len();
        let message = format!(
            "the logs of {} runs were removed before their time ({}{}): the logs of all runs take more than {} MiB; lower logs.retainRuns or logs.maxBytesPerRun, or give the operator a larger --log-budget-mib",
            runs.len(),
            named.join(", "),
            if more > 0 { ", …" } else { "" },
            budget >> 20,
        );
        let set = |object: &CloneEnvironment, status: &mut CloneEnvironmentStatus| {
            let generation = object.metadata.generation;
            let list = &mut status.conditions;
            conditions::set(
                list,
                LOG_BUDGET,
                Truth::False,
                "LogsRemoved",
                &message,
                generation,
                now,
            );
        };
        update(&context.environments(namespace), environment, set).await?;
    }
    Ok(())
}

/// `LogBudget` is there only since the first time when it was False. It is True again when a run of the environment has
/// ended and all the logs that its newest runs should have are there.
pub fn within(environment: &CloneEnvironment, status: &mut CloneEnvironmentStatus, now: Timestamp) {
    let shown = conditions::get(&status.conditions, LOG_BUDGET);
    if shown.is_none_or(|c| c.status == Truth::True.as_str()) {
        return;
    }
    conditions::set(
        &mut status.conditions,
        LOG_BUDGET,
        Truth::True,
        "WithinBudget",
        "",
        environment.metadata.generation,
        now,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, stored: i64, bytes: u64) -> RunOfLogs {
        RunOfLogs {
            stored,
            namespace: "ibmi".to_owned(),
            environment: "nightly".to_owned(),
            run: name.to_owned(),
            bytes,
            maps: Vec::new(),
        }
    }

    fn names(runs: Vec<RunOfLogs>, budget: u64) -> Vec<String> {
        let sum = runs.iter().map(|r| r.bytes).sum();
        oldest(runs, sum, budget)
            .into_iter()
            .map(|r| r.run)
            .collect()
    }

    #[test]
    fn the_oldest_go_first_and_only_as_many_as_must() {
        let all = vec![run("c", 30, 400), run("a", 10, 400), run("b", 20, 400)];
        assert_eq!(names(all.clone(), 1_000), ["a"]);
        assert_eq!(names(all.clone(), 800), ["a", "b"]);
        // The newest keeps its logs.
        assert_eq!(names(all, 10), ["a", "b"]);
        assert_eq!(names(vec![run("a", 10, 400)], 10), Vec::<String>::new());
    }
}
