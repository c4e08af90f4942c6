//! What the real server checks in code for the kinds that Kubernetes has built in, in its words.

use crate::embedded::go_json;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Cause;
use crate::embedded::schema::{forbidden, invalid_text, invalid_value, names, required, too_long};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// All data of a ConfigMap or Secret together, in bytes.
const DATA: usize = 1024 * 1024;

/// What is wrong with an object of a built-in kind, beside its metadata; nothing = good. `old` = what it replaces.
pub fn check(kind: &Kind, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    finalizers(&object["metadata"]["finalizers"], old, &mut causes);
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap") => config_map(object, old, &mut causes),
        ("", "Secret") => secret(object, old, &mut causes),
        ("coordination.k8s.io", "Lease") => lease(object, &mut causes),
        ("", "Namespace") => namespace(object, old, &mut causes),
        ("", "Event") => super::events::check_core(object, &mut causes),
        ("events.k8s.io", "Event") => super::events::check(object, old, &mut causes),
        _ => {}
    }
    causes
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

fn entries<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object[name].as_object().into_iter().flatten()
}

fn not_standard(finalizer: &str) -> bool {
    !finalizer.contains('/') && !["orphan", "foregroundDeletion", "kubernetes"].contains(&finalizer)
}

const NOT_STANDARD: &str = "name is neither a standard finalizer name nor is it fully qualified";

fn finalizers(list: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if old.is_some() {
        return;
    }
    for (index, finalizer) in list.as_array().into_iter().flatten().enumerate() {
        let finalizer = finalizer.as_str().unwrap_or_default();
        if not_standard(finalizer) {
            let field = format!("metadata.finalizers[{index}]");
            causes.push(invalid_text(field, finalizer, NOT_STANDARD));
        }
    }
}

fn data_keys(object: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (key, _) in entries(object, field) {
        for wrong in names::data_key(key) {
            causes.push(invalid_text(format!("{field}[{key}]"), key, &wrong));
        }
    }
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD
        .decode(value.as_str().unwrap_or_default())
        .unwrap_or_default()
}

fn config_map(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    data_keys(object, "data", causes);
    for (key, _) in entries(object, "data") {
        if object["binaryData"].get(key).is_some() {
            let words = "duplicate of key present in binaryData";
            causes.push(invalid_text(format!("data[{key}]"), key, words));
        }
    }
    data_keys(object, "binaryData", causes);
    let texts = entries(object, "data").map(|(_, v)| v.as_str().unwrap_or_default().len());
    let bytes = entries(object, "binaryData").map(|(_, v)| decoded(v).len());
    if texts.chain(bytes).sum::<usize>() > DATA {
        // The real server's name for the object as a whole.
        causes.push(too_long("[]".to_owned(), DATA as i64));
    }
    unchanged_data(object, old, &["data", "binaryData"], causes);
}

fn unchanged_data(object: &Value, old: Option<&Value>, fields: &[&str], causes: &mut Vec<Cause>) {
    let Some(old) = old.filter(|o| o["immutable"] == json!(true)) else {
        return;
    };
    let words = "field is immutable when `immutable` is set";
    if object["immutable"] != json!(true) {
        causes.push(forbidden("immutable".to_owned(), words));
    }
    for field in fields {
        if !entries(object, field).eq(entries(old, field)) {
            causes.push(forbidden((*field).to_owned(), words));
        }
    }
}

fn secret(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let type_ = text(object, "type");
    if let Some(old) = old
        && text(old, "type") != type_
    {
        causes.push(invalid_text("type".to_owned(), type_, "field is immutable"));
    }
    unchanged_data(object, old, &["data"], causes);
    data_keys(object, "data", causes);
    let size: usize = entries(object, "data").map(|(_, v)| decoded(v).len()).sum();
    if size > DATA {
        causes.push(too_long("data".to_owned(), DATA as i64));
    }
    let data = &object["data"];
    let has = |key: &str| data.get(key).is_some();
    let missing: &[&str] = match type_ {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        // One of them is enough.
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            &["username", "password"]
        }
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        _ => &[],
    };
    for key in missing.iter().filter(|key| !has(key)) {
        causes.push(required(format!("data[{key}]"), ""));
    }
    if type_.starts_with("kubernetes.io/dockerc") {
        missing.iter().for_each(|key| is_json(data, key, causes));
    }
    let account = "kubernetes.io/service-account.name";
    if type_ == "kubernetes.io/service-account-token"
        && text(&object["metadata"]["annotations"], account).is_empty()
    {
        causes.push(required(format!("metadata.annotations[{account}]"), ""));
    }
}

/// The contents are never repeated, apart from the character at which they are no JSON, as on the real server.
fn is_json(data: &Value, key: &str, causes: &mut Vec<Cause>) {
    let Some(value) = data.get(key) else { return };
    let text = decoded(value);
    let wrong = match serde_json::from_slice::<Value>(&text) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(other) => go_json::cannot_become(&other, "map[string]interface {}"),
        Err(_) => go_json::complaint(&text).unwrap_or_else(|| "is not valid JSON".to_owned()),
    };
    let shown = "<secret contents redacted>";
    causes.push(invalid_text(format!("data[{key}]"), shown, &wrong));
}

fn lease(object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let limits = [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ];
    for (name, min, words) in limits {
        if spec[name].as_i64().is_some_and(|n| n < min) {
            causes.push(invalid_value(format!("spec.{name}"), &spec[name], words));
        }
    }
}

/// Said when it is created, and through `finalize`: no other write changes them.
fn namespace(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let list = object["spec"]["finalizers"].as_array();
    let finalizers = list.into_iter().flatten().filter_map(Value::as_str);
    for (index, finalizer) in finalizers.enumerate() {
        let field = || match old {
            None => "spec.finalizers".to_owned(),
            Some(_) => format!("spec.finalizers[{index}]"),
        };
        for wrong in names::qualified(finalizer) {
            causes.push(invalid_text(field(), finalizer, &wrong));
        }
        if not_standard(finalizer) {
            causes.push(invalid_text(field(), finalizer, NOT_STANDARD));
        }
    }
}
