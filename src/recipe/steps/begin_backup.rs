//! BRMS of the clone becomes the system that saves, under production's name (`ibmi.md` § 4.1, § 4.3).

use super::gate::{self, Stop};
use super::job;
use crate::engine::journal::Facts;
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::brms::{
    BEGIN, BrmsJob, Errand, FREEZE, Log, SOURCE_NAME, Stands, There, create_view, settings,
    system_name,
};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// `brms.systemName`: the name of production.
const SOURCE: &str = "Source";
/// A BRMS system name has at most so many characters.
const LONGEST_NAME: usize = 8;

pub(super) struct BeginBackup {
    pub(super) plan: Arc<Plan>,
}

impl BeginBackup {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(BEGIN);
        let proof = job::watch_clone(context, &self.plan).await?;
        let there = There {
            system: context.site.clone.0.as_ref(),
            session: proof.session(),
        };
        let errand = Errand::of(&self.plan, BrmsJob::Begin)?;
        let wait = self.plan.pace.short_retry();
        Ok(match errand.look(there).await? {
            Stands::Well => Observation::done(),
            Stands::There(doing) => {
                doing.observed(self.plan.pace.job(gate::elapsed(&entry, context.now)))
            }
            Stands::Badly(why) => Observation::Broken(Failure::new(
                "BackupNotBegun",
                format!(
                    "BRMS of clone {} does not begin to save for production: {why}; no save was started",
                    self.plan.clone_label()
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

    /// The name under which the clone saves.
    fn name<'n>(&'n self, context: &'n StepContext<'_>) -> Result<&'n str, Stop> {
        let asked = settings(&self.plan)?.system_name.as_str();
        let name = match asked {
            SOURCE => context
                .journal
                .output(FREEZE, SOURCE_NAME)
                .unwrap_or_default(),
            _ => asked,
        };
        if (1..=LONGEST_NAME).contains(&name.len()) {
            return Ok(name);
        }
        Err(Stop::Failure(Failure::new(
            "BackupNameUnknown",
            format!(
                "{name:?}, the name of source {}, cannot be a BRMS system name (1 to 8 characters): write brms.systemName as production's BRMS is called",
                self.plan.source_label()
            ),
        )))
    }

    async fn send(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let name = self.name(context)?;
        let status = context.site.clone_partition.status().await?;
        let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
        let there = There {
            system: context.site.clone.0.as_ref(),
            session: proof.session(),
        };
        // Without the view nothing would be known of the saves but their jobs' ends.
        if Log::open(there).await?.is_none() {
            let _ = there.may(create_view()).await?;
        }
        there.must(&system_name(name)).await?;
        let job = Errand::of(&self.plan, BrmsJob::Begin)?.send(there).await?;
        Ok(Some(gate::handle(job.as_str(), context.now)))
    }
}

#[async_trait]
impl Step for BeginBackup {
    fn id(&self) -> &'static str {
        BEGIN
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
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
