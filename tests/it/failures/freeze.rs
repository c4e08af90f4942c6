//! The freeze: refused, over time, copy refused, watchdog. Whatever happens, production runs and no group stays armed.

use super::stage::{HOLD, SCALE, Stage, as_it_is, environments};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::json;

/// Production has a transaction that outlives SSPTIMO.
fn long_transaction(world: &mut WorldFile) {
    let production = world.systems.iter_mut().find(|s| s.partition == "PROD");
    production.unwrap().long_transaction_seconds = 20;
}

fn freeze(on_timeout: &'static str) -> impl Fn(&mut serde_json::Value) {
    environments(move |s| {
        s["freeze"] = json!({
            "maxSeconds": 600, "commitBoundarySeconds": 10, "retries": 2, "onTimeout": on_timeout,
        });
    })
}

fn refused() -> FaultKind {
    FaultKind::Refuse {
        code: "CPFB701".into(),
        text: "Not authorized to suspend.".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_suspend_is_tried_again() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    stage.fault(Device::IbmI, "PROD", "CHGASPACT SUSPEND", refused(), 1);
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    end.succeeded();
    assert_eq!(end.step("suspend-source").attempts, 2);
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_01_suspend_refused_every_time_ends_the_run_without_a_copy() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    stage.fault(
        Device::IbmI,
        "PROD",
        "CHGASPACT SUSPEND",
        refused(),
        u32::MAX,
    );
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    let words = ["*SYSBAS", "CPFB701", "Not authorized to suspend"];
    end.is(Phase::Failed, "SuspendFailed", &words);
    assert_eq!(stage.effects("array.startfcconsistgrp"), 0);
    // A refusal proves nothing about the ASPs: production is resumed all the same, and the group disarmed.
    assert!(stage.effects("ibmi.PROD.RESUME") >= 1);
    assert_eq!(stage.effects("array.stopfcconsistgrp"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspend_over_time_is_tried_again_and_then_given_up() {
    let Some(stage) = Stage::new(long_transaction, freeze("Abort")).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    let words = ["*SYSBAS", "boundary was not reached in 10 seconds"];
    end.is(Phase::Failed, "SuspendFailed", &words);
    assert_eq!(end.step("suspend-source").attempts, 3, "retries: 2");
    assert_eq!(stage.effects("array.startfcconsistgrp"), 0);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_suspended_takes_the_copy_in_spite_of_open_transactions() {
    let Some(stage) = Stage::new(long_transaction, freeze("KeepSuspended")).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn force_write_after_the_last_retry_is_a_warning() {
    let Some(stage) = Stage::new(long_transaction, freeze("ForceWrite")).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Warning, "{}", end.message());
    end.is(
        Phase::Warning,
        "CompletedWithWarnings",
        &["without suspending production"],
    );
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 0);
    assert_eq!(stage.effects("array.startfcconsistgrp"), 1);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_03_copy_refused_while_suspended_resumes_first_and_disarms_the_group() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    let refused = FaultKind::Refuse {
        code: "CMMVC6434E".into(),
        text: "The command failed because of a licence.".into(),
    };
    stage.fault(Device::Array, "", "startfcconsistgrp", refused, 1);
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    let words = ["CMMVC6434E", "licence"];
    end.is(Phase::Failed, "CopyRefused", &words);
    assert_eq!(stage.effects("ibmi.PROD.SUSPEND"), 1);
    assert!(stage.effects("ibmi.PROD.RESUME") >= 1);
    // Resumed before anything else was asked of the array: the stop of the group can wait, production cannot.
    let order = stage.world(|w| {
        let all = w.ledger.requests.iter();
        let of = |r: &&ibmi_clone_operator::simulators::ledger::RequestLine| {
            r.operation.contains("RESUME") || r.operation.contains("stopfcconsistgrp")
        };
        all.filter(of)
            .map(|r| r.operation.clone())
            .collect::<Vec<_>>()
    });
    assert!(order[0].contains("RESUME"), "{order:?}");
    assert!(order.iter().any(|o| o.contains("stopfcconsistgrp")));
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fired_watchdog_gives_no_clean_image() {
    // The copy is taken at once, but the array's answer comes after the watchdog has resumed production. The operator's
    // clock runs at half the devices' speed, or its own cap would be reached first.
    let devices = |w: &mut WorldFile| w.knobs.start_copy_milliseconds = 260_000;
    let change = environments(|s| s["freeze"] = json!({"maxSeconds": 150}));
    let Some(mut stage) = Stage::without_operator(devices, change).await else {
        return;
    };
    stage.start_operator(SCALE / 4.0);
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    let words = ["the watchdog resumed production"];
    end.is(Phase::Failed, "WatchdogFired", &words);
    stage.unharmed().await;
}
