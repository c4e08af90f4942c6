//! The open helper inside the window: every method is one line out and one line in.

use super::answer::Status;
use super::freeze::SpareSlot;
use super::helper::{DISARM_LIMIT, FORCE_WRITE_LIMIT, Helper, QUICK_LIMIT};
use crate::site::{
    AspName, Canary, DeviceError, DeviceTime, FreezeSession, HelperState, OnBoundaryTimeout,
    Watchdog,
};
use async_trait::async_trait;
use std::time::{Duration, Instant};

/// What SUSPEND may take beyond its own limit before its answer counts as lost.
const SUSPEND_MARGIN: Duration = Duration::from_secs(15);
/// A watchdog whose counter stands still for so long is dead (`ibmi/CONTRACT.md` § 4: beats once a second).
const BEAT_LIMIT: Duration = Duration::from_secs(3);
/// How long a canary may take to begin before it proves nothing.
const BEGIN_LIMIT: Duration = Duration::from_secs(2);

/// Main helper, spare helper, and what was seen of the watchdog. Dropped without `close`, both channels end, and the
/// helper resumes what it suspended (`ibmi/CONTRACT.md` § 3.5).
pub(super) struct OpenFreeze {
    device: String,
    main: Helper,
    spare: SpareSlot,
    canary: bool,
    beats: Option<(i64, Instant)>,
}

impl OpenFreeze {
    pub fn new(device: &str, main: Helper, spare: SpareSlot, canary: bool) -> Self {
        Self {
            device: device.to_owned(),
            main,
            spare,
            canary,
            beats: None,
        }
    }

    async fn watchdog(&mut self) -> Result<Watchdog, DeviceError> {
        let answer = self.main.ask("WATCHDOG STATE", QUICK_LIMIT).await?;
        let state = answer.watchdog().ok_or_else(|| {
            DeviceError::indeterminate(&self.device, "the state of the watchdog is not understood")
        })?;
        if state != Watchdog::Armed {
            return Ok(state);
        }
        let beats = answer.number("beats").unwrap_or_default();
        match self.beats {
            Some((seen, since)) if seen == beats => {
                if since.elapsed() >= BEAT_LIMIT {
                    // It protects nothing any more.
                    return Ok(Watchdog::Ended);
                }
            }
            Some(_) | None => self.beats = Some((beats, Instant::now())),
        }
        Ok(Watchdog::Armed)
    }

    /// Asks again only while the commit is too young to prove anything.
    async fn canary_state(&self) -> Result<Canary, DeviceError> {
        if !self.canary {
            return Ok(Canary::Off);
        }
        let commit = self.main.commit_milliseconds;
        let patience =
            BEGIN_LIMIT + Duration::from_millis(u64::try_from(commit * 4).unwrap_or_default());
        let started = Instant::now();
        loop {
            let answer = self.main.ask("CANARYSTATE", QUICK_LIMIT).await?;
            match answer.canary(commit) {
                Ok(state) => return Ok(state),
                Err(_) if started.elapsed() >= patience => return Ok(Canary::Off),
                Err(missing) => tokio::time::sleep(Duration::from_millis(missing)).await,
            }
        }
    }
}

#[async_trait]
impl FreezeSession for OpenFreeze {
    async fn state(&mut self) -> Result<HelperState, DeviceError> {
        let watchdog = self.watchdog().await?;
        let canary = self.canary_state().await?;
        Ok(HelperState { canary, watchdog })
    }

    async fn suspend(
        &mut self,
        asp: &AspName,
        boundary_seconds: u32,
        on_timeout: OnBoundaryTimeout,
    ) -> Result<DeviceTime, DeviceError> {
        let word = match on_timeout {
            OnBoundaryTimeout::Abort => "END",
            OnBoundaryTimeout::KeepSuspended => "CONT",
        };
        let limit = Duration::from_secs(u64::from(boundary_seconds)) + SUSPEND_MARGIN;
        let request = format!("SUSPEND {asp} {boundary_seconds} {word}");
        Ok(self.main.ask(&request, limit).await?.time())
    }

    async fn start_canary(&mut self) -> Result<(), DeviceError> {
        let answer = self.main.ask("CANARY *SYSBAS", QUICK_LIMIT).await?;
        match answer.status {
            Status::Pending => Ok(()),
            Status::Ok => Err(DeviceError::indeterminate(
                &self.device,
                "the canary answered OK instead of PENDING",
            )),
        }
    }

    async fn force_write(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        let request = format!("FORCEWRITE {asp}");
        Ok(self.main.ask(&request, FORCE_WRITE_LIMIT).await?.time())
    }

    async fn resume(&mut self, asp: &AspName) -> Result<DeviceTime, DeviceError> {
        self.main.resume(asp).await
    }

    async fn close(&mut self) -> Result<Watchdog, DeviceError> {
        let mut ended = disarm(&self.device, &self.main).await;
        let spare = self.spare.lock().await.take();
        if let Some(spare) = spare {
            // A lost main helper does not disarm its watchdog: whoever takes over does (`ibmi/CONTRACT.md` § 3.5).
            if ended.is_err() {
                ended = disarm(&self.device, &spare).await;
            }
            spare.quit().await;
        }
        // Refused while anything is suspended; then the end of the channel makes it resume.
        let _ = self.main.ask("QUIT", QUICK_LIMIT).await;
        ended
    }
}

/// WATCHDOG DISARM: `Fired` when it had fired before.
pub(super) async fn disarm(device: &str, helper: &Helper) -> Result<Watchdog, DeviceError> {
    let answer = helper.ask("WATCHDOG DISARM", DISARM_LIMIT).await?;
    match answer.watchdog() {
        Some(state @ (Watchdog::Ended | Watchdog::Fired)) => Ok(state),
        Some(Watchdog::Armed) | None => Err(DeviceError::indeterminate(
            device,
            "WATCHDOG DISARM was answered without a proof of its end",
        )),
    }
}
