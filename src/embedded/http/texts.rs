//! Refusals that come before the registry is asked, word for word those of the real server.

use serde_json::json;

use crate::embedded::refusal::{Cause, Refusal};

/// 401.
pub fn unauthorized() -> Refusal {
    Refusal::new(401, "Unauthorized", "Unauthorized")
}

/// 404 for a path below a group that Kubernetes has built in.
pub fn no_such_resource() -> Refusal {
    let message = "the server could not find the requested resource";
    with_details(404, "NotFound", message)
}

/// 405.
pub fn method_not_allowed() -> Refusal {
    let message = "the server does not allow this method on the requested resource";
    with_details(405, "MethodNotAllowed", message)
}

/// 400.
pub fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "BadRequest", message)
}

/// 406 for a form that an answer does not have.
pub fn not_acceptable(message: impl Into<String>) -> Refusal {
    Refusal::new(406, "NotAcceptable", message)
}

/// 413. `limit` in bytes.
pub fn too_large(limit: usize) -> Refusal {
    let message = format!("Request entity too large: limit is {limit}");
    Refusal::new(413, "RequestEntityTooLarge", message)
}

/// 415 for a body; `accepted` are the media types that would do.
pub fn unsupported_media_type(accepted: &[&str]) -> Refusal {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        accepted.join(", ")
    );
    Refusal::new(415, "UnsupportedMediaType", message)
}

/// 415 for a patch in a form that no kind takes.
pub fn unknown_patch() -> Refusal {
    with_details(415, "UnsupportedMediaType", "415: Unsupported Media Type")
}

/// 429; the client tries again after a second.
pub fn too_many_requests() -> Refusal {
    let message = "Too many requests, please try again later.";
    let mut refusal = Refusal::new(429, "TooManyRequests", message);
    refusal.details = json!({"retryAfterSeconds": 1});
    refusal
}

/// 500 for something that is wrong here, not in the request.
pub fn internal(why: &str) -> Refusal {
    let message = format!("Internal error occurred: {why}");
    Refusal::new(500, "InternalError", message)
}

/// 422 for query parameters or a body of options; `of` is like `CreateOptions`.
pub fn invalid_options(of: &str, causes: Vec<Cause>) -> Refusal {
    let texts: Vec<String> = causes
        .iter()
        .map(|c| format!("{}: {}", c.field, c.message))
        .collect();
    let joined = match texts.as_slice() {
        [one] => one.clone(),
        more => format!("[{}]", more.join(", ")),
    };
    let message = format!("{of}.meta.k8s.io \"\" is invalid: {joined}");
    let mut refusal = Refusal::new(422, "Invalid", message);
    refusal.details = json!({"group": "meta.k8s.io", "kind": of});
    refusal.causes = causes;
    refusal
}

fn with_details(code: u16, reason: &'static str, message: &str) -> Refusal {
    let mut refusal = Refusal::new(code, reason, message);
    refusal.details = json!({});
    refusal
}
