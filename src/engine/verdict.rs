//! Verdicts: why and how a run ends, decided once; obligations first, then the final phase, then the locks.

use super::drive::{Engine, Flow, put_output};
use super::journal::{EntryState, Journal, Phase, Verdict};
use super::ports::StoreError;
use super::replies::Seen;
use super::rules::{Rule, kept};
use super::step::{Failure, LockKind};
use super::time::Timestamp;

impl Engine<'_> {
    pub(super) fn overdue(&self, journal: &Journal) -> Option<String> {
        let started = journal.started_at?;
        let spent = self.timestamp().since(started);
        let limit = i64::try_from(self.recipe.run_limit.as_millis()).unwrap_or(i64::MAX);
        if spent <= limit {
            return None;
        }
        let at = journal.current();
        let entry = at.and_then(|at| journal.steps.get(at));
        let step = entry.map_or("the end", |e| e.name.as_str());
        let mut message = format!(
            "the run did not end within {} s; it was at {step}",
            limit / 1000
        );
        // What goes on without the run, as after an abort: nobody ends it because our time is over.
        let intended = entry.filter(|e| e.state == EntryState::Intended);
        let taken = at.and_then(|at| self.recipe.steps.get(at));
        if let Some((_, left)) = intended.and_then(|entry| taken?.aborted(entry)) {
            message.push_str(": ");
            message.push_str(&left);
        }
        Some(message)
    }

    pub(super) async fn fail_step(
        &self,
        journal: &mut Journal,
        at: usize,
        failure: Failure,
    ) -> Result<Flow, StoreError> {
        let mut next = journal.clone();
        put_output(&mut next, at, failure.left);
        self.close_entry(
            &mut next,
            at,
            EntryState::Failed,
            Some(failure.message.clone()),
        );
        if next.verdict.is_some() {
            let step = next.steps.get(at).map_or("", |e| e.name.as_str());
            let warning = format!("{step}: {}", failure.message);
            next.warnings.push(warning);
        }
        let step = next
            .steps
            .get(at)
            .map(|e| e.name.clone())
            .unwrap_or_default();
        set_verdict(
            &mut next,
            self.failure_means(at),
            failure.reason,
            &format!("{step}: {}", failure.message),
            self.timestamp(),
        );
        self.write(journal, next).await?;
        Ok(Flow::On)
    }

    /// What the failure of the step at this place makes of the run.
    pub(super) fn failure_means(&self, at: usize) -> Phase {
        let step = self.recipe.steps.get(at);
        step.map_or(Phase::Failed, |s| s.failure_means())
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

    pub(super) async fn succeed(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
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

    /// After a failure: the first step that is still taken then and has not been, if any (`Step::after_failure`). All
    /// that was written of it before counts: an intent of the run is gone on with, and nothing is sent twice.
    fn step_after_failure(&self, journal: &Journal) -> Option<usize> {
        let verdict = journal.verdict.as_ref()?;
        if !matches!(verdict.phase, Phase::Failed | Phase::Cancelled) {
            return None;
        }
        let steps = self.recipe.steps.iter().zip(&journal.steps);
        let open = |state| matches!(state, EntryState::Pending | EntryState::Intended);
        steps
            .map(|(step, entry)| open(entry.state) && step.after_failure(journal))
            .position(|taken| taken)
    }

    /// Meets what is owed, takes the steps that are taken after a failure too, then makes the phase final and gives the
    /// locks back.
    pub(super) async fn finish(&self, journal: &mut Journal) -> Result<Flow, StoreError> {
        let mut next = journal.clone();
        // A step that is over asks nobody: its question must not be answered on the system of what is owed.
        next.question = None;
        if kept(Rule::ObligationsBeforeVerdict)
            && let Some(again) = self.try_obligations(&mut next).await
        {
            let asks = next.question.clone();
            self.write(journal, next).await?;
            if let Some(question) = asks {
                let seen = Seen::Asking(Box::new(question));
                // As the try that has asked: no other run holds the obligation's lock.
                if let Some(flow) = self.answer(journal, &[], seen).await? {
                    return Ok(flow);
                }
            }
            return Ok(Flow::Wait(again));
        }
        if let Some(at) = self.step_after_failure(&next)
            && let Some(step) = self.recipe.steps.get(at)
        {
            if next.obligations != journal.obligations {
                self.write(journal, next).await?;
            }
            return self.plain(journal, at, step.as_ref()).await;
        }
        self.leave_unanswered(&mut next);
        let verdict = next.verdict.clone();
        next.phase = verdict.map_or(Phase::Failed, |v| v.phase);
        next.finished_at = Some(self.timestamp());
        self.write(journal, next).await?;
        // The run is final whatever happens now; a lock that could not be given back is replaceable because it is.
        for kind in [
            LockKind::Source,
            LockKind::Backups,
            LockKind::TargetSet,
            LockKind::Clone,
        ] {
            if self.locks.release(kind).await.is_err() {
                tracing::warn!(
                    ?kind,
                    "lock of a final run could not be given back; the next run replaces it"
                );
            }
        }
        Ok(Flow::On)
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
