//! Several programs, hooks, and what becomes of clone and image: whole runs over the fake site, and single steps.

mod owed;

use super::super::Plan;
use super::super::fakes::*;
use super::whole::{effects, run, run_watching_locks, run_wishing};
use super::{step, step_of};
use crate::engine::drive::Cancel;
use crate::engine::journal::{EntryState, Journal, ObligationKind, Phase};
use crate::engine::ports::{Met, Settle};
use crate::engine::step::{LockKind, Observation, StepContext};
use crate::recipe::LogKind;
use crate::recipe::settle::SettleRun;
use crate::site::{DeviceError, JobName, JobState, JobStatus};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::sync::Arc;

/// The sample environment with fields of its spec set.
pub(super) fn with(function: &str, fields: Value) -> Plan {
    let (spec, facts) = sample(function);
    let mut spec = serde_json::to_value(spec).expect("plain JSON");
    for (key, value) in fields.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    let spec = serde_json::from_value(spec).expect("a valid environment");
    Plan::new(&spec, facts).expect("a plan")
}

fn hook(at: &str, on_error: &str) -> Value {
    let program = format!(
        "CLNLIB/{}",
        at.to_uppercase().chars().take(10).collect::<String>()
    );
    json!({"at": at, "program": program, "onError": on_error})
}

fn hooks(on_error: &str) -> Value {
    let points = [
        "BeforeFreeze",
        "AfterResume",
        "CloneReady",
        "BeforeFunction",
        "AfterFunction",
        "Always",
    ];
    points.iter().map(|at| hook(at, on_error)).collect()
}

fn two(first: &str) -> Value {
    json!({"programs": [
        {"program": "CLNLIB/ONE", "onError": first}, {"program": "CLNLIB/TWO"},
    ]})
}

/// Two programs and a hook at every point.
pub(super) fn surrounded() -> Plan {
    with("USER", json!({"user": two("Stop"), "hooks": hooks("Fail")}))
}

pub(super) fn living() -> World {
    let world = world();
    world.set().alive = true;
    world
}

fn submitted(world: &World) -> Vec<String> {
    let sent = effects(world).into_iter();
    sent.filter_map(|s| {
        let (system, rest) = s.split_once(": submit ")?;
        Some(format!("{system} {}", rest.split(' ').next()?))
    })
    .collect()
}

pub(super) fn state(journal: &Journal, step: &str) -> EntryState {
    journal.entry(step).expect("a step of the run").state
}

pub(super) fn reason(journal: &Journal) -> (Phase, &str) {
    let verdict = journal.verdict.as_ref().expect("a verdict");
    (verdict.phase, verdict.reason.as_str())
}

#[tokio::test]
async fn hooks_and_programs_are_submitted_once_each_in_order_on_their_systems() {
    let world = living();
    let (journal, released) = run_watching_locks(&world, &surrounded()).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let jobs = [
        "source C1_16_H",
        "source C1_16_I",
        "clone C1_16_J",
        "clone C1_16_K",
        "clone C1_16",
        "clone C1_16_2",
        "clone C1_16_L",
        "source C1_16_M",
    ];
    assert_eq!(submitted(&world), jobs);
    // Nothing of them lies inside the freeze.
    let sent = effects(&world);
    let at = |what: &str| sent.iter().position(|s| s.contains(what)).expect("sent");
    assert!(at("submit C1_16_H") < at("FRCWRT") && at("FRCWRT") < at("suspend"));
    assert!(at("resume *SYSBAS") < at("submit C1_16_I"));
    assert_eq!(at("resume IASP1"), at("suspend IASP1") + 4, "{sent:#?}");
    // Production's lock is kept until the AfterResume hook has ended.
    let source = released.iter().find(|(kind, _)| *kind == LockKind::Source);
    assert_eq!(source.map(|(_, at)| at.as_str()), Some("map-volumes"));
    assert!(journal.steps.iter().all(|e| e.attempts <= 1));
    let logs: Vec<&str> = world.set().logs.keys().map(|k| k.as_str()).collect();
    let all = [
        "steps",
        "joblog",
        "joblog-2",
        "joblog-hook-1",
        "joblog-hook-2",
        "joblog-hook-3",
        "joblog-hook-4",
        "joblog-hook-5",
        "joblog-hook-6",
        "history",
    ];
    assert_eq!(logs, all);
}

#[tokio::test]
async fn no_hook_fails_for_its_log() {
    let world = living();
    let gone = DeviceError::refused("production", "38501", "it has no job log");
    world.system("source", |s| s.job_log = Err(gone));
    let (journal, _) = run_watching_locks(&world, &surrounded()).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let missing = |name: &str| {
        let words = format!("the job log of 123456/CLN/{name} is not kept");
        journal.notes.iter().any(|n| n.starts_with(&words))
    };
    assert!(
        missing("C1_16_H") && missing("C1_16_M"),
        "{:?}",
        journal.notes
    );
    assert!(!missing("C1_16_J"), "{:?}", journal.notes);
}

#[tokio::test]
async fn a_run_without_hooks_gives_productions_lock_back_right_after_the_freeze() {
    let world = living();
    let (_, released) = run_watching_locks(&world, &plan("USER")).await;
    assert_eq!(
        released.first(),
        Some(&(LockKind::Source, "map-volumes".to_owned()))
    );
}

#[tokio::test]
async fn a_program_that_fails_stops_those_behind_it_unless_it_says_continue() {
    for (on_error, outcome, calls) in [
        ("Stop", (Phase::Failed, "FunctionFailed"), 1),
        ("Continue", (Phase::Warning, "CompletedWithWarnings"), 2),
    ] {
        let world = living();
        world.system("clone", |s| assert!(s.fails.insert("C1_16".into())));
        let journal = run(&world, &with("USER", json!({"user": two(on_error)}))).await;
        assert_eq!(reason(&journal), outcome, "{on_error}");
        assert_eq!(submitted(&world).len(), calls, "{on_error}");
        let text = &journal.verdict.as_ref().expect("a verdict").message;
        assert!(text.contains("C1_16"), "{text}");
        assert_eq!(state(&journal, "collect-logs"), EntryState::Done);
    }
}

#[tokio::test]
async fn the_second_program_that_fails_is_the_one_the_verdict_names() {
    let world = living();
    world.system("clone", |s| assert!(s.fails.insert("C1_16_2".into())));
    let journal = run(&world, &with("USER", json!({"user": two("Stop")}))).await;
    assert_eq!(reason(&journal), (Phase::Failed, "FunctionFailed"));
    let text = &journal.verdict.as_ref().expect("a verdict").message;
    assert!(
        text.contains("C1_16_2") && text.contains("joblog-2"),
        "{text}"
    );
}

#[tokio::test]
async fn function_seconds_bound_all_programs_together() {
    let mut plan = with("USER", json!({"user": two("Continue")}));
    plan.function_seconds = 300;
    let plan = Arc::new(plan);
    let world = world();
    let second = step_of(&plan, "run-function-2", &world);
    let mut journal = two_programs(&plan, &world);
    done(&mut journal, "run-function", &[("result", "ok")]);
    entry(&mut journal, "run-function").start = Some(crate::engine::time::Timestamp::new(start()));
    let early = start() + TimeDelta::seconds(299);
    assert_eq!(
        world.look_at(&*second, &journal, early).await,
        Observation::Absent
    );
    let late = start() + TimeDelta::seconds(300);
    let out = facts_of(world.look_at(&*second, &journal, late).await);
    assert_eq!(out["result"], "notStarted");
    // One that runs is left alone when the common time is over.
    intended(&mut journal, "run-function-2", 1);
    entry(&mut journal, "run-function-2").start = Some(crate::engine::time::Timestamp::new(early));
    world.system("clone", |s| s.job = job("C1_16_2", JobState::Active));
    let out = facts_of(world.look_at(&*second, &journal, late).await);
    assert_eq!(out["result"], "overrun");
}

pub(super) fn two_programs(plan: &Plan, world: &World) -> Journal {
    let recipe = super::super::build(plan, world.sink());
    let names: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
    Journal::open(&recipe.name, TOKEN, &names)
}

fn job(name: &str, state: JobState) -> Option<JobStatus> {
    Some(JobStatus {
        name: JobName::new(format!("123456/CLN/{name}")),
        state,
        active_milliseconds: Some(1000),
    })
}

#[tokio::test]
async fn nothing_is_called_beside_a_program_that_may_still_run() {
    let plan = Arc::new(with("USER", json!({"user": two("Continue")})));
    let world = world();
    let second = step_of(&plan, "run-function-2", &world);
    let mut journal = two_programs(&plan, &world);
    for result in ["overrun", "left", "notStarted"] {
        done(&mut journal, "run-function", &[("result", result)]);
        let seen = world.look(&*second, &journal).await;
        assert!(
            matches!(seen, Observation::NotNeeded(_)),
            "{result}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_hook_that_fails_fails_the_run_where_it_stands_and_production_gets_its_after_resume() {
    let world = living();
    world.system("source", |s| assert!(s.fails.insert("C1_16_H".into())));
    let journal = run(&world, &surrounded()).await;
    assert_eq!(reason(&journal), (Phase::Failed, "HookFailed"));
    let sent = effects(&world);
    assert!(
        !sent
            .iter()
            .any(|s| s.starts_with("suspend") || s == "prepare")
    );
    // AfterResume is owed, Always is always.
    let jobs = ["source C1_16_H", "source C1_16_I", "source C1_16_M"];
    assert_eq!(submitted(&world), jobs);
    assert_eq!(journal.open_obligations().count(), 0);
    assert_eq!(state(&journal, "always"), EntryState::Done);
}

/// What a failed job has said counts as what a good one has said.
#[tokio::test]
async fn the_log_of_a_hook_that_failed_is_counted_wherever_it_stands() {
    for (step, job) in [
        ("before-freeze", "C1_16_H"),
        ("after-resume", "C1_16_I"),
        ("clone-ready", "C1_16_J"),
        ("before-function", "C1_16_K"),
        ("after-function", "C1_16_L"),
        ("always", "C1_16_M"),
    ] {
        let world = living();
        let error = message(
            "CPF0001",
            40,
            "2026-11-23-06.00.00.000000",
            job,
            "it failed",
        );
        for system in ["source", "clone"] {
            world.system(system, |s| {
                s.job_log = Ok(vec![error.clone()]);
                assert!(s.fails.insert(job.into()));
            });
        }
        let journal = run(&world, &surrounded()).await;
        assert_eq!(reason(&journal), (Phase::Failed, "HookFailed"), "{step}");
        let output = &journal.entry(step).expect("there").output;
        assert_eq!(output.get("logErrors").map(String::as_str), Some("1"));
        let logs = world.set().logs.clone();
        let collected = logs.iter().filter(|(kind, _)| **kind != LogKind::Steps);
        let lines: usize = collected.map(|(_, lines)| lines.len()).sum();
        let lines = i64::try_from(lines).expect("few");
        let counted = crate::recipe::steps::counted(&journal);
        assert_eq!(counted.0, Some(lines), "{step}");
    }
}

#[tokio::test]
async fn a_hook_with_continue_that_fails_makes_a_warning() {
    for name in [
        "C1_16_H", "C1_16_I", "C1_16_J", "C1_16_K", "C1_16_L", "C1_16_M",
    ] {
        let world = living();
        for system in ["source", "clone"] {
            world.system(system, |s| assert!(s.fails.insert(name.into())));
        }
        let plan = with(
            "USER",
            json!({"user": two("Stop"), "hooks": hooks("Continue")}),
        );
        let journal = run(&world, &plan).await;
        assert_eq!(
            journal.phase,
            Phase::Warning,
            "{name}: {:#?}",
            journal.verdict
        );
        let warning = &journal.warnings[0];
        assert!(
            warning.contains(name) && warning.contains("CLNLIB/"),
            "{warning}"
        );
        assert_eq!(submitted(&world).len(), 8, "{name}");
    }
}

/// The logs of the function are worth more than a quick verdict.
#[tokio::test]
async fn an_after_function_hook_that_fails_fails_the_run_after_the_logs_are_kept() {
    let world = living();
    world.system("clone", |s| assert!(s.fails.insert("C1_16_L".into())));
    let journal = run(&world, &surrounded()).await;
    assert_eq!(reason(&journal), (Phase::Failed, "HookFailed"));
    assert_eq!(state(&journal, "collect-logs"), EntryState::Done);
    assert!(world.set().logs.contains_key(&LogKind::JobLogOf(2)));
    assert_eq!(state(&journal, "settle"), EntryState::Failed);
}

#[tokio::test]
async fn an_after_function_hook_comes_after_a_failed_function_and_not_beside_one_that_runs() {
    let world = living();
    world.system("clone", |s| assert!(s.fails.insert("C1_16".into())));
    let journal = run(&world, &surrounded()).await;
    assert_eq!(reason(&journal), (Phase::Failed, "FunctionFailed"));
    assert_eq!(state(&journal, "run-function-2"), EntryState::Skipped);
    assert_eq!(state(&journal, "after-function"), EntryState::Done);
    let world = living();
    world.system("clone", |s| assert!(s.hangs.insert("C1_16".into())));
    let mut plan = surrounded();
    plan.function_seconds = 300;
    let journal = run(&world, &plan).await;
    assert_eq!(reason(&journal), (Phase::Failed, "FunctionOverrun"));
    assert_eq!(state(&journal, "after-function"), EntryState::Skipped);
}

#[tokio::test]
async fn a_hook_that_takes_too_long_is_left_alone_and_counts_as_failed() {
    let world = living();
    world.system("clone", |s| assert!(s.hangs.insert("C1_16_J".into())));
    let journal = run(&world, &surrounded()).await;
    assert_eq!(reason(&journal), (Phase::Failed, "HookFailed"));
    let text = &journal.verdict.as_ref().expect("a verdict").message;
    assert!(
        text.contains("limitSeconds (600)") && text.contains("CLNLIB/CLONEREADY"),
        "{text}"
    );
    assert!(!submitted(&world).contains(&"clone C1_16".to_owned()));
}

/// Logs that would be lost with the clone are kept, whichever program was interrupted; the programs behind it and the
/// AfterFunction hook are forgone, what is always is not.
#[tokio::test]
async fn a_run_cancelled_in_a_program_keeps_the_logs_and_calls_nothing_more_on_the_clone() {
    for (hangs, logs) in [("C1_16", 1), ("C1_16_2", 2)] {
        let world = living();
        world.system("clone", |s| assert!(s.hangs.insert(hangs.into())));
        let under_way = |journal: &Journal| {
            let steps = ["run-function", "run-function-2"];
            let name = if hangs == "C1_16" { steps[0] } else { steps[1] };
            match journal.entry(name).map(|e| e.state) {
                Some(EntryState::Intended | EntryState::Done) => Cancel::Abort,
                _ => Cancel::No,
            }
        };
        let (journal, _) = run_wishing(&world, &surrounded(), under_way).await;
        assert_eq!(reason(&journal), (Phase::Cancelled, "Aborted"), "{hangs}");
        assert_eq!(state(&journal, "collect-logs"), EntryState::Done, "{hangs}");
        assert_eq!(state(&journal, "after-function"), EntryState::Pending);
        assert_eq!(state(&journal, "always"), EntryState::Done);
        let kept = world
            .set()
            .logs
            .keys()
            .filter(|k| matches!(k, LogKind::JobLog | LogKind::JobLogOf(_)))
            .count();
        assert_eq!(kept, logs, "{hangs}");
    }
}

fn stranger() -> crate::site::Session {
    let world = world();
    let mut session = world.set().systems["clone"]
        .session
        .clone()
        .expect("answers");
    session.system.identity = identity(9);
    session
}

#[tokio::test]
async fn hooks_of_the_clone_are_never_submitted_on_production() {
    let world = world();
    let step = step_of(&Arc::new(surrounded()), "clone-ready", &world);
    world.system("clone", |s| {
        s.session.as_mut().expect("answers").system.identity = identity(3);
    });
    let journal = two_programs(&surrounded(), &world);
    assert_eq!(
        broken(world.look(&*step, &journal).await).0,
        "CloneIsProduction"
    );
    assert!(world.act(&*step, &journal).await.is_err());
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn a_failed_run_that_changed_nothing_calls_no_hook() {
    let world = living();
    world.set().inventory = Err(no());
    let journal = run(&world, &surrounded()).await;
    assert_eq!(journal.phase, Phase::Failed);
    assert!(submitted(&world).is_empty());
}

#[test]
fn job_queues_of_programs_and_hooks_of_the_clone_are_released_there_once_each() {
    let mut plan = surrounded();
    assert_eq!(plan.clone_queues(), ["QSYS/QSYSNOMAX"]);
    plan.hooks[0].job_queue = "QGPL/ONPROD".into();
    plan.hooks[2].job_queue = "QGPL/ONCLONE".into();
    assert_eq!(plan.clone_queues(), ["QSYS/QSYSNOMAX", "QGPL/ONCLONE"]);
}

#[test]
fn a_step_of_the_sample_is_found_under_its_name_only() {
    let world = world();
    assert_eq!(step("USER", "run-function", &world).id(), "run-function");
    assert!(
        crate::recipe::steps::step("clone-ready", &Arc::new(plan("USER")), &world.sink()).is_none()
    );
}
