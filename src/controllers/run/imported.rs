//! A row of another history that `ibmi-clone import` has created and not given its status yet. It looks like a run that is to
//! be opened, and must not be, now or ever (rule 14 of `architecture.md` § 4): it was executed elsewhere.
//!
//! Nothing is written to it: its one status is the import's to write, and final. The API server refuses every other one, also
//! from an operator that does not know the field.

use super::opening::age;
use crate::api::CloneRun;
use crate::controllers::context::Context;
use crate::controllers::events::{Transition, publish};
use kube::ResourceExt;
use kube::runtime::controller::Action;

/// Seconds after which an import has been interrupted, and not only not come so far.
const PATIENCE: u64 = 120;
/// Seconds between two looks at one that was.
const AGAIN: u64 = 600;

/// Leaves the object as it is; one whose import was interrupted is told about.
pub(super) async fn left_alone(context: &Context, run: &CloneRun) -> Action {
    let patience = context.pace().seconds(PATIENCE);
    let age = age(context, run);
    if let Some(rest) = patience.checked_sub(age).filter(|rest| !rest.is_zero()) {
        return Action::requeue(rest);
    }
    let name = run.name_any();
    tracing::warn!(run = name, "its import was interrupted");
    let note = "the import of this row was interrupted: `ibmi-clone import` with the same file goes on with it, or delete it; it is never executed";
    let told = Transition::new(true, "ImportUnfinished", "Import", note.to_owned());
    publish(&context.recorder, run, &[told]).await;
    Action::requeue(context.pace().seconds(AGAIN))
}
