//! The array as a person writes it in `world.yaml`.

use crate::simulators::world::file::{UserFile, any_port};
use serde::{Deserialize, Serialize};

/// One Storage Virtualize system.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArrayFile {
    /// Name, for messages and faults.
    pub name: String,
    /// Socket of the REST API.
    #[serde(default = "any_port")]
    pub listen: String,
    /// Names in its certificate.
    #[serde(default)]
    pub certificate_names: Vec<String>,
    /// Users.
    pub users: Vec<UserFile>,
    /// Code level as `lssystem` prints it.
    #[serde(default = "level")]
    pub level: String,
    /// Pools.
    pub pools: Vec<PoolFile>,
    /// Volumes.
    pub volumes: Vec<VolumeFile>,
    /// Host objects.
    #[serde(default)]
    pub hosts: Vec<HostFile>,
    /// Consistency groups with their maps.
    #[serde(default)]
    pub groups: Vec<GroupFile>,
    /// Volume protection: unmapping is refused this many minutes after the last I/O; 0 = off.
    #[serde(default)]
    pub protection_minutes: u32,
    /// Copy-on-write: thousandths of a thin target's capacity that a minute of a copy writes to it.
    #[serde(default = "one_per_mille")]
    pub growth_per_mille: u64,
    /// Token lifetime, minutes.
    #[serde(default = "sixty")]
    pub token_minutes: u32,
    /// Calls to `/auth` per second and commands per second before 429; 0 = no limit. Counted on the machine's clock.
    #[serde(default)]
    pub auth_per_second: u32,
    /// Commands per second before 429; 0 = no limit.
    #[serde(default)]
    pub commands_per_second: u32,
}

fn level() -> String {
    "8.6.0.3 (build 169.5.2311210000000)".to_owned()
}
fn one_per_mille() -> u64 {
    1
}
fn sixty() -> u32 {
    60
}

/// A storage pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PoolFile {
    /// Name.
    pub name: String,
    /// Capacity in GiB.
    pub gib: u64,
    /// Physical fill at the start, percent.
    #[serde(default = "half")]
    pub used_percent: u64,
    /// Data reduction pool: per-volume use is blank.
    #[serde(default)]
    pub data_reduction: bool,
}

fn half() -> u64 {
    50
}

/// A volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VolumeFile {
    /// Name.
    pub name: String,
    /// 32 hex digits; made from the place in the list when absent.
    #[serde(default)]
    pub uid: Option<String>,
    /// Virtual capacity in GiB.
    pub gib: u64,
    /// Pool.
    pub pool: String,
    /// Space efficient.
    #[serde(default)]
    pub thin: bool,
}

/// A host object with its private mappings, SCSI ids in the order written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostFile {
    /// Name.
    pub name: String,
    /// Its ports.
    pub wwpns: Vec<String>,
    /// Mapped volumes.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// Something that is not simulated reads and writes them all the time (volume protection).
    #[serde(default)]
    pub busy: bool,
}

/// A FlashCopy consistency group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupFile {
    /// Name.
    pub name: String,
    /// Its maps.
    #[serde(default)]
    pub maps: Vec<MapFile>,
}

/// A FlashCopy map.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MapFile {
    /// Name.
    pub name: String,
    /// Source volume.
    pub source: String,
    /// Target volume.
    pub target: String,
    /// 0–150.
    #[serde(default)]
    pub copy_rate: u8,
    /// Deletes itself at 100 %.
    #[serde(default)]
    pub autodelete: bool,
    /// Owned by remote copy.
    #[serde(default)]
    pub rc_controlled: bool,
    /// `idle_or_copied`, `stopped`, `suspended`, `copying`, `prepared`; default `idle_or_copied`.
    #[serde(default)]
    pub state: Option<String>,
}
