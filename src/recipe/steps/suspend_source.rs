//! Step 8, first of the window. `engine::window` sends it; this file says what it owes and what can be told afterwards.

use crate::engine::journal::{EntryState, ObligationKind};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext, StepKind};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "suspend-source";

pub(super) struct SuspendSource {
    pub(super) plan: Arc<Plan>,
}

#[async_trait]
impl Step for SuspendSource {
    fn id(&self) -> &'static str {
        ID
    }
    fn kind(&self) -> StepKind {
        StepKind::Window
    }
    /// How long the helper may need to be started, with the copy armed meanwhile; the window itself has its cap.
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(15 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Source]
    }
    fn incurs(&self) -> &'static [ObligationKind] {
        &[ObligationKind::ResumeSource, ObligationKind::StopWatchdog]
    }
    /// IBM i reports nowhere that an ASP is suspended, so a suspend that was intended can only be proved by the pass that
    /// sent it.
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let entry = context.entry(ID);
        let journal = context.journal;
        let never = !journal.window_open() && !journal.owes(ObligationKind::ResumeSource);
        match entry.state {
            EntryState::Pending => Observation::Absent,
            // The helper was being started, or the window of an earlier try was closed and resumed.
            EntryState::Intended if never => Observation::Absent,
            EntryState::Done => Observation::Done(entry.output),
            EntryState::Skipped => Observation::NotNeeded(entry.message.unwrap_or_default()),
            EntryState::Intended | EntryState::Failed => Observation::Unknown(Failure::new(
                "WindowInterrupted",
                format!(
                    "source {} may have been suspended by a pass that did not end; it is resumed, and this run gives no image: run again",
                    self.plan.source_label()
                ),
            )),
        }
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Err(only_in_the_window(ID))
    }
}

/// Nothing was sent: these steps work only over the open helper of `engine::window`.
pub(super) fn only_in_the_window(step: &str) -> DeviceError {
    DeviceError::refused(
        "the operator",
        "NotInWindow",
        format!("{step} is sent by the window only"),
    )
}
