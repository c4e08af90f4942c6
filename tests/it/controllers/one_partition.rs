//! Runs that share a clone partition (`product.md` § 7.7), with the real drivers on a simulated site: a HOLD beside a run
//! that uses it, and environments that take turns on it.

use crate::failures::stage::{HOLD, SCALE, Stage, USER, as_it_is};
use crate::server::Server;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, CloneRunStatus};
use ibmi_clone_operator::engine::journal::{EntryState, Phase};
use ibmi_clone_operator::simulators::world::file::WorldFile;
use kube::api::PostParams;
use macro_rules_attribute::apply;
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

#[apply(on_both!)]
async fn a_hold_that_is_not_attached_does_not_wait_for_the_partitions_user(server: Server) {
    let stage = Stage::at(server, long_night, one_partition).await;
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

#[apply(on_both!)]
async fn a_hold_whose_targets_are_attached_waits_for_the_partition(server: Server) {
    let same_targets = |object: &mut Value| {
        one_partition(object);
        if object["kind"] == "CloneEnvironment" {
            let array = &mut object["spec"]["storage"]["spectrumVirtualize"];
            array["consistencyGroups"] = json!(["CLONE1"]);
        }
    };
    let stage = Stage::at(server, long_night, same_targets).await;
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

const WEEKLY: &str = "weekly-test";

/// Only the nightly environment.
fn nightly_only(object: &mut Value) {
    if object["kind"] == "CloneEnvironment" && object["metadata"]["name"] == HOLD {
        *object = Value::Null;
    }
}

/// A second environment on the clone partition of the first, with a target set of its own.
async fn with_weekly(server: Server) -> Stage {
    let mut stage = Stage::at_without_operator(server, as_it_is, nightly_only).await;
    let nightly = stage.environments().get(USER).await.unwrap();
    let mut weekly = CloneEnvironment::new(WEEKLY, nightly.spec);
    let array = &mut weekly.spec.storage.spectrum_virtualize;
    array.as_mut().unwrap().consistency_groups = vec!["CLONE2".to_owned()];
    let api = stage.environments();
    api.create(&PostParams::default(), &weekly).await.unwrap();
    stage.start_operator(SCALE);
    stage
}

async fn row(stage: &Stage, run: &str) -> CloneRunStatus {
    stage.runs().get(run).await.unwrap().status.unwrap()
}

/// The image is on the array, the partition is somebody else's.
fn off_the_partition(row: &CloneRunStatus) {
    assert_eq!(row.state.as_deref(), Some("USER_END"));
    assert!(counts(&row.flash_copy_active), "{row:?}");
    assert!(!counts(&row.partition_active), "{row:?}");
}

fn counts(length: &Option<String>) -> bool {
    length.as_ref().is_some_and(|t| t.starts_with("since"))
}

#[apply(on_both!)]
async fn two_environments_take_turns_on_one_clone_and_both_images_stay(server: Server) {
    let stage = with_weekly(server).await;
    for name in [USER, WEEKLY] {
        stage.ready(name).await;
    }
    let mut runs: Vec<String> = Vec::new();
    for environment in [USER, WEEKLY, USER] {
        let run = stage.run(environment).await;
        stage.ended(&run).await.succeeded();
        if let [.., last] = runs.as_slice() {
            off_the_partition(&row(&stage, last).await);
        }
        assert!(counts(&row(&stage, &run).await.partition_active));
        runs.push(run);
    }
    // The third took the first one's target set and ended its image.
    let first = row(&stage, &runs[0]).await;
    assert_eq!(first.state.as_deref(), Some("END_FC"));
    assert!(!counts(&first.flash_copy_active));
    off_the_partition(&row(&stage, &runs[1]).await);
    assert_eq!(stage.effects("array.startfcconsistgrp"), 3);
    // The clone has the nightly set now, which is no fault of the weekly environment.
    stage.verified_again(WEEKLY, 1).await;
    stage.ready(WEEKLY).await;
    stage.unharmed().await;
}

#[apply(on_both!)]
async fn a_pinned_image_of_the_other_environment_is_not_taken_from_the_clone(server: Server) {
    let stage = with_weekly(server).await;
    let nightly = stage.run(USER).await;
    stage.ended(&nightly).await.succeeded();
    stage.pin("target set CLONE1").await;
    let weekly = stage.run(WEEKLY).await;
    let end = stage.ended(&weekly).await;
    end.is(
        Phase::Failed,
        "HeldImageInUse",
        &[nightly.as_str(), "release"],
    );
    assert_eq!(end.step("stop-clone").state, EntryState::Pending);
    assert!(counts(&row(&stage, &nightly).await.partition_active));
    stage.unharmed().await;
}

#[apply(on_both!)]
async fn what_a_person_mapped_to_the_clone_stops_the_run_before_anything_is_switched(
    server: Server,
) {
    let stage = with_weekly(server).await;
    let nightly = stage.run(USER).await;
    stage.ended(&nightly).await.succeeded();
    stage.forget_what_was_mapped().await;
    let weekly = stage.run(WEEKLY).await;
    let end = stage.ended(&weekly).await;
    let words = ["no run has mapped", "vhost3", "rmvdev"];
    end.is(Phase::Failed, "ForeignMapping", &words);
    assert_eq!(end.step("stop-clone").state, EntryState::Pending);
    stage.unharmed().await;
}
