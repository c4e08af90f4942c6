//! Rows, logs and events: what people read, and that it stays small.

use super::field::{Field, phase, reason};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::controllers::run::logs::{RUN_LABEL, read_logs};
use ibmi_clone_operator::engine::journal::{Facts, Phase};
use ibmi_clone_operator::recipe::LogKind;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::json;
use std::time::Duration;

#[apply(on_both!)]
async fn logs_are_kept_read_back_and_forgotten(server: Server) {
    let field = Field::new(server).await;
    field
        .environment("nightly", |spec| spec["logs"] = json!({"retainRuns": 1}))
        .await;
    let _operator = field.operator();
    field.run("one", "nightly").await;
    let one = field.ended("one").await;
    let kinds: Vec<String> = one
        .status
        .unwrap()
        .logs
        .iter()
        .map(|l| l.kind.clone())
        .collect();
    assert_eq!(kinds, ["steps", "joblog"]);
    let logs = read_logs(&field.client, &field.namespace, "one", None)
        .await
        .unwrap();
    let of = |kind| &logs.iter().find(|(k, _)| *k == kind).unwrap().1;
    assert_eq!(of(LogKind::JobLog).lines().count(), 100);
    assert!(of(LogKind::JobLog).contains("job log of one"));
    let steps = of(LogKind::Steps);
    for wanted in ["prepare-copy", "verdict", "Succeeded"] {
        assert!(steps.contains(wanted), "{steps}");
    }
    let maps: Api<ConfigMap> = Api::namespaced(field.client.clone(), &field.namespace);
    let map = maps.get("one-log-joblog-001").await.unwrap();
    assert_eq!(map.immutable, Some(true));
    assert_eq!(map.owner_references()[0].name, "one");
    assert!(map.annotations()["ibmiclone.dev/log-from"].starts_with("2026-11-23"));

    // The live tail of another run that is under way.
    let live = json!({"metadata": {"name": "three-log-live", "labels": {
        RUN_LABEL: "three", "ibmiclone.dev/log": "live", "ibmiclone.dev/environment": "nightly",
    }}});
    let live: ConfigMap = serde_json::from_value(live).unwrap();
    maps.create(&PostParams::default(), &live).await.unwrap();
    field.run("two", "nightly").await;
    field.ended("two").await;
    let gone = await_condition(
        maps.clone(),
        "one-log-joblog-001",
        |o: Option<&ConfigMap>| o.is_none(),
    );
    wait::finished("what logs.retainRuns leaves out", gone)
        .await
        .unwrap();
    let selector = format!("{RUN_LABEL}=two");
    let kept = maps
        .list(&ListParams::default().labels(&selector))
        .await
        .unwrap();
    assert_eq!(kept.items.len(), 2);
    let live = maps.get_opt("three-log-live").await.unwrap();
    assert!(live.is_some(), "it is no log of a run that is over");
}

#[apply(on_both!)]
async fn a_final_row_is_small_as_it_is_stored(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let long = "a long text of a device ".repeat(40);
    for (step, key) in [("prepare-copy", "targets"), ("run-function", "jobName")] {
        let facts = Facts::from([
            (key.to_owned(), long.clone()),
            ("warning.x".to_owned(), long.clone()),
        ]);
        field
            .world
            .outputs
            .lock()
            .unwrap()
            .insert(step.to_owned(), facts);
    }
    let _operator = field.operator();
    field.run("row", "nightly").await;
    let row = field.ended("row").await;
    assert_eq!(phase(&row), Phase::Warning);
    let size = serde_json::to_vec(&row).unwrap().len();
    assert!(
        size <= 6 * 1024,
        "{size} bytes with metadata and managed fields"
    );
    let status = row.status.unwrap();
    assert_eq!(status.steps.len(), 15);
    let resolved = status.resolved.unwrap();
    assert_eq!((resolved.spec, resolved.sha256.len()), (None, 64));
}

#[apply(on_both!)]
async fn transitions_become_events_once(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.world.hold("run-function");
    let _operator = field.operator();
    field.run("told", "nightly").await;
    let at = |r: &_| phase(r) == Phase::Running;
    field.until("told", at).await;
    wait::until("twenty looks at the held step", async || {
        field.world.looks("run-function").len() >= 20
    })
    .await;
    field.world.let_go("run-function");
    field.ended("told").await;
    let told = field.told("told", "Succeeded").await;
    assert_eq!(told, ["Opened", "Started", "Succeeded"]);
    assert_eq!(field.told("nightly", "Ready").await, ["Ready"]);
}

#[apply(on_both!)]
async fn deleting_a_run_ends_it_like_an_abort(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.world.hold("run-function");
    let _operator = field.operator();
    field.run("unwanted", "nightly").await;
    let run = field
        .until("unwanted", |r| {
            r.status.as_ref().and_then(|s| s.step.as_deref()) == Some("run-function")
        })
        .await;
    let uid = run.uid().unwrap();
    let gone = await_condition(field.runs(), "unwanted", conditions::is_deleted(&uid));
    field
        .runs()
        .delete("unwanted", &DeleteParams::default())
        .await
        .unwrap();
    // The finalizer goes right after the verdict.
    wait::finished("the run", gone).await.unwrap();
    field.told("unwanted", "Cancelled").await;
    assert_eq!(
        field.world.acts_of("unwanted"),
        12,
        "nothing after the function"
    );
    let status = field
        .environments()
        .get("nightly")
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status.last_run.unwrap().phase, Phase::Cancelled);
    assert_eq!(status.active_run, None);
}

#[apply(on_both!)]
async fn a_broken_run_is_reported_by_name_and_stops_nobody(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let mut broken = field.run("broken", "nightly").await;
    broken.status = Some(
        serde_json::from_value(json!({
            "phase": "Running",
            "obligations": [{"kind": "ResumeSource", "step": "suspend-source", "since": "2026-11-23T00:00:00Z"}],
        }))
        .unwrap(),
    );
    let mut raw = serde_json::to_value(&broken).unwrap();
    // The frozen spec of a newer operator: the schema of status lets it pass, this version cannot read it.
    raw["status"]["resolved"] = json!({"spec": {"function": "OF_THE_FUTURE"}});
    let api: Api<kube::api::DynamicObject> = Api::namespaced_with(
        field.client.clone(),
        &field.namespace,
        &kube::core::ApiResource::erase::<ibmi_clone_operator::api::CloneRun>(&()),
    );
    let object = serde_json::from_value(raw).unwrap();
    api.replace_status("broken", &PostParams::default(), &object)
        .await
        .unwrap();
    let _operator = field.operator();
    field.run("good", "nightly").await;
    assert_eq!(phase(&field.ended("good").await), Phase::Succeeded);
    field.told("broken", "CannotBeRead").await;
    field.told("broken", "ObligationUnmet").await;
}

#[apply(on_both!)]
async fn the_next_operator_finishes_what_a_killed_one_left(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.world.hold("run-function");
    let killed = field.operator();
    field.run("long", "nightly").await;
    field
        .until("long", |r| {
            r.status.as_ref().and_then(|s| s.step.as_deref()) == Some("run-function")
        })
        .await;
    drop(killed);
    field.world.let_go("run-function");
    let _operator = field.operator();
    let run = field.ended("long").await;
    assert_eq!(
        (phase(&run), reason(&run)),
        (Phase::Succeeded, reason(&run))
    );
    assert_eq!(field.world.acts_of("long"), 14, "no effect was sent twice");
}

#[apply(on_both!)]
async fn sigterm_waits_for_the_pass_under_way_and_starts_no_other(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.world.slow_down("prepare-copy");
    field.world.hold("prepare-copy");
    let operator = field.operator();
    field.run("cut", "nightly").await;
    let begun = "cut prepare-copy".to_owned();
    wait::until(&begun, async || field.world.acts().contains(&begun)).await;
    let mut ended = operator.terminate();
    let early = tokio::time::timeout(Duration::from_millis(500), &mut ended).await;
    assert!(early.is_err(), "the effect was still being sent");
    field.world.speed_up("prepare-copy");
    wait::finished("the operator", ended).await.unwrap();
    let acts = field.world.acts();
    assert_eq!(
        acts.last().unwrap(),
        "cut prepare-copy sent",
        "the pass was not cut off"
    );
    assert_eq!(
        phase(&field.runs().get("cut").await.unwrap()),
        Phase::Running
    );
}
