//! What is counted where it happens. These begin at zero with the process; alerts on state use the families of objects.

use super::last_steps::LastSteps;
use crate::engine::step::LockKind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Seconds production was held.
const FREEZE: [f64; 14] = [
    0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0,
];
/// Seconds of a run.
const RUN: [f64; 14] = [
    60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 14_400.0, 21_600.0, 28_800.0,
    43_200.0, 64_800.0, 86_400.0,
];
/// Seconds of a step.
const STEP: [f64; 15] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0,
    28_800.0,
];
/// Seconds from slot and jitter to the created run.
const LATENESS: [f64; 16] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0,
];
/// Seconds a run waited for a device.
const QUEUE: [f64; 12] = [
    1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0,
];
/// Seconds of one request to a device.
const DEVICE: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Seconds of one request to the API server.
const API: [f64; 8] = [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Seconds of one look at an object.
const RECONCILE: [f64; 8] = [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EnvironmentLabels {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub environment: String,
}

/// An ended run, without its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RunLabels {
    /// Namespace.
    pub namespace: String,
    /// Environment.
    pub environment: String,
    /// HOLD, BRMS, SAVE21, USER; empty where it never opened.
    pub function: String,
    /// Manual, External, Schedule.
    pub trigger: String,
    /// succeeded, warning, failed, cancelled, skipped.
    pub result: String,
}

/// Function and result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    function: String,
    result: String,
}

/// A step that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StepLabels {
    /// Step id: `suspend-source`.
    pub step: String,
    /// done, failed.
    pub result: &'static str,
}

/// Slots that were not run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MissedLabels {
    namespace: String,
    environment: String,
    reason: &'static str,
}

/// A run that another process goes on with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResumeLabels {
    namespace: String,
    environment: String,
    step: String,
}

/// A kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReconcileLabels {
    /// CloneEnvironment, CloneRun.
    pub kind: String,
}

/// A lock that runs wait for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LockLabels {
    lock: &'static str,
}

/// A kind of device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeviceLabels {
    device: &'static str,
}

/// An answer of the API server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    verb: &'static str,
    code: String,
}

/// A request to the API server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabels {
    verb: &'static str,
}

/// What this is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    revision: &'static str,
    rustc: &'static str,
    tzdb: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Counters and histograms of the process.
pub struct Counted {
    pub(super) leader: Seconds,
    pub(super) last_tick: Seconds,
    freeze: Histograms<EnvironmentLabels>,
    runs: Family<RunLabels, Counter>,
    run_seconds: Histograms<DurationLabels>,
    step_seconds: Histograms<StepLabels>,
    lateness: Histogram,
    missed: Family<MissedLabels, Counter>,
    resumes: Family<ResumeLabels, Counter>,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Family<ReconcileLabels, Counter>,
    reconcile_seconds: Histograms<ReconcileLabels>,
    queue_seconds: Histograms<LockLabels>,
    device_seconds: Histograms<DeviceLabels>,
    api_requests: Family<AnswerLabels, Counter>,
    api_seconds: Histograms<VerbLabels>,
    pub(super) last_steps: LastSteps,
}

fn histograms<L: Clone + std::hash::Hash + Eq>(make: fn() -> Histogram) -> Histograms<L> {
    Family::new_with_constructor(make)
}

impl Counted {
    /// All of them, registered under their names without the prefix.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counted = Self {
            leader: Seconds::default(),
            last_tick: Seconds::default(),
            freeze: histograms(|| Histogram::new(FREEZE)),
            runs: Family::default(),
            run_seconds: histograms(|| Histogram::new(RUN)),
            step_seconds: histograms(|| Histogram::new(STEP)),
            lateness: Histogram::new(LATENESS),
            missed: Family::default(),
            resumes: Family::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_seconds: histograms(|| Histogram::new(RECONCILE)),
            queue_seconds: histograms(|| Histogram::new(QUEUE)),
            device_seconds: histograms(|| Histogram::new(DEVICE)),
            api_requests: Family::default(),
            api_seconds: histograms(|| Histogram::new(API)),
            last_steps: LastSteps::default(),
        };
        register_build(registry);
        let c = &counted;
        registry.register("leader", "1 where this process acts", c.leader.clone());
        registry.register(
            "scheduler_last_tick_timestamp_seconds",
            "When the schedule's timer queue was looked at last; 0 while standing by",
            c.last_tick.clone(),
        );
        registry.register(
            "freeze_duration_seconds",
            "How long production was held, first suspend sent to last resume answered",
            c.freeze.clone(),
        );
        registry.register("runs", "Runs that ended", c.runs.clone());
        registry.register(
            "run_duration_seconds",
            "Duration of ended runs, after the queue",
            c.run_seconds.clone(),
        );
        registry.register(
            "step_duration_seconds",
            "Duration of ended steps",
            c.step_seconds.clone(),
        );
        registry.register(
            "schedule_lateness_seconds",
            "From a slot and its jitter to its run",
            c.lateness.clone(),
        );
        registry.register("slots_missed", "Slots that were not run", c.missed.clone());
        registry.register(
            "run_resumes",
            "Runs that another process had begun",
            c.resumes.clone(),
        );
        registry.register("reconcile", "Looks at objects", c.reconciles.clone());
        registry.register(
            "reconcile_errors",
            "Looks that failed",
            c.reconcile_errors.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "Duration of looks",
            c.reconcile_seconds.clone(),
        );
        registry.register(
            "queue_wait_seconds",
            "How long runs waited for a device",
            c.queue_seconds.clone(),
        );
        registry.register(
            "device_request_duration_seconds",
            "Duration of requests to devices, answered or not",
            c.device_seconds.clone(),
        );
        registry.register(
            "kube_api_requests",
            "Requests to the API server",
            c.api_requests.clone(),
        );
        registry.register(
            "kube_api_request_duration_seconds",
            "Time to the first byte of its answers",
            c.api_seconds.clone(),
        );
        counted
    }

    /// A window has closed that held production for so long.
    pub fn frozen(&self, namespace: &str, environment: &str, held: Duration) {
        let labels = EnvironmentLabels {
            namespace: namespace.to_owned(),
            environment: environment.to_owned(),
        };
        let histogram = self.freeze.get_or_create(&labels);
        histogram.observe(held.as_secs_f64());
    }

    /// A run has ended; `seconds` from its first step, if it had one.
    pub fn ended(&self, labels: &RunLabels, seconds: Option<f64>) {
        self.runs.get_or_create(labels).inc();
        if let Some(seconds) = seconds {
            let labels = DurationLabels {
                function: labels.function.clone(),
                result: labels.result.clone(),
            };
            self.run_seconds.get_or_create(&labels).observe(seconds);
        }
    }

    /// A step has ended.
    pub fn step_ended(&self, labels: &StepLabels, seconds: f64) {
        self.step_seconds.get_or_create(labels).observe(seconds);
    }

    /// A step of an environment has ended; kept only where it was asked for.
    pub fn last_step(&self, namespace: &str, environment: &str, step: &str, seconds: f64) {
        self.last_steps.enter(namespace, environment, step, seconds);
    }

    /// A run has waited so long for a device.
    pub fn waited(&self, lock: LockKind, waited: Duration) {
        let labels = LockLabels {
            lock: lock_word(lock),
        };
        let seconds = self.queue_seconds.get_or_create(&labels);
        seconds.observe(waited.as_secs_f64());
    }

    /// A request to a device of this kind was answered, or was not.
    pub fn asked(&self, device: &'static str, took: Duration) {
        let seconds = self.device_seconds.get_or_create(&DeviceLabels { device });
        seconds.observe(took.as_secs_f64());
    }

    /// A request to the API server; `code` is that of HTTP, or `none` without an answer. A watch has no duration.
    pub fn requested(&self, verb: &'static str, code: String, took: Option<Duration>) {
        let answer = AnswerLabels { verb, code };
        self.api_requests.get_or_create(&answer).inc();
        if let Some(took) = took {
            let seconds = self.api_seconds.get_or_create(&VerbLabels { verb });
            seconds.observe(took.as_secs_f64());
        }
    }

    /// The run of a slot was created, so long after slot and jitter.
    pub fn created(&self, late: Duration) {
        self.lateness.observe(late.as_secs_f64());
    }

    /// So many slots were not run.
    pub fn missed(&self, namespace: &str, environment: &str, reason: &'static str, slots: u64) {
        let labels = MissedLabels {
            namespace: namespace.to_owned(),
            environment: environment.to_owned(),
            reason,
        };
        self.missed.get_or_create(&labels).inc_by(slots);
    }

    /// A run that another process had begun goes on at this step.
    pub fn resumed(&self, namespace: &str, environment: &str, step: &str) {
        let labels = ResumeLabels {
            namespace: namespace.to_owned(),
            environment: environment.to_owned(),
            step: step.to_owned(),
        };
        self.resumes.get_or_create(&labels).inc();
    }

    /// A look at an object.
    pub fn reconciled(&self, kind: &str, took: Duration, failed: bool) {
        let labels = ReconcileLabels {
            kind: kind.to_owned(),
        };
        self.reconciles.get_or_create(&labels).inc();
        let errors = self.reconcile_errors.get_or_create(&labels);
        errors.inc_by(u64::from(failed));
        let seconds = self.reconcile_seconds.get_or_create(&labels);
        seconds.observe(took.as_secs_f64());
    }
}

/// As labels show a kind of lock.
pub(super) fn lock_word(lock: LockKind) -> &'static str {
    match lock {
        LockKind::Clone => "clone",
        LockKind::TargetSet => "target",
        LockKind::Source => "source",
        LockKind::Backups => "backups",
    }
}

fn register_build(registry: &mut Registry) {
    let build = Family::<BuildLabels, Gauge>::default();
    let labels = BuildLabels {
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("IBMICLONE_REVISION").unwrap_or_default(),
        rustc: env!("IBMICLONE_RUSTC"),
        tzdb: chrono_tz::IANA_TZDB_VERSION,
    };
    build.get_or_create(&labels).set(1);
    registry.register("build_info", "What this program is", build);
}
