//! Runs about the image of another run, with something going wrong at every write and every effect: the image they are
//! about is the only one that is ever ended or started, and nothing is copied.

use super::controls::{Injected, Point, applies};
use super::scenario::{RunUnderTest, Setting};
use super::stage::{Stage, plan};
use super::tests::{FAULTS, setting};
use crate::api::run::{ImageOfRun, RunMode};
use crate::engine::journal::{Journal, Phase};
use crate::recipe::{Plan, image_mark};
use crate::simulators::hmc::PowerState;
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::Content;
use futures::FutureExt;
use std::collections::BTreeMap;

const USER: Setting = Setting {
    function: "USER",
    canary: false,
    npiv: false,
    silent: false,
};

/// A plan about the image that the stage's array shows.
fn about(stage: &Stage, function: &'static str, mode: RunMode) -> Plan {
    let run = RunUnderTest::new(stage, USER, 9, &[]);
    let shown = run.site().copy.observe().now_or_never().unwrap().unwrap();
    let mut plan = plan(setting(function, false), 2);
    plan.mode = mode;
    // Production runs in this world: a person's word lets the start go on.
    plan.source_is_down = mode == RunMode::StartHeld;
    plan.image = Some(ImageOfRun {
        run: "nightly-1".into(),
        mark: image_mark(&shown.mark()),
        suspension_proof: Some("Assumed".into()),
        backups_frozen_by: None,
        ..ImageOfRun::default()
    });
    plan
}

fn is_success(journal: &Journal) -> bool {
    matches!(journal.phase, Phase::Succeeded | Phase::Warning)
}

/// What does not hold at the end of a run.
fn broken(run: &RunUnderTest, mode: RunMode, journal: &Journal) -> Vec<String> {
    let mut found = run.harm(journal);
    let world = run.shared.now();
    let copies = world.ledger.effect_count("array.startfcconsistgrp")
        + world.ledger.effect_count("array.prestartfcconsistgrp");
    if copies != 0 {
        found.push(format!("{copies} copies were prepared or started"));
    }
    let clone = &world.console.partitions["CLONE1"];
    let stops = world.ledger.effect_count("array.stopfcconsistgrp");
    match mode {
        RunMode::StartHeld => {
            let content = spectrum_virtualize::uid_of(&world, "CLN_0")
                .and_then(|uid| world.contents.get(&uid).copied());
            let whole = matches!(content, Some(Content::Part { .. }));
            if stops != 0 || !whole {
                found.push(format!("the held image was touched: {content:?}"));
            }
            let started = world.ledger.effect_count("hmc.PowerOn.CLONE1");
            let pinned = *run.locks.pinned.lock().unwrap();
            if started != 0 && !pinned {
                found.push("the clone was started without pins".into());
            }
            if started != 0 && clone.keylock != "manual" {
                found.push("the clone was started without the key at manual".into());
            }
            // A person may have started it in the same instant: then it runs all the same, with the key where it must be.
            let runs = clone.state == PowerState::Running && clone.keylock == "manual";
            if is_success(journal) && (started > 1 || !runs) {
                found.push(format!("a success with {started} starts, running: {runs}"));
            }
        }
        RunMode::End => {
            let closed = *run.locks.closed.lock().unwrap();
            if is_success(journal) && (stops == 0 || !closed) {
                found.push("a success whose image was not ended".into());
            }
            if closed && stops == 0 {
                found.push("a row was closed whose image is there".into());
            }
        }
        RunMode::Clone | RunMode::Preflight | RunMode::ReleaseHeld => {}
    }
    found
}

fn survives_every_single_fault(stage: &Stage, function: &'static str, mode: RunMode) {
    let plan = about(stage, function, mode);
    let setting = setting(function, false);
    let quiet = RunUnderTest::of(stage, setting, plan.clone(), &[]);
    let end = quiet.to_end();
    assert!(is_success(&end), "{:#?}", end.verdict);
    assert_eq!(broken(&quiet, mode, &end), [""; 0]);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut failures = Vec::new();
    let points: Vec<(Point, String)> = quiet.controls.points();
    for (at, (point, name)) in points.iter().enumerate() {
        for fault in FAULTS.into_iter().filter(|f| applies(*f, *point, name)) {
            let faults: [(usize, Injected); 1] = [(at, fault)];
            let run = RunUnderTest::of(stage, setting, plan.clone(), &faults);
            run.arm();
            let journal = run.to_end();
            *counts.entry(format!("{:?}", journal.phase)).or_default() += 1;
            let texts = broken(&run, mode, &journal).into_iter();
            failures.extend(texts.map(|t| format!("point {at} ({name}) {fault:?}: {t}")));
        }
    }
    println!("crash matrix {mode:?} {function}: {counts:?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn an_end_survives_every_single_fault() {
    survives_every_single_fault(&Stage::prepared(), "USER", RunMode::End);
}

#[test]
fn a_held_start_survives_every_single_fault() {
    let stage = Stage::prepared().after("HOLD", 8);
    survives_every_single_fault(&stage, "HOLD", RunMode::StartHeld);
}
