//! The kinds that Kubernetes has built in and the embedded API serves: their schemas (of k8s-openapi, so that they are those of
//! Kubernetes), names, columns, and what the real server does with them in code.

pub mod age;
mod cells;
mod check;
mod events;
mod schemas;
#[cfg(test)]
mod tests;
mod write;

pub use cells::{Cell, name_column};
pub use check::check;
pub use write::complete;

use super::kind::Kind;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, JSONSchemaProps,
};

/// All of them. Of events there are two: the registry keeps one and shows it as the other.
///
/// # Errors
/// Never: schemas are fixed, and read by a test.
pub fn builtin() -> Result<Vec<Kind>, String> {
    let age = || column("Age", ".metadata.creationTimestamp", Some("date"), 0);
    let events = [
        column("Last Seen", "{last-seen}", None, 0),
        column("Type", ".type", None, 0),
        column("Reason", ".reason", None, 0),
        column("Object", "{event-object}", None, 0),
        column("Subobject", "{event-subobject}", None, 1),
        column("Source", "{event-source}", None, 1),
        column("Message", "{event-message}", None, 0),
        column("First Seen", "{first-seen}", None, 1),
        column("Count", "{event-count}", None, 1),
        column("Name", ".metadata.name", None, 1),
    ];
    let regarding = |prefix: &str| -> Vec<String> {
        let fields = [
            "kind",
            "namespace",
            "name",
            "uid",
            "apiVersion",
            "resourceVersion",
            "fieldPath",
        ];
        let mut all: Vec<String> = fields.iter().map(|f| format!(".{prefix}.{f}")).collect();
        all.extend([".reason".to_owned(), ".type".to_owned()]);
        all
    };
    let kinds = [
        Plain {
            columns: vec![column("Data", "{data}", None, 0), age()],
            short_names: &["cm"],
            ..Plain::new("", "ConfigMap", "configmaps", schemas::config_map()?)
        },
        Plain {
            columns: vec![
                column("Type", ".type", None, 0),
                column("Data", "{data}", None, 0),
                age(),
            ],
            selectable: vec![".type".to_owned()],
            ..Plain::new("", "Secret", "secrets", schemas::secret()?)
        },
        Plain {
            columns: events.to_vec(),
            short_names: &["ev"],
            selectable: [
                regarding("involvedObject"),
                vec![
                    ".reportingComponent".to_owned(),
                    ".source.component".to_owned(),
                ],
            ]
            .concat(),
            ..Plain::new("", "Event", "events", schemas::core_event()?)
        },
        Plain {
            columns: events.to_vec(),
            short_names: &["ev"],
            selectable: [
                regarding("regarding"),
                vec![".reportingController".to_owned()],
            ]
            .concat(),
            ..Plain::new("events.k8s.io", "Event", "events", schemas::event()?)
        },
        Plain {
            columns: vec![column("Holder", ".spec.holderIdentity", None, 0), age()],
            ..Plain::new("coordination.k8s.io", "Lease", "leases", schemas::lease()?)
        },
        Plain {
            columns: vec![column("Status", ".status.phase", None, 0), age()],
            short_names: &["ns"],
            namespaced: false,
            status: true,
            selectable: vec![".status.phase".to_owned()],
            ..Plain::new("", "Namespace", "namespaces", schemas::namespace()?)
        },
        Plain {
            columns: vec![age()],
            short_names: &["sa"],
            ..Plain::new(
                "",
                "ServiceAccount",
                "serviceaccounts",
                schemas::service_account()?,
            )
        },
        Plain {
            columns: vec![column("Created At", "{created-at}", Some("date"), 0)],
            short_names: &["crd", "crds"],
            categories: &["api-extensions"],
            namespaced: false,
            status: true,
            ..Plain::new(
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                "customresourcedefinitions",
                schemas::definition()?,
            )
        },
    ];
    Ok(kinds.into_iter().map(Plain::kind).collect())
}

/// What differs between these kinds.
struct Plain {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    status: bool,
    schema: JSONSchemaProps,
    columns: Vec<CustomResourceColumnDefinition>,
    selectable: Vec<String>,
}

impl Plain {
    fn new(
        group: &'static str,
        kind: &'static str,
        plural: &'static str,
        schema: JSONSchemaProps,
    ) -> Self {
        Self {
            group,
            kind,
            plural,
            short_names: &[],
            categories: &[],
            namespaced: true,
            status: false,
            schema,
            columns: Vec::new(),
            selectable: Vec::new(),
        }
    }

    fn kind(self) -> Kind {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Kind {
            group: self.group.to_owned(),
            version: "v1".to_owned(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            namespaced: self.namespaced,
            status: self.status,
            custom: false,
            schema: self.schema,
            columns: self.columns,
            selectable: self.selectable,
        }
    }
}

fn column(
    name: &str,
    json_path: &str,
    type_: Option<&str>,
    priority: i32,
) -> CustomResourceColumnDefinition {
    CustomResourceColumnDefinition {
        name: name.to_owned(),
        json_path: json_path.to_owned(),
        type_: type_.unwrap_or("string").to_owned(),
        priority: Some(priority),
        ..CustomResourceColumnDefinition::default()
    }
}

/// The Go struct behind a field, as the real server names it where it cannot read one.
pub fn structure(holder: &str, field: &str) -> String {
    match field {
        "metadata" => "ObjectMeta".to_owned(),
        "ownerReferences" => "OwnerReference".to_owned(),
        "managedFields" => "ManagedFieldsEntry".to_owned(),
        "involvedObject" | "regarding" | "related" | "secrets" => "ObjectReference".to_owned(),
        "imagePullSecrets" => "LocalObjectReference".to_owned(),
        "series" => "EventSeries".to_owned(),
        "source" | "deprecatedSource" => "EventSource".to_owned(),
        "conditions" => format!("{}Condition", holder.trim_end_matches("Status")),
        "spec" => format!("{holder}Spec"),
        "status" => format!("{holder}Status"),
        _ => holder.to_owned(),
    }
}

/// The Go type of a text, where it has a name of its own.
pub fn text_type(holder: &str, path: &str) -> Option<&'static str> {
    match (holder, path) {
        ("Secret", "type") => Some("v1.SecretType"),
        ("NamespaceSpec", "spec.finalizers") => Some("v1.FinalizerName"),
        (_, path) if path.rsplit('.').next() == Some("uid") => Some("types.UID"),
        _ => None,
    }
}

/// Whether a field is a time with microseconds.
pub fn is_micro_time(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    ["acquireTime", "renewTime", "eventTime", "lastObservedTime"].contains(&last)
}
