//! What must hold of two runs on the same devices, and the proof that the matrix notices when it does not.

use super::explore::{Setting, explore};
use super::shared::Mutation;
use crate::engine::rules::{Rule, break_rule};

const TWO_RUNS: Setting = Setting {
    processes: &[0, 1],
    deaths: 0,
    pinned: false,
    mutation: Mutation::None,
};

fn holds(what: &str, setting: Setting) {
    let found = explore(setting, false);
    println!(
        "second crash matrix, {what}: {} states, {} of them after a death, {} histories",
        found.states, found.deaths, found.histories
    );
    assert!(found.states > 100, "hardly anything was gone through");
    let told = &found.violations;
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn two_runs_on_one_device_never_hold_it_together_and_both_end() {
    holds("two runs", TWO_RUNS);
}

#[test]
fn a_process_that_dies_anywhere_leaves_every_device_to_one_run() {
    let setting = Setting {
        deaths: 1,
        ..TWO_RUNS
    };
    holds("two runs, one death", setting);
}

#[test]
fn an_old_leader_beside_the_new_one_changes_nothing() {
    let setting = Setting {
        processes: &[0, 0, 1],
        ..TWO_RUNS
    };
    holds("two runs, two leaders on the first", setting);
}

#[test]
fn nobody_touches_a_pinned_device_and_all_end_once_it_is_released() {
    let setting = Setting {
        pinned: true,
        ..TWO_RUNS
    };
    holds("two runs, target set pinned", setting);
}

/// What the matrix says when something is broken on purpose.
fn noticed(setting: Setting) -> String {
    let found = explore(setting, true);
    let told = found.violations.first();
    let told = told.unwrap_or_else(|| panic!("nothing was noticed: {setting:?}"));
    let first = told.lines().next().unwrap_or_default().to_owned();
    println!(
        "second crash matrix notices {:?}: {first}",
        setting.mutation
    );
    first
}

#[test]
fn the_second_matrix_notices_a_broken_protocol() {
    let with = |mutation| Setting {
        mutation,
        ..TWO_RUNS
    };
    for (mutation, words) in [
        (Mutation::ReleaseBeforeWrite, "was freed while"),
        (Mutation::FreedWhileOwing, "owes: true"),
        (Mutation::NoOrder, "does not end"),
        (Mutation::BlindSeize, "was freed while"),
        (Mutation::HolderNotAsked, "was freed while"),
    ] {
        let first = noticed(with(mutation));
        assert!(first.contains(words), "{mutation:?}: {first}");
    }
    let first = noticed(Setting {
        pinned: true,
        ..with(Mutation::PinIgnored)
    });
    assert!(first.contains("pinned"), "{first}");
    let first = noticed(Setting {
        processes: &[0, 0, 1],
        ..with(Mutation::ImageWithoutLock)
    });
    assert!(first.contains("noted is"), "{first}");
}

#[test]
fn the_second_matrix_notices_a_broken_rule() {
    for (rule, setting, words) in [
        (Rule::ObligationsBeforeVerdict, TWO_RUNS, "freed while"),
        (
            Rule::ConditionalWrite,
            Setting {
                processes: &[0, 0, 1],
                ..TWO_RUNS
            },
            "run",
        ),
    ] {
        break_rule(Some(rule));
        let outcome = std::panic::catch_unwind(|| explore(setting, true).violations);
        break_rule(None);
        let found = outcome.unwrap_or_else(|_| vec!["run panicked".to_owned()]);
        let first = found.first().cloned().unwrap_or_default();
        assert!(first.contains(words), "{rule:?}: {first:?}");
        println!(
            "second crash matrix notices {rule:?}: {}",
            first.lines().next().unwrap_or_default()
        );
    }
}
