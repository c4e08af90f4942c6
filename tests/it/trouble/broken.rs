//! Objects that this version cannot read beside a suspended production (`architecture.md` § 4, rule 13). They come through
//! definitions with a looser schema, as those of a newer version may be.

use crate::controllers::cancel::owes;
use crate::controllers::fakes::OWED;
use crate::controllers::field::{Field, phase};
use crate::support::kube::{crds, namespace, own};
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, FINALIZER};
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::engine::journal::{ObligationKind, Phase};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

const NIGHT: &str = "scheduled-20261124t0000z";

/// Definitions that take anything but for what is selected by.
async fn loosen(stack: &KubeStack) {
    let text = json!({"type": "string"});
    let open = |properties: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": properties});
    let schema = open(json!({
        "spec": open(json!({"environment": text})),
        "status": open(json!({"phase": text})),
    }));
    let schema: JSONSchemaProps = serde_json::from_value(schema).unwrap();
    let loose = |mut crd: CustomResourceDefinition| {
        for version in &mut crd.spec.versions {
            let validation = version.schema.as_mut().unwrap();
            validation.open_api_v3_schema = Some(schema.clone());
        }
        crd
    };
    let crds: Vec<_> = crds().into_iter().map(loose).collect();
    stack.install_crds(&crds).await.unwrap();
}

fn any<K: kube::Resource<DynamicType = ()>>(field: &Field) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<K>(&());
    Api::namespaced_with(field.client.clone(), &field.namespace, &resource)
}

/// Not served at once: the API server takes a moment to use the looser schema.
async fn create<K: kube::Resource<DynamicType = ()>>(field: &Field, name: &str, object: Value) {
    let mut object: DynamicObject = serde_json::from_value(object).unwrap();
    object.metadata.name = Some(name.to_owned());
    let api = any::<K>(field);
    wait::found("an object that only the looser schema takes", async || {
        api.create(&PostParams::default(), &object).await
    })
    .await;
}

async fn break_environment(field: &Field, name: &str) {
    let patch = json!({"spec": {"function": {"of": "the future"}}});
    let api = any::<CloneEnvironment>(field);
    wait::found("an environment broken", async || {
        let patch = Patch::Merge(&patch);
        api.patch(name, &PatchParams::default(), &patch).await
    })
    .await;
}

/// A run `r` of environment `nightly` that owes the resume, and no operator.
async fn suspended(field: &Field) {
    field.world.cannot_meet(OWED);
    field.world.hold("start-copy");
    field.environment("nightly", |_| {}).await;
    let operator = field.operator();
    field.verified("nightly").await;
    field.run("r", "nightly").await;
    field
        .until("r", |r| owes(r, ObligationKind::ResumeSource))
        .await;
    field.at_step("r", "start-copy").await;
    operator.ends().await;
}

#[tokio::test]
async fn unreadable_objects_stop_neither_a_resume_nor_the_schedule_of_others() {
    let Some(stack) = own().await else { return };
    let (client, namespace) = namespace(&stack).await;
    let field = Field::on(client, namespace).await;
    suspended(&field).await;
    field
        .environment("scheduled", |spec| {
            spec["schedule"] = json!({"cron": ["0 0 * * *"]})
        })
        .await;
    loosen(&stack).await;
    let api_version = "ibmiclone.dev/v1alpha1";
    let environment =
        json!({"apiVersion": api_version, "kind": "CloneEnvironment", "spec": {"function": 7}});
    create::<CloneEnvironment>(&field, "aaa", environment).await;
    let run = json!({
        "apiVersion": api_version, "kind": "CloneRun", "metadata": {"finalizers": [FINALIZER]},
        "spec": {"environment": "nightly", "mode": ["of the future"]},
    });
    create::<CloneRun>(&field, "aaa-run", run).await;
    field.world.cannot_meet(&[]);
    field.world.let_go("start-copy");
    let clock = ScheduleClock::scaled("2026-11-23T23:59:58Z".parse().unwrap(), 1.0);
    let _operator = field.operator_with(|c| c.schedule_clock = clock);
    let end = field.ended("r").await;
    assert_eq!(phase(&end), Phase::Succeeded);
    assert!(!owes(&end, ObligationKind::ResumeSource));
    assert_eq!(phase(&field.ended(NIGHT).await), Phase::Succeeded);
    field.told("aaa-run", "CannotBeRead").await;
    let broken = any::<CloneRun>(&field).get("aaa-run").await.unwrap();
    assert_eq!(
        broken.finalizers(),
        [FINALIZER],
        "nobody knows what it owes"
    );
}

#[tokio::test]
async fn a_run_whose_own_environment_cannot_be_read_is_resumed_and_ends_and_the_next_one_says_why_it_waits()
 {
    let Some(stack) = own().await else { return };
    let (client, namespace) = namespace(&stack).await;
    let field = Field::on(client, namespace).await;
    suspended(&field).await;
    loosen(&stack).await;
    break_environment(&field, "nightly").await;
    field.world.cannot_meet(&[]);
    field.world.let_go("start-copy");
    let _operator = field.operator();
    let end = field.ended("r").await;
    assert_eq!(phase(&end), Phase::Succeeded);
    assert!(!owes(&end, ObligationKind::ResumeSource));

    field.run("next", "nightly").await;
    let waiting = field
        .until("next", |r| {
            let status = r.status.as_ref();
            status.and_then(|s| s.reason.as_deref()) == Some("EnvironmentUnreadable")
        })
        .await;
    let message = waiting.status.unwrap().message.unwrap();
    assert!(message.contains("correct it or delete it"), "{message}");
    let patch = json!({"spec": {"function": "USER"}});
    let patch = Patch::Merge(&patch);
    let api = any::<CloneEnvironment>(&field);
    let parameters = PatchParams::default();
    api.patch("nightly", &parameters, &patch).await.unwrap();
    let next = field.ended("next").await;
    assert_eq!(phase(&next), Phase::Succeeded);
    assert_eq!(next.status.unwrap().number, Some(2));
}
