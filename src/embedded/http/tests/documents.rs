//! Discovery and OpenAPI.

use serde_json::Value;

use super::{get, service};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                found.push(reference.to_owned());
            }
            fields.values().for_each(|v| references(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn every_document_of_openapi_is_whole() {
    let service = service().await;
    let index = get(&service, "/openapi/v3", &[]).await.json();
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 7, "{:?}", paths.keys());
    for (path, entry) in paths {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        let answer = get(&service, url, &[("accept", "application/json")]).await;
        assert_eq!(answer.status, 200, "{url}");
        assert_eq!(answer.header("cache-control"), "public, immutable");
        let document = answer.json();
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{path}: {reference}");
        }
        let tag = answer.header("etag").to_owned();
        assert_eq!(
            get(&service, url, &[("if-none-match", &tag)]).await.status,
            304
        );
        let old = get(&service, &format!("/openapi/v3/{path}?hash=OLD"), &[]).await;
        assert_eq!((old.status.as_u16(), old.header("location")), (301, url));
    }
}

#[tokio::test]
async fn kubectl_finds_the_schema_and_the_parameters_of_every_kind() {
    let service = service().await;
    let kinds = service.registry().kinds().to_vec();
    for kind in kinds {
        let prefix = if kind.group.is_empty() { "api" } else { "apis" };
        let url = format!("/openapi/v3/{prefix}/{}", kind.api_version());
        let document = get(&service, &url, &[]).await.json();
        let is_kind =
            |gvk: &Value| gvk["group"] == kind.group.as_str() && gvk["kind"] == kind.kind.as_str();
        let mut items = document["paths"].as_object().unwrap().values();
        let patch = items
            .find(|i| is_kind(&i["patch"]["x-kubernetes-group-version-kind"]))
            .unwrap();
        let parameters = patch["patch"]["parameters"].as_array().unwrap();
        let names: Vec<&str> = parameters
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            ["dryRun", "fieldManager", "fieldValidation", "force"],
            "{}",
            kind.kind
        );
        assert_eq!(patch["patch"]["x-kubernetes-action"], "patch");
        let mut schemas = document["components"]["schemas"]
            .as_object()
            .unwrap()
            .values();
        let schema = schemas.find(|s| {
            let gvks = s["x-kubernetes-group-version-kind"].as_array();
            gvks.is_some_and(|g| g.iter().any(is_kind))
        });
        let schema = schema.unwrap_or_else(|| panic!("{}", kind.kind));
        assert!(
            schema["properties"]["metadata"]
                .to_string()
                .contains("ObjectMeta"),
            "{schema}"
        );
    }
}

#[tokio::test]
async fn both_ways_of_discovery_tell_the_same() {
    let service = service().await;
    for path in ["/api", "/apis"] {
        let answer = get(&service, path, &[("accept", AGGREGATED)]).await;
        assert_eq!(answer.header("content-type"), AGGREGATED);
        let tag = answer.header("etag").to_owned();
        let again = get(
            &service,
            path,
            &[("accept", AGGREGATED), ("if-none-match", &tag)],
        )
        .await;
        assert_eq!(again.status, 304);
        for group in answer.json()["items"].as_array().unwrap() {
            let name = group["metadata"]["name"]
                .as_str()
                .map(|n| format!("{path}/{n}"));
            let name = name.unwrap_or_else(|| path.to_owned());
            for version in group["versions"].as_array().unwrap() {
                let url = format!("{name}/{}", version["version"].as_str().unwrap());
                let plain = get(&service, &url, &[]).await.json();
                let mut plain: Vec<&str> = plain["resources"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|r| r["name"].as_str().unwrap())
                    .collect();
                plain.retain(|n| !n.contains('/'));
                let told = version["resources"].as_array().unwrap().iter();
                let told: Vec<&str> = told.map(|r| r["resource"].as_str().unwrap()).collect();
                assert_eq!(plain, told, "{url}");
            }
        }
    }
}
