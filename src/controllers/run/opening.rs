//! Opening a run (`product.md` § 3): its number, its labels and finalizer, the environment frozen into it, its line of
//! steps. Everything before the opening write can be repeated; from it on the journal decides.
//!
//! A run without a journal whose annotation `opened` names another object was restored or copied: it never executes
//! (rule 14).

use super::logs::RunLogs;
use super::status::{RowFacts, build};
use super::store::{journal_of_run, wishes_of, writes_as_us};
use super::tally::Tally;
use super::{numbers, order, target};
use crate::api::run::{CloneRunStatus, Resolved, RunMode, Trigger};
use crate::api::schedule::{SkipReason, default_deadline_seconds};
use crate::api::{
    CloneEnvironment, CloneRun, ENVIRONMENT_LABEL, FIELD_MANAGER, FINALIZER, NUMBER_LABEL,
    OPENED_ANNOTATION, OUTCOME_LABEL,
};
use crate::controllers::answer::store_error;
use crate::controllers::context::{Context, digest};
use crate::controllers::endings::REQUESTED_BY;
use crate::controllers::environment::status::{Readable, opening_key, read};
use crate::controllers::environment::{pins, verify};
use crate::controllers::events::{Transition, publish};
use crate::controllers::schedule::create::skip_words;
use crate::controllers::text::cut;
use crate::engine::drive::Cancel;
use crate::engine::journal::{Journal, Phase, Verdict};
use crate::engine::ports::StoreError;
use chrono::{DateTime, TimeDelta};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How an attempt to open ended.
#[derive(Debug)]
pub enum Opening {
    /// The journal is there; the run as it was written.
    Opened(Box<CloneRun>),
    /// Something is still to come: try again after this long.
    NotYet(Duration),
    /// The run is final without having been opened, or is going away.
    Over,
}

/// Whether the object is a copy of a run that was opened elsewhere or earlier.
pub fn is_restored(run: &CloneRun) -> bool {
    let opened = run.annotations().get(OPENED_ANNOTATION);
    opened.is_some() && opened != run.uid().as_ref()
}

/// Opens a run that has no journal yet.
///
/// # Errors
/// When the API server cannot be asked, or somebody changed an object meanwhile: try again.
pub async fn open(context: &Context, run: &CloneRun) -> Result<Opening, StoreError> {
    if is_restored(run) {
        let message = "this object was restored or copied from a run that was opened before; a run is never executed twice: create a new CloneRun";
        return skip(context, run, "Restored", message).await;
    }
    if run.metadata.deletion_timestamp.is_some() {
        if run.finalizers().iter().any(|f| f == FINALIZER) {
            let message = "deleted before its first step";
            close(context, run, Phase::Cancelled, "Aborted", message).await?;
        }
        return Ok(Opening::Over);
    }
    if let Some(skip) = &run.spec.skip {
        let mut message = skip_words(skip.reason).to_owned();
        if skip.slots != 1 {
            message = format!("{} times of the schedule: {message}", skip.slots);
        }
        return self::skip(context, run, skip.reason.as_str(), &message).await;
    }
    let namespace = run.namespace().unwrap_or_default();
    let name = &run.spec.environment;
    let found = match read(&context.environments(&namespace), name).await? {
        Readable::Yes(environment) => Some(*environment),
        Readable::Gone => None,
        Readable::No(why) => return unreadable(context, run, &why).await,
    };
    if wishes_of(run).cancel != Cancel::No && !number_reserved(found.as_ref(), run) {
        let message = "cancelled before it was opened; nothing was done";
        close(context, run, Phase::Cancelled, "Aborted", message).await?;
        return Ok(Opening::Over);
    }
    let Some(environment) = found else {
        // `kubectl apply -f DIR` may send the run before its environment.
        if age(context, run) < context.pace().seconds(30) {
            return Ok(Opening::NotYet(context.pace().seconds(2)));
        }
        let message = format!(
            "there is no CloneEnvironment {name} in namespace {namespace}: create it, then a new CloneRun"
        );
        return skip(context, run, "EnvironmentNotFound", &message).await;
    };
    if environment.metadata.deletion_timestamp.is_some() {
        let message = format!("CloneEnvironment {name} is being deleted");
        return skip(context, run, "EnvironmentDeleted", &message).await;
    }
    if let Some(message) = too_late(context, run, &environment) {
        let reason = SkipReason::DeadlineExceeded.as_str();
        return skip(context, run, reason, &message).await;
    }
    let (environment, unusable) = match known(context, run, environment).await? {
        Known::Usable(environment) => (environment, None),
        Known::Unusable(environment, why) => (environment, Some(why)),
        Known::NotYet(wait) => return Ok(Opening::NotYet(wait)),
    };
    let aim = target::aim(context, run, &environment).await?;
    if let Some((reason, message)) = aim.refused.as_ref().filter(|_| only_its_time(run)) {
        return skip(context, run, reason, message).await;
    }
    write_opening(context, run, *environment, unusable, aim).await
}

/// The environment is there and cannot be read: a person must correct it, the run waits as for one that is missing a
/// device, until it is cancelled.
async fn unreadable(context: &Context, run: &CloneRun, why: &str) -> Result<Opening, StoreError> {
    if wishes_of(run).cancel != Cancel::No {
        let message = "cancelled before it was opened; nothing was done";
        close(context, run, Phase::Cancelled, "Aborted", message).await?;
        return Ok(Opening::Over);
    }
    let name = &run.spec.environment;
    let why = cut(why, 300);
    let text = format!("CloneEnvironment {name} cannot be read: {why}; correct it or delete it");
    note(context, run, "EnvironmentUnreadable", &text).await?;
    Ok(Opening::NotYet(context.pace().seconds(15)))
}

/// A run that has its number goes on to be opened, so that the history has no gap; its first pass ends it.
fn number_reserved(environment: Option<&CloneEnvironment>, run: &CloneRun) -> bool {
    let opening = environment
        .and_then(|e| e.status.as_ref())
        .and_then(|s| s.opening.as_ref());
    opening == Some(&opening_key(run)) || run.labels().contains_key(NUMBER_LABEL)
}

/// A scheduled run that is found later than its deadline: nobody was there to open it in time, or it came back from a
/// backup. What was created in time and is only on its way has a minute more.
fn too_late(context: &Context, run: &CloneRun, environment: &CloneEnvironment) -> Option<String> {
    let seconds = run.spec.scheduled_time.as_ref()?.0.as_second();
    let slot = DateTime::from_timestamp(seconds, 0)?;
    let schedule = environment.spec.schedule.as_ref();
    let deadline = schedule.map_or_else(default_deadline_seconds, |s| s.starting_deadline_seconds);
    let clock = context.schedule_clock();
    let limit = TimeDelta::seconds(i64::from(deadline)) + clock.seconds(60);
    let late = clock.now() - slot;
    (late > limit).then(|| {
        format!(
            "found {} s after its time, the starting deadline is {deadline} s: {}",
            late.num_seconds(),
            skip_words(SkipReason::DeadlineExceeded)
        )
    })
}

/// A run that nobody has asked for in person: what it meets says that its time has not come, or that there is nothing left
/// to do, and is no failure.
fn only_its_time(run: &CloneRun) -> bool {
    match run.spec.mode {
        RunMode::Clone => true,
        RunMode::End => {
            run.spec.trigger == Trigger::External && run.spec.requested_by == REQUESTED_BY
        }
        RunMode::Preflight | RunMode::StartHeld | RunMode::ReleaseHeld => false,
    }
}

enum Known {
    Usable(Box<CloneEnvironment>),
    Unusable(Box<CloneEnvironment>, (String, String)),
    NotYet(Duration),
}

/// The environment with its pins: the locks are named after what verify learned. One that was never verified is verified
/// now; what a person must change fails the run, what may pass is waited for.
async fn known(
    context: &Context,
    run: &CloneRun,
    environment: CloneEnvironment,
) -> Result<Known, StoreError> {
    if pins::complete(&environment) {
        return Ok(Known::Usable(Box::new(environment)));
    }
    let (outcome, written) = verify::verify(context, &environment).await?;
    let Some(fresh) = written.map(Box::new) else {
        // Gone or broken in this moment: the next try finds out which.
        return Ok(Known::NotYet(context.pace().seconds(2)));
    };
    if pins::complete(&fresh) {
        return Ok(Known::Usable(fresh));
    }
    let limit = context
        .pace()
        .seconds(u64::from(fresh.spec.timeouts.run_seconds.unsigned_abs()));
    if outcome.may_pass && age(context, run) < limit {
        let text = format!(
            "the environment could not be verified yet: {}",
            outcome.message
        );
        note(context, run, "WaitsForDevices", &text).await?;
        return Ok(Known::NotYet(context.pace().seconds(15)));
    }
    Ok(Known::Unusable(fresh, (outcome.reason, outcome.message)))
}

pub(super) fn age(context: &Context, run: &CloneRun) -> Duration {
    let Some(created) = run.creation_timestamp() else {
        return Duration::ZERO;
    };
    let age = context.now().utc().timestamp() - created.0.as_second();
    Duration::from_secs(u64::try_from(age).unwrap_or_default())
}

async fn write_opening(
    context: &Context,
    run: &CloneRun,
    environment: CloneEnvironment,
    unusable: Option<(String, String)>,
    aim: target::Aim,
) -> Result<Opening, StoreError> {
    let target::Aim {
        spec,
        image,
        refused,
    } = aim;
    let refused = refused.map(|(reason, message)| (reason.to_owned(), message));
    let unusable = unusable.or(refused);
    let (device_number, environment) = numbers::device_number(context, environment).await?;
    let number = numbers::run_number(context, &environment, run).await?;
    let run = mark(context, run, number).await?;
    let mut status = CloneRunStatus {
        number: Some(number),
        function: Some(environment.spec.function.as_str().to_owned()),
        resolved: Some(Resolved {
            environment_uid: environment.uid().unwrap_or_default(),
            generation: environment.metadata.generation.unwrap_or_default(),
            sha256: digest(&environment.spec),
            device_number,
            pins: pins::facts(&environment),
            image,
            spec: Some(spec),
        }),
        ..CloneRunStatus::default()
    };
    let mut journal = match (
        order::plan(context, &run, &status, &token(&run)).await,
        unusable,
    ) {
        (Ok(plan), unusable) => {
            let max = environment.spec.logs.max_bytes_per_run;
            let logs = RunLogs::new(context.client.clone(), &run, Some(number), max);
            let recipe = context.recipes.build(&plan, Arc::new(logs));
            let steps: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
            let mut journal = Journal::open(&recipe.name, &token(&run), &steps);
            if let Some((reason, message)) = unusable {
                fail(context, &mut journal, &reason, &message);
            }
            journal
        }
        (Err(order::PlanFailed::Unusable(why)), _) => {
            let mut journal = Journal::open("", &token(&run), &[]);
            fail(context, &mut journal, "SpecUnusable", &why);
            journal
        }
        (Err(order::PlanFailed::Store(error)), _) => return Err(error),
    };
    journal.revision = 1;
    journal.writer = context.config.writer.clone();
    status = build(&status, &journal, &facts(context, &run));
    let run = write_status(context, &run, status).await?;
    let note = format!("number {number}, {} steps", journal.steps.len());
    let mut told = vec![Transition::new(false, "Opened", "Run", note)];
    if let Some(verdict) = &journal.verdict {
        let note = format!("{}: {}", verdict.reason, verdict.message);
        let word = super::status::phase_word(verdict.phase);
        told.push(Transition::new(true, word, "Run", note));
    }
    publish(&context.recorder, &run, &told).await;
    Ok(Opening::Opened(Box::new(run)))
}

/// Token of the run: the same however often the opening is repeated.
pub fn token(run: &CloneRun) -> String {
    let digest = Sha256::digest(run.uid().unwrap_or_default());
    digest.iter().take(10).map(|b| format!("{b:02X}")).collect()
}

fn fail(context: &Context, journal: &mut Journal, reason: &str, message: &str) {
    let now = context.now();
    journal.phase = Phase::Failed;
    journal.started_at = Some(now);
    journal.finished_at = Some(now);
    journal.verdict = Some(Verdict {
        phase: Phase::Failed,
        reason: reason.to_owned(),
        message: message.to_owned(),
        at: now,
    });
}

fn facts(context: &Context, run: &CloneRun) -> RowFacts {
    RowFacts {
        generation: run.metadata.generation,
        mode: run.spec.mode,
        now: context.now(),
    }
}

/// Labels, annotation and finalizer in one conditional patch, before the status: the finalizer is there before the first
/// effect.
async fn mark(context: &Context, run: &CloneRun, number: i64) -> Result<CloneRun, StoreError> {
    let mut finalizers = run.finalizers().to_vec();
    if !finalizers.iter().any(|f| f == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    let metadata = json!({
        "labels": {NUMBER_LABEL: number.to_string(), ENVIRONMENT_LABEL: run.spec.environment},
        "annotations": {OPENED_ANNOTATION: run.uid()},
        "finalizers": finalizers,
    });
    patch_metadata(context, run, metadata).await
}

/// A metadata patch on this very object and version.
///
/// # Errors
/// `Conflict` when it was changed since it was read, `Gone` when it does not exist any more.
pub async fn patch_metadata(
    context: &Context,
    run: &CloneRun,
    mut metadata: Value,
) -> Result<CloneRun, StoreError> {
    metadata["uid"] = json!(run.uid());
    metadata["resourceVersion"] = json!(run.resource_version());
    let api = context.runs(&run.namespace().unwrap_or_default());
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let name = run.name_any();
    let patch = json!({"metadata": metadata});
    let patch = Patch::Merge(&patch);
    answer(api.patch(&name, &parameters, &patch)).await
}

/// Writes a status on the version that was read.
async fn write_status(
    context: &Context,
    run: &CloneRun,
    status: CloneRunStatus,
) -> Result<CloneRun, StoreError> {
    let api = context.runs(&run.namespace().unwrap_or_default());
    let mut object = run.clone();
    object.status = Some(status);
    object.metadata.managed_fields = None;
    let (name, parameters) = (run.name_any(), writes_as_us());
    let written = answer(api.replace_status(&name, &parameters, &object)).await?;
    let counted = &context.config.metrics.counted;
    let (before, after) = (journal_of_run(run), journal_of_run(&written));
    Tally::of(&written).accepted(counted, &before, &after);
    Ok(written)
}

async fn answer<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(Duration::from_secs(5), request).await {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Err(StoreError::Conflict),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Err(StoreError::Gone),
        Ok(Err(error)) => Err(store_error(error)),
        Err(_) => Err(StoreError::Lost("the API server did not answer".into())),
    }
}

/// What a run that is not opened yet waits for; not written twice.
async fn note(
    context: &Context,
    run: &CloneRun,
    reason: &str,
    message: &str,
) -> Result<(), StoreError> {
    let mut status = run.status.clone().unwrap_or_default();
    if status.message.as_deref() == Some(message) {
        return Ok(());
    }
    status.state = Some("RUNNING".to_owned());
    status.function = status.function.take();
    status.observed_generation = run.metadata.generation;
    status.message = Some(message.to_owned());
    status.reason = Some(reason.to_owned());
    write_status(context, run, status).await?;
    Ok(())
}

async fn skip(
    context: &Context,
    run: &CloneRun,
    reason: &str,
    message: &str,
) -> Result<Opening, StoreError> {
    close(context, run, Phase::Skipped, reason, message).await?;
    Ok(Opening::Over)
}

/// Ends a run that never executed a step: label, one status write, no finalizer.
///
/// # Errors
/// As [`patch_metadata`].
pub async fn close(
    context: &Context,
    run: &CloneRun,
    phase: Phase,
    reason: &str,
    message: &str,
) -> Result<(), StoreError> {
    let now = context.now();
    let mut journal = journal_of_run(run);
    journal.phase = phase;
    journal.finished_at = Some(now);
    journal.revision += 1;
    journal.writer = context.config.writer.clone();
    journal.verdict = Some(Verdict {
        phase,
        reason: reason.to_owned(),
        message: message.to_owned(),
        at: now,
    });
    let before = run.status.clone().unwrap_or_default();
    let status = build(&before, &journal, &facts(context, run));
    let written = write_status(context, run, status).await?;
    let word = super::status::phase_word(phase);
    // A run that was created as skipped carries all of it already.
    let labelled = written.labels().get(OUTCOME_LABEL).map(String::as_str) == Some(word);
    let marked = labelled && !written.finalizers().iter().any(|f| f == FINALIZER);
    let finalizers: Vec<&String> = written
        .finalizers()
        .iter()
        .filter(|f| *f != FINALIZER)
        .collect();
    let metadata = json!({"labels": {OUTCOME_LABEL: word}, "finalizers": finalizers});
    let note = format!("{reason}: {message}");
    let warning = phase != Phase::Cancelled;
    let told = Transition::new(warning, word, "Run", note);
    publish(&context.recorder, &written, &[told]).await;
    if marked {
        return Ok(());
    }
    match patch_metadata(context, &written, metadata).await {
        // Deleted while being closed: the object goes with its last finalizer.
        Ok(_) | Err(StoreError::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}
