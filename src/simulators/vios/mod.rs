//! Simulated VIOSes: hdisks made from the array's host mappings, virtual target devices, the padmin command line as
//! the HMC's CLIRunner reaches it (`hmc.md` § 5).
//!
//! Faults (`Device::Vios`, named by VIOS): any general one on the beginning of a command (`mkvdev`), for example
//! `Refuse { code: "0514-548", … }` for a full file system; `AnswerLost`: the command runs, the console's answer to the
//! job's submission is lost. `Special("renumber")` on a verb: just before it, somebody removes the disks that back
//! nothing and finds them again under other numbers.

mod commands;
mod disks;
mod listings;
mod npiv;
mod options;
mod role;

pub use commands::{Output, command};
pub use disks::{identifier, unique_id};
pub(crate) use listings::{disk_location, megabytes};
pub(crate) use npiv::{fibre_channel, fibre_channel_slot};
pub use role::VirtualIoRole;

use crate::simulators::hmc;
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::World;
use crate::simulators::world::coupling::SeenDisk;
use crate::site::Uid;
use serde::{Deserialize, Serialize};

/// A VIOS as a person writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ViosFile {
    /// Name of its partition (also listed at the console).
    pub name: String,
    /// Host object of the array whose mappings become its hdisks.
    pub array_host: String,
    /// RMC session to the console.
    #[serde(default = "yes")]
    pub rmc: bool,
    /// Server adapters without a client adapter: spare ones, or those of partitions on a console not simulated.
    #[serde(default)]
    pub vhosts: Vec<VhostFile>,
    /// Internal disks, the first of them in rootvg.
    #[serde(default = "one")]
    pub internal_disks: u32,
    /// Mappings at the start.
    #[serde(default)]
    pub vtds: Vec<VtdFile>,
}

fn yes() -> bool {
    true
}
fn one() -> u32 {
    1
}

/// A server adapter that no client adapter of this console connects to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VhostFile {
    /// Name: `vhost7`.
    pub vhost: String,
    /// Its slot.
    pub slot: u32,
}

/// A mapping at the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VtdFile {
    /// Server adapter.
    pub vhost: String,
    /// Virtual target device.
    pub vtd: String,
    /// Volume, by the array's name.
    pub volume: String,
}

/// A disk as the VIOS knows it.
#[derive(Debug, Clone)]
pub struct Hdisk {
    /// `hdisk4`.
    pub name: String,
    /// Storage identity; `None` = internal disk.
    pub uid: Option<Uid>,
    /// `no_reserve`, `single_path`.
    pub reserve_policy: String,
    /// Volume group it belongs to.
    pub volume_group: Option<String>,
    /// Only its definition is left (`rmdev -ucfg`); cfgdev makes it `Available` again.
    pub defined: bool,
}

/// A virtual target device.
#[derive(Debug, Clone)]
pub struct Vtd {
    /// Name.
    pub name: String,
    /// Server adapter.
    pub vhost: String,
    /// Backing disk.
    pub hdisk: String,
    /// `0x81` first, counting up in the order of creation.
    pub lun: u8,
}

/// A VIOS's state.
#[derive(Debug, Clone, Default)]
pub struct Vios {
    /// Name.
    pub name: String,
    /// Host object of the array.
    pub array_host: String,
    /// RMC session to the console.
    pub rmc: bool,
    /// Configured disks.
    pub hdisks: Vec<Hdisk>,
    /// Mappings.
    pub vtds: Vec<Vtd>,
    /// Server adapters without a client: name and slot.
    pub spare: Vec<(String, u32)>,
    /// Next hdisk number: numbers are not used again.
    pub next_disk: u32,
}

/// Builds the VIOSes.
///
/// # Errors
/// Names the VIOS and what it refers to.
pub fn install(world: &mut World, files: &[ViosFile]) -> Result<(), String> {
    for (number, file) in (0u32..).zip(files) {
        if !world.console.partitions.contains_key(&file.name) {
            return Err(format!(
                "VIOS {}: the console has no partition of this name",
                file.name
            ));
        }
        let mut vios = Vios {
            name: file.name.clone(),
            array_host: file.array_host.clone(),
            rmc: file.rmc,
            // Numbering differs between VIOSes, as in real life: nothing may rely on it.
            next_disk: number * 3,
            spare: file
                .vhosts
                .iter()
                .map(|v| (v.vhost.clone(), v.slot))
                .collect(),
            ..Vios::default()
        };
        for n in 0..file.internal_disks {
            vios.add_disk(None);
            if let (0, Some(disk)) = (n, vios.hdisks.last_mut()) {
                disk.volume_group = Some("rootvg".to_owned());
            }
        }
        world.vioses.insert(file.name.clone(), vios);
        disks::configure(world, &file.name);
        for vtd in &file.vtds {
            let uid = spectrum_virtualize::uid_of(world, &vtd.volume).ok_or_else(|| {
                format!("VIOS {}: the array has no volume {}", file.name, vtd.volume)
            })?;
            let vios = world.vioses.get_mut(&file.name).ok_or("no such VIOS")?;
            let disk = vios
                .hdisks
                .iter()
                .find(|d| d.uid.as_ref() == Some(&uid))
                .map(|d| d.name.clone())
                .ok_or_else(|| {
                    format!(
                        "VIOS {}: volume {} is not mapped to host {}",
                        file.name, vtd.volume, file.array_host
                    )
                })?;
            vios.add_vtd(&vtd.vtd, &vtd.vhost, &disk);
        }
    }
    Ok(())
}

impl Vios {
    fn add_disk(&mut self, uid: Option<Uid>) {
        let name = format!("hdisk{}", self.next_disk);
        self.next_disk += 1;
        self.hdisks.push(Hdisk {
            name,
            uid,
            reserve_policy: "single_path".to_owned(),
            volume_group: None,
            defined: false,
        });
    }
    fn add_vtd(&mut self, name: &str, vhost: &str, hdisk: &str) {
        let used: Vec<u8> = self
            .vtds
            .iter()
            .filter(|v| v.vhost == vhost)
            .map(|v| v.lun)
            .collect();
        let lun = (0x81..=0xff).find(|l| !used.contains(l)).unwrap_or(0xff);
        self.vtds.push(Vtd {
            name: name.to_owned(),
            vhost: vhost.to_owned(),
            hdisk: hdisk.to_owned(),
            lun,
        });
    }
    /// A disk by name.
    pub fn disk(&self, name: &str) -> Option<&Hdisk> {
        self.hdisks.iter().find(|d| d.name == name)
    }
}

/// Partition and client slot behind a server adapter.
pub fn client_of(world: &World, vios: &str, vhost: &str) -> Option<(String, u32, u32)> {
    world.console.partitions.values().find_map(|p| {
        let adapter = p.scsi.iter().find(|a| a.vios == vios && a.vhost == vhost)?;
        Some((p.name.clone(), adapter.slot, adapter.server_slot))
    })
}

/// Slot of a server adapter.
pub fn slot_of(world: &World, vios: &str, vhost: &str) -> u32 {
    if let Some((_, _, slot)) = client_of(world, vios, vhost) {
        return slot;
    }
    let spare = world.vioses.get(vios).map(|v| v.spare.as_slice());
    let spare = spare.unwrap_or_default().iter().find(|(n, _)| n == vhost);
    spare.map_or(0, |(_, slot)| *slot)
}

/// Server adapters of a VIOS: every one some partition's client adapter points to, and the spare ones.
pub fn vhosts_of(world: &World, vios: &str) -> Vec<String> {
    let mut names: Vec<String> = world
        .console
        .partitions
        .values()
        .flat_map(|p| {
            p.scsi
                .iter()
                .filter(|a| a.vios == vios)
                .map(|a| a.vhost.clone())
        })
        .collect();
    if let Some(vios) = world.vioses.get(vios) {
        names.extend(vios.spare.iter().map(|(name, _)| name.clone()));
    }
    // In the order of their numbers: vhost10 comes after vhost9.
    names.sort_by_key(|n| (n.len(), n.clone()));
    names.dedup();
    names
}

/// Moves the VIOSes to `world.now`: nothing moves by itself, new disks need `cfgdev`.
pub fn advance(_world: &mut World) {}

/// Disks a client partition sees through its vSCSI adapters, in LUN order, once per VIOS.
pub fn client_disks(world: &World, partition: &str) -> Vec<SeenDisk> {
    let Some(p) = world.console.partitions.get(partition) else {
        return Vec::new();
    };
    let mut seen = Vec::new();
    for adapter in &p.scsi {
        // A VIOS that is off serves nothing.
        let Some(vios) = world
            .vioses
            .get(&adapter.vios)
            .filter(|v| hmc::is_on(world, &v.name))
        else {
            continue;
        };
        let mut vtds: Vec<&Vtd> = vios
            .vtds
            .iter()
            .filter(|v| v.vhost == adapter.vhost)
            .collect();
        vtds.sort_by_key(|v| v.lun);
        let present = spectrum_virtualize::volumes_of_host(world, &vios.array_host);
        for vtd in vtds {
            if let Some(uid) = vios.disk(&vtd.hdisk).and_then(|d| d.uid.clone())
                && present.contains(&uid)
            {
                seen.push(SeenDisk {
                    uid,
                    path: vios.name.clone(),
                });
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests;
