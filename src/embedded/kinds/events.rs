//! Events of `events.k8s.io`. The real server names their fields as the older kind does where it checks them in common.

use crate::embedded::refusal::Cause;
use crate::embedded::schema::{invalid_shown, invalid_text, names, required, shown};
use serde_json::{Map, Value};

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// Checks an event of the core group; only one with `eventTime` is looked at closely.
pub fn check_core(object: &Value, causes: &mut Vec<Cause>) {
    in_common(object, &CORE, causes);
}

/// Checks a new or changed event.
pub fn check(object: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let say = |causes: &mut Vec<Cause>, field: &str, words: &str| {
        causes.push(invalid_text(field.to_owned(), "", words));
    };
    if let Some(old) = old {
        unchanged(object, old, causes);
        return;
    }
    in_common(object, &NEWER, causes);
    series(&object["series"], causes);
    if text(object, "eventTime").is_empty() {
        causes.push(required("eventTime".to_owned(), ""));
    }
    let type_ = text(object, "type");
    if !["Normal", "Warning"].contains(&type_) {
        say(causes, "type", &format!("has invalid value: {type_}"));
    }
    for (field, named) in [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("deprecatedSource", "source"),
    ] {
        if !is_nothing(&object[field]) {
            say(causes, named, "needs to be unset");
        }
    }
}

/// What fields are called in a group, as far as both are checked in common.
struct Names {
    about: &'static str,
    controller: &'static str,
    message: &'static str,
}

const CORE: Names = Names {
    about: "involvedObject",
    controller: "reportingComponent",
    message: "message",
};
const NEWER: Names = Names {
    about: "regarding",
    controller: "reportingController",
    message: "note",
};

fn in_common(object: &Value, names: &Names, causes: &mut Vec<Cause>) {
    let has_time = !text(object, "eventTime").is_empty();
    let about = text(&object[names.about], "namespace");
    let here = text(&object["metadata"], "namespace");
    let fits = match (has_time, about) {
        // What belongs to no namespace is told in these.
        (true, "") => ["default", "kube-system"].contains(&here),
        (true, _) => true,
        (false, "") => ["", "default"].contains(&here),
        (false, namespace) => namespace == here,
    };
    if !fits {
        let field = "involvedObject.namespace".to_owned();
        causes.push(invalid_text(field, about, "does not match event.namespace"));
    }
    if !has_time {
        return;
    }
    reporter(object, names.controller, causes);
    if text(object, names.message).len() > 1024 {
        let words = "can have at most 1024 characters";
        causes.push(invalid_text("message".to_owned(), "", words));
    }
}

fn series(series: &Value, causes: &mut Vec<Cause>) {
    if !series.is_object() {
        return;
    }
    if series["count"].as_i64().unwrap_or_default() < 2 {
        let field = "series.count".to_owned();
        causes.push(invalid_text(field, "", "should be at least 2"));
    }
    if text(series, "lastObservedTime").is_empty() {
        causes.push(required("series.lastObservedTime".to_owned(), ""));
    }
}

/// Who says it, what was done, and why.
fn reporter(object: &Value, controller: &str, causes: &mut Vec<Cause>) {
    let name = text(object, controller);
    if name.is_empty() {
        causes.push(required(controller.to_owned(), ""));
    }
    for wrong in names::qualified(name) {
        causes.push(invalid_text(controller.to_owned(), name, &wrong));
    }
    for field in ["reportingInstance", "action", "reason"] {
        let text = text(object, field);
        if text.is_empty() {
            causes.push(required(field.to_owned(), ""));
        }
        if text.len() > 128 {
            let words = "can have at most 128 characters";
            causes.push(invalid_text(field.to_owned(), "", words));
        }
    }
}

/// Only the series of an event, and its metadata, may change.
fn unchanged(object: &Value, old: &Value, causes: &mut Vec<Cause>) {
    for (field, named) in [
        ("regarding", "involvedObject"),
        ("reason", "reason"),
        ("note", "message"),
        // The real server says it twice.
        ("reason", "reason"),
        ("deprecatedSource", "source"),
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ] {
        let (new, old) = (&object[field], &old[field]);
        if new == old || is_nothing(new) && is_nothing(old) {
            continue;
        }
        let text = match new {
            Value::Object(reference) => reference_shown(reference),
            Value::Null => shown(&Value::from("")),
            other => shown(other),
        };
        causes.push(invalid_shown(named.to_owned(), &text, "field is immutable"));
    }
}

/// Not there, null and empty are the same.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(_) | Value::Array(_) => false,
    }
}

/// A reference with the names of the server's own struct.
fn reference_shown(reference: &Map<String, Value>) -> String {
    let fields = [
        ("Kind", "kind"),
        ("Namespace", "namespace"),
        ("Name", "name"),
        ("UID", "uid"),
        ("APIVersion", "apiVersion"),
        ("ResourceVersion", "resourceVersion"),
        ("FieldPath", "fieldPath"),
    ];
    let part = |(go, json): &(&str, &str)| {
        let text = reference.get(*json).and_then(Value::as_str);
        format!("\"{go}\":{}", Value::from(text.unwrap_or_default()))
    };
    let parts: Vec<String> = fields.iter().map(part).collect();
    format!("{{{}}}", parts.join(","))
}
