//! Server-side apply, and who owns which fields after any write (`kubernetes-api.md` § 4 row 13).
//!
//! An apply says what its manager wants of an object. What another one owns with another value is a conflict; what the manager
//! applied before, does not apply now and nobody else owns is removed. Every other write takes the fields that it changes. The
//! rules are those of the real server, field by field; the tests replay what it answered.

mod check;
mod compare;
mod fields;
mod last_applied;
mod merge;
mod owners;
mod ownership;
mod step;
#[cfg(test)]
pub(in crate::embedded) mod tests;
mod types;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

pub(in crate::embedded) use self::check::go;
use self::check::{Duplicates, problems};
use self::owners::{Operation, Owners};
use self::ownership::{Conflict, Failure, Ownership, owner};
use super::kind::Kind;
use super::refusal::{Cause, Refusal};

/// Owner of everything that was there before the first apply, where nobody is known to own anything.
const BEFORE: &str = "before-first-apply";

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub struct Manager<'a> {
    /// Like `kubectl-edit`; empty is `unknown`.
    pub name: &'a str,
    /// `status` when that is written; `finalize` of a namespace.
    pub subresource: Option<&'a str>,
    /// Of the request, like `ibmiclone.dev/v1alpha1`.
    pub api_version: &'a str,
    /// When.
    pub now: DateTime<Utc>,
}

/// The stored object, or none, with an applied one laid over it. Its managed fields are set; defaults, pruning and what the
/// resource does not change (status, or everything but it) are the caller's.
///
/// # Errors
/// 409 with one cause for each field that another manager owns with another value, unless forced; 400 for another kind and for
/// managed fields in what is applied; 500, as the real server, for what does not fit the schema and for lists with duplicates.
pub fn apply(
    kind: &Kind,
    live: Option<&Value>,
    config: &Value,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, Refusal> {
    same_kind(kind, config)?;
    let rules = Ownership::of(kind, manager.subresource);
    let mut owners = decoded(live)
        .map_err(|why| Refusal::new(500, "", format!("failed to decode managed fields: {why}")))?;
    let before = live.map_or_else(|| empty(kind), without_owners);
    if owners.is_empty() && live.is_some() {
        let me = owner(
            BEFORE,
            Operation::Update,
            manager.api_version,
            manager.subresource,
        );
        owners = rules.update(&empty(kind), &before, owners, me, manager.now);
    }
    if field(config, "managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(bad_request("metadata.managedFields must be nil".to_owned()));
    }
    let me = owner(manager.name, Operation::Apply, "", manager.subresource);
    let done = apply_or_migrate(&rules, &before, config, owners, &me, force);
    let (new, mut owners) = done.map_err(|failure| refusal(kind, config, failure))?;
    if new.is_some()
        && let Some(mine) = owners.get_mut(&me)
    {
        mine.time = Some(manager.now);
    }
    let mut object = new.unwrap_or(before);
    if me.manager == last_applied::KUBECTL {
        last_applied::renew(&mut object, config);
    }
    set_owners(&mut object, &owners);
    if let Some(live) = live {
        keep_times(kind, live, &mut object);
    }
    Ok(object)
}

/// Sets the managed fields of an object that was written in any other way: replaced, patched, created. What was changed
/// belongs to the manager now. An object that nobody owns stays so, unless it is created.
///
/// The managed fields that are in `new` are taken over, as kubectl rewrites them; `[]` and `[{}]` clear them. To be called
/// after defaults and pruning, with what the caller will store.
///
/// # Errors
/// None at present: what cannot be divided into fields loses its managed fields, and fails validation later.
pub fn track(
    kind: &Kind,
    live: Option<&Value>,
    new: &mut Value,
    manager: &Manager<'_>,
) -> Result<(), Refusal> {
    let owners = match (manager.subresource, field(new, "managedFields")) {
        (Some(_), _) => decoded(live).unwrap_or_default(),
        (None, Some(given)) if clears(given) => Owners::new(),
        (None, given) => match owners::decode(given) {
            Ok(owners) if !owners.is_empty() => owners,
            Ok(_) | Err(_) => decoded(live).unwrap_or_default(),
        },
    };
    set_owners(new, &Owners::new());
    let rules = Ownership::of(kind, manager.subresource);
    let divisible = |object: &Value| problems(rules.of, object, Duplicates::Allowed).is_empty();
    let mut before = live.map_or_else(|| empty(kind), without_owners);
    add_parts(kind, &mut before);
    let nobody = owners.is_empty() && live.is_some();
    if nobody || !divisible(new) || !divisible(&before) {
        return Ok(());
    }
    let (version, subresource) = (manager.api_version, manager.subresource);
    let me = owner(manager.name, Operation::Update, version, subresource);
    let owners = rules.update(&before, new, owners, me, manager.now);
    set_owners(new, &owners);
    if let Some(live) = live {
        keep_times(kind, live, new);
    }
    Ok(())
}

fn apply_or_migrate(
    rules: &Ownership<'_>,
    live: &Value,
    config: &Value,
    owners: Owners,
    me: &owners::Owner,
    force: bool,
) -> Result<(Option<Value>, Owners), Failure> {
    let problems = problems(rules.of, config, Duplicates::Refused);
    if !problems.is_empty() {
        return Err(Failure::Malformed(problems));
    }
    match rules.apply(live, config, owners.clone(), me, force) {
        Err(Failure::Conflicts(conflicts)) if me.manager == last_applied::KUBECTL => {
            let Some(allowed) = last_applied::still_applied(rules, live) else {
                return Err(Failure::Conflicts(conflicts));
            };
            let left: Vec<Conflict> = conflicts
                .into_iter()
                .filter(|conflict| !allowed.has_path(&conflict.path))
                .collect();
            if !left.is_empty() {
                return Err(Failure::Conflicts(left));
            }
            rules.apply(live, config, owners, me, true)
        }
        done => done,
    }
}

fn same_kind(kind: &Kind, config: &Value) -> Result<(), Refusal> {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, name) = (text("apiVersion"), text("kind"));
    if version == kind.api_version() && name == kind.kind {
        return Ok(());
    }
    let shown = group_version(version);
    Err(bad_request(format!(
        "invalid object type: {shown}, Kind={name}"
    )))
}

/// As Go prints it: the core group has an empty name.
fn group_version(version: &str) -> String {
    if version.contains('/') {
        version.to_owned()
    } else {
        format!("/{version}")
    }
}

fn bad_request(message: String) -> Refusal {
    Refusal::new(400, "BadRequest", message)
}

fn refusal(kind: &Kind, config: &Value, failure: Failure) -> Refusal {
    match failure {
        Failure::Conflicts(conflicts) => conflict(&conflicts),
        Failure::Unmergeable(why) => {
            Refusal::new(500, "", format!("failed to merge config: {why}"))
        }
        Failure::Malformed(problems) => {
            let text = |name| {
                field(config, name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            };
            let (namespace, name) = (text("namespace"), text("name"));
            let (version, kind) = (group_version(&kind.api_version()), &kind.kind);
            let why = check::text(&problems);
            let message = format!(
                "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {why}"
            );
            Refusal::new(500, "", message)
        }
    }
}

fn conflict(conflicts: &[Conflict]) -> Refusal {
    let path = |conflict: &Conflict| step::text(&conflict.path);
    let message = match conflicts {
        [one] => format!(
            "1 conflict: conflict with {}: {}",
            one.owner.text(),
            path(one)
        ),
        many => {
            let mut lines: Vec<String> = Vec::new();
            for of_one in many.chunk_by(|a, b| a.owner == b.owner) {
                lines.extend(
                    of_one
                        .first()
                        .map(|c| format!("conflicts with {}:", c.owner.text())),
                );
                lines.extend(of_one.iter().map(|c| format!("- {}", path(c))));
            }
            format!("{} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let causes = conflicts.iter().map(|conflict| Cause {
        field: path(conflict),
        reason: "FieldManagerConflict",
        message: format!("conflict with {}", conflict.owner.text()),
    });
    Refusal {
        causes: causes.collect(),
        ..Refusal::new(409, "Conflict", format!("Apply failed with {message}"))
    }
}

fn empty(kind: &Kind) -> Value {
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.kind});
    add_parts(kind, &mut object);
    object
}

/// Parts that the real server's objects of this kind always have: who fills one does not become the owner of the part itself.
fn add_parts(kind: &Kind, object: &mut Value) {
    let parts: &[(&str, Value)] = match (kind.group.as_str(), kind.kind.as_str()) {
        // The finalizer is the server's own.
        ("", "Namespace") => &[
            ("spec", json!({"finalizers": ["kubernetes"]})),
            ("status", json!({})),
        ],
        ("", "Event") => &[("involvedObject", json!({})), ("source", json!({}))],
        ("events.k8s.io", "Event") => &[("regarding", json!({})), ("deprecatedSource", json!({}))],
        ("coordination.k8s.io", "Lease") => &[("spec", json!({}))],
        _ => &[],
    };
    if let Some(object) = object.as_object_mut() {
        for (part, filled) in parts {
            object.entry(*part).or_insert_with(|| filled.clone());
        }
    }
}

fn field<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(name)
}

fn decoded(live: Option<&Value>) -> Result<Owners, String> {
    owners::decode(live.and_then(|live| field(live, "managedFields")))
}

/// `[]` and `[{}]`.
fn clears(given: &Value) -> bool {
    given
        .as_array()
        .is_some_and(|entries| entries.iter().all(|entry| entry == &json!({})) && entries.len() < 2)
}

fn without_owners(object: &Value) -> Value {
    let mut object = object.clone();
    set_owners(&mut object, &Owners::new());
    object
}

fn set_owners(object: &mut Value, owners: &Owners) {
    match (owners::encode(owners), object.get_mut("metadata")) {
        (Some(entries), Some(Value::Object(metadata))) => {
            metadata.insert("managedFields".to_owned(), entries);
        }
        (Some(entries), _) => {
            if let Some(object) = object.as_object_mut() {
                object.insert("metadata".to_owned(), json!({"managedFields": entries}));
            }
        }
        (None, Some(Value::Object(metadata))) => {
            metadata.remove("managedFields");
        }
        (None, _) => {}
    }
}

/// A write that changes nothing but times changes nothing: it gets the stored times back, so that nothing is written.
fn keep_times(kind: &Kind, live: &Value, new: &mut Value) {
    let timeless = |object: &Value| {
        let entries = field(object, "managedFields").and_then(Value::as_array);
        let mut entries = entries.cloned().unwrap_or_default();
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        entries
    };
    let bare = |object: &Value| {
        let mut object = without_owners(object);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        if !kind.custom {
            drop_empty(&mut object);
        }
        object
    };
    if timeless(live) == timeless(new)
        && bare(live) == bare(new)
        && let Some(times) = field(live, "managedFields").cloned()
        && let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("managedFields".to_owned(), times);
    }
}

/// In a built-in kind, nothing and an empty map or list are the same.
fn drop_empty(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.values_mut().for_each(drop_empty);
        fields.retain(|_, value| match value {
            Value::Null => false,
            Value::Object(fields) => !fields.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        });
    }
}
