//! Inside the window: straight down, one deadline, no journal, no Kubernetes, no login.

use super::drive::Engine;
use super::journal::{WindowPart, WindowRecord};
use super::ports::WindowPlan;
use super::rules::{Rule, kept};
use super::time::Timestamp;
use super::window::SUSPEND_FAILED;
use crate::site::{
    AspName, Canary, CopyState, DeviceError, DeviceTime, FreezeSession, HelperState, Watchdog,
};
use futures::FutureExt;
use std::future::Future;
use std::time::Duration;

/// How long resuming may be tried inside the window; afterwards it is an obligation like any other.
const RESUME_PATIENCE: Duration = Duration::from_secs(5);
/// The least of it at any pace: an answer takes its real time over any network.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long a group may stay prepared after a start without an answer before the start counts as lost.
const START_SHOWS: Duration = Duration::from_secs(2);
/// Between two tries of a refused resume.
const RESUME_AGAIN: Duration = Duration::from_millis(200);
/// How often the array is asked whether the copy exists. Its first answer is the usual one.
const CONFIRM_POLL: Duration = Duration::from_millis(100);
/// How often canary and helper are asked again.
const CANARY_POLL: Duration = Duration::from_millis(5);

/// One window, from helper alive to resumed.
pub(super) struct FreezeRun<'a, 'e> {
    pub engine: &'a Engine<'e>,
    pub plan: WindowPlan,
    pub force_write: bool,
    pub asps: &'a [AspName],
    pub baseline: &'a str,
    /// Boot time at which the source is resumed whatever else is going on.
    pub cap: Duration,
}

/// What the window found out.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// `Code: text`; `None` = clean image.
    pub failure: Option<String>,
    /// Every RESUME ended with status 0 (or nothing was suspended).
    pub resumed: bool,
    /// The array confirmed the copy.
    pub copied: bool,
    /// The copy's identity.
    pub copy_mark: String,
    proof: Option<&'static str>,
    parts: Vec<WindowPart>,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    boot_started: Option<Duration>,
    boot_ended: Option<Duration>,
}

impl Outcome {
    /// Only a copy is known.
    pub fn of_copy(mark: Option<String>) -> Self {
        Self {
            copied: mark.is_some(),
            copy_mark: mark.unwrap_or_default(),
            ..Self::default()
        }
    }
    /// Puts the findings into the journal's record.
    pub fn record(&self, window: &mut WindowRecord, now: Timestamp) {
        window.closed = Some(now);
        window.failure = self.failure.clone();
        window.parts = self.parts.clone();
        window.suspension_proof = self.proof.map(str::to_owned);
        window.started_at = self.started;
        window.ended_at = self.ended;
        let held = self
            .boot_started
            .zip(self.boot_ended)
            .map(|(from, to)| to.saturating_sub(from));
        window.milliseconds = held.map(|h| i64::try_from(h.as_millis()).unwrap_or(i64::MAX));
        window.microseconds = held.map(|h| i64::try_from(h.as_micros()).unwrap_or(i64::MAX));
        window.device_milliseconds = Some(
            self.parts
                .iter()
                .filter_map(|p| p.device_milliseconds)
                .sum(),
        );
    }
}

/// Why the window stops early: code and text.
type Stop = (&'static str, String);

impl FreezeRun<'_, '_> {
    /// Runs the window. The source is resumed on every path before this returns, or the obligation stays open.
    pub async fn execute(&self, session: &mut dyn FreezeSession) -> Outcome {
        let mut outcome = Outcome {
            resumed: true,
            ..Outcome::default()
        };
        let result = if self.force_write {
            self.force_written_copy(session, &mut outcome).await
        } else {
            self.suspended_copy(session, &mut outcome).await
        };
        if outcome.boot_started.is_some() && !self.force_write {
            self.resume_all(session, &mut outcome).await;
        }
        if let Err((code, text)) = result {
            outcome.failure = Some(format!("{code}: {text}"));
        } else if !self.force_write
            && self.plan.canary
            && outcome.resumed
            && kept(Rule::SuspensionProved)
            && let Err((code, text)) = self.canary_completed(session).await
        {
            outcome.failure = Some(format!("{code}: {text}"));
        }
        outcome
    }

    async fn suspended_copy(
        &self,
        session: &mut dyn FreezeSession,
        outcome: &mut Outcome,
    ) -> Result<(), Stop> {
        let before = self.helper(session).await?;
        if before.watchdog != Watchdog::Armed {
            return Err((
                "HelperNotStarted",
                "the watchdog is not armed; nothing was suspended".to_owned(),
            ));
        }
        self.begin(outcome)?;
        for asp in self.asps {
            self.may_go_on()?;
            let sent = self.engine.clock.boot();
            let suspend = session.suspend(
                asp,
                self.plan.boundary_seconds,
                self.plan.on_boundary_timeout,
            );
            let answer = self.within_cap(suspend).await;
            self.part(outcome, format!("suspend {asp}"), sent, &answer);
            answer.map_err(|e| (SUSPEND_FAILED, format!("{asp} was not suspended: {e}")))?;
        }
        if !kept(Rule::NothingSlowInWindow) {
            let _ = self.engine.store.load().await;
        }
        if self.plan.canary {
            self.within_cap(session.start_canary()).await.map_err(|e| {
                (
                    "SuspensionLost",
                    format!("the canary could not be started: {e}"),
                )
            })?;
        }
        self.suspension_holds(session).await?;
        self.copy(outcome).await?;
        self.suspension_holds(session).await?;
        outcome.proof = Some(if self.plan.canary {
            "Canary"
        } else {
            "Assumed"
        });
        Ok(())
    }

    async fn force_written_copy(
        &self,
        session: &mut dyn FreezeSession,
        outcome: &mut Outcome,
    ) -> Result<(), Stop> {
        self.helper(session).await?;
        self.begin(outcome)?;
        for asp in self.asps {
            self.may_go_on()?;
            let sent = self.engine.clock.boot();
            let answer = self.within_cap(session.force_write(asp)).await;
            self.part(outcome, format!("force write {asp}"), sent, &answer);
            answer.map_err(|e| {
                (
                    "ForceWriteFailed",
                    format!("{asp} was not force-written: {e}"),
                )
            })?;
        }
        self.copy(outcome).await?;
        outcome.proof = Some("ForceWrite");
        // Users were never held: there is no freeze to report.
        outcome.boot_started = None;
        outcome.started = None;
        Ok(())
    }

    fn begin(&self, outcome: &mut Outcome) -> Result<(), Stop> {
        self.may_go_on()?;
        outcome.started = Some(self.engine.timestamp());
        outcome.boot_started = Some(self.engine.clock.boot());
        Ok(())
    }

    /// Before each effect: the cap and the fence. Late = only resume.
    fn may_go_on(&self) -> Result<(), Stop> {
        if self.engine.clock.boot() >= self.cap {
            return Err((
                "FreezeCapReached",
                format!("freeze.maxSeconds ({}) was reached", self.plan.max_seconds),
            ));
        }
        if !self.engine.fence_holds() {
            return Err((
                "FenceLost",
                "this operator lost its leadership inside the window".to_owned(),
            ));
        }
        Ok(())
    }

    async fn helper(&self, session: &mut dyn FreezeSession) -> Result<HelperState, Stop> {
        self.within_cap(session.state()).await.map_err(|e| {
            (
                "SuspensionLost",
                format!("the helper on the source does not answer: {e}"),
            )
        })
    }

    /// The proof: same helper alive, watchdog not fired, within the cap, and the canary waiting where it is used.
    async fn suspension_holds(&self, session: &mut dyn FreezeSession) -> Result<(), Stop> {
        if !kept(Rule::SuspensionProved) {
            return Ok(());
        }
        self.may_go_on()?;
        let state = self.helper(session).await?;
        match state.watchdog {
            Watchdog::Armed => {}
            Watchdog::Fired => {
                return Err((
                    "WatchdogFired",
                    "the watchdog resumed production before the copy was proved".to_owned(),
                ));
            }
            Watchdog::Ended => {
                return Err((
                    "SuspensionLost",
                    "the watchdog ended inside the window".to_owned(),
                ));
            }
        }
        match (self.plan.canary, state.canary) {
            (false, _) | (true, Canary::Pending) => Ok(()),
            (true, Canary::Completed) => Err((
                "SuspensionLost",
                "the canary's commit went through: production is not suspended".to_owned(),
            )),
            (true, Canary::Off) => Err(("SuspensionLost", "the canary is not running".to_owned())),
        }
    }

    async fn copy(&self, outcome: &mut Outcome) -> Result<(), Stop> {
        self.may_go_on()?;
        let sent = self.engine.clock.boot();
        let started = self.within_cap(self.engine.site.copy.start()).await;
        let answer: Result<DeviceTime, DeviceError> = started.map(|()| DeviceTime::default());
        self.part(outcome, "start copy".to_owned(), sent, &answer);
        if let Err(error) = &answer
            && error.code().is_some()
        {
            return Err((
                "CopyRefused",
                format!("the array did not start the copy: {error}"),
            ));
        }
        // Ok or unknown: the array's own state decides, never the answer.
        let sent = self.engine.clock.boot();
        loop {
            self.may_go_on()?;
            let state = self.within_cap(self.engine.site.copy.observe()).await;
            if let Ok(state) = &state
                && self.differs(state)
            {
                outcome.copied = true;
                outcome.copy_mark = state.mark();
                self.part(
                    outcome,
                    "confirm copy".to_owned(),
                    sent,
                    &Ok(DeviceTime::default()),
                );
                return Ok(());
            }
            if let Err(error) = &answer
                && let Ok(state) = &state
                && state.phase == crate::site::CopyPhase::Prepared
                && self.engine.clock.boot() >= sent + self.engine.recipe.paced(START_SHOWS)
            {
                return Err(("CopyUnknown", format!("the copy did not start: {error}")));
            }
            self.pause(CONFIRM_POLL).await;
        }
    }

    fn differs(&self, state: &CopyState) -> bool {
        state.exists() && (state.mark() != self.baseline || !kept(Rule::DoneDiffersFromBaseline))
    }

    /// Every listed ASP is resumed even if only one was suspended, in reverse; the second try follows at once.
    async fn resume_all(&self, session: &mut dyn FreezeSession, outcome: &mut Outcome) {
        let patience = self.engine.clock.boot() + self.patience();
        outcome.resumed = true;
        for asp in self.asps.iter().rev() {
            let mut resumed = false;
            while !resumed && self.engine.clock.boot() < patience {
                let sent = self.engine.clock.boot();
                let answer = self.until(patience, session.resume(asp)).await;
                self.part(outcome, format!("resume {asp}"), sent, &answer);
                match answer {
                    Ok(_) => resumed = true,
                    // The helper is gone: only another session can resume, and that is the obligation's way.
                    Err(DeviceError::Unreachable { .. } | DeviceError::Indeterminate { .. }) => {
                        break;
                    }
                    Err(DeviceError::Busy { .. } | DeviceError::Refused { .. }) => {
                        self.pause(RESUME_AGAIN).await;
                    }
                }
            }
            outcome.resumed = outcome.resumed && resumed;
        }
        if !outcome.resumed {
            outcome.resumed = self
                .engine
                .site
                .freeze
                .resume_anyway(self.asps)
                .await
                .is_ok();
        }
        if outcome.resumed {
            outcome.ended = Some(self.engine.timestamp());
            outcome.boot_ended = Some(self.engine.clock.boot());
        }
    }

    /// Pending and already running = broken: after the resume the commit must go through.
    async fn canary_completed(&self, session: &mut dyn FreezeSession) -> Result<(), Stop> {
        let patience = self.engine.clock.boot() + self.patience();
        loop {
            let state = self.until(patience, session.state()).await;
            if matches!(&state, Ok(s) if s.canary == Canary::Completed) {
                return Ok(());
            }
            if self.engine.clock.boot() >= patience {
                let text = "production was resumed but the canary's commit did not go through: the proof is broken";
                return Err(("SuspensionLost", text.to_owned()));
            }
            self.pause(CANARY_POLL).await;
        }
    }

    fn patience(&self) -> Duration {
        self.engine
            .recipe
            .paced(RESUME_PATIENCE)
            .max(LEAST_PATIENCE)
    }

    /// A wait in the devices' time.
    async fn pause(&self, real: Duration) {
        let wait = self.engine.recipe.paced(real);
        self.engine.clock.sleep(wait).await;
    }

    async fn within_cap<T>(
        &self,
        call: impl Future<Output = Result<T, DeviceError>>,
    ) -> Result<T, DeviceError> {
        self.until(self.cap, call).await
    }

    /// A device call, at most until a boot time; then its outcome is unknown.
    async fn until<T>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<T, DeviceError>>,
    ) -> Result<T, DeviceError> {
        let left = deadline.saturating_sub(self.engine.clock.boot());
        let mut timer = std::pin::pin!(self.engine.clock.sleep(left).fuse());
        let mut call = std::pin::pin!(call.fuse());
        futures::select_biased! {
            answer = call => answer,
            () = timer => Err(DeviceError::indeterminate("the freeze window", "no answer before the deadline")),
        }
    }

    fn part(
        &self,
        outcome: &mut Outcome,
        what: String,
        sent: Duration,
        answer: &Result<DeviceTime, DeviceError>,
    ) {
        let spent = self.engine.clock.boot().saturating_sub(sent);
        outcome.parts.push(WindowPart {
            what: if answer.is_ok() {
                what
            } else {
                format!("{what}: failed")
            },
            microseconds: i64::try_from(spent.as_micros()).unwrap_or(i64::MAX),
            device_milliseconds: answer
                .as_ref()
                .ok()
                .map(|t| t.milliseconds)
                .filter(|m| *m > 0),
        });
    }
}
