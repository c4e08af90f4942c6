//! The service against what a kube-apiserver 1.36.3 answered, and over a socket.

mod bounds;
mod clients;
mod documents;
mod listening;
mod lists;
mod protobuf;
mod recorded;
mod tables;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::Utc;
use serde_json::Value;
use tower::ServiceExt;

use super::{Access, Limits, Service, router};
use crate::embedded::kind::Kind;
use crate::embedded::kinds;
use crate::embedded::registry::Registry;
use crate::embedded::store::Store;

/// All kinds, with the namespace `default`.
pub async fn registry() -> Registry {
    let definitions = [
        include_str!("../../../../crds/cloneenvironments.ibmiclone.dev.yaml"),
        include_str!("../../../../crds/cloneruns.ibmiclone.dev.yaml"),
    ];
    let own =
        definitions.map(|text| Kind::of(&serde_saphyr::from_str(text).unwrap(), true).unwrap());
    let kinds = kinds::builtin().unwrap().into_iter().chain(own).collect();
    let store = Store::in_memory(Default::default()).unwrap();
    let registry = Registry::new(store, kinds, Arc::new(Utc::now)).unwrap();
    registry.seed_namespaces(&["default"]).await.unwrap();
    registry
}

/// A service for this process.
pub async fn service() -> Service {
    Service::new(registry().await, Access::InProcess, Limits::default())
}

/// An answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

/// Asks the service.
pub async fn ask(
    service: &Service,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router(service.clone()).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: head.status,
        headers: head.headers,
        body: body.to_vec(),
    }
}

/// Reads.
pub async fn get(service: &Service, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask(service, "GET", path, headers, "").await
}

/// Creates, in JSON.
pub async fn post(service: &Service, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    ask(service, "POST", path, &headers, &body.to_string()).await
}
