//! The journal: what is written *before* anything happens to a device. It is the whole memory of a run.
//!
//! Embedded in `CloneRun.status` by `src/api`; replaced as a whole, conditionally (`architecture.md` § 4 rule 2).

use super::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Small facts a step leaves for later steps and readers: bounded names and texts.
pub type Facts = BTreeMap<String, String>;

/// Phase of a run. The last five are final: they never change.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Phase {
    /// Not opened yet.
    #[default]
    Pending,
    /// Waits for a lock.
    Queued,
    /// Steps are under way.
    Running,
    /// Asked to stop; obligations are being met.
    Cancelling,
    /// Ended as wanted.
    Succeeded,
    /// Ended as wanted, with something a person must read.
    Warning,
    /// Did not reach its goal; the source runs.
    Failed,
    /// A person ended it.
    Cancelled,
    /// Never opened.
    Skipped,
}

impl Phase {
    /// Final phases never change.
    pub fn is_final(self) -> bool {
        match self {
            Phase::Pending | Phase::Queued | Phase::Running | Phase::Cancelling => false,
            Phase::Succeeded
            | Phase::Warning
            | Phase::Failed
            | Phase::Cancelled
            | Phase::Skipped => true,
        }
    }
}

/// State of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum EntryState {
    /// Nothing was sent.
    #[default]
    Pending,
    /// The intent is written; the effect may have been sent.
    Intended,
    /// Observed as done.
    Done,
    /// Not needed in this run, proved.
    Skipped,
    /// Did not get done.
    Failed,
}

/// One step of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Step id, kebab verb: `suspend-source`.
    #[schemars(length(max = 32))]
    pub name: String,
    /// Where the step stands.
    #[serde(default)]
    pub state: EntryState,
    /// How often the effect was sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: i32,
    /// First intent, or first observation of a step without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Done, skipped or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Values of the device that the effect will change, read before the intent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub baseline: Facts,
    /// What the effect returned at once (a console job's id): known only if the write after it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// What the step leaves behind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output: Facts,
    /// What it waits for, or why it failed; stabilised text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// What must be undone or met before a verdict, whatever happens.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum ObligationKind {
    /// Production may be suspended: resume every ASP.
    ResumeSource,
    /// The watchdog job of this run may be active on the source: prove its end.
    StopWatchdog,
    /// The copy may be armed: production is in write-through meanwhile.
    LeavePrepared,
    /// The kit's parameter file may be on the source.
    RemoveParameters,
    /// A BeforeFreeze hook may have been started on the source: every AfterResume hook has to run there.
    RunAfterResume,
    /// BRMS of production may be in its FlashCopy process: it has to leave it (`ibmi.md` § 4.1).
    ReleaseBackups,
}

/// One obligation: recorded in the same write as the intent that creates it, met before the verdict, retried for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Obligation {
    /// What has to be met.
    pub kind: ObligationKind,
    /// Step whose intent created it.
    #[schemars(length(max = 32))]
    pub step: String,
    /// When it was recorded.
    pub since: Timestamp,
    /// When it was met; absent = open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub met: Option<Timestamp>,
    /// How it was met, or what came back at the last try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Tries so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: i32,
}

/// The freeze window, opened by one write and closed by one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowRecord {
    /// 1 for the first window, +1 for each retry after a refused or timed-out suspend.
    #[serde(default)]
    pub attempt: i32,
    /// Unique per opening write: only the pass that wrote it may send suspend and start-copy (rule 12).
    #[serde(default)]
    pub token: String,
    /// The opening write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Timestamp>,
    /// `freeze.maxSeconds` of this window.
    #[serde(default)]
    pub max_seconds: i32,
    /// ASPs in the order of suspending.
    #[serde(default)]
    pub asps: Vec<String>,
    /// First suspend sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Last resume answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// First suspend sent → last resume answered, on our clock, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<i64>,
    /// The same in microseconds, for the benchmark of what we add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microseconds: Option<i64>,
    /// Sum of the times the devices reported for their parts, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_milliseconds: Option<i64>,
    /// `Canary`, `Assumed`, `ForceWrite`; absent until it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension_proof: Option<String>,
    /// The closing write happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
    /// Parts with their milliseconds, in order: `suspend *SYSBAS` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<WindowPart>,
    /// Why the window did not give a clean image; absent = clean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Another run (`namespace/run`) held production's BRMS when the image was taken: the image carries its FlashCopy
    /// process. Told once, right after the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups_held_by: Option<String>,
}

/// One part of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowPart {
    /// `suspend *SYSBAS`, `start copy`, …
    pub what: String,
    /// Sent → answered on our clock, microseconds.
    pub microseconds: i64,
    /// The device's own milliseconds, where it reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_milliseconds: Option<i64>,
}

/// Why and how the run ends, decided once; obligations are met afterwards, then the phase becomes final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The final phase to be.
    pub phase: Phase,
    /// One word of a fixed list: `WindowInterrupted`, `StepFailed`, …
    pub reason: String,
    /// What happened and what a person can do.
    pub message: String,
    /// When it was decided.
    pub at: Timestamp,
}

/// A message that a job waits to be answered by a person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// What `spec.replies` names it by: job, message key and time of day.
    #[schemars(length(max = 64))]
    pub key: String,
    /// `clone CLONE1` or `source PROD`.
    pub system: String,
    /// Qualified job name.
    pub job: String,
    /// Message id and text.
    pub message: String,
    /// Message queue, `LIB/QUEUE`.
    pub queue: String,
    /// Message reference key, 8 hexadecimal digits.
    pub message_key: String,
    /// When it was sent, by that system's own clock.
    pub sent_at: String,
}

/// What became of one element of `spec.replies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplyRecord {
    /// Its key.
    #[schemars(length(max = 64))]
    pub key: String,
    /// How far it is.
    pub state: ReplyState,
    /// How often it was sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: i32,
    /// Last change of `state` or `attempts`.
    pub at: Timestamp,
    /// What happened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How far a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReplyState {
    /// The intent is written; it may have been sent.
    Intended,
    /// Sent, and taken by the system.
    Sent,
    /// The system refused it; the message still waits.
    Refused,
    /// Not sent, or nobody can tell any more: no message of its key waits.
    NotWaiting,
}

/// The whole journal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// Phase of the run.
    #[serde(default)]
    pub phase: Phase,
    /// Name of the recipe, frozen at opening (rule 11).
    #[serde(default)]
    pub recipe: String,
    /// Token of the run: bound into parameter file, helper, job names.
    #[serde(default)]
    pub run_token: String,
    /// Steps in order, frozen at opening.
    #[serde(default)]
    pub steps: Vec<Entry>,
    /// Obligations, open and met.
    #[serde(default)]
    pub obligations: Vec<Obligation>,
    /// The window, once opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowRecord>,
    /// Set once, then obligations are met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Things a person must read although the run goes on; any of them turns success into Warning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Notes that do not change the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The message that was seen waiting last, until its step ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What became of `spec.replies`, by their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<ReplyRecord>,
    /// When the first step began (after the queue).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the phase became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Counts our writes: tells our own journal from somebody else's after a conflict (rule 2).
    #[serde(default)]
    pub revision: i64,
    /// Which process wrote last.
    #[serde(default)]
    pub writer: String,
}

impl Journal {
    /// A fresh journal for a recipe's frozen step list.
    pub fn open(recipe: &str, run_token: &str, steps: &[&str]) -> Self {
        Self {
            recipe: recipe.to_owned(),
            run_token: run_token.to_owned(),
            steps: steps
                .iter()
                .map(|s| Entry {
                    name: (*s).to_owned(),
                    ..Entry::default()
                })
                .collect(),
            ..Self::default()
        }
    }
    /// The entry of a step.
    pub fn entry(&self, step: &str) -> Option<&Entry> {
        self.steps.iter().find(|e| e.name == step)
    }
    /// The entry of a step, to change.
    pub fn entry_mut(&mut self, step: &str) -> Option<&mut Entry> {
        self.steps.iter_mut().find(|e| e.name == step)
    }
    /// One fact of a step's output.
    pub fn output(&self, step: &str, key: &str) -> Option<&str> {
        self.entry(step)?.output.get(key).map(String::as_str)
    }
    /// Index of the first step that is neither done nor skipped.
    pub fn current(&self) -> Option<usize> {
        self.steps
            .iter()
            .position(|e| !matches!(e.state, EntryState::Done | EntryState::Skipped))
    }
    /// Obligations not met yet.
    pub fn open_obligations(&self) -> impl Iterator<Item = &Obligation> {
        self.obligations.iter().filter(|o| o.met.is_none())
    }
    /// Whether every obligation is met.
    pub fn owed_nothing(&self) -> bool {
        self.open_obligations().next().is_none()
    }
    /// Whether an obligation of this kind is open.
    pub fn owes(&self, kind: ObligationKind) -> bool {
        self.open_obligations().any(|o| o.kind == kind)
    }
    /// Records an obligation, in the same write as the intent that creates it (rule 5). An open one is kept.
    pub fn incur(&mut self, kind: ObligationKind, step: &str, now: Timestamp) {
        if !self.owes(kind) {
            self.obligations.push(Obligation {
                kind,
                step: step.to_owned(),
                since: now,
                met: None,
                message: None,
                attempts: 0,
            });
        }
    }
    /// Marks every open obligation of a kind as met.
    pub fn meet(&mut self, kind: ObligationKind, now: Timestamp, how: &str) {
        for o in self
            .obligations
            .iter_mut()
            .filter(|o| o.kind == kind && o.met.is_none())
        {
            o.met = Some(now);
            o.message = Some(how.to_owned());
        }
    }
    /// Whether a window is open: its opening write exists and its closing write does not.
    pub fn window_open(&self) -> bool {
        self.window
            .as_ref()
            .is_some_and(|w| w.opened.is_some() && w.closed.is_none())
    }
    /// The image is of this run and was taken as the recipe wants it.
    pub fn image_clean(&self) -> bool {
        self.window
            .as_ref()
            .is_some_and(|w| w.closed.is_some() && w.failure.is_none())
    }
}
