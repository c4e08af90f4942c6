//! A kind as it is served: its schema made ready, its family of rules, where its objects are stored.

use serde_json::Value;

use super::family::{self, Family};
use crate::embedded::kind::{BadDefinition, Kind};
use crate::embedded::schema::Structural;
use crate::embedded::store::Key;

/// A kind as it is served.
pub struct Served {
    /// The kind.
    pub kind: Kind,
    /// Its schema, made ready.
    pub structural: Structural,
    /// Whose rules apply.
    pub family: Family,
    /// [`Key::resource`] of its objects: events of both groups are one.
    pub resource: String,
}

/// What tells kinds apart.
pub fn index(kind: &Kind) -> String {
    format!("{}/{}", kind.resource(), kind.version)
}

impl Served {
    /// Makes a kind ready.
    pub fn new(kind: &Kind) -> Result<Self, BadDefinition> {
        let structural = Structural::new(kind).map_err(|why| BadDefinition {
            name: kind.resource(),
            why,
        })?;
        let family = Family::of(kind);
        let resource = match family {
            Family::Event => "events".to_owned(),
            Family::Custom
            | Family::ConfigMap
            | Family::Secret
            | Family::Lease
            | Family::Namespace
            | Family::ServiceAccount
            | Family::Definition => kind.resource(),
        };
        Ok(Self {
            kind: kind.clone(),
            structural,
            family,
            resource,
        })
    }

    /// Where an object is stored.
    pub fn key(&self, namespace: &str, name: &str) -> Key {
        let namespace = if self.kind.namespaced { namespace } else { "" };
        Key {
            resource: self.resource.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// From the stored form to that of this kind's group.
    pub fn present(&self, mut object: Value, revision: u64) -> Value {
        if self.family == Family::Event && !self.kind.group.is_empty() {
            family::event::from_core(&mut object);
        }
        object["apiVersion"] = self.kind.api_version().into();
        object["kind"] = self.kind.kind.clone().into();
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        object
    }

    /// From the form of this kind's group to the stored one.
    pub fn stored(&self, object: &mut Value) {
        if self.family == Family::Event {
            if self.kind.group.is_empty() {
                family::event::settle_core(object);
            } else {
                family::event::to_core(object);
            }
        }
        if let Some(metadata) = super::meta::of_mut(object) {
            metadata.remove("resourceVersion");
        }
    }

    /// Where an object says that it is.
    pub fn key_of(&self, object: &Value) -> Key {
        let text = |field| super::meta::text(object, field);
        self.key(text("namespace"), text("name"))
    }

    /// For messages: the kind under the name that the object gives itself.
    pub fn of_object(&self, object: &Value) -> Kind {
        let mut kind = self.kind.clone();
        if let Some(Value::String(name)) = object.get("kind") {
            kind.kind.clone_from(name);
        }
        kind
    }
}
