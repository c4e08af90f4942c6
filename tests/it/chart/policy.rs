//! A mode that works on a held image needs a permission of its own: the admission policy of the chart.

use super::{RELEASE, acting_as, bind, installed, read};
use crate::support::kube::namespace;
use crate::support::wait;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::json;

const MODES: [(&str, &str); 3] = [
    ("StartHeld", "startheld"),
    ("ReleaseHeld", "releaseheld"),
    ("End", "end"),
];

/// Tries to create a run of a mode; nothing is stored.
async fn tries(client: &Client, namespace: &str, mode: &str) -> Result<(), String> {
    let kind = GroupVersionKind::gvk("ibmiclone.dev", "v1alpha1", "CloneRun");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let mut spec = json!({"environment": "nightly", "mode": mode});
    if MODES.iter().any(|(held, _)| *held == mode) {
        spec["run"] = json!("nightly-1");
    }
    let run: DynamicObject = read(json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"generateName": "nightly-"},
        "spec": spec,
    }));
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api.create(&dry, &run).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

/// The same until the API server has taken notice of the definition, the policy and the rules.
async fn until_answer(
    client: &Client,
    namespace: &str,
    mode: &str,
    wanted: impl Fn(&Result<(), String>) -> bool,
) -> Result<(), String> {
    wait::found(mode, async || {
        let answer = tries(client, namespace, mode).await;
        if wanted(&answer) {
            Ok(answer)
        } else {
            Err(format!("{answer:?}"))
        }
    })
    .await
}

#[tokio::test]
async fn a_mode_on_a_held_image_needs_its_own_permission() {
    let Some(stack) = installed().await else {
        return;
    };
    let (admin, here) = namespace(stack).await;
    let user = |role: &str| format!("{RELEASE}-{role}");
    bind(&admin, &here, &user("operator")).await;
    bind(&admin, &here, &user("editor")).await;
    let operator = acting_as(stack, &user("operator"));
    let editor = acting_as(stack, &user("editor"));

    for (mode, permission) in MODES {
        let refused =
            |answer: &Result<(), String>| matches!(answer, Err(m) if m.contains("permission"));
        let said = until_answer(&operator, &here, mode, refused)
            .await
            .unwrap_err();
        let wanted = format!(
            "mode {mode}: user {} lacks the permission \"create\" on \"cloneruns/{permission}\" of ibmiclone.dev in namespace {here}; ask for a role that has it",
            user("operator")
        );
        assert!(said.contains(&wanted), "{said}");
        tries(&editor, &here, mode).await.unwrap();
    }
    for mode in ["Clone", "Preflight"] {
        tries(&operator, &here, mode).await.unwrap();
    }

    let role: Role = read(json!({"metadata": {"name": "ends"}, "rules": [
        {"apiGroups": ["ibmiclone.dev"], "resources": ["cloneruns/end"], "verbs": ["create"]},
    ]}));
    let binding: RoleBinding = read(json!({
        "metadata": {"name": "ends"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ends"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user("operator")}],
    }));
    let post = PostParams::default();
    Api::namespaced(admin.clone(), &here)
        .create(&post, &role)
        .await
        .unwrap();
    Api::namespaced(admin, &here)
        .create(&post, &binding)
        .await
        .unwrap();
    until_answer(&operator, &here, "End", Result::is_ok)
        .await
        .unwrap();
    tries(&operator, &here, "ReleaseHeld").await.unwrap_err();
    let (_, elsewhere) = namespace(stack).await;
    tries(&operator, &elsewhere, "End").await.unwrap_err();
}
