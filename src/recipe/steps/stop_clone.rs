//! Step 3: the clone is switched off, and nothing else ever is. Only `not activated` is off (`hmc.md` § 1.8).

use super::gate::{self, Stop, facts, state_word};
use super::power::{self, Order};
use super::restricted;
use super::verify_site::leaves_clone_alone;
use crate::engine::journal::Facts;
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::plan::Plan;
use crate::site::{DeviceError, PartitionState, PartitionStatus};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "stop-clone";

/// The codes mean "off already" or "not in this state".
const OFF: Order = Order {
    state_decides: &["HSCL1558", "PVME04000005", "PVME01050901", "HSCL05DF"],
    reason: "PowerOffRefused",
    verb: "switch off",
};

pub(super) struct StopClone {
    pub(super) plan: Arc<Plan>,
}

impl StopClone {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        gate::image_unchanged(context.site, &self.plan).await?;
        let entry = context.entry(ID);
        let status = gate::clone_for_power(context.site, &self.plan).await?;
        let poll = self.plan.pace.power(gate::elapsed(&entry, context.now));
        let clone = self.plan.clone_label();
        if leaves_clone_alone(context.journal, &self.plan) {
            return self.leave_alone(context, &status).await;
        }
        match &status.state {
            PartitionState::NotActivated => {
                return Ok(Observation::Done(facts([(
                    "state",
                    "not activated".into(),
                )])));
            }
            PartitionState::Running
            | PartitionState::Starting
            | PartitionState::ShuttingDown
            | PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_) => {}
        }
        if gate::unsent(&entry) && self.not_attached(context).await? {
            return Ok(self.not_needed(&status));
        }
        match &status.state {
            PartitionState::Running | PartitionState::Starting => {
                match power::told(context, &self.plan, &OFF, &entry, &status, poll).await? {
                    Observation::Absent => {
                        self.not_saving(&status)?;
                        Ok(Observation::Absent)
                    }
                    seen @ (Observation::Underway { .. }
                    | Observation::Asking { .. }
                    | Observation::Done(_)
                    | Observation::NotNeeded(_)
                    | Observation::Broken(_)
                    | Observation::Unknown(_)) => Ok(seen),
                }
            }
            PartitionState::ShuttingDown | PartitionState::NotActivated => Ok(
                Observation::underway(poll, format!("clone {clone} is shutting down")),
            ),
            state @ (PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_)) => Ok(Observation::underway(
                poll,
                format!(
                    "the console shows clone {clone} as {}, code {}: that is not off; look at the partition there and switch it off by hand",
                    state_word(state),
                    status.reference_code
                ),
            )),
        }
    }

    fn not_needed(&self, status: &PartitionStatus) -> Observation {
        Observation::NotNeeded(format!(
            "no volume of this run is attached to clone {}, which is {}",
            self.plan.clone_label(),
            state_word(&status.state)
        ))
    }

    /// A save that an earlier run no longer waits for may still be under way: cut off, it leaves a tape nobody can read. So
    /// neither a time limit of ours nor the next slot ends it, only a person does.
    fn not_saving(&self, status: &PartitionStatus) -> Result<(), Stop> {
        if !restricted::saves(status) {
            return Ok(());
        }
        Err(Stop::Failure(Failure::new(
            "CloneSaves",
            format!(
                "the console shows clone {} with code {}: it saves in restricted state, for an earlier run or a person, and a tape that is not ready looks the same. It is never switched off meanwhile; nothing was stopped or copied. Run again when the save is over, or look at its tape drive, switch the partition off at the console and run again",
                self.plan.clone_label(),
                restricted::SAVING
            ),
        )))
    }

    /// Without the partition's lock nothing is sent to it. The target set is locked by now: only a person, or a run that
    /// ended between the look of step 1 and the lock, can have attached it.
    async fn leave_alone(
        &self,
        context: &StepContext<'_>,
        status: &PartitionStatus,
    ) -> Result<Observation, Stop> {
        if self.not_attached(context).await? {
            return Ok(self.not_needed(status));
        }
        Ok(Observation::broken(
            "AttachedMeanwhile",
            format!(
                "volumes of this run were attached to clone {} after the run had found none there; nothing was stopped or copied: run again",
                self.plan.clone_label()
            ),
        ))
    }

    /// Only a run that neither starts the clone nor maps to it may leave it alone.
    async fn not_attached(&self, context: &StepContext<'_>) -> Result<bool, Stop> {
        if self.plan.uses_clone() {
            return Ok(false);
        }
        let wanted = self.plan.wanted(&gate::targets(context)?);
        Ok(context
            .site
            .virtual_io
            .observe(&wanted)
            .await?
            .all_unmapped())
    }
}

#[async_trait]
impl Step for StopClone {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        // The comparison with every source is repeated here, because this is what must never hit production.
        let clone = gate::clone_for_power(context.site, &self.plan)
            .await
            .map_err(Stop::refused)?;
        match clone.state {
            PartitionState::NotActivated => Ok(None),
            PartitionState::Running
            | PartitionState::Starting
            | PartitionState::ShuttingDown
            | PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_) => {
                self.not_saving(&clone).map_err(Stop::refused)?;
                let job = context.site.clone_partition.power_off().await?;
                Ok(Some(gate::handle(&job.0, context.now)))
            }
        }
    }
}
