//! Simulated VIOSes: hdisks made from the array's host mappings, virtual target devices, the padmin command line as
//! the HMC's CLIRunner reaches it (`hmc.md` § 5).

use crate::simulators::world::World;
use crate::simulators::world::coupling::SeenDisk;
use serde::{Deserialize, Serialize};

/// A VIOS as a person writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ViosFile {
    /// Name of its partition (also listed at the console).
    pub name: String,
    /// Host object of the array whose mappings become its hdisks.
    pub array_host: String,
}

/// A VIOS's state.
#[derive(Debug, Clone, Default)]
pub struct Vios {}

/// Moves the VIOSes to `world.now`.
pub fn advance(_world: &mut World) {}

/// Disks a client partition sees through its vSCSI adapters, in LUN order, once per VIOS.
pub fn client_disks(_world: &World, _partition: &str) -> Vec<SeenDisk> {
    Vec::new()
}

/// Builds the VIOSes.
pub fn install(_world: &mut World, _file: &[ViosFile]) -> Result<(), String> {
    Ok(())
}
