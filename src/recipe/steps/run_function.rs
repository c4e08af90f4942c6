//! Step 14: the programs of function USER, each as a submitted job that does not depend on our connection, one after
//! another; every program is a step of its own (`run-function`, `run-function-2` …).
//!
//! A job that ended badly is `Done` with result `failed`; one that overran its time or is gone without an end is `Done` too,
//! with a word of its own: the logs are collected next, before the clone can vanish, and `settle` fails the run.

use super::collect_logs;
use super::gate::{self, Stop, facts};
use super::job::{self, Call, Stands};
pub(super) use super::job::{
    END_SEVERITY, FAILED, JOB, LAST_SEEN, LEFT, NOT_STARTED, OK, OVERRUN, RESULT, VANISHED,
};
use super::{live_log, save21};
use crate::api::options::{Function, UserProgram};
use crate::api::surroundings::OnProgramError;
use crate::engine::journal::{Entry, Facts, Journal};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::log_sink::LogSink;
use crate::recipe::plan::Plan;
use crate::recipe::queries::since_ipl;
use crate::recipe::surroundings::{program_at, program_steps};
use crate::site::{DeviceError, ProvenClone};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// The first program's step.
pub(super) const ID: &str = "run-function";

pub(super) struct RunFunction {
    pub(super) plan: Arc<Plan>,
    /// Place in `user.programs`, counting from 0.
    pub(super) place: usize,
    pub(super) sink: Arc<dyn LogSink>,
}

/// Program and step of every place, in order.
pub(super) fn programs(plan: &Plan) -> impl Iterator<Item = (&'static str, &UserProgram)> {
    program_steps(plan).iter().copied().zip(&plan.programs)
}

/// Steps whose jobs leave a job log, in order, each with the severity from which a message of it is an error.
pub(super) fn jobs(plan: &Plan) -> Vec<(&'static str, i32)> {
    match plan.function {
        Function::Save21 => vec![(ID, plan.logs.error_severity)],
        Function::Hold | Function::Brms | Function::User => programs(plan)
            .map(|(step, program)| (step, program.error_severity))
            .collect(),
    }
}

/// Whether a job of the function may still be there: it was submitted, and nothing proves its end.
pub(super) fn may_run(journal: &Journal) -> bool {
    if save21::is_of(journal) {
        return save21::may_run(journal);
    }
    let mut programs = journal
        .steps
        .iter()
        .filter(|e| program_at(&e.name).is_some());
    programs.any(|entry| {
        let result = entry.output.get(RESULT).map(String::as_str);
        let over = matches!(result, Some(OK | FAILED | VANISHED | NOT_STARTED));
        !gate::unsent(entry) && !over
    })
}

/// The step of a job of the function, by its place.
pub(super) fn step_at(plan: &Plan, place: usize) -> &'static str {
    program_steps(plan).get(place).copied().unwrap_or(ID)
}

/// `timeouts.functionSeconds` counts from the first job's step, over all of them.
pub(super) fn in_time(plan: &Plan, context: &StepContext<'_>) -> bool {
    let first = context.entry(ID);
    gate::elapsed(&first, context.now) < plan.pace.seconds(plan.function_seconds)
}

/// A little more than `functionSeconds`, so that the step itself says what the job does and its logs are collected.
pub(super) fn limit(plan: &Plan) -> Duration {
    plan.pace.seconds(plan.function_seconds + 300)
}

/// What is known of a job whose time was over before its turn came.
pub(super) fn not_started(name: &str) -> Observation {
    Observation::Done(facts([
        (RESULT, NOT_STARTED.to_owned()),
        (JOB, name.to_owned()),
    ]))
}

impl RunFunction {
    fn id(&self) -> &'static str {
        step_at(&self.plan, self.place)
    }

    fn call(&self) -> Result<Call<'_>, Stop> {
        Call::of_program(&self.plan, self.place).ok_or_else(|| {
            Stop::Failure(Failure::new(
                "NoProgram",
                "user.programs is empty: name a program",
            ))
        })
    }

    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(self.id());
        let call = self.call()?;
        if gate::unsent(&entry)
            && let Some(settled) = self.forestalled(context, &call)
        {
            return Ok(settled);
        }
        let poll = self.plan.pace.job(gate::elapsed(&entry, context.now));
        let proof = job::watch_clone(context, &self.plan).await?;
        match context
            .site
            .clone
            .0
            .job(proof.session(), &call.name)
            .await?
        {
            Some(job) => Ok(match call.judge(&job, entry.message.as_deref()) {
                Stands::Over(out) => self.over(out),
                Stands::There(doing) if in_time(&self.plan, context) => {
                    live_log::tell(context, proof.session(), &job, self.sink.as_ref()).await;
                    doing.observed(poll)
                }
                Stands::There(doing) => Observation::Done(facts([
                    (JOB, job.name.to_string()),
                    (RESULT, OVERRUN.to_owned()),
                    (LAST_SEEN, doing.what),
                ])),
            }),
            None if gate::unsent(&entry) => Ok(Observation::Absent),
            None => self.vanished(context, &entry, &proof, poll).await,
        }
    }

    /// What keeps a program from being called at all: one before it that ended badly, or the time.
    fn forestalled(&self, context: &StepContext<'_>, call: &Call<'_>) -> Option<Observation> {
        for (step, program) in programs(&self.plan).take(self.place) {
            let stops = match (context.journal.output(step, RESULT), program.on_error) {
                (Some(FAILED | VANISHED), OnProgramError::Stop) => true,
                (Some(OK | FAILED | VANISHED), OnProgramError::Stop | OnProgramError::Continue) => {
                    false
                }
                // Nothing is called beside a job that may still run.
                (None | Some(_), OnProgramError::Stop | OnProgramError::Continue) => true,
            };
            if stops {
                return Some(Observation::NotNeeded(format!(
                    "{} was not called, because {} before it did not end well",
                    call.program, program.program
                )));
            }
        }
        if self.place == 0 || in_time(&self.plan, context) {
            return None;
        }
        Some(not_started(&call.name))
    }

    fn over(&self, mut out: Facts) -> Observation {
        let tolerated = self
            .plan
            .programs
            .get(self.place)
            .is_some_and(|p| match p.on_error {
                OnProgramError::Continue => true,
                OnProgramError::Stop => false,
            });
        let result = out.get(RESULT).map(String::as_str).unwrap_or_default();
        if tolerated && result != OK {
            let said = |key: &str| out.get(key).map_or("?", String::as_str);
            let text = format!(
                "job {} of program {} {}; the next one was called all the same (onError: Continue); read its log of this run",
                said(JOB),
                self.plan
                    .programs
                    .get(self.place)
                    .map_or("", |p| p.program.as_str()),
                match result {
                    VANISHED => "is gone without an end in the history log".to_owned(),
                    _ => format!("ended abnormally with severity {}", said(END_SEVERITY)),
                }
            );
            out.insert(format!("{WARNING_FACT}program"), text);
        }
        Observation::Done(out)
    }

    async fn vanished(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        proof: &ProvenClone,
        poll: Duration,
    ) -> Result<Observation, Stop> {
        let since = collect_logs::history_since(context)
            .unwrap_or_else(|| since_ipl(&proof.session().system));
        let call = self.call()?;
        let clone = context.site.clone.0.as_ref();
        Ok(
            match call.in_history(clone, proof.session(), since).await? {
                Some(out) => self.over(out),
                None => gate::retry_gate(
                    entry,
                    context.now,
                    self.plan.pace.short_retry(),
                    poll,
                    || format!("job {} was submitted and is not to be seen yet", call.name),
                ),
            },
        )
    }

    async fn submit(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let status = context.site.clone_partition.status().await?;
        let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
        let call = self.call()?;
        let clone = &context.site.clone.0;
        // SBMJOB is not idempotent: looked for once more on this very connection.
        if let Some(job) = clone.job(proof.session(), &call.name).await? {
            return Ok(Some(gate::handle(job.name.as_str(), context.now)));
        }
        let submitted = clone.submit(proof.session(), &call.submission()).await?;
        Ok(Some(gate::handle(submitted.as_str(), context.now)))
    }
}

#[async_trait]
impl Step for RunFunction {
    fn id(&self) -> &'static str {
        self.id()
    }
    fn limit(&self) -> Duration {
        limit(&self.plan)
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
                self.plan.program_job(self.place),
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
    /// The logs of the programs before it are worth keeping.
    fn forgone(&self) -> bool {
        self.place > 0
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
