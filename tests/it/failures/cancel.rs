//! Ended early, with real drivers: a function is left, the freeze is not interrupted, a person's word stands for a source
//! that cannot be reached.

use super::stage::{HOLD, Stage, USER, as_it_is};
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::{EntryState, ObligationKind, Phase};
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::ledger::ViolationKind;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use kube::ResourceExt;
use kube::api::Patch;
use serde_json::{Value, json};

async fn set(stage: &Stage, run: &str, spec: Value) {
    let change = json!({"spec": spec});
    let patch = Patch::Merge(&change);
    let runs = stage.runs();
    runs.patch(run, &Default::default(), &patch).await.unwrap();
}

fn window_open(run: &CloneRun) -> bool {
    let journal = run.status.as_ref().and_then(|s| s.journal.as_ref());
    let window = journal.and_then(|j| j.window.as_ref());
    window.is_some_and(|w| w.opened.is_some() && w.closed.is_none())
}

fn owes(run: &CloneRun, kind: ObligationKind) -> bool {
    let obligations = run.status.as_ref().map(|s| s.obligations.as_slice());
    let mut open = obligations.unwrap_or_default().iter();
    open.any(|o| o.kind == kind && o.met.is_none())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_function_is_left_and_its_logs_are_kept() {
    let devices = |w: &mut WorldFile| {
        for program in w.systems.iter_mut().flat_map(|s| &mut s.programs) {
            program.seconds = Some(50_000);
        }
    };
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    let runs = stage.says(&run, "run-function", "runs").await;
    let job = runs.split_whitespace().nth(1).unwrap().to_owned();
    set(&stage, &run, json!({"cancel": "Abort"})).await;
    let end = stage.ended(&run).await;
    let words = [
        "cancelled during run-function",
        job.as_str(),
        "nobody ended it",
        "ENDJOB",
    ];
    end.is(Phase::Cancelled, "Aborted", &words);
    assert_eq!(end.step("collect-logs").state, EntryState::Done);
    let kinds: Vec<String> = end
        .0
        .status
        .as_ref()
        .unwrap()
        .logs
        .iter()
        .map(|l| l.kind.clone())
        .collect();
    for kind in ["joblog", "history", "steps"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind}: {kinds:?}");
    }
    let settled = end.step("settle").state;
    assert_eq!(
        settled,
        EntryState::Pending,
        "clone and image stay as they are"
    );
    let ended = stage.world(|w| w.ledger.effects.keys().any(|k| k.contains("ENDJOB")));
    assert!(!ended, "the job is left");
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_function_on_a_clone_that_is_gone_is_not_waited_for() {
    let devices = |w: &mut WorldFile| {
        for program in w.systems.iter_mut().flat_map(|s| &mut s.programs) {
            program.seconds = Some(50_000);
        }
    };
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    stage.says(&run, "run-function", "runs").await;
    stage.fault(Device::IbmI, "CLONE2", "", FaultKind::Refused, u32::MAX);
    stage.fault(Device::IbmI, "CLONE1", "", FaultKind::Refused, u32::MAX);
    set(&stage, &run, json!({"cancel": "Abort"})).await;
    let end = stage.ended(&run).await;
    end.is(Phase::Cancelled, "Aborted", &["nobody ended it"]);
    assert_ne!(end.step("collect-logs").state, EntryState::Done);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_inside_the_window_does_not_interrupt_it() {
    for (cancel, reason) in [("Stop", "Stopped"), ("Abort", "Aborted")] {
        let devices = |w: &mut WorldFile| w.knobs.suspend_milliseconds = 120_000;
        let Some(stage) = Stage::new(devices, as_it_is).await else {
            return;
        };
        stage.ready(HOLD).await;
        let run = stage.run(HOLD).await;
        stage.until(&run, window_open).await;
        set(&stage, &run, json!({"cancel": cancel})).await;
        let end = stage.ended(&run).await;
        end.is(Phase::Cancelled, reason, &["clone and image stay"]);
        assert_eq!(end.step("resume-source").state, EntryState::Done);
        assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 1);
        assert_eq!(stage.effects("array.startfcconsistgrp"), 1);
        assert!(stage.effects("ibmi.PROD.RESUME") >= 1);
        let status = end.0.status.as_ref().unwrap();
        assert!(status.image.is_some(), "the image is this run's");
        assert!(status.obligations.iter().all(|o| o.met.is_some()));
        // The next run closes its row.
        let next = stage.run(HOLD).await;
        stage.ended(&next).await.succeeded();
        stage
            .until(&run, |r| {
                r.status.as_ref().is_some_and(|s| s.image.is_none())
            })
            .await;
        stage.unharmed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_cannot_be_reached_is_let_go_by_a_persons_word_and_force() {
    let devices = |w: &mut WorldFile| w.knobs.start_copy_milliseconds = 120_000;
    let Some(stage) = Stage::new(devices, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    // Suspended, and the copy takes its time: from now on production cannot be reached any more.
    stage.until_effects("ibmi.PROD.SUSPEND", 1).await;
    stage.fault(Device::IbmI, "PROD", "", FaultKind::Refused, u32::MAX);
    stage
        .until(&run, |r| {
            !window_open(r)
                && owes(r, ObligationKind::ResumeSource)
                && owes(r, ObligationKind::StopWatchdog)
        })
        .await;
    set(&stage, &run, json!({"resumedByHand": true})).await;
    let told = stage
        .until(&run, |r| !owes(r, ObligationKind::ResumeSource))
        .await;
    assert!(owes(&told, ObligationKind::StopWatchdog), "still tried");
    let frozen = told.status.as_ref().unwrap().frozen.clone().unwrap();
    assert_eq!(frozen.suspension_proof.as_deref(), Some("ResumedByHand"));
    set(&stage, &run, json!({"forceDelete": true})).await;
    assert!(!told.finalizers().is_empty());
    stage.delete(&run).await;
    let forced = stage.until_event(&run, "ForceDeleted").await;
    assert!(
        forced.contains("ending the watchdog on production"),
        "{forced}"
    );
    // What was left, as the event says; the watchdog resumes production by itself.
    let left = [ViolationKind::ParametersLeft, ViolationKind::SessionLeaked];
    stage.unharmed_but(&left).await;
}
