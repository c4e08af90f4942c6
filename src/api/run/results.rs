//! What people read of a run's work in its status: freeze, history of the saves, image, logs.

use crate::engine::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The freeze in short.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Frozen {
    /// First suspend sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Last resume answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Users were held that long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<i64>,
    /// Canary, Assumed or ForceWrite; ResumedByHand when a person's word stands for the resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension_proof: Option<String>,
}

/// The history of the saves of a BRMS run, as it came to production.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupHistory {
    /// restored, merged, kept: then it is in the save file only; or missing: the message says what is known of it.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub state: String,
    /// Save file on production that holds it, `LIB/FILE`; absent when it is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 21))]
    pub save_file: Option<String>,
    /// Volumes to protect: the saves of this run have written them, production's BRMS does not know that and may overwrite
    /// them. At most 24, and how many more: log steps has all. Absent when production has the history, or when the volumes
    /// could not be read from the clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 400))]
    pub protect: Option<String>,
}

/// The image of a run. Gone when a later run has ended it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunImage {
    /// The array's own identity and the name of the consistency group: `000002032CA0FF0E/CLONE1`.
    #[serde(default)]
    #[schemars(length(max = 160))]
    pub target_set: String,
    /// SHA-256, hex, of the copy's identity as step `start-copy` recorded it (start time of every map, by the array's
    /// clock): the image is this run's as long as the array shows the same.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub mark: String,
    /// The copy was started and confirmed, on the operator's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<Timestamp>,
    /// Background copy, percent, at the last look of the environment at its devices; `status.diskUsedPercent` is of that look
    /// too, as long as the image is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_percent: Option<i32>,
    /// The operator ends it so many seconds after `status.finishedAt` (`after.endAfterSeconds` of the frozen environment);
    /// absent = it does not. Written with the final phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_after_seconds: Option<i64>,
    /// The run (`namespace/run`, or this run's own name) that had production's BRMS in its FlashCopy process when the image was
    /// taken: a system started from it is in that process too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub backups_frozen_by: Option<String>,
}

/// The image of another run, as it was when the run about it opened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageOfRun {
    /// Name of the run whose image it is.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub run: String,
    /// UID of that object: a run of the same name later is another run.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub uid: String,
    /// As [`RunImage::mark`]; empty with ReleaseHeld, which asks no array.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub mark: String,
    /// Canary, Assumed or ForceWrite; absent with ReleaseHeld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub suspension_proof: Option<String>,
    /// As [`RunImage::backups_frozen_by`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub backups_frozen_by: Option<String>,
}

/// One log of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogRef {
    /// steps, joblog, history, brms, devices.
    pub kind: String,
    /// Name of the first ConfigMap; further ones count up.
    pub config_map: String,
    /// How many ConfigMaps.
    pub parts: i32,
    /// Lines kept.
    pub lines: i64,
}
