//! A kind that is served. All are described by CustomResourceDefinitions, also those that Kubernetes has built in, so that one
//! path leads through schema, discovery, OpenAPI and tables.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps,
};

/// One kind of one group in one version.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    /// Like `v1`.
    pub version: String,
    /// Like `CloneRun`.
    pub kind: String,
    /// Like `CloneRunList`.
    pub list_kind: String,
    /// As in paths, like `cloneruns`.
    pub plural: String,
    /// Like `clonerun`.
    pub singular: String,
    /// Like `crun`.
    pub short_names: Vec<String>,
    /// Like `ibmi`; for `kubectl get <category>`.
    pub categories: Vec<String>,
    /// False only for namespaces and definitions.
    pub namespaced: bool,
    /// Has a status subresource: the main resource ignores status, status ignores the rest.
    pub status: bool,
    /// Defined by a CustomResourceDefinition in Kubernetes too: has a generation, and no strategic merge patch.
    pub custom: bool,
    /// Of the whole object.
    pub schema: JSONSchemaProps,
    /// Columns of the table after NAME.
    pub columns: Vec<CustomResourceColumnDefinition>,
    /// JSON paths of fields that a field selector may name, beside `metadata.name` and `metadata.namespace`.
    pub selectable: Vec<String>,
}

/// A definition that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("definition {name}: {why}")]
pub struct BadDefinition {
    /// Name of the definition.
    pub name: String,
    /// What is missing.
    pub why: String,
}

impl Kind {
    /// From a definition with one served version. `custom` = it is one in Kubernetes too.
    ///
    /// # Errors
    /// No served version with a schema.
    pub fn of(definition: &CustomResourceDefinition, custom: bool) -> Result<Self, BadDefinition> {
        let bad = |why: &str| BadDefinition {
            name: definition.metadata.name.clone().unwrap_or_default(),
            why: why.to_owned(),
        };
        let spec = &definition.spec;
        let names = &spec.names;
        let version = spec.versions.iter().find(|v| v.served);
        let version = version.ok_or_else(|| bad("no version is served"))?;
        let schema = version.schema.as_ref();
        let schema = schema.and_then(|s| s.open_api_v3_schema.clone());
        let subresources = version.subresources.as_ref();
        let selectable = version.selectable_fields.iter().flatten();
        let lower = names.kind.to_lowercase();
        Ok(Self {
            group: spec.group.clone(),
            version: version.name.clone(),
            kind: names.kind.clone(),
            list_kind: (names.list_kind.clone()).unwrap_or_else(|| format!("{}List", names.kind)),
            plural: names.plural.clone(),
            singular: names.singular.clone().unwrap_or(lower),
            short_names: names.short_names.clone().unwrap_or_default(),
            categories: names.categories.clone().unwrap_or_default(),
            namespaced: spec.scope == "Namespaced",
            status: subresources.is_some_and(|s| s.status.is_some()),
            custom,
            schema: schema.ok_or_else(|| bad("the served version has no schema"))?,
            columns: version
                .additional_printer_columns
                .clone()
                .unwrap_or_default(),
            selectable: selectable.map(|f| f.json_path.clone()).collect(),
        })
    }

    /// `v1`, or `ibmiclone.dev/v1alpha1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `cloneruns.ibmiclone.dev`; the plural alone in the core group. As the real server names a resource in messages.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}
