//! Function BRMS over the fake site: whole runs, the way home, and who releases production when.

mod changed;
mod release;

use super::super::fakes::*;
use super::super::{LogKind, Plan};
use super::step_of;
use super::surroundings::{living, reason, state, with};
use super::whole::{effects, run, run_releasing, run_watching_locks, run_wishing};
use crate::engine::drive::Cancel;
use crate::engine::journal::{EntryState, Journal, Phase};
use crate::engine::step::LockKind;
use crate::site::{JobName, JobState, JobStatus, Row};
use serde_json::{Value, json};
use std::sync::Arc;

/// The clone's BRMS log: columns, and what every question for rows gives.
pub(super) fn logged(world: &World, rows: &[(&str, &str, &str)]) {
    let rows: Vec<Row> = rows
        .iter()
        .map(|(id, severity, text)| {
            row(&[
                ("MESSAGE_ID", id),
                ("LOG_SEVERITY", severity),
                ("LOG_TIME", "2026-11-23-06.00.00.000000"),
                ("MESSAGE_TEXT", text),
            ])
        })
        .collect();
    world.system("clone", |s| {
        s.tables.insert(
            "QSYS2.SYSCOLUMNS",
            vec![row(&[("COLUMN_NAME", "MESSAGE_SEVERITY")])],
        );
        s.tables.insert("FROM QUSRBRM.BRMS_LOG_INFO", rows);
    });
}

fn job_fails(world: &World, system: &'static str, job: &str) {
    world.system(system, |s| {
        s.fails.insert(job.to_owned());
    });
}

fn job_hangs(world: &World, system: &'static str, job: &str) {
    world.system(system, |s| {
        s.hangs.insert(job.to_owned());
    });
}

/// Production's QUSRBRM was changed last at this time.
fn changed(world: &World, at: &str) {
    world.system("source", |s| {
        let object = row(&[("OBJNAME", "QA1AMM"), ("CHANGED", at)]);
        s.tables.insert("OBJECT_STATISTICS('QUSRBRM'", vec![object]);
    });
}

/// Records of a file of production's QUSRBRM were changed last at this time.
fn records_changed(world: &World, at: &str) {
    world.system("source", |s| {
        let member = row(&[
            ("TABLE_NAME", "QA1AMM"),
            ("TABLE_PARTITION", "QA1AMM"),
            ("CHANGED", at),
        ]);
        s.tables.insert("QSYS2.SYSPARTITIONSTAT", vec![member]);
    });
}

/// A site whose BRMS can be saved and proved.
fn site() -> World {
    let world = living();
    logged(&world, &[("BRM1049", "0", "complete")]);
    changed(&world, "2026-11-23-01.00.00.000000");
    records_changed(&world, "2026-11-23-01.00.00.000000");
    world.system("source", |s| {
        let clock = row(&[("LOCAL_TIME", "2026-11-23-03.00.00.000000")]);
        s.tables.insert("CURRENT TIMESTAMP", vec![clock]);
    });
    world.system("clone", |s| {
        s.files
            .insert("/QSYS.LIB/IBMICLONE.LIB/C1_16.FILE".into(), vec![7; 4000]);
        let volume = |name: &str| row(&[("VOLUME", name)]);
        s.tables
            .insert("QUSRBRM.QA1AMM", vec![volume("VOL001"), volume("VOL002")]);
    });
    world
}

fn brms(fields: Value) -> Plan {
    let mut block = json!({"controlGroups": ["DAILY", "WEEKLY"]});
    for (key, value) in fields.as_object().expect("an object") {
        block[key] = value.clone();
    }
    with("BRMS", json!({ "brms": block }))
}

/// What was sent to systems from the first job of the function on, without what every run sends.
fn sent(world: &World) -> Vec<String> {
    let all = effects(world).into_iter();
    all.filter(|s| s.contains("BRM") || s.contains("SAV") || s.contains(".savf"))
        .collect()
}

fn submitted(world: &World, command: &str) -> usize {
    let all = effects(world);
    all.iter()
        .filter(|s| s.contains(": submit ") && s.contains(command))
        .count()
}

const ENDPRC: &str = "INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)";

#[tokio::test]
async fn a_run_freezes_saves_brings_the_history_home_and_releases_in_this_order() {
    let world = site();
    let (journal, released) = run_watching_locks(&world, &brms(json!({}))).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(
        sent(&world),
        [
            "source: submit C1_16_10 QSYS/QSYSNOMAX INZBRM OPTION(*FLASHCOPY) STATE(*STRPRC)",
            "clone: CALL PGM(QBRM/Q1AOLD) PARM('BRMSYSNAME' '*SET      ' 'PROD    ')",
            "clone: submit C1_16_11 QSYS/QSYSNOMAX INZBRM OPTION(*FLASHCOPY) STATE(*STRBKU)",
            "clone: submit C1_16 QSYS/QSYSNOMAX STRBKUBRM CTLGRP(DAILY) SBMJOB(*NO)",
            "clone: submit C1_16_2 QSYS/QSYSNOMAX STRBKUBRM CTLGRP(WEEKLY) SBMJOB(*NO)",
            "clone: submit C1_16_12 QSYS/QSYSNOMAX STRMNTBRM MOVMED(*YES) RUNCLNUP(*YES) PRTRCYRPT(*ALL)",
            "clone: submit C1_16_13 QSYS/QSYSNOMAX INZBRM OPTION(*FLASHCOPY) STATE(*ENDBKU)",
            "clone: CRTSAVF FILE(IBMICLONE/C1_16)",
            "clone: submit C1_16_14 QSYS/QSYSNOMAX SAVLIB LIB(QUSRBRM) DEV(*SAVF) SAVF(IBMICLONE/C1_16) OMITOBJ((*ALL *JRN) (*ALL *JRNRCV))",
            "source: put /ibmiclone/C1_16.savf.part",
            "source: put /ibmiclone/C1_16.savf",
            "source: remove /ibmiclone/C1_16.savf.part",
            "source: CRTSAVF FILE(IBMICLONE/C1_16)",
            "source: CPYFRMSTMF FROMSTMF('/ibmiclone/C1_16.savf') TOMBR('/QSYS.LIB/IBMICLONE.LIB/C1_16.FILE') MBROPT(*REPLACE) CVTDTA(*NONE)",
            "source: ENDSBS SBS(Q1ABRMNET) OPTION(*IMMED)",
            "source: submit C1_16_15 QSYS/QSYSNOMAX RSTLIB SAVLIB(QUSRBRM) DEV(*SAVF) SAVF(IBMICLONE/C1_16) RSTLIB(QUSRBRM) ALWOBJDIF(*ALL) MBROPT(*ALL)",
            "source: submit C1_16_18 QSYS/QSYSNOMAX INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)",
            "source: remove /ibmiclone/C1_16.savf",
        ]
    );
    assert_eq!(
        journal.output("return-history", "history"),
        Some("restored")
    );
    assert_eq!(
        journal.output("end-backup", "volumes"),
        Some("VOL001, VOL002")
    );
    assert_eq!(journal.open_obligations().count(), 0);
    assert!(world.set().logs.contains_key(&LogKind::Brms));
    let of = |kind| {
        released
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, at)| at.as_str())
    };
    assert_eq!(of(LockKind::Source), Some("map-volumes"));
    assert_eq!(of(LockKind::Backups), Some("settle"));
}

/// Before the flash, so that its state is on the clone; and after the freeze nothing of production was changed by us.
#[tokio::test]
async fn brms_is_frozen_before_the_flash() {
    let world = site();
    run(&world, &brms(json!({}))).await;
    let all = effects(&world);
    let at = |part: &str| all.iter().position(|s| s.contains(part)).expect(part);
    assert!(at("*STRPRC") < at("prepare"));
    assert!(at("*STRBKU") > at("resume IASP1"));
}

#[tokio::test]
async fn a_merge_goes_through_a_library_of_its_own() {
    let world = site();
    let journal = run(&world, &brms(json!({"history": "Merge"}))).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(submitted(&world, "RSTLIB(C1_16)"), 1);
    assert_eq!(
        submitted(
            &world,
            "INZBRM OPTION(*MERGE) FROMLIB(C1_16) TOLIB(QUSRBRM) MERGE(*ARC *BKU *MED)"
        ),
        1
    );
    assert_eq!(submitted(&world, "RSTLIB(QUSRBRM)"), 0);
    assert!(effects(&world).contains(&"source: DLTLIB LIB(C1_16)".to_owned()));
    assert_eq!(journal.output("return-history", "history"), Some("merged"));
}

#[tokio::test]
async fn history_none_keeps_the_save_file_and_succeeds() {
    let world = site();
    let journal = run(
        &world,
        &brms(json!({"history": "None", "maintenance": false})),
    )
    .await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(submitted(&world, "RSTLIB"), 0);
    assert_eq!(submitted(&world, "STRMNTBRM"), 0);
    assert_eq!(submitted(&world, ENDPRC), 1);
    assert_eq!(
        journal.output("return-history", "saveFile"),
        Some("IBMICLONE/C1_16")
    );
}

#[tokio::test]
async fn the_time_of_the_flash_is_told_before_each_group() {
    let world = site();
    run(&world, &brms(json!({"flashTime": true}))).await;
    let told: Vec<String> = effects(&world)
        .into_iter()
        .filter(|s| s.contains("FLASHTIME"))
        .collect();
    assert_eq!(told.len(), 4);
    assert!(told[0].contains("'*QSYS' '1261123030"), "{}", told[0]);
    assert!(told[1].contains("'*IFS ' '1261123030"), "{}", told[1]);
}

#[tokio::test]
async fn a_name_that_the_environment_gives_is_the_one_of_the_saves() {
    let world = site();
    run(&world, &brms(json!({"systemName": "BKUP"}))).await;
    assert!(effects(&world).iter().any(|s| s.contains("'BKUP    '")));
}

/// A refusal is proved by its job; whoever has BRMS in such a process is not undone by us.
#[tokio::test]
async fn a_refused_freeze_fails_before_the_copy_and_sends_no_release() {
    let world = site();
    job_fails(&world, "source", "C1_16_10");
    let journal = run(&world, &brms(json!({}))).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupsNotFrozen"));
    assert!(!effects(&world).contains(&"prepare".to_owned()));
    assert_eq!(submitted(&world, ENDPRC), 0);
    assert_eq!(journal.open_obligations().count(), 0);
}

#[tokio::test]
async fn a_run_that_fails_before_a_save_releases_at_once() {
    let world = site();
    job_fails(&world, "clone", "C1_16_11");
    let journal = run(&world, &brms(json!({}))).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupNotBegun"));
    assert_eq!(submitted(&world, ENDPRC), 1);
    assert_eq!(submitted(&world, "STRBKUBRM"), 0);
    assert_eq!(submitted(&world, "SAVLIB"), 0);
    assert_eq!(journal.open_obligations().count(), 0);
}

/// Its tape is written: the history comes home although the run fails, and the other group is saved all the same.
#[tokio::test]
async fn a_group_that_fails_fails_the_run_after_its_history_is_home() {
    let world = site();
    job_fails(&world, "clone", "C1_16");
    logged(&world, &[("BRM1820", "40", "save failed")]);
    let journal = run(&world, &brms(json!({}))).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupFailed"));
    assert_eq!(submitted(&world, "CTLGRP(WEEKLY)"), 1);
    assert_eq!(
        journal.output("return-history", "history"),
        Some("restored")
    );
    let text = &journal.verdict.expect("a verdict").message;
    assert!(text.contains("BRM1820 save failed"), "{text}");
}

/// Exit status alone proves nothing: an abnormal end without a message that counts is a warning, and a normal end with one too.
#[tokio::test]
async fn the_result_is_told_by_the_jobs_end_and_the_log_together() {
    for (fails, severity, ignore, expected) in [
        (true, "20", json!([]), Phase::Warning),
        (false, "40", json!([]), Phase::Warning),
        (false, "40", json!(["BRM1820"]), Phase::Succeeded),
        (true, "40", json!([]), Phase::Failed),
        (true, "40", json!(["BRM1820"]), Phase::Warning),
    ] {
        let world = site();
        if fails {
            job_fails(&world, "clone", "C1_16");
        }
        logged(&world, &[("BRM1820", severity, "something")]);
        let plan = brms(json!({"controlGroups": ["DAILY"], "ignore": ignore}));
        let journal = run(&world, &plan).await;
        assert_eq!(journal.phase, expected, "{fails} {severity} {ignore}");
    }
}

#[tokio::test]
async fn missing_media_is_a_reason_of_its_own() {
    let world = site();
    logged(&world, &[("BRM415A", "40", "no volume of class LTO")]);
    job_fails(&world, "clone", "C1_16");
    let journal = run(&world, &brms(json!({"controlGroups": ["DAILY"]}))).await;
    assert_eq!(reason(&journal), (Phase::Failed, "MediaUnavailable"));
    assert!(
        journal
            .verdict
            .expect("a verdict")
            .message
            .contains("no volume of class LTO")
    );
}

fn ended(name: &str) -> JobStatus {
    JobStatus {
        name: JobName::new(format!("222222/QBRMS/{name}")),
        state: JobState::Ended {
            normal: true,
            severity: 0,
        },
        active_milliseconds: Some(5000),
    }
}

/// BRMS names that job itself: it is known by the command's answer.
#[tokio::test]
async fn a_group_of_the_system_runs_in_the_controlling_subsystem() {
    let world = site();
    world.system("clone", |s| {
        s.says.insert(
            "STRBKUBRM CTLGRP(*SYSGRP) SBMJOB(*CTLSBS)",
            "Job 222222/QBRMS/BRMSBKU submitted to job queue QCTL in library QSYS.",
        );
        s.jobs.insert("BRMSBKU".into(), ended("BRMSBKU"));
    });
    let journal = run(
        &world,
        &brms(json!({"controlGroups": ["*SYSGRP", "DAILY"]})),
    )
    .await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(
        journal.output("run-function", "jobName"),
        Some("222222/QBRMS/BRMSBKU")
    );
    assert_eq!(submitted(&world, "CTLGRP(*SYSGRP)"), 0);
}

#[tokio::test]
async fn silence_in_the_restricted_state_is_under_way_until_the_time_is_over() {
    let world = site();
    let plan = Arc::new(brms(json!({"controlGroups": ["*SYSGRP"]})));
    let step = step_of(&plan, "run-function", &world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    entry(&mut journal, "run-function").handle =
        Some("222222/QBRMS/BRMSBKU@2026-11-23T02:00:00.000Z".into());
    world.system("clone", |s| s.session = Err(silent()));
    world.clone_state(crate::site::PartitionState::Running, "A9003C70");
    let text = waiting(world.look(&*step, &journal).await);
    assert!(text.contains("A9003C70"), "{text}");
    let late = start() + chrono::TimeDelta::seconds(43_200);
    let (reason, text) = broken(world.look_at(&*step, &journal, late).await);
    assert_eq!(reason, "OutcomeUnknown");
    assert!(text.contains("A9003C70"), "{text}");
    assert!(
        world.sent().is_empty(),
        "nobody switches a saving clone off"
    );
}

/// Its job has no name of ours to look for: sent once is never sent again.
#[tokio::test]
async fn a_submit_to_the_controlling_subsystem_whose_answer_was_lost_is_not_repeated() {
    let world = site();
    let plan = Arc::new(brms(json!({"controlGroups": ["*SYSGRP"]})));
    let step = step_of(&plan, "run-function", &world);
    let mut journal = journal();
    intended(&mut journal, "run-function", 1);
    waiting(world.look(&*step, &journal).await);
    let later = start() + chrono::TimeDelta::seconds(60);
    let facts = facts_of(world.look_at(&*step, &journal, later).await);
    assert_eq!(facts["result"], "vanished");
}

#[tokio::test]
async fn a_restore_that_finds_locks_is_tried_again() {
    let world = site();
    let plan = brms(json!({}));
    job_fails(&world, "source", "C1_16_15");
    let (journal, _) = run_wishing(&world, &plan, |_| {
        if submitted(&world, "RSTLIB") >= 2 {
            // Whatever had it locked is gone; the job that is submitted next ends well.
            world.system("source", |s| {
                s.fails.remove("C1_16_15");
            });
        }
        Cancel::No
    })
    .await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(submitted(&world, "RSTLIB"), 3);
    assert_eq!(submitted(&world, ENDPRC), 1);
}

/// A save file that lost a byte on the way has no name there, and is fetched again.
#[tokio::test]
async fn a_save_file_that_arrives_different_is_never_used() {
    let world = site();
    world.system("source", |s| s.cut = 2);
    let (journal, _) = run_watching_locks(&world, &brms(json!({}))).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let all = effects(&world);
    let count = |what: &str| all.iter().filter(|s| s.as_str() == what).count();
    assert_eq!(count("source: put /ibmiclone/C1_16.savf.part"), 3);
    assert_eq!(count("source: put /ibmiclone/C1_16.savf"), 1);
    assert_eq!(submitted(&world, "RSTLIB"), 1);
}

#[tokio::test]
async fn brms_at_work_on_production_stops_the_run_before_anything() {
    let world = site();
    world.system("source", |s| {
        let job = row(&[("JOB_NAME", "111111/OPER/NIGHT"), ("FUNCTION", "STRBKUBRM")]);
        s.tables.insert("QSYS2.ACTIVE_JOB_INFO()", vec![job]);
    });
    let journal = run(&world, &brms(json!({}))).await;
    assert_eq!(reason(&journal), (Phase::Failed, "BackupsActive"));
    assert!(
        journal
            .verdict
            .expect("a verdict")
            .message
            .contains("111111/OPER/NIGHT")
    );
    assert!(effects(&world).is_empty());
}

#[tokio::test]
async fn the_hook_behind_the_history_harms_nothing() {
    let world = site();
    let hook = json!({"at": "AfterHistory", "program": "CLNLIB/TESTPART"});
    let block = json!({"controlGroups": ["DAILY"]});
    let plan = with("BRMS", json!({"brms": block, "hooks": [hook]}));
    job_fails(&world, "clone", &plan.hook_job(0));
    let journal = run(&world, &plan).await;
    assert_eq!(reason(&journal).0, Phase::Warning);
    assert_eq!(submitted(&world, ENDPRC), 1);
}
