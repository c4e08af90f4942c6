//! Obligations: met before the verdict, for ever, with backoff; never waiting for the journal.

use super::drive::Engine;
use super::journal::{Journal, ObligationKind, Phase, Verdict};
use super::ports::Met;
use super::step::{Failure, LockKind};
use super::time::Timestamp;
use std::time::Duration;

/// Order in which obligations are tried: production first.
const ORDER: [ObligationKind; 6] = [
    ObligationKind::ResumeSource,
    ObligationKind::LeavePrepared,
    ObligationKind::StopWatchdog,
    ObligationKind::RemoveParameters,
    ObligationKind::RunAfterResume,
    ObligationKind::ReleaseBackups,
];

/// How often an obligation that is not met is tried again: 1 s, doubling to 30 s. The resume stays at one second: users hang.
/// In the devices' time.
pub fn backoff(kind: ObligationKind, attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.clamp(0, 5)).unwrap_or_default();
    match kind {
        ObligationKind::ResumeSource => Duration::from_secs(1),
        ObligationKind::LeavePrepared
        | ObligationKind::StopWatchdog
        | ObligationKind::RemoveParameters => Duration::from_secs(2u64.pow(doublings).min(30)),
        // A job is looked for before it is submitted: one whose answer was lost must have had time to show itself.
        ObligationKind::RunAfterResume | ObligationKind::ReleaseBackups => {
            Duration::from_secs(2u64.pow(doublings).clamp(8, 30))
        }
    }
}

/// `frozen.suspensionProof` of a freeze that a person ended.
pub const RESUMED_BY_HAND: &str = "ResumedByHand";

/// A person's `resumedByHand` proves the resume (`product.md` § 7.1) and nothing else: no image comes of such a window.
pub fn take_persons_word(journal: &mut Journal, now: Timestamp) {
    if !journal.owes(ObligationKind::ResumeSource) {
        return;
    }
    let how = "resumed by hand: spec.resumedByHand counts as the proof";
    journal.meet(ObligationKind::ResumeSource, now, how);
    journal
        .notes
        .push(format!("production was {how} of the resume"));
    if let Some(window) = journal.window.as_mut() {
        window.suspension_proof = Some(RESUMED_BY_HAND.to_owned());
    }
}

/// What was paid for meeting an obligation fails the run, whatever was decided of it before: a cancelled run whose tapes
/// production does not know must not look like one that left nothing behind.
fn take_the_cost(journal: &mut Journal, failure: &Failure, now: Timestamp) {
    let before = match &journal.verdict {
        Some(v) => format!("; before that: {} {}", v.reason, v.message),
        None => String::new(),
    };
    journal.verdict = Some(Verdict {
        phase: Phase::Failed,
        reason: failure.reason.to_owned(),
        message: format!("{}{before}", failure.message),
        at: now,
    });
}

impl Engine<'_> {
    /// Tries every open obligation once and notes the outcome in `journal` (not written yet).
    /// Returns when to try again, or `None` when nothing is owed.
    ///
    /// Sending a resume without a journal write is the one exception to rule 1: resuming twice is harmless, waiting is not.
    pub(super) async fn try_obligations(&self, journal: &mut Journal) -> Option<Duration> {
        self.try_these(journal, &ORDER).await
    }

    /// As [`Self::try_obligations`], without those that a step still to come meets by itself (an AfterResume hook), and
    /// while a window is open without all that has to wait for its end.
    pub(super) async fn try_pressing(&self, journal: &mut Journal) -> Option<Duration> {
        let to_come = journal.current().unwrap_or(journal.steps.len());
        let later = |kind: &ObligationKind| {
            let steps = self.recipe.steps.iter().skip(to_come);
            steps.flat_map(|s| s.discharges()).any(|k| k == kind)
        };
        let open = journal.window_open();
        let kinds: Vec<ObligationKind> = ORDER
            .into_iter()
            .filter(|kind| match kind {
                ObligationKind::RunAfterResume => !open && !later(kind),
                // The save is still to come, or its history is: only the end of the run presses.
                ObligationKind::ReleaseBackups => false,
                ObligationKind::ResumeSource
                | ObligationKind::LeavePrepared
                | ObligationKind::StopWatchdog
                | ObligationKind::RemoveParameters => true,
            })
            .collect();
        self.try_these(journal, &kinds).await
    }

    /// As [`Self::try_obligations`], for some kinds only.
    pub(super) async fn try_these(
        &self,
        journal: &mut Journal,
        kinds: &[ObligationKind],
    ) -> Option<Duration> {
        let mut again: Option<Duration> = None;
        for kind in kinds.iter().copied() {
            if !journal.owes(kind) {
                continue;
            }
            if kind == ObligationKind::RunAfterResume {
                // What its hooks ask is told anew by each try.
                journal.question = None;
            }
            let outcome = if let Some(why) = self.not_ours_any_more(kind).await {
                Ok(Met::NotYet(why))
            } else {
                let context = self.context(journal);
                self.recipe.settle.meet(kind, &context).await
            };
            let now = Timestamp::new(self.clock.now());
            let text = match outcome {
                Ok(Met::Yes(how)) => {
                    journal.meet(kind, now, &how);
                    continue;
                }
                Ok(Met::AtACost { how, failure }) => {
                    journal.meet(kind, now, &how);
                    take_the_cost(journal, &failure, now);
                    continue;
                }
                Ok(Met::NotYet(why)) => why,
                Ok(Met::Asking(why, question)) => {
                    // One at a time, production's applications first; the other one waits for the next try.
                    journal.question.get_or_insert(*question);
                    why
                }
                Err(error) => error.to_string(),
            };
            if kind == ObligationKind::ResumeSource && self.store.wishes().resumed_by_hand {
                take_persons_word(journal, now);
                continue;
            }
            let mut attempts = 0;
            for open in journal
                .obligations
                .iter_mut()
                .filter(|o| o.kind == kind && o.met.is_none())
            {
                open.attempts += 1;
                open.message = Some(text.clone());
                attempts = open.attempts;
            }
            let wait = self.recipe.paced(backoff(kind, attempts));
            again = Some(again.map_or(wait, |a| a.min(wait)));
        }
        again
    }

    /// A process that was late may find its run's devices with another run, whose copy it would disarm and whose parameter
    /// file it would remove. The resume is never held back, and the watchdog is told by the run's own token.
    async fn not_ours_any_more(&self, kind: ObligationKind) -> Option<String> {
        let lock = match kind {
            ObligationKind::ResumeSource | ObligationKind::StopWatchdog => return None,
            ObligationKind::LeavePrepared => LockKind::TargetSet,
            // Its AfterResume hooks would meet the freeze of that run.
            ObligationKind::RemoveParameters | ObligationKind::RunAfterResume => LockKind::Source,
            // That run has frozen BRMS for itself.
            ObligationKind::ReleaseBackups => LockKind::Backups,
        };
        match self.locks.lost(lock).await {
            Ok(true) => Some(format!("another run holds the lock of {lock:?} by now")),
            // Nobody can be asked: what production waits for is not held back by that (rule 7).
            Ok(false) | Err(_) => None,
        }
    }
}
