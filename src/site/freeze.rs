//! Suspending production. Everything inside the window goes through one resident helper that was started before
//! (`ibmi/CONTRACT.md`): no login, no new job, no file while the source is suspended.

use super::{AspName, DeviceError};
use async_trait::async_trait;

/// What CHGASPACT does when running transactions do not reach a boundary in time (SSPTIMOACN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBoundaryTimeout {
    /// `*END`: the suspension is cancelled and the command fails.
    Abort,
    /// `*CONT`: stay suspended, stragglers roll back on the clone.
    KeepSuspended,
}

/// How the helper is set up before the window opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezePlan {
    /// Token of this run; helper, canary and watchdog are bound to it.
    pub run_token: String,
    /// ASPs in the order of suspending: independent ones first, `*SYSBAS` last; resumed in reverse.
    pub asps: Vec<AspName>,
    /// The watchdog on the source resumes by itself after this many seconds.
    pub watchdog_seconds: u32,
    /// Whether the canary job is used as proof.
    pub canary: bool,
}

/// What one command inside the window took, on the device's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceTime {
    /// Milliseconds from the helper receiving the request to its answer.
    pub milliseconds: i64,
}

/// State of the canary: one commit that waits while its ASP is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// Not started, or not used.
    Off,
    /// Waiting: the ASP is suspended.
    Pending,
    /// Went through: the ASP runs.
    Completed,
}

/// State of the watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watchdog {
    /// Active and waiting.
    Armed,
    /// It resumed the source by itself: an image taken since is not clean.
    Fired,
    /// Its job has ended without firing.
    Ended,
}

/// The helper's report of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HelperState {
    /// The canary now.
    pub canary: Canary,
    /// The watchdog now.
    pub watchdog: Watchdog,
}

/// Opens the resident helper, and resumes when there is none.
#[async_trait]
pub trait SourceFreeze: Send + Sync {
    /// Before the window: proves the source's identity on a session of its own, starts helper, canary and watchdog, and
    /// waits until all are active. Nothing is suspended.
    async fn open(&self, plan: &FreezePlan) -> Result<Box<dyn FreezeSession>, DeviceError>;
    /// ASPs that exist now, independent ones first, `*SYSBAS` last (`freeze.asps: Auto`).
    async fn asps(&self) -> Result<Vec<AspName>, DeviceError>;
    /// Obligation: resume these ASPs by whatever way works (a spare helper, a fresh one), once. Resuming twice is harmless.
    /// `Ok` = every RESUME ended with status 0.
    async fn resume_anyway(&self, asps: &[AspName]) -> Result<(), DeviceError>;
    /// Whether the watchdog of this run has proved ended; obligation before the source lock is given back.
    async fn disarm_watchdog(&self, run_token: &str) -> Result<Watchdog, DeviceError>;
}

/// The open helper. Every method is one short line to an already running job and back.
#[async_trait]
pub trait FreezeSession: Send {
    /// Same helper alive? Also reads canary and watchdog without touching database or files.
    async fn state(&mut self) -> Result<HelperState, DeviceError>;
    /// Effect: CHGASPACT *SUSPEND on one ASP.
    async fn suspend(
        &mut self,
        asp: &AspName,
        boundary_seconds: u32,
        on_timeout: OnBoundaryTimeout,
    ) -> Result<DeviceTime, DeviceError>;
    /// Effect: start the canary's commit (it waits if the ASPs are suspended).
    async fn start_canary(&mut self) -> Result<(), DeviceError>;
    /// Effect: CHGASPACT *FRCWRT on one ASP (mode ForceWrite: the last thing before the copy).
    async fn force_write(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError>;
    /// Effect: CHGASPACT *RESUME on one ASP.
    async fn resume(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError>;
    /// Cancels the watchdog, proves its end, ends the helper.
    async fn close(&mut self) -> Result<Watchdog, DeviceError>;
}
