//! Simulated Storage Virtualize system: volumes, hosts, pools, FlashCopy maps and groups, as `storage-virtualize.md` says.

use crate::simulators::world::World;
use crate::simulators::world::coupling::DiskAccess;
use crate::simulators::world::file::{UserFile, any_port};
use crate::site::{Uid, Wwpn};
use serde::{Deserialize, Serialize};

/// The array as a person writes it.
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
}

/// The array's state.
#[derive(Debug, Clone, Default)]
pub struct Array {}

/// Moves the array to `world.now`.
pub fn advance(_world: &mut World) {}

/// Whether a volume can be read now.
pub fn access(_world: &World, _uid: &Uid) -> DiskAccess {
    DiskAccess::Usable
}

/// Volumes mapped to host objects that hold any of these ports, in the order of SCSI ids.
pub fn volumes_of_ports(_world: &World, _ports: &[Wwpn]) -> Vec<Uid> {
    Vec::new()
}

/// Volumes mapped to one host object (a VIOS), in the order of SCSI ids.
pub fn volumes_of_host(_world: &World, _host: &str) -> Vec<Uid> {
    Vec::new()
}

/// Whether a volume is the source of a prepared mapping: its writes go through the cache (`storage-virtualize.md`).
pub fn is_prepared_source(_world: &World, _uid: &Uid) -> bool {
    false
}

/// UID of a volume by the array's name of it.
pub fn uid_of(_world: &World, _name: &str) -> Option<Uid> {
    None
}

/// Builds the array.
pub fn install(_world: &mut World, _file: &ArrayFile) -> Result<(), String> {
    Ok(())
}

/// Violations that can only be told at the end: group left prepared, token left.
pub fn check_left_behind(_world: &mut World) {}
