//! Every object of `examples/` is one that a user may apply.

use crate::support::kube::{namespace, shared};
use ibmi_clone_operator::api::{CREDENTIALS_LABEL, CloneEnvironment};
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Objects of all files, with the placeholders of the demo filled in.
fn objects() -> Vec<(PathBuf, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found = Vec::new();
    for folder in [root.clone(), root.join("demo")] {
        for entry in std::fs::read_dir(folder).expect("examples/ exists") {
            let path = entry.expect("is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".yaml") && !name.ends_with("world.yaml") {
                let text = filled(&std::fs::read_to_string(&path).expect("is readable"));
                let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                found.extend(documents.into_iter().map(|d| (path.clone(), d)));
            }
        }
    }
    assert!(found.len() > 10, "the examples are found");
    found
}

pub fn filled(text: &str) -> String {
    let key = format!("\"SHA256:{}\"", "A".repeat(43));
    [
        ("${HMC_ENDPOINT}", "\"https://127.0.0.1:4001\""),
        ("${ARRAY_ENDPOINT}", "\"https://127.0.0.1:4002\""),
        ("${PROD_ADDRESS}", "127.0.0.1"),
        ("${PROD_PORT}", "4003"),
        ("${CLONE1_ADDRESS}", "127.0.0.2"),
        ("${CLONE1_PORT}", "4004"),
        ("${CLONE2_ADDRESS}", "127.0.0.3"),
        ("${CLONE2_PORT}", "4005"),
        ("${PROD_HOST_KEY}", key.as_str()),
        ("${CA_CERTIFICATE}", "\"PEM\""),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}

/// Every path of `written` must be in `understood`: what a type drops silently is a field that does not exist.
fn assert_understood(written: &Value, understood: &Value, at: &str) {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (key, value) in written {
                let at = format!("{at}.{key}");
                let found = understood
                    .get(key)
                    .unwrap_or_else(|| panic!("{at} is not a field"));
                assert_understood(value, found, &at);
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            assert_eq!(written.len(), understood.len(), "{at}");
            for (n, (written, understood)) in written.iter().zip(understood).enumerate() {
                assert_understood(written, understood, &format!("{at}[{n}]"));
            }
        }
        (written, understood) => assert_eq!(written, understood, "{at}"),
    }
}

#[test]
fn no_example_has_a_field_that_does_not_exist() {
    for (path, object) in objects() {
        if object["kind"] == "CloneEnvironment" {
            let typed: CloneEnvironment = serde_json::from_value(object.clone())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let again = serde_json::to_value(&typed).expect("is plain JSON");
            assert_understood(
                &object["spec"],
                &again["spec"],
                &format!("{}: spec", path.display()),
            );
        }
    }
}

#[test]
fn everything_an_example_refers_to_is_an_example_too_and_secrets_carry_the_label() {
    let all = objects();
    let named = |folder: &Path, kind: &str| -> Vec<String> {
        all.iter()
            .filter(|(path, o)| path.parent() == Some(folder) && o["kind"] == kind)
            .filter_map(|(_, o)| o["metadata"]["name"].as_str().map(str::to_owned))
            .collect()
    };
    for (path, object) in &all {
        let folder = path.parent().expect("is in a folder");
        if object["kind"] == "Secret" {
            assert_eq!(
                object["metadata"]["labels"][CREDENTIALS_LABEL],
                "true",
                "{}",
                path.display()
            );
        }
        if object["kind"] == "CloneEnvironment" {
            let mut wanted = Vec::new();
            references(&object["spec"], &mut wanted);
            assert!(!wanted.is_empty());
            for (kind, name) in wanted {
                assert!(
                    named(folder, kind).contains(&name),
                    "{}: {kind} {name}",
                    path.display()
                );
            }
        }
    }
}

fn references(value: &Value, found: &mut Vec<(&'static str, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let kind = match key.as_str() {
                    "credentials" => "Secret",
                    "caBundle" => "ConfigMap",
                    _ => {
                        references(value, found);
                        continue;
                    }
                };
                found.push((kind, value["name"].as_str().expect("is a name").to_owned()));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_api_server_takes_every_example_with_strict_validation() {
    let Some(stack) = shared().await else { return };
    let (client, namespace) = namespace(stack).await;
    for (path, mut object) in objects() {
        // The examples name a namespace of a site; the test has its own.
        object["metadata"]["namespace"] = namespace.as_str().into();
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let (group, version) = match text("apiVersion").split_once('/') {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), text("apiVersion")),
        };
        let resource =
            ApiResource::from_gvk(&GroupVersionKind::gvk(&group, &version, &text("kind")));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
        let name = object["metadata"]["name"]
            .as_str()
            .expect("has a name")
            .to_owned();
        let parameters = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            dry_run: true,
            ..PatchParams::apply("test")
        };
        let taken = api.patch(&name, &parameters, &Patch::Apply(&object)).await;
        let taken = taken.unwrap_or_else(|error| panic!("{} {name}: {error}", path.display()));
        assert_eq!(taken.name_any(), name);
    }
}
