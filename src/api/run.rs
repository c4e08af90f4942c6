//! `CloneRun`: one execution, one row of the history, the journal of what happened.

mod resolved;
mod results;

pub use resolved::Resolved;
pub use results::{BackupHistory, Frozen, ImageOfRun, LogRef, RunImage};

use super::schedule::Skip;
use crate::engine::journal::{
    Entry, Obligation, Phase, Question, ReplyRecord, Verdict, WindowRecord,
};
use crate::engine::time::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One execution of an environment.
#[derive(
    CustomResource, KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize,
)]
#[kube(
    group = "ibmiclone.dev",
    version = "v1alpha1",
    kind = "CloneRun",
    plural = "cloneruns",
    shortname = "crun",
    shortname = "history",
    category = "ibmi",
    namespaced,
    derive = "PartialEq",
    status = "CloneRunStatus",
    selectable = ".spec.environment",
    selectable = ".status.phase",
    doc = "One execution of a clone environment: one row of the history.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name: write at most 63 characters, names and labels of its logs are made from it"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['Succeeded','Warning','Failed','Cancelled','Skipped']) || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)").message("status.phase: a final phase never changes; create a new CloneRun instead"),
    validation = Rule::new("!has(self.spec.cancel) || has(oldSelf.spec.cancel) && self.spec.cancel == oldSelf.spec.cancel || !has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['Succeeded','Warning','Failed','Cancelled','Skipped'])").message("spec.cancel: this run is over, nothing is left to cancel"),
    validation = Rule::new("!has(self.spec.forceDelete) || has(oldSelf.spec.forceDelete) || !has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['Succeeded','Warning','Failed','Cancelled','Skipped'])").message("spec.forceDelete: this run is over and owes nothing; delete it, nothing holds it"),
    validation = Rule::new("!has(self.spec.resumedByHand) || has(oldSelf.spec.resumedByHand) || has(oldSelf.status) && has(oldSelf.status.obligations) && oldSelf.status.obligations.exists(o, o.kind == 'ResumeSource' && !has(o.met))").message("spec.resumedByHand: this run does not owe a resume of production; set it only after resuming by hand, while status.obligations shows ResumeSource without met"),
    validation = Rule::new("!has(self.spec.releaseBackups) || has(oldSelf.spec.releaseBackups) || has(oldSelf.status) && has(oldSelf.status.obligations) && oldSelf.status.obligations.exists(o, o.kind == 'ReleaseBackups' && !has(o.met))").message("spec.releaseBackups: this run does not hold production's BRMS frozen; set it only while status.obligations shows ReleaseBackups without met"),
    validation = Rule::new("!has(self.spec.forceDelete) || has(oldSelf.spec.forceDelete) || has(self.spec.resumedByHand) || !(has(oldSelf.status) && has(oldSelf.status.obligations) && oldSelf.status.obligations.exists(o, o.kind == 'ResumeSource' && !has(o.met)))").message("spec.forceDelete: this run owes a resume of production: resume it by hand, set resumedByHand: true, then forceDelete"),
    validation = Rule::new("!has(self.spec.resumedByHand) || has(self.status)").message("spec.resumedByHand: a new run owes nothing; create it without, and set it only while status.obligations shows ResumeSource without met"),
    validation = Rule::new("!has(self.spec.releaseBackups) || has(self.status)").message("spec.releaseBackups: a new run owes nothing; create it without, and set it only while status.obligations shows ReleaseBackups without met"),
    validation = Rule::new("!has(self.spec.forceDelete) || has(self.status)").message("spec.forceDelete: a new run owes nothing; create it without, and set it only on a run that is being deleted and cannot end"),
    validation = Rule::new("!has(self.spec.replies) || size(self.spec.replies) == 0 || has(self.status)").message("spec.replies: a new run asks nothing; create it without, and answer the message that status.waiting shows"),
    validation = Rule::new("!has(self.spec.replies) || has(oldSelf.spec.replies) && self.spec.replies == oldSelf.spec.replies || !has(oldSelf.status) || !has(oldSelf.status.phase) || !(oldSelf.status.phase in ['Succeeded','Warning','Failed','Cancelled','Skipped'])").message("spec.replies: this run is over, nothing of it waits for an answer"),
    validation = Rule::new("!has(self.spec.imported) || !has(self.status) || has(self.status.phase) && self.status.phase in ['Succeeded','Warning','Failed','Cancelled','Skipped']").message("spec.imported: this is a row of another history and never executes; only the final status it had there can be written"),
    printcolumn(name = "Number", type_ = "integer", json_path = ".status.number"),
    printcolumn(name = "Started", type_ = "string", json_path = ".status.started"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(name = "Msg", type_ = "integer", json_path = ".status.messages"),
    printcolumn(name = "Err", type_ = "integer", json_path = ".status.errors"),
    printcolumn(name = "Prep prod", type_ = "string", json_path = ".status.prepareOnSource"),
    printcolumn(name = "Prep clone", type_ = "string", json_path = ".status.prepareOnClone"),
    printcolumn(name = "Save", type_ = "string", json_path = ".status.save"),
    printcolumn(name = "Disk%", type_ = "integer", json_path = ".status.diskUsedPercent"),
    printcolumn(name = "Environment", type_ = "string", json_path = ".spec.environment", priority = 1),
    printcolumn(name = "Partition", type_ = "string", json_path = ".status.partitionActive", priority = 1),
    printcolumn(name = "Flashcopy", type_ = "string", json_path = ".status.flashCopyActive", priority = 1),
    printcolumn(name = "Function", type_ = "string", json_path = ".status.function", priority = 1),
    printcolumn(name = "Trigger", type_ = "string", json_path = ".spec.trigger", priority = 1),
    printcolumn(name = "Freeze", type_ = "integer", json_path = ".status.frozen.milliseconds", priority = 1),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.environment == oldSelf.environment").message("environment is immutable: create a new CloneRun instead").field_path(".environment"),
    validation = Rule::new("self.mode == oldSelf.mode").message("mode is immutable: create a new CloneRun instead").field_path(".mode"),
    validation = Rule::new("self.trigger == oldSelf.trigger").message("trigger is immutable: create a new CloneRun instead").field_path(".trigger"),
    validation = Rule::new("has(self.scheduledTime) == has(oldSelf.scheduledTime) && (!has(self.scheduledTime) || self.scheduledTime == oldSelf.scheduledTime)").message("scheduledTime is immutable: create a new CloneRun instead").field_path(".scheduledTime"),
    validation = Rule::new("has(self.skip) == has(oldSelf.skip) && (!has(self.skip) || self.skip == oldSelf.skip)").message("skip is immutable: create a new CloneRun instead").field_path(".skip"),
    validation = Rule::new("(has(self.requestedBy) ? self.requestedBy : '') == (has(oldSelf.requestedBy) ? oldSelf.requestedBy : '')").message("requestedBy is immutable: create a new CloneRun instead").field_path(".requestedBy"),
    validation = Rule::new("has(self.imported) == has(oldSelf.imported) && (!has(self.imported) || self.imported == oldSelf.imported)").message("imported is immutable: create a new CloneRun instead").field_path(".imported"),
    validation = Rule::new("has(self.run) == has(oldSelf.run) && (!has(self.run) || self.run == oldSelf.run)").message("run is immutable: create a new CloneRun instead").field_path(".run"),
    validation = Rule::new("(has(self.sourceIsDown) && self.sourceIsDown) == (has(oldSelf.sourceIsDown) && oldSelf.sourceIsDown)").message("sourceIsDown is immutable: create a new CloneRun instead").field_path(".sourceIsDown"),
    validation = Rule::new("!has(oldSelf.keepUntil) || (has(self.keepUntil) && self.keepUntil == oldSelf.keepUntil)").message("keepUntil: set once and never changed; deleting the run ends the keeping").field_path(".keepUntil"),
    validation = Rule::new("!has(self.keepUntil) || self.mode == 'Clone'").message("keepUntil: only a run of mode Clone has an image of its own; set it there").field_path(".keepUntil"),
    validation = Rule::new("(self.mode in ['StartHeld', 'ReleaseHeld', 'End']) == has(self.run)").message("run: with mode StartHeld, ReleaseHeld or End write the name of the CloneRun whose image it is; no other mode takes it").field_path(".run"),
    validation = Rule::new("!has(self.sourceIsDown) || !self.sourceIsDown || self.mode == 'StartHeld'").message("sourceIsDown: only with mode StartHeld, leave it out otherwise").field_path(".sourceIsDown"),
    validation = Rule::new("!(self.mode in ['StartHeld', 'ReleaseHeld', 'End']) || self.trigger != 'Schedule'").message("trigger: a schedule only clones; with this mode write Manual or External").field_path(".trigger"),
    validation = Rule::new("!has(oldSelf.cancel) || (has(self.cancel) && (self.cancel == oldSelf.cancel || self.cancel == 'Abort'))").message("cancel: set once and never taken back: write Abort after Stop, or leave it as it is").field_path(".cancel"),
    validation = Rule::new("!has(oldSelf.resumedByHand) || has(self.resumedByHand)").message("resumedByHand: once true it stays").field_path(".resumedByHand"),
    validation = Rule::new("!has(oldSelf.replies) || has(self.replies) && size(self.replies) >= size(oldSelf.replies) && [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].all(i, i >= size(oldSelf.replies) || self.replies[i] == oldSelf.replies[i])").message("replies: what is there was sent or is on its way; only add to the end of the list").field_path(".replies"),
    validation = Rule::new("!has(oldSelf.forceDelete) || has(self.forceDelete)").message("forceDelete: once true it stays").field_path(".forceDelete"),
    validation = Rule::new("(self.trigger == 'Schedule') == has(self.scheduledTime)").message("scheduledTime: a run with trigger Schedule needs scheduledTime, and no other run may have it").field_path(".scheduledTime"),
    validation = Rule::new("!has(self.skip) || self.trigger == 'Schedule'").message("skip: only a run with trigger Schedule may be skipped; to run nothing, create no run").field_path(".skip")
)]
pub struct CloneRunSpec {
    /// Name of the CloneEnvironment in the same namespace.
    #[schemars(length(min = 1, max = 40))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[a-z0-9]([a-z0-9.\-]*[a-z0-9])?$')").message("environment: write the name of a CloneEnvironment of this namespace"))]
    pub environment: String,
    /// Clone; Preflight (all checks, changes nothing); or, about the image of another run: StartHeld (start the clone on it
    /// at the console only, and pin it), ReleaseHeld (take the pins away), End (stop the copy). Default Clone.
    #[serde(default)]
    pub mode: RunMode,
    /// Name of the CloneRun whose image it is; with modes StartHeld, ReleaseHeld and End only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub run: Option<String>,
    /// With mode StartHeld: production is down, whatever the console shows or cannot show of its partition. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub source_is_down: bool,
    /// Who asked for it: Manual, External (another scheduler), or Schedule (the environment's own). Default Manual.
    #[serde(default)]
    pub trigger: Trigger,
    /// Time of the schedule this run is for; with trigger Schedule only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_time: Option<Time>,
    /// The run is never opened: its time is not run. With trigger Schedule only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// This object is a row of a history that was kept elsewhere, as `ibmi-clone import` brings it: it is never executed, and
    /// only a final status can be written to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// Until this time the image of this run is neither replaced nor ended; may be set later, once. Deleting the run ends the
    /// keeping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Time>,
    /// Free text, shown as unverified. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub requested_by: String,
    /// Ends the run early; may be set at any time and go from Stop to Abort. Production is resumed and all else that is owed is
    /// met first; clone and image stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelMode>,
    /// A person's word that production was resumed by hand; counts as the resume's proof while this run owes one. The run
    /// then opens no freeze any more. Only `true` may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("resumedByHand: write true, or leave it out"))]
    pub resumed_by_hand: Option<bool>,
    /// Releases production's BRMS although the history of this run's saves is not back there: the run is Failed and lists the
    /// volumes to protect. Only `true` may be written, while this run owes the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("releaseBackups: write true, or leave it out"))]
    pub release_backups: Option<bool>,
    /// Lets a deleted run go although something is still owed; where that is the resume, `resumedByHand` is needed too.
    /// Only `true` may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self").message("forceDelete: write true, or leave it out"))]
    pub force_delete: Option<bool>,
    /// Answers to messages that jobs of this run wait for, as `status.waiting` shows them; sent to the system whose job asks.
    /// Only added to, never changed; what became of each is in `status.journal.replies`. Everybody who may read the run can
    /// read them: never write a password. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub replies: Vec<Reply>,
}

/// Where a row comes from that was not executed here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// UID of the object that was executed. Its row in the archive is told by it.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// A person's answer to a waiting message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// Which message: `status.waiting.key`.
    #[schemars(length(min = 1, max = 64))]
    pub key: String,
    /// The reply, as it would be typed: `G`, `C`, a text.
    #[schemars(length(min = 1, max = 132))]
    pub text: String,
}

/// How a run is ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CancelMode {
    /// After the step that is under way.
    Stop,
    /// At once: a function or a wait is interrupted, the freeze never.
    Abort,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum RunMode {
    /// The whole recipe.
    #[default]
    Clone,
    /// Step 1 only.
    Preflight,
    /// Start the clone on the image of another run, with the key at Manual, and pin it (`product.md` § 5.1).
    StartHeld,
    /// Take the pins of a held image away; image and clone stay.
    ReleaseHeld,
    /// End the image of another run: switch the clone off, unmap, stop the copy.
    End,
}

impl RunMode {
    /// Whether it is about the image of another run, which `spec.run` names.
    pub fn is_about_image(self) -> bool {
        match self {
            RunMode::Clone | RunMode::Preflight => false,
            RunMode::StartHeld | RunMode::ReleaseHeld | RunMode::End => true,
        }
    }
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Trigger {
    /// A person.
    #[default]
    Manual,
    /// Another scheduler.
    External,
    /// The environment's own schedule.
    Schedule,
}

/// The journal and what people read of it. Written by the operator only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloneRunStatus {
    /// Generation of the spec that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Phase; the last five are final.
    #[serde(default)]
    pub phase: Phase,
    /// The history display's word: RUNNING, PREFLIGHT, START_HELD, RELEASE_HELD, END, HOLD, BRMS_END, SAVE21_END, USER_END, END_FC,
    /// ERROR, CANCELLED, SKIPPED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Number within the environment, without gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// HOLD, BRMS, SAVE21 or USER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Current or last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Place in this run's own list: `7/15`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Start as the history shows it: whole seconds, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Start of the first step, after the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The phase became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// startedAt → finishedAt, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// The same for people: `31:37`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The freeze in short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// Start → resume done: `1:37`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare_on_source: Option<String>,
    /// Clone activated → ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare_on_clone: Option<String>,
    /// The function's job active → ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
    /// How long the clone's partition was active, or `since 07:37Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_active: Option<String>,
    /// How long the image lived, or `since 07:37Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash_copy_active: Option<String>,
    /// The image this run took, while it is on the target set: what proves later that it still is this run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<RunImage>,
    /// Messages collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<i64>,
    /// Errors among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<i64>,
    /// Space used on the targets, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_percent: Option<i32>,
    /// One word of a fixed list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened and what a person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What has become of the history of this run's saves; only with function BRMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_history: Option<BackupHistory>,
    /// The message that a job of this run waits to be answered, while it does; `spec.replies` answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Question>,
    /// Last error messages of the function's job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_tail: Vec<String>,
    /// ConfigMaps with this run's logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogRef>,
    /// Where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Succeeded, SourceResumed, LogsCollected, NeedsAttention, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The environment as it was when the run opened; a digest once the run is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Resolved>,
    /// The steps. In the row of an ended run with more than 24, those of further hooks and programs (`run-function-2` …)
    /// that ended well are left out: the log `steps` has them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Entry>,
    /// The obligations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    /// The rest of the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalRest>,
}

/// Parts of the journal that only the engine reads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JournalRest {
    /// Name of the recipe.
    #[serde(default)]
    pub recipe: String,
    /// Token of the run.
    #[serde(default)]
    pub run_token: String,
    /// The window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRecord>,
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Warnings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Notes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The message that was seen waiting last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What became of `spec.replies`, by their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<ReplyRecord>,
    /// Our own revision.
    #[serde(default)]
    pub revision: i64,
    /// Who wrote last.
    #[serde(default)]
    pub writer: String,
}

/// Where a queued run waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// 1 = next.
    pub position: i32,
    /// `namespace/run` that holds the device, and the device.
    pub blocked_by: String,
    /// It has waited without a break since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}
