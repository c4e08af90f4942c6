//! Step 10, last of the window. Its obligation is met by whatever way works, also when everything else has failed.

use super::suspend_source::only_in_the_window;
use crate::engine::journal::{EntryState, ObligationKind};
use crate::engine::step::{LockKind, Observation, Step, StepContext, StepKind};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "resume-source";

pub(super) struct ResumeSource {
    pub(super) plan: Arc<Plan>,
}

#[async_trait]
impl Step for ResumeSource {
    fn id(&self) -> &'static str {
        ID
    }
    fn kind(&self) -> StepKind {
        StepKind::Window
    }
    fn limit(&self) -> Duration {
        self.plan.window().cap
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Source]
    }
    fn discharges(&self) -> &'static [ObligationKind] {
        &[ObligationKind::ResumeSource, ObligationKind::StopWatchdog]
    }
    /// The journal is the only witness: resumed means that the obligation was met.
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let entry = context.entry(ID);
        match entry.state {
            EntryState::Done => Observation::Done(entry.output),
            EntryState::Skipped => Observation::NotNeeded(entry.message.unwrap_or_default()),
            EntryState::Pending => Observation::Absent,
            EntryState::Intended | EntryState::Failed
                if context.journal.owes(ObligationKind::ResumeSource) =>
            {
                Observation::underway(
                    self.plan.pace.seconds(1),
                    format!("source {} is being resumed", self.plan.source_label()),
                )
            }
            EntryState::Intended | EntryState::Failed => Observation::done(),
        }
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Err(only_in_the_window(ID))
    }
}
