//! Power of partitions: state machine and reference codes (`hmc.md` § 1.9, § 1.10, § 7).

use super::file::PartitionKind;
use super::jobs::{Refused, add_job, millis, reap, refused};
use super::partition::{Partition, PowerState};
use crate::simulators::ibmi;
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::World;
use crate::simulators::world::coupling::{IplFinding, find_system};
use chrono::TimeDelta;

/// An orderly shutdown takes this many times as long as an immediate one.
const ORDERLY: i32 = 3;

/// How a partition is to go down (`hmc.md` § 1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerOff {
    /// `osshutdown`: the operating system ends itself.
    OperatingSystem,
    /// `shutdown`, not immediate: jobs get a limited time.
    Delayed,
    /// `shutdown`, immediate: panel function 8.
    Immediate,
    /// `shutdown`, immediate, restart: panel function 3.
    ImmediateRestart,
    /// Panel function 22: a main-store dump, then a new IPL.
    DumpRestart,
}

/// PowerOn, `activate`. Returns the job's id; the outcome is in the job.
pub fn power_on(
    world: &mut World,
    partition: &str,
    profile: Option<&str>,
    manual: Option<bool>,
    ipl_source: Option<char>,
) -> u64 {
    let uuid = uuid_of(world, partition);
    let outcome = activate(world, partition, profile, manual, ipl_source);
    add_job(world, "PowerOn", "LogicalPartition", &uuid, outcome)
}

fn activate(
    world: &mut World,
    partition: &str,
    profile: Option<&str>,
    manual: Option<bool>,
    ipl_source: Option<char>,
) -> Result<String, Refused> {
    note_command(world, partition, "PowerOn");
    let until = world.now + millis(world.knobs.activation_milliseconds);
    let p = operating(world, partition)?;
    if p.state != PowerState::NotActivated {
        return Err(refused(
            "HSCL3681",
            "The partition is not in a valid state for activation.",
        ));
    }
    if p.fresh && profile.is_none() {
        return Err(refused(
            "HSCL3680",
            "The partition has no current configuration: activate it with a profile.",
        ));
    }
    if let Some(profile) = profile {
        let known = p
            .profiles
            .iter()
            .find(|(uuid, name)| uuid.eq_ignore_ascii_case(profile) || name == profile);
        let Some((_, name)) = known else {
            return Err(refused("HSCL8018", "The partition profile was not found."));
        };
        p.last_profile = name.clone();
    }
    if let Some(manual) = manual {
        p.keylock = keylock(manual);
    }
    p.ipl_source = ipl_source.unwrap_or(p.ipl_source);
    p.fresh = false;
    p.error_code = None;
    p.state = PowerState::Starting {
        until,
        manual: p.keylock == "manual",
    };
    world.ledger.effect(format!("hmc.PowerOn.{partition}"));
    Ok(String::new())
}

fn keylock(manual: bool) -> String {
    if manual { "manual" } else { "normal" }.to_owned()
}

/// The partition, when its console sees the managed system.
fn operating<'w>(world: &'w mut World, partition: &str) -> Result<&'w mut Partition, Refused> {
    let console = &mut world.console;
    let Some(p) = console.partitions.get_mut(partition) else {
        return Err(refused("HSCL8012", "The partition was not found."));
    };
    let system = console.systems.iter().find(|s| s.name == p.system);
    match system {
        Some(system) if system.state == "operating" => Ok(p),
        Some(_) | None => Err(refused(
            "HSCL0238",
            "The managed system is not in a state in which this operation is possible.",
        )),
    }
}

/// PowerOff, immediate shutdown.
pub fn power_off(world: &mut World, partition: &str) -> u64 {
    power_off_how(world, partition, PowerOff::Immediate)
}

/// PowerOff in one of the console's ways.
pub fn power_off_how(world: &mut World, partition: &str, how: PowerOff) -> u64 {
    let uuid = uuid_of(world, partition);
    note_command(world, partition, "PowerOff");
    let saving = ibmi::reference_code(world, partition) == "A9003C70";
    let outcome = end(world, partition, how);
    if outcome.is_ok() {
        if saving {
            world.violation(
                ViolationKind::SavingSystemSwitchedOff,
                format!("{partition} was switched off in batch restricted state"),
            );
        }
        ibmi::power_lost(world, partition);
        let effect = match how {
            PowerOff::OperatingSystem | PowerOff::Delayed | PowerOff::Immediate => "PowerOff",
            PowerOff::ImmediateRestart => "Restart",
            PowerOff::DumpRestart => "DumpRestart",
        };
        world.ledger.effect(format!("hmc.{effect}.{partition}"));
    }
    add_job(world, "PowerOff", "LogicalPartition", &uuid, outcome)
}

fn end(world: &mut World, partition: &str, how: PowerOff) -> Result<String, Refused> {
    let now = world.now;
    let down = millis(world.knobs.power_off_milliseconds);
    let activation = millis(world.knobs.activation_milliseconds);
    let without_rmc = world.vioses.get(partition).is_some_and(|v| !v.rmc);
    let p = operating(world, partition)?;
    if p.state == PowerState::NotActivated {
        return Err(refused("HSCL1558", "The partition is already powered off."));
    }
    // IBM i needs no RMC for it (`hmc.md` § 0.5), but it must have come so far.
    if how == PowerOff::OperatingSystem && (p.state != PowerState::Running || without_rmc) {
        return Err(refused(
            "HSCL0DB4",
            "The operating system shutdown function is not available for the partition.",
        ));
    }
    p.error_code = None;
    p.off_until = None;
    p.state = match how {
        PowerOff::Immediate => PowerState::ShuttingDown { until: now + down },
        PowerOff::OperatingSystem | PowerOff::Delayed => PowerState::ShuttingDown {
            until: now + down * ORDERLY,
        },
        PowerOff::ImmediateRestart => PowerState::Starting {
            until: now + down + activation,
            manual: p.keylock == "manual",
        },
        PowerOff::DumpRestart => PowerState::Starting {
            until: now + down * ORDERLY + activation,
            manual: p.keylock == "manual",
        },
    };
    Ok(String::new())
}

/// PowerOn with OperationType changeKeylock.
pub fn change_keylock(world: &mut World, partition: &str, manual: bool) -> u64 {
    let uuid = uuid_of(world, partition);
    let outcome = operating(world, partition).map(|p| {
        p.keylock = keylock(manual);
        String::new()
    });
    if outcome.is_ok() {
        world
            .ledger
            .effect(format!("hmc.changeKeylock.{partition}"));
    }
    add_job(world, "PowerOn", "LogicalPartition", &uuid, outcome)
}

/// A person at the console starts a partition.
pub fn start_by_hand(world: &mut World, partition: &str) {
    let until = world.now + millis(world.knobs.activation_milliseconds);
    if let Some(p) = world.console.partitions.get_mut(partition)
        && p.state == PowerState::NotActivated
    {
        p.state = PowerState::Starting {
            until,
            manual: p.keylock == "manual",
        };
        p.error_code = None;
        world.ledger.effect(format!("person.start.{partition}"));
    }
}

/// The building is gone, or a person at the panel switches a partition off: no console command.
pub fn stop_by_hand(world: &mut World, partition: &str) {
    ibmi::power_lost(world, partition);
    if let Some(p) = world.console.partitions.get_mut(partition) {
        p.state = PowerState::NotActivated;
        world.ledger.effect(format!("person.stop.{partition}"));
    }
}

fn uuid_of(world: &World, partition: &str) -> String {
    world
        .console
        .partitions
        .get(partition)
        .map(|p| p.uuid.to_string())
        .unwrap_or_default()
}

fn note_command(world: &mut World, partition: &str, command: &str) {
    if world.sources.iter().any(|s| s == partition) {
        world.violation(
            ViolationKind::PowerCommandToSource,
            format!("{command} was sent to {partition}"),
        );
    }
}

/// Called by IBM i for PWRDWNSYS: `restart` = a new IPL from the same disks, else the partition goes off.
pub fn guest_power_down(world: &mut World, partition: &str, restart: bool) {
    let now = world.now;
    let off = millis(world.knobs.off_during_reipl_milliseconds);
    let down = millis(world.knobs.power_off_milliseconds);
    let activation = millis(world.knobs.activation_milliseconds);
    ibmi::power_lost(world, partition);
    let Some(p) = world.console.partitions.get_mut(partition) else {
        return;
    };
    if restart {
        p.off_until = (off > TimeDelta::zero()).then_some(now + off);
        p.state = PowerState::Starting {
            until: now + off.max(activation),
            manual: p.keylock == "manual",
        };
    } else {
        p.state = PowerState::ShuttingDown { until: now + down };
    }
}

/// Moves power-offs and activations to `world.now`; an IPL that reaches the disks asks `coupling::find_system` and hands
/// the image to `ibmi::boot`.
pub fn advance(world: &mut World) {
    let now = world.now;
    reap(world);
    for name in world.console.partition_names() {
        let Some(p) = world.console.partitions.get_mut(&name) else {
            continue;
        };
        if p.off_until.is_some_and(|t| t <= now) {
            p.off_until = None;
        }
        match p.state {
            PowerState::ShuttingDown { until } if until <= now => {
                p.state = PowerState::NotActivated
            }
            PowerState::Starting { until, manual } if until <= now => {
                p.state = PowerState::Running;
                if p.kind == PartitionKind::OS400 {
                    load(world, &name, manual);
                }
            }
            PowerState::NotActivated
            | PowerState::Starting { .. }
            | PowerState::Running
            | PowerState::ShuttingDown { .. }
            | PowerState::Error => {}
        }
    }
}

fn load(world: &mut World, partition: &str, manual: bool) {
    let source = world
        .console
        .partitions
        .get(partition)
        .map(|p| p.ipl_source);
    let finding = if source == Some('d') {
        IplFinding::Failed {
            reference_code: "B2001250",
            text: format!("{partition}: IPL source d, and no installation media"),
        }
    } else {
        find_system(world, partition)
    };
    match finding {
        IplFinding::System(image) => ibmi::boot(world, partition, image, manual),
        IplFinding::Failed {
            reference_code,
            text,
        } => {
            if let Some(p) = world.console.partitions.get_mut(partition) {
                p.state = PowerState::Error;
                p.error_code = Some((reference_code.to_owned(), text));
            }
        }
    }
}

/// The code the console shows for a partition; blank for VIOS and AIX that are on, as on the real one.
pub fn reference_code(world: &World, partition: &str) -> String {
    let Some(p) = world.console.partitions.get(partition) else {
        return String::new();
    };
    if p.blank_code {
        return String::new();
    }
    if let Some(code) = &p.stuck_code {
        return code.clone();
    }
    if p.kind != PartitionKind::OS400 {
        let off = p.state == PowerState::NotActivated;
        return if off { "00000000" } else { "" }.to_owned();
    }
    let down = millis(world.knobs.power_off_milliseconds);
    let activation = millis(world.knobs.activation_milliseconds);
    let code = match p.state {
        PowerState::NotActivated => "00000000",
        PowerState::Starting { until, .. } => match until - world.now {
            // A main-store dump, or the way down before a restart.
            left if left > down + activation => "D6000298",
            left if left > activation => "D2001010",
            left if left * 3 > activation * 2 => "C2001000",
            left if left * 3 > activation => "C2002000",
            _ => "C2004000",
        },
        PowerState::Running => return ibmi::reference_code(world, partition),
        PowerState::ShuttingDown { until } => match until - world.now {
            left if left > down * 2 => "D9002740",
            left if left > down => "D6000298",
            _ => "D2001010",
        },
        PowerState::Error => p.error_code.as_ref().map_or("", |(code, _)| code.as_str()),
    };
    code.to_owned()
}
