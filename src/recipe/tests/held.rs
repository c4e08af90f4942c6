//! Runs about the image of another run: only that image, never production.

use super::super::fakes::*;
use super::super::{build, image_mark};
use super::super::plan::{Pins, Plan};
use super::step_of;
use super::whole::{effects, run, run_until};
use crate::api::devices::CopyKind;
use crate::api::options::Function;
use crate::api::run::{ImageOfRun, RunMode};
use crate::api::surroundings::AfterClone;
use crate::engine::drive::Pass;
use crate::engine::journal::{Journal, Phase};
use crate::engine::step::Observation;
use crate::site::{CopyPhase, PartitionState, PartitionUuid};
use std::sync::Arc;

/// A run about the image that the healthy world shows.
fn about(function: &str, mode: RunMode) -> Plan {
    let mut plan = plan(function);
    plan.mode = mode;
    plan.image = Some(ImageOfRun {
        run: "midday-7".into(),
        uid: "uid-7".into(),
        mark: image_mark(&copy_state(CopyPhase::Copying, "1").mark()),
        suspension_proof: Some("Canary".into()),
    });
    plan
}

fn living() -> World {
    let world = world();
    world.set().alive = true;
    world
}

/// Production is off, so is the clone, nothing is mapped.
fn after_the_disaster() -> World {
    let world = living();
    world.clone_state(PartitionState::NotActivated, "");
    {
        let mut inner = world.set();
        inner.source.as_mut().expect("answers").state = PartitionState::NotActivated;
        inner.virtual_io = Ok(paths(false));
    }
    world
}

fn verdict(journal: &Journal) -> (Phase, String) {
    let verdict = journal.verdict.clone().expect("a verdict");
    (journal.phase, verdict.reason)
}

/// A full copy is the clone's own once it is complete; until then nothing may be stopped under a clone at work.
#[tokio::test]
async fn an_end_of_a_full_copy_waits_for_its_completion_and_touches_no_clone_at_work() {
    let world = living();
    let mut plan = about("USER", RunMode::End);
    plan.copy_kind = CopyKind::Full;
    assert!(plan.ends_relation_only());
    let step = step_of(&Arc::new(plan.clone()), "end-image", &world);
    let journal = Journal::open("r", "T", &["verify-image", "end-image"]);
    let waits = world.look(&*step, &journal).await;
    assert!(matches!(waits, Observation::Underway { .. }), "{waits:?}");
    world.set().copy = Ok(copy_state(CopyPhase::Idle, "1"));
    let journal = run(&world, &plan).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let steps: Vec<&str> = journal.steps.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(steps, ["verify-image", "end-image"]);
    assert_eq!(journal.recipe, "end-overwrite-vscsi-v1-relation");
    assert!(world.sent().is_empty());
    // Another copy than the one it is about is not waited for.
    world.set().copy = Ok(copy_state(CopyPhase::Idle, "7"));
    assert_eq!(verdict(&run(&world, &plan).await).1, "ImageGone");
    let off: [fn(&mut Plan); 3] = [
        |plan| plan.after.clone = AfterClone::PowerOff,
        |plan| plan.copy_kind = CopyKind::SpaceEfficient,
        |plan| plan.function = Function::Hold,
    ];
    for change in off {
        let mut plan = plan.clone();
        change(&mut plan);
        assert!(!plan.ends_relation_only());
    }
}

#[tokio::test]
async fn an_end_is_off_unmapped_stopped_and_never_asks_production() {
    for function in ["HOLD", "USER"] {
        let world = living();
        let journal = run(&world, &about(function, RunMode::End)).await;
        assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
        assert_eq!(world.sent(), ["power off", "unmap 2", "end copy"]);
    }
}

#[tokio::test]
async fn an_end_of_an_image_that_is_not_attached_leaves_the_partition_alone() {
    for function in ["HOLD", "USER"] {
        let world = living();
        world.set().virtual_io = Ok(paths(false));
        // An image that was mapped after its copy (`after.map`) need not be attached now.
        let mut plan = about(function, RunMode::End);
        plan.after.map = function == "HOLD";
        let journal = run(&world, &plan).await;
        assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
        assert_eq!(world.sent(), ["end copy"]);
    }
}

#[tokio::test]
async fn another_copy_or_none_is_never_ended_or_started() {
    for shown in [
        copy_state(CopyPhase::Copying, "2"),
        copy_state(CopyPhase::Stopped, ""),
        copy_state(CopyPhase::Prepared, "1"),
    ] {
        for mode in [RunMode::End, RunMode::StartHeld] {
            let world = after_the_disaster();
            world.set().copy = Ok(shown.clone());
            let journal = run(&world, &about("HOLD", mode)).await;
            assert_eq!(verdict(&journal), (Phase::Failed, "ImageGone".into()));
            assert_eq!(world.sent(), [""; 0]);
        }
    }
}

/// Between the first look and the lock another run may have taken the target set.
#[tokio::test]
async fn every_step_of_an_end_asks_whose_image_it_is() {
    for name in ["stop-clone", "unmap-volumes", "end-image"] {
        let world = world();
        world.set().copy = Ok(copy_state(CopyPhase::Copying, "2"));
        let step = step_of(&Arc::new(about("USER", RunMode::End)), name, &world);
        let (reason, _) = broken(world.look(step.as_ref(), &journal()).await);
        assert_eq!(reason, "ImageGone", "{name}");
    }
}

#[tokio::test]
async fn what_is_left_after_our_own_stop_is_the_end_and_no_missing_image() {
    let world = world();
    let step = step_of(&Arc::new(about("USER", RunMode::End)), "end-image", &world);
    let mut journal = journal();
    world.set().copy = Ok(copy_state(CopyPhase::Stopped, ""));
    let (reason, _) = broken(world.look(step.as_ref(), &journal).await);
    assert_eq!(reason, "ImageGone", "not our doing");
    journal.entry_mut("end-image").expect("listed").attempts = 1;
    for phase in [CopyPhase::Stopped, CopyPhase::Idle] {
        world.set().copy = Ok(copy_state(phase, ""));
        let seen = world.look(step.as_ref(), &journal).await;
        assert_eq!(seen, Observation::done());
    }
    world.set().copy = Ok(copy_state(CopyPhase::Copying, "2"));
    let (reason, _) = broken(world.look(step.as_ref(), &journal).await);
    assert_eq!(reason, "ImageGone", "somebody has copied anew");
}

#[tokio::test]
async fn a_held_start_maps_and_activates_with_the_key_at_manual() {
    let world = after_the_disaster();
    let journal = run(&world, &about("HOLD", RunMode::StartHeld)).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(
        effects(&world),
        [
            "map C1_V00 C1_V01",
            r#"activate Some("CLONE_PRF") b Manual"#
        ]
    );
    assert!(
        journal
            .notes
            .iter()
            .any(|n| n.contains("release-held midday-7"))
    );
}

#[tokio::test]
async fn nothing_is_sent_before_the_pins_are_set() {
    let world = after_the_disaster();
    let ended = run_until(&world, &about("HOLD", RunMode::StartHeld), true).await;
    assert!(matches!(ended, Pass::Lost(_)), "{ended:?}");
    assert_eq!(world.sent(), [""; 0]);
}

#[tokio::test]
async fn a_held_start_is_refused_while_production_is_anything_but_off() {
    for state in [
        PartitionState::Running,
        PartitionState::Starting,
        PartitionState::ShuttingDown,
        PartitionState::Error,
        PartitionState::NotAvailable,
    ] {
        let world = after_the_disaster();
        world.set().source.as_mut().expect("answers").state = state.clone();
        let mut plan = about("HOLD", RunMode::StartHeld);
        let journal = run(&world, &plan).await;
        assert_eq!(verdict(&journal), (Phase::Failed, "SourceRunning".into()));
        assert_eq!(world.sent(), [""; 0]);
        // The console may be wrong about a building that is gone: a person's word stands, and is shown.
        plan.source_is_down = true;
        let journal = run(&world, &plan).await;
        assert_eq!(journal.phase, Phase::Warning, "{:#?}", journal.verdict);
        assert!(journal.warnings[0].contains("a person's word"));
    }
}

/// Production was switched on after the checks.
#[tokio::test]
async fn production_is_asked_again_just_before_the_start() {
    let world = after_the_disaster();
    world.set().source.as_mut().expect("answers").state = PartitionState::Running;
    let plan = Arc::new(about("HOLD", RunMode::StartHeld));
    for name in ["map-volumes", "start-clone"] {
        let step = step_of(&plan, name, &world);
        let refused = world.act(step.as_ref(), &journal()).await;
        let text = refused.expect_err("production runs").to_string();
        assert!(text.contains("--source-is-down"), "{text}");
    }
    assert_eq!(world.sent(), [""; 0]);
}

#[tokio::test]
async fn a_console_that_is_gone_with_production_needs_the_pins_and_a_persons_word() {
    let world = after_the_disaster();
    world.set().source = Err(silent());
    let mut plan = about("HOLD", RunMode::StartHeld);
    let look = |plan: &Plan| {
        let step = step_of(&Arc::new(plan.clone()), "verify-image", &world);
        let world = world.clone();
        async move { world.look(step.as_ref(), &journal()).await }
    };
    waiting(look(&plan).await);
    plan.source_is_down = true;
    waiting(look(&plan).await);
    plan.pins = Pins {
        source_partition: Some(PartitionUuid::new("UUID-PROD")),
        ..Pins::default()
    };
    facts_of(look(&plan).await);
    // Even then: what is production by its pin is never started as a clone.
    plan.pins.source_partition = Some(PartitionUuid::new("UUID-CLONE1"));
    assert_eq!(broken(look(&plan).await).0, "CloneIsProduction");
}

#[tokio::test]
async fn an_image_without_a_proven_suspension_is_never_started() {
    let world = after_the_disaster();
    let mut plan = about("HOLD", RunMode::StartHeld);
    let image = plan.image.as_mut().expect("set");
    image.suspension_proof = None;
    let journal = run(&world, &plan).await;
    assert_eq!(verdict(&journal), (Phase::Failed, "ImageNotClean".into()));
    assert_eq!(world.sent(), [""; 0]);
}

#[tokio::test]
async fn a_held_start_stops_nothing_that_runs_on_the_partition() {
    let world = after_the_disaster();
    world.clone_state(PartitionState::Running, "00000000");
    let journal = run(&world, &about("HOLD", RunMode::StartHeld)).await;
    assert_eq!(verdict(&journal), (Phase::Failed, "CloneNotOff".into()));
    assert_eq!(world.sent(), [""; 0]);
}

#[tokio::test]
async fn a_clone_that_runs_with_the_key_at_normal_is_no_held_start() {
    let world = after_the_disaster();
    world.clone_state(PartitionState::Running, "00000000");
    let step = step_of(
        &Arc::new(about("HOLD", RunMode::StartHeld)),
        "start-clone",
        &world,
    );
    let mut journal = journal();
    let entry = journal.entry_mut("start-clone").expect("listed");
    entry.attempts = 1;
    let off = ("state".to_owned(), "not activated".to_owned());
    entry.baseline.extend([off]);
    let (reason, _) = broken(world.look(step.as_ref(), &journal).await);
    assert_eq!(reason, "KeyNotManual");
}

#[tokio::test]
async fn a_release_touches_no_device() {
    let world = living();
    let journal = run(&world, &about("HOLD", RunMode::ReleaseHeld)).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(world.sent(), [""; 0]);
}

/// A clone that may not have its target set has done nothing wrong; who asks for the end of a held image wants to know.
#[test]
fn a_clone_that_meets_a_held_image_is_skipped_and_an_end_fails() {
    for (mode, phase) in [
        (RunMode::Clone, Phase::Skipped),
        (RunMode::End, Phase::Failed),
        (RunMode::StartHeld, Phase::Failed),
    ] {
        let recipe = build(&about("HOLD", mode), world().sink());
        assert_eq!(recipe.refused_means, phase, "{mode:?}");
    }
}
