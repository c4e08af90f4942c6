//! One pass over one run: as many steps as can be taken without waiting.

use super::decide::{Decision, decide};
use super::journal::{EntryState, Facts, Journal, ObligationKind, Phase};
use super::ports::{Clock, Fence, JournalStore, Locks, Recipe, StoreError};
use super::replies::Seen;
use super::rules::{Rule, kept};
use super::step::{
    Failure, LockKind, NOTE_FACT, Observation, Step, StepContext, StepKind, WARNING_FACT,
};
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

/// A person's wish to end the run, seen in the run object. A later one is the stronger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Cancel {
    /// No wish.
    #[default]
    No,
    /// End after the step that is under way.
    Stop,
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
    /// As [`Pass::Lost`], because the operator lacks a permission: what a person has to grant.
    Forbidden(String),
}

/// What the inside of a pass hands up: go on, or end the pass.
pub(super) enum Flow {
    /// Go on with the journal as it is now.
    On,
    /// Wait this long.
    Wait(Duration),
}

/// How long a busy lock queue or an invalid fence waits before the next look.
pub(super) const QUEUE_POLL: Duration = Duration::from_secs(5);

/// An effect is sent at most this long after the look that called for it, baseline and write included. It is about this
/// process and not about the devices, so no pace divides it.
const STALE_AFTER: Duration = Duration::from_secs(30);

impl From<StoreError> for Pass {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Pass::Stale,
            StoreError::Gone | StoreError::Lost(_) => Pass::Lost(error.to_string()),
            StoreError::Forbidden(what) => Pass::Forbidden(what),
        }
    }
}

impl Engine<'_> {
    /// Moves the run on. Never panics, never returns an error: whatever happens becomes journal or [`Pass`]. `cancel` is
    /// what the caller knows of; the store is asked at every turn, so that a wish is seen in the middle of a pass.
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
            if let Some((at, step)) = self.gathering(journal) {
                return self.plain(journal, at, step).await;
            }
            return self.finish(journal).await;
        }
        if journal.started_at.is_none() {
            let mut next = journal.clone();
            next.started_at = Some(self.timestamp());
            next.phase = Phase::Running;
            self.write(journal, next).await?;
        }
        let cancel = cancel.max(self.store.wishes().cancel);
        if let Some(flow) = self.cancelled(journal, cancel).await? {
            return Ok(flow);
        }
        if let Some(message) = self.overdue(journal) {
            let phase = journal
                .current()
                .map_or(Phase::Failed, |at| self.failure_means(at));
            return self
                .decide_verdict(journal, phase, "RunTimedOut", &message)
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

    /// Moves one plain step: observe, write, act.
    pub(super) async fn plain(
        &self,
        journal: &mut Journal,
        at: usize,
        step: &dyn Step,
    ) -> Result<Flow, StoreError> {
        let unsent = journal.steps.get(at).is_some_and(|e| e.attempts == 0);
        if step.id() == "end-copy" && unsent && self.store.wishes().keep_image {
            let why = "the image is kept by keepUntil of this run";
            let mut next = journal.clone();
            self.close_entry(&mut next, at, EntryState::Skipped, Some(why.to_owned()));
            self.write(journal, next).await?;
            return Ok(Flow::On);
        }
        let Some(kind) = step.borrows() else {
            let observation = step.observe(&self.context(journal)).await;
            return self.move_on(journal, at, step, observation).await;
        };
        if !self.locks.borrow(kind).await? {
            let again = self.recipe.paced(QUEUE_POLL);
            let busy =
                "another run has the device of this step; it goes on when that run gives it back";
            let waits = Observation::underway(again, busy);
            return self.move_on(journal, at, step, waits).await;
        }
        let observation = step.observe(&self.context(journal)).await;
        let flow = self.move_on(journal, at, step, observation).await;
        // Also after an error: whoever waits for the device must not wait for this run's next turn.
        self.locks.release(kind).await?;
        flow
    }

    /// Follows what a look has said: an answer to what it found waiting, nothing, a write, or the effect.
    async fn move_on(
        &self,
        journal: &mut Journal,
        at: usize,
        step: &dyn Step,
        observation: Observation,
    ) -> Result<Flow, StoreError> {
        let seen = Seen::of(&observation);
        if let Some(flow) = self.answer(journal, step.locks(), seen).await? {
            return Ok(flow);
        }
        let Some(entry) = journal.steps.get(at) else {
            return Ok(Flow::Wait(self.recipe.paced(QUEUE_POLL)));
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
        if let Some(wait) = self.may_act(journal, step.locks()).await? {
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
        if step.id() == "map-volumes" {
            self.own_partition(journal).await?;
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
        if self.stale_since(intended) {
            return Ok(Flow::Wait(self.recipe.paced(Duration::from_secs(1))));
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

    /// Whether an intent of this boot time is too old to be acted on.
    pub(super) fn stale_since(&self, intended: Duration) -> bool {
        self.clock.boot() >= intended + STALE_AFTER
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
                Ok(Flow::Wait(self.recipe.paced(Duration::from_secs(2))))
            }
        }
    }

    /// Records a done step. The image of an earlier run ends with step `end-image`: its row is closed first, so that a
    /// crash in between closes it again instead of never; this run's own ends with `end-copy`. The pins of a held image are set before the step is done for the
    /// same reason: they are there before the first effect.
    async fn record(
        &self,
        journal: &mut Journal,
        at: usize,
        step: &dyn Step,
        facts: Facts,
    ) -> Result<Flow, StoreError> {
        match step.id() {
            "end-image" => self.locks.close_image().await?,
            "end-copy" => self.locks.disown_image().await?,
            "pin-image" => self.locks.pin_image().await?,
            "unpin-image" => self.locks.unpin_image().await?,
            _ => {}
        }
        if step.id() == "unmap-volumes" {
            self.own_partition(journal).await?;
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
        put_output(&mut next, at, facts);
        self.close_entry(&mut next, at, EntryState::Done, None);
        self.write(journal, next).await?;
        if step.kind() == StepKind::Plain && step.locks().contains(&LockKind::Source) {
            self.leave_source(journal).await?;
        }
        if step.discharges().contains(&ObligationKind::ReleaseBackups) {
            self.locks.release(LockKind::Backups).await?;
        }
        Ok(Flow::On)
    }

    /// Whoever had the clone partition before is off it now. A run that does not take its lock has taken nothing from it.
    async fn own_partition(&self, journal: &Journal) -> Result<(), StoreError> {
        if (self.recipe.lock_set)(journal).contains(&LockKind::Clone) {
            self.locks.own_partition(journal).await?;
        }
        Ok(())
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
        next.question = None;
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
            release_backups: self.store.wishes().release_backups,
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

/// What a step leaves: its output, and what of it a person reads.
pub(super) fn put_output(journal: &mut Journal, at: usize, facts: Facts) {
    let mut output = Facts::new();
    for (key, value) in facts {
        if key.starts_with(WARNING_FACT) {
            journal.warnings.push(value);
        } else if key.starts_with(NOTE_FACT) {
            journal.notes.push(value);
        } else {
            output.insert(key, value);
        }
    }
    if let Some(entry) = journal.steps.get_mut(at) {
        entry.output = output;
    }
}

fn set_message(journal: &mut Journal, at: usize, message: Option<String>) {
    if let Some(entry) = journal.steps.get_mut(at) {
        entry.message = message;
    }
}
