//! A job of this run, submitted on the clone or on production: looked for by its name before it is submitted, and judged
//! by the job tables or, when it is gone from them, by the history log.

use super::doing::Doing;
use super::gate::{Stop, facts};
use crate::api::surroundings::Hook;
use crate::engine::journal::Facts;
use crate::engine::step::{Failure, StepContext};
use crate::recipe::pins::parse_identity;
use crate::recipe::plan::Plan;
use crate::recipe::queries::local_time;
use crate::site::{
    ClCommand, DeviceError, IbmI, JobState, JobStatus, LogSource, Message, PartitionState,
    ProofError, ProvenClone, Session, Submission, cl_quote,
};

/// Output: [`OK`], [`FAILED`], [`OVERRUN`], [`VANISHED`], [`LEFT`] or [`NOT_STARTED`].
pub(super) const RESULT: &str = "result";
/// Result of a job that ended normally.
pub(super) const OK: &str = "ok";
/// Result of a job that ended abnormally.
pub(super) const FAILED: &str = "failed";
/// Result of a job that is still there after its time. Nobody ends it: it may be saving.
pub(super) const OVERRUN: &str = "overrun";
/// Result of a job that started and is gone without an end in the history log. It is never started again.
pub(super) const VANISHED: &str = "vanished";
/// Result of a job that an abort no longer waits for. Nobody ends it: it may be saving.
pub(super) const LEFT: &str = "left";
/// Result of a job whose time was over before it was submitted.
pub(super) const NOT_STARTED: &str = "notStarted";
/// Output: qualified job name.
pub(super) const JOB: &str = "jobName";
/// Output of an overrun: what the job did at the last look.
pub(super) const LAST_SEEN: &str = "lastSeen";
/// Output: JOB_END_SEVERITY, or the end code of the history log.
pub(super) const END_SEVERITY: &str = "endSeverity";
/// Output: the SAVE column.
pub(super) const MILLISECONDS: &str = "saveMilliseconds";
/// History messages of a job's start and end (`ibmi.md` § 6).
const JOB_STARTED: &str = "CPF1124";
const JOB_ENDED: &str = "CPF1164";

/// What is to be called, under which name.
pub(super) struct Call<'p> {
    pub(super) name: String,
    pub(super) program: &'p str,
    parameters: &'p [String],
    job_queue: &'p str,
    user: Option<&'p str>,
    /// [`Plan::clone_system`] or [`Plan::source_system`].
    pub(super) system: String,
}

impl<'p> Call<'p> {
    /// The program at a place of `user.programs`.
    pub(super) fn of_program(plan: &'p Plan, place: usize) -> Option<Self> {
        let program = plan.programs.get(place)?;
        Some(Self {
            name: plan.program_job(place),
            program: &program.program,
            parameters: &program.parameters,
            job_queue: &program.job_queue,
            user: program.user.as_deref(),
            system: plan.clone_system(),
        })
    }

    /// The hook at a place of `hooks`.
    pub(super) fn of_hook(plan: &'p Plan, place: usize) -> Option<(Self, &'p Hook)> {
        let hook = plan.hooks.get(place)?;
        let call = Self {
            name: plan.hook_job(place),
            program: &hook.program,
            parameters: &hook.parameters,
            job_queue: &hook.job_queue,
            user: hook.user.as_deref(),
            system: if hook.at.on_source() {
                plan.source_system()
            } else {
                plan.clone_system()
            },
        };
        Some((call, hook))
    }

    /// What is submitted: `CALL PGM(LIB/PGM) PARM('…' '…')`.
    pub(super) fn submission(&self) -> Submission {
        let quoted: Vec<String> = self.parameters.iter().map(|p| cl_quote(p)).collect();
        let parm = if quoted.is_empty() {
            String::new()
        } else {
            format!(" PARM({})", quoted.join(" "))
        };
        Submission {
            name: self.name.clone(),
            command: ClCommand::new(format!("CALL PGM({}){parm}", self.program)),
            job_queue: self.job_queue.to_owned(),
            user: self.user.map(str::to_owned),
        }
    }

    /// Where a job stands that the job tables show. `said` is what the last look left as the step's message.
    pub(super) fn judge(&self, job: &JobStatus, said: Option<&str>) -> Stands {
        let Some((normal, severity)) = job.state.ended() else {
            return not_ended(
                job,
                Doing::of(job, None, self.job_queue, &self.system),
                said,
            );
        };
        let mut out = facts([
            (JOB, job.name.to_string()),
            (RESULT, result_word(normal)),
            (END_SEVERITY, severity.to_string()),
        ]);
        if let Some(time) = job.active_milliseconds {
            out.insert(MILLISECONDS.into(), time.to_string());
        }
        Stands::Over(out)
    }

    /// A job that is gone from JOB_INFO has left its start and its end in the history log; one that has left neither
    /// never ran.
    pub(super) async fn in_history(
        &self,
        system: &dyn IbmI,
        session: &Session,
        since: String,
    ) -> Result<Option<Facts>, DeviceError> {
        let log = LogSource::History { since };
        let (mut started, mut ended) = (None, None);
        let mut each = |m: Message| {
            if m.job.rsplit('/').next() != Some(self.name.as_str()) {
                return;
            }
            match m.id.as_str() {
                JOB_STARTED => started = Some(m),
                JOB_ENDED => ended = Some(m),
                _ => {}
            }
        };
        system.messages(session, &log, &mut each).await?;
        Ok(match (started, ended) {
            (started, Some(ended)) => Some(from_history(started.as_ref(), &ended)),
            (Some(started), None) => Some(vanished(&started.job)),
            (None, None) => None,
        })
    }
}

/// Where a job stands.
pub(super) enum Stands {
    /// It has not ended.
    There(Doing),
    /// It has ended; what it leaves.
    Over(Facts),
}

/// Where a job stands whose end no job table shows. The end of one that is in none may be on its way into the history log:
/// one look is no proof. `said` is what the last look left as the step's message.
pub(super) fn not_ended(job: &JobStatus, doing: Doing, said: Option<&str>) -> Stands {
    let seen_before = said.is_some_and(|said| said.contains(&doing.what));
    if job.state == JobState::Vanished && seen_before {
        return Stands::Over(vanished(job.name.as_str()));
    }
    Stands::There(doing)
}

fn vanished(job: &str) -> Facts {
    facts([(JOB, job.to_owned()), (RESULT, VANISHED.to_owned())])
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

/// The clone for one more look. The console is asked again only when the clone does not answer: its pair of the clone is
/// in this run's journal, and a submit asks it anew.
pub(in crate::recipe) async fn watch_clone(
    context: &StepContext<'_>,
    plan: &Plan,
) -> Result<ProvenClone, Stop> {
    let known = context
        .journal
        .output("verify-site", "cloneIdentity")
        .and_then(parse_identity);
    let identity = match known {
        Some(identity) => identity,
        None => context.site.clone_partition.status().await?.identity,
    };
    let sources = &plan.source_identities;
    let clone = &context.site.clone;
    let proof = clone
        .prove_recent(&identity, sources, plan.pace.proof())
        .await;
    match proof {
        Ok(proof) => Ok(proof),
        Err(ProofError::Device(error)) => {
            let status = context.site.clone_partition.status().await?;
            still_up(plan, &status.state, &status.reference_code)?;
            Err(Stop::Device(error))
        }
        Err(other @ (ProofError::IsProduction { .. } | ProofError::Stranger { .. })) => {
            Err(other.into())
        }
    }
}

/// A clone that went down takes its jobs with it; waiting for the time limit would only hide that.
fn still_up(plan: &Plan, state: &PartitionState, code: &str) -> Result<(), Stop> {
    let clone = plan.clone_label();
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
