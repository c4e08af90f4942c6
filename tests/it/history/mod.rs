//! The history on a real and on the embedded API server (`product.md` § 9): what stays as objects, what goes to the archive, numbers.

mod numbers;
mod retention;

use crate::controllers::field::Field;
use ibmi_clone_operator::api::{CloneRun, ENVIRONMENT_LABEL, NUMBER_LABEL, OUTCOME_LABEL};
use ibmi_clone_operator::controllers::history::archive;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

/// A run as it is after its end, made before an operator is there to open it.
pub async fn finished(field: &Field, environment: &str, number: i64, phase: &str) -> CloneRun {
    finished_as(field, environment, number, phase, |_| {}).await
}

/// The same, changed: `metadata`, `spec`, `status`.
pub async fn finished_as(
    field: &Field,
    environment: &str,
    number: i64,
    phase: &str,
    change: impl Fn(&mut Value),
) -> CloneRun {
    let mut object = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {
            "generateName": format!("{environment}-"),
            "labels": {ENVIRONMENT_LABEL: environment, NUMBER_LABEL: number.to_string(), OUTCOME_LABEL: phase},
        },
        "spec": {"environment": environment},
        "status": {
            "phase": phase, "number": number, "function": "USER", "step": "settle", "progress": "15/15",
            "state": if phase == "Succeeded" { "END_FC" } else { "ERROR" },
            "started": format!("2026-11-23T07:{:02}:12Z", number % 60),
            "startedAt": format!("2026-11-23T07:{:02}:12.000Z", number % 60),
            "finishedAt": format!("2026-11-23T08:{:02}:12.000Z", number % 60),
            "messages": 12, "duration": "1:00:00", "frozen": {"milliseconds": 480}, "message": format!("row {number}"),
        },
    });
    change(&mut object);
    let wanted: CloneRun = serde_json::from_value(object).unwrap();
    let runs = field.runs();
    let mut run = runs.create(&PostParams::default(), &wanted).await.unwrap();
    run.status = wanted.status;
    let name = run.name_any();
    runs.replace_status(&name, &PostParams::default(), &run)
        .await
        .unwrap()
}

/// Numbers of the run objects, in order.
pub async fn objects(field: &Field) -> Vec<i64> {
    let runs = field.runs().list(&ListParams::default()).await.unwrap();
    let number = |run: &CloneRun| run.status.as_ref().and_then(|s| s.number);
    let mut numbers: Vec<i64> = runs.iter().filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Numbers in the archive, as they stand there.
pub async fn archived(field: &Field, environment: &str) -> Vec<i64> {
    let rows = archive::read(&field.client, &field.namespace, environment);
    let rows = rows.await.unwrap();
    rows.iter().filter_map(|row| row.number).collect()
}
