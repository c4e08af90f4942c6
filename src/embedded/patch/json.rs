//! JSON patch. The crate applies each operation; here is where the real server differs from the RFC:
//!
//! - a missing field of an object is null for `test` and `copy`, and may be replaced. kube-rs relies on it: it tests that an
//!   object has no finalizers;
//! - a missing value is null;
//! - the whole document can be tested and replaced, but not added, removed, moved or copied.

use json_patch::PatchOperation;
use serde_json::{Map, Value, json};

use super::bad_request;
use crate::embedded::go_json;
use crate::embedded::refusal::Refusal;

/// Operations of one patch.
const MOST_OPERATIONS: usize = 10_000;
/// What all `copy` of one patch may copy together, in bytes. Without it a few of them, each copying the copies before it, fill
/// the memory.
const MOST_COPIED: usize = 3 * 1024 * 1024;

/// A JSON patch applied.
///
/// # Errors
/// 400: it is no list of operations; 413: too many of them; 422: one does not apply, which includes a test that fails. The
/// real server does not say which.
pub fn json(object: &Value, patch: &Value) -> Result<Value, Refusal> {
    let operations = operations(patch)?;
    if operations.len() > MOST_OPERATIONS {
        return Err(Refusal::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "Request entity too large: The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}, got {}",
                operations.len()
            ),
        ));
    }
    let mut document = object.clone();
    let mut copied = 0;
    for operation in operations {
        one(&mut document, operation, &mut copied).ok_or_else(does_not_apply)?;
    }
    Ok(document)
}

fn does_not_apply() -> Refusal {
    Refusal {
        details: json!({}),
        ..Refusal::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        )
    }
}

/// The operations, once they have the form of some.
fn operations(patch: &Value) -> Result<Vec<&Map<String, Value>>, Refusal> {
    match patch {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(operation).collect(),
        other => Err(undecodable(other, "value of type []handlers.jsonPatchOp")),
    }
}

fn operation(value: &Value) -> Result<&Map<String, Value>, Refusal> {
    let Value::Object(operation) = value else {
        return Err(undecodable(value, "value of type handlers.jsonPatchOp"));
    };
    for name in ["op", "path", "from"] {
        match operation.get(name) {
            None | Some(Value::String(_) | Value::Null) => {}
            Some(other) => {
                let into = format!("struct field jsonPatchOp.{name} of type string");
                return Err(undecodable(other, &into));
            }
        }
    }
    Ok(operation)
}

fn undecodable(value: &Value, into: &str) -> Refusal {
    let sort = go_json::type_name(value);
    bad_request(format!(
        "error decoding patch: json: cannot unmarshal {sort} into Go {into}"
    ))
}

/// Applies one operation; `None` when it does not apply.
fn one(document: &mut Value, operation: &Map<String, Value>, copied: &mut usize) -> Option<()> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let (op, path) = (text("op")?, text("path")?);
    let value = operation.get("value").cloned().unwrap_or_default();
    let mut op = json!({"op": op, "path": path, "value": value, "from": text("from")});
    let missing = |document: &Value, path: &str| missing_field(document, path);
    match (text("op")?, path) {
        ("test", path) if missing(document, path) => return value.is_null().then_some(()),
        ("replace", path) if missing(document, path) => op["op"] = json!("add"),
        ("replace", "") if !value.is_object() && !value.is_array() => return None,
        ("add" | "remove" | "copy" | "move", "") => return None,
        ("copy" | "move", _) if text("from")?.is_empty() => return None,
        ("copy", _) => {
            let from = text("from")?;
            let source = document.pointer(from).map(Value::to_string);
            if source.is_none() && missing(document, from) {
                op["op"] = json!("add");
            }
            *copied += source.map_or(0, |source| source.len());
            if *copied > MOST_COPIED {
                return None;
            }
        }
        _ => {}
    }
    let operation: PatchOperation = serde_json::from_value(op).ok()?;
    json_patch::patch(document, &[operation]).ok()
}

/// The object that would hold the field is there, the field is not.
fn missing_field(document: &Value, path: &str) -> bool {
    let Some((parent, _)) = path.rsplit_once('/') else {
        return false;
    };
    document.pointer(parent).is_some_and(Value::is_object) && document.pointer(path).is_none()
}
