//! `CloneEnvironment`: one way to clone one source to one clone.

use super::clone_side::{CloneSide, Source};
use super::devices::{Console, Storage, VirtualIoSpec};
use super::options::{Freeze, Function, History, Logs, Timeouts, User};
use super::saves::{Brms, Save21};
use super::schedule::{Schedule, ScheduleLine};
use super::surroundings::{After, Hook};
use crate::engine::journal::Phase;
use crate::engine::time::Timestamp;
use crate::site::Identity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One way to clone one source partition to one clone partition: devices, function, limits.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "ibmiclone.dev",
    version = "v1alpha1",
    kind = "CloneEnvironment",
    plural = "cloneenvironments",
    shortname = "cenv",
    category = "ibmi",
    namespaced,
    derive = "PartialEq",
    status = "CloneEnvironmentStatus",
    doc = "One way to clone one IBM i production partition to one clone partition.",
    validation = Rule::new("size(self.metadata.name) <= 40").message("metadata.name: write at most 40 characters, names of runs, ConfigMaps and Leases are made from it"),
    printcolumn(name = "Function", type_ = "string", json_path = ".spec.function"),
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule.cron"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.schedule.timeZone"),
    printcolumn(name = "Suspended", type_ = "string", json_path = ".spec.suspend"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Last", type_ = "string", json_path = ".status.lastRun.phase"),
    printcolumn(name = "Last OK", type_ = "string", json_path = ".status.lastSuccessTime"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextRunTime"),
    printcolumn(name = "Clone", type_ = "string", json_path = ".status.clone.state"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Source", type_ = "string", json_path = ".spec.source.partition.name", priority = 1),
    printcolumn(name = "Target", type_ = "string", json_path = ".spec.clone.partition.name", priority = 1),
    printcolumn(name = "Storage", type_ = "string", json_path = ".spec.storage.spectrumVirtualize.consistencyGroups[0]", priority = 1),
    printcolumn(name = "Missed", type_ = "integer", json_path = ".status.missedCount", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.function == 'USER' ? has(self.user) : !has(self.user)").message("user: function USER needs the block user: { programs: [ … ] }, and no other function may have it").field_path(".user"),
    validation = Rule::new("self.function == 'BRMS' ? has(self.brms) : !has(self.brms)").message("brms: function BRMS needs the block brms: { controlGroups: [ … ] }, and no other function may have it").field_path(".brms"),
    validation = Rule::new("self.function == 'SAVE21' ? has(self.save21) : !has(self.save21)").message("save21: function SAVE21 needs the block save21: { device: … }, and no other function may have it").field_path(".save21"),
    validation = Rule::new("self.function != 'HOLD' || !has(self.hooks) || self.hooks.all(h, h.at in ['BeforeFreeze', 'AfterResume', 'Always'])").message("hooks: function HOLD starts no clone; write at: BeforeFreeze, AfterResume or Always").field_path(".hooks"),
    validation = Rule::new("self.function != 'SAVE21' || !has(self.hooks) || self.hooks.all(h, h.at != 'BeforeFunction')").message("hooks: function SAVE21 saves before anything is changed and before the clone has a network; write at: CloneReady or AfterFunction").field_path(".hooks"),
    validation = Rule::new("self.function == 'BRMS' || !has(self.hooks) || self.hooks.all(h, h.at != 'AfterHistory')").message("hooks: only function BRMS brings a history back; write at: AfterFunction instead of AfterHistory").field_path(".hooks"),
    validation = Rule::new("self.function != 'HOLD' || (self.after.clone == 'KeepRunning' && self.after.image == 'Keep')").message("after: function HOLD keeps its image and starts no clone; write only map and endAfterSeconds").field_path(".after"),
    validation = Rule::new("self.function == 'HOLD' || !self.after.map").message("after.map: only the image of a HOLD is left unmapped otherwise; leave map out").field_path(".after.map"),
    validation = Rule::new("!(self.after.clone == 'KeepRunning' && self.after.image == 'End') || !has(self.storage.spectrumVirtualize) || self.storage.spectrumVirtualize.copy.kind == 'Full'").message("after.image: ending a space-efficient copy takes the running clone's disks away; write clone: PowerOff, or copy: { kind: Full }").field_path(".after.image"),
    validation = Rule::new("!(self.source.partition.name == self.clone.partition.name && self.source.partition.managedSystem == self.clone.partition.managedSystem)").message("clone.partition: the clone must be another partition than the source; it is overwritten by every run").field_path(".clone.partition"),
    validation = Rule::new("self.source.host.address != self.clone.host.address").message("clone.host.address: write the address the clone has after its personality; this one is production's").field_path(".clone.host.address"),
    validation = Rule::new("self.clone.personality.interfaces.all(i, i.address != self.source.host.address)").message("clone.personality.interfaces: the address of source.host may not be an interface of the clone; write addresses that only the clone has").field_path(".clone.personality.interfaces"),
    validation = Rule::new("!has(self.virtualIo.npiv) || self.virtualIo.npiv.swapHostMappings || !has(self.storage.spectrumVirtualize) || size(self.storage.spectrumVirtualize.consistencyGroups) <= 1").message("virtualIo.npiv.swapHostMappings: with more than one consistency group write true, the clone's ports may show it the volumes of one group only").field_path(".virtualIo.npiv"),
    validation = Rule::new("self.source.partition.name == oldSelf.source.partition.name").message("source.partition.name is immutable: create a new environment for another production partition").field_path(".source.partition.name"),
    validation = Rule::new("self.clone.partition.name == oldSelf.clone.partition.name").message("clone.partition.name is immutable: create a new environment for another clone partition").field_path(".clone.partition.name")
)]
pub struct CloneEnvironmentSpec {
    /// What the clone is for: HOLD, BRMS, SAVE21 or USER.
    pub function: Function,
    /// Stops new scheduled runs; runs under way go on. Times that pass meanwhile are not made up for. Default false.
    #[serde(default)]
    pub suspend: bool,
    /// When runs are created; without it only by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Production.
    pub source: Source,
    /// The clone.
    pub clone: CloneSide,
    /// The console of the clone, and of the source unless source.console is given.
    pub console: Console,
    /// How the clone's volumes reach it.
    pub virtual_io: VirtualIoSpec,
    /// The array and the target set.
    pub storage: Storage,
    /// How production is suspended.
    #[serde(default)]
    pub freeze: Freeze,
    /// The programs of function USER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Control groups and history of function BRMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brms: Option<Brms>,
    /// The tape of function SAVE21.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save21: Option<Save21>,
    /// Programs called at points of every run. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub hooks: Vec<Hook>,
    /// What becomes of clone and image when the run is over. Default: both stay as they are.
    #[serde(default)]
    pub after: After,
    /// Time limits.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How many finished runs stay as objects; older rows go to the archive.
    #[serde(default)]
    pub history: History,
    /// What is kept of the logs.
    #[serde(default)]
    pub logs: Logs,
}

/// What is known of an environment. Written by the operator only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloneEnvironmentStatus {
    /// Generation that was verified last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, ScheduleValid, Overdue, LastRunSucceeded, SourceFrozen, VolumeDrift, GuestKitReady, HistoryArchived, InsecureTransport, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Whether `spec.suspend` has taken effect.
    #[serde(default)]
    pub suspended: bool,
    /// Next time of the schedule: RFC 3339, UTC, whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_time: Option<String>,
    /// The lines of the schedule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<ScheduleLine>,
    /// Longest time between two times of the schedule, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_interval_seconds: Option<i64>,
    /// Times of the schedule that were not run.
    #[serde(default)]
    pub missed_count: i64,
    /// The newest run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// End of the last run that succeeded (a Warning counts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_time: Option<Timestamp>,
    /// End of the last run that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure_time: Option<Timestamp>,
    /// Failed runs since the last success.
    #[serde(default)]
    pub consecutive_failures: i32,
    /// Highest run number given out.
    #[serde(default)]
    pub last_run_number: i64,
    /// Run that got `lastRunNumber`; a crash before its label was written is completed from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<String>,
    /// Run that is open now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_run: Option<String>,
    /// The clone's partition, as the console says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone: Option<CloneObserved>,
    /// The image on the target set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageObserved>,
    /// Who production is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceObserved>,
    /// Pinned partition UUIDs, as in the annotation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, String>,
    /// Number behind device names, unique per environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_number: Option<i64>,
    /// Volumes of production and of the target set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<VolumesObserved>,
    /// When the devices were looked at last; a few minutes before that while looks find nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
}

/// The newest run in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// Name of the run.
    pub name: String,
    /// Its number.
    pub number: i64,
    /// Its phase.
    pub phase: Phase,
    /// Start, after the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// End.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Duration in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// Messages collected.
    #[serde(default)]
    pub messages: i64,
    /// Errors among them.
    #[serde(default)]
    pub errors: i64,
}

/// The clone's partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloneObserved {
    /// The console's word.
    pub state: String,
    /// System reference code.
    #[serde(default)]
    pub reference_code: String,
}

/// The image on the target set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageObserved {
    /// The array's word for the target set.
    pub state: String,
    /// Run that took it, as long as the array shows that run's copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Background copy, percent, as the array showed it at `observedAt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_percent: Option<i32>,
    /// Point in time of the newest image, our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
    /// Space used on the targets, percent: used capacity over capacity of all target volumes, as the array tells them. A copy
    /// without background copying grows with what is written on either side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_percent: Option<i32>,
    /// The same since the image was taken: the first look, the last, and some in between, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub growth: Vec<ImageSample>,
}

/// An image at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSample {
    /// When, our clock.
    pub at: Timestamp,
    /// Space used on the targets, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_percent: Option<i32>,
    /// Background copy, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_percent: Option<i32>,
}

/// Who production is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceObserved {
    /// Learned or given identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// Volumes, counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumesObserved {
    /// Volumes production uses, found from outside.
    pub source: i32,
    /// Volumes with a map in the group.
    pub mapped: i32,
    /// UIDs that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
}
