//! The contract of a step: observe, write the intent, act, observe (`architecture.md` § 3).

use super::journal::{Entry, Facts, Journal, ObligationKind, Phase, Question};
use crate::site::{DeviceError, Site};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Facts of a done step whose key begins with this are things a person must read: the engine adds their values to the
/// journal's warnings, once.
pub const WARNING_FACT: &str = "warning.";
/// Facts of a done step whose key begins with this become notes of the journal.
pub const NOTE_FACT: &str = "note.";

/// What a look at the devices says about a step. Never changes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// Proved: the effect is not there. Only then may it be sent.
    Absent,
    /// On its way (or the device cannot be asked now): look again after this long; the text is shown.
    Underway {
        /// When to look again.
        again: Duration,
        /// What it waits for, stabilised text.
        message: String,
    },
    /// On its way, and stopped until a person answers a message; nothing else of this step waits for an answer.
    Asking {
        /// When to look again.
        again: Duration,
        /// What it waits for, as with `Underway`.
        message: String,
        /// The message.
        question: Box<Question>,
    },
    /// The goal is reached and differs from the baseline.
    Done(Facts),
    /// Proved: this run does not need the step.
    NotNeeded(String),
    /// Something is there that must not be: the step fails.
    Broken(Failure),
    /// The outcome cannot be told and waiting will not tell it: the run fails, nothing is repeated.
    Unknown(Failure),
}

/// Why a step fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One word of a fixed list, CamelCase, for events and metrics.
    pub reason: &'static str,
    /// What happened, where, and what a person can do.
    pub message: String,
    /// What the step leaves all the same, as a done step's output.
    pub left: Facts,
}

impl Failure {
    /// Shorthand; it leaves nothing.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            left: Facts::new(),
        }
    }
    /// The same, leaving this.
    #[must_use]
    pub fn leaving(self, left: Facts) -> Self {
        Self { left, ..self }
    }
}

impl Observation {
    /// Done without facts.
    pub fn done() -> Self {
        Self::Done(Facts::new())
    }
    /// Shorthand.
    pub fn underway(again: Duration, message: impl Into<String>) -> Self {
        Self::Underway {
            again,
            message: message.into(),
        }
    }
    /// Shorthand.
    pub fn broken(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Broken(Failure::new(reason, message))
    }
    /// What an observation that met a device error becomes: a refusal breaks the step, all else is looked at again.
    pub fn from_error(error: &DeviceError, again: Duration) -> Self {
        match error {
            DeviceError::Refused { .. } => Self::broken("DeviceRefused", error.to_string()),
            DeviceError::Unreachable { .. }
            | DeviceError::Busy { .. }
            | DeviceError::Indeterminate { .. } => Self::underway(again, error.to_string()),
        }
    }
}

/// What a step sees besides the devices.
pub struct StepContext<'a> {
    /// The devices.
    pub site: &'a Site,
    /// The journal as it was written last.
    pub journal: &'a Journal,
    /// The operator's wall clock.
    pub now: DateTime<Utc>,
    /// A person releases production's BRMS although its history is not back (`spec.releaseBackups`).
    pub release_backups: bool,
}

impl StepContext<'_> {
    /// The step's own entry.
    pub fn entry(&self, step: &str) -> Entry {
        self.journal.entry(step).cloned().unwrap_or_default()
    }
}

/// Device locks a step's effect needs (`product.md` § 7.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockKind {
    /// The clone's partition.
    Clone,
    /// The target set.
    TargetSet,
    /// Production.
    Source,
    /// BRMS of production: frozen by one run at a time, until its history is back.
    Backups,
}

/// How the engine moves a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// observe / act.
    Plain,
    /// One of the three of the window; driven by `engine::window`, never by itself.
    Window,
}

/// One step of a recipe. A step is small, knows its plan from construction and nothing else.
#[async_trait]
pub trait Step: Send + Sync {
    /// Kebab verb, one of `product.md` § 4.
    fn id(&self) -> &'static str;
    /// Plain unless it belongs to the window.
    fn kind(&self) -> StepKind {
        StepKind::Plain
    }
    /// How long the step may stay unfinished after its start.
    fn limit(&self) -> Duration;
    /// Locks that must be held when the effect is sent (rule 10).
    fn locks(&self) -> &'static [LockKind] {
        &[]
    }
    /// A lock that is taken for each turn of this step alone, long after the run has given it back. While another run
    /// holds it, the step waits and asks its device nothing: production may be suspended.
    fn borrows(&self) -> Option<LockKind> {
        None
    }
    /// Obligations recorded with the intent (rule 5).
    fn incurs(&self) -> &'static [ObligationKind] {
        &[]
    }
    /// Obligations that are met when the step is done (in the same write).
    fn discharges(&self) -> &'static [ObligationKind] {
        &[]
    }
    /// The run is aborted while this step is under way: its output then (it counts as done), for steps that gather what it
    /// leaves, and what a person must know. `None` = there is nothing to gather. Asks no device.
    fn aborted(&self, _entry: &Entry) -> Option<(Facts, String)> {
        None
    }
    /// Whether the step is still taken for a short while after a cancel, when its turn has come: it keeps what would be lost.
    fn gathers(&self) -> bool {
        false
    }
    /// Whether what a later step gathers is worth having without this one, when the run was cancelled before it was done.
    fn forgone(&self) -> bool {
        false
    }
    /// What a failure of this step makes of the run. Warning = all the run is for has been reached before it.
    fn failure_means(&self) -> Phase {
        Phase::Failed
    }
    /// Whether the step is still taken when the run has failed or was ended by a person and nothing is owed any more.
    /// Such a step never changes the verdict; what it could not do becomes a warning.
    fn after_failure(&self, _journal: &Journal) -> bool {
        false
    }
    /// Looks; changes nothing.
    async fn observe(&self, context: &StepContext<'_>) -> Observation;
    /// Values of the device that the effect will change; read just before the intent is written.
    async fn baseline(&self, _context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(Facts::new())
    }
    /// Starts the effect and returns, with a handle where the device gave one.
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError>;
}
