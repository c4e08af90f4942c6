//! An environment with more than one target set: which one a run takes, and what becomes of the others' images.

use super::field::{Field, phase};
use crate::failures::stage::{HOLD, Stage, USER, as_it_is};
use crate::server::Server;
use ibmi_clone_operator::api::{CloneRun, CloneRunStatus};
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, Patch};
use kube::{Api, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// The one set that a run was opened with.
fn set_of(run: &CloneRun) -> Vec<String> {
    let resolved = run.status.as_ref().and_then(|s| s.resolved.as_ref());
    let spec = resolved.and_then(|r| r.spec.as_ref());
    spec.map_or_else(Vec::new, |spec| spec.target_sets())
}

fn opened(run: &CloneRun) -> bool {
    !set_of(run).is_empty()
}

#[apply(on_both!)]
async fn a_run_passes_over_the_set_at_work_and_the_pinned_one(server: Server) {
    let field = Field::new(server).await;
    let sets = ["A", "B", "C"].map(|set| format!("{set}_{}", field.namespace.replace('-', "_")));
    let groups = json!(sets);
    field
        .environment("nightly", |spec| {
            spec["storage"]["spectrumVirtualize"]["consistencyGroups"] = groups.clone();
        })
        .await;
    field.world.hold("run-function");
    let operator = field.operator();
    field.run("first", "nightly").await;
    let at_work = |r: &CloneRun| {
        let status = r.status.as_ref();
        status.and_then(|s| s.step.as_deref()) == Some("run-function")
    };
    let first = field.until("first", at_work).await;
    assert_eq!(set_of(&first), [sets[0].clone()]);

    // It waits for the clone partition; its own set is reserved all the same.
    field.run("second", "nightly").await;
    let queued = field.until("second", |r| phase(r) == Phase::Queued).await;
    assert_eq!(set_of(&queued), [sets[1].clone()]);
    field.run("third", "nightly").await;
    let third = field.until("third", opened).await;
    assert_eq!(set_of(&third), [sets[2].clone()]);
    drop(operator);

    // Another process goes on with the sets that were chosen.
    field.world.let_go("run-function");
    let _operator = field.operator();
    for run in ["first", "second", "third"] {
        assert_eq!(phase(&field.ended(run).await), Phase::Succeeded, "{run}");
    }
    pin(&field, &format!("target set {}", sets[0])).await;
    field.world.hold("run-function");
    field.run("fourth", "nightly").await;
    let fourth = field.until("fourth", opened).await;
    assert_eq!(set_of(&fourth), [sets[1].clone()]);
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("fourth").await), Phase::Succeeded);
}

async fn pin(field: &Field, device: &str) {
    let api: Api<Lease> = Api::namespaced(field.client.clone(), &field.namespace);
    let all = api.list(&ListParams::default()).await.unwrap().items;
    let is_it = |lease: &&Lease| {
        let named = lease.annotations().get("ibmiclone.dev/device");
        named.is_some_and(|d| d.starts_with(device))
    };
    let name = all.iter().find(is_it).unwrap().name_any();
    let change =
        json!({"metadata": {"annotations": {"ibmiclone.dev/pinned": crate::support::kube::PIN}}});
    let patch = Patch::Merge(&change);
    api.patch(&name, &Default::default(), &patch).await.unwrap();
}

/// The nightly environment with both groups of the site; the other environment is not there.
fn both_sets(object: &mut Value) {
    if object["kind"] != "CloneEnvironment" {
        return;
    }
    if object["metadata"]["name"] == HOLD {
        *object = Value::Null;
    } else {
        object["spec"]["storage"]["spectrumVirtualize"]["consistencyGroups"] =
            json!(["CLONE1", "CLONE2"]);
    }
}

async fn row(stage: &Stage, run: &str) -> CloneRunStatus {
    stage.runs().get(run).await.unwrap().status.unwrap()
}

fn image_on(row: &CloneRunStatus) -> Option<&str> {
    row.image.as_ref()?.target_set.rsplit('/').next()
}

#[apply(on_both!)]
async fn two_sets_are_used_in_turn_and_the_older_image_stays(server: Server) {
    let stage = Stage::at(server, as_it_is, both_sets).await;
    stage.ready(USER).await;
    let mut runs: Vec<String> = Vec::new();
    for set in ["CLONE1", "CLONE2", "CLONE1"] {
        let run = stage.run(USER).await;
        stage.ended(&run).await.succeeded();
        assert_eq!(image_on(&row(&stage, &run).await), Some(set));
        runs.push(run);
    }
    // The third took the oldest image's set; the second's image is on the array, off the clone.
    let first = row(&stage, &runs[0]).await;
    assert_eq!(first.state.as_deref(), Some("END_FC"));
    assert_eq!(image_on(&first), None);
    let second = row(&stage, &runs[1]).await;
    assert_eq!(second.state.as_deref(), Some("USER_END"));
    assert_eq!(image_on(&second), Some("CLONE2"));
    let counts = |t: &Option<String>| t.as_ref().is_some_and(|t| t.starts_with("since"));
    assert!(counts(&second.flash_copy_active) && !counts(&second.partition_active));
    stage.unharmed().await;
}

#[apply(on_both!)]
async fn what_is_wrong_with_any_of_the_sets_is_told_before_its_turn_comes(server: Server) {
    let one_map_less = |world: &mut ibmi_clone_operator::simulators::world::file::WorldFile| {
        let group = world.array.groups.iter_mut().find(|g| g.name == "CLONE2");
        group.unwrap().maps.pop();
    };
    let first_set = |object: &mut Value| {
        both_sets(object);
        if object["kind"] == "CloneEnvironment" {
            object["spec"]["storage"]["spectrumVirtualize"]["consistencyGroups"] =
                json!(["CLONE1"]);
        }
    };
    let stage = Stage::at(server, one_map_less, first_set).await;
    stage.ready(USER).await;
    let both = json!({"consistencyGroups": ["CLONE1", "CLONE2"]});
    let storage = json!({"storage": {"spectrumVirtualize": both}});
    stage.change_spec(USER, storage).await;
    let status = stage.not_ready(USER, "VolumeDrift").await;
    let ready = crate::failures::stage::condition(&status, "Ready").1;
    assert!(ready.contains("CLONE2 does not copy"), "{ready}");
    // A run on the set that is in order goes on.
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    assert_eq!(image_on(&row(&stage, &run).await), Some("CLONE1"));
    stage.unharmed().await;
}
