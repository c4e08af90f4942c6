//! Target sets that the operator itself has mapped to a clone partition, and may take away again: environments that share
//! a clone take turns on it, and so do the target sets of one environment.
//!
//! What nobody recorded is never taken away, however much it looks like a target (`product.md` § 4 row 11).

use super::plan::Plan;
use crate::engine::journal::Journal;
use crate::engine::ports::StoreError;
use crate::engine::step::Failure;
use crate::site::{ForeignDevice, PartitionUuid, Uid, VirtualIoState};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// A target set that was mapped to the clone by some run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedSet {
    /// `target set CLONE1 on svc.example.com`.
    pub device: String,
    /// `namespace/run` that mapped it.
    pub run: String,
    /// Its volumes.
    pub volumes: BTreeSet<Uid>,
    /// Why it may not be taken away, if so.
    pub stays: Option<Stays>,
}

/// Why a recorded set stays on the clone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    /// Its image is pinned: a person works with it (`start-held`).
    Pinned,
    /// Its environment leaves its mappings in place (`keepMappings`).
    MappingsKept,
}

/// The operator's own record, read afresh each time: it is only worth something under the lock of the partition.
#[async_trait]
pub trait RecordedSets: Debug + Send + Sync {
    /// Target sets recorded for this partition.
    ///
    /// # Errors
    /// When the record cannot be read; that is never the same as an empty one.
    async fn on_clone(&self, clone: &PartitionUuid) -> Result<Vec<RecordedSet>, StoreError>;
}

/// The devices on the clone's adapters that are none of the run's own volumes, sorted by what may become of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Volumes of recorded sets: taken away while the clone is off.
    pub(crate) in_turn: BTreeSet<Uid>,
    /// Whose they are, in words.
    pub(crate) owners: BTreeSet<String>,
    /// What must not be taken away and forbids the run.
    pub(crate) held: Vec<Failure>,
    /// What nobody recorded: `VIOS/vhost/vtd`.
    pub(crate) unknown: Vec<String>,
    /// The run's own volumes that the clone could not use as they are: an unmap removes them.
    pub(crate) unusable: Vec<String>,
}

impl Foreign {
    /// Sorts what the VIOSes showed. `clone` is the partition that the console names now.
    pub(crate) async fn sort(
        plan: &Plan,
        clone: Option<&PartitionUuid>,
        own: &[Uid],
        state: &VirtualIoState,
    ) -> Result<Self, StoreError> {
        let known = match (&plan.recorded, clone) {
            (Some(record), Some(clone)) if !state.foreign.is_empty() => {
                record.on_clone(clone).await?
            }
            (Some(_) | None, Some(_) | None) => Vec::new(),
        };
        let mut sorted = Self::default();
        for device in &state.foreign {
            sorted.add(device, own, &known, plan);
        }
        sorted.held.dedup();
        Ok(sorted)
    }

    fn add(&mut self, device: &ForeignDevice, own: &[Uid], known: &[RecordedSet], plan: &Plan) {
        let of = |uid: &Uid| known.iter().find(|set| set.volumes.contains(uid));
        if device.uid.as_ref().is_some_and(|uid| own.contains(uid)) {
            self.unusable.push(device.place.clone());
            return;
        }
        let theirs = device.uid.as_ref();
        let Some((uid, set)) = theirs.and_then(|uid| Some((uid, of(uid)?))) else {
            self.unknown.push(device.place.clone());
            return;
        };
        match set.stays {
            None if !plan.keep_mappings => {
                self.in_turn.insert(uid.clone());
                self.owners
                    .insert(format!("{} (run {})", set.device, set.run));
            }
            None => self.held.push(kept_by_us(set, plan)),
            Some(Stays::Pinned) => self.held.push(pinned(set, plan)),
            Some(Stays::MappingsKept) => self.held.push(kept_by_them(set, plan)),
        }
    }

    /// The first reason for which the run may not go on.
    pub(crate) fn forbids(&self, plan: &Plan) -> Option<Failure> {
        if let Some(held) = self.held.first() {
            return Some(held.clone());
        }
        (!self.unknown.is_empty()).then(|| stranger(&self.unknown, plan))
    }
}

fn pinned(set: &RecordedSet, plan: &Plan) -> Failure {
    Failure::new(
        "HeldImageInUse",
        format!(
            "clone {} has the pinned image on {} of run {}: nothing is taken from it; release it first (release-held)",
            plan.clone_label(),
            set.device,
            set.run
        ),
    )
}

fn kept_by_them(set: &RecordedSet, plan: &Plan) -> Failure {
    Failure::new(
        "MappingKept",
        format!(
            "clone {} has {} of run {} mapped, whose environment leaves its mappings in place: environments that take turns on one clone must all have {}",
            plan.clone_label(),
            set.device,
            set.run,
            plan.mapping.for_turns()
        ),
    )
}

fn kept_by_us(set: &RecordedSet, plan: &Plan) -> Failure {
    Failure::new(
        "MappingKept",
        format!(
            "{}, so nothing is unmapped, but clone {} has {} of run {} mapped: set {} to take turns on one clone",
            plan.mapping.kept().0,
            plan.clone_label(),
            set.device,
            set.run,
            plan.mapping.for_turns()
        ),
    )
}

/// A device that no run has mapped.
pub(crate) fn stranger(devices: &[String], plan: &Plan) -> Failure {
    Failure::new(
        "ForeignMapping",
        format!(
            "the clone's adapters map devices that are no targets of consistency group {} and that no run has mapped there: {}; remove them there ({}), or add the volume to the group",
            plan.copy_group,
            devices.join(", "),
            plan.mapping.removed_by()
        ),
    )
}

/// The clone's partition as step 1 saw it, or as it was pinned.
pub(crate) fn clone_partition(journal: &Journal, plan: &Plan) -> Option<PartitionUuid> {
    let seen = super::steps::gate::seen(journal, "clonePartition");
    let pinned = || plan.pins.clone_partition.clone();
    seen.map(PartitionUuid::new).or_else(pinned)
}
