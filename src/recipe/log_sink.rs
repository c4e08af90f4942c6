//! Where the logs of a run go. The recipes know lines; ConfigMaps, gzip and budgets are the controller's
//! (`product.md` § 9).

use crate::engine::ports::StoreError;
use crate::site::JobName;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which log of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// Our own log of the steps.
    Steps,
    /// Job log of the function's job, of the first one where it has several.
    JobLog,
    /// Job log of the function's second to sixteenth job.
    JobLogOf(u8),
    /// Job log of the hook at this place of the environment's list, counting from 1.
    HookLog(u8),
    /// History log (DSPLOG) of the clone since the flash.
    History,
    /// BRMS log of the clone since the flash.
    Brms,
    /// Redacted transcript of the devices.
    Devices,
}

const JOB_LOGS: [&str; 15] = [
    "joblog-2",
    "joblog-3",
    "joblog-4",
    "joblog-5",
    "joblog-6",
    "joblog-7",
    "joblog-8",
    "joblog-9",
    "joblog-10",
    "joblog-11",
    "joblog-12",
    "joblog-13",
    "joblog-14",
    "joblog-15",
    "joblog-16",
];

const HOOK_LOGS: [&str; 16] = [
    "joblog-hook-1",
    "joblog-hook-2",
    "joblog-hook-3",
    "joblog-hook-4",
    "joblog-hook-5",
    "joblog-hook-6",
    "joblog-hook-7",
    "joblog-hook-8",
    "joblog-hook-9",
    "joblog-hook-10",
    "joblog-hook-11",
    "joblog-hook-12",
    "joblog-hook-13",
    "joblog-hook-14",
    "joblog-hook-15",
    "joblog-hook-16",
];

impl LogKind {
    /// Job log of the hook at this place of `hooks`, counting from 0.
    pub fn of_hook(place: usize) -> Self {
        LogKind::HookLog(u8::try_from(place + 1).unwrap_or(u8::MAX))
    }

    /// Job log of the program at this place of `user.programs`, counting from 0.
    pub fn of_program(place: usize) -> Self {
        match u8::try_from(place + 1) {
            Ok(number) if number > 1 => LogKind::JobLogOf(number),
            Ok(_) | Err(_) => LogKind::JobLog,
        }
    }

    /// As in names of ConfigMaps: `steps`, `joblog`, `joblog-2` to `joblog-16`, `joblog-hook-1` to `joblog-hook-16`,
    /// `history`, `brms`, `devices`.
    pub fn as_str(self) -> &'static str {
        match self {
            LogKind::Steps => "steps",
            LogKind::JobLog => "joblog",
            LogKind::JobLogOf(number) => JOB_LOGS
                .get(usize::from(number).saturating_sub(2))
                .copied()
                .unwrap_or("joblog"),
            LogKind::HookLog(number) => HOOK_LOGS
                .get(usize::from(number).saturating_sub(1))
                .copied()
                .unwrap_or("joblog-hook"),
            LogKind::History => "history",
            LogKind::Brms => "brms",
            LogKind::Devices => "devices",
        }
    }
}

/// One line of a log: one JSON object (`ibmi.md` § 8.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogLine {
    /// Time as the writer of the message printed it: its own clock, never compared with ours.
    pub ts: String,
    /// `operator`, `source`, `clone`, `hmc`, `vios`, `storage`.
    pub part: String,
    /// Qualified job name, or the step; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub job: String,
    /// Message id; empty for impromptu messages.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Severity, 0–99.
    pub sev: u8,
    /// `ESCAPE`, `DIAGNOSTIC`, …; empty where there is none.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// First-level text.
    pub text: String,
    /// Second-level text, only for severity 30 and above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub second: String,
}

/// What was stored of one log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSummary {
    /// Name of the first ConfigMap; further ones count up.
    pub config_map: String,
    /// How many ConfigMaps.
    pub parts: i32,
    /// Lines kept.
    pub lines: i64,
    /// SHA-256 of the lines as given, lower-case hex.
    pub digest: String,
    /// Compressed bytes kept.
    pub bytes: u64,
    /// Nothing is stored, and asking again does not help: what the store said (a quota, a namespace that is going).
    pub refused: Option<String>,
}

/// Stores the logs of one run. Bound to the run when it is made.
#[async_trait]
pub trait LogSink: Send + Sync {
    /// Begins a log. Nothing is stored before [`LogWriter::finish`].
    fn begin(&self, kind: LogKind) -> Box<dyn LogWriter + '_>;
    /// What is stored of a log now; `None` = proved absent.
    async fn has(&self, kind: LogKind) -> Result<Option<LogSummary>, StoreError>;
    /// The lines of a stored log, one JSON object each, up to `limit` bytes: a longer one is cut on a line, and its last
    /// line says so. `None` = the log is not stored, or this store keeps no lines.
    async fn text(&self, kind: LogKind, limit: usize) -> Result<Option<String>, StoreError> {
        let (_, _) = (kind, limit);
        Ok(None)
    }
    /// Whether somebody reads news of a running job, and its log should be looked into now.
    fn wants_news(&self) -> bool {
        false
    }
    /// News of a running job: messages with their places in its log, oldest first. Those that were told before are not
    /// told again. `took` = how long it took to ask: what is slow is asked for less often. Stores nothing.
    fn news(&self, job: &JobName, lines: Vec<(u64, LogLine)>, took: Duration) {
        let (_, _, _) = (job, lines, took);
    }
    /// Stores a log whose lines are all there.
    async fn put(&self, kind: LogKind, lines: Vec<LogLine>) -> Result<LogSummary, StoreError> {
        let mut writer = self.begin(kind);
        for line in &lines {
            writer.line(line);
        }
        writer.finish().await
    }
}

/// A log that is being written, line by line: it may be larger than memory.
#[async_trait]
pub trait LogWriter: Send {
    /// Adds a line.
    fn line(&mut self, line: &LogLine);
    /// Stores the log under its deterministic name. The same lines again change nothing; other lines replace it. A store
    /// that refuses is no error: the run does not wait for what a person must change ([`LogSummary::refused`]).
    async fn finish(self: Box<Self>) -> Result<LogSummary, StoreError>;
}

/// A writer for stores in memory: `finish` is given all lines.
pub struct Gathered<F> {
    lines: Vec<LogLine>,
    store: F,
}

impl<F> Gathered<F> {
    /// `store` keeps the lines.
    pub fn new(store: F) -> Self {
        Self {
            lines: Vec::new(),
            store,
        }
    }
}

#[async_trait]
impl<F> LogWriter for Gathered<F>
where
    F: FnOnce(Vec<LogLine>) -> LogSummary + Send,
{
    fn line(&mut self, line: &LogLine) {
        self.lines.push(line.clone());
    }
    async fn finish(self: Box<Self>) -> Result<LogSummary, StoreError> {
        Ok((self.store)(self.lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_json_object_without_empty_fields() {
        let line = LogLine {
            ts: "2026-11-23-04.12.33.000000".into(),
            part: "clone".into(),
            id: "CPF9801".into(),
            sev: 40,
            kind: "ESCAPE".into(),
            text: "Object not\nfound".into(),
            ..LogLine::default()
        };
        let text = serde_json::to_string(&line).expect("a line is plain JSON");
        assert_eq!(
            text,
            r#"{"ts":"2026-11-23-04.12.33.000000","part":"clone","id":"CPF9801","sev":40,"type":"ESCAPE","text":"Object not\nfound"}"#
        );
    }
}
