//! The knobs of a run: freeze, function, time limits, logs. Every default lives here, in the schema.

use super::surroundings::OnProgramError;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the clone is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Function {
    /// A safety copy: the clone is not started.
    #[serde(rename = "HOLD")]
    Hold,
    /// BRMS control groups are saved on the clone, their history goes back to production.
    #[serde(rename = "BRMS")]
    Brms,
    /// The full system save, before anything is changed on the clone.
    #[serde(rename = "SAVE21")]
    Save21,
    /// Own programs run on the clone.
    #[serde(rename = "USER")]
    User,
}

impl Function {
    /// As written in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Function::Hold => "HOLD",
            Function::Brms => "BRMS",
            Function::Save21 => "SAVE21",
            Function::User => "USER",
        }
    }

    /// All of them, as they are listed for people.
    pub const ALL: [Function; 4] = [
        Function::Hold,
        Function::Brms,
        Function::Save21,
        Function::User,
    ];

    /// By the word of YAML.
    pub fn named(word: &str) -> Option<Function> {
        Self::ALL.into_iter().find(|f| f.as_str() == word)
    }

    /// Word of the history display for a clone that came to its end (`product.md` § 3).
    pub fn end_word(self) -> &'static str {
        match self {
            Function::Hold => "HOLD",
            Function::Brms => "BRMS_END",
            Function::Save21 => "SAVE21_END",
            Function::User => "USER_END",
        }
    }

    /// Whether a run of this function starts its clone.
    pub fn starts_clone(self) -> bool {
        match self {
            Function::Hold => false,
            Function::Brms | Function::Save21 | Function::User => true,
        }
    }
}

/// How production is suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.commitBoundarySeconds < self.maxSeconds").message("commitBoundarySeconds must be below maxSeconds: the suspend alone may take that long"))]
pub struct Freeze {
    /// Suspend (CHGASPACT *SUSPEND) or ForceWrite (never suspends; the run is at best a Warning). Default Suspend.
    #[serde(default)]
    pub mode: FreezeMode,
    /// What happens when transactions do not reach a commit boundary in time. Default Abort.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// New windows after a refused or timed-out suspend. Default 2.
    #[serde(default = "two")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: i32,
    /// SSPTIMO, seconds. Default 60.
    #[serde(default = "sixty")]
    #[schemars(range(min = 1, max = 599))]
    pub commit_boundary_seconds: i32,
    /// Hard cap from the first suspend; then the source is resumed whatever else is going on. Default 120, at most 600.
    #[serde(default = "hundred_twenty")]
    #[schemars(range(min = 2, max = 600))]
    pub max_seconds: i32,
    /// Which ASPs: Auto = *SYSBAS and every available independent one. Default Auto.
    #[serde(default)]
    pub asps: Asps,
    /// What proves the suspension: Assumed (same helper alive, within maxSeconds, watchdog not fired) or Canary
    /// (a commit that waits). Default Assumed, until the canary has been seen on a real system.
    #[serde(default)]
    pub proof: Proof,
}

impl Default for Freeze {
    fn default() -> Self {
        Self {
            mode: FreezeMode::default(),
            on_timeout: OnTimeout::default(),
            retries: two(),
            commit_boundary_seconds: sixty(),
            max_seconds: hundred_twenty(),
            asps: Asps::default(),
            proof: Proof::default(),
        }
    }
}

fn two() -> i32 {
    2
}
fn sixty() -> i32 {
    60
}
fn hundred_twenty() -> i32 {
    120
}
fn thirty() -> i32 {
    30
}

/// Suspend or only force write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum FreezeMode {
    /// CHGASPACT *SUSPEND.
    #[default]
    Suspend,
    /// CHGASPACT *FRCWRT only.
    ForceWrite,
}

/// When transactions do not reach a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// SSPTIMOACN(*END): the suspension is cancelled, tried again `retries` times, then the run fails.
    #[default]
    Abort,
    /// SSPTIMOACN(*CONT): stay suspended, stragglers roll back on the clone.
    KeepSuspended,
    /// As Abort, and after the last retry a copy after FRCWRT; the run is at best a Warning.
    ForceWrite,
}

/// Which ASPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Asps {
    /// *SYSBAS and every available independent ASP.
    #[default]
    Auto,
}

/// What proves the suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Proof {
    /// Suspend returned 0, same helper alive, within maxSeconds, watchdog not fired.
    #[default]
    Assumed,
    /// A commit in the kit's own table waits.
    Canary,
}

/// The USER function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The programs, called one after another in this order; `timeouts.functionSeconds` bounds them all together.
    #[schemars(length(min = 1, max = 16))]
    pub programs: Vec<UserProgram>,
}

/// One program on the clone, run as a submitted job with its own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserProgram {
    /// `LIB/PROGRAM`.
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("program: write LIBRARY/PROGRAM in upper case, such as CLNLIB/MYSAVE"))]
    pub program: String,
    /// Character parameters, in order. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 256)))]
    pub parameters: Vec<String>,
    /// `LIB/QUEUE`. Default QSYS/QSYSNOMAX (QBATCH is not started on a clone).
    #[serde(default = "default_queue")]
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("jobQueue: write LIBRARY/QUEUE in upper case, such as QSYS/QSYSNOMAX"))]
    pub job_queue: String,
    /// User profile the job runs under; default the one of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("user: write a user profile, at most 10 characters, upper case"))]
    pub user: Option<String>,
    /// Messages of this severity or above count as errors and make the run a Warning. Default 30.
    #[serde(default = "thirty")]
    #[schemars(range(min = 0, max = 99))]
    pub error_severity: i32,
    /// What happens when its job ends abnormally: Stop (the next programs are not called and the run fails) or Continue
    /// (they are, and the run is at best a Warning). Default Stop.
    #[serde(default)]
    pub on_error: OnProgramError,
}

pub(super) fn default_queue() -> String {
    "QSYS/QSYSNOMAX".to_owned()
}

/// Time limits, seconds. None of them ever powers off a clone that is saving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Whole run. Default 64800.
    #[serde(default = "run_seconds")]
    #[schemars(range(min = 60, max = 604800))]
    pub run_seconds: i32,
    /// Activation → ready. Default 7200.
    #[serde(default = "ipl_seconds")]
    #[schemars(range(min = 60, max = 86400))]
    pub ipl_seconds: i32,
    /// The function. Default 43200.
    #[serde(default = "function_seconds")]
    #[schemars(range(min = 60, max = 604800))]
    pub function_seconds: i32,
}

fn run_seconds() -> i32 {
    64800
}
fn ipl_seconds() -> i32 {
    7200
}
fn function_seconds() -> i32 {
    43200
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            run_seconds: run_seconds(),
            ipl_seconds: ipl_seconds(),
            function_seconds: function_seconds(),
        }
    }
}

/// What is kept of the logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// Logs of this many newest runs are kept. Default 5.
    #[serde(default = "retain_runs")]
    #[schemars(range(min = 1, max = 100))]
    pub retain_runs: i32,
    /// Compressed bytes per run; beyond it head and tail survive and the cut is marked. Default 524288.
    #[serde(default = "max_bytes")]
    #[schemars(range(min = 4096, max = 16777216))]
    pub max_bytes_per_run: i32,
    /// Whether the job log of the function's job is kept. Default All.
    #[serde(default)]
    pub job_logs: JobLogs,
    /// Messages below this severity are not kept. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 99))]
    pub min_severity: i32,
    /// Messages of this severity or above count as errors. Default 30.
    #[serde(default = "thirty")]
    #[schemars(range(min = 0, max = 99))]
    pub error_severity: i32,
    /// Message ids that are never errors. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 7, max = 7)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[A-Z][A-Z0-9]{2}[0-9A-F]{4}$'))").message("ignore: write message ids of 7 characters such as CPF3770"))]
    pub ignore: Vec<String>,
    /// Row and logs are put on production too, as stream files, with a message to QSYSOPR. Default: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_source: Option<OnSource>,
}

/// Copies of row and logs on production, for those who look there. What fails here makes a Warning, never a failed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnSource {
    /// Directory of the stream files; made when it is missing. Default /home/ibmiclone/logs.
    #[serde(default = "logs_directory")]
    #[schemars(length(min = 2, max = 200))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^(/[A-Za-z0-9_@$#-][A-Za-z0-9._@$#-]*)+$')").message("directory: write an absolute path of A-Z a-z 0-9 . _ - @ $ # without a slash at its end, such as /home/ibmiclone/logs"))]
    pub directory: String,
    /// Files of this environment that are older are removed, days. Default 400.
    #[serde(default = "logs_days")]
    #[schemars(range(min = 1, max = 3660))]
    pub retain_days: i32,
}

fn logs_directory() -> String {
    "/home/ibmiclone/logs".to_owned()
}
fn logs_days() -> i32 {
    400
}

fn retain_runs() -> i32 {
    5
}
fn max_bytes() -> i32 {
    524_288
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            retain_runs: retain_runs(),
            max_bytes_per_run: max_bytes(),
            job_logs: JobLogs::default(),
            min_severity: 0,
            error_severity: thirty(),
            ignore: Vec::new(),
            on_source: None,
        }
    }
}

/// How many finished runs of an environment stay as objects. A run beyond that lives on as one line of the archive
/// ConfigMap `<environment>-history`. Runs with a name that a person gave, the last success and a run whose image is on
/// the target set are never removed; named ones are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Newest runs that ended Succeeded or Warning. Default 20.
    #[serde(default = "kept_succeeded")]
    #[schemars(range(min = 1, max = 1000))]
    pub succeeded: i32,
    /// Newest runs that ended Failed or Cancelled. Default 20.
    #[serde(default = "kept_failed")]
    #[schemars(range(min = 0, max = 1000))]
    pub failed: i32,
    /// Newest runs that were Skipped. Default 10.
    #[serde(default = "kept_skipped")]
    #[schemars(range(min = 0, max = 1000))]
    pub skipped: i32,
}

fn kept_succeeded() -> i32 {
    20
}
fn kept_failed() -> i32 {
    20
}
fn kept_skipped() -> i32 {
    10
}

impl Default for History {
    fn default() -> Self {
        Self {
            succeeded: kept_succeeded(),
            failed: kept_failed(),
            skipped: kept_skipped(),
        }
    }
}

/// Which job logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum JobLogs {
    /// Always.
    #[default]
    All,
    /// Only when the function did not end well.
    Failed,
}
