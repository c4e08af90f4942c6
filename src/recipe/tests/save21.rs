//! The full save before the personality: what the console shows, what the record says, and what nobody may touch.

mod whole;

use super::super::fakes::*;
use super::surroundings::{living, reason, state, with};
use super::whole::{effects, run, run_watching_locks, run_wishing};
use super::{step, step_with};
use crate::engine::drive::Cancel;
use crate::engine::journal::{Entry, EntryState, Journal, Phase};
use crate::engine::step::{LockKind, Observation};
use crate::recipe::records::{READY_PATH, RESULT_PATH};
use crate::recipe::steps::attention;
use crate::recipe::{LogKind, PlanError};
use crate::site::PartitionState;
use chrono::TimeDelta;
use serde_json::json;
use std::collections::BTreeMap;

const ID: &str = "run-function";
const RESULT: [(&str, &str); 15] = [
    ("kind", "result"),
    ("runToken", TOKEN),
    ("function", "SAVE21"),
    ("state", "SUCCEEDED"),
    ("endCode", "0"),
    ("startedAt", "2026-11-23T03:05:00Z"),
    ("endedAt", "2026-11-23T05:35:00Z"),
    ("job", "000777/QSECOFR/SAVE21"),
    ("failedId", "-"),
    ("failed", "-"),
    (
        "steps",
        "SAVSYS:OK:CPC3722,SAVLIB:OK:CPC3722,SAVDLO:OK:-,SAV:OK:CPC370C",
    ),
    ("restrictedAt", "2026-11-23T03:08:00Z"),
    ("device", "TAP01"),
    ("volumes", "-"),
    ("warnings", "-"),
];
const READY: [(&str, &str); 9] = [
    ("kind", "ready"),
    ("runToken", TOKEN),
    ("stage", "2"),
    ("scpf", "1261123050000"),
    ("serialNumber", "78ABCD0"),
    ("partitionId", "7"),
    ("jobsScheduled", "0"),
    ("js1", "Absent"),
    ("js1Monitors", "0"),
];

fn write(world: &World, path: &str, base: &[(&str, &str)], changes: &[(&str, &str)]) {
    let mut pairs: BTreeMap<&str, &str> = base.iter().copied().collect();
    pairs.extend(changes.iter().copied());
    let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
    let bytes = record(&pairs);
    world.system("clone", |s| {
        s.files.insert(path.into(), bytes);
    });
}

fn result(world: &World, changes: &[(&str, &str)]) {
    write(world, RESULT_PATH, &RESULT, changes);
}

fn saving() -> Journal {
    let mut journal = journal();
    intended(&mut journal, "start-clone", 1);
    intended(&mut journal, ID, 0);
    journal
}

fn silence(world: &World) {
    world.system("clone", |s| s.session = Err(silent()));
}

#[tokio::test]
async fn a_clone_in_batch_restricted_state_is_healthy_and_is_not_asked() {
    let world = world();
    // Whoever answered now would be somebody else.
    world.system("clone", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(3);
    });
    let step = step("SAVE21", ID, &world);
    world.clone_state(PartitionState::Running, "A9003C70");
    let text = waiting(world.look(&*step, &saving()).await);
    assert!(
        text.contains("saves in restricted state since 2026-11-23T02:00:00Z"),
        "{text}"
    );
    assert!(
        text.contains("a tape that is not ready looks the same"),
        "{text}"
    );
    assert_eq!(attention(&text), None, "healthy: no attention");
    // The time is kept in the message: it does not begin anew at every look.
    let mut journal = saving();
    entry(&mut journal, ID).message = Some(text.clone());
    let later = start() + TimeDelta::seconds(500);
    assert_eq!(waiting(world.look_at(&*step, &journal, later).await), text);
}

#[tokio::test]
async fn other_attention_codes_are_shown_and_error_codes_fail_at_once() {
    let world = world();
    let step = step("SAVE21", ID, &world);
    world.clone_state(PartitionState::Running, "A6005008");
    let text = waiting(world.look(&*step, &saving()).await);
    assert_eq!(attention(&text), Some("CloneNeedsAttention"));
    assert!(text.contains("A6005008"), "{text}");
    for code in ["B6000103", "C2004130"] {
        world.clone_state(PartitionState::Running, code);
        let (reason, text) = broken(world.look(&*step, &saving()).await);
        assert_eq!(reason, "CloneError");
        assert!(text.contains(code), "{text}");
    }
}

#[tokio::test]
async fn up_without_a_network_is_waited_for_and_shown_after_a_quarter_of_an_hour() {
    let world = world();
    silence(&world);
    let step = step("SAVE21", ID, &world);
    let text = waiting(world.look(&*step, &saving()).await);
    assert!(text.contains("does not answer since"), "{text}");
    assert_eq!(attention(&text), None);
    let mut journal = saving();
    entry(&mut journal, ID).message = Some(text);
    let later = start() + TimeDelta::seconds(901);
    let text = waiting(world.look_at(&*step, &journal, later).await);
    assert_eq!(attention(&text), Some("CloneUpButSilent"));
}

#[tokio::test]
async fn an_ipl_longer_than_its_time_is_shown_and_ends_nothing() {
    let world = world();
    world.clone_state(PartitionState::Running, "C6003910");
    let step = step("SAVE21", ID, &world);
    let text = waiting(world.look(&*step, &saving()).await);
    assert_eq!(attention(&text), None);
    let mut journal = saving();
    entry(&mut journal, ID).message = Some(text);
    let later = start() + TimeDelta::seconds(7_300);
    let text = waiting(world.look_at(&*step, &journal, later).await);
    assert_eq!(attention(&text), Some("CloneNeedsAttention"), "{text}");
}

#[tokio::test]
async fn a_clone_that_is_off_longer_than_a_re_ipl_went_down() {
    let world = world();
    world.clone_state(PartitionState::NotActivated, "00000000");
    let step = step("SAVE21", ID, &world);
    let text = waiting(world.look(&*step, &saving()).await);
    let mut journal = saving();
    entry(&mut journal, ID).message = Some(text);
    let later = start() + TimeDelta::seconds(301);
    let (reason, text) = broken(world.look_at(&*step, &journal, later).await);
    assert_eq!(reason, "CloneWentDown");
    assert!(text.contains("do not rely on the tapes"), "{text}");
}

#[tokio::test]
async fn done_is_the_result_record_of_this_run_and_its_own_length() {
    let world = world();
    let step = step("SAVE21", ID, &world);
    result(&world, &[]);
    let facts = facts_of(world.look(&*step, &saving()).await);
    assert_eq!(facts["result"], "ok");
    assert_eq!(facts["jobName"], "000777/QSECOFR/SAVE21");
    // The clone's clock alone: two and a half hours, whatever ours says.
    assert_eq!(facts["saveMilliseconds"], "9000000");
    assert!(
        !facts.keys().any(|k| k.starts_with("warning.")),
        "{facts:?}"
    );
    assert!(world.sent().is_empty(), "nothing is sent");
}

#[tokio::test]
async fn a_result_of_another_run_or_a_damaged_one_proves_nothing() {
    let world = world();
    let step = step("SAVE21", ID, &world);
    let text = waiting(world.look(&*step, &saving()).await);
    assert!(text.contains("no result record yet"), "{text}");
    result(&world, &[("runToken", "OLDTOKEN1")]);
    waiting(world.look(&*step, &saving()).await);
    result(&world, &[]);
    world.system("clone", |s| {
        s.files.get_mut(RESULT_PATH).expect("there").extend(b"x\n");
    });
    waiting(world.look(&*step, &saving()).await);
    // Ready without a result: it did not save.
    write(&world, READY_PATH, &READY, &[]);
    let (reason, text) = broken(world.look(&*step, &saving()).await);
    assert_eq!(reason, "SaveResultMissing");
    assert!(text.contains("do not rely on the tapes"), "{text}");
    // A ready record that came with production's disks says nothing.
    write(&world, READY_PATH, &READY, &[("runToken", "OLDTOKEN1")]);
    waiting(world.look(&*step, &saving()).await);
    result(&world, &[("function", "USER")]);
    assert_eq!(
        broken(world.look(&*step, &saving()).await).0,
        "ResultUnusable"
    );
}

/// The word SUCCEEDED alone is no proof: each command must be named as run, and the restricted state as reached.
#[tokio::test]
async fn a_success_that_does_not_name_the_whole_save_is_none() {
    let world = world();
    let step = step("SAVE21", ID, &world);
    let partial = "SAVSYS:OK:-,SAVLIB:PARTIAL:CPF3777,SAVDLO:OK:-,SAV:OK:-";
    result(&world, &[("steps", partial), ("warnings", "CPF3777")]);
    assert_eq!(
        facts_of(world.look(&*step, &saving()).await)["result"],
        "ok"
    );
    for change in [
        ("steps", "-"),
        ("steps", "SAVSYS:OK:-,SAVLIB:OK:-,SAVDLO:OK:-"),
        (
            "steps",
            "SAVSYS:OK:-,SAVLIB:FAILED:CPF3794,SAVDLO:OK:-,SAV:OK:-",
        ),
        ("restrictedAt", "-"),
    ] {
        result(&world, &[change]);
        let (reason, text) = broken(world.look(&*step, &saving()).await);
        assert_eq!(reason, "ResultUnusable", "{change:?}");
        assert!(text.contains("do not rely on the tapes"), "{text}");
    }
}

#[tokio::test]
async fn production_or_a_stranger_at_the_clones_address_is_never_read() {
    let world = world();
    result(&world, &[]);
    world.system("clone", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(3);
    });
    let step = step("SAVE21", ID, &world);
    assert_eq!(
        broken(world.look(&*step, &saving()).await).0,
        "CloneIsProduction"
    );
}

#[tokio::test]
async fn what_was_left_out_is_a_warning_and_a_failed_save_is_done_so_that_its_logs_come_next() {
    let world = world();
    let step = step("SAVE21", ID, &world);
    result(&world, &[("endCode", "10"), ("warnings", "CPF3777")]);
    let facts = facts_of(world.look(&*step, &saving()).await);
    assert_eq!(facts["result"], "ok");
    assert!(facts["warning.save"].contains("CPF3777"), "{facts:?}");
    result(
        &world,
        &[
            ("state", "FAILED"),
            ("failed", "SAVLIB"),
            ("failedId", "CPF3794"),
        ],
    );
    let facts = facts_of(world.look(&*step, &saving()).await);
    assert_eq!(
        (facts["result"].as_str(), facts["failedId"].as_str()),
        ("failed", "CPF3794")
    );
}

#[tokio::test]
async fn at_the_time_limit_the_outcome_is_unknown_whatever_the_console_shows() {
    for code in ["A9003C70", "00000000", "C6003910", "A6005008"] {
        let world = world();
        silence(&world);
        world.clone_state(PartitionState::Running, code);
        let mut plan = plan("SAVE21");
        plan.function_seconds = 3_600;
        let step = step_with(plan, ID, &world);
        let before = start() + TimeDelta::seconds(3_599);
        waiting(world.look_at(&*step, &saving(), before).await);
        let seen = world
            .look_at(&*step, &saving(), start() + TimeDelta::seconds(3_600))
            .await;
        assert!(matches!(seen, Observation::Unknown(_)), "{seen:?}");
        let (reason, text) = broken(seen);
        assert_eq!(reason, "OutcomeUnknown");
        for words in [
            "CLONE1",
            "3600",
            "left as it is",
            "look at its console",
            RESULT_PATH,
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(
            step.limit().as_secs() > 3_600,
            "the engine's own limit comes later"
        );
    }
}

/// A console that cannot be asked is no excuse to wait for ever, nor to say that the step timed out.
#[tokio::test]
async fn an_unreachable_console_at_the_time_limit_leaves_the_outcome_unknown_too() {
    let world = world();
    world.set().clone = Err(silent());
    let step = step("SAVE21", ID, &world);
    waiting(world.look(&*step, &saving()).await);
    let late = start() + TimeDelta::seconds(43_201);
    assert_eq!(
        broken(world.look_at(&*step, &saving(), late).await).0,
        "OutcomeUnknown"
    );
}

/// Before the save there is no network: hooks on the clone come after it is ready, and not while it may be saving.
#[test]
fn hooks_on_the_clone_come_after_await_clone() {
    let hook = |at: &str| json!({"at": at, "program": "CLNLIB/HOOK"});
    let hooks = [
        "BeforeFreeze",
        "AfterResume",
        "CloneReady",
        "AfterFunction",
        "Always",
    ]
    .map(hook);
    let plan = with("SAVE21", json!({"hooks": hooks}));
    let recipe = crate::recipe::build(&plan, world().sink());
    let names: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
    let text = names.join(" ");
    assert!(text.ends_with("start-clone run-function await-clone clone-ready after-function collect-logs always settle"), "{text}");
}

#[test]
fn an_expiration_date_that_no_save_command_takes_is_refused() {
    let (mut spec, facts) = sample("SAVE21");
    for (date, fine) in [
        ("2027-12-31", true),
        ("PERM", true),
        ("", true),
        ("2040-01-01", false),
        ("2027-02-30", false),
        ("1999-01-01", false),
    ] {
        spec.save21.as_mut().expect("there").expiration_date = date.to_owned();
        let made = crate::recipe::Plan::new(&spec, facts.clone());
        assert_eq!(made.is_ok(), fine, "{date}");
        if let Err(error) = made {
            assert!(matches!(
                error,
                PlanError::Unusable {
                    field: "save21.expirationDate",
                    ..
                }
            ));
        }
    }
}

#[tokio::test]
async fn a_tape_device_that_production_does_not_know_is_told_before_the_freeze() {
    let world = world();
    let step = step("SAVE21", "verify-site", &world);
    let journal = Journal::open("save21-overwrite-vscsi-v1", TOKEN, &["verify-site"]);
    let facts = facts_of(world.look(&*step, &journal).await);
    let told = |facts: &crate::engine::journal::Facts, kind: &str| {
        facts
            .iter()
            .any(|(k, v)| k.starts_with(kind) && v.contains("TAP01"))
    };
    assert!(told(&facts, "note."), "{facts:?}");
    world.set().missing_tape = true;
    let facts = facts_of(world.look(&*step, &journal).await);
    assert!(told(&facts, "warning."), "{facts:?}");
}
