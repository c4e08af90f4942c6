//! One look at a run whose image is to be ended: is it still due, is nothing in the way, then the run that ends it.

use super::later;
use crate::api::run::{CloneRunStatus, RunImage, RunMode, Trigger};
use crate::api::{
    CloneEnvironment, CloneRun, CloneRunSpec, ENDS_ANNOTATION, ENVIRONMENT_LABEL, FINALIZER,
};
use crate::controllers::answer::store_error;
use crate::controllers::context::Context;
use crate::controllers::environment::status::{Readable, read};
use crate::controllers::events::{Transition, publish};
use crate::controllers::locks::{lease, names};
use crate::controllers::run::opening::patch_metadata;
use crate::controllers::run::store::{call, writes_as_us};
use crate::engine::ports::StoreError;
use crate::recipe::Pace;
use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// `spec.requestedBy` of the runs that are created here.
pub const REQUESTED_BY: &str = "endAfterSeconds";
/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(5);
/// Between looks while something is in the way.
const IN_THE_WAY: u64 = 60;
/// Characters of the UID in the name: 48 bits of chance.
const UID: usize = 13;

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Not any more.
    Never,
    /// At this time.
    At(DateTime<Utc>),
}

/// So many seconds from now, of the devices' time.
pub(super) fn after(context: &Context, seconds: u64) -> Next {
    Next::At(later(Utc::now(), context.pace().seconds(seconds)))
}

/// When the operator ends the image of a run that is over; `None` = it does not.
pub fn due_at(status: &CloneRunStatus, pace: Pace) -> Option<DateTime<Utc>> {
    let finished = status.finished_at.filter(|_| status.phase.is_final())?;
    let seconds = status.image.as_ref()?.end_after_seconds?;
    let seconds = u64::try_from(seconds).ok().filter(|s| *s > 0)?;
    Some(later(finished.utc(), pace.seconds(seconds)))
}

/// Looks at a run and, when its image is due and free, creates the run that ends it.
///
/// # Errors
/// When the API server cannot be asked.
pub(super) async fn look(
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Next, StoreError> {
    let Some(run) = call(context.runs(namespace).get_opt(name)).await? else {
        return Ok(Next::Never);
    };
    if run.metadata.deletion_timestamp.is_some() {
        return Ok(Next::Never);
    }
    let status = run.status.clone().unwrap_or_default();
    let (Some(due), Some(image)) = (due_at(&status, context.pace()), &status.image) else {
        return disarm(context, &run).await;
    };
    if due > Utc::now() {
        return Ok(Next::At(due));
    }
    if let Some(until) = kept_until(&run) {
        return Ok(Next::At(until));
    }
    let environments = context.environments(namespace);
    let environment = match read(&environments, &run.spec.environment).await? {
        Readable::Yes(environment) => environment,
        // Deleting an environment leaves clone and image as they are.
        Readable::Gone => return disarm(context, &run).await,
        Readable::No(_) => return Ok(after(context, IN_THE_WAY)),
    };
    let opened_for = status.resolved.as_ref().map(|r| r.environment_uid.clone());
    if opened_for != environment.uid() || environment.metadata.deletion_timestamp.is_some() {
        return disarm(context, &run).await;
    }
    match stands(context, &run, image).await? {
        Stands::Anothers => disarm(context, &run).await,
        Stands::InUse => Ok(after(context, IN_THE_WAY)),
        Stands::Free => end(context, &run, &environment).await,
    }
}

/// `keepUntil` of the run itself, while it lies ahead; it may be set at any time, so it is asked at least once an hour.
fn kept_until(run: &CloneRun) -> Option<DateTime<Utc>> {
    let until = run.spec.keep_until.as_ref()?.0.as_second();
    let until = DateTime::from_timestamp(until, 0)?;
    let now = Utc::now();
    (until > now).then(|| until.min(later(now, Duration::from_secs(3600))))
}

/// How the image stands.
enum Stands {
    /// The target set carries another's by now, or nobody's.
    Anothers,
    /// It is held, or a run works on its target set, waits for it or is about to.
    InUse,
    /// Nobody needs it.
    Free,
}

async fn stands(context: &Context, run: &CloneRun, image: &RunImage) -> Result<Stands, StoreError> {
    let wanted = names::target_lease(&image.target_set);
    let found = call(context.leases().get_opt(&wanted)).await?;
    let Some(found) = found.filter(|l| lease::image_owner(l).map(|o| o.uid) == run.uid()) else {
        return Ok(Stands::Anothers);
    };
    if lease::is_pinned(&found) || is_active(context, run) {
        return Ok(Stands::InUse);
    }
    let wanted = lease::in_use(&context.client, &found).await?
        || lease::is_waited_for(&context.client, &found).await?;
    Ok(if wanted { Stands::InUse } else { Stands::Free })
}

/// Whether a run of the same environment is open: it takes the image over, or ends it, or fails and leaves it.
fn is_active(context: &Context, run: &CloneRun) -> bool {
    let namespace = run.namespace();
    // Not listed yet: nobody can tell.
    let Some(open) = context.open_runs.all() else {
        return true;
    };
    open.iter()
        .filter_map(|object| object.0.as_ref().ok())
        .any(|other| {
            other.namespace() == namespace
                && other.spec.environment == run.spec.environment
                && other.spec.skip.is_none()
                && other.spec.imported.is_none()
        })
}

/// The run that ends the image, always of one name for one run.
fn ending(run: &CloneRun, environment: &CloneEnvironment) -> CloneRun {
    let prefix = format!("{}-end-", run.spec.environment);
    let uid: String = run.uid().unwrap_or_default().chars().take(UID).collect();
    let owner = OwnerReference {
        api_version: CloneEnvironment::api_version(&()).into_owned(),
        kind: CloneEnvironment::kind(&()).into_owned(),
        name: environment.name_any(),
        uid: environment.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    CloneRun {
        metadata: ObjectMeta {
            name: Some(format!("{prefix}{uid}")),
            // No person gave the name: its row goes like every other one.
            generate_name: Some(prefix),
            namespace: run.namespace(),
            labels: Some(BTreeMap::from([(
                ENVIRONMENT_LABEL.to_owned(),
                run.spec.environment.clone(),
            )])),
            finalizers: Some(vec![FINALIZER.to_owned()]),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: CloneRunSpec {
            environment: run.spec.environment.clone(),
            mode: RunMode::End,
            run: Some(run.name_any()),
            trigger: Trigger::External,
            requested_by: REQUESTED_BY.to_owned(),
            ..CloneRunSpec::default()
        },
        status: None,
    }
}

async fn end(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<Next, StoreError> {
    let object = ending(run, environment);
    let api = context.runs(&run.namespace().unwrap_or_default());
    let parameters = writes_as_us();
    match tokio::time::timeout(CALL, api.create(&parameters, &object)).await {
        Ok(Ok(created)) => {
            let note = format!(
                "after.endAfterSeconds has passed: run {} ends its image",
                created.name_any()
            );
            let told = Transition::new(false, "ImageEnds", "Image", note);
            publish(&context.recorder, run, &[told]).await;
        }
        // An earlier try whose answer was lost, or another leader.
        Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => {}
        Ok(Err(error)) => return Err(store_error(error)),
        Err(_) => {
            let text = "the API server did not answer".to_owned();
            return Err(StoreError::Lost(text));
        }
    }
    disarm(context, run).await
}

/// Takes the annotation away: nothing is to be ended any more, or it is being ended.
async fn disarm(context: &Context, run: &CloneRun) -> Result<Next, StoreError> {
    if !run.annotations().contains_key(ENDS_ANNOTATION) {
        return Ok(Next::Never);
    }
    let metadata = json!({"annotations": {ENDS_ANNOTATION: null}});
    match patch_metadata(context, run, metadata).await {
        Ok(_) | Err(StoreError::Gone) => Ok(Next::Never),
        Err(error) => Err(error),
    }
}
