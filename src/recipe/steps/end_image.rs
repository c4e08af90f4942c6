//! Step 6: the previous copy of this target set is stopped, never with force: others may depend on it.
//!
//! When this step is done the engine closes the history row of the run whose image it was.

use super::gate::{self, Stop};
use crate::engine::journal::Facts;
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::image::still_on_array;
use crate::recipe::plan::Plan;
use crate::site::{CopyPhase, CopyState, DeviceError};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "end-image";

/// How long the console may show the clone as neither on nor off.
const OFF_SECONDS: u64 = 30 * 60;

pub(super) struct EndImage {
    pub(super) plan: Arc<Plan>,
}

impl EndImage {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let state = context.site.copy.observe().await?;
        self.still_the_image(context, &state)?;
        if self.plan.ends_relation_only() {
            return Ok(full_copy(&self.plan, &state));
        }
        let poll = self.plan.pace.array();
        let group = &self.plan.copy_group;
        if let Some(map) = state.deviating.iter().find(|m| m.contains("suspended")) {
            return Ok(suspended(group, &format!("map {map}")));
        }
        Ok(match state.phase {
            CopyPhase::Idle | CopyPhase::Stopped => Observation::done(),
            // An armed group that no run owns is disarmed too: the flush has to be of this run.
            CopyPhase::Copying | CopyPhase::Prepared => {
                let off = gate::clone_off(context.site, &self.plan, self.plan.keep_mappings).await;
                off.map_err(|stop| self.not_for_ever(context, stop))?;
                gate::retry_gate(
                    &context.entry(ID),
                    context.now,
                    self.plan.pace.short_retry(),
                    poll,
                    || format!("consistency group {group} was told to stop and has not begun to"),
                )
            }
            CopyPhase::Preparing => Observation::underway(
                poll,
                format!(
                    "consistency group {group} is preparing although no run is: waiting until it can be stopped"
                ),
            ),
            CopyPhase::Stopping => self.stopping(context).await,
            CopyPhase::Empty => empty(group),
            CopyPhase::Suspended => suspended(group, "the group"),
        })
    }

    /// A run of mode End ends the image it names and no other: what the array shows is that copy, or, once a stop was
    /// sent, what is left of it.
    fn still_the_image(&self, context: &StepContext<'_>, state: &CopyState) -> Result<(), Stop> {
        let ending = matches!(
            state.phase,
            CopyPhase::Stopping | CopyPhase::Stopped | CopyPhase::Idle
        ) && !state.exists();
        let sent = !gate::unsent(&context.entry(ID));
        if self.plan.image.is_none() || (sent && ending) {
            return Ok(());
        }
        still_on_array(state, &self.plan).map_err(Stop::Failure)
    }

    /// A partition that is neither on nor off is waited for, but not as long as the array may clean up: production's BRMS
    /// may be frozen meanwhile.
    fn not_for_ever(&self, context: &StepContext<'_>, stop: Stop) -> Stop {
        let entry = context.entry(ID);
        let patience = self.plan.pace.seconds(OFF_SECONDS);
        match stop {
            Stop::Device(error @ DeviceError::Busy { .. })
                if gate::unsent(&entry) && gate::elapsed(&entry, context.now) >= patience =>
            {
                Stop::Failure(Failure::new(
                    "CloneNotOff",
                    format!(
                        "{error}, for 30 minutes; no copy was stopped or made: look at the partition at the console, switch it off by hand and run again"
                    ),
                ))
            }
            other => other,
        }
    }

    async fn stopping(&self, context: &StepContext<'_>) -> Observation {
        let group = &self.plan.copy_group;
        let begins = format!("consistency group {group} is stopping: ");
        let entry = context.entry(ID);
        // The array is asked map by map, and answers the same for hours.
        if let Some(said) = entry.message.as_ref().filter(|m| m.starts_with(&begins))
            && !self.minute_begins(gate::elapsed(&entry, context.now))
        {
            return Observation::underway(self.plan.pace.array(), said.clone());
        }
        let names = match context.site.copy.dependants().await {
            Ok(names) => names,
            // The names are only for the message.
            Err(error) => return Observation::underway(self.plan.pace.array(), error.to_string()),
        };
        let waits_for = if names.is_empty() {
            "the array cleans up".to_owned()
        } else {
            format!(
                "data is copied for the maps that depend on it: {}",
                names.join(", ")
            )
        };
        Observation::underway(
            self.plan.pace.array(),
            format!("{begins}{waits_for}; this can take hours and is never forced"),
        )
    }

    /// Whether one look falls into the beginning of a minute of the wait.
    fn minute_begins(&self, elapsed: Duration) -> bool {
        let minute = self.plan.pace.seconds(60).as_nanos().max(1);
        elapsed.as_nanos() % minute <= self.plan.pace.array().as_nanos()
    }

    async fn stop(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        // Ending an image under a running clone takes its disks away.
        gate::clone_off(context.site, &self.plan, self.plan.keep_mappings).await?;
        Ok(context.site.copy.end().await?)
    }
}

/// A clone that keeps running keeps its disks: the relation of a full copy ends when everything is copied.
pub(super) fn full_copy(plan: &Plan, state: &CopyState) -> Observation {
    let group = &plan.copy_group;
    match state.phase {
        CopyPhase::Copying => Observation::underway(
            plan.pace.of(Duration::from_secs(30)),
            format!(
                "the background copy of consistency group {group} is at {} %; its relation ends when it is complete",
                state.progress
            ),
        ),
        CopyPhase::Idle => Observation::done(),
        CopyPhase::Empty
        | CopyPhase::Preparing
        | CopyPhase::Prepared
        | CopyPhase::Stopping
        | CopyPhase::Stopped
        | CopyPhase::Suspended => Observation::broken(
            "CopyStoppedByOthers",
            format!(
                "consistency group {group} was stopped before the full copy was complete: somebody stopped it, and the clone that keeps running has lost its disks; switch it off and run again"
            ),
        ),
    }
}

/// The administrator has to make the maps.
pub(super) fn empty(group: &str) -> Observation {
    Observation::broken(
        "GroupEmpty",
        format!(
            "consistency group {group} has no map: create one map per volume of production in it"
        ),
    )
}

/// Storage trouble that no run can solve.
pub(super) fn suspended(group: &str, what: &str) -> Observation {
    Observation::broken(
        "CopySuspended",
        format!(
            "consistency group {group}: {what} is suspended, it lost access to its bitmap or storage: repair the array, then stop the group by hand"
        ),
    )
}

#[async_trait]
impl Step for EndImage {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        // Cleaning for dependants can take hours: only the run's own limit bounds it, and that of production's BRMS, which is
        // frozen by now where it is to be saved with.
        let most = self.plan.run_limit();
        self.plan.brms.as_ref().map_or(most, |brms| {
            let frozen = u64::from(brms.max_frozen_seconds.unsigned_abs());
            most.min(self.plan.pace.seconds(frozen))
        })
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::TargetSet]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.array();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.stop(context)
            .await
            .map(|()| Some(gate::handle("", context.now)))
            .map_err(Stop::refused)
    }
}
