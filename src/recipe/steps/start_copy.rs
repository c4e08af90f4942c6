//! Step 9, in the window: the point in time. Done means that every map's start time differs from the one read just
//! before the window, never that a copy exists.

use super::gate::{self, facts};
use crate::engine::journal::{Facts, ObligationKind};
use crate::engine::step::{LockKind, Observation, Step, StepContext, StepKind};
use crate::recipe::plan::Plan;
use crate::recipe::settle::phase_word;
use crate::site::{CopyPhase, CopyState, DeviceError};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "start-copy";
/// Baseline and output: [`CopyState::mark`].
pub(super) const MARK: &str = "started";

pub(super) struct StartCopy {
    pub(super) plan: Arc<Plan>,
}

/// Whether the copy is another one than the baseline's, on every map.
fn differs(state: &CopyState, baseline: &str) -> bool {
    let before: BTreeMap<&str, &str> = baseline
        .split(',')
        .filter_map(|part| part.split_once('='))
        .collect();
    // A map without a baseline proves nothing.
    state.started.iter().all(|(map, time)| {
        before
            .get(map.as_str())
            .is_some_and(|old| *old != time.as_str())
    })
}

impl StartCopy {
    fn judge(&self, state: &CopyState, baseline: &str) -> Observation {
        let group = &self.plan.copy_group;
        let poll = self.plan.pace.array();
        match state.phase {
            CopyPhase::Copying | CopyPhase::Idle if state.exists() && differs(state, baseline) => {
                Observation::Done(facts([(MARK, state.mark())]))
            }
            CopyPhase::Prepared => Observation::Absent,
            CopyPhase::Copying => Observation::underway(
                poll,
                format!("not every map of consistency group {group} shows a new start time"),
            ),
            CopyPhase::Preparing => {
                Observation::underway(poll, format!("consistency group {group} is preparing"))
            }
            CopyPhase::Empty
            | CopyPhase::Idle
            | CopyPhase::Stopping
            | CopyPhase::Stopped
            | CopyPhase::Suspended => Observation::broken(
                "CopyLost",
                format!(
                    "consistency group {group} is {} where an armed group or a new copy should be: somebody else uses it, or the array had a problem; run again",
                    phase_word(state.phase)
                ),
            ),
        }
    }
}

#[async_trait]
impl Step for StartCopy {
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
        &[LockKind::TargetSet, LockKind::Source]
    }
    fn discharges(&self) -> &'static [ObligationKind] {
        &[ObligationKind::LeavePrepared]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let entry = context.entry(ID);
        let baseline = entry
            .baseline
            .get(MARK)
            .map(String::as_str)
            .unwrap_or_default();
        match context.site.copy.observe().await {
            Ok(state) => self.judge(&state, baseline),
            Err(error) => gate::Stop::Device(error).observed(self.plan.pace.array()),
        }
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(facts([(MARK, context.site.copy.observe().await?.mark())]))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        context.site.copy.start().await.map(|()| None)
    }
}
