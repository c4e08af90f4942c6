//! The full save before the personality, end to end: the good run, and what a person finds in the morning when the
//! restricted state, the tape, the job or the network did not come to an end as they should.

use super::stage::{Stage, USER, as_it_is, environments, says_all};
use crate::server::Server;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::{EntryState, Phase};
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::hmc::stop_by_hand;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use kube::api::Patch;
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// A drive that the clone reaches, and two cartridges, one of which may not be overwritten yet.
pub fn tapes(world: &mut WorldFile) {
    world.tapes = serde_json::from_value(json!({
        "drives": [{"device": "TAP01"}],
        "cartridges": [{"volume": "VOL001"}, {"volume": "OLD001", "unexpiredDays": 30}],
    }))
    .unwrap();
}

/// The night's environment saves the whole system instead.
pub fn saves(spec: &mut Value) {
    if spec["function"] == "USER" {
        spec["function"] = json!("SAVE21");
        spec.as_object_mut().unwrap().remove("user");
        spec["save21"] = json!({"device": "TAP01", "volumes": ["VOL001"]});
    }
}

/// Five minutes of the devices until nobody waits any more.
fn impatient(spec: &mut Value) {
    saves(spec);
    spec["timeouts"]["functionSeconds"] = json!(300);
}

async fn stage(devices: impl FnOnce(&mut WorldFile), change: impl Fn(&mut Value)) -> Option<Stage> {
    Some(stage_at(Server::real().await?, devices, change).await)
}

async fn stage_at(
    server: Server,
    devices: impl FnOnce(&mut WorldFile),
    change: impl Fn(&mut Value),
) -> Stage {
    let devices = |w: &mut WorldFile| {
        tapes(w);
        devices(w);
    };
    let stage = Stage::at(server, devices, environments(change)).await;
    stage.ready(USER).await;
    stage
}

async fn set(stage: &Stage, run: &str, spec: Value) {
    let change = json!({"spec": spec});
    let runs = stage.runs();
    let patch = Patch::Merge(&change);
    runs.patch(run, &Default::default(), &patch).await.unwrap();
}

fn special(word: &str) -> FaultKind {
    FaultKind::Special(word.into())
}

/// The clone is as the save has left it: on, on this run's image, and no power command came after its start.
fn untouched_clone(stage: &Stage) {
    let on = stage.world(|w| w.systems["CLONE1"].image().is_some());
    assert!(on, "the clone is off");
    let power: u64 = stage.world(|w| {
        let all = w.ledger.effects.iter();
        let offs = all.filter(|(k, _)| k.starts_with("hmc.PowerOff") && k.ends_with(".CLONE1"));
        offs.map(|(_, n)| *n).sum()
    });
    assert_eq!(power, 0, "the first run found the clone off");
    assert_eq!(stage.effects("array.stopfcconsistgrp"), 0);
}

/// A save that no run waits for any more is not switched off by the next one either.
async fn the_next_run_leaves_it(stage: &Stage) {
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    let words = ["A9003C70", "never switched off", "at the console"];
    end.is(Phase::Failed, "CloneSaves", &words);
    untouched_clone(stage);
}

fn kinds(run: &CloneRun) -> Vec<String> {
    let logs = run.status.as_ref().unwrap().logs.iter();
    logs.map(|l| l.kind.clone()).collect()
}

#[apply(on_both!)]
async fn the_whole_system_is_saved_first_and_the_log_comes_back_over_the_clones_own_network(
    server: Server,
) {
    // Long enough to be seen: a look at an address that does not answer takes five seconds of ours.
    let slow = |w: &mut WorldFile| w.knobs.save_libraries_milliseconds = 600_000;
    let stage = stage_at(server, slow, saves).await;
    let run = stage.run(USER).await;
    let message = stage
        .says(&run, "run-function", "saves in restricted state")
        .await;
    says_all(&message, &["A9003C70", "no network until it is done"]);
    let end = stage.ended(&run).await;
    end.succeeded();
    let status = end.0.status.as_ref().unwrap();
    assert_eq!(status.state.as_deref(), Some("SAVE21_END"));
    // By the clone's clock: the delay before ENDSBS, the restricted state, four commands of 10 minutes and 35 seconds.
    let save = status.save.clone().unwrap();
    assert!(save.starts_with("10:") || save.starts_with("11:"), "{save}");
    assert!(status.prepare_on_clone.is_some());
    let found = kinds(&end.0);
    for kind in ["steps", "joblog", "history"] {
        assert!(found.iter().any(|k| k == kind), "{kind}: {found:?}");
    }
    assert_eq!(stage.effects("ibmi.CLONE1.job.SAVE21"), 1);
    let files = stage.world(|w| w.tapes.cartridges["VOL001"].files.len());
    assert_eq!(files, 4);
    // The next run switches that clone off, and saves its own image.
    let next = stage.run(USER).await;
    stage.ended(&next).await.succeeded();
    assert_eq!(stage.effects("ibmi.CLONE1.job.SAVE21"), 2);
    stage.unharmed().await;
}

/// Row 15 of the failure catalogue, and the tape nobody can make ready: at the console they look the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_state_that_does_not_end_is_an_unknown_outcome_and_the_clone_is_left() {
    for tape in [false, true] {
        let devices = |w: &mut WorldFile| w.knobs.restricted_state_ends = tape;
        let change = |s: &mut Value| {
            impatient(s);
            if s["function"] == "SAVE21" {
                s["after"] = json!({"clone": "PowerOff", "image": "End", "onFailure": "Apply"});
            }
        };
        let Some(stage) = stage(devices, change).await else {
            return;
        };
        if tape {
            let kind = special("tape-not-ready");
            stage.fault(Device::IbmI, "CLONE1", "SAVSYS", kind, 1);
        }
        let run = stage.run(USER).await;
        let end = stage.ended(&run).await;
        let words = [
            "CLONE1",
            "timeouts.functionSeconds (300)",
            "A9003C70",
            "left as it is",
            "look at its console and its tape drive",
        ];
        end.is(Phase::Failed, "OutcomeUnknown", &words);
        assert_eq!(end.step("power-off-clone").state, EntryState::Pending);
        untouched_clone(&stage);
        the_next_run_leaves_it(&stage).await;
        stage.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_never_comes_back_is_an_unknown_outcome_and_the_clone_is_left() {
    let Some(stage) = stage(|_| {}, impatient).await else {
        return;
    };
    let kind = FaultKind::Refuse {
        code: "lines".into(),
        text: "CPF2702".into(),
    };
    stage.fault(Device::IbmI, "CLONE1", "PERSON", kind, 1);
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    let words = ["does not answer", "/ibmiclone/result", "console"];
    end.is(Phase::Failed, "OutcomeUnknown", &words);
    // The save was good; only the console knows.
    assert_eq!(stage.effects("ibmi.CLONE1.SAVE21-SUCCEEDED"), 1);
    untouched_clone(&stage);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_ended_in_the_middle_is_a_failed_save_and_is_not_begun_again() {
    let Some(stage) = stage(|_| {}, saves).await else {
        return;
    };
    stage.fault(Device::IbmI, "CLONE1", "SAVDLO", special("job-ends"), 1);
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    let words = [
        "SAVDLO",
        "CLN0502",
        "not begun a second time",
        "do not rely",
    ];
    end.is(Phase::Failed, "FunctionFailed", &words);
    assert_eq!(end.step("collect-logs").state, EntryState::Done);
    assert!(kinds(&end.0).iter().any(|k| k == "joblog"));
    assert_eq!(stage.effects("ibmi.CLONE1.job.SAVE21"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_state_that_is_not_reached_and_an_unexpired_tape_are_told_by_the_clone() {
    let slow = |w: &mut WorldFile| w.knobs.restricted_state_milliseconds = 200_000;
    let short = |s: &mut Value| {
        saves(s);
        if s["function"] == "SAVE21" {
            s["save21"]["restrictedStateSeconds"] = json!(30);
        }
    };
    let Some(first) = stage(slow, short).await else {
        return;
    };
    let run = first.run(USER).await;
    let end = first.ended(&run).await;
    let words = ["CLN0503", "save21.restrictedStateSeconds"];
    end.is(Phase::Failed, "FunctionFailed", &words);
    assert_eq!(first.effects("ibmi.CLONE1.SAVSYS"), 0);
    first.unharmed().await;
    let old = |s: &mut Value| {
        saves(s);
        if s["function"] == "SAVE21" {
            s["save21"]["volumes"] = json!(["OLD001"]);
        }
    };
    let Some(second) = stage(|_| {}, old).await else {
        return;
    };
    let run = second.run(USER).await;
    let end = second.ended(&run).await;
    end.is(Phase::Failed, "FunctionFailed", &["SAVSYS", "OLD001"]);
    let files = second.world(|w| w.tapes.cartridges["OLD001"].files.len());
    assert_eq!(files, 1, "what may not be overwritten is still there");
    second.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_that_a_person_switches_off_while_it_saves_went_down() {
    let slow = |w: &mut WorldFile| w.knobs.save_libraries_milliseconds = 36_000_000;
    let Some(stage) = stage(slow, saves).await else {
        return;
    };
    let run = stage.run(USER).await;
    stage
        .says(&run, "run-function", "saves in restricted state")
        .await;
    stage.world(|w| stop_by_hand(w, "CLONE1"));
    let end = stage.ended(&run).await;
    let words = ["somebody switched it off", "do not rely on the tapes"];
    end.is(Phase::Failed, "CloneWentDown", &words);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_while_it_saves_leaves_it_and_a_stop_waits_for_it() {
    for cancel in ["Abort", "Stop"] {
        let slow = |w: &mut WorldFile| w.knobs.save_libraries_milliseconds = 1_800_000;
        let Some(stage) = stage(slow, saves).await else {
            return;
        };
        let run = stage.run(USER).await;
        stage
            .says(&run, "run-function", "saves in restricted state")
            .await;
        set(&stage, &run, json!({"cancel": cancel})).await;
        let end = stage.ended(&run).await;
        if cancel == "Abort" {
            let words = ["nobody ended it", "do not switch the clone off"];
            end.is(Phase::Cancelled, "Aborted", &words);
            untouched_clone(&stage);
            the_next_run_leaves_it(&stage).await;
        } else {
            let words = ["stopped after run-function", "clone and image stay"];
            end.is(Phase::Cancelled, "Stopped", &words);
            assert_eq!(end.step("collect-logs").state, EntryState::Done);
            assert!(kinds(&end.0).iter().any(|k| k == "joblog"));
        }
        // It goes on to its end, whatever became of the run.
        stage.until_effects("ibmi.CLONE1.SAVE21-SUCCEEDED", 1).await;
        stage.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_before_and_in_the_freeze_starts_no_save() {
    for (step, cancel) in [("stop-clone", "Stop"), ("prepare-copy", "Abort")] {
        let slow = |w: &mut WorldFile| w.knobs.prepare_milliseconds = 60_000;
        let Some(stage) = stage(slow, saves).await else {
            return;
        };
        let run = stage.run(USER).await;
        stage.at_step(&run, step).await;
        set(&stage, &run, json!({"cancel": cancel})).await;
        let end = stage.ended(&run).await;
        assert_eq!(end.outcome().0, Phase::Cancelled, "{}", end.message());
        assert_eq!(stage.effects("ibmi.CLONE1.job.SAVE21"), 0);
        stage.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drive_that_production_has_no_description_of_makes_a_warning_before_anything() {
    let change = |s: &mut Value| {
        saves(s);
        if s["function"] == "SAVE21" {
            s["save21"]["device"] = json!("TAP99");
        }
    };
    let Some(stage) = stage(as_it_is, change).await else {
        return;
    };
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "FunctionFailed", &["SAVSYS", "TAP99"]);
    let journal = end.0.status.as_ref().unwrap().journal.as_ref().unwrap();
    let told = journal.warnings.iter().find(|w| w.contains("TAP99"));
    assert!(
        told.is_some_and(|w| w.contains("create TAP99 on source PROD")),
        "{:?}",
        journal.warnings
    );
    stage.unharmed().await;
}
