//! Messages that BRMS's own jobs wait for, answered by a person through the run: on the clone and on production, in a step
//! and when production's release is only owed (row 10 of the failure catalogue).

use super::{BRMS, known_saves, ready_to_save, state};
use crate::failures::replies::{asked, reply};
use crate::failures::stage::{Stage, says_all};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ibmi::brms::BrmsState;
use serde_json::{Value, json};

const ENDPRC: &str = "INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)";

/// The job of this command asks once.
fn asks(stage: &Stage, partition: &str, command: &str) {
    let kind = FaultKind::Special("tape-not-ready".into());
    stage.fault(Device::IbmI, partition, command, kind, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_10_every_job_of_brms_is_answered_where_it_asks_and_goes_on() {
    let errands = [
        (
            "PROD",
            "freeze-backups",
            "INZBRM OPTION(*FLASHCOPY) STATE(*STRPRC)",
        ),
        (
            "CLONE1",
            "begin-backup",
            "INZBRM OPTION(*FLASHCOPY) STATE(*STRBKU)",
        ),
        ("CLONE1", "end-backup", "STRMNTBRM"),
        (
            "CLONE1",
            "end-backup",
            "INZBRM OPTION(*FLASHCOPY) STATE(*ENDBKU)",
        ),
        ("CLONE1", "return-history", "SAVLIB LIB(QUSRBRM)"),
        ("PROD", "return-history", "RSTLIB SAVLIB(QUSRBRM)"),
        ("PROD", "return-history", ENDPRC),
    ];
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    for (partition, _, command) in errands {
        asks(&stage, partition, command);
    }
    let run = stage.run(BRMS).await;
    let mut replies: Vec<Value> = Vec::new();
    let mut last = String::new();
    for (partition, step, command) in errands {
        let question = asked(&stage, &run, &last).await;
        assert!(
            question.system.contains(partition),
            "{command}: {question:?}"
        );
        let said = stage.says(&run, step, &question.key).await;
        says_all(&said, &["NeedsReply", "ibmi-clone reply"]);
        replies.push(reply(&question.key, "G"));
        stage.set(&run, json!({"replies": replies})).await;
        last = question.key;
    }
    stage.ended(&run).await.succeeded();
    assert_eq!(stage.effects("ibmi.PROD.reply.G"), 3);
    assert_eq!(stage.effects("ibmi.CLONE1.reply.G"), 4);
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

/// The run has failed and only owes ENDPRC, whose job asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_10_the_job_that_releases_production_is_answered_when_it_is_only_owed() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    asks(&stage, "PROD", ENDPRC);
    let refused = FaultKind::Refuse {
        code: "CMMVC6301E".into(),
        text: "The prepare failed.".into(),
    };
    stage.fault(Device::Array, "", "prestartfcconsistgrp", refused, u32::MAX);
    let run = stage.run(BRMS).await;
    let question = asked(&stage, &run, "").await;
    assert!(question.system.starts_with("source PROD"), "{question:?}");
    assert_eq!(state(&stage), Some(BrmsState::StartProcess));
    let answer = reply(&question.key, "G");
    stage.set(&run, json!({"replies": [answer]})).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Failed, "{}", end.message());
    assert_eq!(stage.effects("ibmi.PROD.reply.G"), 1);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}
