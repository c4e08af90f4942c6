//! Simulated IBM i: disk state (copied by FlashCopy), running state (not copied), CL, SQL services, SSH, and the guest
//! kit's behaviour as `ibmi/CONTRACT.md` says.
//!
//! Faults of [`Device::IbmI`](crate::simulators::faults::Device) wait under the partition's name for one of: `LOGIN`, a
//! helper's verb (`HELLO`, `PING`, `CANARY`, `WATCHDOG ARM`, `CHGASPACT SUSPEND *SYSBAS`, …), a CL command's text
//! (`ignored`: it ends well and nothing happens), `SQL`, `GET`/`PUT`/`REMOVE` with a path, `PERSON` (`Refuse` with a row of § 7 and a message id; `schedule-released`: the
//! job schedule entries are released again), `PWRDWNSYS`
//! (`no-reipl`: the command ends well and nothing happens), `SYSTEM_STATUS_INFO` (`null-identity`, stays while it waits).
//! Commands of batch jobs are commands as well ([`script`]).

pub mod brms;
pub mod cl;
pub mod commands;
pub mod disk;
pub mod file;
pub mod helper;
pub mod jobs;
pub mod kit;
pub mod quiesce;
pub mod record;
pub mod restricted;
pub mod role;
pub mod script;

pub mod shell;
pub mod sql;
pub mod ssh;
pub mod system;

mod check;
mod files;
mod job_scheduler;
mod listings;
mod long;
mod objects;
mod replies;
mod saves;
mod tables;

pub use disk::DiskState;
pub use file::SystemFile;
pub use quiesce::quality;
pub use system::{
    Answering, Phase, System, advance, answering, attention, boot, disk_of, forget_file,
    power_lost, reference_code, set_identity,
};

use crate::simulators::hmc;
use crate::simulators::ledger::ViolationKind;
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::{Content, Image, World};
use crate::site::Uid;

/// Builds the systems and lays their images on their volumes; those whose partition is `running` are up.
///
/// # Errors
/// A volume the array does not have, or one that two systems name.
pub fn install(world: &mut World, files: &[SystemFile]) -> Result<(), String> {
    for file in files {
        if let Some(pair) = &file.identity {
            system::set_identity(world, &file.partition, pair.clone());
        }
        let mut disk = DiskState::from_file(file);
        // Sites create the descriptions of the clone's drives on production, so that their names are copied.
        for device in world.tapes.drives.keys() {
            disk.objects.insert(format!("QSYS/{device} *DEVD"));
        }
        if let Some(brms) = &file.brms {
            brms::check(world, &file.partition, brms)?;
            brms::install(&mut disk, brms, world.now);
        }
        if let Some(pair) = system::identity(world, &file.partition)
            && file.kit_installed
        {
            kit::add_identity(&mut disk, &pair.serial_number, pair.partition_id);
        }
        let image = world.add_image(Image {
            disk,
            volumes: file.volumes.len(),
            origin: None,
        });
        for (index, volume) in file.volumes.iter().enumerate() {
            let uid = volume_uid(world, volume).ok_or_else(|| {
                format!(
                    "system of partition {}: volume {volume} does not exist on the array",
                    file.partition
                )
            })?;
            if let Some(Content::Part { .. }) = world.contents.get(&uid) {
                return Err(format!(
                    "system of partition {}: volume {volume} belongs to another system already",
                    file.partition
                ));
            }
            world.contents.insert(uid, Content::Part { image, index });
        }
        if hmc::is_on(world, &file.partition) {
            run_at_start(world, &file.partition, image);
        } else {
            world.systems.entry(file.partition.clone()).or_default();
        }
    }
    Ok(())
}

fn volume_uid(world: &World, volume: &str) -> Option<Uid> {
    let is_uid = volume.len() == 32 && volume.bytes().all(|b| b.is_ascii_hexdigit());
    if is_uid {
        return Some(Uid::new(volume));
    }
    spectrum_virtualize::uid_of(world, volume)
}

/// A system that was up before the story began.
pub fn run_at_start(world: &mut World, partition: &str, image: crate::simulators::world::ImageId) {
    let ipl = std::mem::take(&mut world.knobs.ipl_milliseconds);
    boot(world, partition, image, false);
    advance(world);
    world.knobs.ipl_milliseconds = ipl;
    let started = world.now - chrono::Duration::days(30);
    if let Some(system) = world.systems.get_mut(partition) {
        system.started = Some(started);
    }
}

/// Violations that can only be told at the end: source left suspended, parameter file left, helper or SSH session left.
pub fn check_left_behind(world: &mut World) {
    for partition in world.systems.keys().cloned().collect::<Vec<_>>() {
        let Some((system, disk)) = system::view(world, &partition) else {
            continue;
        };
        let suspended = system.suspended();
        let helpers = system.helpers.len();
        let connections = system.connections;
        let watched = system
            .watchdog
            .as_ref()
            .is_some_and(|w| w.state() == "ACTIVE");
        let parameters =
            world.sources.contains(&partition) && disk.files.contains_key(kit::RUN_PARM);
        if !suspended.is_empty() {
            world.violation(
                ViolationKind::LeftSuspended,
                format!("{} of {partition} is suspended", suspended.join(", ")),
            );
        }
        if parameters {
            world.violation(
                ViolationKind::ParametersLeft,
                format!("{} is left on {partition}", kit::RUN_PARM),
            );
        }
        if helpers > 0 || watched {
            world.violation(
                ViolationKind::SessionLeaked,
                format!("helper or watchdog left on {partition}"),
            );
        }
        if connections > 0 {
            world.violation(
                ViolationKind::SessionLeaked,
                format!("{connections} SSH sessions left on {partition}"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
