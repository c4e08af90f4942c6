//! Numbers of an environment's runs have no gap and no double, whoever opens them and wherever he was stopped.

use super::{archived, finished, objects};
use crate::controllers::field::Field;
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{
    CloneRun, ENVIRONMENT_LABEL, FINALIZER, NUMBER_LABEL, OPENED_ANNOTATION,
};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use macro_rules_attribute::apply;
use serde_json::json;

/// Where the opening of a run was stopped.
#[derive(Debug, Clone, Copy)]
enum Crash {
    /// Its number is reserved on the environment; the run knows nothing of it.
    Reserved,
    /// Label, annotation and finalizer are written; there is no journal.
    Marked,
    /// Its number is reserved, and somebody has deleted the run.
    ReservedAndDeleted,
}

async fn crash(field: &Field, environment: &str, run: &CloneRun, number: i64, at: Crash) {
    let api = field.environments();
    let mut object = api.get(environment).await.unwrap();
    let name = run.name_any();
    let opening = format!("{name}/{}", run.uid().unwrap());
    let known = json!({"lastRunNumber": number, "opening": opening, "activeRun": name});
    object.status = Some(serde_json::from_value(known).unwrap());
    api.replace_status(environment, &PostParams::default(), &object)
        .await
        .unwrap();
    match at {
        Crash::Reserved => {}
        Crash::Marked => {
            let patch = json!({"metadata": {
                "labels": {NUMBER_LABEL: number.to_string(), ENVIRONMENT_LABEL: environment},
                "annotations": {OPENED_ANNOTATION: run.uid()},
                "finalizers": [FINALIZER],
            }});
            let patch = Patch::Merge(&patch);
            let patched = field
                .runs()
                .patch(&name, &PatchParams::default(), &patch)
                .await;
            patched.unwrap();
        }
        Crash::ReservedAndDeleted => {
            let deleted = field.runs().delete(&name, &DeleteParams::default()).await;
            deleted.unwrap();
        }
    }
}

#[apply(on_both!)]
async fn every_crash_point_of_an_opening_is_completed_by_two_operators_without_a_gap(
    server: Server,
) {
    for at in [Crash::Reserved, Crash::Marked, Crash::ReservedAndDeleted] {
        let field = Field::new(server).await;
        field.environment("nightly", |_| {}).await;
        // Numbers go on behind what the objects show, wherever the status says it is.
        for number in 1..=2 {
            finished(&field, "nightly", number, "Failed").await;
        }
        let cut = field.run("cut", "nightly").await;
        crash(&field, "nightly", &cut, 3, at).await;
        for name in ["a", "b", "c"] {
            field.run(name, "nightly").await;
        }
        let one = field.operator();
        let _two = field.operator_with(|config| config.writer = "writer-2".to_owned());
        field.ended("a").await;
        drop(one);
        let _three = field.operator_with(|config| config.writer = "writer-3".to_owned());
        field.run("d", "nightly").await;
        for name in ["b", "c", "d"] {
            field.ended(name).await;
        }
        let last = match at {
            Crash::Reserved | Crash::Marked => {
                let cut = field.ended("cut").await;
                assert_eq!(cut.status.unwrap().number, Some(3), "{at:?}");
                7
            }
            Crash::ReservedAndDeleted => 6,
        };
        assert_eq!(
            objects(&field).await,
            (1..=last).collect::<Vec<_>>(),
            "{at:?}"
        );
    }
}

#[apply(on_both!)]
async fn an_environment_that_lost_its_status_and_its_rows_goes_on_behind_its_archive(
    server: Server,
) {
    let field = Field::new(server).await;
    let keep = |spec: &mut serde_json::Value| spec["history"] = json!({"failed": 0});
    field.environment("nightly", keep).await;
    for number in 1..=4 {
        finished(&field, "nightly", number, "Failed").await;
    }
    let operator = field.operator();
    wait::until("all rows are archived", async || {
        objects(&field).await.is_empty()
    })
    .await;
    assert_eq!(archived(&field, "nightly").await, [1, 2, 3, 4]);
    operator.ends().await;
    let api = field.environments();
    api.delete("nightly", &DeleteParams::default())
        .await
        .unwrap();
    field.environment("nightly", keep).await;
    let _operator = field.operator();
    field.run("next", "nightly").await;
    assert_eq!(field.ended("next").await.status.unwrap().number, Some(5));
}
