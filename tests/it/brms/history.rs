//! The history comes home: by restore, by merge, as a save file; and what keeps it from replacing production's.

use super::{BRMS, known_saves, ready_to_save, ready_to_save_at, state};
use crate::failures::stage::{condition, is, says_all};
use crate::server::Server;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ibmi::brms::{BrmsState, by_hand};
use macro_rules_attribute::apply;
use serde_json::json;

#[apply(on_both!)]
async fn a_restored_history_is_production_s_and_its_brms_works_again(server: Server) {
    let stage = ready_to_save_at(server, json!({})).await;
    let run = stage.run(BRMS).await;
    stage
        .says(&run, "run-function", "control group DAILY")
        .await;
    let frozen = stage
        .environment_until(BRMS, |s| is(s, "BackupsFrozen", "True"))
        .await;
    says_all(
        &condition(&frozen, "BackupsFrozen").1,
        &["frozen since", &run, "source-status"],
    );
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    let status = end.0.status.as_ref().unwrap();
    let history = status.backup_history.as_ref().unwrap();
    assert_eq!(
        (history.state.as_str(), &history.save_file),
        ("restored", &None)
    );
    assert_eq!(status.state.as_deref(), Some("BRMS_END"));
    // 20 s and 10 s of the two groups, and what lies between them; without maintenance (5 s) and history.
    let save = status.save.as_deref().unwrap();
    assert!(("0:30".."0:35").contains(&save), "{save}");
    assert!(
        status.logs.iter().any(|l| l.kind == "brms"),
        "{:?}",
        status.logs
    );
    for reason in ["BackupsFrozen", "BackupsReleased"] {
        stage.until_event(&run, reason).await;
    }
    stage
        .environment_until(BRMS, |s| is(s, "BackupsFrozen", "False"))
        .await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merged_history_is_production_s() {
    let block = json!({"history": "Merge", "flashTime": true});
    let Some(stage) = ready_to_save(block).await else {
        return;
    };
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(stage.effects("brms.PROD.merged"), 1);
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_is_not_wanted_is_kept_as_a_save_file() {
    let block = json!({"history": "None", "maintenance": false});
    let Some(stage) = ready_to_save(block).await else {
        return;
    };
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    let history = end.0.status.as_ref().unwrap().backup_history.clone();
    let file = history.unwrap().save_file.unwrap();
    let kept = stage.world(|w| {
        let disk = ibmi_clone_operator::simulators::ibmi::disk_of(w, "PROD").unwrap();
        disk.save_files.get(&file).map(Vec::len)
    });
    assert!(kept.is_some_and(|bytes| bytes > 0), "{file}: {kept:?}");
    assert!(known_saves(&stage).is_empty());
    // A person who wants no history protects the volumes himself.
    super::protect(&stage, "VOL001 VOL002");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_that_was_changed_meanwhile_is_not_replaced() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let run = stage.run(BRMS).await;
    stage
        .says(&run, "run-function", "control group DAILY")
        .await;
    // Somebody works on frozen production.
    stage.world(|w| {
        let now = w.now;
        by_hand(w, "PROD", |b| {
            b.changed.insert("QA1AMM *FILE".to_owned(), now);
        });
    });
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Warning, "{}", end.message());
    says_all(
        end.message(),
        &["BackupHistoryKept", "INZBRM OPTION(*MERGE)"],
    );
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    assert!(known_saves(&stage).is_empty());
    super::protect(&stage, "VOL001 VOL002");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_file_that_is_cut_on_its_way_is_carried_again() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let path = "GET /QSYS.LIB/IBMICLONE.LIB";
    stage.fault(Device::IbmI, "CLONE1", path, FaultKind::Refused, 2);
    let run = stage.run(BRMS).await;
    stage.ended(&run).await.succeeded();
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_qusrbrm_is_restored_when_the_lock_is_gone() {
    let Some(stage) = ready_to_save(json!({})).await else {
        return;
    };
    let locked = FaultKind::Refuse {
        code: "CPF3781".into(),
        text: "Library QUSRBRM not restored, objects are locked.".into(),
    };
    stage.fault(Device::IbmI, "PROD", "RSTLIB", locked, 1);
    let run = stage.run(BRMS).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    stage.unharmed().await;
}
