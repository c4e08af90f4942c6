//! Several environments on one source of which one has BRMS frozen.

use super::{BRMS, known_saves, save_with, saving, state, with, with_brms};
use crate::failures::stage::{HOLD, Stage, environments, says_all};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::ibmi::brms::BrmsState;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_of_two_brms_environments_waits_for_the_first_one_s_history() {
    let devices = |w: &mut WorldFile| with(w, |b| b.control_groups[0].seconds = 300);
    let both = |object: &mut Value| {
        let weekly = object["metadata"]["name"] == HOLD;
        let group = if weekly { "WEEKLY" } else { "DAILY" };
        environments(|spec| save_with(spec, &json!({"controlGroups": [group]})))(object);
    };
    let Some(stage) = Stage::new(devices, both).await else {
        return;
    };
    stage.ready(BRMS).await;
    stage.ready(HOLD).await;
    let first = stage.run(BRMS).await;
    stage
        .says(&first, "run-function", "control group DAILY")
        .await;
    let second = stage.run(HOLD).await;
    let queued = stage
        .until(&second, |r| {
            let status = r.status.as_ref();
            status.is_some_and(|s| s.phase == Phase::Queued)
        })
        .await;
    let queue = queued.status.unwrap().queue.unwrap();
    says_all(&queue.blocked_by, &[&first, "BRMS of PROD"]);
    stage.ended(&first).await.succeeded();
    stage.ended(&second).await.succeeded();
    assert_eq!(known_saves(&stage), ["DAILY", "WEEKLY"]);
    assert_eq!(state(&stage), Some(BrmsState::Normal));
    stage.unharmed().await;
}

/// It does not wait; its image is in BRMS's FlashCopy process, and whoever starts it is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_taken_while_brms_is_frozen_warns_and_says_so_again_when_it_is_started() {
    let devices = |w: &mut WorldFile| with(w, |b| b.control_groups[0].seconds = 2000);
    let Some(stage) = Stage::new(devices, saving(json!({"controlGroups": ["DAILY"]}))).await else {
        return;
    };
    stage.ready(BRMS).await;
    stage.ready(HOLD).await;
    let night = stage.run(BRMS).await;
    stage
        .says(&night, "run-function", "control group DAILY")
        .await;
    let image = stage.run(HOLD).await;
    let end = stage.ended(&image).await;
    assert_eq!(end.outcome().0, Phase::Warning, "{}", end.message());
    says_all(end.message(), &[&night, "FlashCopy process", "*ENDPRC"]);
    let taken = end.0.status.as_ref().unwrap().image.clone().unwrap();
    assert!(
        taken
            .backups_frozen_by
            .is_some_and(|by| by.ends_with(&night))
    );
    let start = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"generateName": "start-"},
        "spec": {"environment": HOLD, "mode": "StartHeld", "run": image, "sourceIsDown": true},
    });
    let start = serde_json::from_value(start).unwrap();
    let runs = stage.runs();
    let start = runs.create(&PostParams::default(), &start).await.unwrap();
    let started = stage.ended(&start.name_any()).await;
    assert_eq!(started.outcome().0, Phase::Warning, "{}", started.message());
    says_all(
        started.message(),
        &["INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)"],
    );
    stage.ended(&night).await.succeeded();
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_taken_when_nobody_saves_does_not_warn() {
    let Some(stage) = Stage::new(with_brms, saving(json!({}))).await else {
        return;
    };
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    stage.unharmed().await;
}
