//! What is served, told to clients: `/api`, `/apis`, groups and resources, and all of it in one document
//! (`kubernetes-api.md` § 4 row 2).

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::{Value, json};

use super::negotiate::{self, Format};
use super::route::{Part, Route, reviews};
use super::{answer, texts};
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;

/// Media type of the document with all groups; the answer repeats what was asked for, or clients take it for the plain one.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// Groups that Kubernetes has built in, in the order in which the real server tells them. Those of definitions come last.
const BUILT_IN: [&str; 5] = [
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "apiextensions.k8s.io",
    "coordination.k8s.io",
];

/// A resource or a subresource that is told.
struct Told {
    name: String,
    singular: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<&'static str>,
    short_names: Vec<String>,
    categories: Vec<String>,
    /// In the order of their names.
    subresources: Vec<Sub>,
    custom: bool,
    /// None for what is not stored.
    storage_hash: Option<String>,
}

/// A subresource that is told.
struct Sub {
    name: &'static str,
    verbs: &'static [&'static str],
}

/// Answers a request for one of these documents.
///
/// # Errors
/// 406; 404 for a version that is not served.
pub fn answer(
    kinds: &[Arc<Kind>],
    route: &Route,
    headers: &HeaderMap,
) -> Result<Response<Body>, Refusal> {
    let aggregated = negotiate::wants_aggregated(headers);
    let document = match route {
        Route::Index => {
            let format = Format::Json { pretty: true };
            return Ok(answer::object(StatusCode::OK, &index(kinds), format));
        }
        Route::CoreVersions if aggregated => return Ok(one_document(&[group(kinds, "")], headers)),
        Route::Groups if aggregated => {
            let groups: Vec<Value> = groups(kinds).iter().map(|g| group(kinds, g)).collect();
            return Ok(one_document(&groups, headers));
        }
        Route::CoreVersions => json!({
            "kind": "APIVersions",
            "versions": versions(kinds, ""),
            "serverAddressByClientCIDRs": [],
        }),
        Route::Groups => {
            let groups: Vec<Value> = groups(kinds)
                .iter()
                .map(|g| plain_group(kinds, g))
                .collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        Route::Group(name) => {
            let mut group = plain_group(kinds, name);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }
        Route::Resources { group, version } => resources(kinds, group, version),
        _ => return Err(texts::no_such_resource()),
    };
    let format = negotiate::document(headers)?;
    Ok(answer::object(StatusCode::OK, &document, format))
}

/// All groups but the core one, in order.
pub fn groups(kinds: &[Arc<Kind>]) -> Vec<String> {
    let mut others: Vec<String> = kinds.iter().map(|k| k.group.clone()).collect();
    others.retain(|g| !g.is_empty() && !BUILT_IN.contains(&g.as_str()));
    others.sort();
    others.dedup();
    let served = BUILT_IN.iter().filter(|g| !versions(kinds, g).is_empty());
    served.map(|g| (*g).to_owned()).chain(others).collect()
}

/// Versions of a group.
pub fn versions(kinds: &[Arc<Kind>], group: &str) -> Vec<String> {
    let of_group = kinds.iter().filter(|k| k.group == group);
    let mut versions: Vec<String> = of_group.map(|k| k.version.clone()).collect();
    if !reviews(group).is_empty() {
        versions.push("v1".to_owned());
    }
    versions.sort();
    versions.dedup();
    versions
}

fn told(kinds: &[Arc<Kind>], group: &str, version: &str) -> Vec<Told> {
    let of_group = kinds
        .iter()
        .filter(|k| k.group == group && k.version == version);
    let mut told: Vec<Told> = of_group.map(|k| of_kind(k)).collect();
    told.extend(reviews(group).into_iter().map(|plural| {
        let kind = super::reviews::kind(plural);
        Told {
            name: plural.to_owned(),
            singular: kind.to_lowercase(),
            namespaced: false,
            kind: kind.to_owned(),
            verbs: vec!["create"],
            short_names: Vec::new(),
            categories: Vec::new(),
            subresources: Vec::new(),
            custom: false,
            storage_hash: None,
        }
    }));
    told.sort_by(|a, b| a.name.cmp(&b.name));
    told
}

fn of_kind(kind: &Kind) -> Told {
    let verbs = match (kind.custom, kind.namespaced) {
        (true, _) => vec![
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "create",
            "update",
            "watch",
        ],
        (false, true) => vec![
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ],
        // Definitions are compiled in: they can be read.
        (false, false) if kind.group == "apiextensions.k8s.io" => vec!["get", "list", "watch"],
        (false, false) => vec![
            "create", "delete", "get", "list", "patch", "update", "watch",
        ],
    };
    Told {
        name: kind.plural.clone(),
        singular: kind.singular.clone(),
        namespaced: kind.namespaced,
        kind: kind.kind.clone(),
        verbs,
        short_names: kind.short_names.clone(),
        categories: kind.categories.clone(),
        subresources: subresources(kind),
        custom: kind.custom,
        storage_hash: Some(storage_hash(kind)),
    }
}

fn subresources(kind: &Kind) -> Vec<Sub> {
    let finalize = Sub {
        name: "finalize",
        verbs: &["update"],
    };
    let status = Sub {
        name: "status",
        verbs: &["get", "patch", "update"],
    };
    let finalize = Part::Finalize.is_of(kind).then_some(finalize);
    let status = Part::Status.is_of(kind).then_some(status);
    finalize.into_iter().chain(status).collect()
}

/// What the real server tells of the form that objects are stored in, for those who migrate them. Events of both groups are stored
/// as the core group has them, definitions as they were before their first stable version.
fn storage_hash(kind: &Kind) -> String {
    let stored = match (kind.group.as_str(), kind.kind.as_str()) {
        ("events.k8s.io", "Event") => "/v1/Event".to_owned(),
        ("apiextensions.k8s.io", name) => format!("{}/v1beta1/{name}", kind.group),
        (group, name) => format!("{group}/{}/{name}", kind.version),
    };
    let digest = digest::digest(&digest::SHA256, stored.as_bytes());
    let head = digest.as_ref().get(..8).unwrap_or_default();
    STANDARD.encode(head)
}

fn resources(kinds: &[Arc<Kind>], group: &str, version: &str) -> Value {
    let mut resources = Vec::new();
    for told in told(kinds, group, version) {
        let mut resource = json!({
            "name": told.name,
            "singularName": told.singular,
            "namespaced": told.namespaced,
            "kind": told.kind,
            "verbs": told.verbs,
        });
        name_more(&mut resource, &told);
        if let Some(hash) = &told.storage_hash {
            resource["storageVersionHash"] = json!(hash);
        }
        resources.push(resource);
        for sub in &told.subresources {
            resources.push(json!({
                "name": format!("{}/{}", told.name, sub.name),
                "singularName": "",
                "namespaced": told.namespaced,
                "kind": told.kind,
                "verbs": sub.verbs,
            }));
        }
    }
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version(group, version),
        "resources": resources,
    })
}

fn name_more(resource: &mut Value, told: &Told) {
    if !told.short_names.is_empty() {
        resource["shortNames"] = json!(told.short_names);
    }
    if !told.categories.is_empty() {
        resource["categories"] = json!(told.categories);
    }
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}

fn plain_group(kinds: &[Arc<Kind>], name: &str) -> Value {
    let told = |version: &String| json!({"groupVersion": group_version(name, version), "version": version});
    let versions: Vec<Value> = versions(kinds, name).iter().map(told).collect();
    json!({
        "name": name,
        "preferredVersion": versions.first(),
        "versions": versions,
    })
}

/// A group of the document with all of them.
fn group(kinds: &[Arc<Kind>], name: &str) -> Value {
    let versions: Vec<Value> = versions(kinds, name)
        .iter()
        .map(|version| {
            let told = told(kinds, name, version);
            let resources: Vec<Value> = told.iter().map(|t| aggregated(t, name, version)).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if name.is_empty() {
        json!({})
    } else {
        json!({"name": name})
    };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated(told: &Told, group: &str, version: &str) -> Value {
    // The real server leaves the group out where it is that of the document.
    let response_kind = if told.custom {
        json!({"group": group, "version": version, "kind": told.kind})
    } else {
        json!({"group": "", "version": "", "kind": told.kind})
    };
    let mut resource = json!({
        "resource": told.name,
        "responseKind": response_kind,
        "scope": if told.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": told.singular,
        "verbs": told.verbs,
    });
    name_more(&mut resource, told);
    if !told.subresources.is_empty() {
        let tell = |sub: &Sub| json!({"subresource": sub.name, "responseKind": response_kind, "verbs": sub.verbs});
        resource["subresources"] = told.subresources.iter().map(tell).collect();
    }
    resource
}

fn one_document(groups: &[Value], headers: &HeaderMap) -> Response<Body> {
    let document = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": groups,
    });
    let text = serde_json::to_vec(&document).unwrap_or_default();
    let tag = format!("\"{}\"", hash(&text));
    let mut response = if has_tag(headers, &tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = answer::bytes(StatusCode::OK, answer::JSON, text);
        let aggregated = HeaderValue::from_static(AGGREGATED);
        response.headers_mut().insert(CONTENT_TYPE, aggregated);
        response
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// What a document is known by: SHA-512, as the real server.
pub fn hash(document: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA512, document);
    digest.as_ref().iter().map(|b| format!("{b:02X}")).collect()
}

/// The client has the document with this tag.
pub fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let mut offered = headers.get_all(IF_NONE_MATCH).iter();
    offered.any(|v| {
        v.to_str()
            .is_ok_and(|t| t.split(',').any(|one| one.trim() == tag))
    })
}

fn index(kinds: &[Arc<Kind>]) -> Value {
    let mut paths = vec![
        "/api".to_owned(),
        "/api/v1".to_owned(),
        "/apis".to_owned(),
        "/apis/".to_owned(),
    ];
    for group in groups(kinds) {
        paths.push(format!("/apis/{group}"));
        paths.extend(
            versions(kinds, &group)
                .iter()
                .map(|v| format!("/apis/{group}/{v}")),
        );
    }
    let others = [
        "/healthz",
        "/livez",
        "/openapi/v3",
        "/openapi/v3/",
        "/readyz",
        "/version",
    ];
    paths.extend(others.map(str::to_owned));
    json!({"paths": paths})
}
