//! What is sent while production may be suspended: nothing waits that need not, nothing is executed twice.

use super::Bench;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::simulators::ledger::ViolationKind;
use ibmi_clone_operator::site::{CopyPhase, CopyServices, DeviceError};
use std::time::{Duration, Instant};

async fn prepared(bench: &Bench) -> impl CopyServices {
    let copy = bench.copy();
    copy.prepare().await.unwrap();
    bench.pass(3);
    copy
}

#[tokio::test]
async fn a_look_that_is_told_to_wait_does_not_sleep() {
    for fault in [
        FaultKind::Busy,
        FaultKind::Special("http-500".to_owned()),
        FaultKind::Special("http-502".to_owned()),
    ] {
        let bench = Bench::small();
        let copy = prepared(&bench).await;
        bench.fault("lsfcmap", fault.clone());
        let begun = Instant::now();
        let error = copy.observe().await.unwrap_err();
        assert!(matches!(error, DeviceError::Busy { .. }), "{error:?}");
        // The shortest wait of a read outside the freeze is half a second.
        assert!(begun.elapsed() < Duration::from_millis(400), "{fault:?}");
        assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Prepared);
    }
}

#[tokio::test]
async fn a_look_never_waits_behind_reads_of_another_run() {
    let bench = Bench::small();
    let copy = bench.paced_copy();
    copy.observe().await.unwrap();
    let reading = copy.inventory();
    let looking = async {
        // The inventory has used up the reads of this second.
        while bench.requests().len() < 7 {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        copy.observe().await.unwrap();
        begun.elapsed()
    };
    let (inventory, waited) = futures::future::join(reading, looking).await;
    inventory.unwrap();
    assert!(waited < Duration::from_millis(400), "{waited:?}");
}

#[tokio::test]
async fn a_start_above_the_rate_limit_is_sent_again_because_it_was_not_executed() {
    let bench = Bench::small();
    let copy = prepared(&bench).await;
    bench.fault("startfcconsistgrp", FaultKind::Busy);
    let begun = Instant::now();
    copy.start().await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(900));
    assert_eq!(bench.effects("array.startfcconsistgrp"), 1);
    assert!(copy.observe().await.unwrap().exists());
}

#[tokio::test]
async fn a_start_that_stays_above_the_rate_limit_is_busy_and_was_not_executed() {
    let bench = Bench::small();
    let copy = prepared(&bench).await;
    for _ in 0..20 {
        bench.fault("startfcconsistgrp", FaultKind::Busy);
    }
    let error = copy.start().await.unwrap_err();
    assert!(matches!(error, DeviceError::Busy { .. }), "{error:?}");
    assert_eq!(bench.effects("array.startfcconsistgrp"), 0);
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Prepared);
}

#[tokio::test]
async fn a_group_left_prepared_is_noticed_by_the_world() {
    let bench = Bench::small();
    let copy = prepared(&bench).await;
    bench.shared.now().check_left_behind();
    let left = |bench: &Bench| {
        let world = bench.shared.now();
        let kinds = world.ledger.violations.iter().map(|v| v.kind);
        kinds.filter(|k| *k == ViolationKind::LeftPrepared).count()
    };
    assert_eq!(left(&bench), 2);
    copy.end().await.unwrap();
    bench.shared.now().ledger.violations.clear();
    bench.shared.now().check_left_behind();
    assert_eq!(left(&bench), 0);
}

#[tokio::test]
async fn the_dependants_are_named_as_long_as_the_group_is_stopping() {
    let mut file = super::file();
    let mut older = file.array.groups[0].maps[0].clone();
    older.name = "older".to_owned();
    older.target = "OLD_0".to_owned();
    older.state = Some("copying".to_owned());
    file.array.groups[1].maps.push(older);
    let bench = Bench::start(&file);
    let copy = bench.copy();
    bench.started(&copy).await;
    copy.end().await.unwrap();
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Stopping);
    assert_eq!(copy.dependants().await.unwrap(), ["older"]);
    bench.pass(5);
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Stopped);
    assert!(copy.dependants().await.unwrap().is_empty());
}
