use super::super::fakes::{plan, sample, world};
use super::super::{Mapping, Plan, build, recipe_name, step_names};
use crate::api::options::{Function, OnTimeout};
use crate::api::run::RunMode;
use crate::engine::step::StepKind;
use crate::recipe::PlanError;
use crate::site::{ArrayFamily, OnBoundaryTimeout};
use std::fmt::Write;
use std::time::Duration;

#[test]
fn the_list_of_every_recipe() {
    let mut text = String::new();
    for mode in [
        RunMode::Preflight,
        RunMode::Clone,
        RunMode::End,
        RunMode::StartHeld,
        RunMode::ReleaseHeld,
    ] {
        for function in Function::ALL {
            for family in [ArrayFamily::Overwrite, ArrayFamily::Snapshot] {
                for mapping in [Mapping::Vscsi, Mapping::Npiv] {
                    let name = recipe_name(function, mode, family, mapping);
                    let steps = step_names(function, mode, family, mapping)
                        .map_or("not built".to_owned(), |names| names.join(" "));
                    writeln!(text, "{} {name}: {steps}", function.as_str())
                        .expect("a string grows");
                }
            }
        }
    }
    insta::assert_snapshot!(text, @r"
    HOLD preflight-overwrite-vscsi-v1: verify-site
    HOLD preflight-overwrite-npiv-v1: verify-site
    HOLD preflight-snapshot-vscsi-v1: not built
    HOLD preflight-snapshot-npiv-v1: not built
    BRMS preflight-overwrite-vscsi-v1: verify-site
    BRMS preflight-overwrite-npiv-v1: verify-site
    BRMS preflight-snapshot-vscsi-v1: not built
    BRMS preflight-snapshot-npiv-v1: not built
    SAVE21 preflight-overwrite-vscsi-v1: verify-site
    SAVE21 preflight-overwrite-npiv-v1: verify-site
    SAVE21 preflight-snapshot-vscsi-v1: not built
    SAVE21 preflight-snapshot-npiv-v1: not built
    USER preflight-overwrite-vscsi-v1: verify-site
    USER preflight-overwrite-npiv-v1: verify-site
    USER preflight-snapshot-vscsi-v1: not built
    USER preflight-snapshot-npiv-v1: not built
    HOLD hold-overwrite-vscsi-v1: verify-site write-parameters stop-clone unmap-volumes end-image prepare-copy suspend-source start-copy resume-source settle
    HOLD hold-overwrite-npiv-v1: verify-site write-parameters stop-clone unmap-volumes end-image prepare-copy suspend-source start-copy resume-source settle
    HOLD hold-snapshot-vscsi-v1: not built
    HOLD hold-snapshot-npiv-v1: not built
    BRMS brms-overwrite-vscsi-v1: verify-site write-parameters stop-clone unmap-volumes freeze-backups end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone await-clone begin-backup run-function end-backup collect-logs return-history settle
    BRMS brms-overwrite-npiv-v1: verify-site write-parameters stop-clone unmap-volumes freeze-backups end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone await-clone begin-backup run-function end-backup collect-logs return-history settle
    BRMS brms-snapshot-vscsi-v1: not built
    BRMS brms-snapshot-npiv-v1: not built
    SAVE21 save21-overwrite-vscsi-v1: verify-site write-parameters stop-clone unmap-volumes end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone run-function await-clone collect-logs settle
    SAVE21 save21-overwrite-npiv-v1: verify-site write-parameters stop-clone unmap-volumes end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone run-function await-clone collect-logs settle
    SAVE21 save21-snapshot-vscsi-v1: not built
    SAVE21 save21-snapshot-npiv-v1: not built
    USER user-overwrite-vscsi-v1: verify-site write-parameters stop-clone unmap-volumes end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone await-clone run-function collect-logs settle
    USER user-overwrite-npiv-v1: verify-site write-parameters stop-clone unmap-volumes end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone await-clone run-function collect-logs settle
    USER user-snapshot-vscsi-v1: not built
    USER user-snapshot-npiv-v1: not built
    HOLD end-overwrite-vscsi-v1: verify-image stop-clone unmap-volumes end-image
    HOLD end-overwrite-npiv-v1: verify-image stop-clone unmap-volumes end-image
    HOLD end-snapshot-vscsi-v1: not built
    HOLD end-snapshot-npiv-v1: not built
    BRMS end-overwrite-vscsi-v1: verify-image stop-clone unmap-volumes end-image
    BRMS end-overwrite-npiv-v1: verify-image stop-clone unmap-volumes end-image
    BRMS end-snapshot-vscsi-v1: not built
    BRMS end-snapshot-npiv-v1: not built
    SAVE21 end-overwrite-vscsi-v1: verify-image stop-clone unmap-volumes end-image
    SAVE21 end-overwrite-npiv-v1: verify-image stop-clone unmap-volumes end-image
    SAVE21 end-snapshot-vscsi-v1: not built
    SAVE21 end-snapshot-npiv-v1: not built
    USER end-overwrite-vscsi-v1: verify-image stop-clone unmap-volumes end-image
    USER end-overwrite-npiv-v1: verify-image stop-clone unmap-volumes end-image
    USER end-snapshot-vscsi-v1: not built
    USER end-snapshot-npiv-v1: not built
    HOLD start-held-overwrite-vscsi-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    HOLD start-held-overwrite-npiv-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    HOLD start-held-snapshot-vscsi-v1: not built
    HOLD start-held-snapshot-npiv-v1: not built
    BRMS start-held-overwrite-vscsi-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    BRMS start-held-overwrite-npiv-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    BRMS start-held-snapshot-vscsi-v1: not built
    BRMS start-held-snapshot-npiv-v1: not built
    SAVE21 start-held-overwrite-vscsi-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    SAVE21 start-held-overwrite-npiv-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    SAVE21 start-held-snapshot-vscsi-v1: not built
    SAVE21 start-held-snapshot-npiv-v1: not built
    USER start-held-overwrite-vscsi-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    USER start-held-overwrite-npiv-v1: verify-image pin-image unmap-volumes map-volumes start-clone
    USER start-held-snapshot-vscsi-v1: not built
    USER start-held-snapshot-npiv-v1: not built
    HOLD release-held-overwrite-vscsi-v1: unpin-image
    HOLD release-held-overwrite-npiv-v1: unpin-image
    HOLD release-held-snapshot-vscsi-v1: not built
    HOLD release-held-snapshot-npiv-v1: not built
    BRMS release-held-overwrite-vscsi-v1: unpin-image
    BRMS release-held-overwrite-npiv-v1: unpin-image
    BRMS release-held-snapshot-vscsi-v1: not built
    BRMS release-held-snapshot-npiv-v1: not built
    SAVE21 release-held-overwrite-vscsi-v1: unpin-image
    SAVE21 release-held-overwrite-npiv-v1: unpin-image
    SAVE21 release-held-snapshot-vscsi-v1: not built
    SAVE21 release-held-snapshot-npiv-v1: not built
    USER release-held-overwrite-vscsi-v1: unpin-image
    USER release-held-overwrite-npiv-v1: unpin-image
    USER release-held-snapshot-vscsi-v1: not built
    USER release-held-snapshot-npiv-v1: not built
    ");
}

/// A name in a list without a step behind it would shorten a run silently.
#[test]
fn every_name_of_a_list_is_a_step_of_that_name() {
    let modes = [
        RunMode::Clone,
        RunMode::End,
        RunMode::StartHeld,
        RunMode::ReleaseHeld,
    ];
    for (function, mode) in ["HOLD", "SAVE21", "USER"]
        .iter()
        .flat_map(|f| modes.map(|m| (f, m)))
    {
        let mut plan = plan(function);
        plan.mode = mode;
        let recipe = build(&plan, world().sink());
        let built: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
        let listed = step_names(plan.function, plan.mode, plan.family, plan.mapping);
        assert_eq!(Some(built.as_slice()), listed);
    }
}

/// Names and lists of runs with surroundings are frozen like those of the recipes (rule 11).
#[test]
fn the_list_of_every_kind_of_surroundings() {
    use super::surroundings::{surrounded, with};
    let hold = |after| with("HOLD", serde_json::json!({"after": after}));
    let user = |after| with("USER", serde_json::json!({"after": after}));
    let plans = [
        surrounded(),
        hold(serde_json::json!({"map": true})),
        user(serde_json::json!({"clone": "PowerOff"})),
        user(serde_json::json!({"clone": "PowerOff", "image": "End", "onFailure": "Apply"})),
        user(serde_json::json!({"image": "End"})),
    ];
    let mut text = String::new();
    for plan in plans {
        let recipe = build(&plan, world().sink());
        let steps: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
        let (_, added) = steps.split_at(4);
        writeln!(text, "{}: … {}", recipe.name, added.join(" ")).expect("a string grows");
    }
    insta::assert_snapshot!(text, @r"
    user-overwrite-vscsi-v1-p2-before-freeze1-after-resume1-clone-ready1-before-function1-after-function1-always1: … end-image before-freeze prepare-copy suspend-source start-copy resume-source after-resume map-volumes start-clone await-clone clone-ready before-function run-function run-function-2 after-function collect-logs always settle
    hold-overwrite-vscsi-v1-map: … end-image prepare-copy suspend-source start-copy resume-source map-volumes settle
    user-overwrite-vscsi-v1-power-off-clone: … end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone await-clone run-function collect-logs settle power-off-clone
    user-overwrite-vscsi-v1-power-off-clone-unmap-after-end-copy: … end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone await-clone run-function collect-logs settle power-off-clone unmap-after end-copy
    user-overwrite-vscsi-v1-end-copy: … end-image prepare-copy suspend-source start-copy resume-source map-volumes start-clone await-clone run-function collect-logs settle end-copy
    ");
}

/// Every place of a list has a step and a name of its own up to the schema's bounds.
#[test]
fn sixteen_programs_and_sixteen_hooks_are_that_many_steps_and_jobs() {
    use super::surroundings::with;
    let program = serde_json::json!({"program": "CLNLIB/MYSAVE"});
    let hook = serde_json::json!({"at": "AfterFunction", "program": "CLNLIB/HOOK"});
    let plan = with(
        "USER",
        serde_json::json!({
            "user": {"programs": vec![program; 16]}, "hooks": vec![hook; 16],
        }),
    );
    let recipe = build(&plan, world().sink());
    assert_eq!(recipe.steps.len(), 15 + 15 + 16);
    let names: std::collections::BTreeSet<&str> = recipe.steps.iter().map(|s| s.id()).collect();
    assert_eq!(names.len(), recipe.steps.len());
    let jobs: std::collections::BTreeSet<String> = plan.job_names().collect();
    assert_eq!(jobs.len(), 32);
    assert!(jobs.iter().all(|j| j.starts_with("C1_16") && j.len() <= 10));
}

#[test]
fn the_window_steps_stand_together_and_only_they_are_of_the_window() {
    let recipe = build(&plan("USER"), world().sink());
    let window: Vec<usize> = (0..recipe.steps.len())
        .filter(|n| recipe.steps[*n].kind() == StepKind::Window)
        .collect();
    assert_eq!(window, [6, 7, 8]);
    assert!(recipe.window.is_some());
}

#[test]
fn preflight_changes_nothing_and_needs_no_lock() {
    let (spec, mut facts) = sample("USER");
    facts.mode = RunMode::Preflight;
    let plan = Plan::new(&spec, facts).expect("a plan");
    let recipe = build(&plan, world().sink());
    assert_eq!(recipe.steps.len(), 1);
    assert!(recipe.window.is_none());
    assert_eq!(recipe.locks_from, 1);
    assert!(recipe.steps[0].incurs().is_empty());
}

#[test]
fn names_on_devices_fit_and_are_never_truncated() {
    let plan = plan("USER");
    assert_eq!(plan.job_name(), "C1_16");
    assert_eq!(plan.vtd_name(0), "C1_V00");
    let (spec, mut facts) = sample("USER");
    facts.device_number = 36_i64.pow(4) - 1;
    facts.run_number = 36_i64.pow(4) - 1;
    let widest = Plan::new(&spec, facts.clone()).expect("just fits");
    assert_eq!(widest.job_name(), "CZZZZ_ZZZZ");
    assert!(widest.vtd_name(255).len() <= 15);
    facts.run_number += 1;
    assert!(matches!(
        Plan::new(&spec, facts),
        Err(PlanError::Unusable {
            field: "device number",
            ..
        })
    ));
}

#[test]
fn environment_1_run_11_and_environment_11_run_1_have_different_jobs() {
    let (spec, facts) = sample("USER");
    let name = |device, run| {
        let facts = super::super::ResolvedFacts {
            device_number: device,
            run_number: run,
            ..facts.clone()
        };
        Plan::new(&spec, facts).expect("a plan").job_name()
    };
    assert_ne!(name(1, 11), name(11, 1));
}

#[test]
fn a_token_the_kit_would_refuse_is_refused_here() {
    let (spec, facts) = sample("HOLD");
    for bad in ["short", "lowercase1", "WITH-DASH-1", ""] {
        let mut facts = facts.clone();
        facts.run_token = bad.into();
        assert!(Plan::new(&spec, facts).is_err(), "{bad}");
    }
}

#[test]
fn given_identities_win_over_a_learned_one() {
    let (mut spec, mut facts) = sample("HOLD");
    facts.pins.source_identity = super::super::plan::parse_identity("99XYZ/5");
    let given = Plan::new(&spec, facts.clone()).expect("a plan");
    assert_eq!(given.source_identities[0].partition_id, 3);
    spec.source.identities.clear();
    let learned = Plan::new(&spec, facts).expect("a plan");
    assert_eq!(learned.source_identities[0].partition_id, 5);
}

#[test]
fn pins_survive_a_round_trip() {
    use crate::recipe::Pins;
    use crate::site::{Identity, PartitionUuid};
    let pins = Pins {
        source_partition: Some(PartitionUuid::new("a-1")),
        clone_partition: Some(PartitionUuid::new("b-2")),
        source_identity: Some(Identity::new(" 78abc", 3)),
        array: Some("000002032CA0FF0E".into()),
    };
    assert_eq!(Pins::from_facts(&pins.to_facts()), pins);
}

#[test]
fn the_cap_is_divided_by_the_scale_and_the_devices_seconds_are_not() {
    let (spec, mut facts) = sample("HOLD");
    facts.pace = super::super::Pace::new(60.0);
    let window = Plan::new(&spec, facts).expect("a plan").window();
    assert_eq!(window.max_seconds, 120);
    assert_eq!(window.boundary_seconds, 60);
    assert_eq!(window.cap, Duration::from_secs(2));
    assert_eq!(window.margin, Duration::from_millis(500));
}

#[test]
fn force_write_after_the_last_retry_aborts_before_it() {
    let (mut spec, facts) = sample("HOLD");
    spec.freeze.on_timeout = OnTimeout::ForceWrite;
    let window = Plan::new(&spec, facts).expect("a plan").window();
    assert!(window.fall_back_to_force_write);
    assert_eq!(window.on_boundary_timeout, OnBoundaryTimeout::Abort);
}

/// Which names the group's targets have only the array knows: the first look at the VIOSes compares them.
#[test]
fn volumes_per_adapter_are_part_of_a_plan() {
    let (mut spec, facts) = sample("HOLD");
    let vscsi = spec.virtual_io.vscsi.as_mut().expect("vscsi");
    vscsi.adapters[0].volumes = vec!["clone0".into(), "clone1*".into()];
    assert!(Plan::new(&spec, facts).is_ok());
}
