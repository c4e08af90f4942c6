//! The volumes of this run on the VIOSes: looked at and judged for mapping and unmapping alike.

use super::gate::{self, Stop};
use crate::engine::ports::StoreError;
use crate::engine::step::{Observation, StepContext};
use crate::recipe::plan::Plan;
use crate::site::{DeviceError, VirtualIoState, WantedVolume};

/// What a step makes of the VIOSes' answer.
pub(super) enum Judged {
    /// Nothing is to be sent.
    Settled(Observation),
    /// Volumes are left to do; the text says which.
    Left(String),
}

/// Looks at every VIOS. A volume in the hands of somebody else stops the step before `judge` is asked; what is left to
/// do may only be sent while the clone is off, and not again before the last try can have shown its effect.
pub(super) async fn observe(
    context: &StepContext<'_>,
    plan: &Plan,
    step: &str,
    judge: impl FnOnce(&VirtualIoState) -> Judged,
) -> Result<Observation, Stop> {
    let state = state(context, plan).await?;
    settle(context, plan, step, judge(&state)).await
}

/// What every VIOS says; a volume in the hands of somebody else is a failure.
pub(super) async fn state(context: &StepContext<'_>, plan: &Plan) -> Result<VirtualIoState, Stop> {
    let wanted = plan.wanted(&gate::targets(context)?);
    let state = context.site.virtual_io.observe(&wanted).await?;
    match gate::volume_conflict(&state) {
        Some(failure) => Err(Stop::Failure(failure)),
        None => Ok(state),
    }
}

/// What is left to do may only be sent while the clone is off, and not again before the last try can have shown its effect.
pub(super) async fn settle(
    context: &StepContext<'_>,
    plan: &Plan,
    step: &str,
    judged: Judged,
) -> Result<Observation, Stop> {
    let left = match judged {
        Judged::Settled(observation) => return Ok(observation),
        Judged::Left(text) => text,
    };
    gate::clone_off(context.site, plan, true).await?;
    Ok(gate::retry_gate(
        &context.entry(step),
        context.now,
        plan.pace.retry(),
        plan.pace.virtual_io(),
        || left,
    ))
}

/// The operator's record cannot be read now: nothing is known, so nothing is sent.
pub(super) fn unread(error: StoreError) -> Stop {
    Stop::Device(DeviceError::unreachable("the API server", error))
}

/// The volumes to map or unmap, once the clone is proved off at this very moment.
pub(super) async fn wanted_while_off(
    context: &StepContext<'_>,
    plan: &Plan,
) -> Result<Vec<WantedVolume>, Stop> {
    gate::clone_off(context.site, plan, true).await?;
    Ok(plan.wanted(&gate::targets(context)?))
}
