//! Step 4: the targets leave the VIOSes, or the clone's host object, before they change, so that no VIOS logs errors and no
//! stale clone can start. So do the volumes of whoever had the clone before: of another environment, or of another target
//! set of this one. Their image stays on the array.

use super::gate::{self, Stop, facts};
use super::map_volumes;
use super::verify_site::leaves_clone_alone;
use super::volumes::{self, Judged};
use crate::engine::journal::{Facts, Journal};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::plan::{Mapping, Plan};
use crate::recipe::recorded::{self, Foreign};
use crate::site::{DeviceError, VirtualIoState, WantedVolume};
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
        let state = volumes::state(context, &self.plan).await?;
        let others = self.others(context, &state).await?;
        if let Some(failure) = others.forbids(&self.plan) {
            return Ok(Observation::Broken(failure));
        }
        let judged = self.judge(context.journal, &state, &others);
        volumes::settle(context, &self.plan, ID, judged).await
    }

    /// What else is on the clone. A run that starts the clone or maps to it needs it alone; any other leaves the rest as it is.
    async fn others(
        &self,
        context: &StepContext<'_>,
        state: &VirtualIoState,
    ) -> Result<Foreign, Stop> {
        if !self.plan.uses_clone() {
            return Ok(Foreign::default());
        }
        let own = gate::targets(context)?;
        let clone = recorded::clone_partition(context.journal, &self.plan);
        Foreign::sort(&self.plan, clone.as_ref(), &own, state)
            .await
            .map_err(volumes::unread)
    }

    fn judge(&self, journal: &Journal, state: &VirtualIoState, others: &Foreign) -> Judged {
        let mapped = || {
            let paths = state.paths.iter().filter(|p| p.mapped_as.is_some());
            paths.map(|p| p.vios.as_str())
        };
        if let Some(failure) = self.not_as_kept(state) {
            return Judged::Settled(Observation::Broken(failure));
        }
        if !others.in_turn.is_empty() {
            let whose: Vec<&str> = others.owners.iter().map(String::as_str).collect();
            return Judged::Left(format!(
                "volumes still mapped to the clone from the last turn: {}; a VIOS that still uses a disk, or volume protection of the array, can refuse for about 15 minutes",
                whose.join(", ")
            ));
        }
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

    /// Host mappings that stay for ever are proved before anything is overwritten: the clone's ports see all targets and
    /// nothing else.
    fn not_as_kept(&self, state: &VirtualIoState) -> Option<Failure> {
        match self.plan.mapping {
            Mapping::Npiv if self.plan.keep_mappings => map_volumes::foreign(state, &self.plan)
                .or_else(|| (!state.all_mapped()).then(|| map_volumes::unkept(state, &self.plan))),
            Mapping::Npiv | Mapping::Vscsi => None,
        }
    }

    /// The record is read again here: what it says must hold when the command is sent.
    async fn unmap(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        let state = volumes::state(context, &self.plan).await?;
        let others = self.others(context, &state).await?;
        if let Some(failure) = others.forbids(&self.plan) {
            return Err(Stop::Failure(failure));
        }
        let mut wanted = volumes::wanted_while_off(context, &self.plan).await?;
        for uid in others.in_turn {
            let vtd = self.plan.vtd_name(wanted.len());
            wanted.push(WantedVolume { uid, vtd });
        }
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
