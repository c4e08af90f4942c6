//! Tapes as a person writes them in `world.yaml`.

use super::{Cartridge, Drive};
use crate::simulators::world::World;
use serde::{Deserialize, Serialize};

/// Drives and cartridges.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TapeSite {
    /// Drives.
    #[serde(default)]
    pub drives: Vec<DriveFile>,
    /// Cartridges.
    #[serde(default)]
    pub cartridges: Vec<CartridgeFile>,
}

/// A tape drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriveFile {
    /// Device description, `TAP01`.
    pub device: String,
    /// Partitions that reach it; empty = every one.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// Part of a library: loads the volume that is asked for by itself.
    #[serde(default = "yes")]
    pub library: bool,
    /// Answers; off = the system asks the operator to make it ready, and waits.
    #[serde(default = "yes")]
    pub ready: bool,
    /// Volume in the drive at the start.
    #[serde(default)]
    pub loaded: Option<String>,
}

/// A cartridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CartridgeFile {
    /// Volume id, at most 6 characters.
    pub volume: String,
    /// Has a label.
    #[serde(default = "yes")]
    pub initialised: bool,
    /// Every write ends in a media error.
    #[serde(default)]
    pub broken: bool,
    /// Holds a file that expires this many days after the start; 0 = empty.
    #[serde(default)]
    pub unexpired_days: u32,
}

fn yes() -> bool {
    true
}

/// Builds drives and cartridges.
///
/// # Errors
/// A partition or volume that the file does not have, a doubled or unusable name.
pub fn install(world: &mut World, file: &TapeSite) -> Result<(), String> {
    for c in &file.cartridges {
        let fine = (1..=6).contains(&c.volume.len())
            && c.volume
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !fine {
            return Err(format!(
                "tapes: cartridge {}: write a volume of 1 to 6 characters of A-Z 0-9",
                c.volume
            ));
        }
        let mut cartridge = Cartridge {
            initialised: c.initialised,
            broken: c.broken,
            files: Vec::new(),
        };
        if c.unexpired_days > 0 {
            cartridge.files.push(super::SavedFile {
                write: 0,
                label: "BEFORE".to_owned(),
                partition: "somebody".to_owned(),
                job: String::new(),
                brms: None,
                at: world.now,
                expires: Some(world.now + chrono::Duration::days(i64::from(c.unexpired_days))),
            });
        }
        let before = world.tapes.cartridges.insert(c.volume.clone(), cartridge);
        if before.is_some() {
            return Err(format!("tapes: cartridge {} is there twice", c.volume));
        }
    }
    for d in &file.drives {
        for p in &d.partitions {
            if !world.console.partitions.contains_key(p) {
                return Err(format!(
                    "tapes: drive {}: no partition {p}; write names of console.partitions",
                    d.device
                ));
            }
        }
        if let Some(volume) = &d.loaded
            && !world.tapes.cartridges.contains_key(volume)
        {
            return Err(format!(
                "tapes: drive {}: no cartridge {volume}; add it under tapes.cartridges",
                d.device
            ));
        }
        let drive = Drive {
            partitions: d.partitions.clone(),
            library: d.library,
            ready: d.ready,
            loaded: d.loaded.clone(),
        };
        let before = world
            .tapes
            .drives
            .insert(d.device.to_ascii_uppercase(), drive);
        if before.is_some() {
            return Err(format!("tapes: drive {} is there twice", d.device));
        }
    }
    Ok(())
}
