//! A role that lacks something: the operator says what, and goes on when it is granted.

use crate::controllers::field::{Field, phase};
use crate::server::Server;
use crate::support::kube::shared;
use crate::support::wait;
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{ListParams, Patch, PostParams};
use kube::config::AuthInfo;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

/// The operator's rules in its own namespace, but for the status of runs.
fn rules(runs_status: bool) -> Value {
    let mut rules = vec![
        json!({"apiGroups": ["ibmiclone.dev"], "resources": ["cloneenvironments", "cloneenvironments/status", "cloneenvironments/finalizers", "cloneruns", "cloneruns/finalizers", "cloneruns/end"], "verbs": ["*"]}),
        json!({"apiGroups": ["", "events.k8s.io", "coordination.k8s.io"], "resources": ["secrets", "configmaps", "events", "leases"], "verbs": ["*"]}),
    ];
    if runs_status {
        rules.push(json!({"apiGroups": ["ibmiclone.dev"], "resources": ["cloneruns/status"], "verbs": ["update", "patch"]}));
    }
    json!(rules)
}

/// A client of the operator's account, bound to a role that lacks the status of runs.
async fn limited(field: &Field, config: &Config) -> Client {
    let here = &field.namespace;
    let post = PostParams::default();
    let role: Role =
        serde_json::from_value(json!({"metadata": {"name": "op"}, "rules": rules(false)})).unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "op"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "op"},
        "subjects": [{"kind": "ServiceAccount", "name": "op", "namespace": here}],
    }))
    .unwrap();
    let roles: Api<Role> = Api::namespaced(field.client.clone(), here);
    roles.create(&post, &role).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(field.client.clone(), here);
    bindings.create(&post, &binding).await.unwrap();
    let mut config = config.clone();
    config.auth_info = AuthInfo {
        impersonate: Some(format!("system:serviceaccount:{here}:op")),
        impersonate_groups: Some(vec!["system:authenticated".to_owned()]),
        ..config.auth_info
    };
    let client = Client::try_from(config).unwrap();
    let may = Api::<ibmi_clone_operator::api::CloneRun>::namespaced(client.clone(), here);
    wait::until("the role is known", async || {
        may.list(&ListParams::default()).await.is_ok()
    })
    .await;
    client
}

#[tokio::test]
async fn a_missing_permission_is_named_and_the_run_goes_on_when_it_is_granted() {
    let Some(stack) = shared().await else { return };
    let field = Field::new(Server::Real(stack)).await;
    let client = limited(&field, stack.config()).await;
    field.environment("nightly", |_| {}).await;
    field.run("first", "nightly").await;
    let _operator = field.operator_via(client, |_| {});
    field.told("first", "PermissionMissing").await;
    let events: Api<Event> = Api::namespaced(field.client.clone(), &field.namespace);
    let events = events.list(&ListParams::default()).await.unwrap();
    let missing = |e: &&Event| e.reason.as_deref() == Some("PermissionMissing");
    let note = events.iter().find(missing).unwrap().note.clone().unwrap();
    let wanted = format!(
        "ServiceAccount {0}/op may not update cloneruns/status.ibmiclone.dev in namespace {0}",
        field.namespace
    );
    assert!(note.starts_with(&wanted), "{note}");
    let roles: Api<Role> = Api::namespaced(field.client.clone(), &field.namespace);
    let more = Patch::Merge(json!({"rules": rules(true)}));
    let patched = roles.patch("op", &Default::default(), &more).await;
    patched.unwrap();
    let run = field.ended("first").await;
    assert_eq!(phase(&run), Phase::Succeeded);
}
