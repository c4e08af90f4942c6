//! Which rows go to the archive, and that none is lost on the way.

use super::{archived, finished, finished_as, objects};
use crate::controllers::field::{Field, phase};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::controllers::history::archive;
use ibmi_clone_operator::controllers::history::line::ArchivedRun;
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt};
use macro_rules_attribute::apply;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn keep(succeeded: i32, failed: i32, skipped: i32) -> impl Fn(&mut Value) {
    move |spec| {
        spec["history"] = json!({"succeeded": succeeded, "failed": failed, "skipped": skipped});
    }
}

async fn until_objects(field: &Field, wanted: &[i64]) {
    let mut seen = Vec::new();
    wait::found(&format!("rows {wanted:?}"), async || {
        seen = objects(field).await;
        if seen == wanted {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    })
    .await;
}

async fn create<K>(client: &Client, namespace: &str, object: Value) -> K
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    api.create(&PostParams::default(), &object).await.unwrap()
}

/// The environment remembers its last success, as it does once it has run.
async fn knows_success(field: &Field, run: &CloneRun, last: i64) {
    let api = field.environments();
    let mut environment = api.get("nightly").await.unwrap();
    let at = run.status.as_ref().unwrap().finished_at;
    let known = json!({"lastSuccessTime": at, "lastRunNumber": last});
    environment.status = Some(serde_json::from_value(known).unwrap());
    api.replace_status("nightly", &PostParams::default(), &environment)
        .await
        .unwrap();
}

fn condition(environment: &CloneEnvironment) -> Option<(String, String)> {
    let conditions = &environment.status.as_ref()?.conditions;
    let found = conditions.iter().find(|c| c.type_ == "HistoryArchived")?;
    Some((found.status.clone(), found.reason.clone()))
}

#[apply(on_both!)]
async fn rows_beyond_the_count_live_on_as_one_line_each_and_their_logs_go_with_them(
    server: Server,
) {
    let field = Field::new(server).await;
    field.environment("nightly", keep(2, 1, 0)).await;
    let mut rows = Vec::new();
    for (number, phase) in [
        (1, "Succeeded"),
        (2, "Failed"),
        (3, "Succeeded"),
        (4, "Cancelled"),
        (5, "Succeeded"),
        (6, "Succeeded"),
        (7, "Skipped"),
    ] {
        rows.push(finished(&field, "nightly", number, phase).await);
    }
    knows_success(&field, &rows[5], 7).await;
    let log = json!({
        "metadata": {"name": "old-log", "ownerReferences": [{
            "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
            "name": rows[0].name_any(), "uid": rows[0].uid(), "controller": true,
        }]},
    });
    let _: ConfigMap = create(&field.client, &field.namespace, log).await;
    let _operator = field.operator();
    until_objects(&field, &[4, 5, 6]).await;
    assert_eq!(archived(&field, "nightly").await, [1, 2, 3, 7]);
    let lines = archive::read(&field.client, &field.namespace, "nightly");
    let first = lines.await.unwrap().remove(0);
    assert_eq!(first, ArchivedRun::of(&rows[0]).unwrap());
    assert_eq!((first.freeze, first.messages), (Some(480), Some(12)));
    assert_eq!(first.message.as_deref(), Some("row 1"));
    let maps: Api<ConfigMap> = Api::namespaced(field.client.clone(), &field.namespace);
    wait::until("the log went with its run", async || {
        maps.get_opt("old-log").await.unwrap().is_none()
    })
    .await;
    // It survives the environment: nobody owns it.
    let map = maps.get("nightly-history").await.unwrap();
    assert!(map.owner_references().is_empty());
    assert_eq!(
        condition(&field.environments().get("nightly").await.unwrap()),
        None
    );
}

#[apply(on_both!)]
async fn a_live_image_the_last_success_and_runs_with_a_name_of_a_person_stay(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", keep(1, 0, 0)).await;
    let named = |run: &mut Value| {
        run["metadata"]["name"] = json!("before-the-upgrade");
        run["metadata"]["generateName"] = Value::Null;
    };
    finished_as(&field, "nightly", 1, "Succeeded", named).await;
    let live = |run: &mut Value| {
        run["status"]["state"] = json!("HOLD");
        run["status"]["image"] = json!({"targetSet": "A/G", "mark": "m"});
    };
    finished_as(&field, "nightly", 2, "Succeeded", live).await;
    let owner = finished(&field, "nightly", 3, "Failed").await;
    finished(&field, "nightly", 4, "Failed").await;
    finished(&field, "nightly", 5, "Succeeded").await;
    let success = finished(&field, "nightly", 6, "Succeeded").await;
    for number in 7..=8 {
        // Many checks must not push the last success out.
        let check = |run: &mut Value| run["spec"]["mode"] = json!("Preflight");
        finished_as(&field, "nightly", number, "Succeeded", check).await;
    }
    let image = json!({"uid": owner.uid(), "namespace": field.namespace, "run": owner.name_any()});
    let lease = json!({"metadata": {
        "name": "some-target-set", "labels": {"ibmiclone.dev/lock": "device"},
        "annotations": {"ibmiclone.dev/image-owner": image.to_string()},
    }});
    let _: Lease = create(&field.client, &field.namespace, lease).await;
    knows_success(&field, &success, 8).await;

    let _operator = field.operator();
    until_objects(&field, &[1, 2, 3, 6, 8]).await;
    assert_eq!(archived(&field, "nightly").await, [4, 5, 7]);
    // The live run's row goes when its image is gone: here the next look finds it.
    field.run("next", "nightly").await;
    assert_eq!(phase(&field.ended("next").await), Phase::Succeeded);
    until_objects(&field, &[1, 2, 3, 8, 9]).await;
}

#[apply(on_both!)]
async fn a_crash_between_archive_and_delete_and_two_operators_at_once_make_no_line_twice(
    server: Server,
) {
    let field = Field::new(server).await;
    field.environment("nightly", keep(1, 0, 0)).await;
    let mut rows: Vec<CloneRun> = Vec::new();
    for number in 1..=30 {
        rows.push(finished(&field, "nightly", number, "Failed").await);
    }
    let crashed: Vec<_> = rows[..3].iter().filter_map(ArchivedRun::of).collect();
    let add = archive::add(&field.client, &field.namespace, "nightly", &crashed);
    add.await.unwrap();
    let _one = field.operator();
    let _two = field.operator_with(|config| config.writer = "writer-2".to_owned());
    until_objects(&field, &[]).await;
    assert_eq!(
        archived(&field, "nightly").await,
        (1..=30).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_the_archive_does_not_take_stays_and_is_said_until_it_can_be_written() {
    let Some(server) = Server::real().await else {
        return;
    };
    let field = Field::new(server).await;
    field.environment("nightly", keep(1, 0, 0)).await;
    for number in 1..=3 {
        finished(&field, "nightly", number, "Failed").await;
    }
    let hard = json!({"configmaps": "0"});
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": hard}});
    let mut quota: ResourceQuota = create(&field.client, &field.namespace, quota).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(field.client.clone(), &field.namespace);
    // The admission plugin goes by the status, which a controller would write that is not there.
    let counted = json!({"hard": hard, "used": {"configmaps": "0"}});
    quota.status = Some(serde_json::from_value(counted).unwrap());
    quotas
        .replace_status("none", &PostParams::default(), &quota)
        .await
        .unwrap();
    let _operator = field.operator();
    let refused = field
        .environment_until("nightly", |e| condition(e).is_some())
        .await;
    let wanted = ("False".to_owned(), "ArchiveRefused".to_owned());
    assert_eq!(condition(&refused), Some(wanted));
    field.told("nightly", "ArchiveRefused").await;
    assert_eq!(objects(&field).await, [1, 2, 3]);
    let name = quota.name_any();
    quotas
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    until_objects(&field, &[]).await;
    assert_eq!(archived(&field, "nightly").await, [1, 2, 3]);
    let wanted = ("True".to_owned(), "Archived".to_owned());
    field
        .environment_until("nightly", |e| condition(e).as_ref() == Some(&wanted))
        .await;
}

#[apply(on_both!)]
async fn a_config_map_of_somebody_else_is_never_written_over(server: Server) {
    let field = Field::new(server).await;
    let theirs = json!({"metadata": {"name": "nightly-history"}, "data": {"notes": "mine"}});
    let _: ConfigMap = create(&field.client, &field.namespace, theirs).await;
    field.environment("nightly", keep(1, 0, 0)).await;
    finished(&field, "nightly", 1, "Failed").await;
    let _operator = field.operator();
    let taken = field
        .environment_until("nightly", |e| condition(e).is_some())
        .await;
    let wanted = ("False".to_owned(), "ArchiveNameTaken".to_owned());
    assert_eq!(condition(&taken), Some(wanted));
    assert_eq!(objects(&field).await, [1]);
    let maps: Api<ConfigMap> = Api::namespaced(field.client.clone(), &field.namespace);
    let map = maps.get("nightly-history").await.unwrap();
    assert!(map.binary_data.is_none() && map.data.unwrap()["notes"] == "mine");
}
