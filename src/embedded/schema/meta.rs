//! The metadata that every object has: its schema, which fields it may have, and the checks of the real server.

use super::cause;
use super::names;
use super::node::Node;
use super::path::Path;
use crate::embedded::refusal::Cause;
use serde_json::{Map, Value, json};

/// All annotations of an object together, in bytes.
const ANNOTATIONS: usize = 256 * 1024;

/// Which names a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// DNS subdomain, as most kinds.
    Subdomain,
    /// DNS label, as namespaces.
    Label,
    /// Whatever fits one segment of a URL, as objects inside of others.
    Segment,
}

impl Names {
    fn wrong(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => names::subdomain(name),
            Self::Label => names::label(name),
            Self::Segment => segment(name),
        }
    }

    fn wrong_prefix(self, prefix: &str) -> Vec<String> {
        match self {
            Self::Subdomain | Self::Label => self.wrong(&names::as_prefix(prefix)),
            Self::Segment => segment(prefix)
                .into_iter()
                .filter(|w| w.contains("contain"))
                .collect(),
        }
    }
}

fn segment(name: &str) -> Vec<String> {
    match name {
        "." => vec!["may not be '.'".to_owned()],
        ".." => vec!["may not be '..'".to_owned()],
        _ => ['/', '%']
            .into_iter()
            .filter(|c| name.contains(*c))
            .map(|c| format!("may not contain '{c}'"))
            .collect(),
    }
}

/// Schema of `metadata`: for pruning, and for OpenAPI where a schema says only `type: object`.
///
/// # Errors
/// Never: the schema is fixed.
pub fn node() -> Result<Node, String> {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let owner = json!({"type": "object", "properties": {
        "apiVersion": text(), "kind": text(), "name": text(), "uid": text(),
        "controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"},
    }});
    let manager = json!({"type": "object", "properties": {
        "manager": text(), "operation": text(), "apiVersion": text(), "time": text(), "fieldsType": text(),
        "subresource": text(),
        "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    let schema = json!({"type": "object", "properties": {
        "name": text(), "generateName": text(), "namespace": text(), "selfLink": text(), "uid": text(),
        "resourceVersion": text(), "generation": {"type": "integer"},
        "creationTimestamp": text(), "deletionTimestamp": text(), "deletionGracePeriodSeconds": {"type": "integer"},
        "labels": texts(), "annotations": texts(),
        "ownerReferences": {"type": "array", "items": owner},
        "finalizers": {"type": "array", "items": text()},
        "managedFields": {"type": "array", "items": manager},
    }});
    let schema = serde_json::from_value(schema).map_err(|e| e.to_string())?;
    Node::new(&schema, "metadata")
}

struct Meta<'a> {
    fields: &'a Map<String, Value>,
    path: &'a Path<'a>,
}

impl<'a> Meta<'a> {
    fn text(&self, name: &str) -> &'a str {
        self.fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn list(&self, name: &str) -> &'a [Value] {
        let list = self.fields.get(name).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = (&'a String, &'a str)> {
        let map = self.fields.get(name).and_then(Value::as_object);
        map.into_iter()
            .flatten()
            .map(|(key, value)| (key, value.as_str().unwrap_or_default()))
    }

    fn field(&self, name: &str) -> String {
        self.path.field(name).name()
    }
}

static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

fn meta<'a>(metadata: Option<&'a Value>, path: &'a Path<'a>) -> Meta<'a> {
    let fields = metadata.and_then(Value::as_object).unwrap_or(&NOTHING);
    Meta { fields, path }
}

/// Checks the metadata of a new object.
pub fn check_new(
    metadata: Option<&Value>,
    names: Names,
    namespaced: bool,
    path: &Path<'_>,
    causes: &mut Vec<Cause>,
) {
    let meta = meta(metadata, path);
    let prefix = meta.text("generateName");
    if !prefix.is_empty() {
        for wrong in names.wrong_prefix(prefix) {
            causes.push(cause::invalid_text(
                meta.field("generateName"),
                prefix,
                &wrong,
            ));
        }
    }
    let name = meta.text("name");
    if name.is_empty() {
        let detail = "name or generateName is required";
        causes.push(cause::required(meta.field("name"), detail));
    } else {
        for wrong in names.wrong(name) {
            causes.push(cause::invalid_text(meta.field("name"), name, &wrong));
        }
    }
    let namespace = meta.text("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => causes.push(cause::required(meta.field("namespace"), "")),
        (true, false) => {
            for wrong in names::label(namespace) {
                causes.push(cause::invalid_text(
                    meta.field("namespace"),
                    namespace,
                    &wrong,
                ));
            }
        }
        (false, false) => causes.push(cause::forbidden(
            meta.field("namespace"),
            "not allowed on this type",
        )),
        (false, true) => {}
    }
    labels_and_annotations(&meta, causes);
    owners(&meta, causes);
    finalizers(&meta, causes);
    managers(&meta, causes);
}

/// Checks the metadata of a changed object. The registry has carried over what a client cannot change.
pub fn check_changed(
    metadata: Option<&Value>,
    old: Option<&Value>,
    path: &Path<'_>,
    causes: &mut Vec<Cause>,
) {
    let (meta, old) = (meta(metadata, path), meta(old, path));
    if old.fields.contains_key("deletionTimestamp") {
        let added = |f: &&Value| !old.list("finalizers").contains(f);
        let mut added: Vec<&str> = meta
            .list("finalizers")
            .iter()
            .filter(added)
            .filter_map(Value::as_str)
            .collect();
        added.sort_unstable();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|f| cause::quoted(f)).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            causes.push(cause::forbidden(meta.field("finalizers"), &detail));
        }
    }
    for name in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        if let (Some(new), Some(old)) = (meta.fields.get(name), old.fields.get(name))
            && new != old
        {
            causes.push(cause::invalid(meta.field(name), new, "field is immutable"));
        }
    }
    labels_and_annotations(&meta, causes);
    owners(&meta, causes);
    managers(&meta, causes);
}

fn labels_and_annotations(meta: &Meta<'_>, causes: &mut Vec<Cause>) {
    for (key, value) in meta.texts("labels") {
        for wrong in names::qualified(key) {
            causes.push(cause::invalid_text(meta.field("labels"), key, &wrong));
        }
        for wrong in names::label_value(value) {
            causes.push(cause::invalid_text(meta.field("labels"), value, &wrong));
        }
    }
    let mut size = 0;
    for (key, value) in meta.texts("annotations") {
        size += key.len() + value.len();
        for wrong in names::qualified(&key.to_lowercase()) {
            causes.push(cause::invalid_text(meta.field("annotations"), key, &wrong));
        }
    }
    if size > ANNOTATIONS {
        causes.push(cause::too_long(
            meta.field("annotations"),
            ANNOTATIONS as i64,
        ));
    }
}

fn owners(meta: &Meta<'_>, causes: &mut Vec<Cause>) {
    let path = meta.path.field("ownerReferences");
    let mut controller: Option<String> = None;
    for owner in meta.list("ownerReferences") {
        let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion");
        let mut empty = |name: &str, detail: &str| {
            let field = path.field(name).name();
            causes.push(cause::invalid_text(field, text(name), detail));
        };
        if version.rsplit('/').next().unwrap_or_default().is_empty() {
            empty("apiVersion", "version must not be empty");
        }
        for name in ["kind", "name", "uid"] {
            if text(name).is_empty() {
                empty(name, "must not be empty");
            }
        }
        if version == "v1" && text("kind") == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            causes.push(cause::invalid_shown(
                path.name(),
                &owner_shown(owner),
                detail,
            ));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let found = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                None => controller = Some(found),
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {found}"
                    );
                    let all: Vec<String> = meta
                        .list("ownerReferences")
                        .iter()
                        .map(owner_shown)
                        .collect();
                    let all = format!("[{}]", all.join(","));
                    causes.push(cause::invalid_shown(path.name(), &all, &detail));
                }
            }
        }
    }
}

/// In the order of the real server's struct.
fn owner_shown(owner: &Value) -> String {
    let always = ["apiVersion", "kind", "name", "uid"];
    let fields = always
        .into_iter()
        .chain(["controller", "blockOwnerDeletion"]);
    let part = |name: &str| {
        let value = owner.get(name).cloned();
        let value = value.or_else(|| always.contains(&name).then(|| Value::from("")))?;
        Some(format!("\"{name}\":{value}"))
    };
    let parts: Vec<String> = fields.filter_map(part).collect();
    format!("{{{}}}", parts.join(","))
}

fn finalizers(meta: &Meta<'_>, causes: &mut Vec<Cause>) {
    let list = meta.list("finalizers");
    for finalizer in list.iter().filter_map(Value::as_str) {
        for wrong in names::qualified(finalizer) {
            causes.push(cause::invalid_text(
                meta.field("finalizers"),
                finalizer,
                &wrong,
            ));
        }
    }
    let has = |name: &str| list.iter().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.push(cause::invalid(
            meta.field("finalizers"),
            &Value::from(list),
            detail,
        ));
    }
}

fn managers(meta: &Meta<'_>, causes: &mut Vec<Cause>) {
    let path = meta.path.field("managedFields");
    for (index, entry) in meta.list("managedFields").iter().enumerate() {
        let at = path.index(index);
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        let field = |name: &str| at.field(name).name();
        if !["Apply", "Update"].contains(&text("operation")) {
            let detail = "must be `Apply` or `Update`";
            causes.push(cause::invalid_text(
                field("operation"),
                text("operation"),
                detail,
            ));
        }
        if !["", "FieldsV1"].contains(&text("fieldsType")) {
            let detail = "must be `FieldsV1`";
            causes.push(cause::invalid_text(
                field("fieldsType"),
                text("fieldsType"),
                detail,
            ));
        }
        for (name, max) in [("manager", 128), ("subresource", 256)] {
            if text(name).len() > max {
                causes.push(cause::too_long(field(name), max as i64));
            }
        }
    }
}

/// Checks objects inside of others: they have apiVersion, kind and metadata of their own.
pub fn check_embedded(node: &Node, value: &Value, path: &Path<'_>, causes: &mut Vec<Cause>) {
    if !node.has_embedded {
        return;
    }
    match value {
        Value::Object(object) => {
            if node.embedded && !path.is_root() {
                embedded(object, path, causes);
            }
            for (key, value) in object {
                let at = match node.properties.contains_key(key) {
                    true => path.field(key),
                    false => path.key(key),
                };
                if let Some(below) = node.child(key) {
                    check_embedded(below, value, &at, causes);
                }
            }
        }
        Value::Array(list) => {
            if let Some(below) = node.items.as_deref() {
                for (index, value) in list.iter().enumerate() {
                    check_embedded(below, value, &path.index(index), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn embedded(object: &Map<String, Value>, path: &Path<'_>, causes: &mut Vec<Cause>) {
    for name in ["apiVersion", "kind"] {
        let field = path.field(name).name();
        match object.get(name) {
            None => causes.push(cause::required(field, "")),
            Some(Value::String(text)) if text.is_empty() => {
                causes.push(cause::invalid_text(field, "", "must not be empty"));
            }
            Some(Value::String(text)) if name == "apiVersion" => {
                if text.matches('/').count() > 1 {
                    let detail = format!("unexpected GroupVersion string: {text}");
                    causes.push(cause::invalid_text(field, text, &detail));
                }
            }
            Some(Value::String(text)) => {
                let wrong = names::dns_1035(&text.to_lowercase());
                if !wrong.is_empty() {
                    let detail = format!(
                        "may have mixed case, but should otherwise match: {}",
                        wrong.join(",")
                    );
                    causes.push(cause::invalid_text(field, text, &detail));
                }
            }
            Some(other) => causes.push(cause::invalid(field, other, "must be a string")),
        }
    }
    if let Some(Value::Object(fields)) = object.get("metadata") {
        let mut fields = fields.clone();
        fields
            .entry("name")
            .or_insert_with(|| Value::from("fakename"));
        let namespaced = fields.contains_key("namespace");
        let metadata = Value::Object(fields);
        let at = path.field("metadata");
        check_new(Some(&metadata), Names::Segment, namespaced, &at, causes);
    }
}
