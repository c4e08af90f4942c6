//! The clone: started by a person, never reachable, answering as production, its job waiting for a reply.

use super::stage::{Stage, USER, as_it_is, environments, says_all};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::hmc::start_by_hand;
use ibmi_clone_operator::simulators::ibmi::file::ProgramResult;
use ibmi_clone_operator::simulators::ibmi::set_identity;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::site::Identity;
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
    let words = ["CLONE1", "somebody else switched it on", "run again"];
    end.is(Phase::Failed, "CloneStartedByOthers", &words);
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 0);
    assert_eq!(stage.effects("array.startfcconsistgrp"), 0);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clone_that_never_answers_is_reported_with_code_and_address() {
    // The clone takes an address of its own that is not the one of clone.host.
    let change = environments(|s| {
        s["clone"]["personality"]["interfaces"][0]["address"] = json!("10.0.8.99");
        s["timeouts"]["iplSeconds"] = json!(240);
    });
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    stage.ready(USER).await;
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
async fn clone_that_answers_as_production_is_left_at_once() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    stage.at_step(&run, "map-volumes").await;
    stage.world(|w| set_identity(w, "CLONE1", Identity::new("78ABCD0", 3)));
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "CloneIsProduction", &["78ABCD0", "3"]);
    assert_eq!(stage.effects("ibmi.CLONE1.job.CLNLIB/MYSAVE"), 0);
    let commands = stage.world(|w| {
        let all = w.ledger.effects.keys();
        let jobs = all.filter(|k| k.starts_with("ibmi.CLONE1.SBMJOB"));
        jobs.cloned().collect::<Vec<_>>()
    });
    assert!(commands.is_empty(), "{commands:?}");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn job_in_msgw_is_shown_until_its_time_is_over() {
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
        &["waits for an answer to", "answer it on the clone"],
    );
    let end = stage.ended(&run).await;
    end.is(
        Phase::Failed,
        "StepTimedOut",
        &["run-function", "NeedsReply"],
    );
    stage.unharmed().await;
}
