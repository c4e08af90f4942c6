//! Each way the array can fail a run, over the wire: what the driver says, and that no effect is repeated.

use super::{Bench, file};
use ibmi_clone_operator::drivers::storage::spectrum_virtualize::SpectrumVirtualize;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::site::{CopyPhase, CopyServices, DeviceError};

fn refuse(code: &str) -> FaultKind {
    FaultKind::Refuse {
        code: code.to_owned(),
        text: "simulated".to_owned(),
    }
}

/// Both styles of errors, text 500 and JSON.
fn both_styles() -> [WorldFile; 2] {
    [false, true].map(|json| {
        let mut file = file();
        file.knobs.array_errors_as_json = json;
        file
    })
}

async fn prepared(bench: &Bench) -> SpectrumVirtualize {
    let copy = bench.copy();
    copy.prepare().await.unwrap();
    bench.pass(3);
    copy
}

#[tokio::test]
async fn an_unknown_group_is_refused_with_the_names_there_are() {
    let bench = Bench::small();
    let copy = bench.copy_of("CLONE9");
    for error in [
        copy.observe().await.unwrap_err(),
        copy.inventory().await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some("GroupUnknown"));
        let text = error.to_string();
        assert!(text.contains("there is no FlashCopy consistency group CLONE9"));
        assert!(text.contains("CLONE1, SPARE"), "{text}");
    }
}

#[tokio::test]
async fn an_empty_group_is_empty_and_not_unknown() {
    let bench = Bench::small();
    let copy = bench.copy_of("SPARE");
    let state = copy.observe().await.unwrap();
    assert_eq!((state.phase, state.exists()), (CopyPhase::Empty, false));
    assert_eq!(copy.inventory().await.unwrap().pairs, vec![]);
    assert!(copy.prepare().await.is_err());
}

#[tokio::test]
async fn one_suspended_map_makes_the_group_suspended_and_is_named() {
    let mut file = file();
    file.array.groups[0].maps[1].state = Some("suspended".to_owned());
    let bench = Bench::start(&file);
    let copy = bench.copy();
    let state = copy.observe().await.unwrap();
    assert_eq!(state.phase, CopyPhase::Suspended);
    assert!(state.deviating.contains(&"m1 suspended".to_owned()));
    let found = copy.inventory().await.unwrap();
    assert_eq!(found.pairs[1].phase, CopyPhase::Suspended);
    let error = copy.prepare().await.unwrap_err();
    assert_eq!(error.code(), Some("CMMVC5904E"));
}

#[tokio::test]
async fn sibling_maps_make_a_stop_slow_and_are_named() {
    let mut file = file();
    let sibling = serde_json::json!({"name": "OTHERS", "maps": [
        {"name": "sibling0", "source": "PROD_0", "target": "OLD_0"}]});
    file.array
        .groups
        .push(serde_json::from_value(sibling).unwrap());
    let bench = Bench::start(&file);
    bench.started(&bench.copy_of("OTHERS")).await;
    let copy = bench.copy();
    bench.started(&copy).await;
    assert_eq!(copy.dependants().await.unwrap(), ["sibling0"]);

    copy.end().await.unwrap();
    let state = copy.observe().await.unwrap();
    assert_eq!(state.phase, CopyPhase::Stopping);
    assert_eq!(state.deviating, ["m1 stopped"]);
    bench.pass(5);
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Stopped);
    let other = bench.copy_of("OTHERS").observe().await.unwrap();
    assert!(other.exists(), "the sibling keeps its copy: {other:?}");
}

#[tokio::test]
async fn a_target_mapped_elsewhere_and_one_with_maps_of_its_own_show_in_the_inventory() {
    let mut file = file();
    file.array.hosts[1].volumes.push("CLN_1".to_owned());
    let cascade = serde_json::json!({"name": "CASCADE", "maps": [
        {"name": "next0", "source": "CLN_0", "target": "OLD_0"}]});
    file.array
        .groups
        .push(serde_json::from_value(cascade).unwrap());
    let found = Bench::start(&file).copy().inventory().await.unwrap();
    assert_eq!(found.pairs[0].target_is_source_of, ["next0"]);
    assert_eq!(found.pairs[1].target.hosts, ["OTHER", "VIOS1"]);
}

#[tokio::test]
async fn a_full_pool_of_the_targets_shows_and_one_of_the_sources_does_not() {
    let mut file = file();
    file.array.pools[0].used_percent = 99;
    file.array.pools[1].used_percent = 93;
    let found = Bench::start(&file).copy().inventory().await.unwrap();
    assert_eq!(found.pool_fill, Some(("P1".to_owned(), 93)));
}

#[tokio::test]
async fn a_refused_start_keeps_its_code_and_leaves_the_group_to_be_disarmed() {
    for file in both_styles() {
        let bench = Bench::start(&file);
        let copy = prepared(&bench).await;
        bench.fault("startfcconsistgrp", refuse("CMMVC5917E"));
        let error = copy.start().await.unwrap_err();
        assert_eq!(error.code(), Some("CMMVC5917E"));
        assert!(error.to_string().contains("startfcconsistgrp/CLONE1"));
        assert_eq!(bench.effects("array.startfcconsistgrp"), 0);
        assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Prepared);
        copy.end().await.unwrap();
        assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Stopped);
    }
}

#[tokio::test]
async fn a_start_of_a_group_that_is_not_prepared_takes_no_copy() {
    for file in both_styles() {
        let bench = Bench::start(&file);
        let copy = bench.copy();
        let error = copy.start().await.unwrap_err();
        assert_eq!(error.code(), Some("CMMVC5905E"), "{error}");
        assert!(!copy.observe().await.unwrap().exists());
    }
}

#[tokio::test]
async fn a_failed_flush_ends_in_stopped_and_never_in_prepared() {
    let bench = Bench::small();
    let failed = FaultKind::Special("flush-failed".to_owned());
    bench.fault("prestartfcconsistgrp", failed);
    let copy = prepared(&bench).await;
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Stopped);
    copy.prepare().await.unwrap();
    bench.pass(3);
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Prepared);
}

#[tokio::test]
async fn a_start_without_bitmap_memory_leaves_a_suspended_group() {
    let bench = Bench::small();
    let copy = prepared(&bench).await;
    let no_bitmap = FaultKind::Special("no-bitmap".to_owned());
    bench.fault("startfcconsistgrp", no_bitmap);
    assert_eq!(copy.start().await.unwrap_err().code(), Some("CMMVC5917E"));
    let state = copy.observe().await.unwrap();
    assert_eq!((state.phase, state.exists()), (CopyPhase::Suspended, false));
}

#[tokio::test]
async fn a_lost_answer_of_a_start_is_indeterminate_and_a_look_tells() {
    let bench = Bench::small();
    let copy = prepared(&bench).await;
    bench.fault("startfcconsistgrp", FaultKind::AnswerLost);
    let error = copy.start().await.unwrap_err();
    assert!(
        matches!(error, DeviceError::Indeterminate { .. }),
        "{error}"
    );
    assert_eq!(bench.effects("array.startfcconsistgrp"), 1);
    assert!(copy.observe().await.unwrap().exists());
}

#[tokio::test]
async fn an_effect_that_was_never_executed_is_indeterminate_too_and_never_sent_again() {
    let lost = [
        FaultKind::Refused,
        FaultKind::Special("http-500".to_owned()),
        FaultKind::Special("http-502".to_owned()),
    ];
    for fault in lost {
        let bench = Bench::small();
        let copy = prepared(&bench).await;
        bench.fault("startfcconsistgrp", fault.clone());
        let error = copy.start().await.unwrap_err();
        assert!(
            matches!(error, DeviceError::Indeterminate { .. }),
            "{fault:?}: {error}"
        );
        let state = copy.observe().await.unwrap();
        assert_eq!(state.phase, CopyPhase::Prepared, "{fault:?}");
        assert_eq!(bench.effects("array.startfcconsistgrp"), 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_whole_inventory_fits_under_the_array_s_rate_limits() {
    let mut file = file();
    file.array.auth_per_second = 3;
    file.array.commands_per_second = 10;
    let bench = Bench::start(&file);
    let found = bench.paced_copy().inventory().await.unwrap();
    assert_eq!(found.pairs.len(), 2);
    let requests = bench.requests();
    assert!(requests.len() > 10, "more than one second's worth");
    assert!(requests.iter().all(|r| r.1 != "429"), "{requests:?}");
}

#[tokio::test]
async fn a_failing_service_is_asked_again_for_a_read() {
    for word in ["http-500", "http-502"] {
        let bench = Bench::small();
        bench.fault("lssystem", FaultKind::Special(word.to_owned()));
        bench.copy().inventory().await.unwrap();
    }
}

#[tokio::test]
async fn an_array_that_is_down_is_unreachable_and_comes_back() {
    let mut bench = Bench::small();
    let copy = prepared(&bench).await;
    bench.stop().await;
    for error in [
        copy.observe().await.unwrap_err(),
        copy.start().await.unwrap_err(),
    ] {
        assert!(matches!(error, DeviceError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&bench.address.to_string()));
    }
    bench.again();
    assert_eq!(copy.observe().await.unwrap().phase, CopyPhase::Prepared);
    copy.start().await.unwrap();
    assert!(copy.observe().await.unwrap().exists());
}
