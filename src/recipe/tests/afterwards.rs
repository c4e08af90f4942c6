//! What becomes of clone and image after a run (`after`): whole runs over the fake site, and single steps.

use super::super::Plan;
use super::super::fakes::*;
use super::step_of;
use super::surroundings::{living, reason, state, surrounded, two_programs, with};
use super::whole::{effects, run};
use crate::engine::journal::{EntryState, Phase};
use crate::engine::step::Observation;
use crate::site::{CopyPhase, PartitionState};
use serde_json::{Value, json};
use std::sync::Arc;

const END: &str = r#"{"clone": "PowerOff", "image": "End"}"#;

fn ending(on_failure: &str) -> Plan {
    let mut after: Value = serde_json::from_str(END).expect("JSON");
    after["onFailure"] = json!(on_failure);
    with("USER", json!({"after": after}))
}

fn tail(world: &World, count: usize) -> Vec<String> {
    let sent = effects(world);
    sent[sent.len() - count..].to_vec()
}

#[tokio::test]
async fn an_image_that_is_ended_is_ended_after_the_clone_is_off_and_unmapped() {
    let world = living();
    let journal = run(&world, &ending("Keep")).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(tail(&world, 3), ["power off", "unmap 2", "end copy"]);
    assert!(journal.steps.iter().all(|e| e.attempts <= 1));
}

#[tokio::test]
async fn a_failed_run_keeps_clone_and_image_unless_apply_is_written() {
    for (on_failure, applied) in [("Keep", false), ("Apply", true)] {
        let world = living();
        world.set().function_ends_well = false;
        let journal = run(&world, &ending(on_failure)).await;
        assert_eq!(reason(&journal), (Phase::Failed, "FunctionFailed"));
        let ended = tail(&world, 3) == ["power off", "unmap 2", "end copy"];
        assert_eq!(ended, applied, "{on_failure}");
    }
}

#[tokio::test]
async fn nothing_is_applied_while_the_function_or_a_hook_may_still_run() {
    let world = living();
    world.system("clone", |s| assert!(s.hangs.insert("C1_16".into())));
    let mut plan = ending("Apply");
    plan.function_seconds = 300;
    let journal = run(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "FunctionOverrun"));
    assert_eq!(state(&journal, "power-off-clone"), EntryState::Pending);
    let mut plan = ending("Apply");
    plan.hooks = surrounded().hooks;
    let world = living();
    world.system("clone", |s| assert!(s.hangs.insert("C1_16_J".into())));
    let journal = run(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "HookFailed"));
    assert_eq!(state(&journal, "power-off-clone"), EntryState::Pending);
}

/// A run that failed before its copy has nothing to end: what is on the targets is not its own.
#[tokio::test]
async fn apply_ends_only_what_this_run_has_made() {
    let world = living();
    world.set().copy_start = "";
    let journal = run(&world, &ending("Apply")).await;
    assert_eq!(journal.phase, Phase::Failed);
    for step in ["power-off-clone", "unmap-after", "end-copy"] {
        assert_eq!(state(&journal, step), EntryState::Pending, "{step}");
    }
}

#[tokio::test]
async fn the_clone_is_compared_with_production_before_it_is_switched_off_afterwards() {
    let world = world();
    let plan = Arc::new(ending("Apply"));
    let off = step_of(&plan, "power-off-clone", &world);
    let journal = two_programs(&plan, &world);
    let production = world.set().source.as_ref().expect("answers").uuid.clone();
    world.set().clone.as_mut().expect("answers").uuid = production;
    assert_eq!(
        broken(world.look(&*off, &journal).await).0,
        "CloneIsProduction"
    );
    assert!(world.act(&*off, &journal).await.is_err());
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn another_copy_than_this_runs_is_never_ended_afterwards() {
    let world = world();
    let plan = Arc::new(ending("Keep"));
    let step = step_of(&plan, "end-copy", &world);
    let mut journal = two_programs(&plan, &world);
    done(&mut journal, "start-copy", &[("started", "map0=1,map1=1")]);
    world.set().copy = Ok(copy_state(CopyPhase::Copying, "7"));
    let seen = world.look(&*step, &journal).await;
    assert!(matches!(seen, Observation::NotNeeded(_)), "{seen:?}");
    world.clone_state(PartitionState::NotActivated, "");
    world.set().copy = Ok(copy_state(CopyPhase::Copying, "1"));
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    world.clone_state(PartitionState::Running, "");
    assert_eq!(
        broken(world.look(&*step, &journal).await).0,
        "CloneStartedByOthers"
    );
}

/// Ending a relation under a running clone is only harmless once everything is copied, and then it ends by itself.
#[tokio::test]
async fn a_full_copy_of_a_clone_that_keeps_running_is_waited_for_and_never_stopped() {
    let world = world();
    let mut plan = with("USER", json!({"after": {"image": "End"}}));
    plan.copy_kind = crate::api::devices::CopyKind::Full;
    let step = step_of(&Arc::new(plan.clone()), "end-copy", &world);
    let mut journal = two_programs(&plan, &world);
    done(&mut journal, "start-copy", &[("started", "map0=1,map1=1")]);
    world.set().copy = Ok(copy_state(CopyPhase::Copying, "1"));
    let text = waiting(world.look(&*step, &journal).await);
    assert!(text.contains("0 %"), "{text}");
    world.set().copy = Ok(copy_state(CopyPhase::Idle, "1"));
    assert_eq!(world.look(&*step, &journal).await, Observation::done());
    world.set().copy = Ok(copy_state(CopyPhase::Stopped, ""));
    assert_eq!(
        broken(world.look(&*step, &journal).await).0,
        "CopyStoppedByOthers"
    );
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn a_mapped_hold_stops_the_clone_maps_the_image_and_leaves_the_key_at_manual() {
    let world = living();
    world.set().virtual_io = Ok(paths(false));
    let plan = with("HOLD", json!({"after": {"map": true}}));
    assert!(plan.uses_clone() && !plan.starts_clone());
    let journal = run(&world, &plan).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let sent = effects(&world);
    assert!(sent.contains(&"power off".to_owned()), "{sent:?}");
    assert_eq!(tail(&world, 2), ["map C1_V00 C1_V01", "key Manual"]);
}
