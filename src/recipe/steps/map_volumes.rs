//! Step 11: the new image is mapped to the clone, by storage UID, on every VIOS, in the order of the group's maps.

use super::gate::{self, Stop, facts};
use super::start_copy;
use super::volumes::{self, Judged};
use crate::engine::journal::Facts;
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::image::still_on_array;
use crate::recipe::plan::Plan;
use crate::recipe::recorded;
use crate::site::{DeviceError, VirtualIoState};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "map-volumes";

pub(super) struct MapVolumes {
    pub(super) plan: Arc<Plan>,
}

impl MapVolumes {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        image_is_this_runs(context, &self.plan).await?;
        let count = gate::targets(context)?.len();
        let judge = |state: &VirtualIoState| self.judge(state, count);
        volumes::observe(context, &self.plan, ID, judge).await
    }

    fn judge(&self, state: &VirtualIoState, count: usize) -> Judged {
        if let Some(failure) = foreign(state, &self.plan) {
            return Judged::Settled(Observation::Broken(failure));
        }
        if state.all_mapped() {
            let out = facts([("volumes", count.to_string())]);
            return Judged::Settled(Observation::Done(out));
        }
        if self.plan.keep_mappings {
            return Judged::Settled(Observation::Broken(unkept(state, &self.plan)));
        }
        Judged::Left(format!(
            "volumes not mapped to the clone yet: {}",
            missing(state)
        ))
    }

    async fn map(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        gate::source_allows_start(context.site, &self.plan).await?;
        let wanted = volumes::wanted_while_off(context, &self.plan).await?;
        Ok(context.site.virtual_io.map(&wanted).await?)
    }
}

/// An image copied outside a proven suspension, or one that has been replaced since, is never mapped or started
/// (`product.md` § 4).
///
/// A held image is the one of the run that the plan names.
pub(super) async fn image_is_this_runs(context: &StepContext<'_>, plan: &Plan) -> Result<(), Stop> {
    if plan.mode.is_about_image() {
        let state = context.site.copy.observe().await?;
        return still_on_array(&state, plan).map_err(Stop::Failure);
    }
    if !context.journal.image_clean() {
        return Err(Stop::Failure(Failure::new(
            "ImageNotClean",
            "the copy was not taken inside a proven suspension: it is neither mapped nor started; run again",
        )));
    }
    let state = context.site.copy.observe().await?;
    let taken = context.journal.output(start_copy::ID, start_copy::MARK);
    if state.exists() && taken.is_none_or(|mark| mark == state.mark()) {
        return Ok(());
    }
    Err(Stop::Failure(Failure::new(
        "ImageReplaced",
        "the copy on the array is not the one this run took: somebody stopped or started the consistency group since; run again",
    )))
}

/// Whatever is there beside this run's volumes: what was in turn has been taken away by now.
pub(super) fn foreign(state: &VirtualIoState, plan: &Plan) -> Option<Failure> {
    let places: Vec<String> = state.foreign.iter().map(ToString::to_string).collect();
    (!places.is_empty()).then(|| recorded::stranger(&places, plan))
}

/// Mappings that were to stay are not all there.
pub(super) fn unkept(state: &VirtualIoState, plan: &Plan) -> Failure {
    let (setting, way_out) = plan.mapping.kept();
    Failure::new(
        "MappingMissing",
        format!(
            "{setting}, but volumes are not mapped to the clone: {}; {way_out}",
            missing(state)
        ),
    )
}

fn missing(state: &VirtualIoState) -> String {
    gate::per_vios(
        state
            .paths
            .iter()
            .filter(|p| p.mapped_as.is_none() || p.disks.len() != 1)
            .map(|p| p.vios.as_str()),
    )
}

#[async_trait]
impl Step for MapVolumes {
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
        self.map(context)
            .await
            .map(|()| Some(gate::handle("", context.now)))
            .map_err(Stop::refused)
    }
}
