//! Which target sets the operator has mapped to a clone partition, kept on the Lease of that partition: written by the run
//! that holds it before it maps anything, read by the next one, which may take away what stands there and nothing else.

use super::lease::{Holder, is_pinned, replace};
use super::names::{DeviceLock, clone_lease};
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::recipe::{RecordedSet, RecordedSets, Stays};
use crate::site::{PartitionUuid, Uid};
use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};
use serde::{Deserialize, Serialize};

/// Annotation on the Lease of a clone partition: JSON list of [`Attached`].
const ATTACHED: &str = "ibmiclone.dev/attached";

/// One target set on a clone partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attached {
    /// Lease of the target set.
    pub lease: String,
    /// The target set in words.
    pub device: String,
    /// The run that mapped it.
    pub owner: Holder,
    /// Storage identities of its volumes.
    pub volumes: Vec<String>,
    /// Its environment leaves the mappings in place.
    #[serde(default)]
    pub keep_mappings: bool,
}

/// What the Lease records; a text that cannot be read is an error, because "nothing" would mean that a volume is nobody's.
///
/// # Errors
/// `Lost` with what a person can do.
pub fn attached(lease: &Lease) -> Result<Vec<Attached>, StoreError> {
    let Some(text) = lease.annotations().get(ATTACHED) else {
        return Ok(Vec::new());
    };
    serde_json::from_str(text).map_err(|error| {
        StoreError::Lost(format!(
            "annotation {ATTACHED} of Lease {} cannot be read ({error}): unmap by hand what is on the clone, then remove the annotation",
            lease.name_any()
        ))
    })
}

/// Replaces the record in the object.
pub fn set_attached(lease: &mut Lease, sets: &[Attached]) {
    // Plain strings: this cannot fail.
    let text = serde_json::to_string(sets).unwrap_or_default();
    lease.annotations_mut().insert(ATTACHED.to_owned(), text);
}

/// Records the target set of a run on the Lease of its clone partition; `false` = somebody wrote in between, read again.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn record(
    leases: &Api<Lease>,
    lease: &Lease,
    sets: &[Attached],
) -> Result<bool, StoreError> {
    let mut object = lease.clone();
    set_attached(&mut object, sets);
    replace(leases, &object).await
}

/// The record as steps and checks read it.
#[derive(Clone)]
pub struct KubeRecordedSets {
    leases: Api<Lease>,
}

impl std::fmt::Debug for KubeRecordedSets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeRecordedSets").finish_non_exhaustive()
    }
}

impl KubeRecordedSets {
    /// Over the Leases of the operator's namespace.
    pub fn new(leases: Api<Lease>) -> Self {
        Self { leases }
    }

    async fn stays(&self, set: &Attached) -> Result<Option<Stays>, StoreError> {
        let lease = call(self.leases.get_opt(&set.lease)).await?;
        if lease.is_some_and(|lease| is_pinned(&lease)) {
            return Ok(Some(Stays::Pinned));
        }
        Ok(set.keep_mappings.then_some(Stays::MappingsKept))
    }
}

#[async_trait]
impl RecordedSets for KubeRecordedSets {
    async fn on_clone(&self, clone: &PartitionUuid) -> Result<Vec<RecordedSet>, StoreError> {
        let found = call(self.leases.get_opt(&clone_lease(clone))).await?;
        let Some(lease) = found else {
            return Ok(Vec::new());
        };
        let mut sets = Vec::new();
        for set in attached(&lease)? {
            sets.push(RecordedSet {
                stays: self.stays(&set).await?,
                run: format!("{}/{}", set.owner.namespace, set.owner.run),
                volumes: set.volumes.iter().map(Uid::new).collect(),
                device: set.device,
            });
        }
        Ok(sets)
    }
}

/// This run's own entry.
pub fn entry(lock: &DeviceLock, owner: &Holder, targets: &str, keep_mappings: bool) -> Attached {
    let volumes = targets.split(',').filter(|t| !t.is_empty());
    Attached {
        lease: lock.lease.clone(),
        device: lock.device.clone(),
        owner: owner.clone(),
        volumes: volumes.map(str::to_owned).collect(),
        keep_mappings,
    }
}
