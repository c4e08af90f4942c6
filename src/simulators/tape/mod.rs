//! Tape drives, libraries and cartridges: what lies outside every disk, so no FlashCopy takes it along.
//!
//! A cartridge keeps who wrote it and until when that may not be overwritten; what a system *believes* of a cartridge is in
//! its BRMS, on its disks. The difference between both is what this module is for: a cartridge that the clone wrote under
//! production's BRMS name and that production's BRMS does not know will be overwritten one day.

pub mod file;

pub use file::{CartridgeFile, DriveFile, TapeSite};

use super::ledger::ViolationKind;
use super::world::World;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Drives and cartridges of the world.
#[derive(Debug, Clone, Default)]
pub struct Tapes {
    /// Drives by device name.
    pub drives: BTreeMap<String, Drive>,
    /// Cartridges by volume id.
    pub cartridges: BTreeMap<String, Cartridge>,
    /// Volumes that somebody outside has listed as to be protected: that production's BRMS does not know them is known.
    pub protected: BTreeSet<String>,
    last_write: u64,
}

/// A drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// Partitions that reach it; empty = every one.
    pub partitions: Vec<String>,
    /// Part of a library: it loads what is asked for by itself.
    pub library: bool,
    /// Whether it answers at all; off = the system asks the operator to make it ready.
    pub ready: bool,
    /// Cartridge in it.
    pub loaded: Option<String>,
}

/// A cartridge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cartridge {
    /// Has a label.
    pub initialised: bool,
    /// Writing fails.
    pub broken: bool,
    /// Saved files, oldest first.
    pub files: Vec<SavedFile>,
}

/// One saved file on a cartridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// Number of the write, unique in the world.
    pub write: u64,
    /// What it is: `SAVSYS`, a control group.
    pub label: String,
    /// Partition that wrote it.
    pub partition: String,
    /// Job that wrote it.
    pub job: String,
    /// Name of the BRMS that wrote it; `None` without BRMS.
    pub brms: Option<String>,
    /// World time.
    pub at: DateTime<Utc>,
    /// May not be overwritten before; `None` = no protection.
    pub expires: Option<DateTime<Utc>>,
}

/// A file about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// What it is.
    pub label: String,
    /// Partition that writes.
    pub partition: String,
    /// Job that writes.
    pub job: String,
    /// Name of the BRMS that writes.
    pub brms: Option<String>,
    /// May not be overwritten before.
    pub expires: Option<DateTime<Utc>>,
}

impl Tapes {
    /// The drive, when this partition reaches it.
    pub fn drive(&self, partition: &str, device: &str) -> Option<&Drive> {
        let reaches =
            |d: &&Drive| d.partitions.is_empty() || d.partitions.iter().any(|p| p == partition);
        self.drives.get(device).filter(reaches)
    }
    /// Names of the drives this partition reaches.
    pub fn devices(&self, partition: &str) -> Vec<String> {
        let names = self.drives.keys();
        names
            .filter(|name| self.drive(partition, name).is_some())
            .cloned()
            .collect()
    }
    /// Whether a library that this partition reaches can load the cartridge, or has it in a drive.
    pub fn reachable(&self, partition: &str, volume: &str) -> bool {
        let cartridge = self.cartridges.get(volume);
        cartridge.is_some_and(|c| c.initialised && !c.broken)
            && self.devices(partition).iter().any(|name| {
                let drive = self.drives.get(name);
                drive.is_some_and(|d| d.ready && (d.library || d.loaded.as_deref() == Some(volume)))
            })
    }
    /// Files that may not be overwritten yet.
    pub fn unexpired(&self, volume: &str, now: DateTime<Utc>) -> Vec<&SavedFile> {
        let files = self.cartridges.get(volume).map(|c| c.files.as_slice());
        let live = files.unwrap_or_default().iter();
        live.filter(|f| f.expires.is_some_and(|e| e > now))
            .collect()
    }
    /// The newest write of a cartridge by BRMS.
    fn newest_by_brms(&self, volume: &str) -> Option<&SavedFile> {
        let files = &self.cartridges.get(volume)?.files;
        files.iter().rfind(|f| f.brms.is_some())
    }
}

/// Writes a file from the beginning of a cartridge (`append` false), or behind what is there. Gives the write's number.
pub fn write(world: &mut World, volume: &str, file: NewFile, append: bool) -> u64 {
    let now = world.now;
    world.tapes.last_write += 1;
    let write = world.tapes.last_write;
    let lost: Vec<String> = if append {
        Vec::new()
    } else {
        let foreign = |f: &&SavedFile| f.job != file.job || f.partition != file.partition;
        let unexpired = world.tapes.unexpired(volume, now);
        let lost = unexpired.into_iter().filter(foreign);
        lost.map(|f| format!("{} of {}", f.label, f.partition))
            .collect()
    };
    // Without BRMS an operator has said that the files may go.
    if file.brms.is_some() && !lost.is_empty() {
        world.violation(
            ViolationKind::BackupTapeOverwritten,
            format!(
                "{} on {} overwrote {} on volume {volume}, which had not expired",
                file.label,
                file.partition,
                lost.join(", ")
            ),
        );
    }
    world
        .ledger
        .effect(format!("tape.{volume}.{}", file.partition));
    let cartridge = world.tapes.cartridges.entry(volume.to_owned()).or_default();
    if !append {
        cartridge.files.clear();
    }
    cartridge.files.push(SavedFile {
        write,
        label: file.label,
        partition: file.partition,
        job: file.job,
        brms: file.brms,
        at: now,
        expires: file.expires,
    });
    write
}

/// At the end: production's BRMS, out of its FlashCopy process, must know every tape that was written in its name. Tapes
/// on the list of protected volumes are counted (`tape.unknown-but-listed`) instead.
pub fn check_left_behind(world: &mut World) {
    let now = world.now;
    let mut unknown = Vec::new();
    let mut listed = 0;
    for source in world.sources.clone() {
        let Some(name) = super::ibmi::brms::normal_name(world, &source) else {
            continue;
        };
        for (volume, cartridge) in &world.tapes.cartridges {
            let Some(newest) = world.tapes.newest_by_brms(volume) else {
                continue;
            };
            let in_its_name = newest.brms.as_ref() == Some(&name);
            let lives = cartridge
                .files
                .iter()
                .any(|f| f.expires.is_some_and(|e| e > now));
            let known = super::ibmi::brms::knows_write(world, &source, volume, newest.write);
            if !in_its_name || !lives || known || newest.partition == source {
                continue;
            }
            if world.tapes.protected.contains(volume) {
                listed += 1;
            } else {
                unknown.push(format!(
                    "BRMS of {source} does not know that {} wrote {} on volume {volume}",
                    newest.partition, newest.label
                ));
            }
        }
    }
    for text in unknown {
        world.violation(ViolationKind::TapeUnknownToProduction, text);
    }
    for _ in 0..listed {
        world.ledger.effect("tape.unknown-but-listed");
    }
}

#[cfg(test)]
mod tests;
