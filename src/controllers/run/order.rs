//! From a run object to the plan of its recipe: the environment as it was frozen, never as it is now.

use crate::api::run::CloneRunStatus;
use crate::api::{CloneEnvironmentSpec, CloneRun};
use crate::controllers::context::Context;
use crate::controllers::environment::verify;
use crate::controllers::locks::attached::KubeRecordedSets;
use crate::engine::ports::StoreError;
use crate::recipe::{Pins, Plan, ResolvedFacts};
use kube::ResourceExt;
use std::sync::Arc;

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanFailed {
    /// The environment must be changed.
    Unusable(String),
    /// The API server could not be asked.
    Store(StoreError),
}

/// The frozen environment of a run.
pub fn frozen(status: &CloneRunStatus) -> Option<&CloneEnvironmentSpec> {
    status.resolved.as_ref()?.spec.as_ref()
}

/// The pins of a run, frozen with it.
pub fn pins(status: &CloneRunStatus) -> Pins {
    let resolved = status.resolved.as_ref();
    resolved.map_or_else(Pins::default, |r| Pins::from_facts(&r.pins))
}

/// The plan of an open run.
///
/// # Errors
/// A frozen environment that cannot be used, or an API server that does not answer.
pub async fn plan(
    context: &Context,
    run: &CloneRun,
    status: &CloneRunStatus,
    token: &str,
) -> Result<Plan, PlanFailed> {
    let resolved = status.resolved.as_ref();
    let (Some(resolved), Some(spec)) = (resolved, frozen(status)) else {
        return Err(PlanFailed::Unusable(
            "status.resolved is missing: the run was changed by hand".to_owned(),
        ));
    };
    let facts = ResolvedFacts {
        namespace: run.namespace().unwrap_or_default(),
        environment: run.spec.environment.clone(),
        run: run.name_any(),
        mode: run.spec.mode,
        image: resolved.image.clone(),
        source_is_down: run.spec.source_is_down,
        run_token: token.to_owned(),
        run_number: status.number.unwrap_or_default(),
        device_number: resolved.device_number,
        pins: pins(status),
        pinned_sources: verify::pinned_sources(context)
            .await
            .map_err(PlanFailed::Store)?,
        operator_id: context.config.operator_id().to_owned(),
        recorded: Some(Arc::new(KubeRecordedSets::new(context.leases()))),
        pace: context.pace(),
    };
    Plan::new(spec, facts).map_err(|error| PlanFailed::Unusable(error.to_string()))
}
