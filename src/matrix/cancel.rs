//! A run cancelled at every write, undisturbed and with something going wrong besides.

use super::controls::Injected;
use super::scenario::{RunUnderTest, Setting};
use super::stage::Stage;
use super::tests::{setting, singles};
use crate::engine::drive::Cancel;
use crate::engine::journal::{Journal, Phase};
use crate::engine::ports::Wishes;
use std::collections::BTreeMap;

/// One run that is cancelled from a revision of its journal on; what does not hold.
fn cancelled(
    stage: &Stage,
    setting: Setting,
    faults: &[(usize, Injected)],
    (revision, cancel): (i64, Cancel),
) -> (Journal, Vec<String>) {
    let run = RunUnderTest::new(stage, setting, 2, faults);
    run.arm();
    let wishes = Wishes {
        cancel,
        ..Wishes::default()
    };
    run.store.wish(revision, wishes);
    let journal = run.to_end();
    let mut broken = run.broken(&journal);
    if journal.image_clean() && !run.owns_image() {
        broken.push("the image is nobody's: its row would never be closed".into());
    }
    if faults.is_empty() {
        match journal.phase {
            Phase::Cancelled => {}
            // Every step was done when the wish came.
            Phase::Succeeded if journal.current().is_none() => {}
            other @ (Phase::Succeeded
            | Phase::Pending
            | Phase::Queued
            | Phase::Running
            | Phase::Cancelling
            | Phase::Warning
            | Phase::Failed
            | Phase::Skipped) => broken.push(format!("{other:?} without any fault")),
        }
        if journal.window.is_some() && !journal.image_clean() {
            broken.push("the window was interrupted".into());
        }
    }
    (journal, broken)
}

/// How many writes an undisturbed run has.
fn writes(stage: &Stage, setting: Setting) -> i64 {
    RunUnderTest::new(stage, setting, 2, &[]).to_end().revision
}

#[test]
fn a_run_cancelled_at_any_write_keeps_every_promise() {
    let stage = Stage::prepared();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    for setting in [
        setting("HOLD", true),
        setting("USER", false),
        setting("SAVE21", false),
    ] {
        for revision in 0..=writes(&stage, setting) {
            for cancel in [Cancel::Stop, Cancel::Abort] {
                let (journal, broken) = cancelled(&stage, setting, &[], (revision, cancel));
                let outcome = format!("{cancel:?} {:?}", journal.phase);
                *counts.entry(outcome).or_default() += 1;
                failures.extend(
                    broken
                        .into_iter()
                        .map(|t| format!("{setting:?} {cancel:?} at write {revision}: {t}")),
                );
            }
        }
    }
    println!("crash matrix: cancelled at every write, {counts:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Every pair would be a hundred thousand runs: each fault meets one wish, always the same one.
#[test]
fn a_fault_in_a_run_that_is_cancelled_changes_nothing() {
    let stage = Stage::prepared();
    let mut total = 0;
    let mut failures = Vec::new();
    for setting in [
        setting("HOLD", true),
        setting("USER", false),
        setting("SAVE21", false),
    ] {
        let writes = writes(&stage, setting);
        for (n, (setting, at, name, fault)) in singles(&stage, setting).iter().enumerate() {
            let revision = i64::try_from(n * 37 + 11).unwrap() % (writes + 1);
            let cancel = if n % 2 == 0 {
                Cancel::Abort
            } else {
                Cancel::Stop
            };
            let faults = [(*at, *fault)];
            let (_, broken) = cancelled(&stage, *setting, &faults, (revision, cancel));
            total += 1;
            failures.extend(broken.into_iter().map(|t| {
                format!("{setting:?} {at} ({name}) {fault:?}, {cancel:?} at write {revision}: {t}")
            }));
        }
    }
    println!("crash matrix: {total} faults in cancelled runs");
    assert!(
        failures.is_empty(),
        "{} of {total}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Set too early (in a template, before the freeze), a person's word would stand for the resume of a freeze to come.
#[test]
fn a_word_given_before_the_freeze_opens_none() {
    let stage = Stage::prepared();
    let hold = setting("HOLD", true);
    let run = RunUnderTest::new(&stage, hold, 2, &[]);
    let wishes = Wishes {
        resumed_by_hand: true,
        ..Wishes::default()
    };
    run.store.wish(0, wishes);
    let journal = run.to_end();
    assert_eq!(journal.phase, Phase::Failed);
    assert_eq!(journal.verdict.as_ref().unwrap().reason, "ResumedByHand");
    assert!(journal.window.is_none());
    assert_eq!(run.broken(&journal), Vec::<String>::new());
}
