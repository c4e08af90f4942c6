//! Simulated HMC with its managed systems and partitions (hypervisor state), as `hmc.md` says.
//!
//! Faults (`Device::Hmc`) besides the general ones: `Special("stuck-job")` on `PowerOn`/`PowerOff` (the job stays
//! RUNNING although the state changes), `Special("return-code")` on `CLIRunner` (COMPLETED_OK with returnCode 1);
//! `Special("localised")` on one of them (the job's text in another language, with the same code); what happens beside the
//! requests, on any request and for good: `Special("start:PARTITION")` (an operator starts it),
//! `("state:SYSTEM:no connection")`, `("rmc-off:VIOS")`, `("rmc-on:VIOS")`, `("lock:USER")`, `("blank-src:PARTITION")`,
//! `("show-src:PARTITION")`. Those of the REST API are listed in [`rest`].

mod file;
mod jobs;
mod mishaps;
mod partition;
mod power;
pub mod rest;
mod role;

pub use file::{
    ConsoleFile, FibreChannelFile, ManagedSystemFile, OtherPort, OtherPortFile, PartitionFile,
    PartitionKind, ScsiFile,
};
pub use jobs::{Job, JobStatus, add_job, cancel};
pub use mishaps::WORDS as MISHAPS;
pub use partition::{Consoles, ManagedSystem, Partition, PowerState};
pub use power::{
    PowerOff, advance, change_keylock, guest_power_down, power_off, power_off_how, power_on,
    reference_code, start_by_hand, stop_by_hand,
};
pub use role::{ControlRole, ViewRole};

use crate::simulators::world::World;
use crate::site::{Identity, PartitionUuid};

/// Wrong passwords in a row that lock an account, and for how long (`hmc.md` § 1.2).
const FAILURES: u32 = 3;
const LOCK_MINUTES: i64 = 5;

/// Builds systems and partitions.
///
/// # Errors
/// Names the partition whose managed system is missing.
pub fn install(world: &mut World, file: &ConsoleFile) -> Result<(), String> {
    let mut consoles = Consoles {
        name: file.name.clone(),
        users: file.users.clone(),
        ..Consoles::default()
    };
    consoles.max_sessions = file.max_sessions;
    consoles.idle_minutes = file.idle_minutes;
    consoles.session_minutes = file.session_minutes;
    consoles.job_minutes = file.job_minutes;
    consoles.swapped_case = file.swapped_uuid_case;
    consoles.next_job = 1_667_807_035_365;
    let world_number = world.number;
    for (n, s) in (1u64..).zip(&file.systems) {
        consoles.systems.push(ManagedSystem {
            uuid: format!("d47a585d-eaa8-3a54-b4dc-{world_number:04x}{n:08x}"),
            name: s.name.clone(),
            type_model: s.type_model.clone(),
            serial: s.serial.clone(),
            state: s.state.clone(),
        });
    }
    for (n, p) in (1u64..).zip(&file.partitions) {
        let system = consoles
            .systems
            .iter()
            .find(|s| s.name == p.system)
            .ok_or_else(|| {
                format!(
                    "partition {}: there is no managed system {}",
                    p.name, p.system
                )
            })?;
        let partition = Partition {
            uuid: PartitionUuid::new(format!("0E1A5F2B-7C3D-4E5F-8A9B-{world_number:04X}{n:08X}")),
            name: p.name.clone(),
            system: p.system.clone(),
            identity: Identity::new(&system.serial, p.id),
            kind: p.kind,
            state: if p.running {
                PowerState::Running
            } else {
                PowerState::NotActivated
            },
            profiles: (1u64..)
                .zip(&p.profiles)
                .map(|(m, name)| {
                    (
                        format!("5f2b0e1a-7c3d-3e5f-8a9b-{:012x}", n * 1000 + m),
                        name.clone(),
                    )
                })
                .collect(),
            keylock: p.keylock.clone(),
            ipl_source: 'b',
            fresh: p.fresh,
            last_profile: p.profiles.first().cloned().unwrap_or_default(),
            error_code: None,
            blank_code: false,
            stuck_code: None,
            off_until: None,
            scsi: p.scsi.clone(),
            fibre_channel: p.fibre_channel.clone(),
        };
        if consoles
            .partitions
            .insert(p.name.clone(), partition)
            .is_some()
        {
            return Err(format!("partition {} is written twice", p.name));
        }
    }
    world.console = consoles;
    Ok(())
}

/// A word of a thing that happens beside the requests: `Some` with what it names and the world does not have; `None`
/// when it is no such word.
pub(crate) fn missing_of(world: &World, word: &str) -> Option<Option<String>> {
    mishaps::Mishap::parse(word).map(|m| m.missing(world))
}

/// Whether a partition is anything but `not activated`.
pub fn is_on(world: &World, partition: &str) -> bool {
    world
        .console
        .partitions
        .get(partition)
        .is_some_and(|p| p.state != PowerState::NotActivated)
}

/// Violations that can only be told at the end: session left open.
pub fn check_left_behind(world: &mut World) {
    let open = world.console.sessions.len();
    if open > 0 {
        let text = format!(
            "{open} sessions of console {} were left open",
            world.console.name
        );
        world.violation(
            crate::simulators::ledger::ViolationKind::SessionLeaked,
            text,
        );
    }
}

#[cfg(test)]
mod tests;
