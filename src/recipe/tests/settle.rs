use super::super::fakes::*;
use super::super::log_sink::LogKind;
use super::step;
use crate::engine::journal::{EntryState, Journal};
use crate::engine::step::Observation;
use crate::site::{PartitionState, PowerJobState};
use chrono::TimeDelta;

fn stopped() -> Journal {
    let mut journal = journal();
    done(&mut journal, "stop-clone", &[]);
    journal
}

fn off(world: &World) {
    world.clone_state(PartitionState::NotActivated, "00000000");
}

#[tokio::test]
async fn hold_leaves_the_key_at_manual_and_the_step_log_stored() {
    let world = world();
    off(&world);
    let step = step("HOLD", "settle", &world);
    let mut journal = stopped();
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    let handle = world.act(&*step, &journal).await.expect("accepted");
    assert_eq!(world.sent(), ["key Manual"]);
    assert!(world.set().logs.contains_key(&LogKind::Steps));
    intended(&mut journal, "settle", 1);
    entry(&mut journal, "settle").handle = handle;
    waiting(world.look(&*step, &journal).await);
    world.set().clone.as_mut().expect("answers").keylock = "manual".into();
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(facts["diskUsedPercent"], "17");
    assert_eq!(facts["cloneState"], "not activated");
}

#[tokio::test]
async fn the_key_of_a_partition_that_was_left_alone_is_not_turned() {
    let world = world();
    off(&world);
    let step = step("HOLD", "settle", &world);
    let mut journal = journal();
    entry(&mut journal, "stop-clone").state = EntryState::Skipped;
    world.act(&*step, &journal).await.expect("step log stored");
    assert!(world.sent().is_empty());
    assert!(matches!(
        world.look(&*step, &journal).await,
        Observation::Done(_)
    ));
}

#[tokio::test]
async fn a_key_that_cannot_be_turned_is_a_warning_not_a_failure() {
    let world = world();
    off(&world);
    let step = step("HOLD", "settle", &world);
    let mut journal = stopped();
    world.set().keylock_answer = Err(no());
    let handle = world.act(&*step, &journal).await.expect("noted");
    intended(&mut journal, "settle", 1);
    entry(&mut journal, "settle").handle = handle;
    let facts = facts_of(world.look(&*step, &journal).await);
    assert!(facts["warning.key"].contains("CMMVC0000E"));
    entry(&mut journal, "settle").handle = Some("job-key@2026-11-23T02:00:00.000Z".into());
    world.set().power_job = PowerJobState::Failed {
        code: "HSCL350B".into(),
        text: "no authority".into(),
    };
    let facts = facts_of(world.look(&*step, &journal).await);
    assert!(facts["warning.key"].contains("HSCL350B"));
    world.set().power_job = PowerJobState::Ended;
    let later = start() + TimeDelta::minutes(5);
    assert_eq!(
        world.look_at(&*step, &journal, later).await,
        Observation::Absent
    );
    entry(&mut journal, "settle").attempts = 3;
    let facts = facts_of(world.look_at(&*step, &journal, later).await);
    assert!(facts["warning.key"].contains("stays normal"));
}

#[tokio::test]
async fn a_failed_function_fails_the_run_after_its_logs_are_stored() {
    let world = world();
    let step = step("USER", "settle", &world);
    let mut journal = journal();
    done(
        &mut journal,
        "run-function",
        &[
            ("result", "failed"),
            ("jobName", "1/A/B"),
            ("endSeverity", "50"),
        ],
    );
    done(
        &mut journal,
        "collect-logs",
        &[("failureTail", "CPF1 first\nCPF9801 last")],
    );
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    world.act(&*step, &journal).await.expect("step log stored");
    let (reason, text) = broken(world.look(&*step, &journal).await);
    assert_eq!(reason, "FunctionFailed");
    for part in ["1/A/B", "50", "CPF9801 last"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_function_that_overran_or_vanished_fails_the_run_after_its_logs_are_stored() {
    for (result, expected) in [
        ("overrun", "FunctionOverrun"),
        ("vanished", "FunctionVanished"),
    ] {
        let world = world();
        let step = step("USER", "settle", &world);
        let mut journal = journal();
        let output = [("result", result), ("jobName", "1/A/B")];
        done(&mut journal, "run-function", &output);
        done(&mut journal, "collect-logs", &[]);
        assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
        world.act(&*step, &journal).await.expect("step log stored");
        let (reason, text) = broken(world.look(&*step, &journal).await);
        assert_eq!(reason, expected);
        assert!(text.contains("1/A/B"), "{text}");
        assert!(world.sent().is_empty(), "the clone is left as it is");
    }
}

#[tokio::test]
async fn errors_in_the_functions_job_make_a_warning() {
    let world = world();
    let step = step("USER", "settle", &world);
    let mut journal = journal();
    done(&mut journal, "run-function", &[("result", "ok")]);
    done(
        &mut journal,
        "collect-logs",
        &[("jobErrors", "2"), ("errors", "9")],
    );
    world.act(&*step, &journal).await.expect("step log stored");
    let facts = facts_of(world.look(&*step, &journal).await);
    assert!(facts["warning.errors"].starts_with('2'));
    done(
        &mut journal,
        "collect-logs",
        &[("jobErrors", "0"), ("errors", "9")],
    );
    let facts = facts_of(world.look(&*step, &journal).await);
    assert!(!facts.contains_key("warning.errors"));
}

#[tokio::test]
async fn space_that_cannot_be_told_is_a_note_and_a_silent_array_is_asked_again() {
    let world = world();
    let step = step("USER", "settle", &world);
    world
        .act(&*step, &journal())
        .await
        .expect("step log stored");
    world.set().usage = Err(no());
    let facts = facts_of(world.look(&*step, &journal()).await);
    assert!(facts.contains_key("note.usage"));
    world.set().usage = Err(silent());
    waiting(world.look(&*step, &journal()).await);
}

#[tokio::test]
async fn a_run_whose_image_was_replaced_meanwhile_does_not_succeed() {
    let world = world();
    let step = step("HOLD", "settle", &world);
    let mut journal = journal();
    done(&mut journal, "start-copy", &[("started", "map0=9,map1=9")]);
    world.act(&*step, &journal).await.expect("step log stored");
    assert_eq!(
        broken(world.look(&*step, &journal).await).0,
        "ImageReplaced"
    );
}
