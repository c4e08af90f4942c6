//! Install, upgrade, rollback, uninstall: what changes, and what stays.

use super::read;
use crate::crd_rules::environment;
use crate::support::chart::{Helm, chart};
use crate::support::kube::{bare, namespace};
use crate::support::wait::LIMIT;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::path::Path;
use std::process::Command;

const OPS: &str = "ops";
const NAME: &str = "ibmi-clone-operator";

/// An environment and a run that has ended.
async fn site(client: &Client, namespace: &str) -> (CloneEnvironment, CloneRun) {
    let post = PostParams::default();
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), namespace);
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), namespace);
    let kept = environments
        .create(&post, &read(environment("nightly")))
        .await
        .unwrap();
    let run = json!({"metadata": {"name": "nightly-1"}, "spec": {"environment": "nightly"}});
    runs.create(&post, &read(run)).await.unwrap();
    let status = json!({"status": {"phase": "Succeeded", "number": 1}});
    let row = runs
        .patch_status("nightly-1", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    (kept, row)
}

async fn replicas(client: &Client) -> i32 {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), OPS);
    let deployment = deployments.get(NAME).await.unwrap();
    deployment.spec.unwrap().replicas.unwrap_or_default()
}

/// A later chart: one definition has an annotation more.
fn later_chart(directory: &Path) -> String {
    let copied = Command::new("cp")
        .arg("-r")
        .arg(chart())
        .arg(directory)
        .status();
    assert!(copied.unwrap().success());
    let copy = directory.join("ibmi-clone-operator");
    let path = copy.join("files/crds/cloneruns.ibmiclone.dev.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let (old, new) = ("    - history\n", "    - history\n    - later\n");
    assert_eq!(text.matches(old).count(), 1);
    std::fs::write(&path, text.replace(old, new)).unwrap();
    copy.display().to_string()
}

async fn short_names(client: &Client) -> Vec<String> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = api.get("cloneruns.ibmiclone.dev").await.unwrap();
    definition.spec.names.short_names.unwrap()
}

async fn gone(client: &Client, name: &str) {
    let spaces: Api<Namespace> = Api::all(client.clone());
    let uid = spaces.get(name).await.unwrap().uid().unwrap();
    spaces.delete(name, &DeleteParams::default()).await.unwrap();
    let deleted = await_condition(spaces.clone(), name, conditions::is_deleted(&uid));
    let ended = tokio::time::timeout(LIMIT, deleted).await;
    if ended.is_err() {
        panic!(
            "namespace {name} hangs: {:?}",
            spaces.get(name).await.unwrap().status
        );
    }
}

#[tokio::test]
async fn a_release_comes_changes_and_goes_and_environments_and_history_stay() {
    let Some(helm) = Helm::find() else { return };
    let stack = bare("chart-life").await.unwrap();
    let helm = helm.on(&stack);
    let client = stack.client().unwrap();
    let chart = chart();
    let chart = chart.to_str().unwrap();
    let in_ops = ["--namespace", OPS];

    let install = [
        "install",
        NAME,
        chart,
        "--namespace",
        OPS,
        "--create-namespace",
    ];
    let notes = helm.does(&install).await;
    assert!(
        notes.contains("--clusterrole=ibmi-clone-operator-viewer"),
        "{notes}"
    );
    let (_, place) = namespace(&stack).await;
    let (kept, row) = site(&client, &place).await;
    assert_eq!(replicas(&client).await, 1);

    let directory = tempfile::tempdir().unwrap();
    let later = later_chart(directory.path());
    let upgrade = ["upgrade", NAME, &later, "--set", "replicas=0"];
    helm.does(&[&upgrade[..], &in_ops[..]].concat()).await;
    assert_eq!(replicas(&client).await, 0);
    assert_eq!(short_names(&client).await, ["crun", "history", "later"]);

    helm.does(&[&["rollback", NAME, "1"][..], &in_ops[..]].concat())
        .await;
    assert_eq!(replicas(&client).await, 1);
    assert_eq!(short_names(&client).await, ["crun", "history"]);
    let history = helm
        .does(&[&["history", NAME][..], &in_ops[..]].concat())
        .await;
    assert!(history.contains("Rollback to 1"), "{history}");

    helm.does(&[&["uninstall", NAME, "--wait"][..], &in_ops[..]].concat())
        .await;
    nothing_is_left(&client).await;
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), &place);
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &place);
    assert_eq!(environments.get("nightly").await.unwrap().uid(), kept.uid());
    assert_eq!(runs.get("nightly-1").await.unwrap().uid(), row.uid());

    // The definitions that stayed are taken over by the same release.
    helm.does(&install).await;
    helm.does(&[&["uninstall", NAME, "--wait"][..], &in_ops[..]].concat())
        .await;
    gone(&client, &place).await;
    gone(&client, OPS).await;
}

/// But for the definitions.
async fn nothing_is_left(client: &Client) {
    let ours = ListParams::default().labels("app.kubernetes.io/instance=ibmi-clone-operator");
    let roles: Api<ClusterRole> = Api::all(client.clone());
    assert!(roles.list(&ours).await.unwrap().items.is_empty());
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), OPS);
    assert!(deployments.get_opt(NAME).await.unwrap().is_none());
}
