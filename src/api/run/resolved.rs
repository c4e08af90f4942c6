//! What a run is made from, frozen when it opens.

use super::results::ImageOfRun;
use crate::api::environment::CloneEnvironmentSpec;
use crate::engine::journal::Facts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the run is made from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// UID of the environment.
    #[serde(default, rename = "environmentUID")]
    pub environment_uid: String,
    /// Its generation.
    #[serde(default)]
    pub generation: i64,
    /// SHA-256 of the environment's spec as canonical JSON.
    #[serde(default)]
    pub sha256: String,
    /// Number behind device names.
    #[serde(default)]
    pub device_number: i64,
    /// Pins and learned identity at opening.
    #[serde(default)]
    pub pins: Facts,
    /// The image a run of mode StartHeld, ReleaseHeld or End is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageOfRun>,
    /// The spec itself, with the one consistency group that this run uses; dropped in the final write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "open_object")]
    pub spec: Option<CloneEnvironmentSpec>,
}

fn open_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "nullable": true})
}
