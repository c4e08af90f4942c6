//! Simulated HMC with its managed systems and partitions (hypervisor state), as `hmc.md` says.

use crate::simulators::world::World;
use crate::simulators::world::file::UserFile;
use crate::site::{Identity, Wwpn};
use serde::{Deserialize, Serialize};

/// Consoles, systems and partitions as a person writes them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsoleFile {
    /// Name, for messages and faults.
    pub name: String,
    /// Sockets of the REST API: one, or two consoles that manage the same systems.
    pub listen: Vec<String>,
    /// Names in its certificate.
    #[serde(default)]
    pub certificate_names: Vec<String>,
    /// Users.
    pub users: Vec<UserFile>,
}

/// Hypervisor state of all systems and the consoles' sessions and jobs.
#[derive(Debug, Clone, Default)]
pub struct Consoles {}

impl Consoles {
    /// All partitions.
    pub fn partition_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// WWPNs of a partition's virtual Fibre Channel adapters.
    pub fn ports_of(&self, _partition: &str) -> Vec<Wwpn> {
        Vec::new()
    }
    /// Serial and partition id.
    pub fn identity_of(&self, _partition: &str) -> Option<Identity> {
        None
    }
}

/// Moves jobs, power-offs, activations and IPLs to `world.now`; an IPL that reaches the disks asks
/// `coupling::find_system` and hands the image to `ibmi::boot`.
pub fn advance(_world: &mut World) {}

/// Whether a partition is anything but `not activated`.
pub fn is_on(_world: &World, _partition: &str) -> bool {
    false
}

/// Called by IBM i for PWRDWNSYS: `restart` = a new IPL from the same disks, else the partition goes off.
pub fn guest_power_down(_world: &mut World, _partition: &str, _restart: bool) {}

/// Builds systems and partitions.
pub fn install(_world: &mut World, _file: &ConsoleFile) -> Result<(), String> {
    Ok(())
}

/// Violations that can only be told at the end: session left open.
pub fn check_left_behind(_world: &mut World) {}
