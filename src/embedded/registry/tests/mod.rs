//! Every test is named after the rule that it guards; texts and numbers are what a real kube-apiserver 1.36.3 answered.

mod background;
mod bodies;
mod builtin;
mod change;
mod creation;
mod deletion;
mod events;
mod finalize;
mod lists;
mod patches;
mod selectors;
mod status;
mod watch_options;
mod watches;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::request::{
    DeleteOptions, ListOptions, Listed, PatchBody, Propagation, Target, WriteOptions, Written,
};
use super::{Options, Registry};
use crate::embedded::kind::Kind;
use crate::embedded::kinds;
use crate::embedded::refusal::Refusal;
use crate::embedded::store::{self, Keep, Store};

/// A registry over a store in memory, with a clock that only the test moves.
pub struct World {
    pub registry: Registry,
    kinds: Vec<Kind>,
    now: Arc<Mutex<DateTime<Utc>>>,
}

pub async fn world() -> World {
    with(Options::default()).await
}

pub async fn with(options: Options) -> World {
    let start = DateTime::parse_from_rfc3339("2026-03-01T10:00:00Z")
        .unwrap()
        .to_utc();
    let now = Arc::new(Mutex::new(start));
    let mut kinds = kinds::builtin().unwrap();
    kinds.push(thing("Thing", true));
    kinds.push(thing("Plain", false));
    let store = Store::in_memory(store::Options::default()).unwrap();
    let clock = Arc::clone(&now);
    let clock = Arc::new(move || *clock.lock().unwrap());
    let registry = Registry::with(store, kinds.clone(), clock, options).unwrap();
    registry
        .seed_namespaces(&["default", "kube-system"])
        .await
        .unwrap();
    World {
        registry,
        kinds,
        now,
    }
}

/// A custom kind; with a status subresource or without.
fn thing(kind: &str, status: bool) -> Kind {
    let lower = kind.to_lowercase();
    let mut definition = json!({
        "metadata": {"name": format!("{lower}s.test.dev")},
        "spec": {
            "group": "test.dev",
            "names": {"kind": kind, "plural": format!("{lower}s"), "singular": lower},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "selectableFields": [{"jsonPath": ".spec.color"}, {"jsonPath": ".status.phase"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "color": {"type": "string"}, "size": {"type": "integer", "default": 3},
                    }},
                    "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
                }}},
            }],
        },
    });
    if status {
        definition["spec"]["versions"][0]["subresources"] = json!({"status": {}});
    }
    Kind::of(&serde_json::from_value(definition).unwrap(), true).unwrap()
}

impl World {
    pub fn advance(&self, time: TimeDelta) {
        *self.now.lock().unwrap() += time;
    }

    fn kind(&self, resource: &str) -> &Kind {
        self.kinds
            .iter()
            .find(|k| k.resource() == resource)
            .unwrap()
    }

    pub fn of(&self, resource: &str) -> Api<'_> {
        let kind = self.kind(resource);
        Api {
            registry: &self.registry,
            target: Target {
                kind,
                namespace: kind.namespaced.then_some("default"),
                status: false,
            },
            options: WriteOptions {
                manager: "test".to_owned(),
                ..WriteOptions::default()
            },
        }
    }

    pub fn things(&self) -> Api<'_> {
        self.of("things.test.dev")
    }

    pub fn maps(&self) -> Api<'_> {
        self.of("configmaps")
    }

    pub fn namespaces(&self) -> Api<'_> {
        self.of("namespaces")
    }

    pub async fn forget_history(&self) {
        let keep = Keep {
            changes: 0,
            age: Duration::ZERO,
        };
        self.registry.store().compact(keep).await.unwrap();
    }
}

/// One kind in one namespace.
#[derive(Clone)]
pub struct Api<'a> {
    pub registry: &'a Registry,
    pub target: Target<'a>,
    pub options: WriteOptions,
}

impl<'a> Api<'a> {
    pub fn status(mut self) -> Self {
        self.target.status = true;
        self
    }

    pub fn dry(mut self) -> Self {
        self.options.dry_run = true;
        self
    }

    pub fn inside(mut self, namespace: &'a str) -> Self {
        self.target.namespace = Some(namespace);
        self
    }

    pub fn everywhere(mut self) -> Self {
        self.target.namespace = None;
        self
    }

    pub fn named(&self, name: &str) -> Value {
        let kind = self.target.kind;
        json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": name}})
    }

    /// Metadata and the rest, put together.
    pub fn object(&self, name: &str, metadata: Value, rest: Value) -> Value {
        let mut object = self.named(name);
        for (field, value) in rest.as_object().unwrap() {
            object[field] = value.clone();
        }
        for (field, value) in metadata.as_object().unwrap() {
            object["metadata"][field] = value.clone();
        }
        object
    }

    pub async fn create(&self, object: Value) -> Result<Written, Refusal> {
        self.registry
            .create(&self.target, object, &self.options)
            .await
    }

    pub async fn made(&self, name: &str, metadata: Value, rest: Value) -> Value {
        self.create(self.object(name, metadata, rest))
            .await
            .unwrap()
            .object
    }

    pub async fn replace(&self, name: &str, object: Value) -> Result<Written, Refusal> {
        self.registry
            .replace(&self.target, name, object, &self.options)
            .await
    }

    pub async fn patch(&self, name: &str, body: PatchBody) -> Result<Written, Refusal> {
        self.registry
            .patch(&self.target, name, body, &self.options)
            .await
    }

    pub async fn merge(&self, name: &str, patch: Value) -> Result<Written, Refusal> {
        self.patch(name, PatchBody::Merge(patch)).await
    }

    pub async fn apply(&self, name: &str, config: Value) -> Result<Written, Refusal> {
        self.patch(name, PatchBody::Apply(config)).await
    }

    pub async fn get(&self, name: &str) -> Result<Value, Refusal> {
        self.registry.get(&self.target, name).await
    }

    pub async fn is_gone(&self, name: &str) -> bool {
        self.get(name).await.is_err_and(|r| r.code == 404)
    }

    pub async fn list(&self, options: ListOptions) -> Result<Listed, Refusal> {
        self.registry.list(&self.target, &options).await
    }

    pub async fn delete(&self, name: &str) -> Result<Value, Refusal> {
        self.delete_with(name, DeleteOptions::default()).await
    }

    pub async fn delete_with(&self, name: &str, options: DeleteOptions) -> Result<Value, Refusal> {
        self.registry.delete(&self.target, name, &options).await
    }
}

pub fn propagation(policy: Propagation) -> DeleteOptions {
    DeleteOptions {
        propagation: Some(policy),
        ..DeleteOptions::default()
    }
}

pub fn names(listed: &Listed) -> Vec<&str> {
    listed
        .items
        .iter()
        .map(|o| o["metadata"]["name"].as_str().unwrap())
        .collect()
}

pub fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// A refusal's code and text.
pub fn said<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> (u16, String) {
    let refusal = answer.unwrap_err();
    (refusal.code, refusal.message)
}
