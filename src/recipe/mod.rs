//! Recipes: which steps a run takes, in which order, and why. A storage administrator could read the lists aloud.

mod brms;
pub mod checks;
#[cfg(test)]
pub(crate) mod fakes;
mod image;
pub mod log_sink;
mod names;
pub mod operator_lock;
pub mod pace;
pub mod parameters;
pub mod pins;
pub mod plan;
pub mod queries;
pub mod recorded;
pub mod records;
mod settle;
pub mod steps;
mod surroundings;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use brms::BrmsJob;
pub(crate) use brms::{history_is_missing, volumes_to_protect};
pub use image::image_mark;
pub use log_sink::{Gathered, LogKind, LogLine, LogSink, LogSummary, LogWriter};
pub use pace::Pace;
pub use plan::{Mapping, Pins, Plan, PlanError, ResolvedFacts};
pub use recorded::{RecordedSet, RecordedSets, Stays};
pub use surroundings::{END_OF_IMAGE, END_OF_PARTITION, program_at};

use crate::api::options::Function;
use crate::api::run::RunMode;
use crate::engine::journal::Phase;
use crate::engine::ports::{Recipe, every_lock, locks_and_backups};
use crate::site::ArrayFamily;
use std::sync::Arc;

/// Step 1 only: changes nothing.
const PREFLIGHT: &[&str] = &["verify-site"];

/// `product.md` § 4 rows 1–4, 6–10, 17. The clone is off and unmapped before its old image is ended and the copy is
/// prepared, because preparing already destroys the targets; everything slow happens before the source is suspended.
const HOLD_OVERWRITE: &[&str] = &[
    "verify-site",
    "write-parameters",
    "stop-clone",
    "unmap-volumes",
    "end-image",
    "prepare-copy",
    "suspend-source",
    "start-copy",
    "resume-source",
    "settle",
];

/// Rows 1–4, 6–15, 17: as HOLD, then the clone is mapped, started, waited for, used and read.
const USER_OVERWRITE: &[&str] = &[
    "verify-site",
    "write-parameters",
    "stop-clone",
    "unmap-volumes",
    "end-image",
    "prepare-copy",
    "suspend-source",
    "start-copy",
    "resume-source",
    "map-volumes",
    "start-clone",
    "await-clone",
    "run-function",
    "collect-logs",
    "settle",
];

/// All rows: as USER, with production's BRMS in its FlashCopy process from before the flash until the history is back. The
/// clone's BRMS saves for production between `begin-backup` and `end-backup`, one control group after another.
const BRMS_OVERWRITE: &[&str] = &[
    "verify-site",
    "write-parameters",
    "stop-clone",
    "unmap-volumes",
    "freeze-backups",
    "end-image",
    "prepare-copy",
    "suspend-source",
    "start-copy",
    "resume-source",
    "map-volumes",
    "start-clone",
    "await-clone",
    "begin-backup",
    "run-function",
    "end-backup",
    "collect-logs",
    "return-history",
    "settle",
];

/// Rows 13 and 14 swapped: the kit saves before it changes anything, and there is no network before that.
const SAVE21_OVERWRITE: &[&str] = &[
    "verify-site",
    "write-parameters",
    "stop-clone",
    "unmap-volumes",
    "end-image",
    "prepare-copy",
    "suspend-source",
    "start-copy",
    "resume-source",
    "map-volumes",
    "start-clone",
    "run-function",
    "await-clone",
    "collect-logs",
    "settle",
];

/// A run about the image of another one: off, unmapped, then the copy is stopped (`product.md` § 7.10).
const END_OVERWRITE: &[&str] = &["verify-image", "stop-clone", "unmap-volumes", "end-image"];

/// The same where the clone keeps running on a full copy: only the relation ends, once everything is copied.
const END_RELATION: &[&str] = &["verify-image", "end-image"];

/// Pinned before the first effect; then as the end of a clone, but nobody waits for a guest (`product.md` § 5.1).
const START_HELD: &[&str] = &[
    "verify-image",
    "pin-image",
    "unmap-volumes",
    "map-volumes",
    "start-clone",
];

/// Image and clone stay as they are.
const RELEASE_HELD: &[&str] = &["unpin-image"];

/// The list of steps of a run without surroundings (hooks, further programs, `after`); `None` where this version has no recipe.
pub fn step_names(
    function: Function,
    mode: RunMode,
    family: ArrayFamily,
    mapping: Mapping,
) -> Option<&'static [&'static str]> {
    // With NPIV the same steps look at the array's host mappings instead of the VIOSes' maps.
    use Mapping::{Npiv, Vscsi};
    match (mode, family, mapping, function) {
        (RunMode::Preflight, ArrayFamily::Overwrite, Vscsi | Npiv, _) => Some(PREFLIGHT),
        (RunMode::Clone, ArrayFamily::Overwrite, Vscsi | Npiv, Function::Hold) => {
            Some(HOLD_OVERWRITE)
        }
        (RunMode::Clone, ArrayFamily::Overwrite, Vscsi | Npiv, Function::Brms) => {
            Some(BRMS_OVERWRITE)
        }
        (RunMode::Clone, ArrayFamily::Overwrite, Vscsi | Npiv, Function::Save21) => {
            Some(SAVE21_OVERWRITE)
        }
        (RunMode::Clone, ArrayFamily::Overwrite, Vscsi | Npiv, Function::User) => {
            Some(USER_OVERWRITE)
        }
        (RunMode::End, ArrayFamily::Overwrite, Vscsi | Npiv, _) => Some(END_OVERWRITE),
        (RunMode::StartHeld, ArrayFamily::Overwrite, Vscsi | Npiv, _) => Some(START_HELD),
        (RunMode::ReleaseHeld, ArrayFamily::Overwrite, Vscsi | Npiv, _) => Some(RELEASE_HELD),
        (_, ArrayFamily::Snapshot, _, _) => None,
    }
}

/// Name of the recipe, frozen in the run when it opens: a later operator finishes the run by this very list (rule 11).
/// A change of a list gets a new number, and the old list stays.
pub fn recipe_name(
    function: Function,
    mode: RunMode,
    family: ArrayFamily,
    mapping: Mapping,
) -> String {
    let what = match (mode, function) {
        (RunMode::Preflight, _) => "preflight",
        (RunMode::End, _) => "end",
        (RunMode::StartHeld, _) => "start-held",
        (RunMode::ReleaseHeld, _) => "release-held",
        (RunMode::Clone, Function::Hold) => "hold",
        (RunMode::Clone, Function::Brms) => "brms",
        (RunMode::Clone, Function::Save21) => "save21",
        (RunMode::Clone, Function::User) => "user",
    };
    let family = match family {
        ArrayFamily::Overwrite => "overwrite",
        ArrayFamily::Snapshot => "snapshot",
    };
    format!("{what}-{family}-{}-v1", mapping.as_str())
}

/// Builds the recipe of a run. Cheap: the controller builds it anew for every pass.
pub fn build(plan: &Plan, log_sink: Arc<dyn LogSink>) -> Recipe {
    let plan = Arc::new(plan.clone());
    let (function, mode, family, mapping) = (plan.function, plan.mode, plan.family, plan.mapping);
    let recipe = step_names(function, mode, family, mapping).unwrap_or(PREFLIGHT);
    let (recipe, kept) = match plan.ends_relation_only() {
        true => (END_RELATION, "-relation"),
        false => (recipe, ""),
    };
    let names = surroundings::surround(recipe, &plan);
    let steps = names
        .iter()
        .filter_map(|name| steps::step(name, &plan, &log_sink))
        .collect();
    Recipe {
        name: recipe_name(function, mode, family, mapping) + kept + &surroundings::suffix(&plan),
        steps,
        window: match mode {
            RunMode::Clone => Some(plan.window()),
            RunMode::Preflight | RunMode::StartHeld | RunMode::ReleaseHeld | RunMode::End => None,
        },
        run_limit: plan.run_limit(),
        locks_from: match mode {
            RunMode::Clone | RunMode::Preflight | RunMode::End => 1,
            RunMode::StartHeld | RunMode::ReleaseHeld => 0,
        },
        lock_set: match (mode, function) {
            (RunMode::End, _) if plan.ends_relation_only() => steps::target_lock,
            (RunMode::End, _) => steps::end_locks,
            (RunMode::StartHeld | RunMode::ReleaseHeld, _) => steps::held_locks,
            // A HOLD that is mapped needs the partition like every run that uses it.
            (RunMode::Clone | RunMode::Preflight, Function::Hold) if plan.after.map => every_lock,
            (RunMode::Clone | RunMode::Preflight, Function::Hold) => steps::hold_locks,
            (RunMode::Clone | RunMode::Preflight, Function::Save21 | Function::User) => every_lock,
            (RunMode::Clone | RunMode::Preflight, Function::Brms) => locks_and_backups,
        },
        refused_means: match mode {
            // As when it meets it before it is opened: its time has not come, nothing went wrong.
            RunMode::Clone | RunMode::Preflight => Phase::Skipped,
            RunMode::StartHeld | RunMode::ReleaseHeld | RunMode::End => Phase::Failed,
        },
        faster: plan.pace.scale(),
        settle: Arc::new(settle::SettleRun::new(plan)),
    }
}
