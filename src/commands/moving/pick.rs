//! What of an object goes into an export. What would act where it goes, and what only its old server or whoever manages it there
//! has a use for, does not.

use super::ToBeMade;
use crate::api::environment::CloneEnvironmentStatus;
use crate::api::{
    CREATED_ANNOTATION, CloneEnvironment, CloneRun, CloneRunStatus, ENDS_ANNOTATION,
    ENVIRONMENT_LABEL, IMPORT_ANNOTATION, OPENED_ANNOTATION, OUTCOME_LABEL, PINS_ANNOTATION,
    created_at,
};
use crate::controllers::environment::pins;
use crate::controllers::run::status::phase_word;
use chrono::SecondsFormat;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Labels and annotations that begin so belong to tools, which would prune an object that they find marked as theirs.
const OF_TOOLS: [&str; 8] = [
    "ibmiclone.dev/manifest",
    "kubectl.kubernetes.io/",
    "app.kubernetes.io/managed-by",
    "meta.helm.sh/",
    "helm.sh/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
];
/// Fields of a run's spec by which a person makes it do something.
pub(super) const ACTS: [&str; 5] = [
    "cancel",
    "resumedByHand",
    "releaseBackups",
    "forceDelete",
    "replies",
];

/// Whether schedules go on where they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schedules {
    /// Every environment is paused.
    Paused,
    /// As they are.
    Kept,
}

/// An environment with what it knows of its runs.
pub(super) fn environment(
    object: &CloneEnvironment,
    number: i64,
    schedules: Schedules,
) -> Result<Value, serde_json::Error> {
    let mut metadata = metadata(object);
    // Its number behind device names is reserved by a Lease, and may be another's where it goes.
    let mut facts = pins::facts(object);
    facts.remove(pins::DEVICE_NUMBER);
    if let Some(notes) = &mut metadata.annotations {
        notes.remove(PINS_ANNOTATION);
        if !facts.is_empty() {
            notes.insert(PINS_ANNOTATION.to_owned(), serde_json::to_string(&facts)?);
        }
    }
    let mut spec = object.spec.clone();
    spec.suspend |= schedules == Schedules::Paused;
    let known = object.status.clone().unwrap_or_default();
    let mut conditions = known.conditions;
    conditions.retain(|c| c.type_ == "LastRunSucceeded");
    let status = CloneEnvironmentStatus {
        conditions,
        missed_count: known.missed_count,
        last_run: known.last_run,
        last_success_time: known.last_success_time,
        last_failure_time: known.last_failure_time,
        consecutive_failures: known.consecutive_failures,
        last_run_number: number,
        ..CloneEnvironmentStatus::default()
    };
    document::<CloneEnvironment>(
        &metadata,
        [("spec", value(&spec)?), ("status", value(&status)?)],
    )
}

/// A finished run as a row: it executes nowhere.
pub(super) fn run(object: &CloneRun, status: &CloneRunStatus) -> Result<Value, serde_json::Error> {
    let mut metadata = metadata(object);
    let uid = object.uid().unwrap_or_default();
    // Of a row that was imported already the first name stays: the archive knows it by that.
    let imported = object.spec.imported.clone();
    let origin = imported.map_or(uid, |imported| imported.uid);
    let notes = metadata.annotations.get_or_insert_default();
    notes.remove(ENDS_ANNOTATION);
    notes.insert(OPENED_ANNOTATION.to_owned(), origin.clone());
    let labels = metadata.labels.get_or_insert_default();
    let outcome = phase_word(status.phase).to_owned();
    labels.insert(OUTCOME_LABEL.to_owned(), outcome);
    let environment = object.spec.environment.clone();
    labels.insert(ENVIRONMENT_LABEL.to_owned(), environment);
    metadata.generate_name = object.metadata.generate_name.clone();
    metadata.owner_references = owners::<CloneEnvironment>(object);
    let mut spec = value(&object.spec)?;
    if let Some(fields) = spec.as_object_mut() {
        ACTS.iter().for_each(|field| drop(fields.remove(*field)));
        fields.insert("imported".to_owned(), json!({"uid": origin}));
    }
    let mut status = value(status)?;
    // Of an object that is new.
    status["observedGeneration"] = json!(1);
    document::<CloneRun>(&metadata, [("spec", spec), ("status", status)])
}

/// An archive, or a part of a log.
pub(super) fn config_map(object: &ConfigMap) -> Result<Value, serde_json::Error> {
    let mut metadata = metadata(object);
    metadata.owner_references = owners::<CloneRun>(object);
    let mut fields = Vec::new();
    if let Some(data) = &object.binary_data {
        fields.push(("binaryData", value(data)?));
    }
    if let Some(immutable) = object.immutable {
        fields.push(("immutable", json!(immutable)));
    }
    document::<ConfigMap>(&metadata, fields)
}

fn value(content: &impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(content)
}

fn document<K: Resource<DynamicType = ()>>(
    metadata: &ObjectMeta,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) -> Result<Value, serde_json::Error> {
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), K::api_version(&()).into());
    object.insert("kind".to_owned(), K::kind(&()).into());
    object.insert("metadata".to_owned(), value(metadata)?);
    object.extend(fields.into_iter().map(|(name, v)| (name.to_owned(), v)));
    Ok(Value::Object(object))
}

/// Name, namespace, UID, labels, annotations, and when it was created.
fn metadata(object: &impl ResourceExt) -> ObjectMeta {
    let mut notes = of_people(object.annotations());
    notes.remove(IMPORT_ANNOTATION);
    if let Some(created) = created_at(object) {
        let created = created.to_rfc3339_opts(SecondsFormat::Secs, true);
        notes.insert(CREATED_ANNOTATION.to_owned(), created);
    }
    ObjectMeta {
        name: Some(object.name_any()),
        namespace: object.namespace(),
        uid: object.uid(),
        labels: Some(of_people(object.labels())),
        annotations: Some(notes),
        ..ObjectMeta::default()
    }
}

fn of_people(notes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut kept = notes.clone();
    kept.retain(|key, _| !OF_TOOLS.iter().any(|tool| key.starts_with(tool)));
    kept
}

/// Owners of our own kind.
fn owners<K: Resource<DynamicType = ()>>(
    object: &impl ResourceExt,
) -> Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>> {
    let mut owners = object.owner_references().to_vec();
    owners.retain(|o| o.kind == K::kind(&()) && o.api_version == K::api_version(&()));
    (!owners.is_empty()).then_some(owners)
}

/// Secrets and ConfigMaps that a spec names: `credentials: { name }`, `caBundle: { name }`.
pub(super) fn referred(namespace: &str, spec: &Value, found: &mut ToBeMade) {
    match spec {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let name = inner["name"].as_str();
                let full = name.map(|name| format!("{namespace}/{name}"));
                match (key.as_str(), full) {
                    ("credentials", Some(full)) => drop(found.secrets.insert(full)),
                    ("caBundle", Some(full)) => drop(found.config_maps.insert(full)),
                    (_, _) => referred(namespace, inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|i| referred(namespace, i, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
