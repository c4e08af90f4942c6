use super::super::fakes::*;
use super::super::log_sink::LogKind;
use super::brms::logged;
use super::{step, step_of};
use crate::api::options::JobLogs;
use crate::engine::journal::Journal;
use crate::engine::step::Observation;
use crate::engine::time::Timestamp;
use crate::recipe::steps::{NOT_STORED, step_lines};
use chrono::TimeDelta;
use std::sync::Arc;

const JOB: &str = "123456/CLN/C1_16";

fn after_function(result: &str) -> Journal {
    let mut journal = journal();
    intended(&mut journal, "prepare-copy", 1);
    done(&mut journal, "prepare-copy", &[]);
    entry(&mut journal, "prepare-copy").baseline = pairs(&[
        ("sourceClock", "2026-11-23-04.00.00.000000"),
        ("sentAt", "2026-11-23T02:00:00.000Z"),
    ]);
    if let Some(window) = &mut journal.window {
        window.started_at = Some(Timestamp::new(start() + TimeDelta::seconds(90)));
    }
    done(
        &mut journal,
        "run-function",
        &[("jobName", JOB), ("result", result)],
    );
    journal
}

fn with_logs(world: &World) {
    let mut handled = message("CPF2105", 40, "2026-11-23-06.00.00.000000", JOB, "handled");
    handled.subtype = "EXCEPTION HANDLED".into();
    world.system("clone", |s| {
        s.job_log = Ok(vec![
            message("CPI0001", 0, "2026-11-23-06.00.00.000000", JOB, "info"),
            handled,
            message(
                "CPF9801",
                40,
                "2026-11-23-06.00.01.000000",
                JOB,
                "Object not found",
            ),
            message("CPF1234", 40, "2026-11-23-06.00.01.000000", JOB, "ignored"),
        ]);
        s.history = vec![
            message(
                "CPF0001",
                60,
                "2026-11-23-04.01.29.000000",
                "000000/QSYS/X",
                "production's",
            ),
            message(
                "CPF0002",
                60,
                "2026-11-23-04.01.31.000000",
                "000000/QSYS/X",
                "the clone's",
            ),
        ];
    });
}

#[tokio::test]
async fn counts_leave_out_handled_exceptions_ignored_ids_and_productions_messages() {
    let world = world();
    with_logs(&world);
    let mut plan = plan("USER");
    plan.logs.ignore = vec!["CPF1234".into()];
    let step = step_of(&Arc::new(plan), "collect-logs", &world);
    let mut journal = after_function("failed");
    assert_eq!(world.look(&*step, &journal).await, Observation::Absent);
    let handle = world.act(&*step, &journal).await.expect("collected");
    intended(&mut journal, "collect-logs", 1);
    entry(&mut journal, "collect-logs").handle = handle;
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(facts["messages"], "5");
    assert_eq!(facts["errors"], "2");
    assert_eq!(facts["jobErrors"], "1");
    assert_eq!(facts["failureTail"], "CPF9801 Object not found");
    let logs = &world.set().logs;
    assert_eq!(logs[&LogKind::History].len(), 1);
    assert_eq!(logs[&LogKind::JobLog].len(), 4);
    assert!(!logs[&LogKind::Steps].is_empty());
}

/// Only a length measured on our clock is added to the source's time; the two clocks are never compared.
#[tokio::test]
async fn the_history_log_begins_at_the_window_by_the_sources_own_clock() {
    let world = world();
    with_logs(&world);
    let step = step("USER", "collect-logs", &world);
    world
        .act(&*step, &after_function("ok"))
        .await
        .expect("collected");
    world.system("clone", |s| {
        assert_eq!(s.since.as_deref(), Some("2026-11-23-04.01.30.000000"));
    });
}

#[tokio::test]
async fn without_the_sources_clock_the_history_begins_at_the_last_ipl_and_that_is_noted() {
    let world = world();
    let step = step("USER", "collect-logs", &world);
    let mut journal = after_function("ok");
    entry(&mut journal, "prepare-copy").baseline.clear();
    let handle = world.act(&*step, &journal).await.expect("collected");
    world.system("clone", |s| {
        assert_eq!(s.since.as_deref(), Some("2026-11-23-05.00.00.000000"));
    });
    intended(&mut journal, "collect-logs", 1);
    entry(&mut journal, "collect-logs").handle = handle;
    let facts = facts_of(world.look(&*step, &journal).await);
    assert!(facts["note.logs0"].contains("last IPL"));
}

#[tokio::test]
async fn a_job_log_that_is_gone_is_noted_and_fails_nothing() {
    let world = world();
    world.system("clone", |s| s.job_log = Err(no()));
    let step = step("USER", "collect-logs", &world);
    let handle = world
        .act(&*step, &after_function("ok"))
        .await
        .expect("collected");
    assert!(handle.expect("counts").contains("could not be read"));
    world.system("clone", |s| s.job_log = Err(silent()));
    assert!(world.act(&*step, &after_function("ok")).await.is_err());
}

/// A quota is for a person to change: the messages are counted, the row says what is missing.
#[tokio::test]
async fn a_log_store_that_refuses_fails_no_run_and_is_not_asked_again() {
    let world = world();
    with_logs(&world);
    world.set().logs_refused = Some("exceeded quota: small".into());
    let step = step("USER", "collect-logs", &world);
    let mut journal = after_function("ok");
    let handle = world.act(&*step, &journal).await.expect("collected");
    intended(&mut journal, "collect-logs", 1);
    entry(&mut journal, "collect-logs").handle = handle;
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(facts["messages"], "5");
    for key in [NOT_STORED, "warning.logs"] {
        assert!(facts[key].contains("exceeded quota"), "{facts:?}");
    }
}

#[tokio::test]
async fn the_job_log_of_a_good_end_is_left_out_where_only_failed_ones_are_kept() {
    let world = world();
    with_logs(&world);
    let mut plan = plan("USER");
    plan.logs.job_logs = JobLogs::Failed;
    let plan = Arc::new(plan);
    let step = step_of(&plan, "collect-logs", &world);
    world
        .act(&*step, &after_function("ok"))
        .await
        .expect("collected");
    assert!(!world.set().logs.contains_key(&LogKind::JobLog));
    world
        .act(&*step, &after_function("failed"))
        .await
        .expect("collected");
    assert!(world.set().logs.contains_key(&LogKind::JobLog));
}

/// A crash between the effect and the write of its handle loses the counts: the logs are read again, stored under the
/// same names.
#[tokio::test]
async fn logs_without_counts_are_collected_again() {
    let world = world();
    with_logs(&world);
    let step = step("USER", "collect-logs", &world);
    let mut journal = after_function("ok");
    world.act(&*step, &journal).await.expect("collected");
    intended(&mut journal, "collect-logs", 1);
    let later = start() + TimeDelta::seconds(10);
    assert_eq!(
        world.look_at(&*step, &journal, later).await,
        Observation::Absent
    );
}

#[test]
fn the_step_log_has_a_line_for_every_step_that_began() {
    let lines = step_lines(&after_function("ok"));
    let steps: Vec<&str> = lines
        .iter()
        .filter(|l| l.id == "STEP")
        .map(|l| l.job.as_str())
        .collect();
    assert_eq!(steps, ["verify-site", "prepare-copy", "run-function"]);
    assert!(lines.iter().any(|l| l.id == "WINDOW"));
}

#[tokio::test]
async fn a_brms_log_that_is_longer_than_what_is_asked_for_says_where_it_ends() {
    let world = world();
    let row = [("BRM1049", "0", "saved")];
    logged(&world, &row.repeat(20_000));
    let step = step("BRMS", "collect-logs", &world);
    let mut journal = after_function("ok");
    let handle = world.act(&*step, &journal).await.expect("collected");
    intended(&mut journal, "collect-logs", 1);
    entry(&mut journal, "collect-logs").handle = handle;
    let facts = facts_of(world.look(&*step, &journal).await);
    assert_eq!(facts["messages"], "20000");
    assert!(facts["note.logs0"].contains("DSPLOGBRM"), "{facts:?}");
    let lines = &world.set().logs[&LogKind::Brms];
    let (kept, mark) = lines.split_at(20_000);
    assert!(kept.iter().all(|line| line.text == "saved"));
    assert!(mark[0].text.contains("neither kept nor counted"));
}
