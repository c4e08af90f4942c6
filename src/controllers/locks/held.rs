//! Images that no run may take: held ones, pinned in the lock Leases by `start-held` (`product.md` § 5.1), and kept ones
//! (`keepUntil` of the run whose image it is).
//!
//! The pin is on the Leases and on nothing else: deleting the run, its environment or their namespace does not take a
//! disaster system's disks away.

use super::lease::{self, Holder, LOCK_LABEL};
use super::names::{DeviceLock, device_locks};
use crate::api::{CloneEnvironment, CloneRun};
use crate::controllers::environment::pins;
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::engine::step::LockKind;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use std::collections::HashSet;

/// Reason of a run that meets a pinned device.
pub const HELD: &str = "HeldImageInUse";
/// Reason of a run that would replace or end a kept image.
pub const KEPT: &str = "ImageKept";

/// What `start-held` pins: never production.
pub fn is_pinned_kind(kind: LockKind) -> bool {
    match kind {
        LockKind::Clone | LockKind::TargetSet => true,
        LockKind::Source | LockKind::Backups => false,
    }
}

/// Reason and message of a run that needs a pinned device.
pub fn in_use(image: &Holder, lock: &DeviceLock) -> (&'static str, String) {
    let Holder { namespace, run, .. } = image;
    let text = format!(
        "{} is pinned by the held image of run {namespace}/{run}: `ibmi-clone -n {namespace} release-held {run}` releases it; where that namespace is gone, remove annotation {} from Lease {}",
        lock.device,
        lease::PINNED,
        lock.lease
    );
    (HELD, text)
}

/// Names of the Leases that a run of an environment needs to take an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needed {
    /// The clone partition. A HOLD needs it only while something is attached; that is looked at later, and the lock itself
    /// refuses then.
    partition: Option<String>,
    /// The target sets, of which one is enough.
    sets: Vec<String>,
}

impl Needed {
    /// Of an environment.
    pub fn of(environment: &CloneEnvironment) -> Self {
        let starts = environment.spec.function.starts_clone();
        let mut needed = Self::default();
        for lock in device_locks(&environment.spec, &pins::of(environment)) {
            match lock.kind {
                LockKind::Source | LockKind::Backups => {}
                LockKind::TargetSet => needed.sets.push(lock.lease),
                LockKind::Clone => needed.partition = starts.then_some(lock.lease),
            }
        }
        needed
    }

    /// Whether pins leave no run of the environment anything to take.
    pub fn is_pinned(&self, pinned: &HashSet<String>) -> bool {
        let partition = self.partition.as_ref().is_some_and(|l| pinned.contains(l));
        let sets = !self.sets.is_empty() && self.sets.iter().all(|l| pinned.contains(l));
        partition || sets
    }
}

/// The Leases that an image pins.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn pins_of(
    leases: &Api<Lease>,
    image: impl Fn(&Holder) -> bool,
) -> Result<Vec<Lease>, StoreError> {
    let all = ListParams::default().labels(LOCK_LABEL);
    let mut found = call(leases.list(&all)).await?.items;
    found.retain(|l| lease::pinned(l).is_some_and(|pin| image(&pin)));
    Ok(found)
}

/// Removes every pin of an image, wherever its environment leads by now.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn unpin(leases: &Api<Lease>, image: &Holder) -> Result<(), StoreError> {
    for found in pins_of(leases, |pin| pin.uid == image.uid).await? {
        let name = found.name_any();
        let mut known = Some(found);
        while let Some(mut object) = known {
            if lease::pinned(&object).is_none_or(|pin| pin.uid != image.uid) {
                break;
            }
            lease::set_pinned(&mut object, None);
            if lease::replace(leases, &object).await? {
                break;
            }
            known = call(leases.get_opt(&name)).await?;
        }
    }
    Ok(())
}

/// Reason and message when the image is kept by its run. The run object decides; deleting it ends the keeping.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn kept(
    client: &Client,
    owner: &Holder,
) -> Result<Option<(&'static str, String)>, StoreError> {
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &owner.namespace);
    let found = call(runs.get_opt(&owner.run)).await?;
    let run = found.filter(|r| r.uid().as_deref() == Some(&owner.uid));
    let until = run.and_then(|r| r.spec.keep_until).map(|t| t.0);
    if until.is_none_or(|until| until <= jiff::Timestamp::now()) {
        return Ok(None);
    }
    // Times are taken out of messages, so the field is named.
    let text = format!(
        "the image of run {}/{} is kept by its keepUntil: wait for the time that stands there, or delete that run to end the keeping",
        owner.namespace, owner.run
    );
    Ok(Some((KEPT, text)))
}
