//! Power of partitions: jobs, state machine, reference codes (`hmc.md` § 1.9–1.11, § 7).

use super::file::PartitionKind;
use super::partition::PowerState;
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::ibmi;
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::World;
use crate::simulators::world::coupling::{IplFinding, find_system};
use chrono::{DateTime, TimeDelta, Utc};

/// Status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    /// Accepted.
    NotStarted,
    /// Under way.
    Running,
    /// Good.
    CompletedOk,
    /// Bad, with a code in the result.
    CompletedWithError,
    /// The command was not accepted at all.
    FailedBeforeCompletion,
}

impl JobStatus {
    /// The console's word.
    pub fn as_str(self) -> &'static str {
        match self {
            JobStatus::NotStarted => "NOT_STARTED",
            JobStatus::Running => "RUNNING",
            JobStatus::CompletedOk => "COMPLETED_OK",
            JobStatus::CompletedWithError => "COMPLETED_WITH_ERROR",
            JobStatus::FailedBeforeCompletion => "FAILED_BEFORE_COMPLETION",
        }
    }
    /// Whether it changes no more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, JobStatus::NotStarted | JobStatus::Running)
    }
}

/// A job of the console.
#[derive(Debug, Clone)]
pub struct Job {
    /// 13 digits.
    pub id: u64,
    /// `PowerOn`, `PowerOff`, `CLIRunner`.
    pub operation: String,
    /// `LogicalPartition` or `ManagementConsole`.
    pub group: String,
    /// UUID of what it works on.
    pub target: String,
    /// Parameters as submitted.
    pub parameters: Vec<(String, String)>,
    /// Submitted.
    pub submitted: DateTime<Utc>,
    /// From then on terminal; `None` = stuck RUNNING.
    pub ends: Option<DateTime<Utc>>,
    /// Status once terminal.
    pub outcome: JobStatus,
    /// `returnCode`.
    pub return_code: i32,
    /// `result`.
    pub result: String,
}

impl Job {
    /// Status at a time: not started for the first tenth of its time.
    pub fn status(&self, now: DateTime<Utc>) -> JobStatus {
        match self.ends {
            Some(ends) if now >= ends => self.outcome,
            Some(ends) if (now - self.submitted) * 10 < ends - self.submitted => {
                JobStatus::NotStarted
            }
            Some(_) | None => JobStatus::Running,
        }
    }
}

fn millis(n: u64) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Adds a job whose outcome is already known; it shows after the knob's time.
pub fn add_job(
    world: &mut World,
    operation: &str,
    group: &str,
    target: &str,
    outcome: Result<String, (JobStatus, String)>,
) -> u64 {
    let special = match world
        .faults
        .take(Device::Hmc, "", &format!("special {operation}"))
    {
        Some(FaultKind::Special(word)) => word,
        _ => String::new(),
    };
    let id = world.console.next_job;
    world.console.next_job += 1;
    let (outcome, return_code, result) = match outcome {
        Ok(result) if special == "return-code" => (JobStatus::CompletedOk, 1, result),
        Ok(result) => (JobStatus::CompletedOk, 0, result),
        Err((status, text)) => (status, 1, text),
    };
    let ends =
        (special != "stuck-job").then(|| world.now + millis(world.knobs.hmc_job_milliseconds));
    world.console.jobs.insert(
        id,
        Job {
            id,
            operation: operation.to_owned(),
            group: group.to_owned(),
            target: target.to_owned(),
            parameters: Vec::new(),
            submitted: world.now,
            ends,
            outcome,
            return_code,
            result,
        },
    );
    id
}

type Refused = (JobStatus, String);

fn refused(code: &str, text: &str) -> Refused {
    (JobStatus::CompletedWithError, format!("{code} {text}"))
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
    let Some(p) = world.console.partitions.get_mut(partition) else {
        return Err(refused("HSCL8012", "The partition was not found."));
    };
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
    if let Some(profile) = profile
        && !p
            .profiles
            .iter()
            .any(|(uuid, name)| uuid == profile || name == profile)
    {
        return Err(refused("HSCL8018", "The partition profile was not found."));
    }
    if let Some(manual) = manual {
        p.keylock = if manual { "manual" } else { "normal" }.to_owned();
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

/// PowerOff, immediate shutdown.
pub fn power_off(world: &mut World, partition: &str) -> u64 {
    let uuid = uuid_of(world, partition);
    note_command(world, partition, "PowerOff");
    let until = world.now + millis(world.knobs.power_off_milliseconds);
    let outcome = match world.console.partitions.get_mut(partition) {
        None => Err(refused("HSCL8012", "The partition was not found.")),
        Some(p) if p.state == PowerState::NotActivated => {
            Err(refused("HSCL1558", "The partition is already powered off."))
        }
        Some(p) => {
            p.state = PowerState::ShuttingDown { until };
            p.error_code = None;
            p.off_until = None;
            Ok(String::new())
        }
    };
    if outcome.is_ok() {
        ibmi::power_lost(world, partition);
        world.ledger.effect(format!("hmc.PowerOff.{partition}"));
    }
    add_job(world, "PowerOff", "LogicalPartition", &uuid, outcome)
}

/// PowerOn with OperationType changeKeylock.
pub fn change_keylock(world: &mut World, partition: &str, manual: bool) -> u64 {
    let uuid = uuid_of(world, partition);
    let outcome = match world.console.partitions.get_mut(partition) {
        None => Err(refused("HSCL8012", "The partition was not found.")),
        Some(p) => {
            p.keylock = if manual { "manual" } else { "normal" }.to_owned();
            Ok(String::new())
        }
    };
    world
        .ledger
        .effect(format!("hmc.changeKeylock.{partition}"));
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
            manual: false,
        };
        world.ledger.effect(format!("person.start.{partition}"));
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
    match find_system(world, partition) {
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

/// The code the console shows for a partition; blank for VIOS and AIX, as on the real one.
pub fn reference_code(world: &World, partition: &str) -> String {
    let Some(p) = world.console.partitions.get(partition) else {
        return String::new();
    };
    if p.kind != PartitionKind::OS400 {
        return String::new();
    }
    match p.state {
        PowerState::NotActivated => "00000000".to_owned(),
        PowerState::Starting { .. } => "C2001000".to_owned(),
        PowerState::Running => ibmi::reference_code(world, partition),
        PowerState::ShuttingDown { .. } => "D2xx1010".replace("xx", "00"),
        PowerState::Error => p
            .error_code
            .as_ref()
            .map(|(c, _)| c.clone())
            .unwrap_or_default(),
    }
}
