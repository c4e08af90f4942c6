//! Finished runs are in no loop any more; a field that may still be set then (`keepUntil`) is acknowledged from here.

use super::Key;
use crate::api::{CloneRun, OUTCOME_LABEL};
use crate::controllers::context::Context;
use crate::controllers::run::{acknowledge_run, store::call};
use crate::engine::ports::StoreError;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use std::collections::HashSet;

/// The finished run of an event whose spec was changed at some time: metadata does not tell whether that was seen.
pub(super) fn changed_row(event: &Event<PartialObjectMeta<CloneRun>>) -> Option<Key> {
    let (Event::Apply(run) | Event::InitApply(run)) = event else {
        return None;
    };
    let finished = run.labels().contains_key(OUTCOME_LABEL);
    let changed = run.metadata.generation.is_some_and(|g| g > 1);
    (finished && changed).then(|| Key {
        namespace: run.namespace().unwrap_or_default(),
        name: run.name_any(),
    })
}

/// Acknowledges them, after the creates of due slots; one that cannot be now is looked at again when this controller wakes
/// the next time.
pub(super) async fn acknowledge_all(context: &Context, runs: HashSet<Key>) {
    if runs.is_empty() {
        return;
    }
    context.gate.wait().await;
    for run in runs {
        if let Err(error) = acknowledge(context, &run).await {
            tracing::warn!(run = run.name, %error, "a change of a finished run is acknowledged later");
            context.histories.lock().changed_rows.insert(run);
        }
    }
}

async fn acknowledge(context: &Context, key: &Key) -> Result<(), StoreError> {
    let runs = context.runs(&key.namespace);
    let found = async {
        match runs.get_opt(&key.name).await {
            // Reported by its own loop, or nobody's any more.
            Err(kube::Error::SerdeError(_)) => Ok(None),
            answer => answer,
        }
    };
    let found = call(found).await?;
    let finished = |run: &CloneRun| run.status.as_ref().is_some_and(|s| s.phase.is_final());
    match found.filter(finished) {
        Some(run) => acknowledge_run(context, &run).await,
        None => Ok(()),
    }
}
