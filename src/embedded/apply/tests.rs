//! Replays what the real API server answered (`testdata/*.json`, recorded on 1.36.3), write by write: the object, the owners of
//! its fields, and the refusals with their texts. Times are those of the recording, one minute for each step.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::step::same;
use super::{Manager, apply, track};
use crate::embedded::kind::Kind;
use crate::embedded::patch;
use crate::embedded::refusal::Refusal;

mod properties;

#[derive(Deserialize)]
struct Recording {
    kind: String,
    about: String,
    steps: Vec<Step>,
}

/// One write, and the real server's answer.
#[derive(Deserialize)]
struct Step {
    verb: String,
    manager: String,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    status: bool,
    body: Value,
    code: u16,
    answer: Value,
}

fn replay(recording: &str) {
    let recording: Recording = serde_json::from_str(recording).unwrap();
    let kind = kind(&recording.kind);
    let mut live: Option<Value> = None;
    for (index, step) in recording.steps.iter().enumerate() {
        let at = format!("{}, step {}", recording.about, index + 1);
        let answer = write(&kind, live.as_ref(), step, time(index));
        if step.code >= 400 && is_for_the_registry(&step.answer) {
            continue;
        }
        match answer {
            Err(refusal) => assert_refused(&at, step, &refusal),
            Ok(object) => {
                assert!(
                    step.code < 400,
                    "{at}: accepted: {object:#}, but: {:#}",
                    step.answer
                );
                let (real, ours) = (bare(&step.answer), bare(&object));
                assert!(same(&real, &ours), "{at}\nreal: {real:#}\nours: {ours:#}");
                live = Some(object);
            }
        }
    }
}

/// The real server accepted the patch and found the object invalid.
fn is_for_the_registry(answer: &Value) -> bool {
    let message = answer["message"].as_str().unwrap();
    answer["details"].get("name").is_some() || message.contains("undeterminable")
}

fn time(index: usize) -> DateTime<Utc> {
    let start = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).unwrap();
    start + TimeDelta::minutes(i64::try_from(index).unwrap() + 1)
}

/// What the registry does around our part, as far as ownership sees it.
fn write(
    kind: &Kind,
    live: Option<&Value>,
    step: &Step,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    let manager = Manager {
        name: if step.manager.is_empty() {
            "curl"
        } else {
            &step.manager
        },
        subresource: step.status.then_some("status"),
        api_version: &kind.api_version(),
        now,
    };
    let before = live.cloned().unwrap_or_default();
    let mut new = match step.verb.as_str() {
        "apply" => apply(kind, live, &step.body, &manager, step.force)?,
        "json" => patch::json(&before, &step.body)?,
        "merge" => patch::merge(&before, &step.body)?,
        "strategic" => patch::strategic(kind, &before, &step.body)?,
        "create" | "replace" => step.body.clone(),
        other => panic!("{other}"),
    };
    normalize(kind, &mut new);
    if step.verb != "apply" {
        track(kind, live, &mut new, &manager)?;
    }
    if kind.status {
        if step.status {
            let (status, owners) = (
                new["status"].take(),
                new["metadata"]["managedFields"].take(),
            );
            new = before;
            new["status"] = status;
            new["metadata"]["managedFields"] = owners;
        } else {
            new["status"] = before.get("status").cloned().unwrap_or_default();
        }
        new.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
    }
    new["metadata"]["namespace"] = json!("default");
    new["metadata"]["name"] = json!("x");
    normalize(kind, &mut new);
    Ok(new)
}

/// What decoding does to an object: nulls and empty maps of a built-in kind go; an own kind gets its defaults.
fn normalize(kind: &Kind, object: &mut Value) {
    if kind.custom {
        prune_and_default(&kind.schema, object);
        drop_empty(&mut object["metadata"]);
    } else {
        drop_empty(object);
    }
}

fn drop_empty(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    for (name, value) in fields.iter_mut() {
        if name != "managedFields" {
            drop_empty(value);
        }
    }
    fields.retain(|name, value| {
        let owners = name == "managedFields" && !value.is_null();
        let empty = value.is_null()
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        owners || !empty
    });
}

fn prune_and_default(schema: &JSONSchemaProps, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let declared = schema.properties.iter().flatten();
            for (name, schema) in declared {
                let nullable = schema.nullable == Some(true);
                if fields.get(name).is_some_and(Value::is_null)
                    && !nullable
                    && schema.default.is_some()
                {
                    fields.remove(name);
                }
                if let (None, Some(default)) = (fields.get(name), &schema.default) {
                    fields.insert(name.clone(), default.0.clone());
                }
                if let Some(value) = fields.get_mut(name) {
                    prune_and_default(schema, value);
                }
            }
            if let Some(JSONSchemaPropsOrBool::Schema(rest)) = &schema.additional_properties {
                fields
                    .values_mut()
                    .for_each(|value| prune_and_default(rest, value));
            }
        }
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
                items
                    .iter_mut()
                    .for_each(|value| prune_and_default(item, value));
            }
        }
        _ => {}
    }
}

/// Without what the registry sets.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for name in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        metadata.remove(name);
    }
    object
}

fn assert_refused(at: &str, step: &Step, refusal: &Refusal) {
    let real = &step.answer;
    assert_eq!(refusal.code, step.code, "{at}: {refusal}, but: {real:#}");
    let ours = refusal.status();
    // The real server names managers and problems in no order.
    let lines = |status: &Value| {
        let message = status["message"].as_str().unwrap();
        let mut lines: Vec<String> = message.lines().map(str::to_owned).collect();
        if message.contains("errors:\n") {
            lines.sort();
        }
        lines
    };
    assert_eq!(lines(&ours), lines(real), "{at}");
    assert_eq!(ours.get("reason"), real.get("reason"), "{at}");
    let causes = |status: &Value| {
        let mut causes = status["details"]["causes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        causes.sort_by_key(Value::to_string);
        causes
    };
    assert_eq!(causes(&ours), causes(real), "{at}");
}

fn custom(yaml: &str) -> Kind {
    let definition: CustomResourceDefinition = serde_saphyr::from_str(yaml).unwrap();
    Kind::of(&definition, true).unwrap()
}

/// A kind of a recording.
pub(in crate::embedded) fn kind(name: &str) -> Kind {
    match name {
        "Widget" => custom(include_str!("testdata/widgets.yaml")),
        "CloneRun" => custom(include_str!("../../../crds/cloneruns.ibmiclone.dev.yaml")),
        "ConfigMap" => built_in(
            name,
            "configmaps",
            json!({
                "data": {"type": "object", "additionalProperties": {"type": "string"}},
                "binaryData": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
                "immutable": {"type": "boolean"},
            }),
        ),
        "ServiceAccount" => built_in(
            name,
            "serviceaccounts",
            json!({
                "automountServiceAccountToken": {"type": "boolean"},
                "imagePullSecrets": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {
                    "type": "object", "properties": {"name": {"type": "string"}}}},
                "secrets": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"name": {"type": "string"}}}},
            }),
        ),
        other => panic!("{other}"),
    }
}

fn built_in(name: &str, plural: &str, properties: Value) -> Kind {
    let schema = json!({"type": "object", "properties": properties});
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": plural},
        "spec": {"group": "", "scope": "Namespaced", "names": {"kind": name, "plural": plural}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]},
    }))
    .unwrap();
    Kind::of(&definition, false).unwrap()
}

#[test]
fn an_owner_of_items_owns_the_list_once_it_is_atomic() {
    let (mut kind, version) = (kind("Widget"), "test.ibmiclone.dev/v1");
    let manager = |name| Manager {
        name,
        subresource: None,
        api_version: version,
        now: time(0),
    };
    let widget = |set: Value| json!({"apiVersion": version, "kind": "Widget", "metadata": {"name": "x"}, "spec": {"set": set}});
    let before = apply(
        &kind,
        None,
        &widget(json!(["a", "b"])),
        &manager("one"),
        false,
    )
    .unwrap();
    let schema = kind
        .schema
        .properties
        .as_mut()
        .unwrap()
        .get_mut("spec")
        .unwrap();
    let set = schema.properties.as_mut().unwrap().get_mut("set").unwrap();
    set.x_kubernetes_list_type = Some("atomic".to_owned());
    let owned = |object: &Value| object["metadata"]["managedFields"][0]["fieldsV1"].clone();
    assert_eq!(
        owned(&before),
        json!({"f:spec": {"f:set": {"v:\"a\"": {}, "v:\"b\"": {}}}})
    );
    let refusal = apply(
        &kind,
        Some(&before),
        &widget(json!(["c"])),
        &manager("two"),
        false,
    );
    assert_eq!(
        refusal.unwrap_err().message,
        "Apply failed with 1 conflict: conflict with \"one\": .spec.set"
    );
    let after = apply(
        &kind,
        Some(&before),
        &widget(json!(["c"])),
        &manager("one"),
        false,
    )
    .unwrap();
    assert_eq!(after["spec"]["set"], json!(["c"]));
    assert_eq!(owned(&after), json!({"f:spec": {"f:set": {}}}));
}

#[test]
fn what_does_not_fit_the_schema_has_no_owners_and_is_left_to_validation() {
    let kind = kind("Widget");
    let mut new = json!({"metadata": {"name": "x", "managedFields": []}, "spec": {"text": 1}});
    let manager = Manager {
        name: "one",
        subresource: None,
        api_version: "test.ibmiclone.dev/v1",
        now: time(0),
    };
    track(&kind, None, &mut new, &manager).unwrap();
    assert_eq!(new, json!({"metadata": {"name": "x"}, "spec": {"text": 1}}));
}

macro_rules! replays {
    ($($name:ident: $file:literal,)*) => {$(
        #[test]
        fn $name() {
            replay(include_str!(concat!("testdata/", $file, ".json")));
        }
    )*};
}

replays! {
    two_managers_share_conflict_and_let_go: "configmap_two_managers",
    a_plain_write_owns_what_it_changes: "configmap_plain_writes",
    managed_fields_can_be_cleared_and_written: "configmap_managed_fields_by_hand",
    an_object_may_be_created_with_owners: "configmap_created_with_owners",
    the_oldest_of_many_writers_are_put_together: "configmap_many_writers",
    finalizers_are_a_set_and_owners_go_by_uid: "configmap_metadata_lists",
    an_item_that_is_stored_twice_is_owned_once: "configmap_duplicates",
    directives_of_strategic_patches_are_followed: "configmap_directives",
    json_patches_are_as_lenient_as_the_real_server: "configmap_json_patches",
    what_cannot_be_divided_is_refused: "configmap_malformed",
    empty_and_null_are_told_apart: "configmap_empties",
    kubectl_moves_from_client_side_apply: "configmap_kubectl_migration",
    the_last_applied_annotation_allows_a_takeover: "configmap_last_applied",
    a_built_in_list_by_keys_is_merged: "serviceaccount_lists",
    every_sort_of_field_has_its_owner: "widget_fields",
    lists_by_keys_are_owned_by_part: "widget_lists",
    the_order_of_sets_is_that_of_the_real_server: "widget_order",
    status_has_owners_of_its_own: "widget_status",
    defaults_belong_to_who_writes: "widget_defaults_and_nulls",
    an_edited_run_conflicts_with_who_applies: "clonerun_conflict",
}
