//! Patches that are not an apply: JSON patch (RFC 6902), merge patch (RFC 7396) and strategic merge patch
//! (`kubernetes-api.md` § 4 row 12). Each answers the patched object, or the refusal of the real server with its code and text.
//! Whether the result is a valid object is the caller's question.

mod json;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use self::json::json;
pub use self::strategic::strategic;
use super::go_json;
use super::kind::Kind;
use super::refusal::Refusal;

/// A JSON merge patch applied.
///
/// # Errors
/// 400: the patch is no object.
pub fn merge(object: &Value, patch: &Value) -> Result<Value, Refusal> {
    match patch {
        Value::Object(_) => {}
        Value::Null => return Err(bad_request("Invalid JSON Patch")),
        other => {
            let why = go_json::cannot_become(other, "map[string]interface {}");
            return Err(bad_request(format!("error decoding patch: {why}")));
        }
    }
    let mut patch = patch.clone();
    drop_nulls_in_lists(&mut patch, false);
    let mut merged = object.clone();
    json_patch::merge(&mut merged, &patch);
    Ok(merged)
}

/// The answer to a strategic merge patch for a kind that has none, `None` for those that have: what a definition made has none.
pub fn no_strategic(kind: &Kind) -> Option<Refusal> {
    kind.custom.then(|| {
        Refusal::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
             application/merge-patch+json, application/apply-patch+yaml",
        )
    })
}

/// The RFC leaves lists as they are sent. The real server also drops the empty fields of objects inside of them.
fn drop_nulls_in_lists(value: &mut Value, in_list: bool) {
    match value {
        Value::Object(fields) => {
            if in_list {
                fields.retain(|_, value| !value.is_null());
            }
            for value in fields.values_mut() {
                drop_nulls_in_lists(value, in_list);
            }
        }
        Value::Array(items) => {
            for item in items {
                drop_nulls_in_lists(item, true);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "BadRequest", message)
}
