//! The clone: started by a person, never reachable, answering as production, its job waiting for a reply.

use super::stage::{Stage, USER, as_it_is, environments, says_all};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::hmc::start_by_hand;
use ibmi_clone_operator::simulators::ibmi::file::ProgramResult;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clone_switched_on_between_stop_and_copy_stops_the_run_before_the_freeze() {
    let devices = |w: &mut WorldFile| w.knobs.prepare_milliseconds = 90_000;
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    stage.says(&run, "prepare-copy", "flushes").await;
    stage.world(|w| start_by_hand(w, "CLONE1"));
    let end = stage.ended(&run).await;
    let words = [
        "CLONE1",
        "somebody started it",
        "switch it off and run again",
    ];
    end.is(Phase::Failed, "CloneStartedByOthers", &words);
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 0);
    assert_eq!(stage.effects("array.startfcconsistgrp"), 0);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_07_clone_that_never_answers_is_reported_with_code_and_address() {
    let change = environments(|s| s["timeouts"]["iplSeconds"] = json!(240));
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    stage.ready(USER).await;
    stage.fault(
        Device::IbmI,
        "CLONE1",
        "LOGIN",
        FaultKind::Refused,
        u32::MAX,
    );
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    let address = stage.site.endpoints.ssh["10.0.8.21"].ip().to_string();
    let words = [
        "CLONE1",
        "not ready 240 s after its activation",
        "timeouts.iplSeconds",
        "code 00000000",
        address.as_str(),
        "look at its console",
    ];
    end.is(Phase::Failed, "CloneNeverReady", &words);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_06_clone_that_answers_as_production_is_left_at_once() {
    // clone.host leads to an address that production has taken.
    let devices = |w: &mut WorldFile| {
        let production = w.systems.iter_mut().find(|s| s.partition == "PROD");
        let second = json!({"address": "10.0.8.21"});
        let second = serde_json::from_value(second).unwrap();
        production.unwrap().interfaces.push(second);
    };
    let change = environments(|s| {
        s["clone"]["personality"]["interfaces"][0]["address"] = json!("10.0.8.99");
    });
    let Some(stage) = Stage::new(devices, change).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "CloneIsProduction", &["78ABCD0", "3"]);
    // Nothing was submitted to whoever answered.
    let submitted = stage.world(|w| {
        let all = w.ledger.effects.keys();
        all.filter(|k| k.contains("SBMJOB"))
            .cloned()
            .collect::<Vec<_>>()
    });
    assert!(submitted.is_empty(), "{submitted:?}");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_10_job_in_msgw_is_shown_until_its_time_is_over() {
    let devices = |w: &mut WorldFile| {
        for program in w.systems.iter_mut().flat_map(|s| &mut s.programs) {
            program.result = ProgramResult::Msgw;
        }
    };
    let change = environments(|s| s["timeouts"]["functionSeconds"] = json!(300));
    let Some(stage) = Stage::new(devices, change).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let message = stage.says(&run, "run-function", "NeedsReply").await;
    says_all(
        &message,
        &[
            "waits for an answer to",
            "ibmi-clone reply",
            "on the clone CLONE1",
        ],
    );
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "FunctionOverrun", &["NeedsReply"]);
    stage.unharmed().await;
}
