//! The history comes home: by restore, by merge, as a save file; and what keeps it from replacing production's.

use super::{BRMS, known_saves, ready_to_save, saving, state, with, with_brms};
use crate::failures::stage::{End, Stage, condition, is, says_all};
use crate::server::Server;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ibmi::brms::{BrmsState, by_hand};
use ibmi_clone_operator::simulators::ibmi::disk_of;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use macro_rules_attribute::apply;
use serde_json::json;

/// Where production gets row and logs.
const LOGS: &str = "/home/ibmiclone/logs";

/// Who looks on production in the morning finds row and logs there, and one message in QSYSOPR.
fn assert_told(stage: &Stage) {
    let (files, told) = stage.world(|w| {
        let disk = disk_of(w, "PROD").unwrap();
        let files: Vec<String> = disk.files.keys().cloned().collect();
        let queue = disk.operator_queue.iter();
        let told: Vec<String> = queue.map(|m| m.text.clone()).collect();
        (files, told)
    });
    for kind in ["row", "steps", "joblog", "joblog-2", "history", "brms"] {
        let of_kind = |f: &&String| {
            f.starts_with(&format!("{LOGS}/ibmiclone-{BRMS}-000001-"))
                && f.ends_with(&format!("-{kind}.jsonl"))
        };
        assert_eq!(files.iter().filter(of_kind).count(), 1, "{kind}: {files:?}");
    }
    let ours: Vec<&String> = told.iter().filter(|t| t.starts_with("IBMICLONE")).collect();
    assert_eq!(ours.len(), 1, "{told:?}");
    says_all(ours[0], &[&format!("{BRMS}/1 BRMS_END")]);
}

/// The volumes that a person has to protect, as the row names them.
fn named(end: &End) -> String {
    let history = end.0.status.as_ref().unwrap().backup_history.clone();
    history.unwrap().protect.unwrap()
}

#[apply(on_both!)]
async fn a_restored_history_is_production_s_and_its_brms_works_again(server: Server) {
    let saves = saving(json!({}));
    let told = move |object: &mut serde_json::Value| {
        saves(object);
        if object["metadata"]["name"] == BRMS && object["kind"] == "CloneEnvironment" {
            object["spec"]["logs"] = json!({"onSource": {"directory": LOGS}});
        }
    };
    let stage = Stage::at(server, with_brms, told).await;
    stage.ready(BRMS).await;
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
        (history.state.as_str(), &history.save_file, &history.protect),
        ("restored", &None, &None)
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
    assert_told(&stage);
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
    let told = stage.world(|w| {
        let disk = disk_of(w, "PROD").unwrap();
        let saves = disk.brms.iter().flat_map(|b| &b.history);
        saves.map(|h| h.flash_time.clone()).collect::<Vec<_>>()
    });
    assert!(
        !told.is_empty() && told.iter().all(Option::is_some),
        "{told:?}"
    );
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
        let disk = disk_of(w, "PROD").unwrap();
        disk.save_files.get(&file).map(Vec::len)
    });
    assert!(kept.is_some_and(|bytes| bytes > 0), "{file}: {kept:?}");
    assert!(known_saves(&stage).is_empty());
    // A person who wants no history protects the volumes himself; the row names them.
    super::protect(&stage, &named(&end));
    stage.unharmed().await;
}

/// Somebody works with BRMS on frozen production.
fn work_on_production(stage: &Stage) {
    stage.world(|w| {
        let now = w.now;
        by_hand(w, "PROD", |b| {
            b.changed.insert("QA1AMM *FILE".to_owned(), now);
        });
    });
}

/// Production's BRMS was not replaced: the run is a Warning, and names the volumes that a person protects then.
fn assert_kept(stage: &Stage, end: &End) {
    assert_eq!(end.outcome().0, Phase::Warning, "{}", end.message());
    says_all(end.message(), &["BackupHistoryKept"]);
    assert!(known_saves(stage).is_empty());
    super::protect(stage, &named(end));
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
    work_on_production(&stage);
    let end = stage.ended(&run).await;
    assert_kept(&stage, &end);
    says_all(end.message(), &["INZBRM OPTION(*MERGE)"]);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

/// The time of an object may stand still while its records change: the members tell, and it is not replaced either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_production_whose_objects_do_not_tell_is_not_replaced_when_its_records_have_changed() {
    let devices = |w: &mut WorldFile| {
        with(w, |b| {
            b.knobs.object_change_follows_records = false;
        });
    };
    let Some(stage) = Stage::new(devices, saving(json!({}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    let run = stage.run(BRMS).await;
    stage
        .says(&run, "run-function", "control group DAILY")
        .await;
    work_on_production(&stage);
    let end = stage.ended(&run).await;
    assert_kept(&stage, &end);
    stage.unharmed().await;
}

/// Broken off before its first byte and in the middle of being read; in the middle of being written, and written short by
/// a system that calls that a success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_file_that_is_cut_on_its_way_is_carried_again() {
    let devices = |w: &mut WorldFile| {
        with(w, |b| {
            b.control_groups[0].seconds = 120;
            b.knobs.library_kib = 1024;
            // Its members alone prove that nothing has changed.
            b.knobs.object_change_follows_records = false;
        });
    };
    let Some(stage) = Stage::new(devices, saving(json!({"controlGroups": ["DAILY"]}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    let special = |word: &str| FaultKind::Special(word.into());
    let read = ("CLONE1", "GET /QSYS.LIB/IBMICLONE.LIB");
    let written = ("PROD", "PUT /ibmiclone/C");
    for ((partition, operation), kinds) in [
        (read, [FaultKind::Refused, special("cut")]),
        (written, [special("cut"), special("short")]),
    ] {
        let run = stage.run(BRMS).await;
        stage.at_step(&run, "run-function").await;
        for kind in kinds {
            stage.fault(Device::IbmI, partition, operation, kind, 1);
        }
        stage.ended(&run).await.succeeded();
        let left = stage.world(|w| w.faults.take(Device::IbmI, partition, operation));
        assert_eq!(left, None, "each of them was met");
    }
    let carried = stage.world(|w| {
        let all = w.ledger.requests.iter().filter(|r| r.device == "PROD");
        all.filter(|r| r.operation.contains(".savf.part") && r.operation.contains("cat >"))
            .count()
    });
    assert_eq!(carried, 6, "each run has sent it three times");
    assert_eq!(known_saves(&stage), ["DAILY"]);
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
