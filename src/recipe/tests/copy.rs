use super::super::fakes::*;
use super::{step, step_of};
use crate::engine::journal::ObligationKind;
use crate::engine::step::{Observation, StepContext};
use crate::engine::time::Timestamp;
use crate::recipe::queries::LOCAL_TIME;
use crate::site::{CopyPhase, DeviceError, PartitionState};
use std::sync::Arc;

fn phase(world: &World, phase: CopyPhase) {
    world.set().copy.as_mut().expect("answers").phase = phase;
}

fn off(world: &World) {
    world.clone_state(PartitionState::NotActivated, "00000000");
}

#[tokio::test]
async fn an_old_image_is_stopped_and_waited_for() {
    let world = world();
    off(&world);
    let step = step("USER", "end-image", &world);
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    world.act(&*step, &journal()).await.expect("accepted");
    assert_eq!(world.sent(), ["end copy"]);
    for done in [CopyPhase::Stopped, CopyPhase::Idle] {
        phase(&world, done);
        assert_eq!(world.look(&*step, &journal()).await, Observation::done());
    }
}

#[tokio::test]
async fn stopping_names_the_dependants_and_is_not_forced() {
    let world = world();
    phase(&world, CopyPhase::Stopping);
    world.set().dependants = vec!["night0".into(), "night1".into()];
    let step = step("USER", "end-image", &world);
    let text = waiting(world.look(&*step, &journal()).await);
    assert!(text.contains("night0, night1"), "{text}");
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn the_dependants_are_asked_for_once_a_minute() {
    let world = world();
    phase(&world, CopyPhase::Stopping);
    world.set().dependants = vec!["night0".into()];
    let step = step("USER", "end-image", &world);
    let mut journal = journal();
    let first = waiting(world.look(&*step, &journal).await);
    let stopping = entry(&mut journal, "end-image");
    stopping.start = Some(Timestamp::new(start()));
    stopping.message = Some(first.clone());
    world.set().dependants = vec!["night1".into()];
    let at = |seconds| start() + chrono::Duration::seconds(seconds);
    let soon = waiting(world.look_at(&*step, &journal, at(30)).await);
    assert_eq!(soon, first);
    let later = waiting(world.look_at(&*step, &journal, at(61)).await);
    assert!(later.contains("night1"), "{later}");
}

#[tokio::test]
async fn a_group_left_armed_is_disarmed_by_the_next_run() {
    let world = world();
    off(&world);
    phase(&world, CopyPhase::Prepared);
    let step = step("USER", "end-image", &world);
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    phase(&world, CopyPhase::Preparing);
    waiting(world.look(&*step, &journal()).await);
}

#[tokio::test]
async fn an_empty_or_suspended_group_fails_with_advice() {
    let world = world();
    for name in ["end-image", "prepare-copy"] {
        let step = step("USER", name, &world);
        phase(&world, CopyPhase::Empty);
        assert_eq!(broken(world.look(&*step, &journal()).await).0, "GroupEmpty");
        phase(&world, CopyPhase::Suspended);
        assert_eq!(
            broken(world.look(&*step, &journal()).await).0,
            "CopySuspended"
        );
        phase(&world, CopyPhase::Stopped);
        world.set().copy.as_mut().expect("answers").deviating = vec!["map1: suspended".into()];
        let (reason, text) = broken(world.look(&*step, &journal()).await);
        assert_eq!(reason, "CopySuspended");
        assert!(text.contains("map1"), "{text}");
        world
            .set()
            .copy
            .as_mut()
            .expect("answers")
            .deviating
            .clear();
    }
}

#[tokio::test]
async fn an_image_is_not_ended_under_a_clone_that_somebody_switched_on() {
    let world = world();
    let step = step("USER", "end-image", &world);
    let refused = world.act(&*step, &journal()).await;
    assert!(
        matches!(refused, Err(DeviceError::Refused { ref code, .. }) if code == "CloneStartedByOthers")
    );
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn every_asp_is_force_written_before_the_group_is_armed() {
    let world = world();
    off(&world);
    phase(&world, CopyPhase::Stopped);
    let step = step("USER", "prepare-copy", &world);
    assert_eq!(step.incurs(), [ObligationKind::LeavePrepared]);
    let mut journal = journal();
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    let handle = world.act(&*step, &journal).await.expect("accepted");
    assert_eq!(
        world.sent(),
        [
            "source: CHGASPACT ASPDEV(IASP1) OPTION(*FRCWRT)",
            "source: CHGASPACT ASPDEV(*SYSBAS) OPTION(*FRCWRT)",
            "prepare"
        ]
    );
    intended(&mut journal, "prepare-copy", 1);
    entry(&mut journal, "prepare-copy").handle = handle;
    phase(&world, CopyPhase::Preparing);
    waiting(world.look(&*step, &journal).await);
    phase(&world, CopyPhase::Prepared);
    assert_eq!(world.look(&*step, &journal).await, Observation::done());
}

#[tokio::test]
async fn a_refused_force_write_leaves_the_storage_untouched() {
    let world = world();
    off(&world);
    phase(&world, CopyPhase::Stopped);
    world.system("source", |s| {
        s.run.succeeded = false;
        s.run.messages = vec![message("CPF9802", 40, "", "", "Not authorized")];
    });
    let step = step("USER", "prepare-copy", &world);
    let refused = world.act(&*step, &journal()).await;
    let Err(DeviceError::Refused { code, text, .. }) = refused else {
        panic!("expected a refusal, got {refused:?}");
    };
    assert_eq!(code, "CPF9802");
    assert!(text.contains("*JOBCTL"), "{text}");
    assert!(!world.sent().contains(&"prepare".to_owned()));
}

#[tokio::test]
async fn a_group_armed_by_nobodys_intent_is_somebody_elses() {
    let world = world();
    let step = step("USER", "prepare-copy", &world);
    for found in [
        CopyPhase::Prepared,
        CopyPhase::Preparing,
        CopyPhase::Copying,
    ] {
        phase(&world, found);
        // Also when only the intent is written, because the array did not answer the first look.
        for attempts in [None, Some(0)] {
            let mut journal = journal();
            if let Some(attempts) = attempts {
                intended(&mut journal, "prepare-copy", attempts);
            }
            let (reason, _) = broken(world.look(&*step, &journal).await);
            assert_eq!(reason, "GroupUsedByOthers");
        }
    }
}

#[tokio::test]
async fn a_failed_flush_is_tried_once_more_and_no_oftener() {
    let world = world();
    off(&world);
    phase(&world, CopyPhase::Stopped);
    let step = step("USER", "prepare-copy", &world);
    let mut journal = journal();
    intended(&mut journal, "prepare-copy", 1);
    entry(&mut journal, "prepare-copy").handle = Some("prepared@2026-11-23T02:00:00.000Z".into());
    let later = start() + chrono::TimeDelta::minutes(5);
    assert_eq!(
        world.look_at(&*step, &journal, later).await,
        Observation::Absent
    );
    entry(&mut journal, "prepare-copy").attempts = 2;
    let (reason, _) = broken(world.look_at(&*step, &journal, later).await);
    assert_eq!(reason, "FlushFailed");
}

#[tokio::test]
async fn a_group_that_changed_since_verify_is_not_armed() {
    let world = world();
    phase(&world, CopyPhase::Stopped);
    world
        .set()
        .inventory
        .as_mut()
        .expect("answers")
        .pairs
        .push(pair(2));
    let step = step("USER", "prepare-copy", &world);
    assert_eq!(
        broken(world.look(&*step, &journal()).await).0,
        "GroupChanged"
    );
}

#[tokio::test]
async fn the_sources_local_time_is_read_before_the_flash_and_its_absence_fails_nothing() {
    let world = world();
    let step = step("USER", "prepare-copy", &world);
    let site = world.site();
    let journal = journal();
    let context = StepContext {
        site: &site,
        journal: &journal,
        now: start(),
        release_backups: false,
    };
    assert!(
        !step
            .baseline(&context)
            .await
            .expect("read")
            .contains_key("sourceClock")
    );
    let clock = row(&[("LOCAL_TIME", "2026-11-23-04.00.00.000000")]);
    world.system("source", |s| {
        s.rows.insert(LOCAL_TIME.into(), Ok(vec![clock]));
    });
    assert_eq!(
        step.baseline(&context).await.expect("read")["sourceClock"],
        "2026-11-23-04.00.00.000000"
    );
    world.system("source", |s| {
        s.rows.insert(LOCAL_TIME.into(), Err(no()));
    });
    assert!(
        !step
            .baseline(&context)
            .await
            .expect("read")
            .contains_key("sourceClock")
    );
}

#[tokio::test]
async fn a_copy_is_new_only_when_every_map_differs_from_the_baseline() {
    let world = world();
    let step = step("USER", "start-copy", &world);
    let mut journal = journal();
    intended(&mut journal, "start-copy", 1);
    entry(&mut journal, "start-copy").baseline = pairs(&[("started", "map0=1,map1=1")]);
    waiting(world.look(&*step, &journal).await);
    world.set().copy.as_mut().expect("answers").started[0].1 = "2".into();
    waiting(world.look(&*step, &journal).await);
    world.set().copy = Ok(copy_state(CopyPhase::Copying, "2"));
    assert_eq!(
        facts_of(world.look(&*step, &journal).await),
        pairs(&[("started", "map0=2,map1=2")])
    );
    // Nothing to compare with proves nothing.
    entry(&mut journal, "start-copy").baseline.clear();
    waiting(world.look(&*step, &journal).await);
}

#[tokio::test]
async fn a_group_still_armed_has_not_been_started_and_a_stopped_one_is_lost() {
    let world = world();
    let step = step("USER", "start-copy", &world);
    let mut journal = journal();
    intended(&mut journal, "start-copy", 1);
    phase(&world, CopyPhase::Prepared);
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    phase(&world, CopyPhase::Stopped);
    assert_eq!(broken(world.look(&*step, &journal).await).0, "CopyLost");
    assert_eq!(step.discharges(), [ObligationKind::LeavePrepared]);
}

#[tokio::test]
async fn an_array_that_does_not_answer_is_looked_at_again_and_a_refusal_fails() {
    let world = world();
    for name in ["end-image", "prepare-copy", "start-copy"] {
        let step = step("USER", name, &world);
        world.set().copy = Err(silent());
        waiting(world.look(&*step, &journal()).await);
        world.set().copy = Err(no());
        let (reason, text) = broken(world.look(&*step, &journal()).await);
        assert_eq!(reason, "DeviceRefused");
        assert!(text.contains("CMMVC0000E"), "{text}");
    }
}

#[tokio::test]
async fn hold_on_unmapped_volumes_does_not_care_what_the_partition_does() {
    let world = world();
    phase(&world, CopyPhase::Stopped);
    let hold = step("HOLD", "prepare-copy", &world);
    world.act(&*hold, &journal()).await.expect("accepted");
    let mut kept = plan("HOLD");
    kept.keep_mappings = true;
    let kept = step_of(&Arc::new(kept), "prepare-copy", &world);
    assert!(world.act(&*kept, &journal()).await.is_err());
}

/// On a large system every force write takes long: the group must get armed all the same.
#[tokio::test]
async fn the_third_try_arms_the_group_without_another_force_write() {
    let world = world();
    off(&world);
    phase(&world, CopyPhase::Stopped);
    let step = step("USER", "prepare-copy", &world);
    let mut journal = journal();
    intended(&mut journal, "prepare-copy", 2);
    world.act(&*step, &journal).await.expect("accepted");
    assert_eq!(world.sent().len(), 3);
    intended(&mut journal, "prepare-copy", 3);
    world.act(&*step, &journal).await.expect("accepted");
    assert_eq!(world.sent()[3..], ["prepare"]);
}
