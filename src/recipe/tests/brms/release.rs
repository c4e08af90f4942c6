//! Production's BRMS is released on every path, and when.

use super::*;

/// The clone is gone with the history: production is released when the time is up, and the run says what it does not know.
#[tokio::test]
async fn a_history_that_does_not_come_back_releases_production_at_the_time_limit_and_lists_the_volumes()
 {
    let world = site();
    let plan = brms(json!({"maxFrozenSeconds": 7200}));
    let journal = run_lost_clone(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupHistoryMissing"));
    let verdict = journal.verdict.clone().expect("a verdict");
    assert!(
        verdict.message.contains("VOL001, VOL002"),
        "{}",
        verdict.message
    );
    assert_eq!(submitted(&world, ENDPRC), 1);
    assert_eq!(journal.open_obligations().count(), 0);
    let frozen = journal
        .entry("freeze-backups")
        .and_then(|e| e.start)
        .expect("frozen");
    let released = journal.finished_at.expect("an end");
    assert!(released.since(frozen) >= 7_200_000, "not before its time");
}

async fn run_lost_clone(world: &World, plan: &Plan) -> Journal {
    let (journal, _) = run_wishing(world, plan, |journal| {
        if state(journal, "collect-logs") == EntryState::Done {
            world.system("clone", |s| s.session = Err(silent()));
        }
        Cancel::No
    })
    .await;
    journal
}

#[tokio::test]
async fn a_person_releases_production_before_its_time() {
    let world = site();
    let plan = brms(json!({}));
    let journal = run_releasing(&world, &plan, |journal| {
        let lost = state(journal, "collect-logs") == EntryState::Done;
        if lost {
            world.system("clone", |s| s.session = Err(silent()));
        }
        lost
    })
    .await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupHistoryMissing"));
    assert_eq!(submitted(&world, ENDPRC), 1);
    let started = journal.started_at.expect("a start");
    let took = journal.finished_at.expect("an end").since(started);
    assert!(took < 14_400_000, "long before maxFrozenSeconds: {took}");
}

/// `onFailure: Apply` would end the image with the only copy of the history on it.
#[tokio::test]
async fn clone_and_image_stay_when_they_may_have_the_only_copy_of_the_history() {
    let world = site();
    let after = json!({"clone": "PowerOff", "image": "End", "onFailure": "Apply"});
    let block = json!({"controlGroups": ["DAILY"]});
    let plan = with("BRMS", json!({"brms": block, "after": after}));
    let journal = run_lost_clone(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupHistoryMissing"));
    for step in ["power-off-clone", "unmap-after", "end-copy"] {
        assert_eq!(state(&journal, step), EntryState::Pending, "{step}");
    }
}

/// A row has room for some; the log of the steps has all.
#[tokio::test]
async fn no_volume_to_protect_is_lost_however_many_there_are() {
    let world = site();
    let names: Vec<String> = (1..=60).map(|n| format!("VOL{n:03}")).collect();
    world.system("clone", |s| {
        let rows = names.iter().map(|name| row(&[("VOLUME", name)]));
        s.tables.insert("QUSRBRM.QA1AMM", rows.collect());
    });
    let journal = run_lost_clone(&world, &brms(json!({}))).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupHistoryMissing"));
    assert_eq!(
        journal.output("end-backup", "volumes"),
        Some(names.join(", ").as_str())
    );
    let said = crate::recipe::volumes_to_protect(&journal).expect("they are known");
    assert!(
        said.ends_with("VOL023, VOL024 and 36 more (log steps has all)"),
        "{said}"
    );
    let text = &journal.verdict.expect("a verdict").message;
    assert!(text.contains(&said), "{text}");
}

/// The way to production is shut: what is on the clone is the only copy, and a person can still carry it.
#[tokio::test]
async fn a_history_that_cannot_be_carried_stays_in_its_save_file_on_the_clone() {
    let world = site();
    world.system("source", |s| {
        s.cut = u32::MAX;
        s.refuses.insert("CHKOBJ OBJ(IBMICLONE/C1_16)");
    });
    let plan = brms(json!({}));
    let journal = run_releasing(&world, &plan, |journal| {
        journal
            .entry("return-history")
            .is_some_and(|e| e.attempts > 6)
    })
    .await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupHistoryMissing"));
    let sent = effects(&world);
    assert!(!sent.iter().any(|s| s.contains("DLTF")), "{sent:#?}");
    assert!(
        sent.contains(&"source: remove /ibmiclone/C1_16.savf.part".to_owned()),
        "half a file is of no use: {sent:#?}"
    );
    let text = &journal.verdict.expect("a verdict").message;
    for part in [
        "save file IBMICLONE/C1_16 on clone",
        "VOL001, VOL002",
        "by hand",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// A run whose save hangs and that is aborted in it; `then` happens to the world with the verdict.
async fn aborted_in_its_save(world: &World, then: impl Fn() + Send + Sync) -> Journal {
    let plan = brms(json!({"controlGroups": ["DAILY"]}));
    job_hangs(world, "clone", "C1_16");
    let (journal, _) = run_wishing(world, &plan, |journal| {
        let entry = journal.entry("run-function").expect("a step");
        if journal.verdict.is_some() {
            then();
        }
        match entry.state {
            EntryState::Intended => Cancel::Abort,
            _ => Cancel::No,
        }
    })
    .await;
    journal
}

/// An abort leaves the save; its history is waited for all the same, and production is released with it.
#[tokio::test]
async fn an_aborted_save_still_brings_its_history_home() {
    let world = site();
    let journal = aborted_in_its_save(&world, || {
        world.system("clone", |s| {
            let job = s.jobs.get_mut("C1_16").expect("it was submitted");
            job.state = JobState::Ended {
                normal: true,
                severity: 0,
            };
        });
    })
    .await;
    assert_eq!(reason(&journal), (Phase::Cancelled, "Aborted"));
    let sent = sent(&world).into_iter().filter(|s| s.contains(": submit "));
    let sent: Vec<String> = sent.collect();
    // The clone leaves its backup before its history is saved.
    let home = ["STATE(*ENDBKU)", "SAVLIB LIB", "RSTLIB", ENDPRC];
    let last = &sent[sent.len() - home.len()..];
    for (sent, word) in last.iter().zip(home) {
        assert!(sent.contains(word), "{word}: {sent}");
        assert_eq!(submitted(&world, word), 1, "{word}");
    }
    assert_eq!(journal.open_obligations().count(), 0);
}

#[tokio::test]
async fn an_aborted_save_whose_clone_is_gone_is_a_failure_with_volumes_to_protect() {
    let world = site();
    let silenced = || world.system("clone", |s| s.session = Err(silent()));
    let journal = aborted_in_its_save(&world, silenced).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupHistoryMissing"));
    let text = &journal.verdict.expect("a verdict").message;
    assert!(text.contains("before that: Aborted"), "{text}");
}

#[tokio::test]
async fn a_cancel_before_the_freeze_owes_brms_nothing() {
    let world = site();
    let (journal, _) = run_wishing(&world, &brms(json!({})), |journal| {
        match state(journal, "unmap-volumes") {
            EntryState::Done => Cancel::Stop,
            _ => Cancel::No,
        }
    })
    .await;
    assert_eq!(journal.phase, Phase::Cancelled);
    assert_eq!(submitted(&world, "INZBRM"), 0);
}
