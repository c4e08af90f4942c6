//! Step 14 of function SAVE21, taken before the clone becomes a clone: the guest kit saves the untouched image in
//! restricted state, writes its result record, and only then gives the clone its name and its network. So nothing is sent
//! here; the console is watched until the clone answers, and the record of this very run is the proof.
//!
//! A save that ended badly is `Done` with result `failed`, as a job of USER is: its logs are collected next, and `settle`
//! fails the run. A clone that never answers leaves the outcome unknown: it is not touched, whatever the time.

use super::await_clone::{self, SILENT_SECONDS, since};
use super::gate::{self, Stop, facts};
use super::job::{END_SEVERITY, FAILED, JOB, LEFT, MILLISECONDS, OK, RESULT};
use super::restricted::{self, Seen};
use super::run_function::{self, ID};
use super::{collect_logs, start_clone};
use crate::api::options::Function;
use crate::api::surroundings::OnFailure;
use crate::engine::journal::{Entry, Facts, Journal};
use crate::engine::step::{Failure, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::plan::Plan;
use crate::recipe::records::{READY_PATH, RESULT_PATH, Record};
use crate::site::{DeviceError, ProofError, ProvenClone};
use async_trait::async_trait;
use chrono::DateTime;
use std::sync::Arc;
use std::time::Duration;

/// Output: `SAVSYS:OK:CPC3701,…`, what each save command ended with.
const STEPS: &str = "steps";
/// Output: row of the kit's program that failed, as `ibmi/CONTRACT.md` § 14 names it.
const FAILED_ROW: &str = "failed";
/// Output: message id with which it failed.
const FAILED_ID: &str = "failedId";
/// Output: device and volumes.
const MEDIA: &str = "media";
/// Rows of `ibmi/CONTRACT.md` § 14 that make a full save: only a result that names each of them as run is one.
const COMMANDS: [&str; 4] = ["SAVSYS", "SAVLIB", "SAVDLO", "SAV"];

pub(super) struct RunSave21 {
    pub(super) plan: Arc<Plan>,
}

/// Whether a journal is of a run that saves before the clone is ready.
pub(super) fn is_of(journal: &Journal) -> bool {
    let place = |step: &str| journal.steps.iter().position(|e| e.name == step);
    place(ID).is_some() && place(ID) < place(await_clone::ID)
}

/// Whether the clone may be saving: it was started, and no result record says that the save is over.
pub(super) fn may_run(journal: &Journal) -> bool {
    let started = journal
        .entry(start_clone::ID)
        .is_some_and(|e| !gate::unsent(e));
    started && !matches!(journal.output(ID, RESULT), Some(OK | FAILED))
}

/// What a save that ended badly makes of the run, once its logs are kept.
pub(super) fn failed(journal: &Journal, plan: &Plan) -> Option<Failure> {
    if plan.function != Function::Save21 || journal.output(ID, RESULT) != Some(FAILED) {
        return None;
    }
    let said = |key: &str| {
        journal
            .output(ID, key)
            .filter(|v| !v.is_empty())
            .unwrap_or("?")
    };
    let tail = journal
        .output(collect_logs::ID, collect_logs::FAILURE_TAIL)
        .unwrap_or_default();
    let last = tail.lines().last().unwrap_or("nothing in its job log");
    let left = match plan.after.on_failure {
        OnFailure::Keep => "the clone is left as it is",
        OnFailure::Apply => "what after says is done with clone and image (onFailure: Apply)",
    };
    Some(Failure::new(
        "FunctionFailed",
        format!(
            "the full save on clone {} failed at {} with {}{}: {last}; do not rely on these tapes ({}; {}); read logs joblog and history of this run, {left}",
            plan.clone_label(),
            said(FAILED_ROW),
            said(FAILED_ID),
            meaning(said(FAILED_ID)),
            said(MEDIA),
            said(STEPS),
        ),
    ))
}

/// The kit's own ids in words (`ibmi/CONTRACT.md` § 9).
fn meaning(id: &str) -> &'static str {
    match id {
        "CLN0502" => {
            ", it was interrupted: an IPL or the end of its job came in the middle, and it is not begun a second time"
        }
        "CLN0503" => {
            ", the restricted state was not reached within save21.restrictedStateSeconds: something on the clone did not end; allow more time, or see the history log"
        }
        _ => "",
    }
}

impl RunSave21 {
    async fn look(&self, context: &StepContext<'_>, entry: &Entry) -> Result<Observation, Stop> {
        let again = self.plan.pace.job(gate::elapsed(entry, context.now));
        let status = match restricted::at_console(context, &self.plan, entry).await? {
            Seen::Away(text) => return Ok(Observation::underway(again, text)),
            Seen::Up(status) => status,
        };
        match gate::prove_clone(context.site, &self.plan, &status.identity).await {
            Ok(proof) => self.read_result(context, &proof, again).await,
            Err(ProofError::Device(
                error @ (DeviceError::Unreachable { .. }
                | DeviceError::Busy { .. }
                | DeviceError::Indeterminate { .. }),
            )) => Ok(self.silent(context, entry, &error, again)),
            Err(other) => Err(other.into()),
        }
    }

    /// Before the save and after it the clone is up without a network for a while; longer than a quarter of an hour is
    /// shown to a person, and only `functionSeconds` ends the wait.
    fn silent(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        error: &DeviceError,
        again: Duration,
    ) -> Observation {
        let clone = self.plan.clone_label();
        let address = context.site.clone.0.address();
        let (began, age) = since(entry, "does not answer", context.now);
        let slow = if age >= self.plan.pace.seconds(SILENT_SECONDS) {
            "CloneUpButSilent: "
        } else {
            ""
        };
        Observation::underway(
            again,
            format!(
                "{slow}clone {clone} is up and does not answer since {began} at {address} ({}): it has no network before its save is over; messages CLN02xx and CLN05xx in QSYSOPR at its console say more",
                error.reason()
            ),
        )
    }

    async fn read_result(
        &self,
        context: &StepContext<'_>,
        proof: &ProvenClone,
        again: Duration,
    ) -> Result<Observation, Stop> {
        if let Some(result) = self.own_record(context, proof, RESULT_PATH).await? {
            return self.judge(&result);
        }
        let clone = self.plan.clone_label();
        // The record is written before anything else is done, so a clone that is ready without one did not save.
        if self.own_record(context, proof, READY_PATH).await?.is_some() {
            return Err(Stop::Failure(Failure::new(
                "SaveResultMissing",
                format!(
                    "clone {clone} is ready, but {RESULT_PATH} there holds no result of this run: nothing proves that it was saved; look at /ibmiclone/kit.log and WRKSPLF there, and do not rely on the tapes of this run"
                ),
            )));
        }
        Ok(Observation::underway(
            again,
            format!("clone {clone} answers, and its save has left no result record yet"),
        ))
    }

    /// A record of the kit that carries this run's token; anything else is of another run, or of none.
    async fn own_record(
        &self,
        context: &StepContext<'_>,
        proof: &ProvenClone,
        path: &str,
    ) -> Result<Option<Record>, Stop> {
        let bytes = context.site.clone.0.get(proof.session(), path).await?;
        let record = bytes.and_then(|bytes| Record::parse(&bytes).ok());
        Ok(record.filter(|r| r.text("runToken") == self.plan.run_token))
    }

    fn judge(&self, result: &Record) -> Result<Observation, Stop> {
        let state = result.text("state");
        let word = match (result.text("function"), state) {
            ("SAVE21", "SUCCEEDED") if whole(result) => OK,
            ("SAVE21", "FAILED") => FAILED,
            (function, _) => {
                return Err(Stop::Failure(Failure::new(
                    "ResultUnusable",
                    format!(
                        "the result record on clone {} says function {function:?}, state {state:?}, restricted state at {:?}, commands {:?}: this operator's guest kit writes no such record, and nothing proves a whole save; do not rely on the tapes of this run, and run ibmi-clone guest install {}",
                        self.plan.clone_label(),
                        result.text("restrictedAt"),
                        result.text("steps"),
                        self.plan.environment
                    ),
                )));
            }
        };
        Ok(Observation::Done(self.output(result, word)))
    }

    fn output(&self, result: &Record, word: &str) -> Facts {
        let mut out = facts([
            (JOB, result.text("job").to_owned()),
            (RESULT, word.to_owned()),
            (END_SEVERITY, result.text("endCode").to_owned()),
            (STEPS, result.text("steps").to_owned()),
            (FAILED_ROW, result.text("failed").to_owned()),
            (FAILED_ID, result.text("failedId").to_owned()),
            (MEDIA, media(result)),
        ]);
        // Both times are of the clone's clock: only their difference is used.
        if let Some(length) = length(result) {
            out.insert(MILLISECONDS.into(), length.to_string());
        }
        let warnings = result.text("warnings");
        if !warnings.is_empty() && word == OK {
            out.insert(
                format!("{WARNING_FACT}save"),
                format!(
                    "the full save on clone {} left something out: {warnings} ({}); read log joblog of this run for the names",
                    self.plan.clone_label(),
                    result.text("steps")
                ),
            );
        }
        out
    }

    /// At `functionSeconds` nobody knows whether the tapes are good, and a clone that may be saving is left alone.
    fn within_limit(&self, context: &StepContext<'_>, seen: Observation) -> Observation {
        match seen {
            Observation::Underway { message, .. }
                if !run_function::in_time(&self.plan, context) =>
            {
                Observation::Unknown(Failure::new(
                    "OutcomeUnknown",
                    format!(
                        "clone {} did not come back from its full save within timeouts.functionSeconds ({}): whether it was saved is not known. It is left as it is and may still be saving: look at its console and its tape drive first, {RESULT_PATH} there tells the end. Last: {message}",
                        self.plan.clone_label(),
                        self.plan.function_seconds
                    ),
                ))
            }
            other => other,
        }
    }
}

/// Whether the record tells of every command, in the restricted state.
fn whole(result: &Record) -> bool {
    let ran = |command: &&str| {
        let mut steps = result.text("steps").split(',');
        steps.any(|step| {
            let mut words = step.split(':');
            words.next() == Some(command) && matches!(words.next(), Some("OK" | "PARTIAL"))
        })
    };
    !result.text("restrictedAt").is_empty() && COMMANDS.iter().all(ran)
}

fn media(result: &Record) -> String {
    let volumes = match result.text("volumes") {
        "" => "mounted volumes",
        named => named,
    };
    format!("{} on {}", volumes, result.text("device"))
}

fn length(result: &Record) -> Option<i64> {
    let time = |key| DateTime::parse_from_rfc3339(result.text(key)).ok();
    let passed = time("endedAt")? - time("startedAt")?;
    (passed.num_milliseconds() >= 0).then_some(passed.num_milliseconds())
}

#[async_trait]
impl Step for RunSave21 {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        run_function::limit(&self.plan)
    }
    /// The waiting ends and the save goes on: a save that is cut off leaves a tape nobody can read.
    fn aborted(&self, entry: &Entry) -> Option<(Facts, String)> {
        let last = entry.message.as_deref().unwrap_or("nothing was seen of it");
        let words = format!(
            "the full save on clone {} was left as it is, nobody ended it (last: {last}); do not switch the clone off while its console shows {}; {RESULT_PATH} there tells the end",
            self.plan.clone_label(),
            restricted::SAVING
        );
        Some((facts([(RESULT, LEFT.to_owned())]), words))
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let entry = context.entry(ID);
        let seen = self
            .look(context, &entry)
            .await
            .unwrap_or_else(|stop| stop.observed(self.plan.pace.silence()));
        self.within_limit(context, seen)
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Ok(None)
    }
}
