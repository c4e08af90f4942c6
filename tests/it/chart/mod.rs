//! The chart with the real Helm on the real API server.

mod access;
mod life;
mod policy;
mod process;
mod rendering;
mod viewing;

use crate::support::chart::Helm;
use crate::support::kube::bare;
use ibmi_clone_operator::commands::kube_stack::{KubeStack, KubeStackError};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Release and namespace that the tests of access share.
const RELEASE: &str = "ibmi-clone-operator";
const OPERATORS: &str = "clone-operator";

static INSTALLED: OnceCell<Result<KubeStack, KubeStackError>> = OnceCell::const_new();

/// A control plane with the chart installed by Helm, default values.
async fn with_chart(helm: Helm, name: &str) -> Result<KubeStack, KubeStackError> {
    let stack = bare(name).await?;
    helm.on(&stack).installs(RELEASE, OPERATORS).await;
    Ok(stack)
}

/// The one that tests share; nothing when a test is to be skipped. No operator for the whole cluster runs on it.
async fn installed() -> Option<&'static KubeStack> {
    let helm = Helm::find()?;
    let stack = INSTALLED.get_or_init(|| with_chart(helm, "chart")).await;
    Some(stack.as_ref().unwrap_or_else(|error| panic!("{error}")))
}

/// A client of somebody who may do what role bindings say, by impersonation.
fn acting_as(stack: &KubeStack, user: &str) -> Client {
    let mut config: Config = stack.config().clone();
    config.auth_info = AuthInfo {
        impersonate: Some(user.to_owned()),
        impersonate_groups: Some(vec!["system:authenticated".to_owned()]),
        ..config.auth_info
    };
    Client::try_from(config).unwrap()
}

/// Binds a ClusterRole in a namespace; the user has the role's name.
async fn bind(client: &Client, namespace: &str, role: &str) {
    let binding: RoleBinding = read(json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
    }));
    Api::<RoleBinding>::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
