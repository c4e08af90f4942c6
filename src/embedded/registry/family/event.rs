//! Events are stored as the core group has them; the group `events.k8s.io` calls the same fields by other names
//! (`kubernetes-api.md` § 4 row 18).

use serde_json::{Map, Value, json};

/// Names of the core group and of `events.k8s.io`.
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// From `events.k8s.io` to the core group.
pub fn to_core(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (core, other) in NAMES {
        rename(fields, other, core);
    }
    fields.insert("apiVersion".to_owned(), "v1".into());
    settle_core(object);
}

/// From the core group to `events.k8s.io`. Unlike there, these fields are written when they are empty: deprecatedSource, its two
/// times, eventTime.
pub fn from_core(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (core, other) in NAMES {
        rename(fields, core, other);
    }
    for field in ["regarding", "reportingController", "reportingInstance"] {
        if fields
            .get(field)
            .is_some_and(|v| *v == json!({}) || *v == json!(""))
        {
            fields.remove(field);
        }
    }
}

/// What Go writes of an event: some fields always, the others only with a value.
pub fn settle_core(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for field in [
        "reason", "message", "type", "action", "count", "series", "related",
    ] {
        let empty = fields
            .get(field)
            .is_some_and(|v| v.is_null() || *v == json!("") || *v == json!(0));
        if empty {
            fields.remove(field);
        }
    }
    for field in ["involvedObject", "source"] {
        if fields.get(field).is_none_or(Value::is_null) {
            fields.insert(field.to_owned(), json!({}));
        }
    }
    for field in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        fields.entry(field).or_insert(Value::Null);
    }
    for field in ["reportingComponent", "reportingInstance"] {
        if fields.get(field).is_none_or(Value::is_null) {
            fields.insert(field.to_owned(), "".into());
        }
    }
}

fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}
