use super::super::fakes::*;
use super::step;
use crate::engine::journal::Journal;
use crate::engine::step::Observation;
use crate::recipe::records::{MARKER_PATH, READY_PATH};
use crate::site::PartitionState;
use chrono::TimeDelta;

fn under_way() -> Journal {
    let mut journal = journal();
    intended(&mut journal, "start-clone", 1);
    intended(&mut journal, "await-clone", 1);
    done(
        &mut journal,
        "write-parameters",
        &[("sourceScpf", "1261120010000")],
    );
    journal
}

const READY: [(&str, &str); 10] = [
    ("kind", "ready"),
    ("runToken", TOKEN),
    ("stage", "2"),
    ("scpf", "1261123050000"),
    ("sourceScpf", "1261120010000"),
    ("serialNumber", "78ABCD0"),
    ("partitionId", "7"),
    ("jobsScheduled", "0"),
    ("js1", "Absent"),
    ("js1Monitors", "0"),
];

fn ready(world: &World, changes: &[(&str, &str)]) {
    let mut pairs: std::collections::BTreeMap<&str, &str> = READY.into();
    pairs.extend(changes.iter().copied());
    let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
    world.system("clone", |s| {
        s.files.insert(READY_PATH.into(), record(&pairs));
    });
}

#[tokio::test]
async fn ready_is_the_record_of_this_run_at_stage_two_after_an_ipl_of_its_own() {
    let world = world();
    let step = step("USER", "await-clone", &world);
    ready(&world, &[("warnings", "CLN0214")]);
    let facts = facts_of(world.look(&*step, &under_way()).await);
    assert_eq!(facts["scpf"], "1261123050000");
    assert!(facts["warning.kit"].contains("CLN0214"));
    ready(&world, &[("stage", "3")]);
    assert!(matches!(
        world.look(&*step, &under_way()).await,
        Observation::Done(_)
    ));
}

#[tokio::test]
async fn a_record_that_is_not_this_runs_proves_nothing() {
    let world = world();
    let step = step("USER", "await-clone", &world);
    let text = waiting(world.look(&*step, &under_way()).await);
    assert!(text.contains("not written yet"), "{text}");
    for (changes, word) in [
        (("runToken", "OLDTOKEN1"), "another run"),
        (("stage", "1"), "personality"),
        (("scpf", "1261120010000"), "SCPF"),
    ] {
        ready(&world, &[changes]);
        let text = waiting(world.look(&*step, &under_way()).await);
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn ssh_back_with_the_sources_ipl_time_is_not_ready() {
    let world = world();
    ready(&world, &[]);
    world.system("clone", |s| {
        s.session.as_mut().expect("answers").system.scpf_entry_time = SOURCE_SCPF.into();
    });
    let step = step("USER", "await-clone", &world);
    let text = waiting(world.look(&*step, &under_way()).await);
    assert!(text.contains("SCPF"), "{text}");
}

#[tokio::test]
async fn a_clone_that_answers_as_production_stops_the_run_at_once() {
    let world = world();
    ready(&world, &[]);
    let step = step("USER", "await-clone", &world);
    world.system("clone", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(3);
    });
    let (reason, text) = broken(world.look(&*step, &under_way()).await);
    assert_eq!(reason, "CloneIsProduction");
    assert!(text.contains("no command was sent"), "{text}");
    world.system("clone", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(8);
    });
    assert_eq!(
        broken(world.look(&*step, &under_way()).await).0,
        "IdentityUnexpected"
    );
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn b_codes_fail_at_once_and_a_codes_are_shown() {
    let world = world();
    let step = step("USER", "await-clone", &world);
    for code in ["B6000103", "C2004130"] {
        world.clone_state(PartitionState::Running, code);
        let (reason, text) = broken(world.look(&*step, &under_way()).await);
        assert_eq!(reason, "CloneError");
        assert!(text.contains(code), "{text}");
    }
    world.clone_state(PartitionState::Running, "A9003C70");
    let text = waiting(world.look(&*step, &under_way()).await);
    assert!(text.contains("A9003C70"), "{text}");
    assert_eq!(
        crate::recipe::steps::attention(&text),
        Some("CloneNeedsAttention")
    );
    world.clone_state(PartitionState::Running, "C6004055");
    let text = waiting(world.look(&*step, &under_way()).await);
    assert!(text.contains("C6004055"), "{text}");
    assert_eq!(crate::recipe::steps::attention(&text), None);
}

#[tokio::test]
async fn not_activated_for_five_minutes_in_a_re_ipl_is_under_way_and_longer_is_not() {
    let world = world();
    let step = step("USER", "await-clone", &world);
    world.clone_state(PartitionState::NotActivated, "00000000");
    let mut journal = under_way();
    let at = |seconds| start() + TimeDelta::seconds(seconds);
    let first = waiting(world.look_at(&*step, &journal, at(600)).await);
    entry(&mut journal, "await-clone").message = Some(first.clone());
    let second = waiting(world.look_at(&*step, &journal, at(899)).await);
    assert_eq!(first, second, "the text is stable");
    let (reason, _) = broken(world.look_at(&*step, &journal, at(900)).await);
    assert_eq!(reason, "CloneWentDown");
    // A clone that came back and goes off again starts anew.
    entry(&mut journal, "await-clone").message = Some("IPL of clone".into());
    waiting(world.look_at(&*step, &journal, at(900)).await);
}

#[tokio::test]
async fn up_but_silent_for_fifteen_minutes_calls_a_person_and_goes_on() {
    let world = world();
    let step = step("USER", "await-clone", &world);
    world.system("clone", |s| s.session = Err(silent()));
    let mut journal = under_way();
    let at = |seconds| start() + TimeDelta::seconds(seconds);
    let first = waiting(world.look_at(&*step, &journal, at(600)).await);
    entry(&mut journal, "await-clone").message = Some(first);
    waiting(world.look_at(&*step, &journal, at(1499)).await);
    let text = waiting(world.look_at(&*step, &journal, at(1500)).await);
    assert_eq!(
        crate::recipe::steps::attention(&text),
        Some("CloneUpButSilent")
    );
    for part in ["00000000", "clone.example.com:22", "CMN03", "ETHLINE"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    entry(&mut journal, "await-clone").message = Some(text.clone());
    let next = waiting(world.look_at(&*step, &journal, at(1515)).await);
    assert_eq!(text, next, "the text is stable");
}

#[tokio::test]
async fn at_ipl_seconds_the_clone_is_never_ready() {
    let world = world();
    let step = step("USER", "await-clone", &world);
    world.clone_state(PartitionState::Running, "C9002A10");
    let at = |seconds| start() + TimeDelta::seconds(seconds);
    waiting(world.look_at(&*step, &under_way(), at(7199)).await);
    let (reason, text) = broken(world.look_at(&*step, &under_way(), at(7200)).await);
    assert_eq!(reason, "CloneNeverReady");
    assert!(text.contains("C9002A10"), "{text}");
    assert!(step.limit().as_secs() > 7200, "the step itself says why");
}

#[tokio::test]
async fn a_failed_personality_and_jobs_that_are_not_held_stop_the_run() {
    let world = world();
    let step = step("USER", "await-clone", &world);
    ready(&world, &[("jobsScheduled", "3")]);
    let (reason, text) = broken(world.look(&*step, &under_way()).await);
    assert_eq!(reason, "SchedulesNotHeld");
    assert!(text.starts_with('3'), "{text}");
    for changes in [
        [("js1", "Active"), ("js1Monitors", "1")],
        [("js1", "Held"), ("js1Monitors", "1")],
        [("js1", "Unknown"), ("js1Monitors", "0")],
        [("js1", "-"), ("js1Monitors", "-")],
    ] {
        ready(&world, &changes);
        let (reason, text) = broken(world.look(&*step, &under_way()).await);
        assert_eq!(reason, "SchedulesNotHeld");
        assert!(text.contains("ENDJS"), "{text}");
    }
    world.system("clone", |s| {
        let marker = record(&[
            ("runToken", TOKEN),
            ("state", "FAILED"),
            ("failed", "add-interfaces"),
            ("failedId", "TCP1B12"),
        ]);
        s.files.insert(MARKER_PATH.into(), marker);
    });
    let (reason, text) = broken(world.look(&*step, &under_way()).await);
    assert_eq!(reason, "PersonalityFailed");
    assert!(
        text.contains("add-interfaces") && text.contains("TCP1B12"),
        "{text}"
    );
}
