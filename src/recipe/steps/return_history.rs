//! Step 16, BRMS only: the history comes home, and production's BRMS leaves its FlashCopy process (`ibmi.md` § 4.2). The way
//! itself is `brms::home`; this step walks it until it is over or its time is.

use super::gate::{self, Stop, facts};
use crate::api::saves::BrmsHistory;
use crate::engine::journal::{Entry, Facts, ObligationKind};
use crate::engine::step::{LockKind, NOTE_FACT, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::brms::{
    Homeward, Leg, Outcome, RETURN, Way, gives_up, missing_history, settings,
};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// The step itself says when it gives up; the engine's limit comes later.
const BEYOND: u64 = 2 * 60 * 60;
/// In a handle: the leg before it was refused, with the words behind it.
const REFUSED: &str = " refused: ";
const TEXT: usize = 300;

pub(super) struct ReturnHistory {
    pub(super) plan: Arc<Plan>,
}

impl ReturnHistory {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(RETURN);
        let home = Homeward {
            plan: &self.plan,
            context,
        };
        let way = home.look().await;
        let poll = self.plan.pace.job(gate::elapsed(&entry, context.now));
        let (seen, what) = match way {
            Ok(Way::Home(Outcome::Missing)) => {
                let why = "BRMS was released, and neither the history nor its save file is there";
                let failure = missing_history(&self.plan, context, Outcome::Missing, why).await;
                return Ok(Observation::Broken(failure));
            }
            Ok(Way::Home(outcome)) => return self.home(outcome),
            Ok(Way::Waits(doing)) => (doing.clone().observed(poll), doing.what),
            Ok(Way::Next { leg, failed }) => {
                let what = failed.clone().unwrap_or_else(|| leg.as_str().to_owned());
                (self.gate(&entry, leg, failed, context), what)
            }
            Err(Stop::Device(error)) => {
                let text = error.to_string();
                let silence = self.plan.pace.silence();
                (Observation::from_error(&error, silence), text)
            }
            Err(stop @ Stop::Failure(_)) => return Err(stop),
        };
        // BRMS of production must not stay frozen for a history that does not come.
        if context.release_backups || gives_up(&self.plan, context)? {
            let why = if context.release_backups {
                format!("released by spec.releaseBackups, at: {what}")
            } else {
                format!(
                    "not back within brms.maxFrozenSeconds ({}), at: {what}",
                    settings(&self.plan)?.max_frozen_seconds
                )
            };
            let failure = missing_history(&self.plan, context, Outcome::Missing, &why).await;
            return Ok(Observation::Broken(failure));
        }
        Ok(seen)
    }

    /// A leg of another name than the last one sent may follow at once; the same again only after a while.
    fn gate(
        &self,
        entry: &Entry,
        leg: Leg,
        failed: Option<String>,
        context: &StepContext<'_>,
    ) -> Observation {
        let given = gate::given(entry).unwrap_or_default();
        let (sent, refused) = match given.split_once(REFUSED) {
            Some((sent, why)) => (sent, Some(why.to_owned())),
            None => (given, None),
        };
        if !sent.is_empty() && sent != leg.as_str() {
            return Observation::Absent;
        }
        let (wait, what) = match failed.or(refused) {
            Some(why) => (self.plan.pace.retry(), format!("{why}; it is tried again")),
            None => (
                self.plan.pace.short_retry(),
                format!("{} was sent and is not to be seen yet", leg.as_str()),
            ),
        };
        let poll = self.plan.pace.short_retry();
        gate::retry_gate(entry, context.now, wait, poll, || what)
    }

    fn home(&self, outcome: Outcome) -> Result<Observation, Stop> {
        let wanted = settings(&self.plan)?.history;
        let mut out = facts([("history", outcome.as_str().to_owned())]);
        let file = self.plan.save_file();
        let source = self.plan.source_label();
        if outcome == Outcome::Kept {
            out.insert("saveFile".to_owned(), file.clone());
        }
        match (outcome, wanted) {
            (Outcome::Restored | Outcome::Merged, _) => {}
            (Outcome::Kept, BrmsHistory::None) => drop(out.insert(
                format!("{NOTE_FACT}history"),
                format!("the history of this run's saves is in save file {file} on {source} (brms.history: None)"),
            )),
            (Outcome::Kept, BrmsHistory::Restore | BrmsHistory::Merge) => drop(out.insert(
                format!("{WARNING_FACT}history"),
                format!(
                    "BackupHistoryKept: QUSRBRM of {source} was not replaced: it is not proved that nothing has changed in it since it was frozen. Until it knows this run's saves, protect the volumes in status.backupHistory; the history is in save file {file} there: RSTLIB SAVLIB(QUSRBRM) DEV(*SAVF) SAVF({file}) RSTLIB({lib}) ALWOBJDIF(*ALL) MBROPT(*ALL), then INZBRM OPTION(*MERGE) FROMLIB({lib}) TOLIB(QUSRBRM) MERGE(*ARC *BKU *MED), look at the result, DLTLIB {lib}, DLTF {file}",
                    lib = self.plan.job_name()
                ),
            )),
            (Outcome::Missing, _) => {}
        }
        Ok(Observation::Done(out))
    }

    async fn send(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let home = Homeward {
            plan: &self.plan,
            context,
        };
        let Way::Next { leg, .. } = home.look().await? else {
            return Ok(None);
        };
        match home.go(leg).await {
            // What a device refuses is tried again until the time is up: production waits either way.
            Err(Stop::Device(error @ DeviceError::Refused { .. })) => {
                let text: String = error.to_string().chars().take(TEXT).collect();
                let given = format!("{}{REFUSED}{text}", leg.as_str());
                Ok(Some(gate::handle(&given, context.now)))
            }
            Err(stop) => Err(stop),
            Ok(()) => Ok(Some(gate::handle(leg.as_str(), context.now))),
        }
    }
}

#[async_trait]
impl Step for ReturnHistory {
    fn id(&self) -> &'static str {
        RETURN
    }
    fn limit(&self) -> Duration {
        let most = self.plan.brms.as_ref().map_or(0, |b| b.max_frozen_seconds);
        self.plan
            .pace
            .seconds(u64::from(most.unsigned_abs()) + BEYOND)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone, LockKind::Backups]
    }
    /// Hours after production was resumed another run may have it suspended: nothing is asked there then.
    fn borrows(&self) -> Option<LockKind> {
        Some(LockKind::Source)
    }
    fn discharges(&self) -> &'static [ObligationKind] {
        &[ObligationKind::ReleaseBackups]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.send(context).await.map_err(Stop::refused)
    }
}
