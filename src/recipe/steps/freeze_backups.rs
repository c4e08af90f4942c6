//! Step 5, BRMS only: production's BRMS enters its FlashCopy process, before the flash, so that its state is on the clone
//! too (`ibmi.md` § 4.6). From here on it is owed that it leaves it.

use super::gate::{self, Stop, facts};
use crate::engine::journal::{Facts, ObligationKind};
use crate::engine::step::{Failure, LockKind, NOTE_FACT, Observation, Step, StepContext};
use crate::recipe::brms::{
    BrmsJob, Errand, FINGERPRINT, FREEZE, SOURCE_NAME, Stands, There, fingerprint,
};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct FreezeBackups {
    pub(super) plan: Arc<Plan>,
}

impl FreezeBackups {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(FREEZE);
        let proof = gate::prove_source(context.site, &self.plan).await?;
        let there = There {
            system: context.site.source.0.as_ref(),
            session: proof.session(),
        };
        let errand = Errand::of(&self.plan, BrmsJob::Freeze)?;
        let wait = self.plan.pace.short_retry();
        Ok(match errand.look(there).await? {
            Stands::Well => Observation::Done(self.frozen(there).await?),
            Stands::There(doing) => {
                doing.observed(self.plan.pace.job(gate::elapsed(&entry, context.now)))
            }
            Stands::Badly(why) => Observation::Broken(Failure::new(
                "BackupsNotFrozen",
                format!(
                    "nothing was copied: BRMS of source {} did not enter its FlashCopy process; if it is in one of another product, or of a run that was let go, end that first (INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)), then run again: {why}",
                    self.plan.source_label()
                ),
            )),
            Stands::NotSeen => gate::retry_gate(&entry, context.now, wait, wait, || {
                format!(
                    "job {} was submitted and is not to be seen yet",
                    errand.name
                )
            }),
        })
    }

    /// What later proves that nothing has changed: read as soon as BRMS is frozen, and before the flash.
    async fn frozen(&self, there: There<'_>) -> Result<Facts, Stop> {
        let mut out = facts([(SOURCE_NAME, there.session.system.host_name.clone())]);
        match fingerprint(there).await? {
            Some(found) => drop(out.insert(FINGERPRINT.to_owned(), found)),
            None => drop(out.insert(
                format!("{NOTE_FACT}fingerprint"),
                format!(
                    "source {} does not tell when the objects of QUSRBRM and their members were changed last: nothing can be proved of them, so history: Restore will keep the save file instead",
                    self.plan.source_label()
                ),
            )),
        }
        Ok(out)
    }

    async fn send(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let proof = gate::prove_source(context.site, &self.plan).await?;
        let there = There {
            system: context.site.source.0.as_ref(),
            session: proof.session(),
        };
        let job = Errand::of(&self.plan, BrmsJob::Freeze)?.send(there).await?;
        Ok(Some(gate::handle(job.as_str(), context.now)))
    }
}

#[async_trait]
impl Step for FreezeBackups {
    fn id(&self) -> &'static str {
        FREEZE
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Source, LockKind::Backups]
    }
    fn incurs(&self) -> &'static [ObligationKind] {
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
