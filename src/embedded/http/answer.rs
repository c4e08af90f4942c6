//! Responses and their headers.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WARNING};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::negotiate::Format;
use crate::embedded::refusal::Refusal;

/// Media type of JSON.
pub const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

/// An object, or a list.
pub fn object(status: StatusCode, value: &Value, format: Format) -> Response<Body> {
    match format {
        Format::Json { pretty } => {
            let text = if pretty {
                serde_json::to_vec_pretty(value)
            } else {
                serde_json::to_vec(value)
            };
            // A Value has no key that JSON lacks, so this is always text.
            let mut text = text.unwrap_or_default();
            text.push(b'\n');
            bytes(status, JSON, text)
        }
        Format::Yaml => {
            let text = serde_saphyr::to_string(value).unwrap_or_default();
            bytes(status, "application/yaml", text.into_bytes())
        }
    }
}

/// What is not success. Statuses are JSON whatever was asked for: a client that cannot read its refusal is lost.
pub fn refusal(refusal: &Refusal) -> Response<Body> {
    let code = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = object(code, &status(refusal), Format::Json { pretty: false });
    if let Some(seconds) = refusal
        .details
        .get("retryAfterSeconds")
        .and_then(Value::as_u64)
    {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    warn(&mut response, &refusal.warnings);
    response
}

/// The `Status` of a refusal. One without a reason has no such field, as on the real server.
pub fn status(refusal: &Refusal) -> Value {
    let mut status = refusal.status();
    if let Some(fields) = status.as_object_mut()
        && refusal.reason.is_empty()
    {
        fields.remove("reason");
    }
    status
}

/// The real server's answer where nothing is served at all.
pub fn nothing_here() -> Response<Body> {
    bytes(
        StatusCode::NOT_FOUND,
        PLAIN,
        b"404 page not found\n".to_vec(),
    )
}

/// A line of text.
pub fn text(text: &'static str) -> Response<Body> {
    bytes(StatusCode::OK, PLAIN, text.as_bytes().to_vec())
}

/// Any body of a known length.
pub fn bytes(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert(HeaderName::from_static("x-content-type-options"), nosniff);
    response
}

/// Adds a `Warning` header for each text, as kubectl prints them.
pub fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for text in warnings {
        if let Some(value) = warning(text) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

fn warning(text: &str) -> Option<HeaderValue> {
    let mut quoted = String::with_capacity(text.len() + 10);
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()).ok()
}

/// Whether a client reads what is compressed with gzip.
pub fn reads_gzip(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all("accept-encoding").iter();
    values.any(|v| {
        let named = v.to_str().unwrap_or_default().split(',');
        named.into_iter().any(|one| {
            let (name, quality) = one.split_once(';').unwrap_or((one, ""));
            name.trim() == "gzip" && quality.trim() != "q=0"
        })
    })
}
