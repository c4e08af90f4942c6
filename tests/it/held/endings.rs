//! `after.endAfterSeconds` on a real and on the embedded API server: when the operator ends an image by itself, and when it does not.

use crate::controllers::field::{Field, phase};
use crate::history::finished_as;
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, ENDS_ANNOTATION};
use ibmi_clone_operator::controllers::locks::names::target_lease;
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PostParams};
use kube::{Api, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// The array that the fake check finds.
const ARRAY: &str = "000002032CA0FF0E";

fn target_set(environment: &CloneEnvironment) -> String {
    let sets = environment.spec.target_sets();
    format!("{ARRAY}/{}", sets[0])
}

fn leases(field: &Field) -> Api<Lease> {
    Api::namespaced(field.client.clone(), &field.namespace)
}

/// A run that has ended long ago, with its image on the target set and the time at which it is to be ended.
async fn due(
    field: &Field,
    environment: &CloneEnvironment,
    change: impl Fn(&mut Value),
) -> CloneRun {
    let set = target_set(environment);
    let run = finished_as(field, &environment.name_any(), 1, "Succeeded", |run| {
        run["metadata"]["annotations"] = json!({ENDS_ANNOTATION: "2026-11-23T09:00:00.000Z"});
        run["status"]["state"] = json!("USER_END");
        run["status"]["resolved"] = json!({"environmentUID": environment.uid(), "sha256": "0"});
        run["status"]["image"] = json!({"targetSet": set, "mark": "m", "endAfterSeconds": 60});
        change(run);
    })
    .await;
    let owner = json!({"uid": run.uid(), "namespace": field.namespace, "run": run.name_any()});
    let lease = json!({"metadata": {
        "name": target_lease(&set), "labels": {"ibmiclone.dev/lock": "device"},
        "annotations": {"ibmiclone.dev/image-owner": owner.to_string()},
    }});
    let lease: Lease = serde_json::from_value(lease).unwrap();
    let created = leases(field).create(&PostParams::default(), &lease).await;
    created.unwrap();
    run
}

async fn note_on_lease(field: &Field, environment: &CloneEnvironment, notes: Value) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": notes}}));
    let name = target_lease(&target_set(environment));
    let (leases, parameters) = (leases(field), Default::default());
    leases.patch(&name, &parameters, &patch).await.unwrap();
}

/// Runs of mode End about a run.
async fn ends_of(field: &Field, run: &CloneRun) -> Vec<CloneRun> {
    let all = field.runs().list(&Default::default()).await.unwrap();
    let about = |r: &CloneRun| r.spec.run == Some(run.name_any());
    all.items.into_iter().filter(about).collect()
}

fn state(run: &CloneRun) -> &str {
    run.status.as_ref().unwrap().state.as_deref().unwrap()
}

/// Waits until the row tells that its image is gone; gives the run that ended it.
async fn ended_by(field: &Field, run: &CloneRun) -> CloneRun {
    let row = field.until(&run.name_any(), |r| state(r) == "END_FC").await;
    assert_eq!(row.status.unwrap().image, None);
    let ends = ends_of(field, run).await;
    assert_eq!(ends.len(), 1, "{ends:#?}");
    let end = field.ended(&ends[0].name_any()).await;
    assert_eq!(phase(&end), Phase::Succeeded);
    end
}

async fn until_disarmed(field: &Field, run: &CloneRun) {
    let armed = |r: &CloneRun| r.annotations().contains_key(ENDS_ANNOTATION);
    field.until(&run.name_any(), |r| !armed(r)).await;
}

#[apply(on_both!)]
async fn a_due_image_is_ended_once_though_two_operators_look_and_none_saw_its_run(server: Server) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    let run = due(&field, &environment, |_| {}).await;
    let _one = field.operator();
    let _two = field.operator_with(|config| config.writer = "writer-2".to_owned());
    let end = ended_by(&field, &run).await;
    assert_eq!(end.spec.requested_by, "endAfterSeconds");
    assert_eq!(format!("{:?}", end.spec.trigger), "External");
    assert_eq!(state(&end), "END");
    let uid = run.uid().unwrap();
    assert_eq!(end.name_any(), format!("nightly-end-{}", &uid[..13]));
    until_disarmed(&field, &run).await;
    field.told(&run.name_any(), "ImageEnds").await;
    assert_eq!(ends_of(&field, &run).await.len(), 1);
}

#[apply(on_both!)]
async fn nothing_is_ended_before_its_time(server: Server) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    // The annotation is early: the status knows better.
    let run = due(&field, &environment, |run| {
        run["status"]["image"]["endAfterSeconds"] = json!(31_536_000);
        run["status"]["finishedAt"] = json!(chrono::Utc::now().to_rfc3339());
    })
    .await;
    let other = field.environment("other", |_| {}).await;
    let other = due(&field, &other, |_| {}).await;
    let _operator = field.operator();
    ended_by(&field, &other).await;
    assert!(ends_of(&field, &run).await.is_empty());
    assert!(run.annotations().contains_key(ENDS_ANNOTATION));
}

#[apply(on_both!)]
async fn an_image_that_is_held_or_kept_is_ended_when_it_is_free_and_one_of_an_open_run_is_left_to_it(
    server: Server,
) {
    let field = Field::new(server).await;
    let [held, kept, used, free] = ["held", "kept", "used", "free"];
    let mut runs = Vec::new();
    for name in [held, kept, used, free] {
        let environment = field.environment(name, |_| {}).await;
        let run = due(&field, &environment, |run| {
            if name == kept {
                run["spec"]["keepUntil"] = json!("2999-12-31T00:00:00Z");
            }
        });
        runs.push((environment.clone(), run.await));
    }
    note_on_lease(
        &field,
        &runs[0].0,
        json!({"ibmiclone.dev/pinned": crate::support::kube::PIN}),
    )
    .await;
    field.world.hold("run-function");
    let work = field.run("at-work", used).await;
    let _operator = field.operator();
    // An End takes the steps of the fake recipe too: it is looked at as soon as it is there.
    wait::until("the free image is ended", async || {
        !ends_of(&field, &runs[3].1).await.is_empty()
    })
    .await;
    for (environment, run) in &runs[..3] {
        let name = environment.name_any();
        assert!(ends_of(&field, run).await.is_empty(), "{name}");
    }
    note_on_lease(&field, &runs[0].0, json!({"ibmiclone.dev/pinned": null})).await;
    field.world.let_go("run-function");
    ended_by(&field, &runs[0].1).await;
    // The open run took the target set over and closed the row itself: there was nothing left to be ended.
    field.ended(&work.name_any()).await;
    until_disarmed(&field, &runs[2].1).await;
    for (environment, run) in &runs[1..3] {
        let name = environment.name_any();
        assert!(ends_of(&field, run).await.is_empty(), "{name}");
    }
}

#[apply(on_both!)]
async fn an_image_whose_environment_was_made_anew_or_whose_set_has_another_owner_is_left_alone(
    server: Server,
) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", |_| {}).await;
    let stranger = due(&field, &environment, |run| {
        run["status"]["resolved"]["environmentUID"] = json!("another");
    })
    .await;
    let taken = field.environment("taken", |_| {}).await;
    let old = due(&field, &taken, |_| {}).await;
    let owner = json!({"uid": "another", "namespace": field.namespace, "run": "another"});
    let owner = json!({"ibmiclone.dev/image-owner": owner.to_string()});
    note_on_lease(&field, &taken, owner).await;
    let _operator = field.operator();
    for run in [&stranger, &old] {
        until_disarmed(&field, run).await;
        assert!(ends_of(&field, run).await.is_empty());
    }
}

/// The Lease decides whose image a target set carries: a change of it alone is enough.
#[apply(on_both!)]
async fn a_row_turns_end_fc_and_may_go_as_soon_as_its_lease_names_another_owner(server: Server) {
    let field = Field::new(server).await;
    let none = |spec: &mut Value| {
        spec["history"] = json!({"succeeded": 1, "failed": 0, "skipped": 0});
    };
    let environment = field.environment("nightly", none).await;
    let run = due(&field, &environment, |run| {
        run["metadata"]["annotations"] = Value::Null;
    })
    .await;
    // Not the last success, and kept by its image alone.
    let failed = finished_as(&field, "nightly", 2, "Failed", |_| {}).await;
    let _operator = field.operator();
    wait::until(
        "the failed row is gone, so all were looked at",
        async || {
            let found = field.runs().get_opt(&failed.name_any()).await;
            found.unwrap().is_none()
        },
    )
    .await;
    assert_eq!(
        state(&field.runs().get(&run.name_any()).await.unwrap()),
        "USER_END"
    );
    let owner = json!({"ibmiclone.dev/image-owner": null});
    note_on_lease(&field, &environment, owner).await;
    field.until(&run.name_any(), |r| state(r) == "END_FC").await;
}
