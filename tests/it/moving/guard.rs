//! Between the create of an imported row and its status an operator sees what looks like a run that waits to be opened.

use super::{Side, statuses};
use crate::controllers::field::phase;
use crate::support::wait;
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::engine::journal::Phase;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// The rows of an export, as they are created: without status.
fn created(file: &str) -> Vec<CloneRun> {
    let documents: Vec<Value> = file
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let id = documents[0]["id"].clone();
    let rows = documents.into_iter().filter(|d| d["kind"] == "CloneRun");
    let row = |mut row: Value| {
        row["metadata"]["annotations"]["ibmiclone.dev/import"] = id.clone();
        row["metadata"]["ownerReferences"] = Value::Null;
        row["metadata"]["namespace"] = Value::Null;
        row["status"] = Value::Null;
        serde_json::from_value(row).unwrap()
    };
    rows.map(row).collect()
}

async fn half_imported(to: &Side) {
    let files = tempfile::tempdir().unwrap();
    let from = Side::embedded().await;
    from.lived().await;
    let stream = from.says(&["export", "--format", "json"]).await;
    let file = files.path().join("all.json");
    std::fs::write(&file, &stream).unwrap();
    let field = &to.field;
    let _operator = field.operator();
    field.environment("other", |_| {}).await;
    let rows = created(&stream);
    assert_eq!(rows.len(), 7);
    for row in &rows {
        field
            .runs()
            .create(&PostParams::default(), row)
            .await
            .unwrap();
    }
    // Two minutes later, 30 times as fast: seen, left alone, told.
    for name in ["one", "nightly-20260228t0200z", "unwanted"] {
        field.told(name, "ImportUnfinished").await;
    }
    // An operator that is at work at anything at all.
    field.run("witness", "other").await;
    field.ended("witness").await;
    for row in field.runs().list(&ListParams::default()).await.unwrap() {
        let imported = row.spec.imported.is_some();
        assert!(
            !imported || row.status.is_none(),
            "{}: {:?}",
            row.name_any(),
            row.status
        );
    }
    assert_eq!(field.world.acts().len(), field.world.acts_of("witness"));
    to.import(&file).await;
    let mut arrived = statuses(to).await;
    arrived.retain(|(name, _)| name != "witness");
    assert_eq!(arrived, statuses(&from).await);
    assert_eq!(field.world.acts().len(), field.world.acts_of("witness"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_its_status_is_left_alone_until_the_import_goes_on() {
    half_imported(&Side::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_without_its_status_is_left_alone_on_a_cluster_too() {
    if let Some(cluster) = Side::real().await {
        half_imported(&cluster).await;
    }
}

/// The API server itself lets nothing but a final status be written: also against an operator of before the field.
async fn refused_by(side: &Side) {
    let field = &side.field;
    let row = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun", "metadata": {"name": "row"},
        "spec": {"environment": "nightly", "imported": {"uid": "elsewhere"}},
    });
    let row: CloneRun = serde_json::from_value(row).unwrap();
    let runs: Api<CloneRun> = field.runs();
    runs.create(&PostParams::default(), &row).await.unwrap();
    let parameters = PatchParams::default();
    for status in [
        json!({"phase": "Running"}),
        json!({"phase": "Pending", "message": "m"}),
        json!({"number": 7}),
    ] {
        let patch = Patch::Merge(json!({ "status": status }));
        let refused = runs.patch_status("row", &parameters, &patch).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("never executes"), "{status}: {refused}");
    }
    for imported in [Value::Null, json!({"uid": "another"})] {
        let patch = Patch::Merge(json!({"spec": {"imported": imported}}));
        let refused = runs.patch("row", &parameters, &patch).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("imported is immutable"), "{refused}");
    }
    let last = Patch::Merge(json!({"status": {"phase": "Warning", "number": 7}}));
    let written = runs.patch_status("row", &parameters, &last).await.unwrap();
    assert_eq!(phase(&written), Phase::Warning);
    let mut late = CloneRun::new("late", Default::default());
    late.spec.environment = "nightly".to_owned();
    runs.create(&PostParams::default(), &late).await.unwrap();
    let patch = Patch::Merge(json!({"spec": {"imported": {"uid": "x"}}}));
    let refused = runs.patch("late", &parameters, &patch).await;
    assert!(refused.unwrap_err().to_string().contains("immutable"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_is_not_final_is_refused_by_the_rules_of_the_definition() {
    refused_by(&Side::embedded().await).await;
    if let Some(cluster) = Side::real().await {
        refused_by(&cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_applied_with_kubectl_executes_nothing_either() {
    let (from, to) = (Side::embedded().await, Side::embedded().await);
    from.lived().await;
    let stream = from.says(&["export", "--format", "json"]).await;
    let field = &to.field;
    let mut applied = 0;
    for line in stream.lines() {
        let mut document: Value = serde_json::from_str(line).unwrap();
        document["metadata"]["namespace"] = json!(field.namespace);
        match document["kind"].as_str().unwrap() {
            "CloneEnvironment" => {
                let object = serde_json::from_value(document).unwrap();
                let api = field.environments();
                api.create(&PostParams::default(), &object).await.unwrap();
            }
            "CloneRun" => {
                let object = serde_json::from_value(document).unwrap();
                field
                    .runs()
                    .create(&PostParams::default(), &object)
                    .await
                    .unwrap();
                applied += 1;
            }
            _ => {}
        }
    }
    assert_eq!(applied, 7);
    let _operator = field.operator();
    field.told("unwanted", "ImportUnfinished").await;
    wait::until("all are told about", async || {
        field
            .events("one")
            .await
            .contains(&"ImportUnfinished".to_owned())
    })
    .await;
    assert_eq!(field.world.acts(), Vec::<String>::new());
}
