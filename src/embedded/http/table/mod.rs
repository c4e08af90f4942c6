//! Objects as rows: what `kubectl get` prints (`kubernetes-api.md` § 4 row 14). The columns of kinds that Kubernetes has built in
//! are its own, those of the others are in their definitions.

mod built_in;
mod column;
mod path;

#[cfg(test)]
pub use path::Path;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::negotiate::MetaVersion;
use super::partial;
use super::query::Query;
use super::texts;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::Listed;
use crate::embedded::sparse::Fields;

use column::Column;

/// What of an object goes with its row: parameter `includeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata; also when nothing is said.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// From the query.
    ///
    /// # Errors
    /// 400 for any other word.
    pub fn of(query: &Query) -> Result<Self, Refusal> {
        match query.get("includeObject").unwrap_or_default() {
            "None" => Ok(Self::None),
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            other => Err(texts::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty",
                Value::from(other)
            ))),
        }
    }
}

/// The columns of a kind.
pub struct Columns {
    columns: Vec<Column>,
    /// What the cells are made of; none: of all fields.
    looks: Option<Fields>,
}

/// A form of answer: which version, and what goes with each row.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Of group meta.k8s.io.
    pub version: MetaVersion,
    /// With each row.
    pub include: Include,
}

/// Whether a table says what its columns are: of the tables of a watch only the first one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definitions {
    /// It does.
    Told,
    /// It does not.
    Left,
}

impl Columns {
    /// Of a kind.
    pub fn of(kind: &Kind) -> Self {
        let columns = column::of_kind(kind);
        let mut fields = Fields::default();
        let paths = columns.iter().all(|c| c.looks(&mut fields));
        Self {
            columns,
            looks: paths.then_some(fields),
        }
    }

    /// A table of one object.
    pub fn object(
        &self,
        object: Value,
        form: Form,
        definitions: Definitions,
        now: DateTime<Utc>,
    ) -> Value {
        let version = object.pointer("/metadata/resourceVersion").cloned();
        let metadata = json!({"resourceVersion": version});
        self.table(metadata, vec![object], form, definitions, now)
    }

    /// A table of a list.
    pub fn list(&self, listed: Listed, form: Form, now: DateTime<Utc>) -> Value {
        let metadata = super::resources::list_metadata(&listed);
        self.table(metadata, listed.items, form, Definitions::Told, now)
    }

    /// For `columnDefinitions`.
    pub fn definitions(&self) -> Value {
        self.columns.iter().map(Column::definition).collect()
    }

    /// Of the fields of an object, those that [`Columns::cells`] needs; none: all of them.
    pub fn looks(&self) -> Option<&Fields> {
        self.looks.as_ref()
    }

    /// The cells of an object's row.
    pub fn cells(&self, object: &Value, now: DateTime<Utc>) -> Vec<Value> {
        self.columns.iter().map(|c| c.cell(object, now)).collect()
    }

    fn table(
        &self,
        metadata: Value,
        objects: Vec<Value>,
        form: Form,
        definitions: Definitions,
        now: DateTime<Utc>,
    ) -> Value {
        let rows: Vec<Value> = objects
            .into_iter()
            .map(|o| self.row(o, form, now))
            .collect();
        let definitions: Value = match definitions {
            Definitions::Told => self.definitions(),
            // As the real server writes it, and kubectl keeps those it has.
            Definitions::Left => Value::Null,
        };
        json!({
            "kind": "Table",
            "apiVersion": form.version.api_version(),
            "metadata": metadata,
            "columnDefinitions": definitions,
            "rows": rows,
        })
    }

    /// The row of an object.
    pub fn row(&self, object: Value, form: Form, now: DateTime<Utc>) -> Value {
        let cells = self.cells(&object, now);
        let object = match form.include {
            Include::None => Value::Null,
            Include::Metadata => partial::object(object, form.version),
            Include::Object => object,
        };
        json!({"cells": cells, "object": object})
    }
}
