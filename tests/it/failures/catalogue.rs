//! Rows of the failure catalogue (`ibmi.md` § 11) that no other subject has: each test bears its row. Which test is of which
//! row stands in `docs/reliability.md`.

use super::stage::{HOLD, Stage, USER, as_it_is, environments, says_all};
use super::surroundings::worsen;
use crate::server::Server;
use crate::support::wait;
use chrono::TimeDelta;
use ibmi_clone_operator::engine::journal::{ObligationKind, Phase};
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::hmc::PowerState;
use ibmi_clone_operator::simulators::ibmi::commands;
use ibmi_clone_operator::simulators::ibmi::file::{ProgramMessage, ProgramResult};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use macro_rules_attribute::apply;
use serde_json::json;

fn function(result: ProgramResult) -> impl FnOnce(&mut WorldFile) {
    move |w| worsen(w, "CLNLIB/MYSAVE", result)
}

/// What the console shows for the clone from now on.
fn stuck(stage: &Stage, code: &str) {
    stage.world(|w| {
        let clone = w.console.partitions.get_mut("CLONE1").unwrap();
        clone.stuck_code = Some(code.to_owned());
    });
}

fn clone_state(stage: &Stage) -> PowerState {
    stage.world(|w| w.console.partitions["CLONE1"].state)
}

#[apply(on_both!)]
async fn row_02_ssh_lost_while_suspended_is_resumed_first_and_tried_again_in_a_new_window(
    server: Server,
) {
    let stage = Stage::at(server, as_it_is, as_it_is).await;
    stage.ready(HOLD).await;
    // Production is suspended, and the connection is gone before it says so.
    let lost = FaultKind::AnswerLost;
    stage.fault(Device::IbmI, "PROD", "CHGASPACT SUSPEND", lost, 1);
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(end.step("suspend-source").attempts, 2);
    assert!(stage.effects("ibmi.PROD.SUSPEND") >= 2);
    assert_eq!(stage.effects("array.startfcconsistgrp"), 1);
    // The only copy is of the second window, and that one opens on a production that runs: SUSPEND of a suspended one is
    // refused here.
    assert!(stage.effects("ibmi.PROD.RESUME") >= 2);
    let status = end.0.status.as_ref().unwrap();
    let resume = status.obligations.iter();
    let mut resume = resume.filter(|o| o.kind == ObligationKind::ResumeSource);
    assert!(resume.all(|o| o.met.is_some()));
    stage.unharmed().await;
}

#[apply(on_both!)]
async fn row_05_a_resume_that_is_refused_is_tried_until_it_works_and_a_person_is_called(
    server: Server,
) {
    let stage = Stage::at(server, as_it_is, as_it_is).await;
    stage.ready(HOLD).await;
    let refused = FaultKind::Refuse {
        code: "CPFB703".into(),
        text: "Not authorized to resume.".into(),
    };
    stage.fault(Device::IbmI, "PROD", "CHGASPACT RESUME", refused, 1_000);
    let run = stage.run(HOLD).await;
    let called = stage
        .until(&run, |r| {
            let status = r.status.as_ref();
            let list = status.map_or(&[][..], |s| &s.conditions);
            list.iter()
                .any(|c| c.type_ == "NeedsAttention" && c.status == "True")
        })
        .await;
    let status = called.status.unwrap();
    let condition = |kind: &str| status.conditions.iter().find(|c| c.type_ == kind).unwrap();
    let attention = condition("NeedsAttention");
    assert_eq!(attention.reason, "ObligationUnmet");
    says_all(&attention.message, &["resuming production", "CPFB703"]);
    assert_eq!(condition("SourceResumed").status, "False");
    assert!(!status.phase.is_final(), "no verdict while it is owed");
    stage.world(|w| w.faults.clear());
    // The copy was taken while production was suspended: it is as good as any. What counts is that production runs.
    let end = stage.ended(&run).await;
    let owed = &end.0.status.as_ref().unwrap().obligations;
    assert!(owed.iter().all(|o| o.met.is_some()), "{owed:?}");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_08_an_error_code_ends_the_wait_at_once_with_that_code() {
    for code in ["B6000103", "C2004130"] {
        let devices = |w: &mut WorldFile| w.knobs.ipl_milliseconds = 600_000;
        let Some(stage) = Stage::new(devices, as_it_is).await else {
            return;
        };
        stage.ready(USER).await;
        let run = stage.run(USER).await;
        stage.at_step(&run, "await-clone").await;
        let before = stage.world(|w| w.now);
        stuck(&stage, code);
        let end = stage.ended(&run).await;
        end.is(Phase::Failed, "CloneError", &[code, "CLONE1"]);
        let waited = stage.world(|w| w.now) - before;
        assert!(waited < TimeDelta::minutes(10), "{code}: {waited}");
        assert_ne!(clone_state(&stage), PowerState::NotActivated, "{code}");
        stage.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_09_a_clone_that_answers_without_a_new_ipl_is_waited_for() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let ignored = FaultKind::Special("no-reipl".into());
    stage.fault(Device::IbmI, "CLONE1", "PWRDWNSYS", ignored, 1);
    let run = stage.run(USER).await;
    stage
        .says(&run, "await-clone", "answers, its ready record")
        .await;
    let then = stage.world(|w| w.now) + TimeDelta::minutes(5);
    wait::until("five minutes", async || stage.world(|w| w.now) >= then).await;
    assert_eq!(stage.effects("ibmi.CLONE1.SBMJOB"), 0);
    let by_hand = "PWRDWNSYS OPTION(*IMMED) RESTART(*YES)";
    stage.world(|w| commands::run(w, "CLONE1", "CLONEOP", by_hand));
    let end = stage.ended(&run).await;
    end.succeeded();
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_11_a_job_that_vanished_is_judged_by_the_history_log() {
    let Some(stage) = Stage::new(function(ProgramResult::Vanish), as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(stage.effects("ibmi.CLONE1.SBMJOB"), 1);
    let status = end.0.status.as_ref().unwrap();
    assert!(
        status.save.is_some(),
        "start and end are in the history log"
    );
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_11_a_job_without_an_end_in_the_history_log_fails_the_run_and_is_not_started_again() {
    let Some(stage) = Stage::new(function(ProgramResult::Lost), as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    let words = ["without an end in the history log", "not started again"];
    end.is(Phase::Failed, "FunctionVanished", &words);
    assert_eq!(stage.effects("ibmi.CLONE1.SBMJOB"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_12_a_job_that_ended_abnormally_fails_the_run_and_its_log_is_kept() {
    let Some(stage) = Stage::new(function(ProgramResult::Abnormal), as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "FunctionFailed", &["CEE9901", "joblog"]);
    let status = end.0.status.as_ref().unwrap();
    let log = status.logs.iter().find(|l| l.kind == "joblog").unwrap();
    assert!(log.lines >= 3, "{log:?}");
    assert!(status.errors.unwrap() >= 1);
    assert!(status.failure_tail.iter().any(|l| l.contains("CEE9901")));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_15_a_restricted_state_without_end_calls_a_person_and_ends_in_time_with_the_clone_on() {
    let change = environments(|s| s["timeouts"]["iplSeconds"] = json!(600));
    let Some(stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    stage.ready(USER).await;
    let refused = FaultKind::Refused;
    stage.fault(Device::IbmI, "CLONE1", "LOGIN", refused, u32::MAX);
    let run = stage.run(USER).await;
    stage.at_step(&run, "await-clone").await;
    stuck(&stage, "A9003C70");
    stage.says(&run, "await-clone", "CloneNeedsAttention").await;
    let shown = stage.runs().get(&run).await.unwrap().status.unwrap();
    let condition = |c: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        c.type_ == "NeedsAttention"
    };
    let attention = shown.conditions.iter().find(condition).unwrap();
    assert_eq!(
        (attention.status.as_str(), attention.reason.as_str()),
        ("True", "CloneNeedsAttention")
    );
    let end = stage.ended(&run).await;
    let words = ["A9003C70", "600 s", "left as they are"];
    end.is(Phase::Failed, "CloneNeverReady", &words);
    assert_eq!(clone_state(&stage), PowerState::Running);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_19_a_schedule_entry_that_is_not_held_stops_the_run_before_its_function() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let released = FaultKind::Special("schedule-released".into());
    stage.fault(Device::IbmI, "CLONE1", "PERSON", released, 1);
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Failed, "SchedulesNotHeld", &["HLDJOBSCDE", "CLONE1"]);
    assert_eq!(stage.effects("ibmi.CLONE1.SBMJOB"), 0);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_22_lengths_are_of_the_operators_clock_however_wrong_the_clones_is() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    stage.at_step(&run, "await-clone").await;
    stage.world(|w| {
        let image = w.systems["CLONE1"].image().unwrap();
        let disk = &mut w.images.get_mut(&image).unwrap().disk;
        disk.clock_ahead_seconds = 9 * 3600;
    });
    let end = stage.ended(&run).await;
    end.succeeded();
    let status = end.0.status.as_ref().unwrap();
    let lengths = [&status.prepare_on_clone, &status.save, &status.duration];
    for length in lengths {
        let text = length.as_deref().unwrap();
        assert!(text.len() <= "59:59".len(), "{text} has hours: {lengths:?}");
    }
    stage.unharmed().await;
}

/// Severity limits decide: 40 is above the program's own limit of 30, unless its id is in the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_in_the_job_log_make_a_warning_unless_they_are_ignored() {
    let devices = |w: &mut WorldFile| {
        for program in w.systems.iter_mut().flat_map(|s| &mut s.programs) {
            program.messages.push(ProgramMessage {
                id: "CPF3777".to_owned(),
                severity: 40,
                kind: "DIAGNOSTIC".to_owned(),
                text: "3 objects not saved.".to_owned(),
                repeat: 1,
            });
        }
    };
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    let words = ["errorSeverity", "joblog"];
    end.is(Phase::Warning, "CompletedWithWarnings", &words);
    assert_eq!(end.0.status.as_ref().unwrap().errors, Some(1));
    let ignore = json!({"logs": {"ignore": ["CPF3777"]}});
    stage.change_spec(USER, ignore).await;
    let run = stage.run(USER).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(end.0.status.as_ref().unwrap().errors, Some(0));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_job_log_is_asked_for() {
    for shown in [false, true] {
        let devices = move |w: &mut WorldFile| {
            w.knobs.job_log_info_shows_pending = shown;
            function(ProgramResult::PendingLog)(w);
        };
        let Some(stage) = Stage::new(devices, as_it_is).await else {
            return;
        };
        stage.ready(USER).await;
        let run = stage.run(USER).await;
        let end = stage.ended(&run).await;
        end.succeeded();
        let status = end.0.status.as_ref().unwrap();
        let log = status.logs.iter().find(|l| l.kind == "joblog").unwrap();
        assert!(log.lines >= 2, "{log:?}");
        stage.unharmed().await;
    }
}
