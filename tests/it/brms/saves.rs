//! What the saves on the clone come to.

use super::{BRMS, known_saves, ready_to_save, saving, state, with, with_brms};
use crate::failures::stage::{Stage, says_all};
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ibmi::brms::{BrmsFile, BrmsState, GroupResult};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::json;

fn first_group(world: &mut WorldFile, result: GroupResult, severity: u8) {
    with(world, |b: &mut BrmsFile| {
        let group = &mut b.control_groups[0];
        group.result = result;
        group.messages = serde_json::from_value(json!([
            {"id": "CPF3770", "severity": severity, "kind": "DIAGNOSTIC", "text": "No objects saved for library X."}
        ]))
        .unwrap();
        b.knobs.ended_with_errors_severity = severity;
    });
}

/// Row 16 of the failure catalogue: a status that is not 0 may mean no more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_16_a_save_that_ended_with_warnings_is_a_warning() {
    let devices = |w: &mut WorldFile| first_group(w, GroupResult::Unsaved, 20);
    let Some(stage) = Stage::new(devices, saving(json!({}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Warning, "{}", end.message());
    says_all(end.message(), &["control group DAILY", "log brms"]);
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_16_a_save_that_ended_with_errors_fails_the_run_and_its_history_comes_home() {
    let devices = |w: &mut WorldFile| first_group(w, GroupResult::Unsaved, 40);
    let Some(stage) = Stage::new(devices, saving(json!({}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    let words = ["control group DAILY", "CPF3770"];
    end.is(Phase::Failed, "BackupFailed", &words);
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_group_that_does_not_exist_fails_the_run_and_the_others_are_saved() {
    let block = json!({"controlGroups": ["NOPE", "DAILY"]});
    let Some(stage) = ready_to_save(block).await else {
        return;
    };
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "BackupFailed", &["control group NOPE"]);
    assert_eq!(known_saves(&stage), ["DAILY"]);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_without_media_says_which() {
    let devices = |w: &mut WorldFile| {
        with(w, |b| {
            b.media.iter_mut().for_each(|m| m.active_days = 30);
        });
    };
    let Some(stage) = Stage::new(devices, saving(json!({}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    let words = ["control group DAILY", "BRM415A", "ULTRIUM"];
    end.is(Phase::Failed, "MediaUnavailable", &words);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

/// The tape is not ready: shown, answered through the run, and saved without a second SBMJOB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_10_a_save_that_waits_for_a_tape_is_answered_by_a_person() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let asks = FaultKind::Special("tape-not-ready".into());
    stage.fault(Device::IbmI, "CLONE1", "STRBKUBRM", asks, 1);
    let run = stage.run(BRMS).await;
    let asked = stage
        .until(&run, |r| {
            r.status.as_ref().is_some_and(|s| s.waiting.is_some())
        })
        .await;
    let status = asked.status.unwrap();
    let attention = status.conditions.iter();
    let attention = attention.filter(|c| c.type_ == "NeedsAttention");
    let attention: Vec<&str> = attention.map(|c| c.reason.as_str()).collect();
    assert_eq!(attention, ["NeedsReply"]);
    let question = status.waiting.unwrap();
    says_all(&question.message, &["CPA4278", "not ready"]);
    assert!(question.system.starts_with("clone CLONE1"), "{question:?}");
    let reply = json!({"key": question.key, "text": "G"});
    stage.set(&run, json!({"replies": [reply]})).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(stage.effects("ibmi.CLONE1.reply.G"), 1);
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    stage.unharmed().await;
}

/// No network while it saves: the console's code is all there is, and then the guard runs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_the_system_is_saved_in_the_restricted_state() {
    let block = json!({"controlGroups": ["*SYSGRP", "DAILY"]});
    let Some(stage) = ready_to_save(block).await else {
        return;
    };
    let run = stage.run(BRMS).await;
    stage.says(&run, "run-function", "A9003C70").await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(stage.effects("ibmi.CLONE1.restricted"), 1);
    assert_eq!(known_saves(&stage), ["*SYSGRP", "DAILY"]);
    stage.unharmed().await;
}

/// Row 15: attention and the time limit, and nobody switches the clone off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_15_a_restricted_state_that_never_ends_is_left_and_production_is_released() {
    let devices = |w: &mut WorldFile| {
        with_brms(w);
        w.knobs.restricted_state_ends = false;
    };
    let block = json!({"controlGroups": ["*SYSGRP"], "maxFrozenSeconds": 600});
    let change = saving(block);
    let change = move |object: &mut serde_json::Value| {
        change(object);
        if object["metadata"]["name"] == BRMS && object["kind"] == "CloneEnvironment" {
            object["spec"]["timeouts"] = json!({"functionSeconds": 300});
        }
    };
    let Some(stage) = Stage::new(devices, change).await else {
        return;
    };
    stage.ready(BRMS).await;
    let run = stage.run(BRMS).await;
    let failed = |r: &CloneRun| {
        let status = r.status.as_ref();
        status.is_some_and(|s| s.reason.as_deref() == Some("OutcomeUnknown"))
    };
    stage.until(&run, failed).await;
    stage.says(&run, "run-function", "A9003C70").await;
    // The hour that the history is waited for at least is too long for a test.
    super::set(&stage, &run, json!({"releaseBackups": true})).await;
    let end = stage.ended(&run).await;
    let words = ["before that: OutcomeUnknown"];
    end.is(Phase::Failed, "BackupHistoryMissing", &words);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    let off = stage.effects("hmc.PowerOff.CLONE1");
    assert_eq!(off, 0, "nobody switches a saving clone off");
    // What the clone knows cannot be asked: the message says so, and a person protects all of them.
    says_all(end.message(), &["could not be read from the clone"]);
    super::protect(&stage, "VOL001 VOL002 VOL003");
    stage.unharmed().await;
}
