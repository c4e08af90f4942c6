//! What the chart renders, and which values it refuses. No cluster.

use crate::support::chart::{Helm, chart};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files of a directory by name.
fn files(directory: PathBuf) -> BTreeMap<String, String> {
    let entries = fs::read_dir(&directory).unwrap();
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    entries.map(read).collect()
}

fn definitions() -> BTreeMap<String, String> {
    files(Path::new(env!("CARGO_MANIFEST_DIR")).join("crds"))
}

/// `UPDATE_CRDS=1` copies, as it writes `crds/` for the test of the types.
#[test]
fn the_charts_definitions_are_those_of_crds() {
    let copies = chart().join("files/crds");
    if std::env::var_os("UPDATE_CRDS").is_some() {
        for (name, text) in definitions() {
            fs::write(copies.join(name), text).unwrap();
        }
    }
    let (copies, originals) = (files(copies), definitions());
    assert_eq!(
        copies.keys().collect::<Vec<_>>(),
        originals.keys().collect::<Vec<_>>()
    );
    for (name, text) in originals {
        assert!(
            copies[&name] == text,
            "{name} differs from crds/; `make crds` copies it"
        );
    }
}

async fn render(helm: &Helm, values: &[&str]) -> Vec<Value> {
    let chart = chart();
    let mut arguments = vec!["template", "night", chart.to_str().unwrap(), "-n", "ops"];
    for value in values {
        arguments.extend(["--set", value]);
    }
    let text = helm.does(&arguments).await;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    documents.into_iter().filter(|d| !d.is_null()).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|o| o["kind"] == kind).collect()
}

fn names(objects: &[Value], kind: &str) -> Vec<String> {
    let name = |o: &&Value| o["metadata"]["name"].as_str().unwrap().to_owned();
    of_kind(objects, kind).iter().map(name).collect()
}

fn pod(objects: &[Value]) -> Value {
    of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"].clone()
}

fn arguments(objects: &[Value]) -> Vec<String> {
    serde_json::from_value(pod(objects)["containers"][0]["args"].clone()).unwrap()
}

#[tokio::test]
async fn the_chart_passes_lint() {
    let Some(helm) = Helm::find() else { return };
    let chart = chart();
    helm.does(&["lint", "--strict", chart.to_str().unwrap()])
        .await;
}

#[tokio::test]
async fn the_definitions_are_rendered_unchanged_and_stay_at_uninstall() {
    let Some(helm) = Helm::find() else { return };
    let objects = render(&helm, &[]).await;
    let rendered = of_kind(&objects, "CustomResourceDefinition");
    assert_eq!(rendered.len(), definitions().len());
    for text in definitions().values() {
        let mut original: Value = serde_saphyr::from_str(text).unwrap();
        original["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
        assert!(rendered.contains(&&original), "{}", original["metadata"]);
    }
    assert!(
        of_kind(
            &render(&helm, &["crds.install=false"]).await,
            "CustomResourceDefinition"
        )
        .is_empty()
    );
}

#[tokio::test]
async fn the_pod_is_restricted_and_may_finish_a_window() {
    let Some(helm) = Helm::find() else { return };
    let objects = render(&helm, &[]).await;
    let deployment = of_kind(&objects, "Deployment")[0];
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    let pod = pod(&objects);
    assert_eq!(pod["terminationGracePeriodSeconds"], 720);
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
               "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
               "capabilities": {"drop": ["ALL"]}})
    );
    assert_eq!(container["ports"][0]["containerPort"], 8080);
    for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(
            container[probe]["httpGet"],
            json!({"path": path, "port": "http"})
        );
    }
    assert!(container["resources"]["limits"]["memory"].is_string());
    let wanted = "operator --listen 0.0.0.0:8080 --log info --log-format json --log-budget-mib 256";
    assert_eq!(arguments(&objects).join(" "), wanted);
}

#[tokio::test]
async fn a_scope_of_namespaces_gives_no_access_to_others() {
    let Some(helm) = Helm::find() else { return };
    let objects = render(&helm, &["scope.namespaces={a,b}", "operator.id=site-1"]).await;
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    let bindings = of_kind(&objects, "RoleBinding");
    let mut places: Vec<&str> = bindings
        .iter()
        .map(|b| b["metadata"]["namespace"].as_str().unwrap())
        .collect();
    places.sort_unstable();
    assert_eq!(places, ["a", "b", "ops"]);
    let line = arguments(&objects).join(" ");
    assert!(
        line.ends_with("--operator-id site-1 --watch a --watch b"),
        "{line}"
    );

    let everywhere = render(&helm, &[]).await;
    let own = "night-ibmi-clone-operator";
    let bound = names(&everywhere, "ClusterRoleBinding");
    assert_eq!(bound, [own.to_owned(), format!("{own}-cluster-identity")]);
}

#[tokio::test]
async fn each_switch_does_what_it_says() {
    let Some(helm) = Helm::find() else { return };
    let objects = render(
        &helm,
        &[
            "fullnameOverride=cloner",
            "image.repository=mirror/cloner",
            "image.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "image.pullPolicy=Always",
            "imagePullSecrets[0].name=pull",
            "operator.log=debug",
            "operator.logFormat=text",
            "operator.logBudgetMiB=64",
            "port=9000",
            "terminationGracePeriodSeconds=900",
            "resources.limits.memory=1Gi",
            "serviceAccount.create=false",
            "serviceAccount.name=given",
            "roles.create=false",
            "admissionPolicy.create=false",
            "podLabels.team=ibmi",
            "podAnnotations.note=x",
            "nodeSelector.zone=a",
            "tolerations[0].operator=Exists",
            "affinity.nodeAffinity.x=y",
            "priorityClassName=high",
        ],
    )
    .await;
    for absent in [
        "ServiceAccount",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] {
        assert!(of_kind(&objects, absent).is_empty(), "{absent}");
    }
    assert_eq!(
        names(&objects, "ClusterRole"),
        ["cloner", "cloner-cluster-identity"]
    );
    let pod = pod(&objects);
    let digest = "0123456789abcdef".repeat(4);
    for (pointer, value) in [
        (
            "/containers/0/image",
            json!(format!("mirror/cloner@sha256:{digest}")),
        ),
        ("/containers/0/imagePullPolicy", json!("Always")),
        ("/containers/0/ports/0/containerPort", json!(9000)),
        ("/containers/0/resources/limits/memory", json!("1Gi")),
        ("/imagePullSecrets/0/name", json!("pull")),
        ("/terminationGracePeriodSeconds", json!(900)),
        ("/serviceAccountName", json!("given")),
        ("/nodeSelector/zone", json!("a")),
        ("/tolerations/0/operator", json!("Exists")),
        ("/affinity/nodeAffinity/x", json!("y")),
        ("/priorityClassName", json!("high")),
    ] {
        assert_eq!(pod.pointer(pointer), Some(&value), "{pointer}");
    }
    let deployment = of_kind(&objects, "Deployment")[0];
    let metadata = &deployment["spec"]["template"]["metadata"];
    assert_eq!(metadata["labels"]["team"], "ibmi");
    assert_eq!(metadata["annotations"]["note"], "x");
    let line = arguments(&objects).join(" ");
    assert_eq!(
        line,
        "operator --listen 0.0.0.0:9000 --log debug --log-format text --log-budget-mib 64"
    );
    let subjects = of_kind(&objects, "ClusterRoleBinding");
    assert!(subjects.iter().all(|b| b["subjects"][0]["name"] == "given"));
}

#[tokio::test]
async fn two_replicas_elect_a_leader_on_two_nodes_and_roll_and_a_single_one_does_not() {
    let Some(helm) = Helm::find() else { return };
    let two = ["replicas=2", "podDisruptionBudget.create=true"];
    let objects = render(&helm, &two).await;
    let spec = &of_kind(&objects, "Deployment")[0]["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
    let line = arguments(&objects).join(" ");
    let election = "--leader-elect --lease-name night-ibmi-clone-operator-leader --lease-duration 15 --lease-renew-deadline 10 --lease-renew-every 2";
    assert!(line.ends_with(election), "{line}");
    let pod = pod(&objects);
    let preferred = "/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0/podAffinityTerm";
    let term = pod.pointer(preferred).unwrap();
    assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
    let labels = &spec["selector"]["matchLabels"];
    assert_eq!(&term["labelSelector"]["matchLabels"], labels);
    let budget = of_kind(&objects, "PodDisruptionBudget")[0];
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);

    let objects = render(&helm, &[]).await;
    assert!(of_kind(&objects, "PodDisruptionBudget").is_empty());
    assert!(!arguments(&objects).join(" ").contains("leader"));
}

#[tokio::test]
async fn a_wrong_value_is_refused_by_name() {
    let Some(helm) = Helm::find() else { return };
    let chart = chart();
    for (value, wanted) in [
        ("replica=2", "'replica'"),
        ("image.repo=x", "'repo'"),
        ("roles.createe=false", "'createe'"),
        ("replicas=3", "'/replicas'"),
        (
            "leaderElection.durationSeconds=0",
            "'/leaderElection/durationSeconds'",
        ),
        ("podDisruptionBudget.minAvailable=1", "'minAvailable'"),
        ("replicas=one", "'/replicas'"),
        (
            "terminationGracePeriodSeconds=30",
            "'/terminationGracePeriodSeconds'",
        ),
        ("scope.namespaces={Big}", "'/scope/namespaces/0'"),
        ("scope.namespaces=a", "'/scope/namespaces'"),
        ("operator.id=a b", "'/operator/id'"),
        ("operator.logFormat=xml", "'/operator/logFormat'"),
        ("operator.logBudgetMiB=0", "'/operator/logBudgetMiB'"),
        ("roles.operatorMay={start}", "'/roles/operatorMay/0'"),
        ("image.digest=latest", "'/image/digest'"),
        ("port=80", "'/port'"),
    ] {
        let arguments = ["template", "night", chart.to_str().unwrap(), "--set", value];
        let said = helm.refuses(&arguments).await;
        assert!(said.contains(wanted), "{value}: {said}");
    }
}

#[tokio::test]
async fn an_account_that_is_not_made_must_be_named() {
    let Some(helm) = Helm::find() else { return };
    let chart = chart();
    let value = "serviceAccount.create=false";
    let arguments = ["template", "night", chart.to_str().unwrap(), "--set", value];
    let said = helm.refuses(&arguments).await;
    assert!(
        said.contains("serviceAccount.name: write the account to use"),
        "{said}"
    );
}
