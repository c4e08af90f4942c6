use super::super::fakes::*;
use super::{step, step_of};
use crate::api::run::RunMode;
use crate::engine::journal::Journal;
use crate::engine::step::{LockKind, Observation};
use crate::site::{CopyPhase, DeviceError, PartitionState, PartitionUuid, PowerJobState};
use chrono::TimeDelta;
use std::sync::Arc;

#[tokio::test]
async fn only_not_activated_is_off() {
    let world = world();
    let step = step("USER", "stop-clone", &world);
    world.clone_state(PartitionState::NotActivated, "00000000");
    assert!(matches!(
        world.look(&*step, &journal()).await,
        Observation::Done(_)
    ));
    for state in [
        PartitionState::Error,
        PartitionState::NotAvailable,
        PartitionState::Other("unknown".into()),
    ] {
        world.clone_state(state, "B2001250");
        let text = waiting(world.look(&*step, &journal()).await);
        assert!(
            text.contains("not off") && text.contains("B2001250"),
            "{text}"
        );
    }
    world.clone_state(PartitionState::ShuttingDown, "D6000298");
    waiting(world.look(&*step, &journal()).await);
}

/// An earlier run may have stopped waiting for it: neither a time limit nor the next slot ends a save.
#[tokio::test]
async fn a_clone_that_saves_in_restricted_state_is_never_switched_off() {
    for (function, mode) in [
        ("USER", RunMode::Clone),
        ("SAVE21", RunMode::Clone),
        ("SAVE21", RunMode::End),
    ] {
        let world = world();
        let mut plan = plan(function);
        plan.mode = mode;
        let step = step_of(&Arc::new(plan), "stop-clone", &world);
        world.clone_state(PartitionState::Running, "A9003C70");
        let mut tried = journal();
        intended(&mut tried, "stop-clone", 1);
        let later = start() + TimeDelta::seconds(3_600);
        for journal in [journal(), tried.clone()] {
            let (reason, text) = broken(world.look_at(&*step, &journal, later).await);
            assert_eq!(reason, "CloneSaves");
            assert!(
                text.contains("A9003C70")
                    && text.contains("switch the partition off at the console"),
                "{text}"
            );
        }
        // It began between the look and the command.
        let refused = world.act(&*step, &journal()).await;
        assert!(matches!(refused, Err(DeviceError::Refused { .. })));
        assert!(world.sent().is_empty(), "{:?}", world.sent());
        // Over: it is switched off like any other.
        world.clone_state(PartitionState::Running, "00000000");
        assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    }
}

#[tokio::test]
async fn a_running_clone_is_switched_off_once() {
    let world = world();
    let step = step("USER", "stop-clone", &world);
    let mut journal = journal();
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    let handle = world.act(&*step, &journal).await.expect("accepted");
    assert!(
        handle.as_deref().is_some_and(|h| h.starts_with("job-off@")),
        "{handle:?}"
    );
    assert_eq!(world.sent(), ["power off"]);
    intended(&mut journal, "stop-clone", 1);
    entry(&mut journal, "stop-clone").handle = handle;
    waiting(world.look(&*step, &journal).await);
}

/// Only after the console has had the time to show an accepted job may the effect be sent again.
#[tokio::test]
async fn a_lost_handle_is_waited_for_before_a_second_power_off() {
    let world = world();
    let step = step("USER", "stop-clone", &world);
    let mut journal = journal();
    intended(&mut journal, "stop-clone", 1);
    let at = |seconds| start() + TimeDelta::seconds(seconds);
    waiting(world.look_at(&*step, &journal, at(59)).await);
    assert_eq!(
        world.look_at(&*step, &journal, at(60)).await,
        Observation::Absent
    );
    intended(&mut journal, "stop-clone", 2);
    waiting(world.look_at(&*step, &journal, at(119)).await);
}

#[tokio::test]
async fn a_failed_job_that_means_off_is_decided_by_the_state() {
    let world = world();
    let step = step("USER", "stop-clone", &world);
    let mut journal = journal();
    intended(&mut journal, "stop-clone", 1);
    entry(&mut journal, "stop-clone").handle = Some("job-off@2026-11-23T02:00:00.000Z".into());
    let failed = |code: &str| PowerJobState::Failed {
        code: code.into(),
        text: "text".into(),
    };
    world.set().power_job = failed("HSCL1558");
    waiting(world.look(&*step, &journal).await);
    world.set().power_job = failed("HSCL350B");
    let (reason, text) = broken(world.look(&*step, &journal).await);
    assert_eq!(reason, "PowerOffRefused");
    assert!(text.contains("HSCL350B"), "{text}");
}

#[tokio::test]
async fn hold_leaves_a_clone_alone_that_none_of_its_volumes_is_attached_to() {
    let world = world();
    world.set().virtual_io = Ok(paths(false));
    let hold = step("HOLD", "stop-clone", &world);
    assert!(matches!(
        world.look(&*hold, &journal()).await,
        Observation::NotNeeded(_)
    ));
    // USER starts the clone later, so it has to be off whatever it runs on.
    let user = step("USER", "stop-clone", &world);
    assert_eq!(world.look(&*user, &journal()).await, Observation::Absent);
}

/// Without the partition's lock another run may switch the clone on or off at any time: its state is none of ours, and
/// what was attached meanwhile ends the run before anything is stopped or copied.
#[tokio::test]
async fn hold_without_the_clones_lock_never_takes_part_in_its_state() {
    let world = world();
    let plan = Arc::new(plan("HOLD"));
    let mut journal = journal();
    let say = |journal: &mut Journal, word: &str| {
        let output = &mut entry(journal, "verify-site").output;
        output.insert("attached".into(), word.into());
    };
    say(&mut journal, "no");
    let recipe = crate::recipe::build(&plan, world.sink());
    let wanted = [LockKind::TargetSet, LockKind::Source];
    assert_eq!((recipe.lock_set)(&journal), wanted);
    let stop = step_of(&plan, "stop-clone", &world);
    for state in [PartitionState::Running, PartitionState::NotActivated] {
        world.set().virtual_io = Ok(paths(false));
        world.clone_state(state, "00000000");
        assert!(matches!(
            world.look(&*stop, &journal).await,
            Observation::NotNeeded(_)
        ));
        world.set().virtual_io = Ok(paths(true));
        for name in ["stop-clone", "unmap-volumes"] {
            let step = step_of(&plan, name, &world);
            let (reason, _) = broken(world.look(&*step, &journal).await);
            assert_eq!(reason, "AttachedMeanwhile", "{name}");
        }
    }
    assert!(world.sent().is_empty());
    // A journal that does not say it, of an older operator for instance, locks everything.
    entry(&mut journal, "verify-site").output.remove("attached");
    assert!((recipe.lock_set)(&journal).contains(&LockKind::Clone));
    // USER starts the clone: it always needs the partition.
    let user = crate::recipe::build(&super::super::fakes::plan("USER"), world.sink());
    say(&mut journal, "no");
    assert!((user.lock_set)(&journal).contains(&LockKind::Clone));
}

#[tokio::test]
async fn a_vios_that_does_not_answer_proves_no_detachment() {
    let world = world();
    world.set().virtual_io = Err(silent());
    let step = step("HOLD", "stop-clone", &world);
    waiting(world.look(&*step, &journal()).await);
}

#[tokio::test]
async fn production_is_never_switched_whichever_way_it_is_recognised() {
    type Change = fn(&World, &mut crate::recipe::Plan);
    let ways: [(&str, Change); 4] = [
        ("the console's source", |world, _| {
            let uuid = world.set().clone.as_ref().expect("answers").uuid.clone();
            world.set().source.as_mut().expect("answers").uuid = uuid;
        }),
        ("the pin", |world, plan| {
            plan.pins.source_partition =
                Some(world.set().clone.as_ref().expect("answers").uuid.clone());
        }),
        ("another environment's source", |world, plan| {
            std::sync::Arc::make_mut(&mut plan.pinned_sources)
                .insert(world.set().clone.as_ref().expect("answers").uuid.clone());
        }),
        ("serial and partition id", |world, _| {
            world.set().clone.as_mut().expect("answers").identity = identity(3);
        }),
    ];
    for (way, change) in ways {
        let world = world();
        let mut plan = plan("USER");
        change(&world, &mut plan);
        let plan = Arc::new(plan);
        for name in ["stop-clone", "start-clone"] {
            let step = step_of(&plan, name, &world);
            let (reason, _) = broken(world.look(&*step, &journal()).await);
            assert_eq!(reason, "CloneIsProduction", "{way}");
            world.clone_state(PartitionState::NotActivated, "00000000");
            let refused = world.act(&*step, &journal()).await;
            assert!(matches!(refused, Err(DeviceError::Refused { .. })), "{way}");
            world.clone_state(PartitionState::Running, "00000000");
        }
        assert!(world.sent().is_empty(), "{way}");
    }
}

#[tokio::test]
async fn a_clone_with_another_uuid_than_pinned_is_not_switched() {
    let world = world();
    let mut plan = plan("USER");
    plan.pins.clone_partition = Some(PartitionUuid::new("another"));
    let step = step_of(&Arc::new(plan), "stop-clone", &world);
    let (reason, text) = broken(world.look(&*step, &journal()).await);
    assert_eq!(reason, "PinnedPartitionChanged");
    assert!(text.contains("ibmiclone.dev/pins"), "{text}");
}

#[tokio::test]
async fn without_the_source_at_the_console_identity_decides_but_silence_does_not() {
    let world = world();
    let step = step("USER", "stop-clone", &world);
    world.set().source = Err(no());
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    world.set().source = Err(silent());
    waiting(world.look(&*step, &journal()).await);
    assert!(world.act(&*step, &journal()).await.is_err());
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn a_migrating_clone_is_not_switched() {
    let world = world();
    world.set().clone.as_mut().expect("answers").migration_state = "Migrating".into();
    let step = step("USER", "stop-clone", &world);
    assert_eq!(
        broken(world.look(&*step, &journal()).await).0,
        "CloneMigrating"
    );
}

#[tokio::test]
async fn a_clone_switched_on_between_stop_and_start_fails_the_run() {
    let world = world();
    let step = step("USER", "start-clone", &world);
    let (reason, text) = broken(world.look(&*step, &journal()).await);
    assert_eq!(reason, "CloneStartedByOthers");
    assert!(text.contains("CLONE1 on P10-PARIS"), "{text}");
}

#[tokio::test]
async fn started_means_running_after_off_was_read_after_the_copy() {
    let world = world();
    let step = step("USER", "start-clone", &world);
    let mut journal = journal();
    world.clone_state(PartitionState::NotActivated, "00000000");
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    let site = world.site();
    let context = crate::engine::step::StepContext {
        site: &site,
        journal: &journal,
        now: start(),
        release_backups: false,
    };
    let baseline = step.baseline(&context).await.expect("read");
    assert_eq!(baseline["state"], "not activated");
    let handle = world.act(&*step, &journal).await.expect("accepted");
    assert_eq!(world.sent(), [r#"activate Some("CLONE_PRF") b Normal"#]);
    intended(&mut journal, "start-clone", 1);
    entry(&mut journal, "start-clone").handle = handle;
    world.clone_state(PartitionState::Running, "C2001000");
    // Running proves nothing while no reading of "off" is on record.
    waiting(world.look(&*step, &journal).await);
    entry(&mut journal, "start-clone").baseline = baseline;
    assert!(matches!(
        world.look(&*step, &journal).await,
        Observation::Done(_)
    ));
}

#[tokio::test]
async fn a_refused_activation_says_the_consoles_code() {
    let world = world();
    world.clone_state(PartitionState::NotActivated, "00000000");
    let mut journal = journal();
    intended(&mut journal, "start-clone", 1);
    entry(&mut journal, "start-clone").handle = Some("job-on@2026-11-23T02:00:00.000Z".into());
    entry(&mut journal, "start-clone").baseline = pairs(&[("state", "not activated")]);
    world.set().power_job = PowerJobState::Failed {
        code: "HSCL3680".into(),
        text: "no profile".into(),
    };
    let step = step("USER", "start-clone", &world);
    let (reason, text) = broken(world.look(&*step, &journal).await);
    assert_eq!(reason, "ActivationRefused");
    assert!(text.contains("HSCL3680 no profile"), "{text}");
}

#[tokio::test]
async fn an_image_that_is_not_clean_or_not_this_runs_is_never_started() {
    let world = world();
    world.clone_state(PartitionState::NotActivated, "00000000");
    for name in ["start-clone", "map-volumes"] {
        let step = step("USER", name, &world);
        let mut dirty = journal();
        if let Some(window) = &mut dirty.window {
            window.failure = Some("watchdog fired".into());
        }
        assert_eq!(broken(world.look(&*step, &dirty).await).0, "ImageNotClean");
        let mut other = journal();
        done(&mut other, "start-copy", &[("started", "map0=9,map1=9")]);
        assert_eq!(broken(world.look(&*step, &other).await).0, "ImageReplaced");
        world.set().copy.as_mut().expect("answers").phase = CopyPhase::Stopped;
        assert_eq!(
            broken(world.look(&*step, &journal()).await).0,
            "ImageReplaced"
        );
        world.set().copy.as_mut().expect("answers").phase = CopyPhase::Copying;
    }
}

/// A step may wait for a device long before its effect is first sent: that time does not count as time for the effect.
#[tokio::test]
async fn the_wait_for_an_effect_counts_from_its_sending() {
    let world = world();
    let step = step("USER", "stop-clone", &world);
    let mut journal = journal();
    intended(&mut journal, "stop-clone", 0);
    let at = |seconds| start() + TimeDelta::seconds(seconds);
    assert_eq!(
        world.look_at(&*step, &journal, at(600)).await,
        Observation::Absent
    );
    intended(&mut journal, "stop-clone", 1);
    entry(&mut journal, "stop-clone").baseline = pairs(&[("sentAt", "2026-11-23T02:10:00.000Z")]);
    waiting(world.look_at(&*step, &journal, at(659)).await);
    assert_eq!(
        world.look_at(&*step, &journal, at(660)).await,
        Observation::Absent
    );
    world.set().power_job = PowerJobState::Ended;
    entry(&mut journal, "stop-clone").handle = Some("job-off@2026-11-23T02:20:00.000Z".into());
    waiting(world.look_at(&*step, &journal, at(1259)).await);
    assert_eq!(
        world.look_at(&*step, &journal, at(1260)).await,
        Observation::Absent
    );
}

#[tokio::test]
async fn a_first_look_without_an_answer_keeps_the_rules_of_the_first_look() {
    let world = world();
    world.set().virtual_io = Ok(paths(false));
    let mut journal = journal();
    intended(&mut journal, "stop-clone", 0);
    let hold = step("HOLD", "stop-clone", &world);
    assert!(matches!(
        world.look(&*hold, &journal).await,
        Observation::NotNeeded(_)
    ));
    intended(&mut journal, "start-clone", 0);
    let start = step("USER", "start-clone", &world);
    assert_eq!(
        broken(world.look(&*start, &journal).await).0,
        "CloneStartedByOthers"
    );
}
