//! Step 4: the targets leave the VIOSes before they change, so that no VIOS logs errors and no stale clone can start.

use super::gate::{self, Stop, facts};
use super::verify_site::leaves_clone_alone;
use crate::engine::journal::Facts;
use crate::engine::step::{LockKind, Observation, Step, StepContext};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "unmap-volumes";

pub(super) struct UnmapVolumes {
    pub(super) plan: Arc<Plan>,
}

impl UnmapVolumes {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let wanted = self.plan.wanted(&gate::targets(context)?);
        let state = context.site.virtual_io.observe(&wanted).await?;
        if let Some(failure) = gate::volume_conflict(&state) {
            return Ok(Observation::Broken(failure));
        }
        let mapped: Vec<&str> = state
            .paths
            .iter()
            .filter(|p| p.mapped_as.is_some())
            .map(|p| p.vios.as_str())
            .collect();
        let where_ = gate::per_vios(mapped.iter().copied());
        if mapped.is_empty() || self.plan.keep_mappings {
            // Kept maps are only read: they must be proved to be the clone's own, which the conflict above does.
            return Ok(Observation::Done(facts([(
                "mapped",
                mapped.len().to_string(),
            )])));
        }
        if leaves_clone_alone(context.journal, &self.plan) {
            return Ok(Observation::broken(
                "AttachedMeanwhile",
                format!(
                    "volumes of this run were attached to clone {} while the run went on ({where_}); nothing was taken away or copied: run again",
                    self.plan.clone_label()
                ),
            ));
        }
        gate::clone_off(context.site, &self.plan, true).await?;
        Ok(gate::retry_gate(
            &context.entry(ID),
            context.now,
            self.plan.pace.retry(),
            self.plan.pace.virtual_io(),
            || {
                format!(
                    "volumes still mapped to the clone: {where_}; a VIOS that still uses a disk, or volume protection of the array, can refuse for about 15 minutes"
                )
            },
        ))
    }

    async fn unmap(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        gate::clone_off(context.site, &self.plan, true).await?;
        let wanted = self.plan.wanted(&gate::targets(context)?);
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
