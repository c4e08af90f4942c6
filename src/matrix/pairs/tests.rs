//! What must hold of two runs on the same devices, and the proof that the matrix notices when it does not.

use super::explore::{Found, Setting, explore, old_leader_wakes};
use super::shared::Mutation;
use crate::engine::rules::{Rule, break_rule};

const TWO_RUNS: Setting = Setting {
    processes: &[0, 1],
    deaths: false,
    longest: usize::MAX,
    pinned: false,
    refused: false,
    backups: false,
    mutation: Mutation::None,
};
const WITH_BACKUPS: Setting = Setting {
    backups: true,
    ..TWO_RUNS
};

fn holds(what: &str, setting: Setting) {
    told(what, explore(setting, false));
}

fn told(what: &str, found: Found) {
    println!(
        "second crash matrix, {what}: {} states by {} histories, {} ends after a death",
        found.states, found.histories, found.deaths
    );
    let told = &found.violations;
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(found.states > 100, "hardly anything was gone through");
}

#[test]
fn two_runs_on_one_device_never_hold_it_together_and_both_end() {
    holds("two runs", TWO_RUNS);
}

#[test]
fn a_process_that_dies_anywhere_leaves_every_device_to_one_run() {
    let setting = Setting {
        deaths: true,
        ..TWO_RUNS
    };
    holds("two runs, a process dies", setting);
}

#[test]
fn an_old_leader_beside_the_new_one_changes_nothing() {
    let found = old_leader_wakes(Mutation::None, false, false);
    told("two runs, an old leader wakes", found);
}

#[test]
fn a_run_that_fails_in_between_keeps_its_devices_until_it_owes_nothing() {
    let setting = Setting {
        refused: true,
        ..TWO_RUNS
    };
    holds("two runs, the first fails while it owes", setting);
}

#[test]
fn nobody_touches_a_pinned_device_and_all_end_once_it_is_released() {
    let setting = Setting {
        pinned: true,
        longest: 28,
        ..TWO_RUNS
    };
    holds("two runs, target set pinned", setting);
}

#[test]
fn production_s_brms_is_one_runs_from_its_freeze_to_its_release() {
    holds("two runs with BRMS", WITH_BACKUPS);
    let deaths = Setting {
        deaths: true,
        ..WITH_BACKUPS
    };
    holds("two runs with BRMS, a process dies", deaths);
    let refused = Setting {
        refused: true,
        ..WITH_BACKUPS
    };
    holds("two runs with BRMS, the first fails while it owes", refused);
    let found = old_leader_wakes(Mutation::None, true, false);
    told("two runs with BRMS, an old leader wakes", found);
}

#[test]
fn the_second_matrix_notices_brms_in_two_hands() {
    for mutation in [
        Mutation::FreedWhileOwing,
        Mutation::BlindSeize,
        Mutation::HolderNotAsked,
    ] {
        let first = noticed(Setting {
            mutation,
            ..WITH_BACKUPS
        });
        assert!(first.contains("run 0"), "{mutation:?}: {first}");
    }
    let mutation = Mutation::OwedWithoutLock;
    let first = said(mutation, old_leader_wakes(mutation, true, true));
    assert!(first.contains("met what it owes"), "{first}");
    break_rule(Some(Rule::ObligationsBeforeVerdict));
    let found = explore(
        Setting {
            refused: true,
            ..WITH_BACKUPS
        },
        true,
    );
    break_rule(None);
    let first = said(Mutation::None, found);
    assert!(first.contains("owes: true"), "{first}");
}

/// What the matrix says when something is broken on purpose.
fn noticed(setting: Setting) -> String {
    said(setting.mutation, explore(setting, true))
}

fn said(mutation: Mutation, found: Found) -> String {
    let told = found.violations.first();
    let told = told.unwrap_or_else(|| panic!("nothing was noticed: {mutation:?}"));
    let first = told.lines().next().unwrap_or_default().to_owned();
    println!("second crash matrix notices {mutation:?}: {first}");
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
        (Mutation::BlindSeize, "run 0"),
        (Mutation::HolderNotAsked, "run 0"),
    ] {
        let first = noticed(with(mutation));
        assert!(first.contains(words), "{mutation:?}: {first}");
    }
    let first = noticed(Setting {
        pinned: true,
        longest: 28,
        ..with(Mutation::PinIgnored)
    });
    assert!(first.contains("pinned"), "{first}");
    let mutation = Mutation::OwedWithoutLock;
    let first = said(mutation, old_leader_wakes(mutation, false, true));
    assert!(first.contains("met what it owes"), "{first}");
    let mutation = Mutation::ImageWithoutLock;
    let first = said(mutation, old_leader_wakes(mutation, false, true));
    assert!(first.contains("noted is"), "{first}");
}

#[test]
fn the_second_matrix_notices_when_a_run_ends_while_it_owes() {
    let rule = Rule::ObligationsBeforeVerdict;
    let setting = Setting {
        refused: true,
        ..TWO_RUNS
    };
    break_rule(Some(rule));
    let found = explore(setting, true);
    break_rule(None);
    let first = said(Mutation::None, found);
    assert!(first.contains("owes: true"), "{rule:?}: {first}");
}

#[test]
fn the_second_matrix_notices_when_free_locks_are_taken_as_proof() {
    break_rule(Some(Rule::LockBeforeEffect));
    let found = old_leader_wakes(Mutation::None, false, true);
    break_rule(None);
    let first = said(Mutation::None, found);
    assert!(first.contains("noted is None"), "{first}");
}
