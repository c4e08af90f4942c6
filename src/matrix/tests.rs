//! All combinations, and for every rule the proof that the matrix notices when it is broken.

use super::controls::{Injected, applies};
use super::scenario::{RunUnderTest, Setting, Stage, points};
use crate::engine::journal::Phase;
use crate::engine::rules::{Rule, break_rule};
use std::collections::BTreeMap;

/// Faults that are tried at every point they apply to.
const FAULTS: [Injected; 10] = [
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

fn setting(function: &'static str, canary: bool) -> Setting {
    Setting {
        function,
        canary,
        silent: false,
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
fn singles(stage: &Stage, setting: Setting) -> Vec<(Setting, usize, String, Injected)> {
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
    let stage = Stage::prepared();
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
        "crash matrix {} canary={}: {} single faults, {counts:?}",
        setting.function,
        setting.canary,
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

/// Two faults in one run: every pair would be a million, so every n-th is taken, always the same ones.
#[test]
fn a_second_fault_while_the_first_is_being_dealt_with_changes_nothing() {
    let stage = Stage::prepared();
    let mut total = 0;
    let mut failures = Vec::new();
    for setting in [setting("HOLD", true), setting("USER", false)] {
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

#[test]
fn the_matrix_notices_when_a_rule_is_broken() {
    let hold = setting("HOLD", true);
    for rule in [
        Rule::ConditionalWrite,
        Rule::ObligationWithIntent,
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
