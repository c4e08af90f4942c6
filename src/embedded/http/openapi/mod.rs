//! OpenAPI v3, a document per group and version (`kubernetes-api.md` § 4 row 3). kubectl reads it before every apply, for the
//! parameters of PATCH and for the schema that it checks fields with, and for `explain`.

mod paths;
mod schemas;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CACHE_CONTROL, ETAG, EXPIRES, LOCATION, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use chrono::{Days, Utc};
use serde_json::{Map, Value, json};

use super::answer;
use super::discovery::{groups, has_tag, hash, versions};
use super::query::Query;
use crate::embedded::kind::Kind;

/// All documents. Made once: kinds are compiled in.
pub struct OpenApi {
    index: Bytes,
    documents: BTreeMap<String, Document>,
}

struct Document {
    text: Bytes,
    hash: String,
}

impl OpenApi {
    /// Of these kinds.
    pub fn of(kinds: &[Arc<Kind>]) -> Self {
        let mut documents = BTreeMap::new();
        for group in std::iter::once(String::new()).chain(groups(kinds)) {
            for version in versions(kinds, &group) {
                let path = paths::prefix(&group, &version);
                let text =
                    serde_json::to_vec(&of_group(kinds, &group, &version)).unwrap_or_default();
                let hash = hash(&text);
                let text = Bytes::from(text);
                documents.insert(path, Document { text, hash });
            }
        }
        let mut paths = Map::new();
        for (path, document) in &documents {
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            paths.insert(path.clone(), json!({"serverRelativeURL": url}));
        }
        let index = json!({"paths": paths}).to_string();
        Self {
            index: Bytes::from(index),
            documents,
        }
    }

    /// Which documents there are.
    pub fn index(&self) -> Response<Body> {
        // JSON under this name: the real server sets none here, and clients do not look.
        answer::bytes(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            self.index.clone(),
        )
    }
}

/// One of the documents. A wrong hash leads to the right one, so that what is kept by hash never gets old.
pub fn document(
    openapi: &OpenApi,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Response<Body> {
    let Some(document) = openapi.documents.get(path) else {
        return empty(StatusCode::NOT_FOUND);
    };
    if !reads_json(headers) {
        let mut response = empty(StatusCode::NOT_ACCEPTABLE);
        insert(response.headers_mut(), VARY, "Accept");
        return response;
    }
    let tag = format!("\"{}\"", document.hash);
    let asked = query.get("hash");
    let mut response = match asked {
        Some(asked) if asked != document.hash => {
            let mut response = empty(StatusCode::MOVED_PERMANENTLY);
            let url = format!("/openapi/v3/{path}?hash={}", document.hash);
            insert(response.headers_mut(), LOCATION, &url);
            response
        }
        Some(_) | None if has_tag(headers, &tag) => empty(StatusCode::NOT_MODIFIED),
        Some(_) | None => answer::bytes(StatusCode::OK, answer::JSON, document.text.clone()),
    };
    let of_hash = asked == Some(document.hash.as_str());
    let headers = response.headers_mut();
    insert(headers, ETAG, &tag);
    insert(headers, VARY, "Accept");
    if of_hash && let Some(expires) = Utc::now().checked_add_days(Days::new(365)) {
        insert(headers, CACHE_CONTROL, "public, immutable");
        insert(
            headers,
            EXPIRES,
            &expires.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        );
    }
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    insert(response.headers_mut(), CACHE_CONTROL, "no-cache, private");
    response
}

fn insert(headers: &mut HeaderMap, name: axum::http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn reads_json(headers: &HeaderMap) -> bool {
    let values: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .collect();
    let mut types = values
        .iter()
        .flat_map(|v| v.split(','))
        .map(|c| c.split(';').next().unwrap_or_default().trim());
    values.is_empty()
        || types.any(|t| matches!(t, "" | "*/*" | "application/*" | "application/json"))
}

fn of_group(kinds: &[Arc<Kind>], group: &str, version: &str) -> Value {
    let of_group: Vec<&Kind> = kinds
        .iter()
        .filter(|k| k.group == group && k.version == version)
        .map(AsRef::as_ref)
        .collect();
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes-style API (subset)", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths::of_group(&of_group, group),
        "components": {"schemas": schemas::of_group(&of_group, group)},
    })
}
