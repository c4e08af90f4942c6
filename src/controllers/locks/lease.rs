//! One lock Lease: who holds it, who waits for it, whose image the target set carries.

use super::names::DeviceLock;
use crate::api::CloneRun;
use crate::controllers::answer::store_error;
use crate::controllers::run::store::{call, writes_as_us};
use crate::engine::ports::StoreError;
use crate::engine::time::Timestamp;
use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff;
use kube::{Api, Client, ResourceExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Label on all Leases of locks.
pub const LOCK_LABEL: &str = "ibmiclone.dev/lock";
const DEVICE: &str = "ibmiclone.dev/device";
/// `namespace/run` of the holder.
pub const HOLDER: &str = "ibmiclone.dev/holder";
const WAITING: &str = "ibmiclone.dev/waiting";
const IMAGE: &str = "ibmiclone.dev/image-owner";
/// Set while a run owns the devices beyond its end (`start-held`); nobody takes a pinned lock.
pub const PINNED: &str = "ibmiclone.dev/pinned";
/// When the image of [`IMAGE`] was taken.
const TAKEN: &str = "ibmiclone.dev/image-taken";
/// Since when the holder's object has been missing.
const VANISHED: &str = "ibmiclone.dev/holder-missing-since";

/// A run that holds, waits or owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// UID of the run object.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub run: String,
}

/// Whose image the target set carries.
pub type ImageOwner = Holder;

/// Outcome of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// A held image pins it: no queue leads to it.
    Pinned {
        /// The run whose image it is.
        image: Holder,
    },
    /// Held by us now.
    Mine,
    /// Somebody else is first.
    Waits {
        /// 1 = next.
        position: i32,
        /// `namespace/run (device)`.
        blocked_by: String,
    },
}

/// Whether a run still needs what it holds or waits for.
enum Life {
    Open,
    Over,
    Missing,
}

/// UID of the holder.
pub fn holder(lease: &Lease) -> Option<String> {
    lease
        .spec
        .as_ref()?
        .holder_identity
        .clone()
        .filter(|uid| !uid.is_empty())
}

/// Whether somebody works with the image or the partition beyond the end of a run.
pub fn is_pinned(lease: &Lease) -> bool {
    lease.annotations().contains_key(PINNED)
}

/// Owner of the image, from the annotation.
pub fn image_owner(lease: &impl ResourceExt) -> Option<ImageOwner> {
    serde_json::from_str(lease.annotations().get(IMAGE)?).ok()
}

/// Changes the owner of the image in the object.
pub fn set_image_owner(lease: &mut Lease, owner: Option<&ImageOwner>) {
    let notes = lease.annotations_mut();
    match owner.and_then(|o| serde_json::to_string(o).ok()) {
        Some(text) => drop(notes.insert(IMAGE.to_owned(), text)),
        None => drop(notes.remove(IMAGE)),
    }
}

/// The run whose held image pins the device.
pub fn pinned(lease: &Lease) -> Option<Holder> {
    let text = lease.annotations().get(PINNED)?;
    // A pin that cannot be read is a pin.
    Some(serde_json::from_str(text).unwrap_or_else(|_| Holder {
        uid: String::new(),
        namespace: String::new(),
        run: text.clone(),
    }))
}

/// Changes the pin in the object.
pub fn set_pinned(lease: &mut Lease, image: Option<&Holder>) {
    let notes = lease.annotations_mut();
    match image.and_then(|i| serde_json::to_string(i).ok()) {
        Some(text) => drop(notes.insert(PINNED.to_owned(), text)),
        None => drop(notes.remove(PINNED)),
    }
}

/// When the image was taken; `None` = there is none. A record from before there were times is the oldest.
pub fn image_taken(lease: &Lease) -> Option<Timestamp> {
    image_owner(lease)?;
    let text = lease.annotations().get(TAKEN);
    let time = text.and_then(|t| t.parse::<DateTime<Utc>>().ok());
    Some(Timestamp::new(time.unwrap_or_default()))
}

/// Notes in the object that its image was taken now.
pub fn stamp_image(lease: &mut Lease) {
    let now = Utc::now().to_rfc3339();
    lease.annotations_mut().insert(TAKEN.to_owned(), now);
}

/// A conditional write. `false` = somebody else wrote in between.
pub async fn replace(leases: &Api<Lease>, lease: &Lease) -> Result<bool, StoreError> {
    let mut object = lease.clone();
    object.metadata.managed_fields = None;
    let name = lease.name_any();
    let parameters = writes_as_us();
    let request = leases.replace(&name, &parameters, &object);
    match tokio::time::timeout(Duration::from_secs(5), request).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_not_found() => {
            Ok(false)
        }
        Ok(Err(error)) => Err(store_error(error)),
        Err(_) => Err(StoreError::Lost("the API server did not answer".to_owned())),
    }
}

/// One try to take a lock; a run that misses it is entered into the queue of the Lease. `about` = UID of the run whose
/// held image this one starts or releases: its pin is no obstacle.
pub async fn take(
    client: &Client,
    leases: &Api<Lease>,
    lock: &DeviceLock,
    me: &Holder,
    about: Option<&str>,
    grace: Duration,
) -> Result<Taken, StoreError> {
    loop {
        let Some(mut lease) = call(leases.get_opt(&lock.lease)).await? else {
            if create(leases, lock, me).await? {
                return Ok(Taken::Mine);
            }
            continue;
        };
        if holder(&lease).as_deref() == Some(&me.uid) {
            return Ok(Taken::Mine);
        }
        if let Some(image) = pinned(&lease).filter(|image| about != Some(&image.uid)) {
            return Ok(Taken::Pinned { image });
        }
        let ahead = ahead_of_me(client, &lease, me).await?;
        let free = is_free(client, leases, &lease, grace).await?;
        match (free, ahead.first()) {
            (Free::Changed, _) => continue,
            (Free::Yes, None) => {
                seize(&mut lease, me);
                if replace(leases, &lease).await? {
                    return Ok(Taken::Mine);
                }
            }
            (Free::Yes, Some(first)) => {
                let by = format!("{}/{} ({})", first.namespace, first.run, lock.device);
                if let Some(position) = enqueue(leases, lease, me, &ahead).await? {
                    return Ok(Taken::Waits {
                        position,
                        blocked_by: by,
                    });
                }
            }
            (Free::No(who), _) => {
                let by = format!("{who} ({})", lock.device);
                if let Some(position) = enqueue(leases, lease, me, &ahead).await? {
                    return Ok(Taken::Waits {
                        position,
                        blocked_by: by,
                    });
                }
            }
        }
    }
}

/// Whether an open run holds the lock; a final run's lock only waits for somebody to need it.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn in_use(client: &Client, lease: &Lease) -> Result<bool, StoreError> {
    let Some(uid) = holder(lease) else {
        return Ok(false);
    };
    match life(client, &named(lease, uid)).await? {
        Life::Open => Ok(true),
        Life::Over | Life::Missing => Ok(false),
    }
}

/// Whether an open run waits for the lock.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn is_waited_for(client: &Client, lease: &Lease) -> Result<bool, StoreError> {
    for run in queue(lease) {
        match life(client, &run).await? {
            Life::Open => return Ok(true),
            Life::Over | Life::Missing => {}
        }
    }
    Ok(false)
}

/// The run that holds it and is not over.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn holding_run(client: &Client, lease: &Lease) -> Result<Option<Holder>, StoreError> {
    let Some(uid) = holder(lease) else {
        return Ok(None);
    };
    let who = named(lease, uid);
    Ok(match life(client, &who).await? {
        Life::Over => None,
        Life::Open | Life::Missing => Some(who),
    })
}

fn named(lease: &Lease, uid: String) -> Holder {
    let name = lease.annotations().get(HOLDER).map(String::as_str);
    let (namespace, run) = name.and_then(|n| n.split_once('/')).unwrap_or_default();
    Holder {
        uid,
        namespace: namespace.to_owned(),
        run: run.to_owned(),
    }
}

enum Free {
    Yes,
    No(String),
    Changed,
}

/// A lock is free without a holder, or when its holder's run is final. A holder whose object has
/// vanished (finalizer removed by force) may still be in its window in some process: its lock is respected for `grace`.
async fn is_free(
    client: &Client,
    leases: &Api<Lease>,
    lease: &Lease,
    grace: Duration,
) -> Result<Free, StoreError> {
    let Some(uid) = holder(lease) else {
        return Ok(Free::Yes);
    };
    let who = named(lease, uid);
    let named = format!("{}/{}", who.namespace, who.run);
    match life(client, &who).await? {
        // Whoever holds a pinned lock has no window, so nothing of it needs to be waited for.
        Life::Missing if pinned(lease).is_some() => Ok(Free::Yes),
        Life::Open => Ok(Free::No(named)),
        Life::Over => Ok(Free::Yes),
        Life::Missing => missing(leases, lease, &named, grace).await,
    }
}

/// Notes on a lock since when its holder's object has been missing.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn notice_missing(
    client: &Client,
    leases: &Api<Lease>,
    lock: &DeviceLock,
) -> Result<(), StoreError> {
    let Some(lease) = call(leases.get_opt(&lock.lease)).await? else {
        return Ok(());
    };
    let Some(uid) = holder(&lease) else {
        return Ok(());
    };
    let who = named(&lease, uid);
    if !lease.annotations().contains_key(VANISHED)
        && matches!(life(client, &who).await?, Life::Missing)
    {
        mark_missing(leases, &lease).await?;
    }
    Ok(())
}

async fn mark_missing(leases: &Api<Lease>, lease: &Lease) -> Result<(), StoreError> {
    let mut marked = lease.clone();
    let now = Utc::now().to_rfc3339();
    marked.annotations_mut().insert(VANISHED.to_owned(), now);
    // A conflict means that somebody else is looking too.
    replace(leases, &marked).await.map(drop)
}

async fn missing(
    leases: &Api<Lease>,
    lease: &Lease,
    named: &str,
    grace: Duration,
) -> Result<Free, StoreError> {
    let since = lease
        .annotations()
        .get(VANISHED)
        .and_then(|t| t.parse::<DateTime<Utc>>().ok());
    match since {
        None => {
            mark_missing(leases, lease).await?;
            Ok(Free::Changed)
        }
        Some(since) if (Utc::now() - since).to_std().unwrap_or_default() >= grace => Ok(Free::Yes),
        Some(_) => Ok(Free::No(format!("{named}, whose object is gone"))),
    }
}

/// Asks the run object itself, never a cache.
async fn life(client: &Client, who: &Holder) -> Result<Life, StoreError> {
    if who.namespace.is_empty() || who.run.is_empty() {
        return Ok(Life::Missing);
    }
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &who.namespace);
    let found = match call(runs.get_opt(&who.run)).await {
        Ok(found) => found,
        Err(StoreError::Gone) => None,
        // An object that cannot be decoded may well be alive: rule 13 must not free a device.
        Err(StoreError::Lost(text)) if text.contains("deserial") => return Ok(Life::Open),
        Err(error) => return Err(error),
    };
    let Some(run) = found.filter(|r| r.uid().as_deref() == Some(&who.uid)) else {
        return Ok(Life::Missing);
    };
    let phase = run.status.map(|s| s.phase).unwrap_or_default();
    Ok(if phase.is_final() {
        Life::Over
    } else {
        Life::Open
    })
}

fn queue(lease: &Lease) -> Vec<Holder> {
    let text = lease.annotations().get(WAITING);
    text.and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or_default()
}

fn set_queue(lease: &mut Lease, queue: &[Holder]) {
    let notes = lease.annotations_mut();
    match serde_json::to_string(queue) {
        Ok(text) if !queue.is_empty() => drop(notes.insert(WAITING.to_owned(), text)),
        Ok(_) | Err(_) => drop(notes.remove(WAITING)),
    }
}

/// Who waits before us and is still alive: first come, first served.
async fn ahead_of_me(
    client: &Client,
    lease: &Lease,
    me: &Holder,
) -> Result<Vec<Holder>, StoreError> {
    let mut alive = Vec::new();
    for other in queue(lease) {
        if other.uid == me.uid {
            break;
        }
        match life(client, &other).await? {
            Life::Open => alive.push(other),
            Life::Over | Life::Missing => {}
        }
    }
    Ok(alive)
}

/// Enters us behind `ahead` and gives our place; `None` = try again.
async fn enqueue(
    leases: &Api<Lease>,
    mut lease: Lease,
    me: &Holder,
    ahead: &[Holder],
) -> Result<Option<i32>, StoreError> {
    let old = queue(&lease);
    let mut new: Vec<Holder> = ahead.to_vec();
    new.push(me.clone());
    // Whoever came after us stays after us.
    let behind = old.iter().skip_while(|h| h.uid != me.uid).skip(1);
    new.extend(behind.cloned());
    let position = i32::try_from(ahead.len() + 1).unwrap_or(i32::MAX);
    if new == old {
        return Ok(Some(position));
    }
    set_queue(&mut lease, &new);
    Ok(replace(leases, &lease).await?.then_some(position))
}

fn seize(lease: &mut Lease, me: &Holder) {
    let rest: Vec<Holder> = queue(lease)
        .into_iter()
        .filter(|h| h.uid != me.uid)
        .collect();
    set_queue(lease, &rest);
    let notes = lease.annotations_mut();
    notes.remove(VANISHED);
    notes.insert(HOLDER.to_owned(), format!("{}/{}", me.namespace, me.run));
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = Some(me.uid.clone());
    spec.acquire_time = Some(now());
    spec.lease_transitions = Some(spec.lease_transitions.unwrap_or_default() + 1);
}

fn now() -> MicroTime {
    MicroTime(jiff::Timestamp::now())
}

async fn create(leases: &Api<Lease>, lock: &DeviceLock, me: &Holder) -> Result<bool, StoreError> {
    let mut lease = Lease {
        metadata: ObjectMeta {
            name: Some(lock.lease.clone()),
            labels: Some(BTreeMap::from([(
                LOCK_LABEL.to_owned(),
                "device".to_owned(),
            )])),
            annotations: Some(BTreeMap::from([(DEVICE.to_owned(), lock.device.clone())])),
            ..ObjectMeta::default()
        },
        spec: None,
    };
    seize(&mut lease, me);
    let parameters = writes_as_us();
    let request = leases.create(&parameters, &lease);
    match tokio::time::timeout(Duration::from_secs(5), request).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => Ok(false),
        Ok(Err(error)) => Err(store_error(error)),
        Err(_) => Err(StoreError::Lost("the API server did not answer".to_owned())),
    }
}

/// Gives the lock back and leaves the queue; what is not ours stays as it is.
pub async fn release(
    leases: &Api<Lease>,
    lock: &DeviceLock,
    me: &Holder,
) -> Result<(), StoreError> {
    loop {
        let Some(mut lease) = call(leases.get_opt(&lock.lease)).await? else {
            return Ok(());
        };
        let before = lease.clone();
        let rest: Vec<Holder> = queue(&lease)
            .into_iter()
            .filter(|h| h.uid != me.uid)
            .collect();
        set_queue(&mut lease, &rest);
        // A pinned lock keeps its holder: it has an owner although no run is open.
        if holder(&lease).as_deref() == Some(&me.uid) && pinned(&lease).is_none() {
            lease.annotations_mut().remove(HOLDER);
            if let Some(spec) = lease.spec.as_mut() {
                spec.holder_identity = None;
                spec.acquire_time = None;
            }
        }
        if lease == before || replace(leases, &lease).await? {
            return Ok(());
        }
    }
}
