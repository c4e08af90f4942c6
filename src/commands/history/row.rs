//! One row of the history, made from a CloneRun; durations of what is still going on are computed at the moment.

use super::times::Times;
use crate::api::run::{CloneRunStatus, RunMode, Trigger};
use crate::api::{CloneRun, created_at};
use crate::commands::text::{clock, freeze, seconds_between};
use crate::controllers::history::line::ArchivedRun;
use crate::engine::journal::{Entry, EntryState, Phase};
use crate::engine::time::Timestamp;
use crate::recipe::program_at;
use chrono::{DateTime, Utc};
use kube::ResourceExt;
use serde::Serialize;

/// A row, as `-o json` prints it. Durations are texts like `1:37` and `7:52:35`; absent = does not apply, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the environment.
    pub environment: String,
    /// Name of the run.
    pub name: String,
    /// Number within the environment; absent until the run has opened.
    pub number: Option<i64>,
    /// RFC 3339, whole seconds, UTC; absent until the first step.
    pub started: Option<String>,
    /// The history display's word: RUNNING, HOLD, USER_END, …
    pub state: String,
    /// The phase behind it.
    pub phase: Phase,
    /// Current or last step, or `queue 1`.
    pub step: Option<String>,
    /// Place in this run's own list, `7/15`.
    pub progress: Option<String>,
    /// Messages collected.
    pub messages: Option<i64>,
    /// Errors among them.
    pub errors: Option<i64>,
    /// Start → resume done.
    pub prepare_on_source: Option<String>,
    /// Clone activated → ready.
    pub prepare_on_clone: Option<String>,
    /// The function's job active → ended.
    pub save: Option<String>,
    /// Space used on the targets, percent.
    pub disk_used_percent: Option<i32>,
    /// How long the clone's partition was, or is, active.
    pub partition_active: Option<String>,
    /// How long the image lived, or lives.
    pub flash_copy_active: Option<String>,
    /// Background copy of a live image, percent, at the last look at the devices.
    pub copied_percent: Option<i32>,
    /// HOLD, BRMS, SAVE21 or USER.
    pub function: Option<String>,
    /// Clone or Preflight.
    pub mode: RunMode,
    /// Manual or External.
    pub trigger: Trigger,
    /// Users were held that long.
    pub freeze: Option<String>,
    /// Start → end, or until now.
    pub duration: Option<String>,
    /// One word.
    pub reason: Option<String>,
    /// What happened and what a person can do.
    pub message: Option<String>,
    /// When each part began and ended, where the durations say how long.
    #[serde(flatten)]
    pub times: Times,
    /// The object is gone, the row is a line of the archive.
    pub archived: bool,
    /// When the object was created.
    #[serde(skip)]
    pub created: Option<DateTime<Utc>>,
}

/// The fields in the order of their columns in CSV.
pub const FIELDS: [&str; 35] = [
    "namespace",
    "environment",
    "number",
    "name",
    "started",
    "state",
    "phase",
    "step",
    "progress",
    "messages",
    "errors",
    "prepareOnSource",
    "prepareOnClone",
    "save",
    "diskUsedPercent",
    "partitionActive",
    "flashCopyActive",
    "copiedPercent",
    "function",
    "mode",
    "trigger",
    "freeze",
    "duration",
    "reason",
    "message",
    "archived",
    "finished",
    "resumed",
    "cloneStarted",
    "cloneReady",
    "saveStarted",
    "saveEnded",
    "partitionEnded",
    "imageTaken",
    "imageEnded",
];

impl Row {
    /// The row of a run as it is at `now`.
    pub fn new(run: &CloneRun, now: DateTime<Utc>) -> Self {
        let empty = CloneRunStatus::default();
        let status = run.status.as_ref().unwrap_or(&empty);
        let live = Live { status, now };
        Self {
            namespace: run.namespace().unwrap_or_default(),
            environment: run.spec.environment.clone(),
            name: run.name_any(),
            number: status.number,
            started: status.started.clone(),
            state: status
                .state
                .clone()
                .unwrap_or_else(|| state_of(status.phase).to_owned()),
            phase: status.phase,
            step: step_of(status),
            progress: status.progress.clone(),
            messages: status.messages,
            errors: status.errors,
            prepare_on_source: live.part(&status.prepare_on_source, "", "resume-source"),
            prepare_on_clone: live.preparation(),
            save: live.part(&status.save, "run-function", live.last_program()),
            disk_used_percent: status.disk_used_percent,
            partition_active: live.since(&status.partition_active, "start-clone"),
            flash_copy_active: live.since(&status.flash_copy_active, "start-copy"),
            copied_percent: status.image.as_ref().and_then(|i| i.copied_percent),
            function: status.function.clone(),
            mode: run.spec.mode,
            trigger: run.spec.trigger,
            freeze: status
                .frozen
                .as_ref()
                .and_then(|f| f.milliseconds)
                .map(freeze),
            duration: live.duration(),
            reason: status.reason.clone(),
            message: status.message.clone(),
            times: Times::of(status),
            archived: false,
            created: created_at(run),
        }
    }

    /// The row of a run whose object is gone.
    pub fn archived(namespace: &str, environment: &str, line: ArchivedRun) -> Self {
        Self {
            namespace: namespace.to_owned(),
            environment: environment.to_owned(),
            name: line.name,
            number: line.number,
            started: line.started,
            state: line
                .state
                .unwrap_or_else(|| state_of(line.phase).to_owned()),
            phase: line.phase,
            step: line.step,
            progress: line.progress,
            messages: line.messages,
            errors: line.errors,
            prepare_on_source: line.prepare_on_source,
            prepare_on_clone: line.prepare_on_clone,
            save: line.save,
            disk_used_percent: line.disk_used_percent,
            partition_active: line.partition_active,
            flash_copy_active: line.flash_copy_active,
            copied_percent: None,
            function: line.function,
            mode: line.mode,
            trigger: line.trigger,
            freeze: line.freeze.map(freeze),
            duration: line.duration,
            reason: line.reason,
            message: line.message,
            times: Times {
                finished: line.finished,
                ..Times::default()
            },
            archived: true,
            created: line.created.map(Timestamp::utc),
        }
    }
}

/// Until the operator has written a word.
fn state_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending | Phase::Queued | Phase::Running | Phase::Cancelling => "RUNNING",
        Phase::Succeeded | Phase::Warning => "END",
        Phase::Failed => "ERROR",
        Phase::Cancelled => "CANCELLED",
        Phase::Skipped => "SKIPPED",
    }
}

fn step_of(status: &CloneRunStatus) -> Option<String> {
    match (&status.queue, status.phase) {
        (Some(queue), Phase::Queued) => Some(format!("queue {}", queue.position)),
        _ => status.step.clone(),
    }
}

/// What is still counting.
struct Live<'a> {
    status: &'a CloneRunStatus,
    now: DateTime<Utc>,
}

impl Live<'_> {
    fn entry(&self, step: &str) -> Option<&Entry> {
        self.status.steps.iter().find(|e| e.name == step)
    }

    /// Step of the function's last program.
    fn last_program(&self) -> &str {
        let mut names = self.status.steps.iter().map(|e| e.name.as_str());
        names
            .rfind(|name| program_at(name).is_some())
            .unwrap_or("run-function")
    }

    /// PREP CLONE. A full save lies between start and ready, and its hours are none of it: told when it is over.
    fn preparation(&self) -> Option<String> {
        let place = |step: &str| self.status.steps.iter().position(|e| e.name == step);
        let ready = place("await-clone");
        let saves_first = place("run-function").is_some_and(|at| Some(at) < ready);
        match saves_first {
            true => self.status.prepare_on_clone.clone(),
            false => self.part(&self.status.prepare_on_clone, "start-clone", "await-clone"),
        }
    }

    fn until_now(&self, from: DateTime<Utc>) -> String {
        clock(seconds_between(from, self.now))
    }

    /// A part of the run: the written value, or, while the part is going on, its length until now. `from` empty = from
    /// the start of the run.
    fn part(&self, written: &Option<String>, from: &str, to: &str) -> Option<String> {
        if written.is_some() || self.status.phase.is_final() {
            return written.clone();
        }
        let open = match self.entry(to)?.state {
            EntryState::Pending | EntryState::Intended => true,
            EntryState::Done | EntryState::Skipped | EntryState::Failed => false,
        };
        let start = if from.is_empty() {
            self.status.started_at
        } else {
            self.entry(from).and_then(|e| e.start)
        };
        start
            .filter(|_| open)
            .map(|start| self.until_now(start.utc()))
    }

    /// `since 07:37Z` is written once when something becomes active; what people want to see is how long.
    fn since(&self, written: &Option<String>, step: &str) -> Option<String> {
        let text = written.as_ref()?;
        let began = self.entry(step).and_then(|e| e.end.or(e.start));
        match began {
            Some(began) if text.starts_with("since ") => Some(self.until_now(began.utc())),
            Some(_) | None => Some(text.clone()),
        }
    }

    fn duration(&self) -> Option<String> {
        match &self.status.duration {
            Some(text) => Some(text.clone()),
            None if self.status.phase.is_final() => None,
            None => self.status.started_at.map(|at| self.until_now(at.utc())),
        }
    }
}
