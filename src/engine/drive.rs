//! One pass over one run: as many steps as can be taken without waiting.

use super::decide::{Decision, decide};
use super::journal::{EntryState, Facts, Journal, Phase, Verdict};
use super::ports::{Acquired, Clock, Fence, JournalStore, Locks, Recipe, StoreError};
use super::rules::{Rule, kept};
use super::step::{Failure, LockKind, NOTE_FACT, Step, StepContext, StepKind, WARNING_FACT};
use super::time::Timestamp;
use crate::site::{DeviceError, Site};
use std::time::Duration;

/// Everything a pass works with. Built anew for each pass; nothing survives between passes but the journal.
pub struct Engine<'a> {
    /// The frozen line of steps.
    pub recipe: &'a Recipe,
    /// The devices.
    pub site: &'a Site,
    /// The journal's store.
    pub store: &'a dyn JournalStore,
    /// The run's locks.
    pub locks: &'a dyn Locks,
    /// Clocks.
    pub clock: &'a dyn Clock,
    /// Leadership.
    pub fence: &'a dyn Fence,
    /// Unique per process; written into the journal.
    pub writer: &'a str,
}

/// A person's wish to end the run, seen in the run object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cancel {
    /// No wish.
    #[default]
    No,
    /// Interrupt a function or a wait, never the window (deletion of a run works like this).
    Abort,
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pass {
    /// Call again after this long; the journal as it stands.
    Again(Duration, Box<Journal>),
    /// The phase is final; the journal as it stands.
    Final(Box<Journal>),
    /// Another writer has the run; read again later.
    Stale,
    /// The store cannot be reached or the run is gone; obligations that do not need the store were met.
    Lost(String),
}

/// What the inside of a pass hands up: go on, or end the pass.
pub(super) enum Flow {
    /// Go on with the journal as it is now.
    On,
    /// Wait this long.
    Wait(Duration),
}

/// How long a busy lock queue or an invalid fence waits before the next look.
const QUEUE_POLL: Duration = Duration::from_secs(5);

/// An effect is sent at most this long after the look that called for it, baseline and write included.
const STALE_AFTER: Duration = Duration::from_secs(30);

impl From<StoreError> for Pass {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Pass::Stale,
            StoreError::Gone | StoreError::Lost(_) => Pass::Lost(error.to_string()),
        }
    }
}

impl Engine<'_> {
    /// Moves the run on. Never panics, never returns an error: whatever happens becomes journal or [`Pass`].
    pub async fn pass(&self, cancel: Cancel) -> Pass {
        let mut journal = match self.store.load().await {
            Ok(journal) => journal,
            Err(error) => return error.into(),
        };
        if !self.recipe_is_the_runs_own(&journal) {
            return Pass::Lost(format!(
                "this operator cannot build the recipe {} of this run",
                journal.recipe
            ));
        }
        loop {
            if journal.phase.is_final() {
                return Pass::Final(Box::new(journal));
            }
            match self.turn(&mut journal, cancel).await {
                Ok(Flow::On) => {}
                Ok(Flow::Wait(again)) => return Pass::Again(again, Box::new(journal)),
                Err(error) => return error.into(),
            }
        }
    }

    /// A newer operator finishes old runs by their own list (rule 11).
    fn recipe_is_the_runs_own(&self, journal: &Journal) -> bool {
        let names = journal.steps.iter().map(|e| e.name.as_str());
        let same = self.recipe.name == journal.recipe
            && names.eq(self.recipe.steps.iter().map(|s| s.id()));
        same || !kept(Rule::RecipeFrozen)
    }

    /// One turn: the most urgent thing first.
    async fn turn(&self, journal: &mut Journal, cancel: Cancel) -> Result<Flow, StoreError> {
        if journal.window_open() {
            return self.take_over_window(journal).await;
        }
        if journal.verdict.is_some() {
            return self.finish(journal).await;
        }
        if journal.started_at.is_none() {
            let mut next = journal.clone();
            next.started_at = Some(self.timestamp());
            next.phase = Phase::Running;
            self.write(journal, next).await?;
        }
        if cancel == Cancel::Abort {
            let message = "the run was deleted or cancelled; clone and image stay as they are";
            return self
                .decide_verdict(journal, Phase::Cancelled, "Aborted", message)
                .await;
        }
        if let Some(message) = self.overdue(journal) {
            return self
                .decide_verdict(journal, Phase::Failed, "RunTimedOut", &message)
                .await;
        }
        if let Some(flow) = self.leave_window(journal).await? {
            return Ok(flow);
        }
        let Some(at) = journal.current() else {
            return self.succeed(journal).await;
        };
        if at >= self.recipe.locks_from
            && let Some(flow) = self.queue_for_locks(journal).await?
        {
            return Ok(flow);
        }
        let Some(step) = self.recipe.steps.get(at) else {
            let message = format!("the run has no step {at}; it was opened by a newer operator");
            return self
                .decide_verdict(journal, Phase::Failed, "RecipeUnknown", &message)
                .await;
        };
        match step.kind() {
            StepKind::Window => self.window(journal).await,
            StepKind::Plain => self.plain(journal, at, step.as_ref()).await,
        }
    }

    fn overdue(&self, journal: &Journal) -> Option<String> {
        let started = journal.started_at?;
        let spent = self.timestamp().since(started);
        let limit = i64::try_from(self.recipe.run_limit.as_millis()).unwrap_or(i64::MAX);
        let step = journal
            .current()
            .and_then(|at| journal.steps.get(at))
            .map_or("the end", |e| e.name.as_str());
        (spent > limit).then(|| {
            format!(
                "the run did not end within {} s; it was at {step}",
                limit / 1000
            )
        })
    }

    /// After a closed window all obligations are met before anything else happens, then the source's lock is given back.
    async fn leave_window(&self, journal: &mut Journal) -> Result<Option<Flow>, StoreError> {
        let closed_clean = journal.image_clean();
        if !closed_clean || journal.open_obligations().next().is_none() {
            return Ok(None);
        }
        // The target set's lock says whose image it holds before anything else happens with it.
        self.locks.own_image().await?;
        let mut next = journal.clone();
        let again = self.try_obligations(&mut next).await;
        self.write(journal, next).await?;
        if let Some(again) = again {
            return Ok(Some(Flow::Wait(again)));
        }
        self.locks.release(LockKind::Source).await?;
        Ok(Some(Flow::On))
    }

    async fn queue_for_locks(&self, journal: &mut Journal) -> Result<Option<Flow>, StoreError> {
        let first_effect_to_come = journal
            .steps
            .iter()
            .skip(self.recipe.locks_from)
            .all(|e| e.state == EntryState::Pending);
        if !first_effect_to_come && journal.phase != Phase::Queued {
            return Ok(None);
        }
        match self.locks.acquire().await? {
            Acquired::All if journal.phase == Phase::Queued => {
                let mut next = journal.clone();
                next.phase = Phase::Running;
                self.set_queue_note(&mut next, None);
                // What was verified before the wait may be stale: the checks run again, and the clock of the run starts now.
                next.started_at = Some(self.timestamp());
                for entry in next.steps.iter_mut().take(self.recipe.locks_from) {
                    let name = std::mem::take(&mut entry.name);
                    *entry = super::journal::Entry {
                        name,
                        ..Default::default()
                    };
                }
                self.write(journal, next).await?;
                Ok(Some(Flow::On))
            }
            Acquired::All => Ok(None),
            Acquired::Queued {
                position,
                blocked_by,
            } => {
                let text = format!("{position}|{blocked_by}");
                if journal.phase != Phase::Queued || self.queue_note(journal) != Some(text.as_str())
                {
                    let mut next = journal.clone();
                    next.phase = Phase::Queued;
                    self.set_queue_note(&mut next, Some(text));
                    self.write(journal, next).await?;
                }
                Ok(Some(Flow::Wait(QUEUE_POLL)))
            }
        }
    }

    /// Where the run waits is kept in the message of the first step that needs the lock: `position|blocked by`.
    fn set_queue_note(&self, journal: &mut Journal, text: Option<String>) {
        if let Some(entry) = journal.steps.get_mut(self.recipe.locks_from) {
            entry.message = text;
        }
    }

    fn queue_note<'j>(&self, journal: &'j Journal) -> Option<&'j str> {
        journal
            .steps
            .get(self.recipe.locks_from)?
            .message
            .as_deref()
    }

    /// Moves one plain step: observe, write, act.
    async fn plain(
        &self,
        journal: &mut Journal,
        at: usize,
        step: &dyn Step,
    ) -> Result<Flow, StoreError> {
        let observation = step.observe(&self.context(journal)).await;
        let Some(entry) = journal.steps.get(at) else {
            return Ok(Flow::Wait(QUEUE_POLL));
        };
        match decide(entry, observation, self.timestamp(), step.limit()) {
            Decision::Act => self.act(journal, at, step).await,
            Decision::Note { again, message } => {
                let mut next = journal.clone();
                self.intend(&mut next, at, step);
                set_message(&mut next, at, Some(message));
                self.write(journal, next).await?;
                Ok(Flow::Wait(again))
            }
            Decision::Wait { again, message } => {
                if entry.message.as_deref() != Some(message.as_str()) {
                    let mut next = journal.clone();
                    set_message(&mut next, at, Some(message));
                    self.write(journal, next).await?;
                }
                Ok(Flow::Wait(again))
            }
            Decision::Record(facts) => self.record(journal, at, step, facts).await,
            Decision::Skip(why) => {
                let mut next = journal.clone();
                self.close_entry(&mut next, at, EntryState::Skipped, Some(why));
                self.write(journal, next).await?;
                Ok(Flow::On)
            }
            Decision::Fail(failure) => self.fail_step(journal, at, failure).await,
        }
    }

    /// Writes the intent (or attempt + 1), then sends the effect. Never the other way round.
    async fn act(
        &self,
        journal: &mut Journal,
        at: usize,
        step: &dyn Step,
    ) -> Result<Flow, StoreError> {
        if let Some(wait) = self.may_act(step.locks()).await? {
            return Ok(wait);
        }
        let mut next = journal.clone();
        let intended = self.clock.boot();
        let first = next.steps.get(at).is_some_and(|e| e.attempts == 0);
        if first {
            match step.baseline(&self.context(journal)).await {
                Ok(baseline) => {
                    if let Some(entry) = next.steps.get_mut(at) {
                        entry.baseline = baseline;
                    }
                }
                Err(error) => return self.act_failed(journal, at, &error).await,
            }
        }
        self.intend(&mut next, at, step);
        if let Some(entry) = next.steps.get_mut(at) {
            entry.attempts += 1;
            entry.handle = None;
        }
        if first || kept(Rule::WriteBeforeEffect) {
            self.write(journal, next).await?;
        }
        // A process that was stopped since its write (a paused machine) must not send into a world that has moved on: its
        // write is no proof any more. The next turn reads the journal and finds out.
        if self.clock.boot() >= intended + STALE_AFTER {
            return Ok(Flow::Wait(Duration::from_secs(1)));
        }
        match step.act(&self.context(journal)).await {
            Ok(None) => Ok(Flow::On),
            Ok(Some(handle)) => {
                let mut next = journal.clone();
                if let Some(entry) = next.steps.get_mut(at) {
                    entry.handle = Some(handle);
                }
                self.write(journal, next).await?;
                Ok(Flow::On)
            }
            Err(error) => self.act_failed(journal, at, &error).await,
        }
    }

    /// A refusal fails the step; after anything else we look again: whether the effect happened is for `observe` to say.
    async fn act_failed(
        &self,
        journal: &mut Journal,
        at: usize,
        error: &DeviceError,
    ) -> Result<Flow, StoreError> {
        match error {
            DeviceError::Refused { .. } => {
                self.fail_step(
                    journal,
                    at,
                    Failure::new("DeviceRefused", error.to_string()),
                )
                .await
            }
            DeviceError::Unreachable { .. }
            | DeviceError::Busy { .. }
            | DeviceError::Indeterminate { .. } => {
                let overdue = journal
                    .steps
                    .get(at)
                    .zip(self.recipe.steps.get(at))
                    .is_some_and(|(entry, step)| {
                        let limit = i64::try_from(step.limit().as_millis()).unwrap_or(i64::MAX);
                        entry
                            .start
                            .is_some_and(|start| self.timestamp().since(start) > limit)
                    });
                if overdue {
                    return self
                        .fail_step(journal, at, Failure::new("StepTimedOut", error.to_string()))
                        .await;
                }
                let mut next = journal.clone();
                if let Some(entry) = next.steps.get_mut(at) {
                    entry.start = entry.start.or(Some(self.timestamp()));
                }
                set_message(&mut next, at, Some(error.to_string()));
                self.write(journal, next).await?;
                Ok(Flow::Wait(Duration::from_secs(2)))
            }
        }
    }

    /// Records a done step. The image of an earlier run ends with step `end-image`: its row is closed first, so that a
    /// crash in between closes it again instead of never.
    async fn record(
        &self,
        journal: &mut Journal,
        at: usize,
        step: &dyn Step,
        facts: Facts,
    ) -> Result<Flow, StoreError> {
        if step.id() == "end-image" {
            self.locks.close_image().await?;
        }
        let mut next = journal.clone();
        let now = self.timestamp();
        for kind in step.incurs() {
            // A step found done without an intent (restored devices, a person's hand) owes what its effect would owe.
            next.incur(*kind, step.id(), now);
        }
        for kind in step.discharges() {
            next.meet(*kind, now, step.id());
        }
        let mut output = Facts::new();
        for (key, value) in facts {
            if key.starts_with(WARNING_FACT) {
                next.warnings.push(value);
            } else if key.starts_with(NOTE_FACT) {
                next.notes.push(value);
            } else {
                output.insert(key, value);
            }
        }
        if let Some(entry) = next.steps.get_mut(at) {
            entry.output = output;
        }
        self.close_entry(&mut next, at, EntryState::Done, None);
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    async fn fail_step(
        &self,
        journal: &mut Journal,
        at: usize,
        failure: Failure,
    ) -> Result<Flow, StoreError> {
        let mut next = journal.clone();
        self.close_entry(
            &mut next,
            at,
            EntryState::Failed,
            Some(failure.message.clone()),
        );
        let step = next
            .steps
            .get(at)
            .map(|e| e.name.clone())
            .unwrap_or_default();
        set_verdict(
            &mut next,
            Phase::Failed,
            failure.reason,
            &format!("{step}: {}", failure.message),
            self.timestamp(),
        );
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    pub(super) async fn decide_verdict(
        &self,
        journal: &mut Journal,
        phase: Phase,
        reason: &str,
        message: &str,
    ) -> Result<Flow, StoreError> {
        let mut next = journal.clone();
        set_verdict(&mut next, phase, reason, message, self.timestamp());
        if phase == Phase::Cancelled {
            next.phase = Phase::Cancelling;
        }
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    async fn succeed(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        if self.recipe.window.is_some() && !journal.image_clean() {
            let message = "every step is done but no clean image was recorded; this is a fault of the operator";
            return self
                .decide_verdict(journal, Phase::Failed, "ImageNotProved", message)
                .await;
        }
        if journal.warnings.is_empty() {
            self.decide_verdict(journal, Phase::Succeeded, "Completed", "all steps are done")
                .await
        } else {
            let message = journal.warnings.join("; ");
            self.decide_verdict(journal, Phase::Warning, "CompletedWithWarnings", &message)
                .await
        }
    }

    /// Meets what is owed, then makes the phase final and gives the locks back.
    async fn finish(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        let mut next = journal.clone();
        if kept(Rule::ObligationsBeforeVerdict)
            && let Some(again) = self.try_obligations(&mut next).await
        {
            self.write(journal, next).await?;
            return Ok(Flow::Wait(again));
        }
        let verdict = next.verdict.clone();
        next.phase = verdict.map_or(Phase::Failed, |v| v.phase);
        next.finished_at = Some(self.timestamp());
        self.write(journal, next).await?;
        // The run is final whatever happens now; a lock that could not be given back is replaceable because it is.
        for kind in [LockKind::Source, LockKind::TargetSet, LockKind::Clone] {
            if self.locks.release(kind).await.is_err() {
                tracing::warn!(
                    ?kind,
                    "lock of a final run could not be given back; the next run replaces it"
                );
            }
        }
        Ok(Flow::On)
    }

    /// Rule 10 and the fence: `Some` = do not send now.
    pub(super) async fn may_act(&self, locks: &[LockKind]) -> Result<Option<Flow>, StoreError> {
        if !self.fence_holds() {
            return Ok(Some(Flow::Wait(QUEUE_POLL)));
        }
        if kept(Rule::LockBeforeEffect) {
            for kind in locks {
                if !self.locks.holds(*kind).await? {
                    return Ok(Some(Flow::Wait(QUEUE_POLL)));
                }
            }
        }
        Ok(None)
    }

    /// Whether this process may still start effects, by the boot clock.
    pub(super) fn fence_holds(&self) -> bool {
        self.fence
            .valid_until()
            .is_some_and(|until| self.clock.boot() < until)
    }

    fn intend(&self, next: &mut Journal, at: usize, step: &dyn Step) {
        let now = self.timestamp();
        if let Some(entry) = next.steps.get_mut(at) {
            entry.state = EntryState::Intended;
            entry.start = entry.start.or(Some(now));
            entry.message = None;
        }
        if kept(Rule::ObligationWithIntent) {
            for kind in step.incurs() {
                next.incur(*kind, step.id(), now);
            }
        }
    }

    pub(super) fn close_entry(
        &self,
        next: &mut Journal,
        at: usize,
        state: EntryState,
        message: Option<String>,
    ) {
        let now = self.timestamp();
        if let Some(entry) = next.steps.get_mut(at) {
            entry.state = state;
            entry.start = entry.start.or(Some(now));
            entry.end = Some(now);
            entry.message = message;
        }
    }

    pub(super) fn context<'c>(&'c self, journal: &'c Journal) -> StepContext<'c> {
        StepContext {
            site: self.site,
            journal,
            now: self.clock.now(),
        }
    }

    pub(super) fn timestamp(&self) -> Timestamp {
        Timestamp::new(self.clock.now())
    }

    /// Writes `next` in place of `journal`, conditionally; on success `journal` is `next`.
    pub(super) async fn write(
        &self,
        journal: &mut Journal,
        mut next: Journal,
    ) -> Result<(), StoreError> {
        next.revision = journal.revision + 1;
        next.writer = self.writer.to_owned();
        self.store.replace(journal, &next).await?;
        *journal = next;
        Ok(())
    }
}

fn set_message(journal: &mut Journal, at: usize, message: Option<String>) {
    if let Some(entry) = journal.steps.get_mut(at) {
        entry.message = message;
    }
}

/// The verdict is decided once.
pub(super) fn set_verdict(
    journal: &mut Journal,
    phase: Phase,
    reason: &str,
    message: &str,
    at: Timestamp,
) {
    if journal.verdict.is_none() {
        journal.verdict = Some(Verdict {
            phase,
            reason: reason.to_owned(),
            message: message.to_owned(),
            at,
        });
    }
}
