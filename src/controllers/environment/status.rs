//! The status of an environment, always by reading, changing and conditionally replacing: runs and the verify write it
//! both.

use super::image;
use crate::api::environment::{CloneObserved, LastRun};
use crate::api::run::RunMode;
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun, CloneRunStatus};
use crate::controllers::answer::store_error;
use crate::controllers::conditions::{self, Truth};
use crate::controllers::run::store::{call, writes_as_us};
use crate::controllers::text::cut;
use crate::engine::journal::Phase;
use crate::engine::ports::StoreError;
use crate::engine::time::Timestamp;
use crate::recipe::steps::state_word;
use crate::site::Site;
use kube::{Api, ResourceExt};
use std::time::Duration;

/// Changes the status; what `change` leaves as it was is not written. `Ok(None)` = the environment is gone, or this version
/// cannot read it: its runs go on and end all the same (rule 13), its own loop reports it.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn update(
    api: &Api<CloneEnvironment>,
    name: &str,
    change: impl Fn(&CloneEnvironment, &mut CloneEnvironmentStatus),
) -> Result<Option<CloneEnvironment>, StoreError> {
    change_from(api, name, None, change).await
}

/// As [`update`], beginning with a version that is known already: one request less where nobody wrote in between, which the
/// API server decides. Where `change` leaves this version as it is nothing is asked: for who comes again when the
/// environment has changed.
///
/// # Errors
/// As [`update`].
pub async fn update_known(
    api: &Api<CloneEnvironment>,
    known: &CloneEnvironment,
    change: impl Fn(&CloneEnvironment, &mut CloneEnvironmentStatus),
) -> Result<Option<CloneEnvironment>, StoreError> {
    let first = Some(Box::new(known.clone()));
    change_from(api, &known.name_any(), first, change).await
}

async fn change_from(
    api: &Api<CloneEnvironment>,
    name: &str,
    mut first: Option<Box<CloneEnvironment>>,
    change: impl Fn(&CloneEnvironment, &mut CloneEnvironmentStatus),
) -> Result<Option<CloneEnvironment>, StoreError> {
    loop {
        let mut environment = match first.take() {
            Some(known) => known,
            None => match read(api, name).await? {
                Readable::Yes(environment) => environment,
                Readable::Gone | Readable::No(_) => return Ok(None),
            },
        };
        let before = environment.status.clone().unwrap_or_default();
        let mut after = before.clone();
        change(&environment, &mut after);
        if after == before && environment.status.is_some() {
            return Ok(Some(*environment));
        }
        environment.status = Some(after);
        environment.metadata.managed_fields = None;
        let parameters = writes_as_us();
        let request = api.replace_status(name, &parameters, &*environment);
        match tokio::time::timeout(Duration::from_secs(5), request).await {
            Ok(Ok(written)) => return Ok(Some(written)),
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() => {}
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => return Ok(None),
            Ok(Err(error)) => return Err(store_error(error)),
            Err(_) => return Err(StoreError::Lost("the API server did not answer".into())),
        }
    }
}

/// An environment, asked for by name.
pub enum Readable {
    /// Here it is.
    Yes(Box<CloneEnvironment>),
    /// There is none of this name.
    Gone,
    /// There is one that this version cannot read: why.
    No(String),
}

/// Reads an environment that somebody may have broken.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn read(api: &Api<CloneEnvironment>, name: &str) -> Result<Readable, StoreError> {
    let request = async {
        match api.get_opt(name).await {
            Ok(Some(environment)) => Ok(Readable::Yes(Box::new(environment))),
            Ok(None) => Ok(Readable::Gone),
            Err(kube::Error::SerdeError(error)) => Ok(Readable::No(error.to_string())),
            Err(error) => Err(error),
        }
    };
    call(request).await
}

/// Enters an ended run: last run, last success, failures in a row. Entering it twice changes nothing.
pub fn record_run(
    environment: &CloneEnvironment,
    status: &mut CloneEnvironmentStatus,
    run: &CloneRun,
    now: Timestamp,
) {
    let Some(row) = run.status.as_ref() else {
        return;
    };
    let key = opening_key(run);
    // A stale operator may have given the run a second number, which it never took: the next run gets that one.
    let took_it = row.number == Some(status.last_run_number);
    if took_it && status.opening.as_deref() == Some(&key) {
        status.opening = None;
    }
    if status.active_run.as_deref() == Some(run.name_any().as_str()) {
        status.active_run = None;
    }
    let known = status.last_run.as_ref();
    let newer = row.number > known.map(|l| l.number);
    let entered = known.is_some_and(|l| Some(l.number) == row.number && l.phase.is_final());
    if !(newer || known.is_some_and(|l| Some(l.number) == row.number && !entered)) {
        return;
    }
    status.last_run = Some(last_run(run, row));
    image::record(status, run, row, now);
    // Cancelled, Skipped, Preflight and what is done with an old image say nothing about the night's success.
    if run.spec.mode != RunMode::Clone {
        return;
    }
    let message = cut(row.message.as_deref().unwrap_or_default(), 400);
    let reason = row.reason.clone().unwrap_or_default();
    let truth = match row.phase {
        Phase::Succeeded | Phase::Warning => {
            status.last_success_time = row.finished_at;
            status.consecutive_failures = 0;
            Truth::True
        }
        Phase::Failed => {
            status.last_failure_time = row.finished_at;
            status.consecutive_failures += 1;
            Truth::False
        }
        Phase::Cancelled
        | Phase::Skipped
        | Phase::Pending
        | Phase::Queued
        | Phase::Running
        | Phase::Cancelling => return,
    };
    let generation = environment.metadata.generation;
    let list = &mut status.conditions;
    conditions::set(
        list,
        "LastRunSucceeded",
        truth,
        &reason,
        &message,
        generation,
        now,
    );
}

fn last_run(run: &CloneRun, row: &CloneRunStatus) -> LastRun {
    LastRun {
        name: run.name_any(),
        number: row.number.unwrap_or_default(),
        phase: row.phase,
        started_at: row.started_at,
        finished_at: row.finished_at,
        duration_seconds: row.duration_seconds,
        messages: row.messages.unwrap_or_default(),
        errors: row.errors.unwrap_or_default(),
    }
}

/// How `opening` names a run: a name alone may be used again.
pub fn opening_key(run: &CloneRun) -> String {
    format!("{}/{}", run.name_any(), run.uid().unwrap_or_default())
}

/// `SourceFrozen`: False outside a window, and as long as it is True a person should look.
pub fn source_frozen(
    environment: &CloneEnvironment,
    status: &mut CloneEnvironmentStatus,
    run: &str,
    frozen: bool,
    now: Timestamp,
) {
    let known = conditions::get(&status.conditions, "SourceFrozen").is_some();
    let (reason, message) = if frozen {
        (
            "ResumeOwed",
            format!(
                "run {run} has not proved yet that production runs; `ibmi-clone source-status` says what to type there"
            ),
        )
    } else {
        ("NotFrozen", String::new())
    };
    let was = conditions::is_true(&status.conditions, "SourceFrozen");
    if known && was == frozen {
        return;
    }
    conditions::set(
        &mut status.conditions,
        "SourceFrozen",
        Truth::of(frozen),
        reason,
        &message,
        environment.metadata.generation,
        now,
    );
}

/// `BackupsFrozen`: True from the freeze of production's BRMS until it was released; nothing can be saved with BRMS there
/// meanwhile.
pub fn backups_frozen(
    environment: &CloneEnvironment,
    status: &mut CloneEnvironmentStatus,
    run: &str,
    since: Option<Timestamp>,
    now: Timestamp,
) {
    let (reason, message) = match since {
        Some(since) => (
            "FrozenForClone",
            format!(
                "production's BRMS is frozen since {} by run {run}: no save, no maintenance and no movement of media there until its history is back; `ibmi-clone source-status` says what to type if it has to be released by hand",
                since.to_seconds_text()
            ),
        ),
        None => ("NotFrozen", String::new()),
    };
    let known = conditions::get(&status.conditions, "BackupsFrozen");
    if known.is_some_and(|c| c.reason == reason && c.message == message) {
        return;
    }
    conditions::set(
        &mut status.conditions,
        "BackupsFrozen",
        Truth::of(since.is_some()),
        reason,
        &message,
        environment.metadata.generation,
        now,
    );
}

/// The clone's partition and the target set as the devices show them when a run ends, so that nobody has to wait for the
/// next look. A device that does not answer leaves what was known.
///
/// # Errors
/// As [`update`].
pub async fn record_devices(
    api: &Api<CloneEnvironment>,
    name: &str,
    site: &Site,
    now: Timestamp,
) -> Result<(), StoreError> {
    let patience = Duration::from_secs(30);
    let clone = tokio::time::timeout(patience, site.clone_partition.status()).await;
    let Ok(Ok(clone)) = clone else { return Ok(()) };
    let seen = CloneObserved {
        state: state_word(&clone.state).to_owned(),
        reference_code: clone.reference_code.clone(),
    };
    update(api, name, |_, status| {
        status.clone = Some(seen.clone());
        status.observed_at = Some(now);
    })
    .await
    .map(|_| ())
}
