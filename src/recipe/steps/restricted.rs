//! A clone that saves in restricted state has no network: all that can be seen of it is at the console, and its reference
//! code is the only sign of life (`ibmi.md` § 5.3). Sends nothing.

use super::await_clone::{NO_LOAD_SOURCE, OFF_SECONDS, since};
use super::gate::{Stop, state_word};
use crate::engine::journal::Entry;
use crate::engine::step::{Failure, StepContext};
use crate::recipe::plan::Plan;
use crate::site::{PartitionState, PartitionStatus};

/// Batch restricted state: a healthy clone that saves, with its attention light on ([C], `ibmi.md` §§ 0.6, 5.3).
pub(super) const SAVING: &str = "A9003C70";

/// Whether the console shows a clone at a save in restricted state, of whichever run: it is never switched off by us.
pub(super) fn saves(status: &PartitionStatus) -> bool {
    status.reference_code.trim() == SAVING
}

/// What the console shows of a clone that is saving, or may be.
pub(super) enum Seen {
    /// Up as far as the console can tell (no code, or `00000000`): only the network can tell more.
    Up(PartitionStatus),
    /// It cannot answer now; what it does, in words. Begins with one of [`super::ATTENTION`] where a person should look.
    Away(String),
}

/// One look at the console. `entry` is the step's own: times of waiting are kept in its message.
///
/// A B-code and a clone that went down fail the step; the save, if one was under way, is lost then anyway.
pub(super) async fn at_console(
    context: &StepContext<'_>,
    plan: &Plan,
    entry: &Entry,
) -> Result<Seen, Stop> {
    let status = context.site.clone_partition.status().await?;
    let clone = plan.clone_label();
    let code = status.reference_code.trim().to_owned();
    if code.starts_with('B') || code == NO_LOAD_SOURCE {
        return Err(Stop::Failure(Failure::new(
            "CloneError",
            format!(
                "clone {clone} stopped with code {code}: look it up at the console; clone and image are left as they are"
            ),
        )));
    }
    Ok(match &status.state {
        PartitionState::NotActivated => return off(context, plan, entry).map(Seen::Away),
        PartitionState::Running if saves(&status) => {
            let (began, _) = since(entry, "saves in restricted state", context.now);
            Seen::Away(format!(
                "clone {clone} saves in restricted state since {began} (code {code}): it has no network until it is done, and a tape that is not ready looks the same"
            ))
        }
        PartitionState::Running if code.starts_with('A') => Seen::Away(format!(
            "CloneNeedsAttention: clone {clone} shows {code}: it waits for a person at its console"
        )),
        PartitionState::Running if code.is_empty() || code == "00000000" => Seen::Up(status),
        state @ (PartitionState::Running
        | PartitionState::Starting
        | PartitionState::ShuttingDown
        | PartitionState::Error
        | PartitionState::NotAvailable
        | PartitionState::Other(_)) => ipl_words(context, plan, entry, state, &code),
    })
}

/// An IPL that takes longer than `timeouts.iplSeconds` is shown to a person; only the function's own limit ends the wait,
/// because a save may lie before it.
fn ipl_words(
    context: &StepContext<'_>,
    plan: &Plan,
    entry: &Entry,
    state: &PartitionState,
    code: &str,
) -> Seen {
    let clone = plan.clone_label();
    let (began, age) = since(entry, "in its IPL", context.now);
    let slow = if age >= plan.pace.seconds(plan.ipl_seconds) {
        "CloneNeedsAttention: "
    } else {
        ""
    };
    Seen::Away(format!(
        "{slow}clone {clone} is in its IPL since {began}: {}, code {code}",
        state_word(state)
    ))
}

/// Some consoles show `not activated` for a while in the middle of the kit's re-IPL; longer, and somebody switched it off.
fn off(context: &StepContext<'_>, plan: &Plan, entry: &Entry) -> Result<String, Stop> {
    let clone = plan.clone_label();
    let (began, age) = since(entry, "not activated", context.now);
    if age >= plan.pace.seconds(OFF_SECONDS) {
        return Err(Stop::Failure(Failure::new(
            "CloneWentDown",
            format!(
                "clone {clone} is not activated although it was to save: somebody switched it off, or its IPL failed; do not rely on the tapes of this run; look at its console and run again"
            ),
        )));
    }
    Ok(format!(
        "clone {clone} is not activated since {began}: a re-IPL may look like that for {OFF_SECONDS} s"
    ))
}
