//! The end of a row: the environment learns of it, old logs go, the finalizer goes right after the verdict.

use super::logs::{budget, forget_old_logs};
use super::opening::patch_metadata;
use super::status::phase_word;
use crate::api::{CloneRun, ENDS_ANNOTATION, FINALIZER, OUTCOME_LABEL};
use crate::controllers::context::Context;
use crate::controllers::endings::due_at;
use crate::controllers::environment::status;
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use chrono::SecondsFormat;
use kube::ResourceExt;
use serde_json::json;

/// Finishes a final run. Every part can be repeated: the finalizer goes last, so that a crash in between is found again.
///
/// # Errors
/// When the API server cannot be asked, or somebody changed the object meanwhile.
pub async fn finish(context: &Context, run: &CloneRun) -> Result<(), StoreError> {
    if !run.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(());
    }
    let namespace = run.namespace().unwrap_or_default();
    let name = &run.spec.environment;
    let now = context.now();
    let environments = context.environments(&namespace);
    context.gate.wait().await;
    let environment = status::update(&environments, name, |environment, status| {
        status::record_run(environment, status, run, now);
        budget::within(environment, status, now);
    })
    .await?;
    // Before the finalizer goes: nobody looks at this run again.
    let faster = context.pace().scale();
    context.live.end(&context.client, run, faster).await?;
    let outcome = run.status.as_ref().map(|s| s.phase).unwrap_or_default();
    let finalizers: Vec<&String> = run
        .finalizers()
        .iter()
        .filter(|f| *f != FINALIZER)
        .collect();
    let mut metadata = json!({
        "labels": {OUTCOME_LABEL: phase_word(outcome)},
        "finalizers": finalizers,
    });
    let status = run.status.as_ref();
    if let Some(ends) = status.and_then(|s| due_at(s, context.pace())) {
        let ends = ends.to_rfc3339_opts(SecondsFormat::Millis, true);
        metadata["annotations"] = json!({ENDS_ANNOTATION: ends});
    }
    match patch_metadata(context, run, metadata).await {
        Ok(_) | Err(StoreError::Gone) => {}
        Err(error) => return Err(error),
    }
    let stored = run.status.as_ref().is_some_and(|s| !s.logs.is_empty());
    if let Some(environment) = environment.filter(|_| stored) {
        let retain = usize::try_from(environment.spec.logs.retain_runs).unwrap_or(1);
        if let Err(error) = make_room(context, run, retain).await {
            tracing::warn!(environment = name, %error, "old logs are removed at the next run's end");
        }
    }
    Ok(())
}

/// Logs beyond what the environment keeps go, then those beyond what the operator may keep.
async fn make_room(context: &Context, run: &CloneRun, retain: usize) -> Result<(), StoreError> {
    let namespace = run.namespace().unwrap_or_default();
    let (client, environment) = (&context.client, &run.spec.environment);
    let name = run.name_any();
    let stored = forget_old_logs(client, &namespace, environment, &name, retain).await?;
    context.log_budget.stored(context, stored).await
}

/// A final run whose finalizer a crash has left: the watch on open runs does not see it.
///
/// # Errors
/// As [`finish`].
pub async fn finish_left(context: &Context, namespace: &str, name: &str) -> Result<(), StoreError> {
    let runs = context.runs(namespace);
    let request = async {
        match runs.get_opt(name).await {
            // Whether it is final cannot be read: its own loop reports it.
            Err(kube::Error::SerdeError(_)) => Ok(None),
            answer => answer,
        }
    };
    let Some(run) = call(request).await? else {
        return Ok(());
    };
    if run.status.as_ref().is_some_and(|s| s.phase.is_final()) {
        finish(context, &run).await?;
    }
    Ok(())
}
