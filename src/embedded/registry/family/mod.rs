//! What the kinds that Kubernetes has built in do differently when they are written; what their objects may be is with the schema.

pub mod event;
mod namespace;

use serde_json::Value;

use super::meta;
use crate::embedded::kind::Kind;

pub use namespace::{asked_spec, is_empty as namespace_is_empty, is_kept, terminate};

/// Where a change goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// The object itself.
    Object,
    /// Its status.
    Status,
    /// `finalize` of a namespace: what keeps it.
    Finalize,
}

impl Through {
    /// The subresource, if it is one.
    pub fn subresource(self) -> Option<&'static str> {
        match self {
            Self::Object => None,
            Self::Status => Some("status"),
            Self::Finalize => Some("finalize"),
        }
    }
}

/// Whose rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Kinds of CustomResourceDefinitions in Kubernetes too.
    Custom,
    /// ConfigMaps.
    ConfigMap,
    /// Secrets.
    Secret,
    /// Leases.
    Lease,
    /// Events of both groups.
    Event,
    /// Namespaces.
    Namespace,
    /// ServiceAccounts; nothing is made of them here.
    ServiceAccount,
    /// CustomResourceDefinitions: clients only read them.
    Definition,
}

impl Family {
    /// Of a kind.
    pub fn of(kind: &Kind) -> Self {
        match (kind.group.as_str(), kind.plural.as_str()) {
            ("", "configmaps") => Self::ConfigMap,
            ("", "secrets") => Self::Secret,
            ("", "namespaces") => Self::Namespace,
            ("", "serviceaccounts") => Self::ServiceAccount,
            ("" | "events.k8s.io", "events") => Self::Event,
            ("coordination.k8s.io", "leases") => Self::Lease,
            ("apiextensions.k8s.io", "customresourcedefinitions") => Self::Definition,
            _ => Self::Custom,
        }
    }

    /// Whether a change may leave out the revision that it is based on.
    pub fn unconditional(self) -> bool {
        match self {
            Self::ConfigMap
            | Self::Secret
            | Self::Event
            | Self::Namespace
            | Self::ServiceAccount => true,
            Self::Custom | Self::Lease | Self::Definition => false,
        }
    }

    /// Whether a replace of what is not there creates it.
    pub fn creates_on_update(self) -> bool {
        match self {
            Self::Lease | Self::Event => true,
            Self::Custom
            | Self::ConfigMap
            | Self::Secret
            | Self::Namespace
            | Self::ServiceAccount
            | Self::Definition => false,
        }
    }

    /// Whether many may be deleted by one request.
    pub fn deletes_collections(self) -> bool {
        self != Self::Namespace
    }

    /// What the server sets in something new.
    pub fn begin(self, kind: &Kind, object: &mut Value) {
        match self {
            Self::Custom => {
                meta::set(object, "generation", 1.into());
                if kind.status {
                    take(object, "status");
                }
            }
            Self::Namespace => namespace::begin(object),
            Self::ConfigMap
            | Self::Secret
            | Self::Lease
            | Self::Event
            | Self::ServiceAccount
            | Self::Definition => {}
        }
    }

    /// What a change cannot change, because of where it goes through.
    pub fn carry(self, kind: &Kind, object: &mut Value, live: &Value, through: Through) {
        match (self, through) {
            (Self::Custom, Through::Status) => only_status(object, live),
            (Self::Custom, Through::Object) if kind.status => copy(object, live, "status"),
            (Self::Namespace, through) => namespace::carry(object, live, through),
            (
                Self::Custom
                | Self::ConfigMap
                | Self::Secret
                | Self::Lease
                | Self::Event
                | Self::ServiceAccount
                | Self::Definition,
                _,
            ) => {}
        }
    }

    /// The generation of a changed object: it counts changes of what custom kinds are asked to be.
    pub fn generation(self, kind: &Kind, object: &mut Value, live: &Value) {
        if self != Self::Custom {
            return;
        }
        if asked_changed(object, live, kind.status) {
            raise_generation(object);
        }
    }
}

/// Whether anything but the metadata differs, and but the status where that has a path of its own.
fn asked_changed(object: &Value, live: &Value, status: bool) -> bool {
    let (Some(new), Some(old)) = (object.as_object(), live.as_object()) else {
        return true;
    };
    let asked = |field: &&String| *field != "metadata" && !(status && *field == "status");
    let mut fields = new.keys().chain(old.keys()).filter(asked);
    fields.any(|field| new.get(field) != old.get(field))
}

/// One more; only for what has a generation.
pub fn raise_generation(object: &mut Value) {
    let old = meta::of(object)
        .and_then(|m| m.get("generation"))
        .and_then(Value::as_i64);
    if let Some(old) = old {
        meta::set(object, "generation", (old + 1).into());
    }
}

/// The live object with the status and the owners of fields of another one.
fn only_status(object: &mut Value, live: &Value) {
    let mut changed = live.clone();
    copy(&mut changed, object, "status");
    let owners = meta::of(object)
        .and_then(|m| m.get("managedFields"))
        .cloned();
    match owners {
        Some(owners) => meta::set(&mut changed, "managedFields", owners),
        None => meta::remove(&mut changed, "managedFields"),
    }
    *object = changed;
}

/// Makes a field the same as that of another object, also when it is not there.
fn copy(object: &mut Value, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => object[field] = value.clone(),
        None => take(object, field),
    }
}

fn take(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}
