//! One place of a schema, compiled: everything that is looked up while an object is checked.

use super::cel::Rules;
use super::formats::Format;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// JSON type that a value must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Not said.
    Any,
    /// A map or a struct.
    Object,
    /// A list.
    Array,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A whole number or a text.
    IntOrString,
}

impl Type {
    fn of(schema: &JSONSchemaProps, at: &str) -> Result<Self, String> {
        if schema.x_kubernetes_int_or_string == Some(true) {
            return Ok(Self::IntOrString);
        }
        Ok(match schema.type_.as_deref().unwrap_or_default() {
            "" => Self::Any,
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            other => return Err(format!("{at}: {other} is no type")),
        })
    }

    /// As messages name it; empty when nothing is said.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }

    /// Whether a value of JSON type `found` may stand here.
    pub fn takes(self, found: &str) -> bool {
        match self {
            Self::IntOrString => found == "integer" || found == "string",
            Self::Any
            | Self::Object
            | Self::Array
            | Self::String
            | Self::Integer
            | Self::Number
            | Self::Boolean => found == self.name(),
        }
    }
}

/// What may stand beside the declared fields.
#[derive(Debug, Default)]
pub enum Additional {
    /// Nothing is said: unknown fields are removed.
    #[default]
    Unsaid,
    /// `additionalProperties: true`.
    Any,
    /// `additionalProperties: false`.
    Forbidden,
    /// A map of this.
    Of(Box<Node>),
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Default)]
pub enum List {
    /// Replaced as a whole.
    #[default]
    Atomic,
    /// No item twice.
    Set,
    /// No two items with the same values of these fields; an item is found again by them.
    Map(Vec<String>),
}

/// Limits of a value, whatever its type.
#[derive(Debug, Default)]
pub struct Limits {
    /// Allowed values; empty = all.
    pub allowed: Vec<Value>,
    /// The value and whether it is itself too small.
    pub minimum: Option<(f64, bool)>,
    /// The value and whether it is itself too large.
    pub maximum: Option<(f64, bool)>,
    /// Factor.
    pub multiple_of: Option<f64>,
    /// In characters.
    pub length: (Option<i64>, Option<i64>),
    /// Of a list.
    pub items: (Option<i64>, Option<i64>),
    /// Of an object.
    pub properties: (Option<i64>, Option<i64>),
    /// As written and compiled.
    pub pattern: Option<(String, Regex)>,
}

/// A declared field.
#[derive(Debug)]
pub struct Property {
    /// As CEL names it.
    pub cel_name: String,
    /// Its schema.
    pub node: Node,
}

/// One place of a schema.
#[derive(Debug)]
pub struct Node {
    /// JSON type.
    pub type_: Type,
    /// Only formats that are looked at.
    pub format: Option<Format>,
    /// Null is a value.
    pub nullable: bool,
    /// Taken where nothing is written.
    pub default: Option<Value>,
    /// Declared fields.
    pub properties: BTreeMap<String, Property>,
    /// Beside them.
    pub additional: Additional,
    /// Of a list.
    pub items: Option<Box<Node>>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// Unknown fields stay.
    pub preserve: bool,
    /// An object of its own, with apiVersion, kind and metadata.
    pub embedded: bool,
    /// How items are told apart.
    pub list: List,
    /// Limits of the value.
    pub limits: Limits,
    /// All of these too.
    pub all_of: Vec<Node>,
    /// One of these, and only one.
    pub one_of: Vec<Node>,
    /// One of these at least.
    pub any_of: Vec<Node>,
    /// Not this.
    pub not: Option<Box<Node>>,
    /// CEL rules of this place.
    pub rules: Rules,
    /// Rules here or below.
    pub has_rules: bool,
    /// Set for the root of a kind with a status subresource.
    pub status_apart: bool,
    /// Sets or maps among the lists here or below.
    pub has_keyed_lists: bool,
    /// Embedded objects here or below.
    pub has_embedded: bool,
}

impl Node {
    /// Compiles a schema; `at` is said in errors.
    ///
    /// # Errors
    /// What cannot be honoured is refused here and not ignored later.
    pub fn new(schema: &JSONSchemaProps, at: &str) -> Result<Self, String> {
        refuse(schema, at)?;
        let type_ = Type::of(schema, at)?;
        let mut properties = BTreeMap::new();
        for (name, below) in schema.properties.iter().flatten() {
            let node = Self::new(below, &format!("{at}.{name}"))?;
            let cel_name = super::cel::escaped(name);
            properties.insert(name.clone(), Property { cel_name, node });
        }
        let mut node = Self {
            type_,
            format: Format::of(type_, schema.format.as_deref(), at)?,
            nullable: schema.nullable == Some(true),
            default: schema.default.as_ref().map(|d| d.0.clone()),
            properties,
            additional: additional(schema, at)?,
            items: items(schema, at)?,
            required: schema.required.clone().unwrap_or_default(),
            preserve: schema.x_kubernetes_preserve_unknown_fields == Some(true),
            embedded: schema.x_kubernetes_embedded_resource == Some(true),
            list: list(schema, at)?,
            limits: limits(schema, at)?,
            all_of: several(schema.all_of.as_deref(), at)?,
            one_of: several(schema.one_of.as_deref(), at)?,
            any_of: several(schema.any_of.as_deref(), at)?,
            not: schema
                .not
                .as_ref()
                .map(|n| Self::new(n, at).map(Box::new))
                .transpose()?,
            rules: Rules::default(),
            has_rules: false,
            status_apart: false,
            has_keyed_lists: false,
            has_embedded: false,
        };
        node.rules = Rules::new(schema, &node, at)?;
        node.sum_up();
        if node.branches().any(|b| b.has_rules) {
            return Err(format!(
                "{at}: rules inside allOf, anyOf, oneOf or not are not supported"
            ));
        }
        Ok(node)
    }

    /// What is at or below this place, so that a walk can leave out the rest.
    pub fn sum_up(&mut self) {
        self.has_rules = !self.rules.is_empty() || self.below().any(|n| n.has_rules);
        let keyed = matches!(self.list, List::Set | List::Map(_));
        self.has_keyed_lists = keyed || self.below().any(|n| n.has_keyed_lists);
        self.has_embedded = self.embedded || self.below().any(|n| n.has_embedded);
    }

    fn below(&self) -> impl Iterator<Item = &Node> {
        let map = match &self.additional {
            Additional::Of(node) => Some(node.as_ref()),
            Additional::Unsaid | Additional::Any | Additional::Forbidden => None,
        };
        let fields = self.properties.values().map(|p| &p.node);
        fields.chain(map).chain(self.items.as_deref())
    }

    fn branches(&self) -> impl Iterator<Item = &Node> {
        let lists = self.all_of.iter().chain(&self.one_of).chain(&self.any_of);
        lists.chain(self.not.as_deref())
    }

    /// Schema of a field or of a map's value.
    pub fn child(&self, key: &str) -> Option<&Node> {
        match (self.properties.get(key), &self.additional) {
            (Some(property), _) => Some(&property.node),
            (None, Additional::Of(node)) => Some(node),
            (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => None,
        }
    }

    /// The item of an old list that is the same as `item` by the keys of the list; none where items have no identity.
    pub fn counterpart<'a>(&self, item: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
        let List::Map(keys) = &self.list else {
            return None;
        };
        let same = |other: &&Value| {
            keys.iter().all(|key| {
                let (mine, theirs) = (item.get(key), other.get(key));
                mine.is_some_and(is_scalar) && mine == theirs
            })
        };
        old?.as_array()?.iter().find(same)
    }
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn refuse(schema: &JSONSchemaProps, at: &str) -> Result<(), String> {
    let unsupported = [
        ("$ref", schema.ref_path.is_some()),
        ("patternProperties", schema.pattern_properties.is_some()),
        ("dependencies", schema.dependencies.is_some()),
        ("definitions", schema.definitions.is_some()),
        ("additionalItems", schema.additional_items.is_some()),
        ("uniqueItems", schema.unique_items == Some(true)),
    ];
    // The real server takes none of these in a definition either.
    match unsupported.iter().find(|(_, present)| *present) {
        Some((what, _)) => Err(format!("{at}: {what} is not supported in a schema")),
        None => Ok(()),
    }
}

fn several(schemas: Option<&[JSONSchemaProps]>, at: &str) -> Result<Vec<Node>, String> {
    schemas
        .unwrap_or_default()
        .iter()
        .map(|s| Node::new(s, at))
        .collect()
}

fn additional(schema: &JSONSchemaProps, at: &str) -> Result<Additional, String> {
    Ok(match &schema.additional_properties {
        None => Additional::Unsaid,
        Some(JSONSchemaPropsOrBool::Bool(true)) => Additional::Any,
        Some(JSONSchemaPropsOrBool::Bool(false)) => Additional::Forbidden,
        Some(JSONSchemaPropsOrBool::Schema(below)) => {
            Additional::Of(Box::new(Node::new(below, &format!("{at}[*]"))?))
        }
    })
}

fn items(schema: &JSONSchemaProps, at: &str) -> Result<Option<Box<Node>>, String> {
    match &schema.items {
        None => Ok(None),
        Some(JSONSchemaPropsOrArray::Schema(below)) => {
            Ok(Some(Box::new(Node::new(below, &format!("{at}[]"))?)))
        }
        Some(JSONSchemaPropsOrArray::Schemas(_)) => Err(format!(
            "{at}: a list of schemas for items is not supported"
        )),
    }
}

fn list(schema: &JSONSchemaProps, at: &str) -> Result<List, String> {
    let keys = schema.x_kubernetes_list_map_keys.clone();
    Ok(match schema.x_kubernetes_list_type.as_deref() {
        None | Some("atomic") => List::Atomic,
        Some("set") => List::Set,
        Some("map") => List::Map(keys.unwrap_or_default()),
        Some(other) => return Err(format!("{at}: {other} is no type of a list")),
    })
}

fn limits(schema: &JSONSchemaProps, at: &str) -> Result<Limits, String> {
    let pattern = schema.pattern.as_deref().filter(|p| !p.is_empty());
    let pattern = match pattern {
        Some(text) => Some((
            text.to_owned(),
            super::formats::regex(text).map_err(|e| format!("{at}: pattern: {e}"))?,
        )),
        None => None,
    };
    let values = schema.enum_.iter().flatten();
    Ok(Limits {
        allowed: values.map(|JSON(value)| value.clone()).collect(),
        minimum: schema
            .minimum
            .map(|m| (m, schema.exclusive_minimum == Some(true))),
        maximum: schema
            .maximum
            .map(|m| (m, schema.exclusive_maximum == Some(true))),
        multiple_of: schema.multiple_of,
        length: (schema.min_length, schema.max_length),
        items: (schema.min_items, schema.max_items),
        properties: (schema.min_properties, schema.max_properties),
        pattern,
    })
}
