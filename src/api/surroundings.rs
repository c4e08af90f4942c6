//! What surrounds a function: programs called at points of a run, and what becomes of clone and image after it.

use super::options::default_queue;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program called at a point of every run, as a submitted job of its own. Hooks of one point run one after another, in
/// the order given; none runs inside the freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// When. On production: BeforeFreeze (just before the copy is prepared), AfterResume (right after the freeze; owed
    /// on every exit once a BeforeFreeze hook may have been started), Always (at the very end, after a failure too). On
    /// the clone: CloneReady, BeforeFunction, AfterFunction (before the logs are fetched, after a failed function too), AfterHistory
    /// (function BRMS, when its history is back on production).
    pub at: HookPoint,
    /// `LIB/PROGRAM`.
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("program: write LIBRARY/PROGRAM in upper case, such as CLNLIB/QUIESCE"))]
    pub program: String,
    /// Character parameters, in order. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 256)))]
    pub parameters: Vec<String>,
    /// `LIB/QUEUE`. Default QSYS/QSYSNOMAX.
    #[serde(default = "default_queue")]
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("jobQueue: write LIBRARY/QUEUE in upper case, such as QSYS/QSYSNOMAX"))]
    pub job_queue: String,
    /// User profile the job runs under; default the one of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("user: write a user profile, at most 10 characters, upper case"))]
    pub user: Option<String>,
    /// How long its job may take, from before it is submitted, seconds. A job that takes longer counts as failed and is
    /// never ended by the operator. Default 600.
    #[serde(default = "limit_seconds")]
    #[schemars(range(min = 1, max = 86400))]
    pub limit_seconds: i32,
    /// What a hook that ended abnormally or took too long means: Fail (the run fails) or Continue (the run goes on and
    /// is at best a Warning). Default Fail.
    #[serde(default)]
    pub on_error: OnHookError,
}

fn limit_seconds() -> i32 {
    600
}

/// Where in a run a hook is called.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum HookPoint {
    /// On production, just before the force write and the preparation of the copy.
    BeforeFreeze,
    /// On production, right after the freeze.
    AfterResume,
    /// On the clone, as soon as it has its personality.
    CloneReady,
    /// On the clone, just before the function.
    BeforeFunction,
    /// On the clone, after the function, however it ended, and before the logs are fetched.
    AfterFunction,
    /// On the clone, after the BRMS history is back on production.
    AfterHistory,
    /// On production, at the end of the run, whatever its outcome.
    Always,
}

/// What a failed hook means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnHookError {
    /// The run fails.
    #[default]
    Fail,
    /// The run goes on and is at best a Warning.
    Continue,
}

/// What a failed program of function USER means for those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnProgramError {
    /// The next programs are not called, and the run fails.
    #[default]
    Stop,
    /// The next program is called, and the run is at best a Warning.
    Continue,
}

/// What becomes of clone and image when the run is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.onFailure == 'Keep' || self.clone == 'PowerOff' || self.image == 'End' || self.endAfterSeconds > 0").message("onFailure: Apply applies clone: PowerOff, image: End or endAfterSeconds; write one of them, or onFailure: Keep"),
    validation = Rule::new("self.image == 'Keep' || self.endAfterSeconds == 0").message("endAfterSeconds: image: End ends the image with the run already; write only one of the two").field_path(".endAfterSeconds")
)]
pub struct After {
    /// PowerOff switches the clone off (at once, as before a copy), KeepRunning leaves it as it is. Default KeepRunning.
    #[serde(default)]
    pub clone: AfterClone,
    /// End unmaps the volumes and ends the copy; with clone: KeepRunning only for copy.kind Full: the run then waits
    /// until the copy is complete, and only the relation ends. Keep leaves the image until the next run. Default Keep.
    #[serde(default)]
    pub image: AfterImage,
    /// The image of a successful run is ended so many seconds after the run's end, by a run of mode End that the operator
    /// creates: the clone is switched off, its volumes unmapped, the copy stopped. With clone: KeepRunning and
    /// copy.kind Full the clone keeps running, and only the relation ends, once everything is copied. Not while the image
    /// is held or kept, or another run works on it. 0 = never. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 31536000))]
    pub end_after_seconds: i32,
    /// Apply does the same after a failed run (not after a cancelled one), as far as the run had come, unless a job on the
    /// clone may still be running; a full copy of a clone that keeps running is left to complete. Default Keep.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Also map the image of a HOLD to the clone's partition, which is switched off for it. Default false.
    #[serde(default)]
    pub map: bool,
}

/// The clone after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum AfterClone {
    /// As it is.
    #[default]
    KeepRunning,
    /// Switched off.
    PowerOff,
}

/// The image after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum AfterImage {
    /// Until the next run.
    #[default]
    Keep,
    /// Ended.
    End,
}

/// Clone and image after a failed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// As they are.
    #[default]
    Keep,
    /// As after a success.
    Apply,
}

impl HookPoint {
    /// On production, or on the clone.
    pub fn on_source(self) -> bool {
        match self {
            HookPoint::BeforeFreeze | HookPoint::AfterResume | HookPoint::Always => true,
            HookPoint::CloneReady
            | HookPoint::BeforeFunction
            | HookPoint::AfterFunction
            | HookPoint::AfterHistory => false,
        }
    }
}
