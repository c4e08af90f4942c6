//! A partition's IBM i while it runs: IPL, network, subsystems. Nothing here is copied by FlashCopy.

use super::disk::{DiskState, LogMessage};
use super::helper::{Helper, WatchdogJob};
use super::jobs::Job;
use super::script::Script;
use super::{brms, job_scheduler, jobs, kit, quiesce, restricted};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::{ImageId, World};
use crate::site::Identity;
use chrono::{DateTime, Duration, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Where an IBM i is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// No power, or no operating system.
    #[default]
    Off,
    /// IPL, until the start-up program is called.
    Ipl {
        /// When it began.
        since: DateTime<Utc>,
        /// When it ends.
        until: DateTime<Utc>,
    },
    /// Keylock manual: waits at the console for ever.
    Console,
    /// The kit's personality is at work; no network.
    Personality {
        /// When it ends.
        until: DateTime<Utc>,
    },
    /// Start-up program has ended.
    Up,
    /// Batch restricted state: no subsystem, no network, one job.
    Restricted,
    /// PWRDWNSYS was accepted.
    Ending,
}

/// A partition's IBM i while it runs.
#[derive(Debug, Clone, Default)]
pub struct System {
    pub(super) image: Option<ImageId>,
    pub(super) generation: u64,
    pub(super) phase: Phase,
    pub(super) started: Option<DateTime<Utc>>,
    pub(super) tcp: bool,
    pub(super) sshd: bool,
    pub(super) active_interfaces: BTreeSet<String>,
    pub(super) subsystems: BTreeSet<String>,
    pub(super) jobs: BTreeMap<String, Job>,
    pub(super) suspended: BTreeMap<String, DateTime<Utc>>,
    pub(super) force_written: BTreeMap<String, DateTime<Utc>>,
    pub(super) resumed_at: Option<DateTime<Utc>>,
    pub(super) helpers: BTreeMap<u64, Helper>,
    pub(super) last_helper: u64,
    pub(super) watchdog: Option<WatchdogJob>,
    pub(super) connections: u64,
    pub(super) pair: Option<Identity>,
    pub(super) scripts: BTreeMap<String, Script>,
    pub(super) ending_subsystems: BTreeMap<String, DateTime<Utc>>,
    pub(super) ending_all: Option<(DateTime<Utc>, String)>,
    pub(super) restricted_by: Option<String>,
    pub(super) restricted_since: Option<DateTime<Utc>>,
    pub(super) network_lost: bool,
    pub(super) varied_on: BTreeSet<String>,
}

impl System {
    /// The image it runs on; `None` when off.
    pub fn image(&self) -> Option<ImageId> {
        self.image
    }
    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }
    /// ASPs suspended now.
    pub fn suspended(&self) -> Vec<String> {
        self.suspended.keys().cloned().collect()
    }
    /// Counts IPLs of this partition: a connection of an older IPL is dead.
    pub fn generation(&self) -> u64 {
        self.generation
    }
    /// SSH sessions open now.
    pub fn connections(&self) -> u64 {
        self.connections
    }
    /// Active subsystems.
    pub fn subsystems(&self) -> Vec<String> {
        self.subsystems.iter().cloned().collect()
    }
    /// Addresses that answer now.
    pub fn addresses(&self) -> Vec<String> {
        self.active_interfaces.iter().cloned().collect()
    }
}

/// Both halves of a running system, borrowed at once.
pub(super) struct Running<'w> {
    pub system: &'w mut System,
    pub disk: &'w mut DiskState,
    pub now: DateTime<Utc>,
}

/// The running system of a partition; `None` when it is off.
pub(super) fn running<'w>(world: &'w mut World, partition: &str) -> Option<Running<'w>> {
    let World {
        systems,
        images,
        now,
        ..
    } = world;
    let system = systems.get_mut(partition)?;
    let disk = &mut images.get_mut(&system.image?)?.disk;
    Some(Running {
        system,
        disk,
        now: *now,
    })
}

/// Read-only halves.
pub(super) fn view<'w>(world: &'w World, partition: &str) -> Option<(&'w System, &'w DiskState)> {
    let system = world.systems.get(partition)?;
    Some((system, &world.images.get(&system.image?)?.disk))
}

/// Disks a running partition runs on, for assertions.
pub fn disk_of<'w>(world: &'w World, partition: &str) -> Option<&'w DiskState> {
    view(world, partition).map(|(_, disk)| disk)
}

/// Removes a stream file from a running partition's disks, as a person would.
pub fn forget_file(world: &mut World, partition: &str, path: &str) {
    if let Some(r) = running(world, partition) {
        r.disk.files.remove(path);
    }
}

/// The system's own clock.
pub(super) fn own_clock(world: &World, partition: &str) -> DateTime<Utc> {
    let ahead = view(world, partition).map_or(0, |(_, d)| d.clock_ahead_seconds);
    world.now + Duration::seconds(ahead)
}

/// What the hypervisor tells this partition about itself.
pub(super) fn identity(world: &World, partition: &str) -> Option<Identity> {
    let own = world.systems.get(partition).and_then(|s| s.pair.clone());
    own.or_else(|| world.console.identity_of(partition))
}

/// Gives a partition a pair of its own instead of the console's: a virtual serial number, or a world without a console.
pub fn set_identity(world: &mut World, partition: &str, pair: Identity) {
    world.systems.entry(partition.to_owned()).or_default().pair = Some(pair);
}

/// `CYYMMDDHHMMSS`.
pub(super) fn scpf_text(at: DateTime<Utc>) -> String {
    let full = at.format("%Y%m%d%H%M%S").to_string();
    let century: u32 = full.get(..2).and_then(|c| c.parse().ok()).unwrap_or(20);
    format!("{}{}", century.saturating_sub(19), &full[2..])
}

/// SCPF entry time of the running IPL, in the kit's form.
pub(super) fn scpf(world: &World, partition: &str) -> String {
    let ahead = view(world, partition).map_or(0, |(_, d)| d.clock_ahead_seconds);
    world
        .systems
        .get(partition)
        .and_then(|s| s.started)
        .map_or_else(String::new, |at| scpf_text(at + Duration::seconds(ahead)))
}

/// Adds a message to the history log.
pub(super) fn history(world: &mut World, partition: &str, id: &str, severity: u8, text: &str) {
    let at = own_clock(world, partition);
    if let Some(r) = running(world, partition) {
        r.disk.history.push(message(id, severity, at, text));
    }
}

/// Sends a message to QSYSOPR (and so to the history log).
pub(super) fn tell_operator(
    world: &mut World,
    partition: &str,
    id: &str,
    severity: u8,
    text: &str,
) {
    let at = own_clock(world, partition);
    if let Some(r) = running(world, partition) {
        r.disk.to_operator(message(id, severity, at, text));
        r.disk.history.push(message(id, severity, at, text));
    }
}

/// An informational message.
pub(super) fn message(id: &str, severity: u8, at: DateTime<Utc>, text: &str) -> LogMessage {
    LogMessage {
        id: id.to_owned(),
        severity,
        kind: "INFORMATIONAL".to_owned(),
        subtype: String::new(),
        at,
        text: text.to_owned(),
        second_level: String::new(),
        job: "000000/QSYS/SCPF".to_owned(),
        times: 1,
        key: 0,
        answers: 0,
    }
}

/// Called by the hypervisor when an IPL found its disks; `manual` = keylock manual: stops at the console.
pub fn boot(world: &mut World, partition: &str, image: ImageId, manual: bool) {
    let now = world.now;
    let milliseconds = i64::try_from(world.knobs.ipl_milliseconds).unwrap_or(i64::MAX);
    let until = now + Duration::milliseconds(milliseconds);
    let generation = world.systems.get(partition).map_or(0, |s| s.generation) + 1;
    let pair = world.systems.get(partition).and_then(|s| s.pair.clone());
    let system = System {
        image: Some(image),
        generation,
        phase: if manual {
            Phase::Console
        } else {
            Phase::Ipl { since: now, until }
        },
        started: Some(now),
        pair,
        ..System::default()
    };
    world.systems.insert(partition.to_owned(), system);
    if let Some(i) = world.images.get_mut(&image)
        && let Some(name) = i.disk.pending_name.take()
    {
        i.disk.system_name = name;
    }
    world.ledger.effect(format!("ibmi.{partition}.IPL"));
}

/// Called by the hypervisor when the partition loses power.
pub fn power_lost(world: &mut World, partition: &str) {
    if let Some(system) = world.systems.get_mut(partition) {
        *system = System {
            generation: system.generation + 1,
            pair: system.pair.take(),
            ..System::default()
        };
    }
}

/// The system reference code the console shows for a running IBM i (`ibmi.md` § 9).
pub fn reference_code(world: &World, partition: &str) -> String {
    let Some(system) = world.systems.get(partition) else {
        return "00000000".to_owned();
    };
    let code = match system.phase {
        Phase::Off | Phase::Up => "00000000",
        Phase::Console => "A6005008",
        Phase::Personality { .. } => "C9002F00",
        Phase::Restricted => "A9003C70",
        Phase::Ending => "D9002740",
        Phase::Ipl { since, until } => {
            let whole = (until - since).num_milliseconds().max(1);
            match (world.now - since).num_milliseconds() * 10 / whole {
                ..1 => "C100D009",
                1 => "C2001000",
                2 => "C5000000",
                3..5 => "C6003910",
                5..8 => "C9002A80",
                _ => "C9002C25",
            }
        }
    };
    code.to_owned()
}

/// Whether the console shows the partition's attention light: batch restricted state (`ibmi.md` § 5.3).
pub fn attention(world: &World, partition: &str) -> bool {
    world
        .systems
        .get(partition)
        .is_some_and(|s| s.phase == Phase::Restricted)
}

/// Moves every running system to `world.now`: IPL stages, start-up program and kit, jobs, suspensions, watchdogs.
pub fn advance(world: &mut World) {
    let partitions: Vec<String> = world.systems.keys().cloned().collect();
    for partition in &partitions {
        let phase = world.systems.get(partition).map(|s| s.phase);
        match phase {
            Some(Phase::Ipl { until, .. }) if world.now >= until => ipl_ended(world, partition),
            Some(Phase::Personality { until }) if world.now >= until => {
                kit::personality_ended(world, partition);
            }
            Some(
                Phase::Off
                | Phase::Ipl { .. }
                | Phase::Console
                | Phase::Personality { .. }
                | Phase::Up
                | Phase::Restricted
                | Phase::Ending,
            )
            | None => {}
        }
        quiesce::advance(world, partition);
        restricted::advance(world, partition);
        jobs::advance(world, partition);
    }
}

/// The operating system is up: TCP by the IPL attribute, then the start-up program.
fn ipl_ended(world: &mut World, partition: &str) {
    if let Some(r) = running(world, partition) {
        r.system.phase = Phase::Up;
        r.system.subsystems.insert("QCTL".to_owned());
    }
    history(world, partition, "CPF0921", 0, "Subsystem QCTL started.");
    let strtcp = view(world, partition).is_some_and(|(_, d)| d.strtcp);
    if strtcp {
        start_tcp(world, partition, true);
    }
    if world.knobs.monitor_starts_before_start_up {
        job_scheduler::start_by_itself(world, partition);
    }
    kit::start_up(world, partition);
}

/// STRTCP with interfaces and servers that start by themselves, or bare.
pub(super) fn start_tcp(world: &mut World, partition: &str, with_autostart: bool) {
    let Some(r) = running(world, partition).filter(|r| !r.system.network_lost) else {
        return;
    };
    r.system.tcp = true;
    if !with_autostart {
        return;
    }
    r.system.sshd = r.disk.sshd_autostart;
    let addresses: Vec<String> = r
        .disk
        .interfaces
        .iter()
        .filter(|i| i.autostart)
        .map(|i| i.address.clone())
        .collect();
    for address in addresses {
        start_interface(world, partition, &address);
    }
}

/// An address begins to answer. A second holder is an incident, whoever was first.
pub(super) fn start_interface(world: &mut World, partition: &str, address: &str) {
    if let Some(r) = running(world, partition) {
        r.system.active_interfaces.insert(address.to_owned());
    }
    let holders: Vec<String> = world
        .systems
        .iter()
        .filter(|(_, s)| s.active_interfaces.contains(address))
        .map(|(name, _)| name.clone())
        .collect();
    if holders.len() > 1 {
        world.violation(
            ViolationKind::DuplicateAddress,
            format!("{address} answers on {}", holders.join(" and ")),
        );
    }
}

/// Production's own start-up program: TCP, subsystems, and with them the waiting and scheduled work.
pub(super) fn start_production(world: &mut World, partition: &str) {
    let Some(r) = running(world, partition) else {
        return;
    };
    let subsystems = r.disk.start_up_subsystems.clone();
    r.system.subsystems.extend(subsystems);
    if r.disk.brms.as_ref().is_some_and(|b| b.file.network) {
        r.system.subsystems.insert(brms::NETWORK.to_owned());
    }
    let tcp = r.disk.start_up_starts_tcp && !r.system.tcp;
    let schedulers: Vec<String> = r.disk.scheduler.keys().cloned().collect();
    if tcp {
        start_tcp(world, partition, true);
    }
    for library in schedulers {
        job_scheduler::start(world, partition, &library);
    }
    if !world.sources.iter().any(|s| s == partition) {
        world.violation(
            ViolationKind::ProductionJobsOnClone,
            format!("production's start-up program ran on {partition}"),
        );
    }
    world
        .ledger
        .effect(format!("ibmi.{partition}.production-started"));
}

/// Who answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answering {
    /// No route: a connection runs into its limit.
    Nobody,
    /// TCP is up, sshd is not: refused.
    Refused(String),
    /// This partition's sshd.
    Partition(String),
}

/// Resolves an address of the simulated network. Two holders: an incident, and the first one (production) answers.
pub fn answering(world: &mut World, address: &str) -> Answering {
    let mut holders: Vec<String> = world
        .systems
        .iter()
        .filter(|(_, s)| s.tcp && s.active_interfaces.contains(address))
        .map(|(name, _)| name.clone())
        .collect();
    if holders.len() > 1 {
        world.violation(
            ViolationKind::DuplicateAddress,
            format!("{address} answers on {}", holders.join(" and ")),
        );
    }
    holders.sort_by_key(|h| !world.sources.contains(h));
    match holders.into_iter().next() {
        None => Answering::Nobody,
        Some(p) if world.systems.get(&p).is_some_and(|s| s.sshd) => Answering::Partition(p),
        Some(p) => Answering::Refused(p),
    }
}
