//! The two kinds of `ibmiclone.dev/v1alpha1`, their rules and the words shared by both. No I/O, no clock.
//!
//! The schema holds only what this version honours: an unknown field is refused by strict validation, never ignored.

pub mod clone_side;
pub mod devices;
pub mod environment;
pub mod options;
pub mod run;
pub mod saves;
pub mod schedule;
pub mod surroundings;

pub use environment::{CloneEnvironment, CloneEnvironmentSpec, CloneEnvironmentStatus};
pub use run::{CloneRun, CloneRunSpec, CloneRunStatus};

use chrono::{DateTime, Utc};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{CustomResourceExt, ResourceExt};
use serde_json::Value;

/// API group of both kinds.
pub const GROUP: &str = "ibmiclone.dev";
/// Annotation on an environment: pinned partition UUIDs as JSON (`product.md` § 2).
pub const PINS_ANNOTATION: &str = "ibmiclone.dev/pins";
/// Annotation on a run: the UID of the object that was opened (`product.md` § 3).
pub const OPENED_ANNOTATION: &str = "ibmiclone.dev/opened";
/// Label on a run: its number within the environment.
pub const NUMBER_LABEL: &str = "ibmiclone.dev/number";
/// Label on a run: name of its environment.
pub const ENVIRONMENT_LABEL: &str = "ibmiclone.dev/environment";
/// Label on a run: its final phase.
pub const OUTCOME_LABEL: &str = "ibmiclone.dev/outcome";
/// Annotation on a finished run whose image the operator ends by itself: when it looks at it next, RFC 3339. It is a
/// reminder and no order: what is due is told by the status.
pub const ENDS_ANNOTATION: &str = "ibmiclone.dev/image-ends";
/// Annotation on what was imported: when the object it was exported from was created, RFC 3339. It decides the order of the
/// history and what is archived first, and nothing else.
pub const CREATED_ANNOTATION: &str = "ibmiclone.dev/created";
/// Annotation on what was imported: the id of the export, so that an import that was interrupted knows its own work.
pub const IMPORT_ANNOTATION: &str = "ibmiclone.dev/import";
/// Label a Secret must carry with value `true`.
pub const CREDENTIALS_LABEL: &str = "ibmiclone.dev/credentials";
/// Finalizer of a run, from before the first effect until right after the verdict.
pub const FINALIZER: &str = "ibmiclone.dev/run";
/// Field manager of everything we write.
pub const FIELD_MANAGER: &str = "ibmi-clone-operator";

/// When an object was created; of what was imported, when that was created elsewhere. For the order of rows only: how long an
/// object has been here is told by its `creationTimestamp`.
pub fn created_at(object: &impl ResourceExt) -> Option<DateTime<Utc>> {
    let note = object.annotations().get(CREATED_ANNOTATION);
    let noted = note.and_then(|text| text.parse().ok());
    noted.or_else(|| {
        let seconds = object.creation_timestamp()?.0.as_second();
        DateTime::from_timestamp(seconds, 0)
    })
}

/// Both definitions as `(file name, YAML)`, as the command `crd` prints them and `crds/` keeps them.
///
/// Bounds are written as whole numbers: the schema generator gives `1.0`, which reads badly in a diff.
pub fn crds() -> Vec<(String, String)> {
    [CloneEnvironment::crd(), CloneRun::crd()]
        .iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.metadata.name.as_deref().unwrap_or_default());
            (name, yaml(crd))
        })
        .collect()
}

fn yaml(crd: &CustomResourceDefinition) -> String {
    // Both conversions are of a type that is made of maps, lists and scalars only; the test on `crds/` would see it.
    let value = serde_json::to_value(crd).unwrap_or_default();
    serde_saphyr::to_string(&whole_numbers(value)).unwrap_or_default()
}

fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(n) => match n.as_f64() {
            Some(f) if n.is_f64() && f.fract() == 0.0 && f.abs() < 1e15 => Value::from(f as i64),
            Some(_) | None => Value::Number(n),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(k, v)| (k, whole_numbers(v)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn definitions_in_the_tree_are_the_generated_ones() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        for (name, yaml) in super::crds() {
            let path = directory.join(&name);
            if std::env::var_os("UPDATE_CRDS").is_some() {
                std::fs::write(&path, &yaml).expect("crds/ is writable");
            }
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                kept == yaml,
                "{name} differs from the code: `make crds` writes it anew"
            );
        }
    }
}
