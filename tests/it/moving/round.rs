//! There and back: what was shown before is shown after.

use super::{Side, statuses};
use crate::controllers::field::{phase, ready};
use crate::support::kube::tool;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};

/// `kubectl get history` as people see it.
fn kubectl(side: &Side) -> Option<String> {
    let mut command = Command::new(tool("kubectl")?);
    command.args(["get", "history", "-o", "wide", "--kubeconfig"]);
    command
        .arg(&side.kubeconfig)
        .args(["-n", &side.field.namespace]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Every log of every row, as the command shows it.
async fn logs(side: &Side) -> Vec<String> {
    let mut all = Vec::new();
    for run in ["one", "two", "three", "nightly/2"] {
        let said = side.says(&["logs", run, "-o", "json"]).await;
        assert!(said.lines().count() > 100, "{said}");
        all.push(said);
    }
    all
}

/// Moves all from one side to another with an operator at work there, and compares.
async fn moves(from: &Side, to: &Side, file: &Path) {
    from.export(file, &[]).await;
    let operator = to.field.operator();
    let said = to.import(file).await;
    for wanted in ["hmc", "svc", "prod-ssh", "clone-ssh", "--take-over"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let field = &to.field;
    let arrived = field.environment_until("nightly", |e| {
        ready(e).is_some_and(|r| r.0 == "True") && e.status.as_ref().unwrap().suspended
    });
    let arrived = arrived.await;
    assert_eq!(from.history().await, to.history().await);
    assert_eq!(statuses(from).await, statuses(to).await);
    assert_eq!(logs(from).await, logs(to).await);
    if let Some(before) = kubectl(from) {
        assert_eq!(before, kubectl(to).unwrap());
    }
    knows_the_same(from, &arrived).await;
    belongs_to(to, &arrived).await;
    assert_eq!(field.world.acts(), Vec::<String>::new(), "a row executed");
    // Once more changes nothing, although an operator has worked on it meanwhile.
    let rows = statuses(to).await;
    to.import(file).await;
    assert_eq!(statuses(to).await, rows);
    operator.ends().await;
}

async fn knows_the_same(from: &Side, arrived: &CloneEnvironment) {
    let there = from.field.environments().get("nightly").await.unwrap();
    let (was, is) = (there.status.unwrap(), arrived.status.clone().unwrap());
    assert_eq!(was.last_run, is.last_run);
    assert_eq!(was.last_success_time, is.last_success_time);
    assert!(is.last_success_time.is_some());
    assert_eq!(is.last_run_number, 1002, "that of the archive");
    assert!(arrived.spec.suspend && arrived.spec.schedule.is_some());
    let pins = |e: &CloneEnvironment| e.annotations()["ibmiclone.dev/pins"].clone();
    assert!(
        pins(arrived).contains("clonePartition"),
        "{}",
        pins(arrived)
    );
}

/// Rows belong to the environment's new object where they did to the old one, logs to their runs: they go with them.
async fn belongs_to(side: &Side, environment: &CloneEnvironment) {
    let field = &side.field;
    let maps: Api<ConfigMap> = Api::namespaced(field.client.clone(), &field.namespace);
    let runs = field.runs().list(&ListParams::default()).await.unwrap();
    let uids: Vec<Option<String>> = runs.iter().map(ResourceExt::uid).collect();
    let logs = ListParams::default().labels("ibmiclone.dev/log");
    for map in maps.list(&logs).await.unwrap() {
        let owner = map.owner_references()[0].uid.clone();
        assert!(uids.contains(&Some(owner)) && map.immutable == Some(true));
    }
    let owners = |run: &CloneRun| run.owner_references().to_vec();
    for owner in runs.iter().flat_map(owners) {
        assert_eq!(Some(owner.uid), environment.uid());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_moves_from_the_embedded_api_to_a_cluster_and_back_and_goes_on_with_its_numbers()
{
    let Some(cluster) = Side::real().await else {
        return;
    };
    let files = tempfile::tempdir().unwrap();
    let (first, last) = (Side::embedded().await, Side::embedded().await);
    first.lived().await;
    moves(&first, &cluster, &files.path().join("there.yaml")).await;
    moves(&cluster, &last, &files.path().join("back.yaml")).await;
    let field = &last.field;
    let _operator = field.operator();
    field.run("next", "nightly").await;
    let next = field.ended("next").await;
    assert_eq!(phase(&next), Phase::Succeeded);
    assert_eq!(next.status.unwrap().number, Some(1003));
    assert_eq!(field.world.acts_of("next"), 14);
    assert_eq!(field.world.acts().len(), 14, "nothing else executed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_read_as_yaml_is_and_the_standard_streams_are_files_too() {
    let (from, to) = (Side::embedded().await, Side::embedded().await);
    from.lived().await;
    let stream = from.says(&["export", "--format", "json"]).await;
    assert!(stream.lines().all(|line| line.starts_with('{')), "{stream}");
    let mut import = to.command(&["import", "-"]);
    import.write_stdin(stream);
    tokio::task::spawn_blocking(move || drop(import.assert().success()))
        .await
        .unwrap();
    assert_eq!(from.history().await, to.history().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_imported_leave_the_objects_like_others_and_the_last_success_stays() {
    let files = tempfile::tempdir().unwrap();
    let (from, to) = (Side::embedded().await, Side::embedded().await);
    from.lived().await;
    // What one.. three are called a person gave; these two nobody did.
    for number in [6, 7] {
        crate::history::finished(&from.field, "nightly", number, "Succeeded").await;
    }
    let file = files.path().join("all.yaml");
    from.export(&file, &[]).await;
    to.import(&file).await;
    let before = to.history().await;
    let keep = json!({"spec": {"history": {"succeeded": 1, "failed": 0, "skipped": 0}}});
    let field = &to.field;
    // The newest success is of run 7, and known.
    let last = json!({"status": {"lastSuccessTime": "2026-11-23T08:07:12.000Z"}});
    let (parameters, environments) = (PatchParams::default(), field.environments());
    environments
        .patch_status("nightly", &parameters, &Patch::Merge(&last))
        .await
        .unwrap();
    environments
        .patch("nightly", &parameters, &Patch::Merge(&keep))
        .await
        .unwrap();
    let operator = field.operator();
    let numbers = async || crate::history::objects(field).await;
    wait::found("what stays", async || match numbers().await.as_slice() {
        // By name 1, 2 and 3, and the last success.
        [1, 2, 3, 7] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    operator.ends().await;
    let told = |rows: Vec<serde_json::Value>| -> Vec<String> {
        rows.iter()
            .map(|r| format!("{} {} {}", r["number"], r["name"], r["started"]))
            .collect()
    };
    assert_eq!(
        told(to.history().await),
        told(before),
        "in the same order too"
    );
    // Imported once more, no row is archived a second time.
    to.import(&file).await;
    let _operator = field.operator();
    wait::found("what stays", async || match numbers().await.as_slice() {
        [1, 2, 3, 7] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let archived = crate::history::archived(field, "nightly").await;
    let once: std::collections::BTreeSet<&i64> = archived.iter().collect();
    assert_eq!(once.len(), archived.len(), "{archived:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_at_any_point_goes_on_and_nothing_executes() {
    let files = tempfile::tempdir().unwrap();
    let (from, to) = (Side::embedded().await, Side::embedded().await);
    from.lived().await;
    let file = files.path().join("all.yaml");
    from.export(&file, &[]).await;
    let field = &to.field;
    let _operator = field.operator();
    let maps: Api<ConfigMap> = Api::namespaced(field.client.clone(), &field.namespace);
    let there = async || {
        let runs = field
            .runs()
            .list_metadata(&ListParams::default())
            .await
            .unwrap();
        let maps = maps.list_metadata(&ListParams::default()).await.unwrap();
        runs.items.len() + maps.items.len()
    };
    for objects in [1, 2, 4, 6, 8, 10, 12] {
        let mut import = Command::new(assert_cmd::cargo::cargo_bin("ibmi-clone"))
            .args(["import", file.to_str().unwrap(), "--kubeconfig"])
            .arg(&to.kubeconfig)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait::until("some objects, or the end", async || {
            there().await >= objects || import.try_wait().unwrap().is_some()
        })
        .await;
        let _ = import.kill();
        import.wait().unwrap();
    }
    to.import(&file).await;
    assert_eq!(from.history().await, to.history().await);
    assert_eq!(statuses(&from).await, statuses(&to).await);
    assert_eq!(field.world.acts(), Vec::<String>::new(), "a row executed");
}
