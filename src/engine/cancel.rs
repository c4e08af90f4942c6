//! Ending a run early (`product.md` § 4): Stop after the step that is under way, Abort at once. The window is never
//! interrupted, what is owed is met first, clone and image stay as they are.

use super::drive::{Cancel, Engine, Flow};
use super::journal::{Entry, EntryState, Journal, ObligationKind, Phase};
use super::ports::StoreError;
use super::step::{Step, StepKind};
use super::verdict::set_verdict;
use std::time::Duration;

/// How long after a cancel a clone is still asked for its logs. In the devices' time.
const GATHER: Duration = Duration::from_secs(60);

/// What a cancelled run leaves.
const LEFT: &str = "clone and image stay as they are";

impl Engine<'_> {
    /// Follows the wish. `None` = go on: nothing is wished, the step under way ends first, or all steps are done.
    pub(super) async fn cancelled(
        &self,
        journal: &mut Journal,
        cancel: Cancel,
    ) -> Result<Option<Flow>, StoreError> {
        if cancel == Cancel::No || journal.current().is_none() {
            return Ok(None);
        }
        if journal.phase != Phase::Cancelling {
            // Acknowledged before anything else: a stop may wait for a step of hours.
            let mut next = journal.clone();
            if next.phase == Phase::Queued {
                self.set_queue_note(&mut next, None);
            }
            next.phase = Phase::Cancelling;
            self.write(journal, next).await?;
        }
        // An image that was just taken is this run's whatever follows, and production is owed its peace first.
        if let Some(flow) = self.leave_window(journal).await? {
            return Ok(Some(flow));
        }
        match cancel {
            Cancel::No => Ok(None),
            Cancel::Stop if self.under_way(journal) => Ok(None),
            Cancel::Stop => self.stop(journal).await.map(Some),
            Cancel::Abort => self.abort(journal).await.map(Some),
        }
    }

    /// Whether an effect of the current step may have been sent. A window that is not open has suspended nothing: it is not
    /// waited for and not tried again.
    fn under_way(&self, journal: &Journal) -> bool {
        let Some(at) = journal.current() else {
            return false;
        };
        let intended = journal
            .steps
            .get(at)
            .is_some_and(|e| e.state == EntryState::Intended);
        let plain = self
            .recipe
            .steps
            .get(at)
            .is_some_and(|s| s.kind() == StepKind::Plain);
        intended && plain
    }

    async fn stop(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        let name = |at: usize| journal.steps.get(at).map(|e: &Entry| e.name.as_str());
        let message = match journal.current() {
            None | Some(0) => format!("stopped before its first step; {LEFT}"),
            Some(at) => format!(
                "stopped after {}, before {}; {LEFT}",
                name(at - 1).unwrap_or("?"),
                name(at).unwrap_or("the end")
            ),
        };
        self.decide_verdict(journal, Phase::Cancelled, "Stopped", &message)
            .await
    }

    /// One write: the verdict, and what the interrupted step leaves, so that a later pass knows both or none.
    async fn abort(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        let at = journal.current().unwrap_or_default();
        let mut next = journal.clone();
        let mut message = String::new();
        if let Some(entry) = journal.steps.get(at) {
            message = match entry.state {
                EntryState::Pending => format!("cancelled before {}", entry.name),
                EntryState::Intended
                | EntryState::Done
                | EntryState::Skipped
                | EntryState::Failed => format!("cancelled during {}", entry.name),
            };
            let step = self.recipe.steps.get(at);
            let left = step
                .filter(|_| entry.state == EntryState::Intended)
                .and_then(|step| step.aborted(entry));
            if let Some((output, words)) = left {
                message = format!("{message}: {words}");
                if let Some(entry) = next.steps.get_mut(at) {
                    entry.output = output;
                }
                self.close_entry(&mut next, at, EntryState::Done, None);
            }
        }
        let message = format!("{message}; {LEFT}");
        set_verdict(
            &mut next,
            Phase::Cancelled,
            "Aborted",
            &message,
            self.timestamp(),
        );
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    /// The step that keeps what a cancelled run would lose, while there is time for it and nothing is owed.
    pub(super) fn gathering(&self, journal: &Journal) -> Option<(usize, &dyn Step)> {
        let verdict = journal.verdict.as_ref()?;
        // BRMS may stay frozen for hours while its history is waited for; the logs would be lost meanwhile.
        let mut owed = journal.open_obligations();
        let pressing = owed.any(|o| o.kind != ObligationKind::ReleaseBackups);
        if verdict.phase != Phase::Cancelled || pressing {
            return None;
        }
        let limit = i64::try_from(self.recipe.paced(GATHER).as_millis()).unwrap_or(i64::MAX);
        if self.timestamp().since(verdict.at) > limit {
            return None;
        }
        let steps = self.recipe.steps.iter().map(AsRef::as_ref);
        let steps = steps.zip(&journal.steps);
        let passed = |(step, entry): (&dyn Step, &Entry)| match entry.state {
            EntryState::Done | EntryState::Skipped => true,
            EntryState::Pending | EntryState::Intended => step.forgone(),
            EntryState::Failed => false,
        };
        let at = steps.map(passed).position(|passed| !passed)?;
        let step = self.recipe.steps.get(at)?.as_ref();
        let failed = journal.steps.get(at)?.state == EntryState::Failed;
        (!failed && step.gathers()).then_some((at, step))
    }
}
