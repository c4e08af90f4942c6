//! Lock Leases: what no conditional write on one object can protect, a device shared by two runs
//! (`architecture.md` § 8, `product.md` § 7.7).
//!
//! One Lease per device identity, in the operator's namespace, without ownerReferences: deleting a run or a namespace
//! cannot free a device. The holder is the run's UID. A lock outlives its run until somebody needs it and finds the
//! holder final; the image's owner stays recorded on the target set's Lease.

pub mod attached;
pub mod held;
pub mod lease;
pub mod names;

pub use names::{DeviceLock, device_locks, waits_for};

use crate::api::run::RunMode;
use crate::api::{CloneRun, CloneRunStatus};
use crate::controllers::answer::store_error;
use crate::controllers::run::ended::{end_image, leave_partition};
use crate::controllers::run::store::{call, writes_as_us};
use crate::engine::journal::Journal;
use crate::engine::ports::{Acquired, Locks, StoreError};
use crate::engine::step::LockKind;
use crate::engine::time::Timestamp;
use async_trait::async_trait;
use chrono::Utc;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, ResourceExt};
use lease::{Holder, ImageOwner, Taken};
use std::time::Duration;

/// A run's locks.
pub struct KubeLocks {
    client: Client,
    leases: Api<Lease>,
    me: Holder,
    locks: Vec<DeviceLock>,
    /// How long the lock of a vanished run is respected: longer than the longest window and its watchdog.
    grace: Duration,
    /// The run whose held image this one starts or releases.
    image: Option<Holder>,
    /// Whether this run replaces or ends the image on the target set.
    takes_image: bool,
    /// Whether the run's environment leaves its mappings in place.
    keeps_mappings: bool,
}

impl KubeLocks {
    /// Locks of one run, in the order in which they are taken.
    pub fn new(
        client: Client,
        lease_namespace: &str,
        run: &CloneRun,
        locks: Vec<DeviceLock>,
        grace: Duration,
    ) -> Self {
        Self {
            leases: Api::namespaced(client.clone(), lease_namespace),
            client,
            me: Holder {
                uid: run.uid().unwrap_or_default(),
                namespace: run.namespace().unwrap_or_default(),
                run: run.name_any(),
            },
            locks,
            grace,
            image: image_of(run),
            takes_image: matches!(run.spec.mode, RunMode::Clone | RunMode::End),
            keeps_mappings: false,
        }
    }

    /// Of an environment with `keepMappings: true`: nobody else may take its volumes from the clone.
    pub fn keeping_mappings(self, keeps: bool) -> Self {
        Self {
            keeps_mappings: keeps,
            ..self
        }
    }

    /// Whether the image that this run would replace or end is another run's that is kept.
    async fn kept(&self, kinds: &[LockKind]) -> Result<Option<Acquired>, StoreError> {
        if !self.takes_image || !kinds.contains(&LockKind::TargetSet) {
            return Ok(None);
        }
        let Some((_, Some(owner))) = self.target_set().await? else {
            return Ok(None);
        };
        if owner.uid == self.me.uid {
            return Ok(None);
        }
        let kept = held::kept(&self.client, &owner).await?;
        Ok(kept.map(|(reason, message)| Acquired::Refused { reason, message }))
    }

    fn of(&self, kind: LockKind) -> impl Iterator<Item = &DeviceLock> {
        self.locks.iter().filter(move |l| l.kind == kind)
    }

    /// After the verdict: nothing is held and nowhere is waited any more. The image's owner stays.
    pub async fn let_go(&self) -> Result<(), StoreError> {
        for lock in &self.locks {
            lease::release(&self.leases, lock, &self.me).await?;
        }
        Ok(())
    }

    /// Pins one lock that this run holds.
    async fn pin(&self, lock: &DeviceLock, image: &Holder) -> Result<(), StoreError> {
        loop {
            let found = call(self.leases.get_opt(&lock.lease)).await?;
            let mine = found.filter(|l| lease::holder(l).as_deref() == Some(&self.me.uid));
            let Some(mut object) = mine else {
                let text = format!("the lock of {} is not held any more", lock.device);
                return Err(StoreError::Lost(text));
            };
            lease::set_pinned(&mut object, Some(image));
            if lease::replace(&self.leases, &object).await? {
                return Ok(());
            }
        }
    }

    async fn give_back(&self, taken: &[&DeviceLock]) -> Result<(), StoreError> {
        for lock in taken.iter().rev() {
            lease::release(&self.leases, lock, &self.me).await?;
        }
        Ok(())
    }

    async fn target_set(&self) -> Result<Option<(Lease, Option<ImageOwner>)>, StoreError> {
        let Some(lock) = self.of(LockKind::TargetSet).next() else {
            return Ok(None);
        };
        let found = call(self.leases.get_opt(&lock.lease)).await?;
        Ok(found.map(|lease| {
            let owner = lease::image_owner(&lease);
            (lease, owner)
        }))
    }
}

#[async_trait]
impl Locks for KubeLocks {
    async fn acquire(&self, kinds: &[LockKind]) -> Result<Acquired, StoreError> {
        let (wanted, left): (Vec<&DeviceLock>, Vec<&DeviceLock>) =
            self.locks.iter().partition(|l| kinds.contains(&l.kind));
        self.give_back(&left).await?;
        let mut taken: Vec<&DeviceLock> = Vec::new();
        for (at, lock) in wanted.iter().copied().enumerate() {
            let about = self.image.as_ref().map(|image| image.uid.as_str());
            let (client, leases, me) = (&self.client, &self.leases, &self.me);
            match lease::take(client, leases, lock, me, about, self.grace).await {
                Ok(Taken::Mine) => taken.push(lock),
                Ok(Taken::Pinned { image }) => {
                    self.give_back(&taken).await?;
                    let (reason, message) = held::in_use(&image, lock);
                    return Ok(Acquired::Refused { reason, message });
                }
                Ok(Taken::Waits {
                    position,
                    blocked_by,
                }) => {
                    self.give_back(&taken).await?;
                    // A vanished holder is noticed on all its locks at once: the wait for it is waited once.
                    for later in wanted.iter().skip(at + 1) {
                        lease::notice_missing(&self.client, &self.leases, later).await?;
                    }
                    return Ok(Acquired::Queued {
                        position,
                        blocked_by,
                    });
                }
                Err(error) => {
                    self.give_back(&taken).await?;
                    return Err(error);
                }
            }
        }
        if let Some(refused) = self.kept(kinds).await? {
            self.give_back(&taken).await?;
            return Ok(refused);
        }
        Ok(Acquired::All)
    }

    async fn holds(&self, kind: LockKind) -> Result<bool, StoreError> {
        let mut any = false;
        for lock in self.of(kind) {
            any = true;
            let found = call(self.leases.get_opt(&lock.lease)).await?;
            if found.is_none_or(|l| lease::holder(&l).as_deref() != Some(&self.me.uid)) {
                return Ok(false);
            }
        }
        Ok(any)
    }

    async fn lost(&self, kind: LockKind) -> Result<bool, StoreError> {
        for lock in self.of(kind) {
            let found = call(self.leases.get_opt(&lock.lease)).await?;
            let holder = found.as_ref().and_then(lease::holder);
            if holder.is_some_and(|uid| uid != self.me.uid) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn other_holder(&self, kind: LockKind) -> Result<Option<String>, StoreError> {
        for lock in self.of(kind) {
            let found = call(self.leases.get_opt(&lock.lease)).await?;
            let Some(found) = found else { continue };
            let other = lease::holding_run(&self.client, &found).await?;
            if let Some(other) = other.filter(|other| other.uid != self.me.uid) {
                return Ok(Some(format!("{}/{}", other.namespace, other.run)));
            }
        }
        Ok(None)
    }

    async fn borrow(&self, kind: LockKind) -> Result<bool, StoreError> {
        let (client, leases, me) = (&self.client, &self.leases, &self.me);
        for lock in self.of(kind) {
            match lease::take(client, leases, lock, me, None, self.grace).await? {
                Taken::Mine => {}
                Taken::Waits { .. } | Taken::Pinned { .. } => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn release(&self, kind: LockKind) -> Result<(), StoreError> {
        for lock in self.of(kind) {
            lease::release(&self.leases, lock, &self.me).await?;
        }
        Ok(())
    }

    async fn own_image(&self) -> Result<Option<String>, StoreError> {
        loop {
            let Some((mut object, owner)) = self.target_set().await? else {
                return Err(StoreError::Lost("the target set's lock is gone".to_owned()));
            };
            if owner.as_ref().is_some_and(|o| o.uid == self.me.uid) {
                return Ok(None);
            }
            // A stale process must not take the image of its run's successor.
            if lease::holder(&object).as_deref() != Some(&self.me.uid) {
                return Err(StoreError::Conflict);
            }
            lease::set_image_owner(&mut object, Some(&self.me));
            lease::stamp_image(&mut object);
            if lease::replace(&self.leases, &object).await? {
                return Ok(owner.map(|o| format!("{}/{}", o.namespace, o.run)));
            }
        }
    }

    async fn close_image(&self) -> Result<(), StoreError> {
        loop {
            let Some((mut object, Some(owner))) = self.target_set().await? else {
                return Ok(());
            };
            if owner.uid == self.me.uid {
                return Ok(());
            }
            if lease::holder(&object).as_deref() != Some(&self.me.uid) {
                return Err(StoreError::Conflict);
            }
            // The row first: a crash in between closes it again instead of never.
            close_row(&self.client, &owner, end_image).await?;
            lease::set_image_owner(&mut object, None);
            if lease::replace(&self.leases, &object).await? {
                return Ok(());
            }
        }
    }

    async fn disown_image(&self) -> Result<(), StoreError> {
        loop {
            let Some((mut object, owner)) = self.target_set().await? else {
                return Ok(());
            };
            if owner.is_none_or(|owner| owner.uid != self.me.uid) {
                return Ok(());
            }
            if lease::holder(&object).as_deref() != Some(&self.me.uid) {
                return Err(StoreError::Conflict);
            }
            lease::set_image_owner(&mut object, None);
            if lease::replace(&self.leases, &object).await? {
                return Ok(());
            }
        }
    }

    async fn pin_image(&self) -> Result<(), StoreError> {
        let Some(image) = &self.image else {
            return Err(StoreError::Lost(
                "no image to be pinned is known".to_owned(),
            ));
        };
        for lock in &self.locks {
            if held::is_pinned_kind(lock.kind) {
                self.pin(lock, image).await?;
            }
        }
        Ok(())
    }

    async fn unpin_image(&self) -> Result<(), StoreError> {
        match &self.image {
            Some(image) => held::unpin(&self.leases, image).await,
            None => Ok(()),
        }
    }

    async fn own_partition(&self, journal: &Journal) -> Result<(), StoreError> {
        let (mut partitions, mut sets) = (self.of(LockKind::Clone), self.of(LockKind::TargetSet));
        let (Some(partition), Some(set)) = (partitions.next(), sets.next()) else {
            return Ok(());
        };
        let of = |step| journal.output(step, "targets");
        let targets = of("verify-site").or_else(|| of("verify-image"));
        let targets = targets.unwrap_or_default();
        let mine = attached::entry(set, &self.me, targets, self.keeps_mappings);
        loop {
            let found = call(self.leases.get_opt(&partition.lease)).await?;
            // Held by another: a stale process must not write into the record of its successor.
            let held = found.filter(|l| lease::holder(l).as_deref() == Some(&self.me.uid));
            let lease = held.ok_or(StoreError::Conflict)?;
            let before = attached::attached(&lease)?;
            // The rows first: a crash in between closes them again instead of never.
            for other in before.iter().filter(|set| set.owner.uid != self.me.uid) {
                close_row(&self.client, &other.owner, leave_partition).await?;
            }
            if !maps(journal) || before == std::slice::from_ref(&mine) {
                return Ok(());
            }
            if attached::record(&self.leases, &lease, std::slice::from_ref(&mine)).await? {
                return Ok(());
            }
        }
    }
}

/// Changes the row of a former owner. A row that is gone or is another object by now needs nothing.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn close_row(
    client: &Client,
    owner: &ImageOwner,
    close: fn(&mut CloneRunStatus, Timestamp),
) -> Result<(), StoreError> {
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &owner.namespace);
    loop {
        let found = call(runs.get_opt(&owner.run)).await?;
        let Some(mut run) = found.filter(|r| r.uid().as_deref() == Some(&owner.uid)) else {
            return Ok(());
        };
        let Some(status) = run.status.as_mut() else {
            return Ok(());
        };
        let before = status.clone();
        close(status, Timestamp::new(Utc::now()));
        if *status == before {
            return Ok(());
        }
        run.metadata.managed_fields = None;
        let parameters = writes_as_us();
        match runs.replace_status(&owner.run, &parameters, &run).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(store_error(error)),
        }
    }
}

/// The run whose held image a run starts or releases.
fn image_of(run: &CloneRun) -> Option<Holder> {
    match run.spec.mode {
        RunMode::StartHeld | RunMode::ReleaseHeld => {}
        RunMode::Clone | RunMode::Preflight | RunMode::End => return None,
    }
    let image = run.status.as_ref()?.resolved.as_ref()?.image.as_ref()?;
    Some(Holder {
        uid: image.uid.clone(),
        namespace: run.namespace().unwrap_or_default(),
        run: image.run.clone(),
    })
}

/// A run that maps nothing leaves the record of who was mapped as it is.
fn maps(journal: &Journal) -> bool {
    journal.entry("map-volumes").is_some()
}
