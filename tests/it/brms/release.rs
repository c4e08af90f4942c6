//! Production's BRMS is released on every path: rows 17 and 18 of the failure catalogue, cancel in each phase, a person.

use super::{
    BRMS, known_saves, owes_release, protect, ready_to_save, ready_to_save_at, saving, set, state,
    with,
};
use crate::failures::end::message_of;
use crate::failures::stage::{Stage, says_all};
use crate::server::Server;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::hmc::stop_by_hand;
use ibmi_clone_operator::simulators::ibmi::brms::{BrmsState, by_hand};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use macro_rules_attribute::apply;
use serde_json::json;

#[apply(on_both!)]
async fn row_17_a_failure_behind_the_freeze_releases_production_at_once(server: Server) {
    let stage = ready_to_save_at(server, json!({})).await;
    let refused = FaultKind::Refuse {
        code: "CMMVC6301E".into(),
        text: "The prepare failed.".into(),
    };
    stage.fault(Device::Array, "", "prestartfcconsistgrp", refused, u32::MAX);
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Failed, "{}", end.message());
    assert_eq!(stage.effects("array.startfcconsistgrp"), 0);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

/// Row 18: the save file cannot be carried; production waits for it, then a person releases it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_18_a_history_that_cannot_be_carried_lists_the_volumes_to_protect() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let path = "GET /QSYS.LIB/IBMICLONE.LIB";
    stage.fault(Device::IbmI, "CLONE1", path, FaultKind::Refused, u32::MAX);
    let run = stage.run(BRMS).await;
    stage.at_step(&run, "return-history").await;
    stage
        .until(&run, |r| {
            let message = message_of(r, "return-history");
            message.contains("outcome unknown") || message.contains("cannot be reached")
        })
        .await;
    assert_eq!(state(&stage), Some(BrmsState::StartProcess), "still frozen");
    set(&stage, &run, json!({"releaseBackups": true})).await;
    let end = stage.ended(&run).await;
    let words = ["VOL001", "VOL002", "protect these volumes"];
    end.is(Phase::Failed, "BackupHistoryMissing", &words);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    protect(&stage, end.message());
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brms_that_is_in_a_process_of_somebody_else_is_left_in_it() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    stage.world(|w| {
        by_hand(w, "PROD", |b| b.state = BrmsState::StartProcess);
    });
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    end.is(
        Phase::Failed,
        "BackupsNotFrozen",
        &["*ENDPRC", "nothing was copied"],
    );
    assert_eq!(state(&stage), Some(BrmsState::StartProcess));
    assert_eq!(stage.effects("array.startfcconsistgrp"), 0);
    stage.unharmed().await;
}

/// Before the freeze nothing is owed; behind it production is released; a save is left and its history comes home.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_each_phase_releases_production() {
    let cases = [
        ("stop-clone", "Abort"),
        ("freeze-backups", "Stop"),
        ("map-volumes", "Abort"),
        ("await-clone", "Abort"),
        ("run-function", "Stop"),
        ("run-function", "Abort"),
        ("return-history", "Abort"),
    ];
    for (at, how) in cases {
        let Some(stage) = ready_to_save(json!({})).await else {
            return;
        };
        let run = stage.run(BRMS).await;
        stage.at_step(&run, at).await;
        set(&stage, &run, json!({"cancel": how})).await;
        let end = stage.ended(&run).await;
        assert_eq!(
            end.outcome().0,
            Phase::Cancelled,
            "{at} {how}: {}",
            end.message()
        );
        assert_eq!(state(&stage), Some(BrmsState::Normal), "{at} {how}");
        assert!(!owes_release(&end.0), "{at} {how}");
        let saved = stage.effects("brms.CLONE1.saved");
        assert_eq!(saved > 0, !known_saves(&stage).is_empty(), "{at} {how}");
        stage.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_run_that_saves_waits_for_its_history() {
    let devices = |w: &mut WorldFile| with(w, |b| b.control_groups[0].seconds = 600);
    let Some(stage) = Stage::new(devices, saving(json!({"controlGroups": ["DAILY"]}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    let run = stage.run(BRMS).await;
    stage
        .says(&run, "run-function", "control group DAILY")
        .await;
    stage.delete(&run).await;
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    assert_eq!(known_saves(&stage), ["DAILY"]);
    stage.unharmed().await;
}

/// Its job is found by its name, whether the answer came or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_answer_is_lost_is_not_sent_twice() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let lost = FaultKind::AnswerLost;
    stage.fault(Device::IbmI, "PROD", "SBMJOB CMD(INZBRM", lost, 2);
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    let twice = stage.world(|w| {
        let jobs = w.ledger.effects.iter();
        let mut jobs = jobs.filter(|(kind, _)| kind.contains(".job.C"));
        jobs.any(|(_, count)| *count > 1)
    });
    assert!(!twice);
    stage.unharmed().await;
}

/// BRMS commands in the wrong order: somebody has typed ENDPRC on production while its clone saves. The run's own is refused
/// for ever then, and nothing but a person's word tells why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_ended_by_hand_is_let_go_by_a_persons_word_and_the_history_is_kept() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let run = stage.run(BRMS).await;
    stage
        .says(&run, "run-function", "control group DAILY")
        .await;
    stage.world(|w| {
        let now = w.now;
        by_hand(w, "PROD", |b| {
            b.state = BrmsState::Normal;
            b.changed.insert("QA1AMM *FILE".to_owned(), now);
        });
    });
    let said = stage.says(&run, "return-history", "BRM40FD").await;
    says_all(&said, &["BRMS leaves its FlashCopy process", "tried again"]);
    set(&stage, &run, json!({"releaseBackups": true})).await;
    let end = stage.ended(&run).await;
    let words = ["counts as released", "VOL001", "VOL002"];
    end.is(Phase::Failed, "BackupHistoryMissing", &words);
    assert!(!owes_release(&end.0));
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    protect(&stage, end.message());
    stage.unharmed().await;
}

/// The clone cannot be asked for its history any more, nor for its volumes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clone_that_a_person_switches_off_while_it_saves_leaves_production_to_a_persons_word() {
    let devices = |w: &mut WorldFile| with(w, |b| b.control_groups[0].seconds = 600);
    let Some(stage) = Stage::new(devices, saving(json!({"controlGroups": ["DAILY"]}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    let run = stage.run(BRMS).await;
    stage
        .says(&run, "run-function", "control group DAILY")
        .await;
    stage.world(|w| stop_by_hand(w, "CLONE1"));
    let failed = |r: &CloneRun| {
        let status = r.status.as_ref();
        status.is_some_and(|s| s.reason.as_deref() == Some("CloneWentDown"))
    };
    stage.until(&run, failed).await;
    assert_eq!(state(&stage), Some(BrmsState::StartProcess), "still frozen");
    set(&stage, &run, json!({"releaseBackups": true})).await;
    let end = stage.ended(&run).await;
    let words = [
        "before that: CloneWentDown",
        "could not be read from the clone",
    ];
    end.is(Phase::Failed, "BackupHistoryMissing", &words);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    assert!(known_saves(&stage).is_empty());
    protect(&stage, "VOL001 VOL002 VOL003");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_s_word_is_taken_only_while_the_release_is_owed() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let run = stage.run(BRMS).await;
    stage.ended(&run).await.succeeded();
    let change = json!({"spec": {"releaseBackups": true}});
    let patch = kube::api::Patch::Merge(&change);
    let runs = stage.runs();
    let no = runs.patch(&run, &Default::default(), &patch).await;
    says_all(
        &no.unwrap_err().to_string(),
        &[
            "spec.releaseBackups",
            "does not hold production's BRMS frozen",
        ],
    );
    stage.unharmed().await;
}
