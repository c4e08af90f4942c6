//! Step 4: the targets leave the VIOSes before they change, so that no VIOS logs errors and no stale clone can start.

use super::gate::{self, Stop, facts};
use super::verify_site::leaves_clone_alone;
use super::volumes::{self, Judged};
use crate::engine::journal::{Facts, Journal};
use crate::engine::step::{LockKind, Observation, Step, StepContext};
use crate::recipe::plan::Plan;
use crate::site::{DeviceError, VirtualIoState};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "unmap-volumes";

pub(super) struct UnmapVolumes {
    pub(super) plan: Arc<Plan>,
}

impl UnmapVolumes {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        gate::image_unchanged(context.site, &self.plan).await?;
        let judge = |state: &VirtualIoState| self.judge(context.journal, state);
        volumes::observe(context, &self.plan, ID, judge).await
    }

    fn judge(&self, journal: &Journal, state: &VirtualIoState) -> Judged {
        let mapped = || {
            let paths = state.paths.iter().filter(|p| p.mapped_as.is_some());
            paths.map(|p| p.vios.as_str())
        };
        if mapped().next().is_none() || self.plan.keep_mappings {
            // Kept maps are only read: they must be proved to be the clone's own, which the look has done.
            let out = facts([("mapped", mapped().count().to_string())]);
            return Judged::Settled(Observation::Done(out));
        }
        let places = gate::per_vios(mapped());
        if leaves_clone_alone(journal, &self.plan) {
            return Judged::Settled(Observation::broken(
                "AttachedMeanwhile",
                format!(
                    "volumes of this run were attached to clone {} while the run went on ({places}); nothing was taken away or copied: run again",
                    self.plan.clone_label()
                ),
            ));
        }
        Judged::Left(format!(
            "volumes still mapped to the clone: {places}; a VIOS that still uses a disk, or volume protection of the array, can refuse for about 15 minutes"
        ))
    }

    async fn unmap(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        let wanted = volumes::wanted_while_off(context, &self.plan).await?;
        Ok(context.site.virtual_io.unmap(&wanted).await?)
    }
}

#[async_trait]
impl Step for UnmapVolumes {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone, LockKind::TargetSet]
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
        self.unmap(context)
            .await
            .map(|()| Some(gate::handle("", context.now)))
            .map_err(Stop::refused)
    }
}
