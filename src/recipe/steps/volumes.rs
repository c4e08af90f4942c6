//! The volumes of this run on the VIOSes: looked at and judged for mapping and unmapping alike.

use super::gate::{self, Stop};
use crate::engine::step::{Observation, StepContext};
use crate::recipe::plan::Plan;
use crate::site::{VirtualIoState, WantedVolume};

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
    let wanted = plan.wanted(&gate::targets(context)?);
    let state = context.site.virtual_io.observe(&wanted).await?;
    if let Some(failure) = gate::volume_conflict(&state) {
        return Ok(Observation::Broken(failure));
    }
    let left = match judge(&state) {
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

/// The volumes to map or unmap, once the clone is proved off at this very moment.
pub(super) async fn wanted_while_off(
    context: &StepContext<'_>,
    plan: &Plan,
) -> Result<Vec<WantedVolume>, Stop> {
    gate::clone_off(context.site, plan, true).await?;
    Ok(plan.wanted(&gate::targets(context)?))
}
