//! The freeze window: one write opens it, one closes it, and between them nothing is slow and nothing goes to Kubernetes.
//!
//! Order (`architecture.md` § 5): helper alive → clone still off → suspend each ASP → proof → start copy → copy confirmed →
//! proof still holds → resume each ASP → proof of running. Whatever fails, the source is resumed.

use super::drive::{Engine, Flow};
use super::freeze_run::{FreezeRun, Outcome};
use super::journal::{EntryState, Facts, Journal, ObligationKind, Phase, WindowRecord};
use super::ports::{Met, StoreError, WindowPlan};
use super::rules::{Rule, kept};
use super::step::{Failure, LockKind};
use super::time::Timestamp;
use crate::site::{AspName, CopyPhase, FreezePlan, FreezeSession, PartitionState, Watchdog};
use chrono::TimeDelta;
use std::time::Duration;

/// Ids of the three steps the window drives.
pub const WINDOW_STEPS: [&str; 3] = ["suspend-source", "start-copy", "resume-source"];
/// `WindowRecord.failure` of a window that may be tried again: the suspend was refused or timed out.
pub const SUSPEND_FAILED: &str = "SuspendFailed";
/// Codes a window may fail with, the fixed list behind `reason`.
const FAILURES: [&str; 9] = [
    SUSPEND_FAILED,
    "SuspensionLost",
    "CopyRefused",
    "CopyUnknown",
    "FreezeCapReached",
    "WatchdogFired",
    "FenceLost",
    "HelperNotStarted",
    "ForceWriteFailed",
];
/// Between the opening write and the first suspend: API server and operator handle what the write sets off (watches, rows,
/// metrics) before production is held, not while. Real time at any pace; the cap counts from before the write.
const CALM: Duration = Duration::from_millis(50);
/// Locks the window's effects need.
const WINDOW_LOCKS: [LockKind; 2] = [LockKind::TargetSet, LockKind::Source];

impl Engine<'_> {
    /// Runs the window, or decides what a closed one means.
    pub(super) async fn window(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        let Some(plan) = self.recipe.window else {
            let message = "this recipe has no window plan; this is a fault of the operator";
            return self
                .decide_verdict(journal, Phase::Failed, "RecipeUnknown", message)
                .await;
        };
        let attempt = journal.window.as_ref().map_or(0, |w| w.attempt);
        let mut force_write = !plan.suspend;
        if let Some(failure) = journal.window.as_ref().and_then(|w| w.failure.clone()) {
            let retry = failure.starts_with(SUSPEND_FAILED) && attempt <= plan.retries;
            let fall_back = failure.starts_with(SUSPEND_FAILED)
                && plan.fall_back_to_force_write
                && attempt == plan.retries.saturating_add(1);
            if !retry && !fall_back {
                return self.window_failed(journal, &failure).await;
            }
            force_write = force_write || !retry;
        }
        if journal.owes(ObligationKind::ResumeSource) {
            // A window whose resume did not get through: nothing is suspended a second time before production runs.
            let mut next = journal.clone();
            let again = self
                .try_these(&mut next, &[ObligationKind::ResumeSource])
                .await;
            self.write(journal, next).await?;
            return Ok(again.map_or(Flow::On, Flow::Wait));
        }
        if self.store.wishes().resumed_by_hand {
            // A person's word is about a freeze of the past; it must never stand for the resume of one that is to come.
            let text = "production was resumed by hand: this run opens no freeze any more; look why it could not be resumed, then start a new run";
            return self
                .window_verdict(journal, &Failure::new("ResumedByHand", text))
                .await;
        }
        if let Some(wait) = self.may_act(journal, &WINDOW_LOCKS).await? {
            return Ok(wait);
        }
        let (mut session, asps) = match self.open_helper(journal, plan).await? {
            Ok(open) => open,
            Err(flow) => return Ok(flow),
        };
        let outcome = self
            .open_window(
                journal,
                plan,
                attempt + 1,
                force_write,
                &asps,
                session.as_mut(),
            )
            .await;
        // The helper is closed on every path; its watchdog's end is an obligation of its own and proved later if not now.
        let watchdog = session.close().await;
        let flow = outcome?;
        if matches!(watchdog, Ok(Watchdog::Ended)) && journal.owes(ObligationKind::StopWatchdog) {
            let mut next = journal.clone();
            next.meet(
                ObligationKind::StopWatchdog,
                self.timestamp(),
                "ended with its helper",
            );
            self.write(journal, next).await?;
        }
        Ok(flow)
    }

    /// Before the window: record that a watchdog may exist from now on, then start helper, canary and watchdog.
    #[allow(clippy::type_complexity)]
    async fn open_helper(
        &self,
        journal: &mut Journal,
        plan: WindowPlan,
    ) -> Result<Result<(Box<dyn FreezeSession>, Vec<AspName>), Flow>, StoreError> {
        let Some(at) = journal.steps.iter().position(|e| e.name == WINDOW_STEPS[0]) else {
            return Ok(Err(Flow::Wait(self.recipe.paced(Duration::from_secs(5)))));
        };
        let mut next = journal.clone();
        let now = self.timestamp();
        if let Some(entry) = next.steps.get_mut(at) {
            entry.state = EntryState::Intended;
            entry.start = entry.start.or(Some(now));
            entry.attempts += 1;
        }
        next.incur(ObligationKind::StopWatchdog, WINDOW_STEPS[0], now);
        self.write(journal, next).await?;
        let opened = async {
            let asps = self.site.freeze.asps().await?;
            let freeze_plan = FreezePlan {
                run_token: journal.run_token.clone(),
                asps: asps.clone(),
                watchdog_seconds: plan.max_seconds + plan.margin_seconds,
                canary: plan.canary && plan.suspend,
            };
            Ok((self.site.freeze.open(&freeze_plan).await?, asps))
        };
        match opened.await {
            Ok(open) => Ok(Ok(open)),
            Err(error) => Ok(Err(self.helper_failed(journal, at, &error).await?)),
        }
    }

    async fn helper_failed(
        &self,
        journal: &mut Journal,
        at: usize,
        error: &crate::site::DeviceError,
    ) -> Result<Flow, StoreError> {
        let limit = self
            .recipe
            .steps
            .get(at)
            .map_or(Duration::from_secs(300), |s| s.limit());
        let started = journal.steps.get(at).and_then(|e| e.start);
        let overdue = started.is_some_and(|s| {
            self.timestamp().since(s) > i64::try_from(limit.as_millis()).unwrap_or(i64::MAX)
        });
        if error.code().is_some() || overdue {
            let text = format!(
                "the helper on the source could not be started, nothing was suspended: {error}"
            );
            return self
                .window_verdict(journal, &Failure::new("HelperNotStarted", text))
                .await;
        }
        let mut next = journal.clone();
        if let Some(entry) = next.steps.get_mut(at) {
            entry.message = Some(error.to_string());
        }
        self.write(journal, next).await?;
        Ok(Flow::Wait(self.recipe.paced(Duration::from_secs(2))))
    }

    /// The opening write, the window itself, the closing write.
    async fn open_window(
        &self,
        journal: &mut Journal,
        plan: WindowPlan,
        attempt: i32,
        force_write: bool,
        asps: &[AspName],
        session: &mut dyn FreezeSession,
    ) -> Result<Flow, StoreError> {
        if let Err(failure) = self.clone_still_off(journal).await {
            return self.window_verdict(journal, &failure).await;
        }
        let baseline = match self.site.copy.observe().await {
            Ok(state) if state.phase == CopyPhase::Prepared => state.mark(),
            Ok(state) => {
                let text = format!(
                    "the copy is {:?}, not prepared, just before the window; nothing was suspended",
                    state.phase
                );
                return self
                    .window_verdict(journal, &Failure::new("CopyNotPrepared", text))
                    .await;
            }
            Err(error) => {
                let at = journal
                    .steps
                    .iter()
                    .position(|e| e.name == WINDOW_STEPS[0])
                    .unwrap_or_default();
                return self.helper_failed(journal, at, &error).await;
            }
        };
        // The cap counts from before the write: a write that takes long must not lengthen the freeze.
        let opened_boot = self.clock.boot();
        let next = self.opening(journal, plan, attempt, force_write, asps, &baseline);
        self.write(journal, next).await?;
        self.clock.sleep(CALM).await;
        let run = FreezeRun {
            engine: self,
            plan,
            force_write,
            asps,
            baseline: &baseline,
            cap: opened_boot + plan.cap,
        };
        let outcome = run.execute(session).await;
        self.closing_write(journal, outcome, force_write).await
    }

    /// A clone that somebody switched on must not have its disks overwritten. Skipped when the run proved that no volume
    /// of the target set is attached to the partition.
    async fn clone_still_off(&self, journal: &Journal) -> Result<(), Failure> {
        if journal
            .entry("stop-clone")
            .is_none_or(|e| e.state == EntryState::Skipped)
        {
            return Ok(());
        }
        match self.site.clone_partition.status().await {
            Ok(status) if status.state == PartitionState::NotActivated => Ok(()),
            Ok(status) => Err(Failure::new(
                "CloneStartedByOthers",
                format!(
                    "partition {} is {:?} just before the copy although this run had stopped it: somebody started it; nothing was suspended or copied: switch it off and run again",
                    status.name, status.state
                ),
            )),
            Err(error) => Err(Failure::new(
                "CloneStateUnknown",
                format!(
                    "whether the clone is still off cannot be told ({error}); nothing was suspended or copied"
                ),
            )),
        }
    }

    fn opening(
        &self,
        journal: &Journal,
        plan: WindowPlan,
        attempt: i32,
        force_write: bool,
        asps: &[AspName],
        baseline: &str,
    ) -> Journal {
        let now = self.timestamp();
        let mut next = journal.clone();
        next.window = Some(WindowRecord {
            attempt,
            token: format!("{}-{attempt}-{}", self.writer, journal.revision + 1),
            opened: Some(now),
            max_seconds: i32::try_from(plan.max_seconds).unwrap_or(i32::MAX),
            asps: asps.iter().map(ToString::to_string).collect(),
            ..WindowRecord::default()
        });
        for name in WINDOW_STEPS {
            if let Some(entry) = next.entry_mut(name) {
                entry.state = EntryState::Intended;
                entry.start = Some(now);
                entry.message = None;
                if name == "start-copy" {
                    entry.baseline = Facts::from([("started".to_owned(), baseline.to_owned())]);
                }
            }
        }
        if !force_write && kept(Rule::ObligationWithIntent) {
            next.incur(ObligationKind::ResumeSource, WINDOW_STEPS[0], now);
        }
        next
    }

    /// One write with everything the window found out. If it is lost, the next pass finds an open window and fails the
    /// run: an image whose evidence is lost is not proved.
    async fn closing_write(
        &self,
        journal: &mut Journal,
        outcome: Outcome,
        force_write: bool,
    ) -> Result<Flow, StoreError> {
        let now = self.timestamp();
        let mut next = journal.clone();
        if outcome.resumed && !force_write {
            next.meet(
                ObligationKind::ResumeSource,
                now,
                "RESUME ended with status 0",
            );
        }
        if outcome.copied {
            next.meet(ObligationKind::LeavePrepared, now, "the copy was started");
        }
        if !kept(Rule::ObligationWithIntent) && !outcome.resumed {
            next.incur(ObligationKind::ResumeSource, WINDOW_STEPS[0], now);
        }
        let clean = outcome.failure.is_none();
        if let Some(window) = next.window.as_mut() {
            outcome.record(window, now);
        }
        if clean {
            self.close_window_entries(&mut next, &outcome, now);
            if force_write {
                next.warnings.push(
                    "consistency: ForceWrite: the copy was taken without suspending production"
                        .to_owned(),
                );
            }
        }
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    fn close_window_entries(&self, next: &mut Journal, outcome: &Outcome, now: Timestamp) {
        for name in WINDOW_STEPS {
            if let Some(entry) = next.entry_mut(name) {
                entry.state = EntryState::Done;
                entry.end = Some(now);
                if name == "start-copy" {
                    entry.output = Facts::from([("started".to_owned(), outcome.copy_mark.clone())]);
                }
            }
        }
    }

    async fn window_failed(
        &self,
        journal: &mut Journal,
        failure: &str,
    ) -> Result<Flow, StoreError> {
        let (code, text) = failure.split_once(": ").unwrap_or((failure, failure));
        // The code was written by us; anything else is the general word.
        let reason = FAILURES
            .into_iter()
            .find(|r| *r == code)
            .unwrap_or("WindowFailed");
        self.window_verdict(journal, &Failure::new(reason, text))
            .await
    }

    async fn window_verdict(
        &self,
        journal: &mut Journal,
        failure: &Failure,
    ) -> Result<Flow, StoreError> {
        let mut next = journal.clone();
        let now = self.timestamp();
        for name in WINDOW_STEPS {
            if let Some(entry) = next.entry_mut(name)
                && entry.state == EntryState::Intended
            {
                entry.state = EntryState::Failed;
                entry.end = Some(now);
                entry.message = Some(failure.message.clone());
            }
        }
        super::verdict::set_verdict(
            &mut next,
            Phase::Failed,
            failure.reason,
            &failure.message,
            now,
        );
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    /// Somebody else opened a window and did not close it. Resume and disarm first, without the journal; no verdict and
    /// no lock before the other one's cap has surely passed (rule 12).
    pub(super) async fn take_over_window(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        if !kept(Rule::WindowOncePerWrite) {
            return self.repeat_window_by_mistake(journal).await;
        }
        if !kept(Rule::ObligationNeedsNoJournal) {
            let next = journal.clone();
            self.write(journal, next).await?;
        }
        let mut next = journal.clone();
        let again = self.try_pressing(&mut next).await;
        let Some(window) = next.window.as_mut() else {
            return Ok(Flow::On);
        };
        // On our clock: simulated devices make it shorter, as they do the cap of whoever opened it.
        let wait = self.recipe.window.map_or(
            self.recipe.paced(Duration::from_secs(
                u64::from(window.max_seconds.unsigned_abs()) + 60,
            )),
            |w| w.cap + w.margin,
        );
        let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
        let until = window.opened.map(|o| o.utc() + wait);
        let remaining = until.map_or(TimeDelta::zero(), |u| u - self.clock.now());
        if let Some(again) = again {
            self.write(journal, next).await?;
            return Ok(Flow::Wait(again));
        }
        if remaining > TimeDelta::zero() {
            if next.obligations != journal.obligations {
                self.write(journal, next).await?;
            }
            // The other one may still be alive and suspend again until its cap: look once more while waiting.
            let step = remaining
                .to_std()
                .unwrap_or_default()
                .min(self.recipe.paced(Duration::from_secs(10)));
            return self.watch_interrupted(journal, step).await;
        }
        window.closed = Some(Timestamp::new(self.clock.now()));
        let text = "the operator stopped inside the freeze window; production was resumed and the copy disarmed, this run's image is not used";
        window.failure = Some(format!("WindowInterrupted: {text}"));
        for name in WINDOW_STEPS {
            if let Some(entry) = next.entry_mut(name) {
                entry.state = EntryState::Failed;
                entry.end = Some(Timestamp::new(self.clock.now()));
            }
        }
        super::verdict::set_verdict(
            &mut next,
            Phase::Failed,
            "WindowInterrupted",
            text,
            self.timestamp(),
        );
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    /// While a stalled predecessor could still act: resume and disarm again, harmless if nothing happened.
    async fn watch_interrupted(
        &self,
        journal: &Journal,
        step: Duration,
    ) -> Result<Flow, StoreError> {
        for kind in [ObligationKind::ResumeSource, ObligationKind::LeavePrepared] {
            let context = self.context(journal);
            match self.recipe.settle.meet(kind, &context).await {
                Ok(Met::Yes(_) | Met::AtACost { .. }) => {}
                Ok(Met::NotYet(why) | Met::Asking(why, _)) => {
                    tracing::warn!(?kind, why, "not met again while waiting for the cap")
                }
                Err(error) => {
                    tracing::warn!(?kind, %error, "not met again while waiting for the cap")
                }
            }
        }
        Ok(Flow::Wait(step))
    }

    /// What a wrong engine would do, going on where the other one stopped: only reachable when a unit test breaks rule 12.
    async fn repeat_window_by_mistake(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        let started = self.site.copy.start().await;
        tracing::debug!(?started, "rule 12 is broken on purpose");
        let mut next = journal.clone();
        let state = self.site.copy.observe().await.ok().filter(|s| s.exists());
        let outcome = Outcome::of_copy(state.map(|s| s.mark()));
        let now = self.timestamp();
        if let Some(window) = next.window.as_mut() {
            outcome.record(window, now);
        }
        self.close_window_entries(&mut next, &outcome, now);
        self.write(journal, next).await?;
        Ok(Flow::On)
    }
}
