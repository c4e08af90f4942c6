//! Bodies of requests: how much of them is read, what they are written in, and the options of a deletion.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use futures::StreamExt;
use serde_json::Value;

use super::decode::{self, Decoded};
use super::limits::Limits;
use super::query::{Query, cause, check_dry_run};
use super::{protobuf, texts};
use crate::embedded::go_json;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::{DeleteOptions, Propagation};

/// How many times the limit is read of a body that is too large.
const DRAINED: usize = 4;
/// How much of a body a message shows.
const SHOWN: usize = 30;
/// What bodies of objects and options may be.
const ACCEPTED: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// What a body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Also when nothing is said.
    Json,
    /// YAML.
    Yaml,
    /// `kubernetes-api.md` § 3.3: some commands send nothing else.
    Protobuf,
}

/// The media type of a body, without parameters.
pub fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let value = value.unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn media(headers: &HeaderMap) -> Result<Media, Refusal> {
    match media_type(headers) {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Media::Protobuf),
        _ => Err(texts::unsupported_media_type(&ACCEPTED)),
    }
}

/// All of a body. What is too much is read too, up to a point: a client that is still sending would not see the answer.
///
/// # Errors
/// 413 when it is too large, 400 when it breaks off, 408 when it takes too long.
pub async fn read(body: Body, limits: &Limits) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(limits.body_time, gather(body, limits.body)).await {
        Ok(result) => result,
        Err(_) => {
            let message = "the body of the request did not come in time";
            Err(Refusal::new(408, "Timeout", message))
        }
    }
}

async fn gather(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut pieces = body.into_data_stream();
    let (mut bytes, mut length) = (Vec::new(), 0usize);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| texts::bad_request("the body of the request broke off"))?;
        length = length.saturating_add(piece.len());
        if length <= limit {
            bytes.extend_from_slice(&piece);
        } else if length > limit.saturating_mul(DRAINED) {
            break;
        }
    }
    if length > limit {
        return Err(texts::too_large(limit));
    }
    Ok(Bytes::from(bytes))
}

/// What a body is to be.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Empty for the core group.
    pub group: &'a str,
    /// Like `ConfigMap`.
    pub kind: &'a str,
    /// Of a definition: has no protobuf, and says what it is.
    pub custom: bool,
}

impl<'a> Expected<'a> {
    /// An object of a kind.
    pub fn of(kind: &'a Kind) -> Self {
        Self {
            group: &kind.group,
            kind: &kind.kind,
            custom: kind.custom,
        }
    }
}

/// An object.
///
/// # Errors
/// 400 when it cannot be read, 415 for a media type that the kind does not have.
pub fn object(
    bytes: &[u8],
    headers: &HeaderMap,
    expected: Expected<'_>,
) -> Result<Decoded, Refusal> {
    let unrecognized = |why: String| {
        texts::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            expected.kind,
            shown(bytes)
        ))
    };
    let decoded = match media(headers)? {
        Media::Json => decode::json(bytes).map_err(|why| unrecognized(no_kind(&why)))?,
        Media::Yaml => decode::yaml(bytes).map_err(unrecognized)?,
        Media::Protobuf => {
            let table = protobuf::table(expected.group, expected.kind).filter(|_| !expected.custom);
            let table = table.ok_or_else(|| texts::unsupported_media_type(&ACCEPTED))?;
            Decoded::from(protobuf::decode(bytes, table).map_err(|e| unrecognized(e.to_string()))?)
        }
    };
    let decoded = fields_of(decoded).map_err(unrecognized)?;
    // Kinds that are built in take it from the path.
    let named = decoded
        .value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if expected.custom && named.is_empty() {
        let text = String::from_utf8_lossy(bytes);
        return Err(unrecognized(format!(
            "Object 'Kind' is missing in '{text}'"
        )));
    }
    Ok(decoded)
}

fn no_kind(why: &str) -> String {
    format!("couldn't get version/kind; json parse error: {why}")
}

/// An object it must be; null is one in which nothing is set, as Go reads it.
fn fields_of(mut decoded: Decoded) -> Result<Decoded, String> {
    if decoded.value.is_null() {
        decoded.value = Value::Object(serde_json::Map::new());
    }
    if decoded.value.is_object() {
        return Ok(decoded);
    }
    let into = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
    Err(no_kind(&go_json::cannot_become(&decoded.value, into)))
}

fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN)];
    let more = if cut.len() < bytes.len() { " ..." } else { "" };
    match bytes.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(cut)),
        Some(_) => {
            let hex: String = cut.iter().map(|b| format!("{b:02x}")).collect();
            format!("{hex}{more}")
        }
    }
}

/// How to delete: the body, or the query when there is none. With a body, the query says nothing, `dryRun` neither.
///
/// # Errors
/// 400, 415 and 422 as the real server.
pub fn delete_options(
    bytes: &[u8],
    headers: &HeaderMap,
    query: &Query,
) -> Result<DeleteOptions, Refusal> {
    if bytes.is_empty() {
        return options(&query.delete()?);
    }
    let decoded = match media(headers)? {
        Media::Json => decode::json(bytes).map_err(|why| texts::bad_request(no_kind(&why)))?,
        Media::Yaml => decode::yaml(bytes).map_err(texts::bad_request)?,
        Media::Protobuf => {
            let options = protobuf::decode(bytes, protobuf::DELETE_OPTIONS);
            Decoded::from(options.map_err(|e| texts::bad_request(e.to_string()))?)
        }
    };
    // Anything else would be options in which nothing is set, and delete.
    let value = fields_of(decoded).map_err(texts::bad_request)?.value;
    let kind = value
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or("DeleteOptions");
    if kind != "DeleteOptions" {
        return Err(texts::bad_request(format!(
            "no kind \"{kind}\" is registered for version \"meta.k8s.io/v1\" in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    options(&value)
}

fn options(value: &Value) -> Result<DeleteOptions, Refusal> {
    let text = |field, go| typed(value, field, go, Value::as_str);
    let preconditions = value.get("preconditions").cloned().unwrap_or_default();
    let wanted = |field, go| {
        let text = typed(&preconditions, field, go, Value::as_str);
        text.map(|t| t.map(str::to_owned))
    };
    let policy = text("propagationPolicy", "v1.DeletionPropagation")?.filter(|p| !p.is_empty());
    let orphan = typed(value, "orphanDependents", "bool", Value::as_bool)?;
    let dry_run: Vec<&str> = match value.get("dryRun") {
        Some(Value::Array(values)) => values
            .iter()
            .map(|v| v.as_str().unwrap_or_default())
            .collect(),
        _ => Vec::new(),
    };
    let mut causes = Vec::new();
    if let (Some(policy), Some(_)) = (policy, orphan) {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        let message = format!("Invalid value: {}: {why}", Value::from(policy));
        causes.push(cause("propagationPolicy", "FieldValueInvalid", message));
    }
    causes.extend(check_dry_run(&dry_run));
    if !causes.is_empty() {
        return Err(texts::invalid_options("DeleteOptions", causes));
    }
    let propagation = match (policy, orphan) {
        (Some(policy), _) => Some(Propagation::parse(policy)?),
        (None, Some(true)) => Some(Propagation::Orphan),
        (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
    };
    Ok(DeleteOptions {
        propagation,
        uid: wanted("uid", "types.UID")?,
        resource_version: wanted("resourceVersion", "string")?,
        dry_run: !dry_run.is_empty(),
        grace: typed(value, "gracePeriodSeconds", "int64", Value::as_i64)?,
    })
}

/// A field of options that must have a type.
fn typed<'a, T>(
    value: &'a Value,
    field: &str,
    go: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    match value.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(found) => read(found).map(Some).ok_or_else(|| {
            texts::bad_request(format!(
                "json: cannot unmarshal {} into Go struct field DeleteOptions.{field} of type {go}",
                go_json::type_name(found)
            ))
        }),
    }
}
