//! The texts of what is refused, word for word those of the real server: kubectl prints them, people search for them.

use serde_json::{Value, json};

use crate::embedded::kind::Kind;
use crate::embedded::refusal::{Cause, Refusal};
use crate::embedded::store::{Key, StoreError};

/// 404 for a path that nothing is served at.
pub fn no_such_resource() -> Refusal {
    let mut refusal = Refusal::new(
        404,
        "NotFound",
        "the server could not find the requested resource",
    );
    refusal.details = json!({});
    refusal
}

/// 404 for an object.
pub fn not_found(kind: &Kind, name: &str) -> Refusal {
    let mut refusal = Refusal::new(
        404,
        "NotFound",
        format!("{} \"{name}\" not found", resource(kind)),
    );
    refusal.details = details(kind, &kind.plural, name);
    refusal
}

/// 404 for the namespace of something new.
pub fn namespace_not_found(name: &str) -> Refusal {
    let mut refusal = Refusal::new(404, "NotFound", format!("namespaces \"{name}\" not found"));
    refusal.details = json!({"name": name, "kind": "namespaces"});
    refusal
}

/// 403 for something new in a namespace that ends.
pub fn namespace_terminating(kind: &Kind, name: &str, namespace: &str) -> Refusal {
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let mut refusal = forbidden(kind, name, &why);
    refusal.causes = vec![Cause {
        field: "metadata.namespace".to_owned(),
        reason: "NamespaceTerminating",
        message: format!("namespace {namespace} is being terminated"),
    }];
    refusal
}

/// 403.
pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Refusal {
    let message = format!("{} \"{name}\" is forbidden: {why}", resource(kind));
    let mut refusal = Refusal::new(403, "Forbidden", message);
    refusal.details = details(kind, &kind.plural, name);
    refusal
}

/// 409 for something new that is there.
pub fn already_exists(kind: &Kind, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" already exists", resource(kind));
    let mut refusal = Refusal::new(409, "AlreadyExists", message);
    refusal.details = details(kind, &kind.plural, name);
    refusal
}

/// 409 for a change that is not based on the newest state.
pub fn modified(kind: &Kind, name: &str) -> Refusal {
    let why = "the object has been modified; please apply your changes to the latest version and try again";
    conflict(kind, name, why)
}

/// 409, named by its resource.
pub fn conflict(kind: &Kind, name: &str, why: &str) -> Refusal {
    let message = format!(
        "Operation cannot be fulfilled on {} \"{name}\": {why}",
        resource(kind)
    );
    let mut refusal = Refusal::new(409, "Conflict", message);
    refusal.details = details(kind, &kind.plural, name);
    refusal
}

/// 409 for a precondition of a deletion: named by its kind.
pub fn precondition(kind: &Kind, name: &str, why: &str) -> Refusal {
    let message = format!(
        "Operation cannot be fulfilled on {} \"{name}\": {why}",
        qualified(kind)
    );
    let mut refusal = Refusal::new(409, "Conflict", message);
    refusal.details = details(kind, &kind.kind, name);
    refusal
}

/// 409 for a change that is meant for an object of the same name that is gone.
pub fn other_uid(kind: &Kind, key: &Key, asked: &str, found: &str) -> Refusal {
    let place = [group(kind), &kind.plural, &key.namespace, &key.name];
    let place: Vec<&str> = place.into_iter().filter(|p| !p.is_empty()).collect();
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         UID in precondition: {asked}, UID in object meta: {found}",
        place.join("/")
    );
    conflict(kind, &key.name, &why)
}

/// 422 for an object. A cause that is named twice is printed once.
pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Refusal {
    let message = format!(
        "{} \"{name}\" is invalid: {}",
        qualified(kind),
        joined(&causes)
    );
    let mut refusal = Refusal::new(422, "Invalid", message);
    refusal.details = details(kind, &kind.kind, name);
    refusal.causes = causes;
    refusal
}

/// 422 for an update without the revision that these kinds want.
pub fn no_resource_version(kind: &Kind, name: &str) -> Refusal {
    let cause = Cause {
        field: "metadata.resourceVersion".to_owned(),
        reason: "FieldValueInvalid",
        message: "Invalid value: 0: must be specified for an update".to_owned(),
    };
    let message = format!(
        "{} \"{name}\" is invalid: metadata.resourceVersion: {}",
        resource(kind),
        cause.message
    );
    let mut refusal = Refusal::new(422, "Invalid", message);
    refusal.details = details(kind, &kind.plural, name);
    refusal.causes = vec![cause];
    refusal
}

/// 422 for a patch whose outcome is no object of its kind; `shown` is that outcome.
pub fn bad_patch(shown: &str, why: &str) -> Refusal {
    let cause = Cause {
        field: "patch".to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {}: {why}", Value::from(shown)),
    };
    let mut refusal = Refusal::new(
        422,
        "Invalid",
        format!(" \"\" is invalid: patch: {}", cause.message),
    );
    refusal.details = json!({});
    refusal.causes = vec![cause];
    refusal
}

/// 422 for parameters of a request.
pub fn options(of: &str, causes: Vec<Cause>) -> Refusal {
    let message = format!("{of}.meta.k8s.io \"\" is invalid: {}", joined(&causes));
    let mut refusal = Refusal::new(422, "Invalid", message);
    refusal.details = json!({"group": "meta.k8s.io", "kind": of});
    refusal.causes = causes;
    refusal
}

/// 400.
pub fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "BadRequest", message)
}

/// 405.
pub fn method_not_allowed() -> Refusal {
    let message = "the server does not allow this method on the requested resource";
    let mut refusal = Refusal::new(405, "MethodNotAllowed", message);
    refusal.details = json!({});
    refusal
}

/// 500, as the real server answers what its storage layer cannot parse; without a reason.
pub fn internal(message: impl Into<String>) -> Refusal {
    Refusal::new(500, "", message)
}

/// 504 for a revision that is yet to come.
pub fn too_large(asked: u64, newest: u64) -> Refusal {
    let message = format!("Timeout: Too large resource version: {asked}, current: {newest}");
    let mut refusal = Refusal::new(504, "Timeout", message);
    refusal.details = json!({"retryAfterSeconds": 1});
    refusal.causes = vec![Cause {
        field: String::new(),
        reason: "ResourceVersionTooLarge",
        message: "Too large resource version".to_owned(),
    }];
    refusal
}

/// 410 for a watch from a revision that history no longer reaches.
pub fn too_old(asked: u64, oldest: u64) -> Refusal {
    Refusal::new(
        410,
        "Expired",
        format!("too old resource version: {asked} ({oldest})"),
    )
}

/// 410 for a list as of a revision that history no longer reaches.
pub fn list_too_old() -> Refusal {
    Refusal::new(
        410,
        "Expired",
        "The resourceVersion for the provided list is too old.",
    )
}

/// 410 for the next page of such a list.
pub fn continue_too_old() -> Refusal {
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list \
                   without the continue parameter.";
    Refusal::new(410, "Expired", message)
}

/// What a store answers when nothing of the request explains it.
pub fn store(error: StoreError) -> Refusal {
    if matches!(error, StoreError::Compacted { .. }) {
        return list_too_old();
    }
    if let StoreError::Ahead { newest } = error {
        return too_large(newest.saturating_add(1), newest);
    }
    let message = format!("Internal error occurred: {error}");
    Refusal::new(500, "InternalError", message)
}

/// `CloneRun.ibmiclone.dev`; the kind alone in the core group.
pub fn qualified(kind: &Kind) -> String {
    match group(kind) {
        "" => kind.kind.clone(),
        group => format!("{}.{group}", kind.kind),
    }
}

/// `cloneruns.ibmiclone.dev`; the plural alone in the core group.
fn resource(kind: &Kind) -> String {
    match group(kind) {
        "" => kind.plural.clone(),
        group => format!("{}.{group}", kind.plural),
    }
}

/// Events of both groups are named as those of the core group.
fn group(kind: &Kind) -> &str {
    if kind.group == "events.k8s.io" {
        ""
    } else {
        &kind.group
    }
}

/// `details` of a Status.
pub fn details(kind: &Kind, named: &str, name: &str) -> Value {
    let mut details = json!({"kind": named});
    if !name.is_empty() {
        details["name"] = json!(name);
    }
    if !group(kind).is_empty() {
        details["group"] = json!(kind.group);
    }
    details
}

/// Causes in one text; what is named twice is printed once.
fn joined(causes: &[Cause]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes {
        let text = format!("{}: {}", cause.field, cause.message);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        more => format!("[{}]", more.join(", ")),
    }
}
