//! What the real server adds to an object of a built-in kind when it is written.

use crate::embedded::kind::Kind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Completes an object, after its defaults and before it is validated; own kinds stay as they are.
pub fn complete(kind: &Kind, object: &mut Value) {
    let Some(fields) = object.as_object_mut().filter(|_| !kind.custom) else {
        return;
    };
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap") => drop_empty(fields, &["data", "binaryData"]),
        ("", "Secret") => secret(fields),
        ("", "Namespace") => namespace(fields),
        ("", "Event") => fill(
            fields,
            &["involvedObject", "source"],
            &["firstTimestamp", "lastTimestamp", "eventTime"],
            &["reportingComponent", "reportingInstance"],
        ),
        ("events.k8s.io", "Event") => fill(
            fields,
            &["regarding", "deprecatedSource"],
            &[
                "deprecatedFirstTimestamp",
                "deprecatedLastTimestamp",
                "eventTime",
            ],
            &[],
        ),
        ("coordination.k8s.io", "Lease") => {
            fields.entry("spec").or_insert_with(|| json!({}));
        }
        _ => {}
    }
}

fn drop_empty(fields: &mut Map<String, Value>, names: &[&str]) {
    let is_empty = |v: &Value| v.as_object().is_some_and(Map::is_empty);
    fields.retain(|name, value| !(names.contains(&name.as_str()) && is_empty(value)));
}

/// The object in a field, made if need be; none = something else is there.
fn below<'a>(fields: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    let value = fields.entry(name).or_insert_with(|| json!({}));
    value.as_object_mut()
}

/// Plain texts become data; the kind of secret is Opaque if nothing is said.
fn secret(fields: &mut Map<String, Value>) {
    if let Some(Value::Object(texts)) = fields.remove("stringData")
        && let Some(data) = below(fields, "data")
    {
        for (key, text) in texts {
            let text = text.as_str().unwrap_or_default();
            data.insert(key, Value::from(STANDARD.encode(text)));
        }
    }
    drop_empty(fields, &["data"]);
    let type_ = fields.entry("type").or_insert(Value::Null);
    if type_.as_str().unwrap_or_default().is_empty() {
        *type_ = json!("Opaque");
    }
}

/// A namespace names itself in a label, is kept until it is empty, and is in use.
fn namespace(fields: &mut Map<String, Value>) {
    let metadata = fields.get("metadata").and_then(Value::as_object);
    let is_deleted = metadata.is_some_and(|m| m.contains_key("deletionTimestamp"));
    let name = metadata.and_then(|m| m.get("name")).cloned();
    if let Some(name) = name.filter(|n| n.as_str().is_some_and(|n| !n.is_empty()))
        && let Some(metadata) = below(fields, "metadata")
        && let Some(labels) = below(metadata, "labels")
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
    if let Some(spec) = below(fields, "spec").filter(|_| !is_deleted) {
        let finalizers = spec.entry("finalizers").or_insert(Value::Null);
        if finalizers.is_null() || *finalizers == json!([]) {
            *finalizers = json!(["kubernetes"]);
        }
    }
    if let Some(status) = below(fields, "status") {
        status.entry("phase").or_insert_with(|| json!("Active"));
    }
}

/// Some fields of events are always written, also when they say nothing.
fn fill(fields: &mut Map<String, Value>, objects: &[&str], times: &[&str], texts: &[&str]) {
    for (names, nothing) in [
        (objects, json!({})),
        (times, Value::Null),
        (texts, json!("")),
    ] {
        for name in names {
            fields.entry(*name).or_insert_with(|| nothing.clone());
        }
    }
}
