//! What no recording shows; the rest is replayed by the tests of `apply`.

use serde_json::{Value, json};

use super::{json, merge, strategic};
use crate::embedded::apply::tests::kind;

#[test]
fn a_json_patch_has_a_bounded_number_of_operations() {
    let operation = json!({"op": "test", "path": "/a", "value": 1});
    let patch = |count| Value::Array(vec![operation.clone(); count]);
    assert!(json(&json!({"a": 1}), &patch(10_000)).is_ok());
    let refusal = json(&json!({"a": 1}), &patch(10_001)).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.reason),
        (413, "RequestEntityTooLarge")
    );
    assert_eq!(
        refusal.message,
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn copies_of_copies_do_not_fill_the_memory() {
    let double = |n: usize| json!({"op": "copy", "from": "/a", "path": format!("/a/{n}")});
    let patch: Vec<Value> = (0..64).map(double).collect();
    let refusal = json(&json!({"a": {"x": "y"}}), &Value::Array(patch)).unwrap_err();
    assert_eq!(refusal.code, 422);
}

#[test]
fn a_failed_patch_leaves_nothing_half_done() {
    let object = json!({"a": 1});
    let patch = json!([{"op": "replace", "path": "/a", "value": 2}, {"op": "test", "path": "/a", "value": 1}]);
    assert!(json(&object, &patch).is_err());
    assert_eq!(object, json!({"a": 1}));
}

#[test]
fn a_merge_patch_removes_with_null_and_replaces_lists() {
    let merged = merge(
        &json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}),
        &json!({"a": {"b": null, "d": null}, "l": [3], "n": {"m": null}}),
    );
    assert_eq!(merged.unwrap(), json!({"a": {"c": 2}, "l": [3], "n": {}}));
}

#[test]
fn an_own_kind_has_no_strategic_merge_patch() {
    let refusal = strategic(&kind("CloneRun"), &json!({}), &json!({})).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.reason),
        (415, "UnsupportedMediaType")
    );
    assert!(refusal.message.ends_with(
        "accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    ));
}
