//! Lists of any length: what is written from stored texts is what the objects are.

use serde_json::{Value, json};

use super::{Answer, Service, get, post, service};
use crate::embedded::kind::Kind;
use crate::embedded::registry::{ListOptions, Target, WriteOptions};

const RUNS: &str = "/apis/ibmiclone.dev/v1alpha1/namespaces/default/cloneruns";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
/// More than two pieces.
const MANY: usize = 1_201;

fn kind(service: &Service, plural: &str) -> Kind {
    let mut kinds = service.registry().kinds().iter();
    kinds.find(|k| k.plural == plural).unwrap().clone()
}

async fn put(service: &Service, plural: &str, object: Value) {
    let kind = kind(service, plural);
    let target = Target {
        kind: &kind,
        namespace: Some("default"),
        status: false,
    };
    let options = WriteOptions::default();
    let created = service.registry().create(&target, object, &options).await;
    created.unwrap();
}

/// Runs whose texts are not all alike, one of them with a status.
async fn runs() -> Service {
    let service = service().await;
    for (name, labels) in [
        ("a", json!(null)),
        ("b", json!({"team": "ops", "x": ""})),
        ("c", json!({"team": "dev"})),
    ] {
        let run = json!({
            "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
            "metadata": {"name": name, "labels": labels, "annotations": {"note": "ä \"quoted\" \\ \u{1} {\"metadata\":{}}"}},
            "spec": {"environment": "nightly", "requestedBy": "someone \"else\""},
        });
        put(&service, "cloneruns", run).await;
    }
    let run = get(&service, &format!("{RUNS}/b"), &[]).await.json();
    let mut run = run;
    run["status"] = json!({
        "phase": "Succeeded", "state": "USER_END", "number": 7, "messages": 12, "started": "2026-11-30 02:30:00",
        "frozen": {"milliseconds": 481}, "steps": [{"name": "verify-site", "state": "Done"}],
    });
    let json = [("content-type", "application/json")];
    let path = format!("{RUNS}/b/status");
    let written = super::ask(&service, "PUT", &path, &json, &run.to_string()).await;
    assert_eq!(written.status, 200);
    service
}

async fn each(service: &Service, accept: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for name in ["a", "b", "c"] {
        let answer = get(service, &format!("{RUNS}/{name}"), &[("accept", accept)]).await;
        assert_eq!(answer.status, 200);
        all.push(answer.json());
    }
    all
}

#[tokio::test]
async fn items_of_a_list_are_the_objects() {
    let service = runs().await;
    let list = get(&service, RUNS, &[]).await.json();
    assert_eq!(
        list["items"],
        json!(each(&service, "application/json").await)
    );
    assert_eq!(list["kind"], "CloneRunList");
    assert_eq!(list["metadata"]["continue"], "");
    let list = get(&service, RUNS, &[("accept", METADATA_LIST)])
        .await
        .json();
    assert_eq!(list["items"], json!(each(&service, METADATA).await));
    assert_eq!(list["kind"], "PartialObjectMetadataList");
}

#[tokio::test]
async fn rows_of_a_list_are_those_of_the_objects() {
    let service = runs().await;
    for include in ["", "?includeObject=None", "?includeObject=Object"] {
        let table = get(&service, &format!("{RUNS}{include}"), &[("accept", TABLE)]).await;
        let table = table.json();
        let mut rows = Vec::new();
        for name in ["a", "b", "c"] {
            let path = format!("{RUNS}/{name}{include}");
            let one = get(&service, &path, &[("accept", TABLE)]).await.json();
            assert_eq!(one["columnDefinitions"], table["columnDefinitions"]);
            rows.extend(one["rows"].as_array().unwrap().iter().cloned());
        }
        assert_eq!(table["rows"], json!(rows), "{include}");
        assert_eq!(rows[1]["cells"][1], 7, "{include}");
    }
}

#[tokio::test]
async fn selectors_look_at_the_same_as_clients_see() {
    let service = runs().await;
    for (selector, names) in [
        ("labelSelector=team", json!(["b", "c"])),
        ("labelSelector=team!=ops", json!(["a", "c"])),
        ("fieldSelector=metadata.name=b", json!(["b"])),
        ("fieldSelector=metadata.name!=b&limit=1", json!(["a"])),
    ] {
        let list = get(&service, &format!("{RUNS}?{selector}"), &[])
            .await
            .json();
        let items = list["items"].as_array().unwrap().iter();
        let found: Value = items.map(|i| i["metadata"]["name"].clone()).collect();
        assert_eq!(found, names, "{selector}");
    }
}

/// ConfigMaps, in pieces by us and in pages by the client.
#[tokio::test]
async fn a_list_of_many_pieces_is_one_document_and_the_same_as_its_pages() {
    let service = service().await;
    for n in 0..MANY {
        let map = json!({"metadata": {"name": format!("m{n:04}")}, "data": {"n": n.to_string()}});
        put(&service, "configmaps", map).await;
    }
    let all = "/api/v1/namespaces/default/configmaps";
    let whole = get(&service, all, &[]).await;
    let list = whole.json();
    assert_eq!(list["items"].as_array().unwrap().len(), MANY);
    assert_eq!(list["metadata"]["continue"], Value::Null);
    let packed = get(&service, all, &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(unpacked(&packed), whole.body);
    let mut items = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("{all}?limit=700&continue={next}");
        let page = get(&service, &path, &[]).await.json();
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        assert_eq!(
            page["metadata"]["resourceVersion"],
            list["metadata"]["resourceVersion"]
        );
        match page["metadata"]["continue"].as_str() {
            Some(token) => next = token.to_owned(),
            None => break,
        }
        assert_eq!(page["metadata"]["remainingItemCount"], MANY - items.len());
        // What comes later is not in the list, and not counted.
        let late = json!({"metadata": {"name": format!("n{}", items.len())}});
        assert_eq!(post(&service, all, &late).await.status, 201);
    }
    assert_eq!(json!(items), list["items"]);
    let options = ListOptions::default();
    let kind = kind(&service, "configmaps");
    let target = Target {
        kind: &kind,
        namespace: None,
        status: false,
    };
    let listed = service.registry().list(&target, &options).await.unwrap();
    assert_eq!(listed.items.len(), MANY + 1);
}

fn unpacked(answer: &Answer) -> Vec<u8> {
    let mut text = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(answer.body.as_slice());
    std::io::copy(&mut reader, &mut text).unwrap();
    text
}
