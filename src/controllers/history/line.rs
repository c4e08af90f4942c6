//! One line of the archive: what `history` shows of a run, without what the objects repeat.

use crate::api::run::{RunMode, Trigger};
use crate::api::{CloneRun, created_at};
use crate::engine::journal::Phase;
use crate::engine::time::Timestamp;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

/// Characters of a UID that are kept: 48 bits of chance.
const UID: usize = 13;

/// A finished run as the archive keeps it. Durations are texts like `1:37` and `7:52:35`. A field that a later version
/// adds is left alone by this one: lines are copied as they are, never written anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedRun {
    /// Beginning of the UID of the run object: with the name it tells a run from a later one of the same name, so that the
    /// same run is never archived twice. The whole would be a third of a compressed line.
    pub uid: String,
    /// Name of the run.
    pub name: String,
    /// Number within the environment; a Skipped run has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// When the object was created, RFC 3339, whole seconds, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When the first step began, RFC 3339, whole seconds, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it ended, RFC 3339, whole seconds, UTC; lines of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// The history display's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Final phase.
    pub phase: Phase,
    /// Last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Place of the last step in the run's own list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Messages collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<i64>,
    /// Errors among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<i64>,
    /// Start → resume done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare_on_source: Option<String>,
    /// Clone activated → ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare_on_clone: Option<String>,
    /// The function's job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save: Option<String>,
    /// Space used on the targets, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_used_percent: Option<i32>,
    /// How long the clone's partition was active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_active: Option<String>,
    /// How long the image lived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash_copy_active: Option<String>,
    /// HOLD, BRMS, SAVE21 or USER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// What the run did.
    #[serde(default)]
    pub mode: RunMode,
    /// Who asked for it.
    #[serde(default)]
    pub trigger: Trigger,
    /// Users were held that long, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<i64>,
    /// Start → end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// One word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl ArchivedRun {
    /// The line of a finished run; `None` while it is open.
    pub fn of(run: &CloneRun) -> Option<Self> {
        let status = run.status.as_ref().filter(|s| s.phase.is_final())?;
        // Of a row that was imported, the line may be in the archive already.
        let imported = run.spec.imported.as_ref().map(|i| i.uid.clone());
        let uid = imported.or_else(|| run.uid()).unwrap_or_default();
        Some(Self {
            uid: uid.chars().take(UID).collect(),
            name: run.name_any(),
            number: status.number,
            created: created_at(run).map(Timestamp::new),
            started: status.started.clone(),
            finished: status.finished_at.map(Timestamp::to_seconds_text),
            state: status.state.clone(),
            phase: status.phase,
            step: status.step.clone(),
            progress: status.progress.clone(),
            messages: status.messages,
            errors: status.errors,
            prepare_on_source: status.prepare_on_source.clone(),
            prepare_on_clone: status.prepare_on_clone.clone(),
            save: status.save.clone(),
            disk_used_percent: status.disk_used_percent,
            partition_active: status.partition_active.clone(),
            flash_copy_active: status.flash_copy_active.clone(),
            function: status.function.clone(),
            mode: run.spec.mode,
            trigger: run.spec.trigger,
            freeze: status.frozen.as_ref().and_then(|f| f.milliseconds),
            duration: status.duration.clone(),
            reason: status.reason.clone().filter(|t| !t.is_empty()),
            message: status.message.clone().filter(|t| !t.is_empty()),
        })
    }

    /// JSON on one line.
    pub fn text(&self) -> String {
        // Made of strings, numbers and words: it always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}
