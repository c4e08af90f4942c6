//! A held image from the copy to its release, with the real drivers on a simulated site.

use crate::failures::stage::{End, HOLD, SCALE, Stage, USER, as_it_is, environments};
use crate::server::Server;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::{EntryState, Phase};
use ibmi_clone_operator::simulators::hmc::{PowerState, stop_by_hand};
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::uid_of;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::simulators::world::{Content, World};
use ibmi_clone_operator::site::Uid;
use kube::ResourceExt;
use kube::api::{Patch, PostParams};
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// A run of an environment with more than its name.
pub(super) async fn run(stage: &Stage, environment: &str, more: Value) -> String {
    let mut object = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"generateName": format!("{environment}-")},
        "spec": {"environment": environment},
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    let run: CloneRun = serde_json::from_value(object).unwrap();
    let created = stage.runs().create(&PostParams::default(), &run).await;
    created.unwrap().name_any()
}

pub async fn about(stage: &Stage, environment: &str, mode: &str, image: &str) -> String {
    run(stage, environment, json!({"mode": mode, "run": image})).await
}

pub async fn state(stage: &Stage, name: &str) -> String {
    let status = stage.runs().get(name).await.unwrap().status.unwrap();
    status.state.unwrap_or_default()
}

/// The volumes of the HOLD's target set.
pub(super) fn targets(world: &World) -> Vec<Uid> {
    ["CLONE2_0", "CLONE2_1", "CLONE2_2", "CLONE2_3"]
        .iter()
        .filter_map(|name| uid_of(world, name))
        .collect()
}

pub(super) fn power_off_production(world: &mut World) {
    stop_by_hand(world, "PROD");
}

async fn skips(stage: &Stage, name: &str, reason: &str, words: &[&str]) {
    stage.ended(name).await.is(Phase::Skipped, reason, words);
}

#[apply(on_both!)]
async fn a_held_image_is_started_pinned_released_and_replaced(server: Server) {
    let stage = Stage::at(server, as_it_is, as_it_is).await;
    stage.ready(HOLD).await;
    let image = stage.run(HOLD).await;
    stage.ended(&image).await.succeeded();

    let early = about(&stage, HOLD, "StartHeld", &image).await;
    let early = stage.ended(&early).await;
    early.is(Phase::Failed, "SourceRunning", &["--source-is-down"]);

    let down = json!({"mode": "StartHeld", "run": image, "sourceIsDown": true});
    let start = run(&stage, HOLD, down).await;
    let end = stage.ended(&start).await;
    end.is(
        Phase::Warning,
        "CompletedWithWarnings",
        &["a person's word"],
    );
    assert_eq!(state(&stage, &start).await, "START_HELD");
    stage.world(|w| {
        let held = targets(w);
        assert_eq!(held.len(), 4);
        w.pinned.extend(held);
        let clone = &w.console.partitions["CLONE2"];
        assert_eq!(clone.keylock, "manual");
        assert_eq!(clone.state, PowerState::Running);
    });

    // Nothing takes it: by hand, by the schedule, by an end, though its first row is gone.
    stage.delete(&start).await;
    let release = format!("release-held {image}");
    let words = [release.as_str()];
    let manual = stage.run(HOLD).await;
    skips(&stage, &manual, "HeldImageInUse", &words).await;
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let slot = json!({"trigger": "Schedule", "scheduledTime": now});
    let slot = run(&stage, HOLD, slot).await;
    skips(&stage, &slot, "HeldImageInUse", &words).await;
    let end = about(&stage, HOLD, "End", &image).await;
    let end = stage.ended(&end).await;
    end.is(Phase::Failed, "HeldImageInUse", &words);

    let released = about(&stage, HOLD, "ReleaseHeld", &image).await;
    stage.ended(&released).await.succeeded();
    assert_eq!(state(&stage, &released).await, "RELEASE_HELD");
    assert_eq!(
        state(&stage, &image).await,
        "HOLD",
        "a release ends nothing"
    );
    stage.world(|w| w.pinned.clear());

    let again = about(&stage, HOLD, "ReleaseHeld", &image).await;
    stage.ended(&again).await.is(Phase::Failed, "NotHeld", &[]);

    let next = stage.run(HOLD).await;
    stage.ended(&next).await.succeeded();
    assert_eq!(state(&stage, &image).await, "END_FC");
    assert_eq!(state(&stage, &next).await, "HOLD");
    let late = about(&stage, HOLD, "StartHeld", &image).await;
    stage.ended(&late).await.is(Phase::Failed, "ImageGone", &[]);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_production_needs_no_word() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    let image = stage.run(HOLD).await;
    stage.ended(&image).await.succeeded();
    stage.world(power_off_production);
    let start = about(&stage, HOLD, "StartHeld", &image).await;
    stage.ended(&start).await.succeeded();
    let from_production = stage.world(|w| {
        let uid = targets(w).remove(0);
        let Some(Content::Part { image, .. }) = w.contents.get(&uid).copied() else {
            return None;
        };
        let runs = w.systems.get("CLONE2").and_then(|s| s.image());
        assert_eq!(runs, Some(image), "the clone runs on the held image");
        w.images[&image].origin.as_ref().map(|o| o.source.clone())
    });
    assert_eq!(from_production.as_deref(), Some("PROD"));
}

#[apply(on_both!)]
async fn an_end_switches_the_clone_off_unmaps_and_stops_the_copy_and_closes_the_row(
    server: Server,
) {
    let stage = Stage::at(server, as_it_is, as_it_is).await;
    stage.ready(USER).await;
    let image = stage.run(USER).await;
    stage.ended(&image).await.succeeded();
    let spec = json!({"mode": "End", "run": image});
    let end = run(&stage, USER, spec.clone()).await;
    let ended = stage.ended(&end).await;
    ended.succeeded();
    for step in ["verify-image", "stop-clone", "unmap-volumes", "end-image"] {
        assert_eq!(ended.step(step).state, EntryState::Done, "{step}");
    }
    assert_eq!(state(&stage, &end).await, "END");
    assert_eq!(state(&stage, &image).await, "END_FC");
    let row = stage.runs().get(&image).await.unwrap().status.unwrap();
    assert_eq!(row.image, None);
    assert!(!row.flash_copy_active.unwrap().starts_with("since"));
    let off = stage.world(|w| w.console.partitions["CLONE1"].state);
    assert_eq!(off, PowerState::NotActivated);

    let again = run(&stage, USER, spec).await;
    stage
        .ended(&again)
        .await
        .is(Phase::Failed, "ImageGone", &[]);
    let other = about(&stage, HOLD, "End", &image).await;
    let other = stage.ended(&other).await;
    other.is(Phase::Failed, "NotItsImage", &["environment: nightly-user"]);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_image_is_neither_replaced_nor_ended_until_its_time_or_its_runs_deletion() {
    let Some(stage) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    stage.ready(HOLD).await;
    let image = stage.run(HOLD).await;
    stage.ended(&image).await.succeeded();
    // Set after its end, as a person does who has seen what the copy is worth.
    let keep = json!({"spec": {"keepUntil": "2999-12-31T00:00:00Z"}});
    let patched = stage
        .runs()
        .patch(&image, &Default::default(), &Patch::Merge(&keep))
        .await;
    patched.unwrap();
    // Seen, although the run is in no loop any more.
    let acknowledged = |r: &CloneRun| {
        let seen = r.status.as_ref().and_then(|s| s.observed_generation);
        r.metadata.generation == Some(2) && seen == Some(2)
    };
    stage.until(&image, acknowledged).await;
    let before = stage.effects("array.startfcconsistgrp");
    let next = stage.run(HOLD).await;
    skips(&stage, &next, "ImageKept", &[&image, "keepUntil"]).await;
    let end = about(&stage, HOLD, "End", &image).await;
    stage
        .ended(&end)
        .await
        .is(Phase::Failed, "ImageKept", &[&image]);
    assert_eq!(stage.effects("array.startfcconsistgrp"), before);
    assert_eq!(state(&stage, &image).await, "HOLD");
    stage.delete(&image).await;
    let next = stage.run(HOLD).await;
    stage.ended(&next).await.succeeded();
    stage.unharmed().await;
}

/// The run of mode End that the operator has created for an image.
async fn ended_by_operator(stage: &Stage, image: &str) -> End {
    let closed = |r: &CloneRun| {
        let status = r.status.as_ref();
        status.is_some_and(|s| s.state.as_deref() == Some("END_FC"))
    };
    stage.until(image, closed).await;
    let all = stage.runs().list(&Default::default()).await.unwrap();
    let ends = |r: &&CloneRun| r.spec.run.as_deref() == Some(image);
    let found: Vec<&CloneRun> = all.iter().filter(ends).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].spec.requested_by, "endAfterSeconds");
    stage.ended(&found[0].name_any()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_ended_by_the_operator_some_time_after_its_run_also_by_another_process() {
    let change = environments(|s| {
        if s["function"] == "USER" {
            s["after"] = json!({"endAfterSeconds": 180});
        }
    });
    let Some(mut stage) = Stage::new(as_it_is, change).await else {
        return;
    };
    stage.ready(USER).await;
    let image = stage.run(USER).await;
    let end = stage.ended(&image).await;
    end.succeeded();
    let kept = end.0.status.as_ref().unwrap().image.clone().unwrap();
    assert_eq!(kept.end_after_seconds, Some(180));
    let clone = |w: &mut World| w.console.partitions["CLONE1"].state;
    assert_eq!(stage.world(clone), PowerState::Running, "not yet");
    stage.start_operator(SCALE);
    let end = ended_by_operator(&stage, &image).await;
    end.succeeded();
    let finished = kept.taken_at.unwrap();
    let began = end.0.status.as_ref().unwrap().started_at.unwrap();
    assert!(began.since(finished) >= 3_000, "180 s are 3 s here");
    assert_eq!(stage.world(clone), PowerState::NotActivated);
    assert_eq!(stage.effects("array.stopfcconsistgrp"), 1);
    assert_eq!(stage.image_owner("target set CLONE1").await, None);
    stage.unharmed().await;
}

/// On a full copy the clone keeps its disks: only the relation ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_full_copys_image_leaves_the_clone_at_work() {
    let full = |w: &mut WorldFile| {
        let groups = w.array.groups.iter_mut().filter(|g| g.name == "CLONE1");
        for map in groups.flat_map(|g| &mut g.maps) {
            map.copy_rate = 150;
        }
    };
    let change = environments(|s| {
        if s["function"] == "USER" {
            s["storage"]["spectrumVirtualize"]["copy"] = json!({"kind": "Full"});
            s["after"] = json!({"endAfterSeconds": 60});
        }
    });
    let Some(stage) = Stage::new(full, change).await else {
        return;
    };
    stage.ready(USER).await;
    let image = stage.run(USER).await;
    stage.ended(&image).await.succeeded();
    let end = ended_by_operator(&stage, &image).await;
    end.succeeded();
    let clone = stage.world(|w| w.console.partitions["CLONE1"].state);
    assert_eq!(clone, PowerState::Running);
    assert_eq!(stage.effects("array.stopfcconsistgrp"), 0);
    assert_eq!(stage.effects("hmc.PowerOff.CLONE1"), 0);
    assert_eq!(stage.image_owner("target set CLONE1").await, None);
    // The next run takes partition and volumes over.
    let next = stage.run(USER).await;
    stage.ended(&next).await.succeeded();
    stage.unharmed().await;
}
