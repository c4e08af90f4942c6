//! The array's host mappings as NPIV needs them: which host objects hold the clone's ports, and what they show.

use super::{DeviceError, Uid, Wwpn};
use async_trait::async_trait;

/// One volume that a host object sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostVolume {
    /// The array's name of it.
    pub name: String,
    /// Storage identity.
    pub uid: Uid,
    /// Its number at that host.
    pub scsi_id: u32,
    /// Mapped to a whole host cluster, not to this host alone (`storage-virtualize.md` § 5).
    pub shared: bool,
}

/// A host object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostObject {
    /// The array's name of it.
    pub name: String,
    /// All its Fibre Channel ports, whoever they belong to.
    pub ports: Vec<Wwpn>,
    /// Everything it sees, by ascending SCSI id.
    pub volumes: Vec<HostVolume>,
}

/// A volume and the host objects it is mapped to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedVolume {
    /// The array's name of it.
    pub name: String,
    /// Storage identity.
    pub uid: Uid,
    /// Names of the host objects.
    pub hosts: Vec<String>,
}

/// Host mappings of one array. Whoever calls the effects has proved just before that the host object holds the clone's
/// ports and no others.
#[async_trait]
pub trait HostMappings: Send + Sync {
    /// Host objects that hold any of these ports. A port belongs to one host object at most.
    async fn hosts_of(&self, ports: &[Wwpn]) -> Result<Vec<HostObject>, DeviceError>;
    /// The volumes with these identities, in this order; one that the array does not have is a refusal.
    async fn volumes(&self, uids: &[Uid]) -> Result<Vec<MappedVolume>, DeviceError>;
    /// Effect: maps a volume to a host object under this SCSI id, never with force. Mapped already is no error.
    async fn map(&self, host: &str, volume: &str, scsi_id: u32) -> Result<(), DeviceError>;
    /// Effect: removes the mapping. Not mapped is no error; a volume under volume protection is `Busy`.
    async fn unmap(&self, host: &str, volume: &str) -> Result<(), DeviceError>;
}
