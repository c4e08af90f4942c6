//! Jobs of the console: accepted, running, ended, cancelled, forgotten (`hmc.md` § 1.11).

use crate::simulators::faults::Device;
use crate::simulators::world::World;
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
    /// Somebody cancelled it before it began to show; what it does is done all the same.
    CanceledBeforeStart,
    /// Somebody cancelled it; what it does is done all the same.
    CanceledWhileRunning,
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
            JobStatus::CanceledBeforeStart => "CANCELED_BEFORE_START",
            JobStatus::CanceledWhileRunning => "CANCELED_WHILE_RUNNING",
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
    /// Which of the consoles has it: another one does not know it.
    pub endpoint: usize,
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

pub(super) fn millis(n: u64) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Why a job failed: status and `result`.
pub(super) type Refused = (JobStatus, String);

/// A job that ran and failed with a code.
pub(super) fn refused(code: &str, text: &str) -> Refused {
    (JobStatus::CompletedWithError, format!("{code} {text}"))
}

/// Adds a job whose outcome is already known; it shows after the knob's time.
pub fn add_job(
    world: &mut World,
    operation: &str,
    group: &str,
    target: &str,
    outcome: Result<String, (JobStatus, String)>,
) -> u64 {
    let console = world.console.name.clone();
    let special = world
        .faults
        .take_special(Device::Hmc, &console, operation)
        .unwrap_or_default();
    let id = world.console.next_job;
    world.console.next_job += 1;
    let (outcome, return_code, result) = match outcome {
        Ok(result) if special == "return-code" => (JobStatus::CompletedOk, 1, result),
        Ok(result) => (JobStatus::CompletedOk, 0, result),
        Err((status, text)) => (status, 1, text),
    };
    let result = if special == "localised" {
        localised(&result)
    } else {
        result
    };
    let time = millis(world.knobs.hmc_job_milliseconds);
    let ends = (special != "stuck-job").then(|| world.now + time);
    world.console.jobs.insert(
        id,
        Job {
            id,
            endpoint: 0,
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

/// The text of a message in another language: the code stays (`hmc.md` § 7).
fn localised(result: &str) -> String {
    match result.split_once(' ') {
        Some((code, _)) if code.starts_with("HSCL") => {
            format!("{code} L'opération demandée a échoué.")
        }
        Some(_) | None => result.to_owned(),
    }
}

/// Cancels a job: it ends now. Whether it had ended already. What it set in motion is not stopped.
pub fn cancel(world: &mut World, id: u64) -> bool {
    let now = world.now;
    let Some(job) = world.console.jobs.get_mut(&id) else {
        return true;
    };
    job.outcome = match job.status(now) {
        JobStatus::NotStarted => JobStatus::CanceledBeforeStart,
        JobStatus::Running => JobStatus::CanceledWhileRunning,
        JobStatus::CompletedOk
        | JobStatus::CompletedWithError
        | JobStatus::FailedBeforeCompletion
        | JobStatus::CanceledBeforeStart
        | JobStatus::CanceledWhileRunning => return true,
    };
    job.ends = Some(now);
    false
}

/// Forgets jobs that ended long ago, as a console does.
pub(super) fn reap(world: &mut World) {
    let keep = world.console.job_minutes;
    if keep > 0 {
        let limit = world.now - TimeDelta::minutes(keep);
        let jobs = &mut world.console.jobs;
        jobs.retain(|_, job| job.ends.is_none_or(|ends| ends > limit));
    }
}
