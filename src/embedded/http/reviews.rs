//! Reviews: a question is posted and comes back with its answer; nothing is stored. Whoever has the token may do everything.

use axum::body::Body;
use axum::http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::query::{Write, cause};
use super::service::{Asked, Service};
use super::{answer, body, negotiate, texts};
use crate::embedded::refusal::Refusal;

/// Name of whoever has the token.
const USER: &str = "ibmi-clone";

/// A review that is answered.
struct Review {
    group: &'static str,
    kind: &'static str,
}

fn review(plural: &str) -> Option<Review> {
    let (group, kind) = match plural {
        "selfsubjectaccessreviews" => ("authorization.k8s.io", "SelfSubjectAccessReview"),
        "selfsubjectrulesreviews" => ("authorization.k8s.io", "SelfSubjectRulesReview"),
        "selfsubjectreviews" => ("authentication.k8s.io", "SelfSubjectReview"),
        _ => return None,
    };
    Some(Review { group, kind })
}

/// The kind of a review, for discovery and OpenAPI.
pub fn kind(plural: &str) -> &'static str {
    review(plural).map_or("", |r| r.kind)
}

/// Answers a review.
///
/// # Errors
/// 405 for anything but POST; 400, 415 and 422 for what is wrong with the question.
pub async fn answer(
    service: &Service,
    plural: &str,
    asked: Asked,
) -> Result<Response<Body>, Refusal> {
    if asked.method != Method::POST {
        return Err(texts::method_not_allowed());
    }
    let review = review(plural).ok_or_else(texts::no_such_resource)?;
    let wanted = negotiate::objects(&asked.headers, asked.query.get("pretty"), true)?;
    asked.query.write(Write::Create, &asked.headers)?;
    let bytes = body::read(asked.body, service.limits()).await?;
    let expected = body::Expected {
        group: review.group,
        kind: review.kind,
        custom: false,
    };
    let mut object = body::object(&bytes, &asked.headers, expected)?.value;
    is_review(&object, &review)?;
    let spec = object.get("spec").cloned().unwrap_or_default();
    object["status"] = match review.kind {
        "SelfSubjectAccessReview" => access(&spec)?,
        "SelfSubjectRulesReview" => rules(&spec)?,
        _ => json!({"userInfo": {"username": USER, "groups": ["system:authenticated"]}}),
    };
    object["kind"] = json!(review.kind);
    object["apiVersion"] = json!(format!("{}/v1", review.group));
    if object.get("metadata").is_none_or(Value::is_null) {
        object["metadata"] = json!({});
    }
    Ok(answer::object(StatusCode::CREATED, &object, wanted.format))
}

/// The question may leave out what it is, but not say that it is something else.
fn is_review(object: &Value, review: &Review) -> Result<(), Refusal> {
    let text = |field| {
        object
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let version = format!("{}/v1", review.group);
    let (found, of) = (text("kind"), text("apiVersion"));
    if (found.is_empty() || found == review.kind) && (of.is_empty() || of == version) {
        return Ok(());
    }
    let of = if of.is_empty() { &version } else { of };
    let short = of.rsplit('/').next().unwrap_or_default();
    Err(texts::bad_request(format!(
        "{found} in version \"{short}\" cannot be handled as a {}: no kind \"{found}\" is registered for version \"{of}\" in scheme \"pkg/runtime/scheme.go:111\"",
        review.kind
    )))
}

fn access(spec: &Value) -> Result<Value, Refusal> {
    let has = |field| spec.get(field).is_some_and(Value::is_object);
    if has("resourceAttributes") == has("nonResourceAttributes") {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let message = format!("Invalid value: null: {why}");
        let cause = cause("spec.resourceAttributes", "FieldValueInvalid", message);
        let text = format!(
            ".authorization.k8s.io \"\" is invalid: {}: {}",
            cause.field, cause.message
        );
        let mut refusal = Refusal::new(422, "Invalid", text);
        refusal.details = json!({"group": "authorization.k8s.io"});
        refusal.causes = vec![cause];
        return Err(refusal);
    }
    Ok(json!({"allowed": true}))
}

fn rules(spec: &Value) -> Result<Value, Refusal> {
    let namespace = spec
        .get("namespace")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if namespace.is_empty() {
        return Err(texts::bad_request("no namespace on request"));
    }
    Ok(json!({
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    }))
}
