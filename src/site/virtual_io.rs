//! The VIOS role: maps and unmaps *this clone's* volumes on every VIOS that serves it, by storage UID only.

use super::{DeviceError, Uid};
use async_trait::async_trait;
use std::fmt;

/// One volume the clone should see, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedVolume {
    /// Storage identity.
    pub uid: Uid,
    /// Virtual target device name, ≤ 15 characters, the same on every VIOS.
    pub vtd: String,
}

/// One VIOS's view of one wanted volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumePath {
    /// Name of the VIOS.
    pub vios: String,
    /// Storage identity.
    pub uid: Uid,
    /// hdisk names with this UID; exactly one is healthy, none = the VIOS must look again, two = broken.
    pub disks: Vec<String>,
    /// The VTD that maps it to the clone's adapter, if any.
    pub mapped_as: Option<String>,
    /// Other adapters (vhosts) of this VIOS that map the same disk: never ours to touch.
    pub mapped_elsewhere: Vec<String>,
}

/// A virtual target device on the clone's adapters that maps none of the wanted volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignDevice {
    /// `VIOS/vhost/vtd`.
    pub place: String,
    /// Storage identity of the disk behind it; `None` = the VIOS tells none (a file, a logical volume).
    pub uid: Option<Uid>,
}

impl fmt::Display for ForeignDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// What the VIOSes say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VirtualIoState {
    /// One entry per VIOS and wanted volume.
    pub paths: Vec<VolumePath>,
    /// VTDs on the clone's adapters that map none of the wanted volumes.
    pub foreign: Vec<ForeignDevice>,
}

impl VirtualIoState {
    /// Whether no wanted volume is mapped anywhere on the clone's adapters.
    pub fn all_unmapped(&self) -> bool {
        self.paths.iter().all(|p| p.mapped_as.is_none())
    }
    /// Whether every wanted volume has exactly one disk and is mapped, on every VIOS.
    pub fn all_mapped(&self) -> bool {
        !self.paths.is_empty()
            && self
                .paths
                .iter()
                .all(|p| p.disks.len() == 1 && p.mapped_as.is_some())
    }
}

/// Maps and unmaps this clone's volumes.
#[async_trait]
pub trait VirtualIo: Send + Sync {
    /// Reads every VIOS. A VIOS that cannot answer is an error, never "no mapping".
    async fn observe(&self, volumes: &[WantedVolume]) -> Result<VirtualIoState, DeviceError>;
    /// Effect: removes the VTDs of these volumes from the clone's adapters and unconfigures the disks, on every VIOS,
    /// whichever adapter they are meant for. What is not there is skipped.
    async fn unmap(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError>;
    /// Effect: looks for new disks where one is missing, sets `no_reserve`, maps what is not mapped, in the order given
    /// (load source first), never with force.
    async fn map(&self, volumes: &[WantedVolume]) -> Result<(), DeviceError>;
}
