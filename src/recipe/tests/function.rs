use super::super::fakes::*;
use super::step;
use crate::engine::step::Observation;
use crate::site::{Inquiry, InquiryPlace, JobName, JobState, JobStatus, PartitionState};
use chrono::TimeDelta;

fn job(state: JobState) -> Option<JobStatus> {
    Some(JobStatus {
        name: JobName::new("123456/CLN/C1_16"),
        state,
        active_milliseconds: Some(754_000),
    })
}

fn asked(place: Option<InquiryPlace>) -> Inquiry {
    Inquiry {
        text: "CPA4278 Load tape (C G)".into(),
        place,
    }
}

fn with(world: &World, state: JobState) {
    world.system("clone", |s| s.job = job(state));
}

#[tokio::test]
async fn the_job_is_looked_for_before_it_is_submitted() {
    let world = world();
    let step = step("USER", "run-function", &world);
    assert_eq!(world.look(&*step, &journal()).await, Observation::Absent);
    let handle = world.act(&*step, &journal()).await.expect("submitted");
    assert!(
        handle
            .as_deref()
            .is_some_and(|h| h.starts_with("123456/CLN/C1_16@")),
        "{handle:?}"
    );
    assert_eq!(
        world.sent(),
        ["clone: submit C1_16 QSYS/QSYSNOMAX CALL PGM(CLNLIB/MYSAVE) PARM('it''s' 'B')"]
    );
    with(&world, JobState::Active);
    world.act(&*step, &journal()).await.expect("found");
    assert_eq!(world.sent().len(), 1, "never twice");
}

#[tokio::test]
async fn queued_and_running_jobs_are_under_way() {
    let world = world();
    let step = step("USER", "run-function", &world);
    with(&world, JobState::Queued);
    let text = waiting(world.look(&*step, &journal()).await);
    assert!(text.contains("QSYS/QSYSNOMAX"), "{text}");
    with(&world, JobState::Active);
    waiting(world.look(&*step, &journal()).await);
}

#[tokio::test]
async fn a_job_that_waits_for_a_message_needs_a_reply() {
    let world = world();
    with(&world, JobState::MessageWait(asked(None)));
    let step = step("USER", "run-function", &world);
    let text = waiting(world.look(&*step, &journal()).await);
    assert_eq!(crate::recipe::steps::attention(&text), Some("NeedsReply"));
    assert!(text.contains("Load tape"), "{text}");
}

#[tokio::test]
async fn a_message_of_a_queue_is_asked_under_a_key_of_job_message_and_time() {
    let world = world();
    let place = InquiryPlace {
        queue: "QSYS/QSYSOPR".into(),
        key: "00000220".into(),
        timestamp: "2026-11-23-06.00.10.500000".into(),
    };
    with(&world, JobState::MessageWait(asked(Some(place))));
    let step = step("USER", "run-function", &world);
    let Observation::Asking {
        message, question, ..
    } = world.look(&*step, &journal()).await
    else {
        panic!("a message waits");
    };
    assert_eq!(question.key, "C1_16-00000220-060010");
    assert_eq!(question.system, "clone CLONE1 on P10-PARIS");
    assert_eq!(
        crate::recipe::steps::attention(&message),
        Some("NeedsReply")
    );
    assert!(message.contains(&question.key), "{message}");
}

/// Its end may be on its way into the history log.
#[tokio::test]
async fn a_job_without_an_end_is_vanished_at_the_second_look_only() {
    let world = world();
    let step = step("USER", "run-function", &world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    with(&world, JobState::Vanished);
    let said = waiting(world.look(&*step, &journal).await);
    let entry = journal.entry_mut("run-function").expect("there");
    entry.message = Some(said);
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(facts["result"], "vanished");
}

#[tokio::test]
async fn an_ended_job_leaves_its_result_and_its_time() {
    let world = world();
    let step = step("USER", "run-function", &world);
    with(
        &world,
        JobState::Ended {
            normal: true,
            severity: 0,
        },
    );
    let facts = facts_of(world.look(&*step, &journal()).await);
    assert_eq!(facts["result"], "ok");
    assert_eq!(facts["saveMilliseconds"], "754000");
    assert_eq!(facts["jobName"], "123456/CLN/C1_16");
    // A bad end is done too: its logs are still to be fetched.
    with(
        &world,
        JobState::Ended {
            normal: false,
            severity: 50,
        },
    );
    let facts = facts_of(world.look(&*step, &journal()).await);
    assert_eq!(
        (facts["result"].as_str(), facts["endSeverity"].as_str()),
        ("failed", "50")
    );
}

#[tokio::test]
async fn a_vanished_job_is_judged_by_the_history_log() {
    let world = world();
    let step = step("USER", "run-function", &world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    let name = "123456/CLN/C1_16";
    let started = message("CPF1124", 0, "2026-11-23-06.00.00.000000", name, "started");
    let ended = |code| {
        let text =
            format!("Job {name} ended on 11/23/26 at 06:00:10; .5 seconds used; end code {code} .");
        message("CPF1164", 0, "2026-11-23-06.00.10.500000", name, &text)
    };
    world.system("clone", |s| s.history = vec![started.clone(), ended(0)]);
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(facts["result"], "ok");
    assert_eq!(facts["saveMilliseconds"], "10500");
    world.system("clone", |s| s.history = vec![started.clone(), ended(20)]);
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(
        (facts["result"].as_str(), facts["endSeverity"].as_str()),
        ("failed", "20")
    );
    world.system("clone", |s| s.history = vec![started]);
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(facts["result"], "vanished");
    assert_eq!(facts["jobName"], name);
}

/// The step is over, so that the logs are fetched next; nobody ends the job.
#[tokio::test]
async fn a_job_that_overruns_its_time_is_left_alone_and_its_logs_come_next() {
    let world = world();
    let step = step("USER", "run-function", &world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    // The engine's own limit comes later: else it would fail the step before its logs are collected.
    let limit = TimeDelta::from_std(step.limit()).expect("a limit") - TimeDelta::seconds(300);
    for state in [
        JobState::Active,
        JobState::Queued,
        JobState::MessageWait(asked(None)),
    ] {
        with(&world, state);
        let before = start() + limit - TimeDelta::seconds(1);
        waiting(world.look_at(&*step, &journal, before).await);
        let facts = facts_of(world.look_at(&*step, &journal, start() + limit).await);
        assert_eq!(facts["result"], "overrun");
        assert_eq!(facts["jobName"], "123456/CLN/C1_16");
    }
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn a_job_that_left_no_trace_never_ran_and_is_submitted_again_after_a_while() {
    let world = world();
    let step = step("USER", "run-function", &world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    waiting(world.look(&*step, &journal).await);
    let later = start() + TimeDelta::seconds(10);
    assert_eq!(
        world.look_at(&*step, &journal, later).await,
        Observation::Absent
    );
}

#[tokio::test]
async fn a_job_of_another_name_in_the_history_log_is_not_ours() {
    let world = world();
    let step = step("USER", "run-function", &world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    let other = message(
        "CPF1164",
        0,
        "2026-11-23-06.00.10.500000",
        "123456/CLN/C1_15",
        "end code 0",
    );
    world.system("clone", |s| s.history = vec![other]);
    waiting(world.look(&*step, &journal).await);
}

#[tokio::test]
async fn a_clone_that_went_down_fails_the_function_and_a_silent_one_is_waited_for() {
    let world = world();
    let step = step("USER", "run-function", &world);
    world.system("clone", |s| s.session = Err(silent()));
    waiting(world.look(&*step, &journal()).await);
    world.clone_state(PartitionState::Running, "B6000103");
    assert_eq!(broken(world.look(&*step, &journal()).await).0, "CloneError");
    world.clone_state(PartitionState::NotActivated, "00000000");
    assert_eq!(
        broken(world.look(&*step, &journal()).await).0,
        "CloneWentDown"
    );
}

#[tokio::test]
async fn nothing_is_submitted_on_production() {
    let world = world();
    let step = step("USER", "run-function", &world);
    world.system("clone", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(3);
    });
    assert_eq!(
        broken(world.look(&*step, &journal()).await).0,
        "CloneIsProduction"
    );
    assert!(world.act(&*step, &journal()).await.is_err());
    assert!(world.sent().is_empty());
}
