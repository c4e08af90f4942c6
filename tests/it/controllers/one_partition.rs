//! A HOLD beside a run that uses the same clone partition (`product.md` § 7.7), with the real drivers on a simulated site.

use crate::failures::stage::{HOLD, Stage, USER};
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::{EntryState, Phase};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::{Value, json};

/// Both environments copy the same production for the same clone partition, each into its own target set.
fn one_partition(object: &mut Value) {
    if object["kind"] == "CloneEnvironment" {
        let spec = &mut object["spec"];
        spec["clone"]["partition"]["name"] = json!("CLONE1");
        for adapter in spec["virtualIo"]["vscsi"]["adapters"]
            .as_array_mut()
            .unwrap()
        {
            adapter["vhost"] = json!("vhost3");
        }
    }
}

/// The function works longer than any of these tests.
fn long_night(world: &mut WorldFile) {
    for program in world.systems.iter_mut().flat_map(|s| &mut s.programs) {
        program.seconds = Some(7200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_is_not_attached_does_not_wait_for_the_partitions_user() {
    let Some(stage) = Stage::new(long_night, one_partition).await else {
        return;
    };
    stage.ready(USER).await;
    let user = stage.run(USER).await;
    stage.at_step(&user, "run-function").await;
    let power = |stage: &Stage| {
        stage.world(|w| {
            let effects = w.ledger.effects.iter();
            let on_clone =
                effects.filter(|(kind, _)| kind.starts_with("hmc.") && kind.ends_with(".CLONE1"));
            on_clone.map(|(_, count)| *count).sum::<u64>()
        })
    };
    let before = power(&stage);

    let hold = stage.run(HOLD).await;
    let end = stage.ended(&hold).await;
    end.succeeded();
    assert_eq!(end.step("stop-clone").state, EntryState::Skipped);
    let status = stage.runs().get(&user).await.unwrap().status.unwrap();
    assert_eq!(status.phase, Phase::Running);
    assert_eq!(status.step.as_deref(), Some("run-function"));
    assert_eq!(power(&stage), before, "the clone at work was left alone");
    // Ends the wait for the long function; clone and image stay.
    stage.delete(&user).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_whose_targets_are_attached_waits_for_the_partition() {
    let same_targets = |object: &mut Value| {
        one_partition(object);
        if object["kind"] == "CloneEnvironment" {
            let array = &mut object["spec"]["storage"]["spectrumVirtualize"];
            array["consistencyGroups"] = json!(["CLONE1"]);
        }
    };
    let Some(stage) = Stage::new(long_night, same_targets).await else {
        return;
    };
    stage.ready(USER).await;
    let user = stage.run(USER).await;
    stage.at_step(&user, "run-function").await;
    let hold = stage.run(HOLD).await;
    let queued = |r: &CloneRun| r.status.as_ref().is_some_and(|s| s.queue.is_some());
    let waits = stage.until(&hold, queued).await.status.unwrap();
    let by = waits.queue.unwrap().blocked_by;
    assert!(by.contains("clone partition P10-PARIS/CLONE1"), "{by}");
    assert_eq!(stage.effects("array.startfcconsistgrp"), 1);
    stage.delete(&hold).await;
    stage.delete(&user).await;
    stage.unharmed().await;
}
