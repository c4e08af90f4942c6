//! The two kinds of `ibmiclone.dev/v1alpha1`, their rules and the words shared by both. No I/O, no clock.
//!
//! The schema holds only what this version honours: an unknown field is refused by strict validation, never ignored.

pub mod clone_side;
pub mod devices;
pub mod environment;
pub mod options;
pub mod run;

pub use environment::{CloneEnvironment, CloneEnvironmentSpec, CloneEnvironmentStatus};
pub use run::{CloneRun, CloneRunSpec, CloneRunStatus};

/// API group of both kinds.
pub const GROUP: &str = "ibmiclone.dev";
/// Annotation on an environment: pinned partition UUIDs as JSON (`product.md` § 2).
pub const PINS_ANNOTATION: &str = "ibmiclone.dev/pins";
/// Annotation on a run: the UID of the object that was opened (`product.md` § 3).
pub const OPENED_ANNOTATION: &str = "ibmiclone.dev/opened";
/// Label on a run: its number within the environment.
pub const NUMBER_LABEL: &str = "ibmiclone.dev/number";
/// Label on a run: name of its environment.
pub const ENVIRONMENT_LABEL: &str = "ibmiclone.dev/environment";
/// Label on a run: its final phase.
pub const OUTCOME_LABEL: &str = "ibmiclone.dev/outcome";
/// Label a Secret must carry with value `true`.
pub const CREDENTIALS_LABEL: &str = "ibmiclone.dev/credentials";
/// Finalizer of a run, from before the first effect until right after the verdict.
pub const FINALIZER: &str = "ibmiclone.dev/run";
/// Field manager of everything we write.
pub const FIELD_MANAGER: &str = "ibmi-clone-operator";
