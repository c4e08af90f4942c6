//! All combinations, and for every rule the proof that the matrix notices when it is broken.

use super::controls::{Injected, applies};
use super::scenario::{RunUnderTest, Setting, points};
use super::stage::Stage;
use crate::engine::journal::Phase;
use crate::engine::rules::{Rule, break_rule};
use std::collections::BTreeMap;

/// Faults that are tried at every point they apply to.
pub(super) const FAULTS: [Injected; 10] = [
    Injected::CrashBefore,
    Injected::CrashAfter,
    Injected::NotSent,
    Injected::AnswerLost,
    Injected::Refused,
    Injected::Busy,
    Injected::ApiDown,
    Injected::Stalled,
    Injected::StalledAfter,
    Injected::CloneStarted,
];

pub(super) fn setting(function: &'static str, canary: bool) -> Setting {
    Setting {
        function,
        canary,
        npiv: false,
        silent: false,
    }
}

/// The same with host mappings that the run swaps.
fn by_fibre_channel(setting: Setting) -> Setting {
    Setting {
        npiv: true,
        ..setting
    }
}

/// One combination; what does not hold.
fn combination(
    stage: &Stage,
    setting: Setting,
    faults: &[(usize, Injected)],
) -> (Phase, Vec<String>) {
    let run = RunUnderTest::new(stage, setting, 2, faults);
    run.arm();
    let journal = run.to_end();
    (journal.phase, run.broken(&journal))
}

/// Single faults that apply to a setting, at every point. A self-resume is only noticed by the canary, so it is tried
/// only with it; a network that swallows the operator's death matters only where the operator dies.
pub(super) fn singles(stage: &Stage, setting: Setting) -> Vec<(Setting, usize, String, Injected)> {
    let mut all = Vec::new();
    for (at, (point, name)) in points(stage, setting).into_iter().enumerate() {
        let mut faults = FAULTS.to_vec();
        if setting.canary {
            faults.push(Injected::SelfResume);
        }
        for fault in faults.into_iter().filter(|f| applies(*f, point, &name)) {
            all.push((setting, at, name.clone(), fault));
            if matches!(fault, Injected::CrashBefore | Injected::CrashAfter) {
                all.push((
                    Setting {
                        silent: true,
                        ..setting
                    },
                    at,
                    name.clone(),
                    fault,
                ));
            }
        }
    }
    all
}

fn single_faults(setting: Setting) {
    let stage = Stage::prepared_for(setting);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    let all = singles(&stage, setting);
    for (setting, at, name, fault) in &all {
        let (phase, broken) = combination(&stage, *setting, &[(*at, *fault)]);
        *counts.entry(format!("{phase:?}")).or_default() += 1;
        failures.extend(
            broken
                .into_iter()
                .map(|text| format!("{setting:?} point {at} ({name}) {fault:?}: {text}")),
        );
    }
    println!(
        "crash matrix {} canary={} npiv={}: {} single faults, {counts:?}",
        setting.function,
        setting.canary,
        setting.npiv,
        all.len()
    );
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        all.len(),
        failures.join("\n")
    );
}

#[test]
fn hold_with_assumed_proof_survives_every_single_fault() {
    single_faults(setting("HOLD", false));
}

#[test]
fn hold_that_tells_production_survives_every_single_fault() {
    single_faults(setting("HOLD+tells", false));
}

#[test]
fn hold_with_canary_survives_every_single_fault() {
    single_faults(setting("HOLD", true));
}

#[test]
fn user_with_assumed_proof_survives_every_single_fault() {
    single_faults(setting("USER", false));
}

#[test]
fn user_with_canary_survives_every_single_fault() {
    single_faults(setting("USER", true));
}

#[test]
fn save21_survives_every_single_fault() {
    single_faults(setting("SAVE21", false));
}

#[test]
fn save21_with_swapped_host_mappings_survives_every_single_fault() {
    single_faults(by_fibre_channel(setting("SAVE21", false)));
}

#[test]
fn the_end_of_a_saved_clone_survives_every_single_fault() {
    single_faults(setting("SAVE21+end", false));
}

#[test]
fn hold_with_swapped_host_mappings_survives_every_single_fault() {
    single_faults(by_fibre_channel(setting("HOLD", false)));
}

#[test]
fn user_with_swapped_host_mappings_survives_every_single_fault() {
    single_faults(by_fibre_channel(setting("USER", false)));
}

#[test]
fn two_programs_and_a_hook_at_every_point_survive_every_single_fault() {
    single_faults(setting("USER+hooks", false));
}

#[test]
fn a_persons_reply_survives_every_single_fault_and_is_sent_once() {
    single_faults(setting("USER+asks", false));
}

#[test]
fn the_end_of_clone_and_image_survives_every_single_fault() {
    single_faults(setting("USER+end", false));
}

#[test]
fn brms_that_restores_survives_every_single_fault() {
    single_faults(setting("BRMS", false));
}

#[test]
fn brms_that_merges_survives_every_single_fault() {
    single_faults(setting("BRMS+merge", false));
}

/// Two faults in one run: every pair would be a million, so every n-th is taken, always the same ones.
#[test]
fn a_second_fault_while_the_first_is_being_dealt_with_changes_nothing() {
    let stage = Stage::prepared();
    let mut total = 0;
    let mut failures = Vec::new();
    for setting in [
        setting("HOLD", true),
        setting("USER", false),
        setting("BRMS", false),
        setting("SAVE21", false),
    ] {
        let all = singles(&stage, setting);
        for (n, (first, at, name, fault)) in all.iter().enumerate() {
            let second = &all[(n * 37 + 11) % all.len()];
            let later = at + 1 + second.1 % 7;
            let (_, broken) = combination(&stage, *first, &[(*at, *fault), (later, second.3)]);
            total += 1;
            failures.extend(broken.into_iter().map(|t| {
                format!(
                    "{first:?} {at} ({name}) {fault:?} then {later} {:?}: {t}",
                    second.3
                )
            }));
        }
    }
    println!("crash matrix: {total} pairs of faults");
    assert!(
        failures.is_empty(),
        "{} of {total}:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Whether the matrix notices a broken rule: some combination does not hold any more, or does not end.
fn noticed(rule: Rule, setting: Setting) -> bool {
    let stage = Stage::prepared();
    let all = singles(&stage, setting);
    all.iter().any(|(setting, at, _, fault)| {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            break_rule(Some(rule));
            let (_, broken) = combination(&stage, *setting, &[(*at, *fault)]);
            !broken.is_empty()
        }));
        break_rule(None);
        outcome.unwrap_or(true)
    })
}

/// The other rules are held by tests of their own: 1, 3, 5, 10 and 11 in `engine::tests`, 7 below, 4 in
/// `recipe::tests::whole`, each of which breaks its rule; 13 and 14 with the controllers on a real API server.
#[test]
fn the_matrix_notices_when_a_rule_is_broken() {
    let hold = setting("HOLD", true);
    for rule in [
        Rule::ConditionalWrite,
        Rule::ObligationsBeforeVerdict,
        Rule::NothingSlowInWindow,
        Rule::SuspensionProved,
        Rule::WindowOncePerWrite,
    ] {
        assert!(
            noticed(rule, hold),
            "nothing went wrong with {rule:?} broken"
        );
        println!("crash matrix notices {rule:?}");
    }
}

/// How long production stays suspended when the operator dies inside the window without a word and the API server is
/// gone just after its successor has read the journal.
fn suspended_after_take_over(stage: &Stage) -> bool {
    let hold = Setting {
        silent: true,
        ..setting("HOLD", false)
    };
    let at = points(stage, hold)
        .iter()
        .position(|(_, name)| name == "start-copy")
        .unwrap();
    let run = RunUnderTest::new(
        stage,
        hold,
        2,
        &[(at, Injected::CrashBefore), (at + 1, Injected::ApiDown)],
    );
    run.arm();
    run.until_crash();
    assert!(run.source_is_suspended());
    // Where a suspended system lets nobody log in, only the watchdog helps; elsewhere the first pass must do it.
    run.shared.now().knobs.exec_hangs_while_suspended = false;
    run.controls.lose_api_after_load();
    run.one_pass();
    run.source_is_suspended()
}

#[test]
fn a_lost_api_never_delays_the_resume() {
    let stage = Stage::prepared();
    assert!(!suspended_after_take_over(&stage));
    break_rule(Some(Rule::ObligationNeedsNoJournal));
    let suspended = suspended_after_take_over(&stage);
    break_rule(None);
    assert!(suspended, "the broken rule must be visible to this test");
}
