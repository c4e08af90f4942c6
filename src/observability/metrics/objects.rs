//! Families that describe environments, encoded from the caches at each scrape.

use super::counted::lock_word;
use super::last_steps::{ByEnvironment, Steps};
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun};
use crate::controllers::locks::waits_for;
use crate::engine::journal::{ObligationKind, Phase};
use crate::engine::step::LockKind;
use crate::engine::time::Timestamp;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// All obligations: their number is told also when it is 0.
const OBLIGATIONS: [ObligationKind; 6] = [
    ObligationKind::ResumeSource,
    ObligationKind::StopWatchdog,
    ObligationKind::LeavePrepared,
    ObligationKind::RemoveParameters,
    ObligationKind::RunAfterResume,
    ObligationKind::ReleaseBackups,
];
/// All locks that runs wait for.
const LOCKS: [LockKind; 4] = [
    LockKind::Clone,
    LockKind::TargetSet,
    LockKind::Source,
    LockKind::Backups,
];
/// Phases of a run that is not over.
const ACTIVE: [Phase; 4] = [
    Phase::Pending,
    Phase::Queued,
    Phase::Running,
    Phase::Cancelling,
];
/// How a run ends that the environment remembers; `none` = it never ran.
const RESULTS: [&str; 5] = ["succeeded", "warning", "failed", "cancelled", "none"];

/// The objects of one scrape.
#[derive(Default)]
pub struct Objects {
    /// Environments, all.
    pub environments: Vec<Arc<DeserializeGuard<CloneEnvironment>>>,
    /// Runs that are not final.
    pub runs: Vec<Arc<DeserializeGuard<CloneRun>>>,
    /// How long steps took last, where that is told.
    pub last_steps: ByEnvironment,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (environments, runs) = (self.environments.len(), self.runs.len());
        write!(f, "Objects({environments} environments, {runs} open runs)")
    }
}

/// One environment with its open runs, oldest first. A run whose environment is gone or cannot be read stands for itself:
/// what it owes must be seen.
struct Seen<'o> {
    namespace: String,
    name: String,
    environment: Option<&'o CloneEnvironment>,
    runs: Vec<&'o CloneRun>,
    last_steps: Option<&'o Steps>,
}

impl Seen<'_> {
    fn status(&self) -> Option<&CloneEnvironmentStatus> {
        self.environment?.status.as_ref()
    }
    /// Status of a condition: is it true?
    fn condition(&self, kind: &str) -> Option<(bool, &str)> {
        let conditions = &self.status()?.conditions;
        let found = conditions.iter().find(|c| c.type_ == kind)?;
        Some((found.status == "True", &found.reason))
    }
    fn open_obligations(&self, kind: ObligationKind) -> usize {
        let status = self.runs.iter().filter_map(|r| r.status.as_ref());
        status
            .flat_map(|s| &s.obligations)
            .filter(|o| o.kind == kind && o.met.is_none())
            .count()
    }
    /// The run that has begun, or the oldest that waits.
    fn active(&self) -> Option<&CloneRun> {
        let began = |r: &&&CloneRun| r.status.as_ref().is_some_and(|s| s.started_at.is_some());
        let found = self.runs.iter().find(began).or(self.runs.first());
        found.copied()
    }
}

/// Extra labels and a value.
type Point<'p> = &'p mut dyn FnMut(&[(&str, &str)], f64) -> fmt::Result;

/// A family of gauges.
struct Family {
    name: &'static str,
    help: &'static str,
    of: fn(&Seen<'_>, Point<'_>) -> fmt::Result,
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn seconds(at: Timestamp) -> f64 {
    at.utc().timestamp_millis() as f64 / 1000.0
}

/// One value without extra labels, if there is one.
fn one(point: Point<'_>, value: Option<f64>) -> fmt::Result {
    value.map_or(Ok(()), |value| point(&[], value))
}

/// Each of a fixed list, 1 for the one that holds.
fn each<'s>(
    point: Point<'_>,
    label: &str,
    all: impl IntoIterator<Item = &'s str>,
    holds: Option<&str>,
) -> fmt::Result {
    all.into_iter()
        .try_for_each(|word| point(&[(label, word)], flag(holds == Some(word))))
}

/// As labels show a phase.
pub fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Queued => "queued",
        Phase::Running => "running",
        Phase::Cancelling => "cancelling",
        Phase::Succeeded => "succeeded",
        Phase::Warning => "warning",
        Phase::Failed => "failed",
        Phase::Cancelled => "cancelled",
        Phase::Skipped => "skipped",
    }
}

fn info(seen: &Seen<'_>, point: Point<'_>) -> fmt::Result {
    let Some(spec) = seen.environment.map(|e| &e.spec) else {
        return Ok(());
    };
    let zone = spec.schedule.as_ref().map(|s| s.time_zone.as_str());
    let storage = spec.storage.spectrum_virtualize.as_ref();
    point(
        &[
            ("function", spec.function.as_str()),
            ("timezone", zone.unwrap_or_default()),
            ("source", &spec.source.partition.name),
            ("clone", &spec.clone.partition.name),
            ("storage_type", storage.map_or("", |_| "spectrumVirtualize")),
        ],
        1.0,
    )
}

fn next_run(seen: &Seen<'_>, point: Point<'_>) -> fmt::Result {
    let lines = seen.status().map(|s| s.schedule.as_slice());
    lines.unwrap_or_default().iter().try_for_each(|line| {
        line.next
            .map_or(Ok(()), |at| point(&[("schedule", &line.cron)], seconds(at)))
    })
}

/// The longest interval of all lines together: one line may be due so seldom because another is.
fn expected_interval(seen: &Seen<'_>, point: Point<'_>) -> fmt::Result {
    let Some((status, expected)) = seen
        .status()
        .and_then(|s| Some((s, s.expected_interval_seconds?)))
    else {
        return Ok(());
    };
    let lines: Vec<&str> = status.schedule.iter().map(|l| l.cron.as_str()).collect();
    point(&[("schedule", &lines.join("; "))], expected as f64)
}

fn last_run_status(seen: &Seen<'_>, point: Point<'_>) -> fmt::Result {
    let Some(status) = seen.status() else {
        return Ok(());
    };
    let word = match &status.last_run {
        Some(last) => phase_word(last.phase),
        None => "none",
    };
    each(point, "status", RESULTS, Some(word))
}

fn active_phase(seen: &Seen<'_>, point: Point<'_>) -> fmt::Result {
    let phase = seen.active().map(|run| run.status.as_ref());
    let word = phase.map(|s| phase_word(s.map(|s| s.phase).unwrap_or_default()));
    each(point, "phase", ACTIVE.map(phase_word), word)
}

fn active_start(seen: &Seen<'_>, point: Point<'_>) -> fmt::Result {
    let Some(status) = seen.active().and_then(|run| run.status.as_ref()) else {
        return Ok(());
    };
    let step = status.step.as_deref().unwrap_or_default();
    status
        .started_at
        .map_or(Ok(()), |at| point(&[("step", step)], seconds(at)))
}

/// Absent while the console does not tell: a machine that is not available may run or not.
fn clone_active(seen: &Seen<'_>) -> Option<f64> {
    match seen.status()?.clone.as_ref()?.state.as_str() {
        "not available" => None,
        state => Some(flag(state != "not activated")),
    }
}

fn flashcopy_active(seen: &Seen<'_>) -> Option<f64> {
    let state = seen.status()?.image.as_ref()?.state.as_str();
    Some(flag(["copying", "stopping", "suspended"].contains(&state)))
}

fn percent(value: Option<i32>) -> Option<f64> {
    value.map(|percent| f64::from(percent) / 100.0)
}

/// A kind that is not in [`OBLIGATIONS`] would never be seen: a new one does not compile until it has its word here.
fn obligation_word(kind: ObligationKind) -> &'static str {
    match kind {
        ObligationKind::ResumeSource => "ResumeSource",
        ObligationKind::StopWatchdog => "StopWatchdog",
        ObligationKind::LeavePrepared => "LeavePrepared",
        ObligationKind::RemoveParameters => "RemoveParameters",
        ObligationKind::RunAfterResume => "RunAfterResume",
        ObligationKind::ReleaseBackups => "ReleaseBackups",
    }
}

fn obligations(seen: &Seen<'_>, point: Point<'_>) -> fmt::Result {
    OBLIGATIONS.iter().try_for_each(|kind| {
        let open = seen.open_obligations(*kind);
        point(&[("obligation", obligation_word(*kind))], open as f64)
    })
}

/// By the journal or by the environment's condition: whichever knows it.
fn source_frozen(seen: &Seen<'_>) -> f64 {
    let owed = seen.open_obligations(ObligationKind::ResumeSource) > 0;
    let said = seen.condition("SourceFrozen").is_some_and(|c| c.0);
    flag(owed || said)
}

/// As [`source_frozen`], of production's BRMS.
fn backups_frozen(seen: &Seen<'_>) -> f64 {
    let owed = seen.open_obligations(ObligationKind::ReleaseBackups) > 0;
    let said = seen.condition("BackupsFrozen").is_some_and(|c| c.0);
    flag(owed || said)
}

/// In the order of docs/metrics.md.
#[rustfmt::skip]
static FAMILIES: &[Family] = &[
    Family { name: "ibmiclone_environment_info", help: "What the environment is", of: info },
    Family { name: "ibmiclone_environment_created_timestamp_seconds", help: "Creation of the object",
        of: |e, p| one(p, e.environment.and_then(|o| o.creation_timestamp()).map(|t| t.0.as_second() as f64)) },
    Family { name: "ibmiclone_environment_ready", help: "Condition Ready",
        of: |e, p| e.condition("Ready").map_or(Ok(()), |(ready, reason)| p(&[("reason", reason)], flag(ready))) },
    Family { name: "ibmiclone_environment_suspended", help: "spec.suspend",
        of: |e, p| one(p, e.environment.map(|o| flag(o.spec.suspend))) },
    Family { name: "ibmiclone_environment_next_run_timestamp_seconds", help: "Next time of a line of the schedule", of: next_run },
    Family { name: "ibmiclone_environment_expected_interval_seconds", help: "Longest time between two times of the schedule", of: expected_interval },
    Family { name: "ibmiclone_environment_last_run_timestamp_seconds", help: "Start of the newest run",
        of: |e, p| one(p, e.status().and_then(|s| s.last_run.as_ref()?.started_at).map(seconds)) },
    Family { name: "ibmiclone_environment_last_success_timestamp_seconds", help: "End of the last success, 0 if never",
        of: |e, p| one(p, e.environment.map(|_| e.status().and_then(|s| s.last_success_time).map_or(0.0, seconds))) },
    Family { name: "ibmiclone_environment_last_failure_timestamp_seconds", help: "End of the last failure, 0 if never",
        of: |e, p| one(p, e.environment.map(|_| e.status().and_then(|s| s.last_failure_time).map_or(0.0, seconds))) },
    Family { name: "ibmiclone_environment_last_run_status", help: "How the newest run ended", of: last_run_status },
    Family { name: "ibmiclone_environment_last_run_duration_seconds", help: "Duration of the newest run",
        of: |e, p| one(p, e.status().and_then(|s| s.last_run.as_ref()?.duration_seconds).map(|d| d as f64)) },
    Family { name: "ibmiclone_environment_last_run_messages", help: "Messages of the newest run",
        of: |e, p| one(p, e.status().and_then(|s| s.last_run.as_ref()).map(|l| l.messages as f64)) },
    Family { name: "ibmiclone_environment_last_run_errors", help: "Errors among them",
        of: |e, p| one(p, e.status().and_then(|s| s.last_run.as_ref()).map(|l| l.errors as f64)) },
    Family { name: "ibmiclone_environment_consecutive_failures", help: "Failures since the last success",
        of: |e, p| one(p, e.status().map(|s| f64::from(s.consecutive_failures))) },
    Family { name: "ibmiclone_environment_overdue", help: "Condition Overdue",
        of: |e, p| one(p, e.environment.map(|_| flag(e.condition("Overdue").is_some_and(|c| c.0)))) },
    Family { name: "ibmiclone_environment_active_run_phase", help: "Phase of the open run", of: active_phase },
    Family { name: "ibmiclone_environment_active_run_start_timestamp_seconds", help: "Start of the open run", of: active_start },
    Family { name: "ibmiclone_environment_clone_active", help: "The clone's partition is not off", of: |e, p| one(p, clone_active(e)) },
    Family { name: "ibmiclone_environment_flashcopy_active", help: "The target set depends on production's volumes", of: |e, p| one(p, flashcopy_active(e)) },
    Family { name: "ibmiclone_environment_flashcopy_progress_ratio", help: "Background copy",
        of: |e, p| one(p, percent(e.status().and_then(|s| s.image.as_ref()?.progress_percent))) },
    Family { name: "ibmiclone_environment_clone_disk_used_ratio", help: "Space used on the targets",
        of: |e, p| one(p, percent(e.status().and_then(|s| s.image.as_ref()?.disk_used_percent))) },
    Family { name: "ibmiclone_environment_obligations_open", help: "Obligations of open runs that are not met", of: obligations },
    Family { name: "ibmiclone_environment_last_step_duration_seconds", help: "How long a step took last",
        of: |e, p| e.last_steps.into_iter().flatten().try_for_each(|(step, took)| p(&[("step", step)], *took)) },
    Family { name: "ibmiclone_environment_source_frozen", help: "It is not proved that production runs", of: |e, p| p(&[], source_frozen(e)) },
    Family { name: "ibmiclone_environment_backups_frozen", help: "Production's BRMS is in its FlashCopy process, or may be", of: |e, p| p(&[], backups_frozen(e)) },
];

impl Objects {
    /// Namespace and name of all environments, also of one that cannot be read.
    pub(super) fn names(&self) -> HashSet<(String, String)> {
        let environments = self.environments.iter();
        environments
            .map(|e| (e.namespace().unwrap_or_default(), e.name_any()))
            .collect()
    }

    /// Runs that wait, by the lock they miss.
    fn waiting(&self, lock: LockKind) -> usize {
        let runs = self.runs.iter().filter_map(|r| r.0.as_ref().ok());
        let queues = runs.filter_map(|r| r.status.as_ref()?.queue.as_ref());
        queues
            .filter(|queue| waits_for(&queue.blocked_by) == Some(lock))
            .count()
    }

    fn encode_queue(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let (name, help) = ("ibmiclone_queue_length", "Runs that wait for a device");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for lock in LOCKS {
            let labels = [("lock", lock_word(lock))];
            let labels = labels.as_slice();
            let of_one = metric.encode_family(&labels)?;
            ConstGauge::new(self.waiting(lock) as f64).encode(of_one)?;
        }
        Ok(())
    }

    fn seen(&self) -> Vec<Seen<'_>> {
        let mut all: BTreeMap<(String, String), Seen<'_>> = BTreeMap::new();
        let blank = |key: &(String, String)| Seen {
            namespace: key.0.clone(),
            name: key.1.clone(),
            environment: None,
            runs: Vec::new(),
            last_steps: self.last_steps.get(key),
        };
        for environment in self.environments.iter().filter_map(|e| e.0.as_ref().ok()) {
            let key = (
                environment.namespace().unwrap_or_default(),
                environment.name_any(),
            );
            let seen = all.entry(key.clone()).or_insert_with(|| blank(&key));
            seen.environment = Some(environment);
        }
        for run in self.runs.iter().filter_map(|r| r.0.as_ref().ok()) {
            let key = (
                run.namespace().unwrap_or_default(),
                run.spec.environment.clone(),
            );
            let seen = all.entry(key.clone()).or_insert_with(|| blank(&key));
            seen.runs.push(run);
        }
        let mut all: Vec<Seen<'_>> = all.into_values().collect();
        for seen in &mut all {
            let age = |r: &&CloneRun| (r.creation_timestamp().map(|t| t.0), r.name_any());
            seen.runs.sort_by_key(age);
        }
        all
    }
}

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let seen = self.seen();
        for family in FAMILIES {
            let kind = MetricType::Gauge;
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for one in &seen {
                let mut point = |extra: &[(&str, &str)], value: f64| {
                    let mut labels = vec![
                        ("namespace", one.namespace.as_str()),
                        ("environment", &one.name),
                    ];
                    labels.extend_from_slice(extra);
                    let labels = labels.as_slice();
                    let of_one = metric.encode_family(&labels)?;
                    ConstGauge::new(value).encode(of_one)
                };
                (family.of)(one, &mut point)?;
            }
        }
        self.encode_queue(&mut encoder)
    }
}
