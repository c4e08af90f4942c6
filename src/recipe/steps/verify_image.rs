//! First step of a run about the image of another run: is it still that run's, and may it be touched? Changes nothing, and
//! asks nothing of production's own system, which may be gone.

use super::gate::{self, Stop, facts, state_word};
use super::verify_site::{ATTACHED, detached};
use crate::api::run::RunMode;
use crate::engine::journal::{Facts, Journal};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::image::still_on_array;
use crate::recipe::plan::Plan;
use crate::site::{DeviceError, Inventory, PartitionState, PartitionStatus};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "verify-image";

/// Locks of a run that touches image and clone, never production.
pub(in crate::recipe) fn held_locks(_: &Journal) -> &'static [LockKind] {
    &[LockKind::Clone, LockKind::TargetSet]
}

/// Locks of the end of an image: as a HOLD, it does not wait for the partition when nothing is attached to it.
pub(in crate::recipe) fn end_locks(journal: &Journal) -> &'static [LockKind] {
    if detached(journal) {
        &[LockKind::TargetSet]
    } else {
        held_locks(journal)
    }
}

/// Locks of the end of a relation: the clone keeps its partition and its disks.
pub(in crate::recipe) fn target_lock(_: &Journal) -> &'static [LockKind] {
    &[LockKind::TargetSet]
}

pub(super) struct VerifyImage {
    pub(super) plan: Arc<Plan>,
}

impl VerifyImage {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let (site, plan) = (context.site, &self.plan);
        let clone = gate::clone_for_power(site, plan).await?;
        let inventory = site.copy.inventory().await?;
        self.judge_array(&inventory)?;
        let state = site.copy.observe().await?;
        still_on_array(&state, plan).map_err(Stop::Failure)?;
        let targets: Vec<_> = inventory
            .pairs
            .iter()
            .map(|p| p.target.uid.clone())
            .collect();
        let mapped = site.virtual_io.observe(&plan.wanted(&targets)).await?;
        if let Some(failure) = gate::volume_conflict(&mapped, plan.mapping) {
            return Ok(Observation::Broken(failure));
        }
        if plan.mode == RunMode::StartHeld {
            gate::source_allows_start(site, plan).await?;
            if let Some(wait) = self.judge_clone(&clone)? {
                return Ok(wait);
            }
        }
        let attached = mapped.paths.iter().any(|p| p.mapped_as.is_some());
        let names: Vec<&str> = targets.iter().map(|u| u.as_str()).collect();
        let mut out = facts([
            ("targets", names.join(",")),
            ("clonePartition", clone.uuid.to_string()),
            (ATTACHED, if attached { "yes" } else { "no" }.to_owned()),
        ]);
        out.extend(self.warnings()?);
        Ok(Observation::Done(out))
    }

    fn judge_array(&self, inventory: &Inventory) -> Result<(), Stop> {
        let pinned = self.plan.pins.array.as_ref();
        match pinned.filter(|pinned| **pinned != inventory.system) {
            Some(pinned) => Err(Stop::Failure(Failure::new(
                "PinnedArrayChanged",
                format!(
                    "storage.spectrumVirtualize.endpoint leads to array {}, the image is on array {pinned}: correct the address",
                    inventory.system
                ),
            ))),
            None => Ok(()),
        }
    }

    /// The held image is started on a partition that is off; what runs there now is not stopped for it.
    fn judge_clone(&self, clone: &PartitionStatus) -> Result<Option<Observation>, Stop> {
        let (label, word) = (self.plan.clone_label(), state_word(&clone.state));
        match &clone.state {
            PartitionState::NotActivated => Ok(None),
            PartitionState::ShuttingDown => Ok(Some(Observation::underway(
                self.plan.pace.power(Duration::ZERO),
                format!("clone {label} is shutting down"),
            ))),
            PartitionState::Running
            | PartitionState::Starting
            | PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_) => Err(Stop::Failure(Failure::new(
                "CloneNotOff",
                format!(
                    "clone {label} is {word}: a held image is started on a partition that is off, and what runs there is not stopped for it; switch it off at the console and try again"
                ),
            ))),
        }
    }

    /// An image copied outside a proven suspension is never started (`product.md` § 4).
    fn warnings(&self) -> Result<Facts, Stop> {
        let mut found = Facts::new();
        let image = self.plan.image.as_ref();
        let proof = image.and_then(|i| i.suspension_proof.as_deref());
        if self.plan.mode != RunMode::StartHeld {
            return Ok(found);
        }
        match proof {
            Some("Canary" | "Assumed") => {}
            Some("ForceWrite") => drop(found.insert(
                format!("{WARNING_FACT}proof"),
                "the image was taken after a force write without suspension, as its environment wanted it: expect a recovery at IPL".to_owned(),
            )),
            // Resumed by hand is a proof that production works, and none of the image.
            Some(_) | None => {
                return Err(Stop::Failure(Failure::new(
                    "ImageNotClean",
                    "the image was not taken inside a proven suspension: it is not started; take another run's",
                )));
            }
        }
        if let Some(by) = image.and_then(|i| i.backups_frozen_by.as_deref()) {
            found.insert(
                format!("{WARNING_FACT}backups"),
                format!(
                    "the image was taken while production's BRMS was in its FlashCopy process (frozen by {by}): on the started system type INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC) before anything is saved with BRMS"
                ),
            );
        }
        if self.plan.source_is_down {
            found.insert(
                format!("{WARNING_FACT}source"),
                format!(
                    "{} is down by a person's word, it was not proved at the console",
                    self.plan.source_label()
                ),
            );
        }
        Ok(found)
    }
}

#[async_trait]
impl Step for VerifyImage {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Ok(None)
    }
}
