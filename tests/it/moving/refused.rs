//! What is not exported and not imported, and what is said then.

use super::Side;
use crate::commands::{ibmi_clone, text};
use crate::history::{finished, finished_as};
use crate::support::kube::{bare, binaries, crds};
use ibmi_clone_operator::api::CloneRun;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use std::path::Path;

async fn lease(side: &Side, notes: Value) {
    let lease = json!({"metadata": {
        "name": "ibmi-clone-lock-target-1", "labels": {"ibmiclone.dev/lock": "device"}, "annotations": notes,
    }});
    let lease: Lease = serde_json::from_value(lease).unwrap();
    let api: Api<Lease> = Api::namespaced(side.field.client.clone(), &side.field.namespace);
    let _ = api
        .delete("ibmi-clone-lock-target-1", &DeleteParams::default())
        .await;
    api.create(&PostParams::default(), &lease).await.unwrap();
}

async fn status(side: &Side, run: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    let (runs, parameters) = (side.field.runs(), PatchParams::default());
    runs.patch_status(run, &parameters, &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_exported_while_something_is_open_owed_held_or_on_the_devices() {
    let files = tempfile::tempdir().unwrap();
    let side = Side::embedded().await;
    let field = &side.field;
    field.environment("nightly", |_| {}).await;
    finished(field, "nightly", 1, "Succeeded").await;
    let open = field.run("open", "nightly").await;
    let file = files.path().join("no.yaml").display().to_string();
    let export = ["export", "--output", &file, "--leave-images"];
    let refuses = async |wanted: &[&str]| {
        let (said, code) = side.refuses(&export).await;
        for wanted in wanted {
            assert!(said.contains(wanted), "{wanted}: {said}");
        }
        assert_eq!(code, Some(77), "{said}");
        assert!(!Path::new(&file).exists() && !Path::new(&format!("{file}.partial")).exists());
    };
    refuses(&["run", "open is open", "cancel open"]).await;
    let owed = json!([{"kind": "ResumeSource", "step": "suspend-source", "since": "2026-11-23T00:00:00Z"}]);
    status(
        &side,
        "open",
        json!({"phase": "Running", "obligations": owed}),
    )
    .await;
    refuses(&["open owes ResumeSource", "source-status nightly"]).await;
    field
        .runs()
        .delete(&open.name_any(), &DeleteParams::default())
        .await
        .unwrap();

    let kept = finished_as(field, "nightly", 2, "Succeeded", |run| {
        run["spec"]["keepUntil"] = json!("2999-01-01T00:00:00Z");
        run["status"]["state"] = json!("HOLD");
        run["status"]["image"] = json!({"targetSet": "A/G", "mark": "m"});
    })
    .await;
    refuses(&["kept by its keepUntil"]).await;
    field
        .runs()
        .delete(&kept.name_any(), &DeleteParams::default())
        .await
        .unwrap();

    let image = json!({"uid": "u", "namespace": field.namespace, "run": "midday-7"}).to_string();
    lease(&side, json!({"ibmiclone.dev/pinned": image})).await;
    refuses(&[
        "midday-7 is held",
        "stand in for production",
        "release-held midday-7",
    ])
    .await;
    lease(&side, json!({"ibmiclone.dev/pinned": "unreadable"})).await;
    refuses(&["is held"]).await;
    lease(&side, json!({})).await;

    // An environment of another namespace with the same production.
    let other = json!({"metadata": {"name": "elsewhere"}});
    let other: Namespace = serde_json::from_value(other).unwrap();
    let spaces: Api<Namespace> = Api::all(field.client.clone());
    spaces.create(&PostParams::default(), &other).await.unwrap();
    let mut environment = field.environments().get("nightly").await.unwrap();
    environment.metadata = kube::api::ObjectMeta {
        name: Some("second".to_owned()),
        ..Default::default()
    };
    environment.spec.clone.partition.name = "ANOTHER".to_owned();
    let elsewhere: Api<ibmi_clone_operator::api::CloneEnvironment> =
        Api::namespaced(field.client.clone(), "elsewhere");
    elsewhere
        .create(&PostParams::default(), &environment)
        .await
        .unwrap();
    refuses(&["environment elsewhere/second uses", "--all-namespaces"]).await;
    // Together they may go.
    side.says(&["export", "-A", "--output", &file]).await;
    let (said, code) = side.refuses(&["export", "-A", "--output", &file]).await;
    assert!(said.contains("exists already"), "{said}");
    assert_eq!(code, Some(64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_on_the_devices_is_left_behind_only_when_a_person_says_so_and_is_nobodys_then() {
    let (from, to) = (Side::embedded().await, Side::embedded().await);
    from.field.environment("nightly", |_| {}).await;
    finished_as(&from.field, "nightly", 1, "Succeeded", |run| {
        run["metadata"]["annotations"] =
            json!({"ibmiclone.dev/image-ends": "2026-11-24T00:00:00Z"});
        run["status"]["state"] = json!("HOLD");
        run["status"]["flashCopyActive"] = json!("since 07:37Z");
        run["status"]["image"] = json!({"targetSet": "A/G", "mark": "m", "endAfterSeconds": 60});
    })
    .await;
    let (said, _) = from.refuses(&["export"]).await;
    assert!(
        said.contains("is on the devices") && said.contains("--leave-images"),
        "{said}"
    );
    let stream = from.says(&["export", "--leave-images"]).await;
    let mut import = to.command(&["import", "-"]);
    import.write_stdin(stream);
    tokio::task::spawn_blocking(move || drop(import.assert().success()))
        .await
        .unwrap();
    let rows = to.field.runs().list(&ListParams::default()).await.unwrap();
    let row: &CloneRun = &rows.items[0];
    let status = row.status.as_ref().unwrap();
    assert_eq!(
        (status.image.clone(), status.state.as_deref()),
        (None, Some("END_FC"))
    );
    assert!(!row.annotations().contains_key("ibmiclone.dev/image-ends"));
}

/// Changes an export, document by document.
fn changed(stream: &str, change: impl Fn(usize, &mut Value)) -> String {
    let document = |(at, line): (usize, &str)| {
        let mut document: Value = serde_json::from_str(line).unwrap();
        change(at, &mut document);
        format!("{document}\n")
    };
    stream.lines().enumerate().map(document).collect()
}

/// What a file is refused with, before any API is asked.
fn refused(text_of_file: &str) -> String {
    let mut command = ibmi_clone();
    command
        .args(["import", "-"])
        .write_stdin(text_of_file.to_owned());
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_whole_export_or_would_act_is_refused_before_anything_is_sent() {
    let from = Side::embedded().await;
    from.lived().await;
    let stream = from.says(&["export", "--format", "json"]).await;
    let lines: Vec<&str> = stream.lines().collect();
    let run = lines
        .iter()
        .position(|l| l.contains("\"kind\":\"CloneRun\""))
        .unwrap();
    let at_run = |change: &dyn Fn(&mut Value)| {
        changed(&stream, |at, document| {
            if at == run {
                change(document);
            }
        })
    };
    let without_last = lines[..lines.len() - 1].join("\n");
    let twice = format!("{stream}{}\n", lines[run]);
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}});
    let cases = [
        (String::new(), "this is no export"),
        ("kind: [".to_owned(), "cannot be read"),
        (lines[1..].join("\n"), "this is no export"),
        (without_last, "the file is not whole"),
        (twice, "stands on line"),
        (format!("{stream}{secret}\n"), "is no part of an export"),
        (
            changed(&stream, |at, d| {
                if at == 0 {
                    d["apiVersion"] = json!("export.ibmiclone.dev/v9")
                }
            }),
            "in form v9",
        ),
        (
            at_run(&|d| d["spec"]["imported"] = Value::Null),
            "so it would be executed",
        ),
        (
            at_run(&|d| d["status"]["phase"] = json!("Running")),
            "never executes",
        ),
        (at_run(&|d| d["status"] = Value::Null), "it is not finished"),
        (
            at_run(&|d| d["spec"]["cancel"] = json!("Stop")),
            "spec.cancel would act",
        ),
        (
            at_run(&|d| d["status"]["image"] = json!({"targetSet": "A/G", "mark": "m"})),
            "taken for one that is there",
        ),
        (
            at_run(&|d| d["metadata"]["finalizers"] = json!(["ibmiclone.dev/run"])),
            "has a finalizer",
        ),
        (
            at_run(&|d| d["status"]["madeUp"] = json!(1)),
            "unknown field",
        ),
        (
            at_run(&|d| d["status"]["number"] = json!("x")),
            "status.number",
        ),
        (
            at_run(&|d| d["metadata"]["namespace"] = Value::Null),
            "no namespace",
        ),
    ];
    for (file, wanted) in cases {
        let said = refused(&file);
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let doubled = lines
        .iter()
        .rposition(|l| l.contains("\"kind\":\"CloneRun\"") && l.contains("\"number\":5"));
    let doubled = doubled.unwrap();
    let said = refused(&changed(&stream, |at, d| {
        if at == doubled {
            d["status"]["number"] = json!(4)
        }
    }));
    assert!(said.contains("has number 4"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_already_is_refused_by_name_and_nothing_is_written() {
    let files = tempfile::tempdir().unwrap();
    let (from, to) = (Side::embedded().await, Side::embedded().await);
    from.lived().await;
    let file = files.path().join("all.yaml");
    from.export(&file, &[]).await;
    let import = ["import", file.to_str().unwrap()];
    let field = &to.field;
    let refuses = async |wanted: &str| {
        let (said, code) = to.refuses(&import).await;
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert_eq!(code, Some(77), "{said}");
        let runs = field
            .runs()
            .list_metadata(&ListParams::default())
            .await
            .unwrap();
        assert!(runs.items.len() <= 1, "nothing was written");
    };
    field.environment("nightly", |_| {}).await;
    refuses("CloneEnvironment").await;
    field
        .environments()
        .delete("nightly", &DeleteParams::default())
        .await
        .unwrap();
    field.run("two", "nightly").await;
    refuses("/two is there already").await;
    field
        .runs()
        .delete("two", &DeleteParams::default())
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(field.client.clone(), &field.namespace);
    for name in ["nightly-history", "two-log-steps-001"] {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(name.to_owned());
        let labels = [("ibmiclone.dev/run", "two"), ("ibmiclone.dev/log", "steps")];
        map.metadata.labels = Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        maps.create(&PostParams::default(), &map).await.unwrap();
        refuses(&format!("/{name} is there already")).await;
        maps.delete(name, &DeleteParams::default()).await.unwrap();
    }
    let said = to
        .says(&["import", "--dry-run", file.to_str().unwrap()])
        .await;
    assert!(said.contains("nothing was written"), "{said}");
    refuses_without(&to, &file).await;
    to.import(&file).await;
}

/// A namespace that is not there.
async fn refuses_without(to: &Side, file: &Path) {
    let mut command = ibmi_clone();
    command
        .arg("import")
        .arg(file)
        .args(["-n", "nowhere", "--kubeconfig"]);
    command.arg(&to.kubeconfig);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let said = text(&output.await.unwrap().stderr);
    assert!(said.contains("kubectl create namespace nowhere"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_of_before_the_field_are_noticed_before_a_row_is_created() {
    if binaries().is_none() {
        return;
    }
    let stack = bare("definitions-without-imported").await.unwrap();
    let mut old = crds();
    for definition in &mut old {
        let mut text = serde_json::to_value(&*definition).unwrap();
        let version = &mut text["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        if version["properties"]["spec"]["properties"]["imported"].is_null() {
            continue;
        }
        let fields = &mut version["properties"]["spec"]["properties"];
        fields.as_object_mut().unwrap().remove("imported");
        for place in [
            "/x-kubernetes-validations",
            "/properties/spec/x-kubernetes-validations",
        ] {
            let rules = version.pointer_mut(place).unwrap().as_array_mut().unwrap();
            rules.retain(|r| !r["rule"].as_str().unwrap().contains("imported"));
        }
        *definition = serde_json::from_value(text).unwrap();
    }
    stack.install_crds(&old).await.unwrap();
    let files = tempfile::tempdir().unwrap();
    let from = Side::embedded().await;
    from.lived().await;
    let file = files.path().join("all.yaml");
    from.export(&file, &[]).await;
    let mut command = ibmi_clone();
    command
        .arg("import")
        .arg(&file)
        .args(["-n", "default", "--kubeconfig"]);
    command.arg(stack.kubeconfig());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let said = text(&output.await.unwrap().stderr);
    assert!(said.contains("older than this version"), "{said}");
    let runs: Api<CloneRun> = Api::all(stack.client().unwrap());
    let there = runs.list_metadata(&ListParams::default()).await.unwrap();
    assert!(there.items.is_empty());
}
