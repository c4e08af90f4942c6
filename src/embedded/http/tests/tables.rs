//! Columns: what the real server printed for the same paths and the same object.

use serde_json::{Value, json};

use super::{get, post, service};
use crate::embedded::http::table::Path;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

#[test]
fn paths_lead_where_the_real_server_finds_something() {
    let object = json!({
        "metadata": {"annotations": {"a.b/c": "hey"}},
        "spec": {"list": [{"name": "a", "n": 1}, {"name": "b", "n": 2}], "map": {"x": "y"}, "nul": null},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "x]'", "status": "odd"}]},
    });
    for (path, wanted) in [
        (".spec.list[*].name", json!("a")),
        (".spec.list[1].name", json!("b")),
        (".spec.list[-1].name", json!("b")),
        (".spec.list[-3].name", Value::Null),
        (".spec.list[9].name", Value::Null),
        (".spec.list[?(@.name=='b')].n", json!(2)),
        (".spec.list[?(@.n>1)].name", json!("b")),
        (".spec.list[?(@.name!=\"a\")].name", json!("b")),
        (".spec.list[?(@.name)].name", json!("a")),
        (".spec.list[0:2].name", json!("a")),
        (".spec.list[1:].name", json!("b")),
        (".spec.list[0,1].name", json!("a")),
        (".spec.map['x']", json!("y")),
        (".metadata.annotations.a\\.b/c", json!("hey")),
        (
            ".status.conditions[?(@.type==\"Ready\")].status",
            json!("True"),
        ),
        (
            ".status.conditions[?(@.type==\"x]'\")].status",
            json!("odd"),
        ),
        (".spec.none.deeper", Value::Null),
    ] {
        let parsed = Path::parse(path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(
            parsed.first(&object).cloned().unwrap_or_default(),
            wanted,
            "{path}"
        );
    }
    for odd in [".spec..name", "spec", ".a[", ".a[?(x)]"] {
        assert_eq!(Path::parse(odd), None, "{odd}");
    }
}

#[tokio::test]
async fn of_the_tables_of_a_watch_only_the_first_tells_its_columns() {
    let service = service().await;
    let all = "/api/v1/namespaces/default/configmaps";
    for name in ["a", "b"] {
        post(
            &service,
            all,
            &json!({"metadata": {"name": name}, "data": {"k": "v"}}),
        )
        .await;
    }
    let watch = get(
        &service,
        &format!("{all}?watch=1&timeoutSeconds=1"),
        &[("accept", TABLE)],
    )
    .await;
    let text = String::from_utf8(watch.body).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["object"]["columnDefinitions"][1]["name"], "Data");
    assert_eq!(events[1]["object"]["columnDefinitions"], Value::Null);
    assert_eq!(events[1]["object"]["rows"][0]["cells"][1], 1);
}

#[tokio::test]
async fn a_large_list_is_compressed_for_who_reads_that() {
    let service = service().await;
    let all = "/api/v1/namespaces/default/configmaps";
    let long = "long ".repeat(20_000);
    for name in ["a", "b"] {
        let created = post(
            &service,
            all,
            &json!({"metadata": {"name": name}, "data": {"k": long}}),
        )
        .await;
        assert_eq!(created.status, 201);
    }
    let plain = get(&service, all, &[]).await;
    assert_eq!(plain.header("content-encoding"), "");
    let packed = get(&service, all, &[("accept-encoding", "deflate, gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut text = Vec::new();
    std::io::copy(
        &mut flate2::read::GzDecoder::new(packed.body.as_slice()),
        &mut text,
    )
    .unwrap();
    assert_eq!(text, plain.body);
    let refused = get(&service, all, &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(refused.header("content-encoding"), "");
}
