//! Step 12: the clone is activated. An off partition has no IPL time to compare, so the proof that the clone runs *this*
//! image is that it was read as not activated after the copy: that reading is the baseline.

use super::gate::{self, Stop, facts, state_word};
use super::map_volumes::image_is_this_runs;
use super::power::{self, Order};
use crate::api::run::RunMode;
use crate::engine::journal::{Entry, Facts};
use crate::engine::step::{LockKind, Observation, Step, StepContext};
use crate::recipe::plan::Plan;
use crate::site::{Activation, DeviceError, Keylock, PartitionState, PartitionStatus};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "start-clone";
const STATE: &str = "state";
const OFF: &str = "not activated";
/// The codes mean "on already".
const ON: Order = Order {
    state_decides: &["HSCL3681", "PVME01042026", "HSCL05DF"],
    reason: "ActivationRefused",
    verb: "start",
};

pub(super) struct StartClone {
    pub(super) plan: Arc<Plan>,
}

impl StartClone {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(ID);
        let status = gate::clone_for_power(context.site, &self.plan).await?;
        let poll = self.plan.pace.power(gate::elapsed(&entry, context.now));
        let clone = self.plan.clone_label();
        let off_after_copy = entry.baseline.get(STATE).is_some_and(|s| s == OFF);
        match &status.state {
            PartitionState::NotActivated => {
                image_is_this_runs(context, &self.plan).await?;
                power::told(context, &self.plan, &ON, &entry, &status, poll).await
            }
            PartitionState::Running if off_after_copy && self.key_is_wrong(&status) => {
                Ok(Observation::broken(
                    "KeyNotManual",
                    format!(
                        "clone {clone} runs with the key at {}, so it was not this run that started it: it may start production's work; look at its console now",
                        status.keylock
                    ),
                ))
            }
            PartitionState::Running if off_after_copy => {
                Ok(Observation::Done(facts([(STATE, "running".into())])))
            }
            PartitionState::Starting if off_after_copy => Ok(Observation::underway(
                poll,
                format!("clone {clone} is starting, code {}", status.reference_code),
            )),
            state @ (PartitionState::Running
            | PartitionState::Starting
            | PartitionState::ShuttingDown
            | PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_)) => Ok(self.unexpected(&entry, state, &status, poll)),
        }
    }

    /// A held image runs at the console only, whoever was quicker to start it.
    fn key_is_wrong(&self, status: &PartitionStatus) -> bool {
        self.plan.mode == RunMode::StartHeld && status.keylock.eq_ignore_ascii_case("normal")
    }

    fn unexpected(
        &self,
        entry: &Entry,
        state: &PartitionState,
        status: &PartitionStatus,
        poll: Duration,
    ) -> Observation {
        let clone = self.plan.clone_label();
        let words = format!(
            "clone {clone} is {}, code {}",
            state_word(state),
            status.reference_code
        );
        let on = matches!(state, PartitionState::Running | PartitionState::Starting);
        if gate::unsent(entry) && on {
            return Observation::broken(
                "CloneStartedByOthers",
                format!(
                    "{words}, and this run has not started it: somebody switched it on while its disks were overwritten; switch it off and run again"
                ),
            );
        }
        if status.reference_code.starts_with('B') {
            return Observation::broken(
                "CloneError",
                format!(
                    "{words}: look the code up at the console; clone and image are left as they are"
                ),
            );
        }
        Observation::underway(poll, words)
    }

    async fn start(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        image_is_this_runs(context, &self.plan).await?;
        gate::source_allows_start(context.site, &self.plan).await?;
        let clone = gate::clone_for_power(context.site, &self.plan).await?;
        match clone.state {
            PartitionState::NotActivated => {}
            // A late answer to an earlier try: the next look judges it.
            PartitionState::Running
            | PartitionState::Starting
            | PartitionState::ShuttingDown
            | PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_) => return Ok(None),
        }
        let how = Activation {
            profile: self.plan.profile.clone(),
            ipl_source: self.plan.ipl_source,
            keylock: match self.plan.mode {
                // Production's own system, not yet a clone: it stops at the console, before any of its work starts.
                RunMode::StartHeld => Keylock::Manual,
                RunMode::Clone | RunMode::Preflight | RunMode::ReleaseHeld | RunMode::End => {
                    Keylock::Normal
                }
            },
        };
        let job = context.site.clone_partition.activate(&how).await?;
        Ok(Some(gate::handle(&job.0, context.now)))
    }
}

#[async_trait]
impl Step for StartClone {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone, LockKind::TargetSet]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        let status = context.site.clone_partition.status().await?;
        let mut baseline = gate::stamp(context.now);
        baseline.insert(STATE.to_owned(), state_word(&status.state).to_owned());
        Ok(baseline)
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.start(context).await.map_err(Stop::refused)
    }
}
