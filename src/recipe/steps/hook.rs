//! Hooks: programs of the environment called at points of the run, each as a submitted job and a step of its own. The
//! points before and after the freeze and the last one are production's, the others the clone's.
//!
//! None runs inside the freeze. The operator never ends a hook's job.

use super::gate::{self, Stop, facts};
use super::job::{self, Call, END_SEVERITY, JOB, OK, OVERRUN, RESULT, Stands, VANISHED};
use super::{prepare_copy, run_function};
use crate::api::surroundings::{Hook, HookPoint, OnHookError};
use crate::engine::journal::{Entry, EntryState, Facts, Journal, ObligationKind};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::plan::Plan;
use crate::recipe::surroundings::{hooks_at, point_of};
use crate::site::{DeviceError, IbmI, JobName, LogSource, Message, Session};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Output of a hook whose failure `settle` judges: what happened.
pub(super) const SAID: &str = "said";
/// Messages of a job log from this severity on are told of a failed hook.
const TOLD_FROM: u8 = 30;

pub(super) struct RunHook {
    pub(super) plan: Arc<Plan>,
    pub(super) point: HookPoint,
    /// Name of the step.
    pub(super) id: &'static str,
    /// Place in `hooks`, counting from 0.
    pub(super) place: usize,
}

/// Why a hook counts as failed.
enum Bad {
    /// It was called and did not end well in time.
    Ended(String),
    /// It was never called.
    NotCalled(String),
}

/// Whether a hook's job may still be there on the clone: it was submitted, and nothing proves its end.
pub(super) fn may_run_on_clone(journal: &Journal) -> bool {
    let on_clone = |step: &str| point_of(step).is_some_and(|point| !point.on_source());
    let mut steps = journal.steps.iter().filter(|e| on_clone(&e.name));
    steps.any(|entry| sent_without_end(journal, &entry.name))
}

fn sent_without_end(journal: &Journal, step: &str) -> bool {
    let sent = journal.entry(step).is_some_and(|e| !gate::unsent(e));
    let ended = journal.output(step, RESULT).is_some_and(|r| r != OVERRUN);
    sent && !ended
}

/// Reason and words of an AfterFunction hook that fails the run, if there is one: judged by `settle`, so that the
/// function's logs are kept first.
pub(super) fn failed_after_function(journal: &Journal, plan: &Plan) -> Option<Failure> {
    hooks_at(plan, HookPoint::AfterFunction)
        .into_iter()
        .find_map(|(step, _)| journal.output(step, SAID))
        .map(|said| Failure::new("HookFailed", said))
}

impl RunHook {
    fn call(&self) -> Result<(Call<'_>, &Hook), Stop> {
        Call::of_hook(&self.plan, self.place).ok_or_else(|| {
            Stop::Failure(Failure::new(
                "RecipeUnknown",
                "the hook of this step is not in the environment as it was when the run opened",
            ))
        })
    }

    /// The system of this point, proved, for a look.
    async fn system<'s>(&self, context: &StepContext<'s>) -> Result<(&'s dyn IbmI, Session), Stop> {
        if self.point.on_source() {
            let proof = gate::prove_source(context.site, &self.plan).await?;
            return Ok((context.site.source.0.as_ref(), proof.session().clone()));
        }
        let proof = job::watch_clone(context, &self.plan).await?;
        Ok((context.site.clone.0.as_ref(), proof.session().clone()))
    }

    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(self.id);
        let (call, hook) = self.call()?;
        let text = || format!("hook {:?} {}", self.point, call.program);
        if self.point == HookPoint::AfterFunction && run_function::may_run(context.journal) {
            return Ok(Observation::NotNeeded(format!(
                "{} was not called: the function may still run",
                text()
            )));
        }
        let elapsed = gate::elapsed(&entry, context.now);
        let poll = self.plan.pace.job(elapsed);
        let late = elapsed
            >= self
                .plan
                .pace
                .seconds(u64::from(hook.limit_seconds.unsigned_abs()));
        let (system, session) = match self.system(context).await {
            Ok(there) => there,
            Err(Stop::Device(error)) if late && gate::unsent(&entry) => {
                return Ok(self.bad(Facts::new(), Bad::NotCalled(error.to_string())));
            }
            Err(stop) => return Err(stop),
        };
        if self.point == HookPoint::AfterResume
            && let Some(busy) = still_freezing(&self.plan, context, &session).await?
        {
            if late {
                return Ok(self.bad(Facts::new(), Bad::NotCalled(busy)));
            }
            return Ok(Observation::underway(poll, busy));
        }
        match system.job(&session, &call.name).await? {
            Some(job) => match call.judge(&job) {
                Stands::Over(out) => self.over(system, &session, out).await,
                Stands::There(what) if !late => {
                    Ok(Observation::underway(poll, format!("{what} ({})", text())))
                }
                Stands::There(what) => {
                    let name = job.name.as_str();
                    let out = facts([(JOB, name.to_owned()), (RESULT, OVERRUN.to_owned())]);
                    let why = format!(
                        "job {name} did not end within limitSeconds ({}) and is left as it is; at the last look: {what}",
                        hook.limit_seconds
                    );
                    Ok(self.bad(out, Bad::Ended(why)))
                }
            },
            None if gate::unsent(&entry) => Ok(Observation::Absent),
            None => self.gone(context, system, &session, &entry).await,
        }
    }

    /// In no job table: the history log has it, or it never ran.
    async fn gone(
        &self,
        context: &StepContext<'_>,
        system: &dyn IbmI,
        session: &Session,
        entry: &Entry,
    ) -> Result<Observation, Stop> {
        let (call, _) = self.call()?;
        let since = entry.baseline.get(prepare_copy::SOURCE_CLOCK).cloned();
        let since = since.unwrap_or_else(|| session.system.scpf_entry_time.clone());
        match call.in_history(system, session, since).await? {
            Some(out) => self.over(system, session, out).await,
            None => Ok(gate::retry_gate(
                entry,
                context.now,
                self.plan.pace.short_retry(),
                self.plan.pace.short_retry(),
                || format!("job {} was submitted and is not to be seen yet", call.name),
            )),
        }
    }

    async fn over(
        &self,
        system: &dyn IbmI,
        session: &Session,
        out: Facts,
    ) -> Result<Observation, Stop> {
        let said = |key: &str| out.get(key).cloned().unwrap_or_else(|| "?".to_owned());
        let job = said(JOB);
        let why = match said(RESULT).as_str() {
            OK => return Ok(Observation::Done(out)),
            VANISHED => format!("job {job} started and is gone without an end in the history log"),
            _ => format!(
                "job {job} ended abnormally with severity {}: {}",
                said(END_SEVERITY),
                last_error(system, session, &job).await
            ),
        };
        Ok(self.bad(out, Bad::Ended(why)))
    }

    /// What a failed hook means. One of production that was never called is not tolerated after a BeforeFreeze hook:
    /// then it is still owed, and met by the obligation.
    fn bad(&self, mut out: Facts, bad: Bad) -> Observation {
        let Ok((call, hook)) = self.call() else {
            return Observation::broken("RecipeUnknown", "the hook of this step is not there");
        };
        let (called, why) = match bad {
            Bad::Ended(why) => (true, why),
            Bad::NotCalled(why) => (
                false,
                format!(
                    "it could not be called within limitSeconds ({}): {why}",
                    hook.limit_seconds
                ),
            ),
        };
        let place = if self.point.on_source() {
            format!("source {}", self.plan.source_label())
        } else {
            format!("clone {}", self.plan.clone_label())
        };
        let text = format!(
            "hook {:?} {} on {place}: {why}; its job log on that system tells more",
            self.point, call.program
        );
        match (hook.on_error, self.point) {
            (OnHookError::Fail | OnHookError::Continue, HookPoint::AfterResume) if !called => {
                Observation::broken("HookFailed", text)
            }
            // The backup is good whatever a hook behind it does (`product.md` § 5).
            (OnHookError::Continue, _) | (OnHookError::Fail, HookPoint::AfterHistory) => {
                out.insert(format!("{WARNING_FACT}hook"), text);
                Observation::Done(out)
            }
            // The function's logs are collected next; settle fails the run.
            (OnHookError::Fail, HookPoint::AfterFunction) => {
                out.insert(SAID.to_owned(), text);
                Observation::Done(out)
            }
            (
                OnHookError::Fail,
                HookPoint::BeforeFreeze
                | HookPoint::AfterResume
                | HookPoint::CloneReady
                | HookPoint::BeforeFunction
                | HookPoint::Always,
            ) => Observation::broken("HookFailed", text),
        }
    }

    async fn submit(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let (call, _) = self.call()?;
        let (system, session): (&dyn IbmI, Session) = if self.point.on_source() {
            let proof = gate::prove_source(context.site, &self.plan).await?;
            (context.site.source.0.as_ref(), proof.session().clone())
        } else {
            let status = context.site.clone_partition.status().await?;
            let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
            (context.site.clone.0.as_ref(), proof.session().clone())
        };
        let name = submit_once(system, &session, &call).await?;
        Ok(Some(gate::handle(name.as_str(), context.now)))
    }
}

/// SBMJOB is not idempotent: the job is looked for once more on this very connection.
async fn submit_once(
    system: &dyn IbmI,
    session: &Session,
    call: &Call<'_>,
) -> Result<JobName, DeviceError> {
    if let Some(job) = system.job(session, &call.name).await? {
        return Ok(job.name);
    }
    system.submit(session, &call.submission()).await
}

/// Last message of the job's log that tells what went wrong; the log itself stays on the system.
async fn last_error(system: &dyn IbmI, session: &Session, job: &str) -> String {
    let log = LogSource::JobLog(JobName::new(job));
    let mut last = None;
    let mut each = |m: Message| {
        if m.severity >= TOLD_FROM {
            last = Some(format!("{} {}", m.id, m.text));
        }
    };
    // What cannot be read tells nothing, and the hook has failed anyway.
    let read = system.messages(session, &log, &mut each).await.is_ok();
    last.filter(|_| read)
        .unwrap_or_else(|| "its job log shows no error".to_owned())
}

/// What a BeforeFreeze hook that has not ended does: an AfterResume hook that overtook it would be undone by it.
async fn still_freezing(
    plan: &Plan,
    context: &StepContext<'_>,
    session: &Session,
) -> Result<Option<String>, DeviceError> {
    let source = &context.site.source.0;
    for (step, place) in hooks_at(plan, HookPoint::BeforeFreeze) {
        if !sent_without_end(context.journal, step) {
            continue;
        }
        let Some((call, _)) = Call::of_hook(plan, place) else {
            continue;
        };
        let found = source.job(session, &call.name).await?;
        let what = match found.as_ref().map(|job| call.judge(job)) {
            Some(Stands::There(what)) => what,
            Some(Stands::Over(_)) => continue,
            // Its SBMJOB may still be on its way.
            None if just_sent(plan, context, step) => {
                format!("job {} was submitted and is not to be seen yet", call.name)
            }
            None => continue,
        };
        return Ok(Some(format!(
            "the AfterResume hooks wait for hook BeforeFreeze {} to end: {what}; end it on source {} if it hangs",
            call.program,
            plan.source_label()
        )));
    }
    Ok(None)
}

fn just_sent(plan: &Plan, context: &StepContext<'_>, step: &str) -> bool {
    let entry = context.entry(step);
    entry.handle.is_none() && gate::elapsed(&entry, context.now) < plan.pace.short_retry()
}

/// How far the AfterResume hooks are that a run owes after its failure.
pub(in crate::recipe) enum Owed {
    /// They have ended, or none was needed; how.
    Met(String),
    /// What is waited for.
    Open(String),
}

/// Runs the AfterResume hooks that no step runs any more. Every try looks for the jobs by their names first, so that it
/// is harmless when repeated.
pub(in crate::recipe) async fn meet_after_resume(
    plan: &Plan,
    context: &StepContext<'_>,
) -> Result<Owed, Stop> {
    let journal = context.journal;
    if journal.owes(ObligationKind::ResumeSource) || journal.window_open() {
        return Ok(Owed::Open("production has to be resumed first".to_owned()));
    }
    let begun = hooks_at(plan, HookPoint::BeforeFreeze)
        .into_iter()
        .any(|(step, _)| journal.entry(step).is_some_and(|e| !gate::unsent(e)));
    if !begun {
        return Ok(Owed::Met("no BeforeFreeze hook was started".to_owned()));
    }
    let proof = gate::prove_source(context.site, plan).await?;
    let session = proof.session();
    if let Some(busy) = still_freezing(plan, context, session).await? {
        return Ok(Owed::Open(busy));
    }
    let mut ended = Vec::new();
    for (step, place) in hooks_at(plan, HookPoint::AfterResume) {
        let Some((call, _)) = Call::of_hook(plan, place) else {
            continue;
        };
        let source = context.site.source.0.as_ref();
        let out = match source.job(session, &call.name).await? {
            Some(job) => match call.judge(&job) {
                Stands::Over(out) => out,
                Stands::There(what) => {
                    let program = call.program;
                    return Ok(Owed::Open(format!("hook AfterResume {program}: {what}")));
                }
            },
            None => {
                let owed = journal.obligations.iter().rev();
                let tried = owed
                    .filter(|o| o.kind == ObligationKind::RunAfterResume)
                    .any(|o| o.attempts > 0);
                let sent = tried || journal.entry(step).is_some_and(|e| !gate::unsent(e));
                let traces = match sent {
                    true => {
                        call.in_history(source, session, clock_of(plan, journal, session))
                            .await?
                    }
                    false => None,
                };
                let Some(out) = traces else {
                    let name = submit_once(source, session, &call).await?;
                    let program = call.program;
                    return Ok(Owed::Open(format!(
                        "hook AfterResume {program}: job {name} was submitted"
                    )));
                };
                out
            }
        };
        let said = |key: &str| out.get(key).map_or("?", String::as_str);
        ended.push(match said(RESULT) {
            OK => format!("job {} ended", said(JOB)),
            _ => format!("job {} did not end well: read its job log there", said(JOB)),
        });
    }
    Ok(Owed::Met(ended.join(", ")))
}

/// Production's own time just before the first BeforeFreeze hook.
fn clock_of(plan: &Plan, journal: &Journal, session: &Session) -> String {
    let first = hooks_at(plan, HookPoint::BeforeFreeze).into_iter().next();
    let clock = first
        .and_then(|(step, _)| journal.entry(step))
        .and_then(|e| e.baseline.get(prepare_copy::SOURCE_CLOCK).cloned());
    clock.unwrap_or_else(|| session.system.scpf_entry_time.clone())
}

#[async_trait]
impl Step for RunHook {
    fn id(&self) -> &'static str {
        self.id
    }
    /// A little more than the hook's own limit, so that the step itself says what the job does.
    fn limit(&self) -> Duration {
        let seconds = self
            .plan
            .hooks
            .get(self.place)
            .map_or(0, |h| h.limit_seconds);
        self.plan
            .pace
            .seconds(u64::from(seconds.unsigned_abs()) + 300)
    }
    /// Always comes hours after the source's lock was given back to whoever waits for it: a job of its own name needs none.
    fn locks(&self) -> &'static [LockKind] {
        match self.point {
            HookPoint::BeforeFreeze | HookPoint::AfterResume => &[LockKind::Source],
            HookPoint::CloneReady
            | HookPoint::BeforeFunction
            | HookPoint::AfterFunction
            | HookPoint::AfterHistory => &[LockKind::Clone],
            HookPoint::Always => &[],
        }
    }
    fn incurs(&self) -> &'static [ObligationKind] {
        let undone = !hooks_at(&self.plan, HookPoint::AfterResume).is_empty();
        if self.point == HookPoint::BeforeFreeze && undone {
            &[ObligationKind::RunAfterResume]
        } else {
            &[]
        }
    }
    fn discharges(&self) -> &'static [ObligationKind] {
        let last = hooks_at(&self.plan, HookPoint::AfterResume).pop();
        if last.is_some_and(|(step, _)| step == self.id) {
            &[ObligationKind::RunAfterResume]
        } else {
            &[]
        }
    }
    /// The function's logs are worth keeping when the run is cancelled before or in a hook behind it.
    fn forgone(&self) -> bool {
        self.point == HookPoint::AfterFunction
    }
    /// Always means always, once the run had begun to change anything.
    fn after_failure(&self, journal: &Journal) -> bool {
        let begun = journal
            .entry("write-parameters")
            .is_some_and(|e| e.state != EntryState::Pending);
        self.point == HookPoint::Always && begun
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        if self.point.on_source() {
            return prepare_copy::stamp_with_clock(context, &self.plan).await;
        }
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.submit(context).await.map_err(Stop::refused)
    }
}
