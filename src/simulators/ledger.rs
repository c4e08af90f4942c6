//! What the world remembers by itself: violations, effects by kind, the request log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A thing that must never happen, noticed by the world itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// World time.
    pub at: DateTime<Utc>,
    /// Fixed word.
    pub kind: ViolationKind,
    /// What exactly.
    pub text: String,
}

/// The violations the world knows (`architecture.md` § 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ViolationKind {
    /// A volume was mapped or unmapped while its partition ran.
    MappingWhileRunning,
    /// Prepare or start of a copy onto volumes of a running partition.
    CopyOntoRunningClone,
    /// Two running systems answered with one address.
    DuplicateAddress,
    /// Production's jobs started on the clone.
    ProductionJobsOnClone,
    /// A copy was taken although the source was neither suspended nor force-written for it.
    CopyWithoutSuspension,
    /// A power command to a partition that owns a source.
    PowerCommandToSource,
    /// The console switched a system off that saved in restricted state: the tape is torn.
    SavingSystemSwitchedOff,
    /// The group was left prepared (checked at the end).
    LeftPrepared,
    /// A source was left suspended (checked at the end).
    LeftSuspended,
    /// A session of console, array or SSH was left open (checked at the end).
    SessionLeaked,
    /// The kit's parameter file was left on a source (checked at the end).
    ParametersLeft,
    /// A disk was mapped with force, or to a second client.
    ForcedMapping,
    /// A volume was mapped to, or unmapped from, a host object that holds a port of production.
    SourceHostChanged,
    /// Targets of two consistency groups are mapped to ports of one partition.
    TwoTargetSets,
    /// A copy was stopped with force.
    ForcedStop,
    /// The source's content was overwritten.
    SourceOverwritten,
    /// A volume of an image that a person has started and pinned was overwritten.
    PinnedImageOverwritten,
    /// A source was resumed by the watchdog or by itself while a copy had not been taken yet, and the copy was taken.
    CopyAfterResume,
    /// A tape was written under the name of production's BRMS, which does not know it and works again (checked at the end).
    TapeUnknownToProduction,
    /// BRMS overwrote a tape with files that had not expired, because it did not know of them.
    BackupTapeOverwritten,
}

/// One request, as the log keeps it (no secrets).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestLine {
    /// World time.
    pub at: DateTime<Utc>,
    /// Device instance: `hmc1`, `svc`, `PROD`.
    pub device: String,
    /// Operation, redacted.
    pub operation: String,
    /// Answer in short: status or code.
    pub answer: String,
    /// World milliseconds the device spent on it.
    pub milliseconds: u64,
    /// Microseconds of this machine from the request's arrival to its answer: what the simulator itself takes, the device
    /// time on its scaled clock included. Measured where the freeze passes: commands of the array, lines of the helper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microseconds: Option<u64>,
}

/// Violations, counters, request log.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// All violations, oldest first; a kind+text is recorded once.
    pub violations: Vec<Violation>,
    /// Effects by kind (`array.startfcconsistgrp`, `hmc.PowerOn`, `ibmi.PROD.SUSPEND`).
    pub effects: BTreeMap<String, u64>,
    /// Newest requests, bounded.
    pub requests: VecDeque<RequestLine>,
    /// Requests by device, unbounded count.
    pub request_counts: BTreeMap<String, u64>,
    /// Off in the crash matrix.
    pub keep_requests: bool,
}

impl Ledger {
    /// Records a violation once.
    pub fn violation(&mut self, at: DateTime<Utc>, kind: ViolationKind, text: impl Into<String>) {
        let text = text.into();
        if !self
            .violations
            .iter()
            .any(|v| v.kind == kind && v.text == text)
        {
            self.violations.push(Violation { at, kind, text });
        }
    }
    /// Counts an effect.
    pub fn effect(&mut self, kind: impl Into<String>) {
        *self.effects.entry(kind.into()).or_insert(0) += 1;
    }
    /// How often an effect happened.
    pub fn effect_count(&self, kind: &str) -> u64 {
        self.effects.get(kind).copied().unwrap_or(0)
    }
    /// Enters how long the device's newest request took on this machine.
    pub fn took(&mut self, device: &str, time: Duration) {
        if let Some(line) = self.requests.iter_mut().rev().find(|r| r.device == device) {
            line.microseconds = u64::try_from(time.as_micros()).ok();
        }
    }
    /// Logs a request.
    pub fn request(&mut self, line: RequestLine) {
        *self.request_counts.entry(line.device.clone()).or_insert(0) += 1;
        if self.keep_requests {
            if self.requests.len() >= 20_000 {
                self.requests.pop_front();
            }
            self.requests.push_back(line);
        }
    }
}
