//! From the body of a request to an object of its kind: what it says it is, whether it can be read, what the schema does not know.

use serde_json::{Value, json};

use super::family::Family;
use super::request::{Target, Validation, WriteOptions};
use super::served::Served;
use super::{Registry, meta, refusals};
use crate::embedded::kinds;
use crate::embedded::refusal::Refusal;

/// The body of a create or a replace.
pub fn body(
    registry: &Registry,
    served: &Served,
    mut body: Value,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<Value, Refusal> {
    is_of_kind(registry, served, &mut body, options, warnings)?;
    fill_metadata(&mut body);
    served.structural.readable(&body)?;
    let unknown = unknown(served, &body, options.validation);
    if !unknown.is_empty() && options.validation == Validation::Strict {
        let why = format!("strict decoding error: {}", unknown.join(", "));
        return Err(unreadable(served, &served.kind.version, &why));
    }
    notice(served, unknown, options, warnings);
    settle(served, &mut body);
    Ok(body)
}

/// How the real server gets at the fields of what a patch has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// From JSON, as a body.
    Parsed,
    /// Value by value, after a strategic merge patch.
    Converted,
}

fn read(served: &Served, object: &Value, reading: Reading) -> Result<(), String> {
    match reading {
        Reading::Converted => served.structural.convertible(object),
        Reading::Parsed => served.structural.parsable(object),
    }
}

/// What a patch made of an object. `shown` tells the patched object to the client when it is no good.
pub fn patched(
    served: &Served,
    mut object: Value,
    reading: Reading,
    options: &WriteOptions,
    shown: impl Fn(&Value) -> String,
    warnings: &mut Vec<String>,
) -> Result<Value, Refusal> {
    fill_metadata(&mut object);
    if served.family != Family::Custom {
        let (version, kind) = (own(&object, "apiVersion"), own(&object, "kind"));
        if version != served.kind.api_version() || kind != served.kind.kind {
            return Err(refusals::bad_patch(
                &shown(&object),
                &not_registered(&version, &kind),
            ));
        }
    }
    if let Err(why) = read(served, &object, reading) {
        return Err(refusals::bad_patch(&shown(&object), &why));
    }
    let unknown = unknown(served, &object, options.validation);
    if !unknown.is_empty() && options.validation == Validation::Strict {
        let why = format!("strict decoding error: {}", unknown.join(", "));
        return Err(refusals::bad_patch(&shown(&object), &why));
    }
    notice(served, unknown, options, warnings);
    settle(served, &mut object);
    Ok(object)
}

/// Drops what the schema does not know, fills in what it says, and what reading the kind does beside that.
pub fn settle(served: &Served, object: &mut Value) {
    served.structural.prune(object);
    served.structural.default(object);
    fill_metadata(object);
    // Events get their fields when they are stored: nobody is to own those that say nothing.
    if served.family != Family::Event {
        kinds::complete(&served.kind, object);
    }
}

fn fill_metadata(object: &mut Value) {
    if object.is_object() && object.get("metadata").is_none_or(Value::is_null) {
        object["metadata"] = json!({});
    }
}

/// Warns of what was odd. Of a kind that is built in, a field that is not known at all is not told as written twice too.
fn notice(
    served: &Served,
    unknown: Vec<String>,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) {
    if options.validation != Validation::Warn {
        return;
    }
    let known = |text: &&String| {
        let as_unknown = text.replacen("duplicate field", "unknown field", 1);
        served.kind.custom || !unknown.contains(&as_unknown)
    };
    warnings.extend(options.noticed.iter().filter(known).cloned());
    warnings.extend(unknown);
}

fn unknown(served: &Served, object: &Value, validation: Validation) -> Vec<String> {
    match validation {
        Validation::Strict | Validation::Warn => served.structural.unknown_fields(object),
        Validation::Ignore => Vec::new(),
    }
}

/// Puts the object into the namespace of the request.
pub fn place(target: &Target<'_>, object: &mut Value) -> Result<(), Refusal> {
    if !target.kind.namespaced {
        meta::remove(object, "namespace");
        return Ok(());
    }
    let Some(namespace) = target.namespace else {
        return Err(refusals::method_not_allowed());
    };
    match meta::text(object, "namespace") {
        "" => meta::set(object, "namespace", namespace.into()),
        same if same == namespace => {}
        _ => {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(refusals::bad_request(why));
        }
    }
    Ok(())
}

/// The object has the name of the request.
pub fn same_name(object: &Value, name: &str) -> Result<(), Refusal> {
    match meta::text(object, "name") {
        "" => Err(refusals::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))),
        same if same == name => Ok(()),
        other => Err(refusals::bad_request(format!(
            "the name of the object ({other}) does not match the name on the URL ({name})"
        ))),
    }
}

fn is_of_kind(
    registry: &Registry,
    served: &Served,
    body: &mut Value,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    let wanted = (served.kind.api_version(), served.kind.kind.clone());
    if !body.is_object() {
        let why = "couldn't get version/kind; json parse error: the body is no JSON object";
        return Err(unrecognized(served, why));
    }
    if served.family == Family::Custom {
        if own(body, "kind").is_empty() {
            let why = format!("Object 'Kind' is missing in '{body}' ({body})");
            return Err(unrecognized(served, &why));
        }
        let version = own(body, "apiVersion");
        if version != wanted.0 {
            of_another_version(served, &version, body, options, warnings)?;
            return Err(refusals::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({})",
                wanted.0
            )));
        }
        return Ok(());
    }
    for (field, value) in [("apiVersion", &wanted.0), ("kind", &wanted.1)] {
        if own(body, field).is_empty() {
            body[field] = value.clone().into();
        }
    }
    let found = (own(body, "apiVersion"), own(body, "kind"));
    if found == wanted {
        return Ok(());
    }
    let (version, kind) = &found;
    let mut kinds = registry.kinds().iter();
    let short = version.rsplit('/').next().unwrap_or_default();
    let why = if kinds.any(|k| k.kind == *kind && k.api_version() == *version) {
        format!(
            "converting ({short}.{kind}) to (core.{}): unknown conversion",
            served.kind.kind
        )
    } else {
        not_registered(version, kind)
    };
    Err(refusals::bad_request(format!(
        "{kind} in version \"{short}\" cannot be handled as a {}: {why}",
        served.kind.kind
    )))
}

fn not_registered(version: &str, kind: &str) -> String {
    format!(
        "no kind \"{kind}\" is registered for version \"{version}\" in scheme \"pkg/runtime/scheme.go:111\""
    )
}

fn unrecognized(served: &Served, why: &str) -> Refusal {
    let kind = &served.kind.kind;
    refusals::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why}"
    ))
}

/// Of a version that nobody knows, only the metadata is known: everything else is an unknown field of it.
fn of_another_version(
    served: &Served,
    version: &str,
    body: &Value,
    options: &WriteOptions,
    warnings: &mut Vec<String>,
) -> Result<(), Refusal> {
    if version.is_empty() || options.validation == Validation::Ignore {
        return Ok(());
    }
    let unknown = served.structural.unknown_beside_metadata(body);
    if !unknown.is_empty() && options.validation == Validation::Strict {
        let why = format!("strict decoding error: {}", unknown.join(", "));
        let short = version.rsplit('/').next().unwrap_or_default();
        return Err(unreadable(served, short, &why));
    }
    notice(served, unknown, options, warnings);
    Ok(())
}

fn unreadable(served: &Served, version: &str, why: &str) -> Refusal {
    let kind = &served.kind.kind;
    refusals::bad_request(format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
    ))
}

fn own(object: &Value, field: &str) -> String {
    object
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
