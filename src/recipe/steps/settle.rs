//! Step 17: the last look, and what a run leaves behind: the clone's key at Manual after HOLD, the step log, and the
//! verdict on the function. Clone and image stay as they are.

use super::gate::{self, Stop, facts, state_word};
use super::map_volumes::image_is_this_runs;
use super::{collect_logs, hook, run_function, run_group, save21, stop_clone};
use crate::api::options::UserProgram;
use crate::api::surroundings::{OnFailure, OnProgramError};
use crate::engine::journal::{EntryState, Facts, Journal};
use crate::engine::step::{
    Failure, LockKind, NOTE_FACT, Observation, Step, StepContext, WARNING_FACT,
};
use crate::recipe::log_sink::{LogKind, LogSink};
use crate::recipe::plan::Plan;
use crate::recipe::surroundings::program_at;
use crate::site::{DeviceError, Keylock, PartitionState, PartitionStatus, PowerJob, PowerJobState};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "settle";
/// A key that cannot be set is a warning after so many tries: the copy itself is good.
const KEY_TRIES: i32 = 3;
/// Begins a handle that is no console job: the console refused to turn the key.
const REFUSED: &str = "refused: ";

pub(super) struct SettleStep {
    pub(super) plan: Arc<Plan>,
    pub(super) sink: Arc<dyn LogSink>,
}

/// Tries to store the log of the steps; a store that refuses fails no run.
const LOG_TRIES: i32 = 3;
const NO_LOG: &str = "log steps of this run could not be stored; make room for ConfigMaps in the namespace (a ResourceQuota?), the log of the operator has the answer of the API server";

/// What is still to be done about the key.
enum Key {
    Fine,
    Turn,
    Turning,
    Left(String),
}

impl SettleStep {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(ID);
        let stored = self
            .sink
            .has(LogKind::Steps)
            .await
            .map_err(collect_logs::store_error)?;
        let status = context.site.clone_partition.status().await?;
        let key = self.key(context, &status).await?;
        let wait = self.plan.pace.short_retry();
        if matches!(key, Key::Turning) {
            return Ok(Observation::underway(
                wait,
                "the console sets the clone's key to manual",
            ));
        }
        let given_up = entry.attempts >= LOG_TRIES;
        if (stored.is_none() && !given_up) || matches!(key, Key::Turn) {
            let poll = self.plan.pace.power(gate::elapsed(&entry, context.now));
            return Ok(gate::retry_gate(&entry, context.now, wait, poll, || {
                "step log and key of the clone are being set".to_owned()
            }));
        }
        if let Some(failed) = self.function_failed(context) {
            return Ok(failed);
        }
        // The last look: what this run calls its image must still be it.
        image_is_this_runs(context, &self.plan).await?;
        let mut out = self.measured(context, &status).await?;
        if let Key::Left(why) = key {
            out.insert(format!("{WARNING_FACT}key"), why);
        }
        let said = context
            .journal
            .output(collect_logs::ID, collect_logs::NOT_STORED);
        if stored.is_none() && said.is_none() {
            out.insert(format!("{WARNING_FACT}log"), NO_LOG.to_owned());
        }
        Ok(Observation::Done(out))
    }

    /// After HOLD the clone must not start by itself: a person starts it, at the console only (`product.md` § 5.1).
    async fn key(&self, context: &StepContext<'_>, status: &PartitionStatus) -> Result<Key, Stop> {
        let off = matches!(status.state, PartitionState::NotActivated);
        let ours = context
            .journal
            .entry(stop_clone::ID)
            .is_some_and(|e| e.state == EntryState::Done);
        // A partition that was left alone, because none of our volumes is attached to it, keeps its key.
        if self.plan.starts_clone() || !ours || !off || status.keylock == "manual" {
            return Ok(Key::Fine);
        }
        let entry = context.entry(ID);
        let given = gate::given(&entry);
        if let Some(why) = given.and_then(|h| h.strip_prefix(REFUSED)) {
            return Ok(Key::Left(format!(
                "the key of clone {} could not be set to manual: {why}; set it at the console",
                self.plan.clone_label()
            )));
        }
        if let Some(job) = given {
            match context
                .site
                .clone_partition
                .job(&PowerJob(job.to_owned()))
                .await?
            {
                PowerJobState::Running => return Ok(Key::Turning),
                PowerJobState::Failed { code, text } => {
                    return Ok(Key::Left(format!(
                        "the key of clone {} could not be set to manual: {code} {text}; set it at the console",
                        self.plan.clone_label()
                    )));
                }
                PowerJobState::Ended | PowerJobState::Forgotten => {}
            }
        }
        if entry.attempts >= KEY_TRIES {
            return Ok(Key::Left(format!(
                "the key of clone {} stays {} although it was set to manual: set it at the console",
                self.plan.clone_label(),
                status.keylock
            )));
        }
        Ok(Key::Turn)
    }

    /// Only now, with the logs stored, a program or an AfterFunction hook that did not end well fails the run.
    fn function_failed(&self, context: &StepContext<'_>) -> Option<Observation> {
        let journal = context.journal;
        let of_program = run_function::programs(&self.plan)
            .find_map(|(step, program)| self.program_failed(journal, step, program));
        of_program
            .or_else(|| save21::failed(journal, &self.plan))
            .or_else(|| self.group_failed(journal))
            .or_else(|| hook::failed_after_function(journal, &self.plan))
            .map(Observation::Broken)
    }

    /// As a program, for function BRMS.
    fn group_failed(&self, journal: &Journal) -> Option<Failure> {
        run_group::groups(&self.plan).find_map(|(step, group)| {
            let said = |key: &str| journal.output(step, key).unwrap_or("?").to_owned();
            Some(match journal.output(step, run_function::RESULT)? {
                run_function::OK => return None,
                run_function::OVERRUN | run_function::LEFT => Failure::new(
                    "FunctionOverrun",
                    format!(
                        "job {} of control group {group} did not end within timeouts.functionSeconds ({}) and is left as it is on clone {}; at the last look: {}",
                        said(run_function::JOB),
                        self.plan.function_seconds,
                        self.plan.clone_label(),
                        said(run_function::LAST_SEEN)
                    ),
                ),
                run_function::NOT_STARTED => Failure::new(
                    "FunctionOverrun",
                    format!(
                        "control group {group} was not started: the groups before it took timeouts.functionSeconds ({}); allow more time",
                        self.plan.function_seconds
                    ),
                ),
                run_function::VANISHED => Failure::new("FunctionVanished", said(run_group::SAID)),
                _ if said(run_group::REASON) == "MediaUnavailable" => {
                    Failure::new("MediaUnavailable", said(run_group::SAID))
                }
                _ => Failure::new("BackupFailed", said(run_group::SAID)),
            })
        })
    }

    fn program_failed(
        &self,
        journal: &Journal,
        step: &str,
        program: &UserProgram,
    ) -> Option<Failure> {
        let result = journal.output(step, run_function::RESULT)?;
        let said = |key: &str| journal.output(step, key).unwrap_or("?").to_owned();
        let job = said(run_function::JOB);
        let place = program_at(step).unwrap_or_default();
        let log = LogKind::of_program(place).as_str();
        let left = match self.plan.after.on_failure {
            OnFailure::Keep => "the clone is left as it is",
            OnFailure::Apply => "what after says is done with clone and image (onFailure: Apply)",
        };
        let tolerated = program.on_error == OnProgramError::Continue;
        let (reason, text) = match result {
            run_function::OK => return None,
            run_function::OVERRUN => (
                "FunctionOverrun",
                format!(
                    "job {job} did not end within timeouts.functionSeconds ({}) and is left as it is on clone {}; at the last look: {}; look at it there, read log {log} of this run, or allow more time",
                    self.plan.function_seconds,
                    self.plan.clone_label(),
                    said(run_function::LAST_SEEN)
                ),
            ),
            run_function::NOT_STARTED => (
                "FunctionOverrun",
                format!(
                    "program {} was not called: the programs before it took timeouts.functionSeconds ({}); allow more time",
                    program.program, self.plan.function_seconds
                ),
            ),
            _ if tolerated => return None,
            run_function::VANISHED => (
                "FunctionVanished",
                format!(
                    "job {job} started on the clone and is gone without an end in the history log: read logs {log} and history of this run for what it did; it was not started again, {left}"
                ),
            ),
            _ => {
                let severity = said(run_function::END_SEVERITY);
                let tail = journal
                    .output(collect_logs::ID, collect_logs::FAILURE_TAIL)
                    .unwrap_or_default();
                let last = tail
                    .lines()
                    .last()
                    .unwrap_or("no error message in its job log");
                (
                    "FunctionFailed",
                    format!(
                        "job {job} ended abnormally with severity {severity}: {last}; read log {log} of this run, {left}"
                    ),
                )
            }
        };
        Some(Failure::new(reason, text))
    }

    async fn measured(
        &self,
        context: &StepContext<'_>,
        status: &PartitionStatus,
    ) -> Result<Facts, Stop> {
        let mut out = facts([
            ("cloneState", state_word(&status.state).to_owned()),
            ("referenceCode", status.reference_code.clone()),
        ]);
        match context.site.copy.usage().await {
            Ok(usage) => {
                out.insert("copyProgress".into(), usage.progress.to_string());
                if let Some(used) = usage.disk_used_percent {
                    out.insert("diskUsedPercent".into(), used.to_string());
                }
            }
            Err(error @ DeviceError::Refused { .. }) => {
                out.insert(
                    format!("{NOTE_FACT}usage"),
                    format!("space used is not known: {error}"),
                );
            }
            Err(error) => return Err(error.into()),
        }
        let errors = context
            .journal
            .output(collect_logs::ID, collect_logs::JOB_ERRORS)
            .and_then(|n| n.parse::<i64>().ok())
            .unwrap_or(0);
        if errors > 0 {
            out.insert(
                format!("{WARNING_FACT}errors"),
                format!("{errors} messages of the function's jobs reach errorSeverity: read log joblog of this run"),
            );
        }
        Ok(out)
    }

    async fn leave(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let stored = self
            .sink
            .has(LogKind::Steps)
            .await
            .map_err(collect_logs::store_error)?;
        if stored.is_none() {
            let lines = collect_logs::step_lines(context.journal);
            self.sink
                .put(LogKind::Steps, lines)
                .await
                .map_err(collect_logs::store_error)?;
        }
        let status = gate::clone_for_power(context.site, &self.plan).await?;
        match self.key(context, &status).await? {
            Key::Turn => {
                match context
                    .site
                    .clone_partition
                    .set_keylock(Keylock::Manual)
                    .await
                {
                    Ok(job) => Ok(Some(gate::handle(&job.0, context.now))),
                    // The copy is good; a key that cannot be turned is for a person to read, not a failed run.
                    Err(error @ DeviceError::Refused { .. }) => Ok(Some(gate::handle(
                        &format!("{REFUSED}{error}"),
                        context.now,
                    ))),
                    Err(error) => Err(error.into()),
                }
            }
            Key::Fine | Key::Turning | Key::Left(_) => Ok(None),
        }
    }
}

#[async_trait]
impl Step for SettleStep {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.leave(context).await.map_err(Stop::refused)
    }
}
