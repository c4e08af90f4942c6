//! Step of `start-held` and `release-held`: the pins are in the lock Leases, not on a device. The engine sets or removes
//! them before it records the step, so that they are there before the first effect and a crash in between repeats them.

use super::map_volumes::image_is_this_runs;
use crate::engine::journal::Facts;
use crate::engine::step::{LockKind, NOTE_FACT, Observation, Step, StepContext};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const PIN: &str = "pin-image";
pub(super) const UNPIN: &str = "unpin-image";

pub(super) struct PinImage {
    pub(super) plan: Arc<Plan>,
}

pub(super) struct UnpinImage {
    pub(super) plan: Arc<Plan>,
}

fn done(note: String) -> Observation {
    Observation::Done(Facts::from([(format!("{NOTE_FACT}pins"), note)]))
}

fn run_of(plan: &Plan) -> &str {
    plan.image.as_ref().map_or("", |image| image.run.as_str())
}

#[async_trait]
impl Step for PinImage {
    fn id(&self) -> &'static str {
        PIN
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(10 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone, LockKind::TargetSet]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        if let Err(stop) = image_is_this_runs(context, &self.plan).await {
            return stop.observed(self.plan.pace.array());
        }
        done(format!(
            "image of run {}, its target set and clone {} are pinned until `ibmi-clone release-held {}`",
            run_of(&self.plan),
            self.plan.clone_label(),
            run_of(&self.plan)
        ))
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Ok(None)
    }
}

#[async_trait]
impl Step for UnpinImage {
    fn id(&self) -> &'static str {
        UNPIN
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(10 * 60)
    }
    async fn observe(&self, _context: &StepContext<'_>) -> Observation {
        done(format!(
            "the pins of run {} are gone; image and clone {} stay as they are, and the next run may replace them",
            run_of(&self.plan),
            self.plan.clone_label()
        ))
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Ok(None)
    }
}
