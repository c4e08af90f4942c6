//! Several programs, hooks and `after`, end to end: good runs, and those in which one of them goes wrong.

use super::stage::{Stage, USER, as_it_is, environments};
use ibmi_clone_operator::controllers::run::logs::read_logs;
use ibmi_clone_operator::engine::journal::{EntryState, Phase};
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ibmi::file::{ProgramFile, ProgramResult};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::{Value, json};

/// The hooks' programs and the second one of the function, on production's disk.
pub fn programs(world: &mut WorldFile) {
    let systems = world.systems.iter_mut();
    for system in systems.filter(|s| s.partition == "PROD") {
        for name in ["QUIESCE", "RESTART", "PREPARE", "TIDY", "TELL", "SECOND"] {
            system.programs.push(ProgramFile {
                program: format!("CLNLIB/{name}"),
                seconds: Some(5),
                result: ProgramResult::Normal,
                messages: Vec::new(),
            });
        }
    }
}

/// Two programs and four points, three of them production's.
pub fn surrounded(spec: &mut Value) {
    if spec["function"] == "USER" {
        let second = json!({"program": "CLNLIB/SECOND"});
        spec["user"]["programs"]
            .as_array_mut()
            .unwrap()
            .push(second);
        spec["hooks"] = json!([
            {"at": "BeforeFreeze", "program": "CLNLIB/QUIESCE"},
            {"at": "AfterResume", "program": "CLNLIB/RESTART"},
            {"at": "CloneReady", "program": "CLNLIB/PREPARE"},
            {"at": "AfterFunction", "program": "CLNLIB/TIDY"},
            {"at": "Always", "program": "CLNLIB/TELL", "parameters": ["it's over"]},
        ]);
    }
}

/// Jobs of a run, each with how often it was submitted: `PROD C1_1_H` … by system and last part of the name.
fn jobs(stage: &Stage) -> Vec<String> {
    let effects = stage.world(|w| w.ledger.effects.clone());
    let job = |(kind, count): (String, u64)| {
        let (system, name) = kind.strip_prefix("ibmi.")?.split_once(".job.")?;
        let (_, role) = name.split_once('_')?;
        let role = role.split_once('_').map_or("first", |(_, role)| role);
        Some(format!("{system} {role} {count}"))
    };
    effects.into_iter().filter_map(job).collect()
}

pub fn worsen(world: &mut WorldFile, program: &str, result: ProgramResult) {
    let programs = world.systems.iter_mut().flat_map(|s| &mut s.programs);
    for found in programs.filter(|p| p.program == program) {
        found.result = result;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_two_programs_and_the_end_of_clone_and_image_make_one_row() {
    let change = environments(|s| {
        surrounded(s);
        if s["function"] == "USER" {
            s["after"] = json!({"clone": "PowerOff", "image": "End"});
        }
    });
    let Some(stage) = Stage::new(programs, change).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    let all = [
        "CLONE1 first 1",
        "CLONE1 2 1",
        "CLONE1 J 1",
        "CLONE1 K 1",
        "PROD H 1",
        "PROD I 1",
        "PROD L 1",
    ];
    assert_eq!(jobs(&stage), all);
    let status = end.0.status.as_ref().unwrap();
    // The image is gone with the run: both lengths have stopped, and nobody can start it any more.
    assert_eq!(status.state.as_deref(), Some("END_FC"));
    for length in [&status.partition_active, &status.flash_copy_active] {
        assert!(
            length.as_ref().is_some_and(|l| !l.contains("since")),
            "{length:?}"
        );
    }
    assert!(status.image.is_none());
    // 20 s and 5 s of the devices' clock, the first told by its system; what passed between is ours.
    assert!(status.save.is_some());
    let kinds: Vec<&str> = status.logs.iter().map(|l| l.kind.as_str()).collect();
    let hooks = (1..=5).map(|n| format!("joblog-hook-{n}"));
    let mut all = vec!["steps".to_owned(), "joblog".into(), "joblog-2".into()];
    all.extend(hooks);
    all.extend(["history".to_owned(), "devices".into()]);
    assert_eq!(kinds, all);
    let off = stage.world(|w| w.systems["CLONE1"].image().is_none());
    assert!(off, "the clone is on");
    assert_eq!(stage.effects("array.stopfcconsistgrp"), 1);
    // And the next run finds its way.
    let next = stage.run(USER).await;
    stage.ended(&next).await.succeeded();
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_before_freeze_hook_that_fails_stops_the_run_before_the_freeze_and_is_taken_back() {
    let devices = |w: &mut WorldFile| {
        programs(w);
        worsen(w, "CLNLIB/QUIESCE", ProgramResult::Abnormal);
    };
    let Some(stage) = Stage::new(devices, environments(surrounded)).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    let words = [
        "BeforeFreeze CLNLIB/QUIESCE",
        "PROD",
        "ended abnormally",
        "CEE9901",
    ];
    end.is(Phase::Failed, "HookFailed", &words);
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 0);
    assert_eq!(jobs(&stage), ["PROD H 1", "PROD I 1", "PROD L 1"]);
    assert_eq!(end.step("always").state, EntryState::Done);
    // MSG and ERR count what the failed hook has said, too: CEE9901 is its own.
    let status = end.0.status.as_ref().unwrap();
    let logs = read_logs(&stage.client, &stage.namespace, &run, None);
    let logs = logs.await.unwrap();
    let hooks = logs
        .iter()
        .filter(|(kind, _)| kind.as_str().starts_with("joblog"));
    let lines: usize = hooks.map(|(_, text)| text.lines().count()).sum();
    assert_eq!(status.messages, Some(i64::try_from(lines).unwrap()));
    assert!(status.errors.is_some_and(|n| n > 0), "{:?}", status.errors);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_resume_is_run_when_the_freeze_itself_fails() {
    let Some(stage) = Stage::new(programs, environments(surrounded)).await else {
        return;
    };
    stage.ready(USER).await;
    stage.fault(
        Device::Array,
        "",
        "startfcconsistgrp",
        FaultKind::Refused,
        1,
    );
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Failed, "{}", end.message());
    assert_eq!(jobs(&stage), ["PROD H 1", "PROD I 1", "PROD L 1"]);
    let owed = &end.0.status.as_ref().unwrap().obligations;
    assert!(owed.iter().all(|o| o.met.is_some()), "{owed:#?}");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_function_is_followed_by_after_where_apply_says_so() {
    let devices = |w: &mut WorldFile| worsen(w, "CLNLIB/MYSAVE", ProgramResult::Abnormal);
    let change = environments(|s| {
        if s["function"] == "USER" {
            s["after"] = json!({"clone": "PowerOff", "image": "End", "onFailure": "Apply"});
        }
    });
    let Some(stage) = Stage::new(devices, change).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "FunctionFailed", &["onFailure: Apply"]);
    assert_eq!(end.step("end-copy").state, EntryState::Done);
    assert_eq!(stage.image_owner("target set CLONE1").await, None);
    let status = end.0.status.as_ref().unwrap();
    assert_eq!(status.state.as_deref(), Some("ERROR"));
    assert!(status.image.is_none());
    assert!(stage.world(|w| w.systems["CLONE1"].image().is_none()));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mapped_hold_can_be_started_at_the_console() {
    use super::stage::HOLD;
    let change = environments(|s| {
        if s["function"] == "HOLD" {
            s["after"] = json!({"map": true});
        }
    });
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(end.step("map-volumes").state, EntryState::Done);
    stage.unharmed().await;
}
