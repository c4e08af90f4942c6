//! One column: what it is called and what stands in it.

use chrono::{DateTime, Utc};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::{Value, json};

use super::built_in;
use super::path::Path;
use crate::embedded::kind::Kind;
use crate::embedded::kinds::{Cell, age, name_column};
use crate::embedded::sparse::Fields;

/// Of every kind's first column.
pub const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
/// Of the column with the age.
pub const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// A column.
pub struct Column {
    name: String,
    /// Like `string`, `integer`, `date`.
    kind: String,
    /// `name` for the column with the name.
    format: String,
    description: String,
    /// 0 = always shown, above = with `-o wide`.
    priority: i32,
    content: Content,
}

/// What stands in a column.
enum Content {
    /// What a path leads to, by the type of the column. None: a path that this server does not know, so the column is empty.
    Path(Option<Path>),
    /// The text that a path of a built-in kind leads to; such a kind has no nulls.
    Text(Option<Path>),
    /// How old an object of a built-in kind is.
    Age(Option<Path>),
    /// Something that is worked out.
    Cell(Cell),
}

impl Column {
    /// For `columnDefinitions`.
    pub fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    /// Adds the fields of an object that the cell is made of. False: it may look at all of them.
    pub fn looks(&self, fields: &mut Fields) -> bool {
        match &self.content {
            Content::Cell(_) => false,
            Content::Path(path) | Content::Text(path) | Content::Age(path) => {
                if let Some(path) = path {
                    fields.want(path.fields());
                }
                true
            }
        }
    }

    /// The cell of an object.
    pub fn cell(&self, object: &Value, now: DateTime<Utc>) -> Value {
        let first = |path: &Option<Path>| path.as_ref().and_then(|p| p.first(object)).cloned();
        let text = |path| {
            first(path)
                .as_ref()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        match &self.content {
            Content::Cell(cell) => cell.value(object, now),
            Content::Path(path) => {
                first(path).map_or(Value::Null, |value| typed(&self.kind, &value, now))
            }
            Content::Text(path) => text(path).into(),
            Content::Age(path) => age::since(&text(path), now)
                .unwrap_or_else(|| "<unknown>".to_owned())
                .into(),
        }
    }
}

/// The columns of a kind: the name, then its own; one of a definition without any has the age.
pub fn of_kind(kind: &Kind) -> Vec<Column> {
    let mut columns = Vec::new();
    if name_column(kind) {
        columns.push(name());
    }
    if kind.custom && kind.columns.is_empty() {
        columns.push(Column {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: CREATED.to_owned(),
            priority: 0,
            content: Content::Path(Path::parse(".metadata.creationTimestamp")),
        });
    }
    let own = if kind.custom {
        of_definition
    } else {
        of_built_in
    };
    columns.extend(kind.columns.iter().map(|c| own(kind, c)));
    columns
}

/// The column that nearly every kind has.
fn name() -> Column {
    Column {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        description: NAME.to_owned(),
        priority: 0,
        content: Content::Text(Path::parse(".metadata.name")),
    }
}

fn of_definition(_: &Kind, column: &CustomResourceColumnDefinition) -> Column {
    let description = column.description.clone().filter(|d| !d.is_empty());
    let of_path = || {
        format!(
            "Custom resource definition column (in JSONPath format): {}",
            column.json_path
        )
    };
    Column {
        name: column.name.clone(),
        kind: column.type_.clone(),
        format: column.format.clone().unwrap_or_default(),
        description: description.unwrap_or_else(of_path),
        priority: column.priority.unwrap_or_default(),
        content: Content::Path(Path::parse(&column.json_path)),
    }
}

fn of_built_in(kind: &Kind, column: &CustomResourceColumnDefinition) -> Column {
    let path = || Path::parse(&column.json_path);
    let age = column.name == "Age";
    let content = match Cell::of(&column.json_path) {
        Some(cell) => Content::Cell(cell),
        None if age => Content::Age(path()),
        None => Content::Text(path()),
    };
    let format = if column.name == "Name" { "name" } else { "" };
    Column {
        name: column.name.clone(),
        // The real server works ages out itself and sends them as text.
        kind: if age {
            "string".to_owned()
        } else {
            column.type_.clone()
        },
        format: format.to_owned(),
        description: built_in::description(&kind.kind, &column.name).to_owned(),
        priority: column.priority.unwrap_or_default(),
        content,
    }
}

/// A value in a column of a type; null where it does not fit.
fn typed(kind: &str, value: &Value, now: DateTime<Utc>) -> Value {
    let cell = match kind {
        "integer" => {
            // Cut, not rounded, as Go converts.
            let cut = |n: f64| Value::from(n as i64);
            value
                .as_i64()
                .map(Value::from)
                .or_else(|| value.as_f64().map(cut))
        }
        "number" => value.as_f64().map(|_| value.clone()),
        "boolean" => value.as_bool().map(Value::from),
        "string" => Some(Value::from(printed(value))),
        "date" => value.as_str().map(|t| {
            age::since(t, now)
                .unwrap_or_else(|| "<invalid>".to_owned())
                .into()
        }),
        _ => None,
    };
    cell.unwrap_or_default()
}

fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<no value>".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
