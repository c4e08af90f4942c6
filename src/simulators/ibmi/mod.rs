//! Simulated IBM i: disk state (copied by FlashCopy), running state (not copied), CL, SQL services, SSH, and the guest
//! kit's behaviour as `ibmi/CONTRACT.md` says.

use crate::simulators::world::{ImageId, Quality, World};
use serde::{Deserialize, Serialize};

/// A system as a person writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemFile {
    /// Partition it runs on at the start.
    pub partition: String,
    /// Array names of its disks, load source first.
    pub volumes: Vec<String>,
    /// Its name.
    pub system_name: String,
}

/// What the disks contain.
#[derive(Debug, Clone, Default)]
pub struct DiskState {}

/// A partition's IBM i while it runs.
#[derive(Debug, Clone, Default)]
pub struct System {
    image: Option<ImageId>,
}

impl System {
    /// The image it runs on; `None` when off.
    pub fn image(&self) -> Option<ImageId> {
        self.image
    }
}

/// Moves every running system to `world.now`: IPL stages, start-up program and kit, jobs, suspensions, watchdogs.
pub fn advance(_world: &mut World) {}

/// Called by the hypervisor when an IPL found its disks; `manual` = keylock manual: stops at the console.
pub fn boot(_world: &mut World, _partition: &str, _image: ImageId, _manual: bool) {}

/// Called by the hypervisor when the partition loses power.
pub fn power_lost(_world: &mut World, _partition: &str) {}

/// The system reference code the console shows for a running IBM i.
pub fn reference_code(_world: &World, _partition: &str) -> String {
    "00000000".to_owned()
}

/// How the system is now, for a copy taken at this instant.
pub fn quality(_world: &World, _partition: &str) -> Quality {
    Quality::Dirty
}

/// Builds the systems and lays their images on their volumes; those whose partition is `running` are up.
pub fn install(_world: &mut World, _file: &[SystemFile]) -> Result<(), String> {
    Ok(())
}

/// Violations that can only be told at the end: source left suspended, parameter file left, SSH session left.
pub fn check_left_behind(_world: &mut World) {}
