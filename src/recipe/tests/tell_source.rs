//! Row and logs on production: after everything else, never into a suspension, never the reason of a failed run.

use super::super::Plan;
use super::super::fakes::*;
use super::whole::{effects, run};
use crate::api::options::OnSource;
use crate::engine::journal::{EntryState, Phase};

const DIRECTORY: &str = "/home/ibmiclone/logs";

fn telling(function: &str) -> Plan {
    let mut plan = plan(function);
    plan.logs.on_source = Some(OnSource {
        directory: DIRECTORY.into(),
        retain_days: 400,
    });
    plan
}

fn living() -> World {
    let world = world();
    world.set().alive = true;
    world
}

fn path(environment: &str, rest: &str) -> String {
    format!("{DIRECTORY}/ibmiclone-{environment}-{rest}.jsonl")
}

fn files(world: &World) -> Vec<String> {
    let mut names = Vec::new();
    world.system("source", |s| names = s.files.keys().cloned().collect());
    names
}

#[tokio::test]
async fn row_and_logs_are_put_on_production_and_qsysopr_is_told_last() {
    let world = living();
    let plan = telling("USER");
    let journal = run(&world, &plan).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let day = start().format("%Y%m%d");
    let number = plan.run_number;
    for kind in ["row", "steps", "joblog", "history"] {
        let path = path(&plan.environment, &format!("{number:06}-{day}-{kind}"));
        assert!(files(&world).contains(&path), "{path}: {:?}", files(&world));
    }
    let last = effects(&world).pop().expect("something was sent");
    let wanted = format!(
        "IBMICLONE {}/{number} USER_END: 0 messages, 0 errors",
        plan.environment
    );
    assert!(
        last.starts_with("source: SNDMSG MSG('") && last.contains(&wanted),
        "{last}"
    );
    assert!(
        last.contains(&plan.run_token) && last.contains("TOMSGQ(QSYS/QSYSOPR)"),
        "{last}"
    );
    world.system("source", |s| {
        let row = path(&plan.environment, &format!("{number:06}-{day}-row"));
        let row: serde_json::Value = serde_json::from_slice(&s.files[&row]).expect("is JSON");
        assert_eq!(
            (row["state"].as_str(), row["number"].as_i64()),
            (Some("USER_END"), Some(number))
        );
    });
}

#[tokio::test]
async fn only_old_files_of_this_environment_are_removed() {
    let world = living();
    let plan = telling("HOLD");
    let old = path(&plan.environment, "000003-20240101-steps");
    let kept = [
        path(&plan.environment, "000004-20261001-steps"),
        path(&format!("{}-2", plan.environment), "000003-20240101-steps"),
        format!("{DIRECTORY}/notes.txt"),
        "/home/else/ibmiclone-x-000003-20240101-steps.jsonl".to_owned(),
    ];
    world.system("source", |s| {
        for path in kept.iter().chain([&old]) {
            s.files.insert(path.clone(), b"x".to_vec());
        }
    });
    let journal = run(&world, &plan).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let left = files(&world);
    assert!(!left.contains(&old), "{left:?}");
    for path in kept {
        assert!(left.contains(&path), "{path}");
    }
}

#[tokio::test]
async fn while_another_run_has_production_nothing_is_asked_there_and_the_run_is_a_warning() {
    let world = living();
    world.set().source_is_busy = true;
    let journal = run(&world, &telling("HOLD")).await;
    assert_eq!(journal.phase, Phase::Warning, "{:#?}", journal.verdict);
    let entry = journal.entry("tell-source").expect("is in the list");
    assert_eq!((entry.state, entry.attempts), (EntryState::Failed, 0));
    let told = effects(&world)
        .into_iter()
        .filter(|s| s.contains("SNDMSG") || s.contains("mkdir"));
    assert_eq!(told.count(), 0);
    assert!(journal.image_clean());
}

#[tokio::test]
async fn a_refusal_on_production_is_a_warning_and_never_a_failed_run() {
    let world = living();
    world.set().refuses_to_tell = true;
    let journal = run(&world, &telling("HOLD")).await;
    assert_eq!(journal.phase, Phase::Warning, "{:#?}", journal.verdict);
    let verdict = journal.verdict.expect("a verdict");
    assert!(
        verdict.message.contains("tell-source"),
        "{}",
        verdict.message
    );
}

#[tokio::test]
async fn a_failed_run_is_told_as_an_error_and_its_verdict_stays() {
    let world = living();
    world.set().function_ends_well = false;
    let journal = run(&world, &telling("USER")).await;
    let verdict = journal.verdict.expect("a verdict");
    assert_eq!(
        (verdict.phase, verdict.reason.as_str()),
        (Phase::Failed, "FunctionFailed")
    );
    let last = effects(&world).pop().expect("something was sent");
    assert!(
        last.contains(" ERROR: ") && last.contains("FunctionFailed"),
        "{last}"
    );
}
