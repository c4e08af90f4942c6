//! Schemas of objects. Those of Kubernetes come from k8s-openapi, those of definitions from the definition.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event as CoreEvent, Namespace, Secret, ServiceAccount,
};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    DeleteOptions, ListMeta, ObjectMeta, Patch, Status,
};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::embedded::http::reviews;
use crate::embedded::http::route;
use crate::embedded::kind::Kind;

/// Before the names of what all objects share.
pub const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// Schemas of a group, with all that they refer to.
pub fn of_group(kinds: &[&Kind], group: &str) -> Value {
    let mut generator = SchemaSettings::openapi3().into_generator();
    generator.subschema_for::<ObjectMeta>();
    generator.subschema_for::<ListMeta>();
    generator.subschema_for::<DeleteOptions>();
    generator.subschema_for::<Patch>();
    generator.subschema_for::<Status>();
    for kind in kinds {
        built_in(&mut generator, &kind.group, &kind.kind);
    }
    for plural in route::reviews(group) {
        built_in(&mut generator, group, reviews::kind(plural));
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    for kind in kinds {
        let schema = schemas
            .remove(&name(kind))
            .unwrap_or_else(|| of_definition(kind));
        let gvk = |kind_name: &str| json!([{"group": kind.group, "version": kind.version, "kind": kind_name}]);
        schemas.insert(name(kind), with(schema, gvk(&kind.kind)));
        schemas.insert(
            format!("{}List", name(kind)),
            with(list(kind), gvk(&kind.list_kind)),
        );
    }
    for plural in route::reviews(group) {
        let kind = reviews::kind(plural);
        if let Some(schema) = schemas.remove(&review_name(group, kind)) {
            let gvk = json!([{"group": group, "version": "v1", "kind": kind}]);
            schemas.insert(review_name(group, kind), with(schema, gvk));
        }
    }
    Value::Object(schemas)
}

/// What the schema of a kind is called.
pub fn name(kind: &Kind) -> String {
    match (kind.group.as_str(), kind.custom) {
        ("", _) => format!("io.k8s.api.core.{}.{}", kind.version, kind.kind),
        ("apiextensions.k8s.io", false) => {
            format!(
                "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{}.{}",
                kind.version, kind.kind
            )
        }
        (group, false) => format!("io.k8s.api.{}.{}.{}", first(group), kind.version, kind.kind),
        (group, true) => {
            let mut parts: Vec<&str> = group.split('.').collect();
            parts.reverse();
            format!("{}.{}.{}", parts.join("."), kind.version, kind.kind)
        }
    }
}

/// What the schema of a review is called.
pub fn review_name(group: &str, kind: &str) -> String {
    format!("io.k8s.api.{}.v1.{kind}", first(group))
}

fn first(group: &str) -> &str {
    group.split('.').next().unwrap_or_default()
}

fn built_in(generator: &mut SchemaGenerator, group: &str, kind: &str) {
    let _reference = match (group, kind) {
        ("", "ConfigMap") => generator.subschema_for::<ConfigMap>(),
        ("", "Secret") => generator.subschema_for::<Secret>(),
        ("", "Namespace") => generator.subschema_for::<Namespace>(),
        ("", "ServiceAccount") => generator.subschema_for::<ServiceAccount>(),
        ("", "Event") => generator.subschema_for::<CoreEvent>(),
        ("events.k8s.io", "Event") => generator.subschema_for::<Event>(),
        ("coordination.k8s.io", "Lease") => generator.subschema_for::<Lease>(),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            generator.subschema_for::<CustomResourceDefinition>()
        }
        ("authentication.k8s.io", "SelfSubjectReview") => {
            generator.subschema_for::<SelfSubjectReview>()
        }
        ("authorization.k8s.io", "SelfSubjectAccessReview") => {
            generator.subschema_for::<SelfSubjectAccessReview>()
        }
        ("authorization.k8s.io", "SelfSubjectRulesReview") => {
            generator.subschema_for::<SelfSubjectRulesReview>()
        }
        _ => return,
    };
}

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

fn of_definition(kind: &Kind) -> Value {
    let mut schema = serde_json::to_value(&kind.schema).unwrap_or_default();
    if !schema.get("properties").is_some_and(Value::is_object) {
        schema["properties"] = json!({});
    }
    schema["properties"]["apiVersion"] = json!({"description": API_VERSION, "type": "string"});
    schema["properties"]["kind"] = json!({"description": KIND, "type": "string"});
    schema["properties"]["metadata"] = meta(METADATA, "ObjectMeta");
    schema
}

fn list(kind: &Kind) -> Value {
    let item = format!("#/components/schemas/{}", name(kind));
    json!({
        "description": format!("{} is a list of {}", kind.list_kind, kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": API_VERSION, "type": "string"},
            "kind": {"description": KIND, "type": "string"},
            "metadata": meta("Standard list metadata.", "ListMeta"),
            "items": {"description": format!("List of {}", kind.plural), "type": "array", "items": {"$ref": item}},
        },
    })
}

fn meta(description: &str, of: &str) -> Value {
    let reference = format!("#/components/schemas/{META}{of}");
    json!({"description": description, "allOf": [{"$ref": reference}]})
}

fn with(mut schema: Value, gvk: Value) -> Value {
    if schema.is_object() {
        schema["x-kubernetes-group-version-kind"] = gvk;
    }
    schema
}
