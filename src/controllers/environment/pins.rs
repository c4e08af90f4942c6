//! Pins: what was seen first and must not change. They live in the annotation `ibmiclone.dev/pins`, which survives a
//! backup, and are shown in status. The number behind device names is kept with them.

use crate::api::{CloneEnvironment, PINS_ANNOTATION};
use crate::controllers::answer::store_error;
use crate::engine::journal::Facts;
use crate::engine::ports::StoreError;
use crate::recipe::Pins;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::time::Duration;

/// Key of the number behind device names.
pub const DEVICE_NUMBER: &str = "deviceNumber";

/// The annotation's map; empty when it is missing or no JSON.
pub fn facts(environment: &CloneEnvironment) -> Facts {
    let text = environment.annotations().get(PINS_ANNOTATION);
    text.and_then(|t| serde_json::from_str(t).ok())
        .unwrap_or_default()
}

/// Pinned UUIDs and learned identity.
pub fn of(environment: &CloneEnvironment) -> Pins {
    Pins::from_facts(&facts(environment))
}

/// The number behind device names, if one was given.
pub fn device_number(environment: &CloneEnvironment) -> Option<i64> {
    facts(environment).get(DEVICE_NUMBER)?.parse().ok()
}

/// Whether a run can be opened: the locks need the clone's UUID, the array's and production's identity.
pub fn complete(environment: &CloneEnvironment) -> bool {
    let pins = of(environment);
    let identity = pins.source_identity.is_some() || !environment.spec.source.identities.is_empty();
    pins.clone_partition.is_some() && pins.array.is_some() && identity
}

/// Adds what is not pinned yet; a pinned value is never replaced here (the checks refuse a changed one). Conditional on
/// what was read.
///
/// # Errors
/// `Conflict` when somebody wrote in between: read again.
pub async fn add(
    api: &Api<CloneEnvironment>,
    environment: &CloneEnvironment,
    new: &Facts,
) -> Result<CloneEnvironment, StoreError> {
    let old = facts(environment);
    let mut all = new.clone();
    all.extend(old.clone());
    if all == old {
        return Ok(environment.clone());
    }
    let text = serde_json::to_string(&all).unwrap_or_default();
    let patch = json!({"metadata": {
        "uid": environment.uid(), "resourceVersion": environment.resource_version(),
        "annotations": {PINS_ANNOTATION: text},
    }});
    let parameters = PatchParams {
        field_manager: Some(crate::api::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let name = environment.name_any();
    let patch = Patch::Merge(&patch);
    let request = api.patch(&name, &parameters, &patch);
    match tokio::time::timeout(Duration::from_secs(5), request).await {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() => Err(StoreError::Conflict),
        Ok(Err(error)) => Err(store_error(error)),
        Err(_) => Err(StoreError::Lost("the API server did not answer".into())),
    }
}
