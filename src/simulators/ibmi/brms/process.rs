//! The FlashCopy process: who may go from which state to which (`ibmi.md` § 4.6).

use super::super::commands::{Caller, ClAnswer};
use super::*;

/// The state table. Wrong order is refused.
pub(super) fn allowed(from: BrmsState, to: BrmsState, knobs: &BrmsKnobs) -> bool {
    if from == to {
        return !knobs.repeated_state_fails;
    }
    match to {
        BrmsState::StartProcess => from == BrmsState::Normal,
        BrmsState::StartBackup => from == BrmsState::StartProcess,
        BrmsState::EndBackup => from == BrmsState::StartBackup,
        // From EndBackup: production has just got QUSRBRM back from the clone, with the clone's state in it.
        BrmsState::Normal => match from {
            BrmsState::StartProcess | BrmsState::EndBackup => true,
            BrmsState::StartBackup => knobs.end_process_during_backup,
            BrmsState::Normal => false,
        },
    }
}

/// STATE(): what the special value asks for.
fn wanted(word: &str) -> Option<BrmsState> {
    [
        BrmsState::Normal,
        BrmsState::StartProcess,
        BrmsState::StartBackup,
        BrmsState::EndBackup,
    ]
    .into_iter()
    .find(|s| s.word() == word)
}

/// INZBRM OPTION(*FLASHCOPY) STATE(…).
pub(super) fn change(world: &mut World, partition: &str, caller: &Caller, word: &str) -> ClAnswer {
    let Some(to) = wanted(word) else {
        return ClAnswer::not_valid(format!("Value {word} for parameter STATE is not valid."));
    };
    let at = super::super::system::own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let Some(brms) = &mut r.disk.brms else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let knobs = brms.file.knobs.clone();
    let from = brms.state;
    // Entries of jobs that do not run here came with the disks.
    brms.running
        .retain(|job, _| r.system.jobs.contains_key(job));
    if !brms.running.is_empty() && to != BrmsState::StartBackup {
        let text =
            format!("BRMS FlashCopy state {word} not set: a control group is being processed.");
        return refused(world, partition, caller, &knobs.wrong_order_id, &text);
    }
    if !allowed(from, to, &knobs) {
        let text = format!(
            "BRMS FlashCopy state {word} not set: the state is {}.",
            from.word()
        );
        return refused(world, partition, caller, &knobs.wrong_order_id, &text);
    }
    brms.state = to;
    brms.touch(STATE_FILE, at);
    match to {
        BrmsState::StartProcess if knobs.start_process_ends_network => {
            r.system.subsystems.remove(NETWORK);
        }
        BrmsState::Normal => {
            r.system.subsystems.insert(NETWORK.to_owned());
        }
        BrmsState::StartProcess | BrmsState::StartBackup | BrmsState::EndBackup => {}
    }
    let text = format!("BRMS FlashCopy state {word} set.");
    let told = !knobs.state_id.is_empty();
    if told {
        log(
            world,
            partition,
            caller.job,
            ("SYSTEM", &knobs.state_id, 0, "", &text),
        );
    }
    world
        .ledger
        .effect(format!("brms.{partition}.{}", word.trim_start_matches('*')));
    if told {
        ClAnswer::completed(&knobs.state_id, text)
    } else {
        ClAnswer::quiet()
    }
}

/// A refusal of BRMS, in its log where the knob says so.
pub(super) fn refused(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    id: &str,
    text: &str,
) -> ClAnswer {
    let brms = running(world, partition).and_then(|r| r.disk.brms.as_ref());
    if brms.is_some_and(|b| b.file.knobs.refusals_are_logged) {
        log(world, partition, caller.job, ("SYSTEM", id, 40, "", text));
    }
    ClAnswer::escape(id, text)
}

/// What a frozen BRMS says to a save, maintenance or movement; `None` = go on.
pub(super) fn frozen(world: &mut World, partition: &str, caller: &Caller) -> Option<ClAnswer> {
    let brms = running(world, partition)?.disk.brms.as_ref()?;
    if !brms.frozen() {
        return None;
    }
    let (id, word) = (brms.file.knobs.frozen_id.clone(), brms.state.word());
    let text = format!("Command not allowed: BRMS FlashCopy state is {word}.");
    Some(refused(world, partition, caller, &id, &text))
}
