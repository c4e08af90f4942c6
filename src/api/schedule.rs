//! The schedule of an environment and what is known of its lines.

use crate::engine::time::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When runs are created. A fixed local time runs exactly once on both clock-change nights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.jitterSeconds * 2 <= self.startingDeadlineSeconds").message("jitterSeconds: write at most half of startingDeadlineSeconds, a run may start no later than its deadline").field_path(".jitterSeconds"))]
pub struct Schedule {
    /// Lines of five fields: minute, hour, day of month, month, day of week. Several lines due at the same instant are
    /// one run.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 128)))]
    #[x_kube(
        validation = Rule::new("self.all(x, !x.contains('TZ='))").message("cron: write the time zone in schedule.timeZone, not in the line"),
        validation = Rule::new("self.all(x, !x.startsWith('@'))").message("cron: write five fields instead of @every or @daily, for example 0 0 * * * for every midnight"),
        validation = Rule::new(r"self.all(x, x.contains('TZ=') || x.startsWith('@') || x.matches(r'^[0-9A-Za-z*,/#+?\-]+( +[0-9A-Za-z*,/#+?\-]+){4}$'))").message("cron: write five fields, minute hour day-of-month month day-of-week, for example 0 0 * * 1-6")
    )]
    pub cron: Vec<String>,
    /// IANA name of the time zone of all lines. Default UTC.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Za-z][A-Za-z0-9_+/\-]*$')").message("timeZone: write an IANA name such as Europe/Paris"))]
    pub time_zone: String,
    /// How long after its time a run may still start, seconds; later it is Skipped. Default 900.
    #[serde(default = "default_deadline_seconds")]
    #[schemars(range(min = 30, max = 86400))]
    pub starting_deadline_seconds: i32,
    /// Each run starts up to this long after its time, always the same for one environment and time, seconds. Default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub jitter_seconds: i32,
}

fn utc() -> String {
    "UTC".to_owned()
}
/// `startingDeadlineSeconds` where nobody wrote one.
pub fn default_deadline_seconds() -> i32 {
    900
}

/// What is known of a cron line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleLine {
    /// The line as written.
    pub cron: String,
    /// The zone it was read in.
    pub time_zone: String,
    /// Its next time; none while suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Its newest time that has a run, also a skipped one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_slot: Option<Timestamp>,
    /// When the line was written, changed or resumed: earlier times never fire.
    pub baseline: Timestamp,
    /// Whether it can be read and fires at all.
    pub valid: bool,
    /// What is wrong and what to write instead.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Times that are not run. Set at creation by the schedule: such a run never opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Skip {
    /// Why.
    pub reason: SkipReason,
    /// How many times of the schedule; at 1000 at least as many.
    #[schemars(range(min = 1, max = 1000))]
    pub slots: i64,
}

/// Why times of the schedule are not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SkipReason {
    /// The operator was down, or the clock jumped.
    DeadlineExceeded,
    /// The previous run took too long.
    PreviousRunActive,
    /// The image of an earlier run is kept.
    ImageKept,
    /// The image is pinned by a held clone.
    HeldImageInUse,
}

impl SkipReason {
    /// As written in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::PreviousRunActive => "PreviousRunActive",
            Self::ImageKept => "ImageKept",
            Self::HeldImageInUse => "HeldImageInUse",
        }
    }
}
