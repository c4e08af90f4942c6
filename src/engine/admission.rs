//! Before an effect: the run's locks, its place in the queue, the fence; after the window: what must be met before the
//! source's lock goes back.

use super::drive::{Engine, Flow, QUEUE_POLL};
use super::journal::{EntryState, Journal, ObligationKind, Phase};
use super::ports::{Acquired, StoreError};
use super::rules::{Rule, kept};
use super::step::LockKind;

impl Engine<'_> {
    /// After a closed window all obligations are met before anything else happens, then the source's lock is given back.
    pub(super) async fn leave_window(
        &self,
        journal: &mut Journal,
    ) -> Result<Option<Flow>, StoreError> {
        let pressing = journal.open_obligations().any(|o| match o.kind {
            // Met by the hooks' own steps, which come right behind the window; BRMS stays frozen until its history is back.
            ObligationKind::RunAfterResume | ObligationKind::ReleaseBackups => false,
            ObligationKind::ResumeSource
            | ObligationKind::LeavePrepared
            | ObligationKind::StopWatchdog
            | ObligationKind::RemoveParameters => true,
        });
        if !journal.image_clean() || !pressing {
            return Ok(None);
        }
        // The target set's lock says whose image it holds before anything else happens with it.
        self.locks.own_image().await?;
        let mut next = journal.clone();
        self.note_frozen_backups(&mut next).await?;
        let again = self.try_pressing(&mut next).await;
        self.write(journal, next).await?;
        if let Some(again) = again {
            return Ok(Some(Flow::Wait(again)));
        }
        self.leave_source(journal).await?;
        Ok(Some(Flow::On))
    }

    /// An image taken while another run has production's BRMS in its FlashCopy process carries that state: whoever starts it
    /// has to end the process there first. That run has given the source's lock back by then, so it has frozen BRMS.
    async fn note_frozen_backups(&self, next: &mut Journal) -> Result<(), StoreError> {
        let known = next
            .window
            .as_ref()
            .is_some_and(|w| w.backups_held_by.is_some());
        if known || (self.recipe.lock_set)(next).contains(&LockKind::Backups) {
            return Ok(());
        }
        let Some(by) = self.locks.other_holder(LockKind::Backups).await? else {
            return Ok(());
        };
        next.warnings.push(format!(
            "the image was taken while run {by} had production's BRMS in its FlashCopy process, and carries that state: before anything is saved with BRMS on a system started from it, type there INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)"
        ));
        if let Some(window) = next.window.as_mut() {
            window.backups_held_by = Some(by);
        }
        Ok(())
    }

    /// Gives the source's lock back once the window is over, nothing is owed there, and no step to come needs it: an
    /// AfterResume hook of this run must not meet the BeforeFreeze hook of another one. If the process dies between the
    /// write and this, the lock is kept until the run is final.
    pub(super) async fn leave_source(&self, journal: &Journal) -> Result<(), StoreError> {
        let to_come = journal.current().unwrap_or(journal.steps.len());
        let steps = self.recipe.steps.iter().skip(to_come);
        let needed = steps
            .into_iter()
            .any(|s| s.locks().contains(&LockKind::Source));
        let mut owed = journal.open_obligations();
        // BRMS of production has a lock of its own.
        let owes_nothing_here = owed.all(|o| o.kind == ObligationKind::ReleaseBackups);
        if journal.image_clean() && !needed && owes_nothing_here {
            self.locks.release(LockKind::Source).await?;
        }
        Ok(())
    }

    pub(super) async fn queue_for_locks(
        &self,
        journal: &mut Journal,
    ) -> Result<Option<Flow>, StoreError> {
        let first_effect_to_come = journal
            .steps
            .iter()
            .skip(self.recipe.locks_from)
            .all(|e| e.state == EntryState::Pending);
        if !first_effect_to_come && journal.phase != Phase::Queued {
            return Ok(None);
        }
        match self.locks.acquire((self.recipe.lock_set)(journal)).await? {
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
            Acquired::All => {
                if kept(Rule::LockBeforeEffect) {
                    self.still_our_journal(journal).await?;
                }
                Ok(None)
            }
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
                Ok(Some(Flow::Wait(self.recipe.paced(QUEUE_POLL))))
            }
            Acquired::Refused { reason, message } => self
                .decide_verdict(journal, self.recipe.refused_means, reason, &message)
                .await
                .map(Some),
        }
    }

    /// Free locks prove nothing to a process that was late: its run may have ended, and others after it. With the locks in
    /// hand the journal is read again; from here on nobody else can have had them.
    async fn still_our_journal(&self, journal: &Journal) -> Result<(), StoreError> {
        let stored = self.store.load().await?;
        let ours = stored.revision == journal.revision && stored.writer == journal.writer;
        ours.then_some(()).ok_or(StoreError::Conflict)
    }

    /// Where the run waits is kept in the message of the first step that needs the lock: `position|blocked by`.
    pub(super) fn set_queue_note(&self, journal: &mut Journal, text: Option<String>) {
        if let Some(entry) = journal.steps.get_mut(self.recipe.locks_from) {
            entry.message = text;
        }
    }

    pub(super) fn queue_note<'j>(&self, journal: &'j Journal) -> Option<&'j str> {
        journal
            .steps
            .get(self.recipe.locks_from)?
            .message
            .as_deref()
    }

    /// Rule 10 and the fence: `Some` = do not send now. A lock that this run does not take is not asked for: its steps
    /// leave that device alone.
    pub(super) async fn may_act(
        &self,
        journal: &Journal,
        locks: &[LockKind],
    ) -> Result<Option<Flow>, StoreError> {
        if !self.fence_holds() {
            return Ok(Some(Flow::Wait(self.recipe.paced(QUEUE_POLL))));
        }
        if kept(Rule::LockBeforeEffect) {
            let taken = (self.recipe.lock_set)(journal);
            for kind in locks.iter().filter(|kind| taken.contains(kind)) {
                if !self.locks.holds(*kind).await? {
                    return Ok(Some(Flow::Wait(self.recipe.paced(QUEUE_POLL))));
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
}
