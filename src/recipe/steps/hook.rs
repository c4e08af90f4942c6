//! Hooks: programs of the environment called at points of the run, each as a submitted job and a step of its own. The
//! points before and after the freeze and the last one are production's, the others the clone's.
//!
//! None runs inside the freeze. The operator never ends a hook's job.

use super::after_resume::{still_freezing, submit_once};
use super::gate::{self, Stop, facts};
use super::hook_log::{self, Patience};
use super::job::{self, Call, END_SEVERITY, JOB, OK, OVERRUN, RESULT, Stands, VANISHED};
use super::{prepare_copy, run_function};
use crate::api::surroundings::{Hook, HookPoint, OnHookError};
use crate::engine::journal::{Entry, EntryState, Facts, Journal, ObligationKind};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::log_sink::{LogKind, LogSink};
use crate::recipe::plan::Plan;
use crate::recipe::queries::since_ipl;
use crate::recipe::surroundings::{hooks_at, point_of};
use crate::site::{DeviceError, IbmI, Session};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Output of a hook whose failure `settle` judges: what happened.
pub(super) const SAID: &str = "said";

pub(super) struct RunHook {
    pub(super) plan: Arc<Plan>,
    pub(super) sink: Arc<dyn LogSink>,
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

pub(super) fn sent_without_end(journal: &Journal, step: &str) -> bool {
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
        // Behind a BeforeFreeze hook production's applications stand still: no log is waited for.
        let patience = if late || self.point == HookPoint::BeforeFreeze {
            Patience::GoOn
        } else {
            Patience::TryAgain
        };
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
                return Ok(self.bad(Facts::new(), Bad::NotCalled(busy.what)));
            }
            return Ok(busy.observed(poll));
        }
        match system.job(&session, &call.name).await? {
            Some(job) => match call.judge(&job, entry.message.as_deref()) {
                Stands::Over(out) => self.over(system, &session, out, patience).await,
                Stands::There(doing) if !late => Ok(doing
                    .told(|what| format!("{what} ({})", text()))
                    .observed(poll)),
                Stands::There(doing) => {
                    let name = job.name.as_str();
                    let out = facts([(JOB, name.to_owned()), (RESULT, OVERRUN.to_owned())]);
                    let why = format!(
                        "job {name} did not end within limitSeconds ({}) and is left as it is; at the last look: {}",
                        hook.limit_seconds, doing.what
                    );
                    Ok(self.bad(out, Bad::Ended(why)))
                }
            },
            None if gate::unsent(&entry) => Ok(Observation::Absent),
            None => {
                self.gone(context, (system, &session), &entry, patience)
                    .await
            }
        }
    }

    /// In no job table: the history log has it, or it never ran.
    async fn gone(
        &self,
        context: &StepContext<'_>,
        (system, session): (&dyn IbmI, &Session),
        entry: &Entry,
        patience: Patience,
    ) -> Result<Observation, Stop> {
        let (call, _) = self.call()?;
        let since = entry.baseline.get(prepare_copy::SOURCE_CLOCK).cloned();
        let since = since.unwrap_or_else(|| since_ipl(&session.system));
        match call.in_history(system, session, since).await? {
            Some(out) => self.over(system, session, out, patience).await,
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
        mut out: Facts,
        patience: Patience,
    ) -> Result<Observation, Stop> {
        let said = |out: &Facts, key: &str| out.get(key).cloned().unwrap_or_else(|| "?".to_owned());
        let job = said(&out, JOB);
        let part = if self.point.on_source() {
            "source"
        } else {
            "clone"
        };
        let last_error = hook_log::keep(
            &self.plan,
            self.sink.as_ref(),
            (self.place, part),
            (system, session),
            (&job, &mut out),
            patience,
        )
        .await?;
        let why = match said(&out, RESULT).as_str() {
            OK => return Ok(Observation::Done(out)),
            VANISHED => format!("job {job} started and is gone without an end in the history log"),
            _ => format!(
                "job {job} ended abnormally with severity {}: {}",
                said(&out, END_SEVERITY),
                last_error
                    .as_deref()
                    .unwrap_or("its job log shows no error")
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
        let place = &call.system;
        let more = match (called, out.contains_key(hook_log::MESSAGES)) {
            (false, _) => String::new(),
            (true, true) => format!(
                "; read log {} of this run",
                LogKind::of_hook(self.place).as_str()
            ),
            (true, false) => "; its job log on that system tells more".to_owned(),
        };
        let text = format!(
            "hook {:?} {} on {place}: {why}{more}",
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
            ) => Observation::Broken(Failure::new("HookFailed", text).leaving(out)),
        }
    }

    /// The same before an effect: the clone's pair is asked anew at the console.
    async fn system_to_change<'s>(
        &self,
        context: &StepContext<'s>,
    ) -> Result<(&'s dyn IbmI, Session), Stop> {
        if self.point.on_source() {
            let proof = gate::prove_source(context.site, &self.plan).await?;
            return Ok((context.site.source.0.as_ref(), proof.session().clone()));
        }
        let status = context.site.clone_partition.status().await?;
        let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
        Ok((context.site.clone.0.as_ref(), proof.session().clone()))
    }

    async fn submit(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let (call, _) = self.call()?;
        let (system, session) = self.system_to_change(context).await?;
        let name = submit_once(system, &session, &call).await?;
        Ok(Some(gate::handle(name.as_str(), context.now)))
    }
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
