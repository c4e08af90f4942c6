//! Objects for the tests of the commands.

use crate::api::run::{CloneRunSpec, RunMode, Trigger};
use crate::api::{CloneEnvironment, CloneRun};

/// The first environment of `examples/nightly-user.yaml`, so that the example is used too.
pub fn environment() -> CloneEnvironment {
    serde_saphyr::from_str(include_str!("../../examples/nightly-user.yaml"))
        .expect("the example is one environment")
}

/// A run without status.
pub fn run(name: &str) -> CloneRun {
    CloneRun::new(
        name,
        CloneRunSpec {
            environment: "nightly-user".into(),
            mode: RunMode::Clone,
            trigger: Trigger::Manual,
            requested_by: String::new(),
            ..CloneRunSpec::default()
        },
    )
}
