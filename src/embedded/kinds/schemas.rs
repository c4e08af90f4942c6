//! Schemas of the built-in kinds, from the generated types of k8s-openapi.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event as CoreEvent, Namespace, Secret, ServiceAccount,
};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

type Schema = Result<JSONSchemaProps, String>;

/// How items of a list are told apart: a JSON pointer into the schema and the keys, none = replaced as a whole.
type Lists<'a> = &'a [(&'a str, &'a [&'a str])];

pub fn config_map() -> Schema {
    of::<ConfigMap>(&[], &[])
}

pub fn secret() -> Schema {
    of::<Secret>(&[], &[])
}

pub fn core_event() -> Schema {
    let atomic = ["/properties/involvedObject", "/properties/related"];
    of::<CoreEvent>(&[], &atomic)
}

pub fn event() -> Schema {
    let atomic = ["/properties/regarding", "/properties/related"];
    of::<Event>(&[], &atomic)
}

pub fn lease() -> Schema {
    of::<Lease>(&[], &[])
}

pub fn namespace() -> Schema {
    let lists: Lists<'_> = &[
        ("/properties/spec/properties/finalizers", &[]),
        ("/properties/status/properties/conditions", &["type"]),
    ];
    of::<Namespace>(lists, &[])
}

pub fn service_account() -> Schema {
    let lists: Lists<'_> = &[
        ("/properties/imagePullSecrets", &[]),
        ("/properties/secrets", &["name"]),
    ];
    let atomic = [
        "/properties/imagePullSecrets/items",
        "/properties/secrets/items",
    ];
    of::<ServiceAccount>(lists, &atomic)
}

/// Definitions are read-only to clients: their inside is not looked at.
pub fn definition() -> Schema {
    let anything = |description: &str| json!({"type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({
        "type": "object",
        "description": "CustomResourceDefinition represents a resource that should be exposed on the API server.",
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
            "spec": anything("What this server serves; cannot be changed."),
            "status": anything("Names and versions in use."),
        },
        "required": ["spec"],
    });
    serde_json::from_value(schema).map_err(|e| e.to_string())
}

fn of<K: JsonSchema>(lists: Lists<'_>, atomic: &[&str]) -> Schema {
    let settings = SchemaSettings::openapi3().with(|s| {
        s.inline_subschemas = true;
        s.meta_schema = None;
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<K>()
        .to_value();
    // As in a definition: what metadata is, is the same for all kinds.
    schema["properties"]["metadata"] = json!({"type": "object"});
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        // The real server reads an object without metadata and then says what it lacks.
        required.retain(|name| name != "metadata");
    }
    for (pointer, keys) in lists {
        let list = schema
            .pointer_mut(pointer)
            .ok_or_else(|| format!("{pointer} is not in the schema"))?;
        list["x-kubernetes-list-type"] = json!(if keys.is_empty() { "atomic" } else { "map" });
        if !keys.is_empty() {
            list["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    for pointer in atomic {
        let map = schema
            .pointer_mut(pointer)
            .ok_or_else(|| format!("{pointer} is not in the schema"))?;
        map["x-kubernetes-map-type"] = json!("atomic");
    }
    serde_json::from_value(schema).map_err(|e| e.to_string())
}
