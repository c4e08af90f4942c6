//! Step 14: the program of function USER, as a submitted job that does not depend on our connection.
//!
//! A job that ended badly is `Done` with result `failed`; one that overran its time or is gone without an end is `Done` too,
//! with a word of its own: the logs are collected next, before the clone can vanish, and `settle` fails the run.

use super::collect_logs;
use super::gate::{self, Stop, facts};
use crate::engine::journal::{Entry, Facts};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::pins::parse_identity;
use crate::recipe::plan::Plan;
use crate::recipe::queries::local_time;
use crate::site::{
    ClCommand, DeviceError, JobState, JobStatus, LogSource, Message, PartitionState, ProofError,
    ProvenClone, Submission, cl_quote,
};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "run-function";
/// Output: [`OK`], [`FAILED`], [`OVERRUN`], [`VANISHED`] or [`LEFT`].
pub(super) const RESULT: &str = "result";
/// Result of a job that ended normally.
pub(super) const OK: &str = "ok";
/// Result of a job that ended abnormally.
pub(super) const FAILED: &str = "failed";
/// Result of a job that is still there after `timeouts.functionSeconds`. Nobody ends it: it may be saving.
pub(super) const OVERRUN: &str = "overrun";
/// Result of a job that started and is gone without an end in the history log. It is never started again.
pub(super) const VANISHED: &str = "vanished";
/// Result of a job that an abort no longer waits for. Nobody ends it: it may be saving.
pub(super) const LEFT: &str = "left";
/// Output: qualified job name.
pub(super) const JOB: &str = "jobName";
/// Output of an overrun: what the job did at the last look.
pub(super) const LAST_SEEN: &str = "lastSeen";
/// Output: JOB_END_SEVERITY, or the end code of the history log.
pub(super) const END_SEVERITY: &str = "endSeverity";
/// Output: the SAVE column.
const MILLISECONDS: &str = "saveMilliseconds";
/// History messages of a job's start and end (`ibmi.md` § 6).
const JOB_STARTED: &str = "CPF1124";
const JOB_ENDED: &str = "CPF1164";

pub(super) struct RunFunction {
    pub(super) plan: Arc<Plan>,
}

impl RunFunction {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(ID);
        let poll = self.plan.pace.job(gate::elapsed(&entry, context.now));
        let proof = match self.watch(context).await {
            Ok(proof) => proof,
            Err(ProofError::Device(error)) => {
                let status = context.site.clone_partition.status().await?;
                self.still_up(&status.state, &status.reference_code)?;
                return Err(Stop::Device(error));
            }
            Err(other) => return Err(other.into()),
        };
        let name = self.plan.job_name();
        match context.site.clone.0.job(proof.session(), &name).await? {
            Some(job) => Ok(self.judge(&job, gate::elapsed(&entry, context.now), poll)),
            None if gate::unsent(&entry) => Ok(Observation::Absent),
            None => self.vanished(context, &entry, &proof, poll).await,
        }
    }

    /// The clone for one more look. The console is asked again only when the clone does not answer: its pair of the clone
    /// is in this run's journal, and a submit asks it anew.
    async fn watch(&self, context: &StepContext<'_>) -> Result<ProvenClone, ProofError> {
        let known = context
            .journal
            .output("verify-site", "cloneIdentity")
            .and_then(parse_identity);
        let identity = match known {
            Some(identity) => identity,
            None => context.site.clone_partition.status().await?.identity,
        };
        let sources = &self.plan.source_identities;
        let clone = &context.site.clone;
        clone
            .prove_recent(&identity, sources, self.plan.pace.proof())
            .await
    }

    /// A clone that went down takes its function with it; waiting for the time limit would only hide that.
    fn still_up(&self, state: &PartitionState, code: &str) -> Result<(), Stop> {
        let clone = self.plan.clone_label();
        match state {
            PartitionState::NotActivated => Err(Stop::Failure(Failure::new(
                "CloneWentDown",
                format!(
                    "clone {clone} is not activated while the function runs: somebody switched it off; run again"
                ),
            ))),
            PartitionState::Starting
            | PartitionState::Running
            | PartitionState::ShuttingDown
            | PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_) => {
                if code.trim().starts_with('B') {
                    return Err(Stop::Failure(Failure::new(
                        "CloneError",
                        format!(
                            "clone {clone} stopped with code {code} while the function ran: look it up at the console"
                        ),
                    )));
                }
                Ok(())
            }
        }
    }

    fn judge(&self, job: &JobStatus, elapsed: Duration, poll: Duration) -> Observation {
        let name = job.name.as_str();
        let waits = match &job.state {
            JobState::Queued => format!(
                "job {name} waits on its job queue {}: if it stays there, look whether the queue is held or its subsystem is not started",
                self.job_queue()
            ),
            JobState::Active => format!("job {name} runs"),
            JobState::MessageWait(text) => format!(
                "NeedsReply: job {name} waits for an answer to: {text}; answer it on the clone (WRKJOB, or DSPMSG QSYSOPR)"
            ),
            JobState::Ended { normal, severity } => {
                let mut out = facts([
                    (JOB, name.to_owned()),
                    (RESULT, result_word(*normal)),
                    (END_SEVERITY, severity.to_string()),
                ]);
                if let Some(time) = job.active_milliseconds {
                    out.insert(MILLISECONDS.into(), time.to_string());
                }
                return Observation::Done(out);
            }
        };
        if elapsed < self.plan.pace.seconds(self.plan.function_seconds) {
            return Observation::underway(poll, waits);
        }
        Observation::Done(facts([
            (JOB, name.to_owned()),
            (RESULT, OVERRUN.to_owned()),
            (LAST_SEEN, waits),
        ]))
    }

    fn job_queue(&self) -> &str {
        self.plan
            .program
            .as_ref()
            .map_or("", |p| p.job_queue.as_str())
    }

    /// A job that is gone from JOB_INFO has left its start and its end in the history log; one that has left neither
    /// never ran.
    async fn vanished(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        proof: &ProvenClone,
        poll: Duration,
    ) -> Result<Observation, Stop> {
        let since = collect_logs::history_since(context)
            .unwrap_or_else(|| proof.session().system.scpf_entry_time.clone());
        let log = LogSource::History { since };
        let messages = context.site.clone.0.messages(proof.session(), &log).await?;
        let name = self.plan.job_name();
        let of_job = |id: &str| {
            messages
                .iter()
                .rev()
                .find(|m| m.id == id && m.job.rsplit('/').next() == Some(name.as_str()))
        };
        match (of_job(JOB_STARTED), of_job(JOB_ENDED)) {
            (started, Some(ended)) => Ok(Observation::Done(from_history(started, ended))),
            (Some(started), None) => Ok(Observation::Done(facts([
                (JOB, started.job.clone()),
                (RESULT, VANISHED.to_owned()),
            ]))),
            (None, None) => Ok(gate::retry_gate(
                entry,
                context.now,
                self.plan.pace.short_retry(),
                poll,
                || format!("job {name} was submitted and is not to be seen yet"),
            )),
        }
    }

    async fn submit(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let status = context.site.clone_partition.status().await?;
        let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
        let name = self.plan.job_name();
        // SBMJOB is not idempotent: looked for once more on this very connection.
        if let Some(job) = context.site.clone.0.job(proof.session(), &name).await? {
            return Ok(Some(gate::handle(job.name.as_str(), context.now)));
        }
        let Some(program) = &self.plan.program else {
            return Err(Stop::Failure(Failure::new(
                "NoProgram",
                "user.programs is empty: name a program",
            )));
        };
        let job = Submission {
            name,
            command: call(&program.program, &program.parameters),
            job_queue: program.job_queue.clone(),
            user: program.user.clone(),
        };
        let submitted = context.site.clone.0.submit(proof.session(), &job).await?;
        Ok(Some(gate::handle(submitted.as_str(), context.now)))
    }
}

/// `CALL PGM(LIB/PGM) PARM('…' '…')`.
fn call(program: &str, parameters: &[String]) -> ClCommand {
    let quoted: Vec<String> = parameters.iter().map(|p| cl_quote(p)).collect();
    let parm = if quoted.is_empty() {
        String::new()
    } else {
        format!(" PARM({})", quoted.join(" "))
    };
    ClCommand::new(format!("CALL PGM({program}){parm}"))
}

fn result_word(normal: bool) -> String {
    if normal { OK } else { FAILED }.to_owned()
}

/// The end of a job as CPF1164 tells it: `… end code 0 .`; the end code is the last number of the text in every
/// language seen so far (`ibmi.md` § 6 [I]).
fn from_history(started: Option<&Message>, ended: &Message) -> Facts {
    let code = ended
        .text
        .split(|c: char| !c.is_ascii_digit())
        .rfind(|part| !part.is_empty())
        .unwrap_or("?")
        .to_owned();
    let mut out = facts([
        (JOB, ended.job.clone()),
        (RESULT, result_word(code.parse() == Ok(0))),
        (END_SEVERITY, code),
    ]);
    let length = started
        .and_then(|s| local_time(&s.timestamp))
        .zip(local_time(&ended.timestamp))
        .map(|(from, to)| (to - from).num_milliseconds());
    if let Some(length) = length {
        out.insert(MILLISECONDS.into(), length.to_string());
    }
    out
}

#[async_trait]
impl Step for RunFunction {
    fn id(&self) -> &'static str {
        ID
    }
    /// A little more than `functionSeconds`, so that the step itself says what the job does and its logs are collected.
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(self.plan.function_seconds + 300)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
    }
    /// The waiting ends and the job is left: the design pages know no ENDJOB, and a save that is cut off leaves a tape
    /// nobody can read.
    fn aborted(&self, entry: &Entry) -> Option<(Facts, String)> {
        let Some(job) = gate::given(entry) else {
            let words = format!(
                "whether job {} was submitted on clone {} is not known; look there with WRKJOB before using it",
                self.plan.job_name(),
                self.plan.clone_label()
            );
            return Some((facts([(RESULT, LEFT.to_owned())]), words));
        };
        let words = format!(
            "job {job} on clone {} was left as it is, nobody ended it: ENDJOB JOB({job}) OPTION(*CNTRLD) there ends it",
            self.plan.clone_label()
        );
        let out = facts([(JOB, job.to_owned()), (RESULT, LEFT.to_owned())]);
        Some((out, words))
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
        self.submit(context).await.map_err(Stop::refused)
    }
}
