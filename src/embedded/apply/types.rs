//! What a place in an object may hold, as far as ownership of its parts is concerned. Read from the schema when it is asked
//! for: nothing is prepared, so nothing goes stale.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use super::step::Step;

/// What a place may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type<'a> {
    /// What the schema says.
    Schema(Schema<'a>),
    /// No schema: maps are merged, lists are replaced.
    Deduced,
    /// No schema, inside of a list: replaced as a whole.
    Untyped,
}

/// A schema where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'a> {
    schema: &'a JSONSchemaProps,
    /// Here or above, unknown fields are kept.
    preserve: bool,
    /// A whole object: with kind, version and metadata, whatever the schema says of them.
    object: bool,
}

/// What a value at a place is taken for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    Map(MapType<'a>),
    Scalar(Scalar),
    List(ListType<'a>),
}

/// A value without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Number,
    Text,
    Truth,
    Any,
}

/// A map, or a structure with declared fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapType<'a> {
    of: Option<Schema<'a>>,
    /// What a field may hold that is not declared. `None`: there may be none.
    rest: Option<Type<'a>>,
    /// Owned and replaced as a whole.
    pub atomic: bool,
}

/// A list.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListType<'a> {
    pub relation: Relation<'a>,
    pub item: Type<'a>,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, Copy)]
pub(super) enum Relation<'a> {
    /// Not at all: the list is owned and replaced as a whole.
    Atomic,
    /// Each value once.
    Set,
    /// By these fields.
    Keyed(&'a [String]),
}

impl<'a> Type<'a> {
    /// Of a whole object.
    pub fn object(schema: &'a JSONSchemaProps) -> Self {
        Self::Schema(Schema {
            schema,
            preserve: schema.x_kubernetes_preserve_unknown_fields == Some(true),
            object: true,
        })
    }

    fn inner(schema: &'a JSONSchemaProps, preserve: bool) -> Self {
        Self::Schema(Schema {
            schema,
            preserve: preserve || schema.x_kubernetes_preserve_unknown_fields == Some(true),
            object: schema.x_kubernetes_embedded_resource == Some(true),
        })
    }

    /// What a value here is taken for: itself where that is allowed, otherwise the first of map, scalar and list that is.
    pub fn shape(self, value: Option<&Value>) -> Shape<'a> {
        let own = match value {
            Some(Value::Object(_)) => self.as_map(),
            Some(Value::Array(_)) => self.as_list(),
            Some(Value::Null) | None => None,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => self.as_scalar(),
        };
        own.or_else(|| self.as_map())
            .or_else(|| self.as_scalar())
            .or_else(|| self.as_list())
            .unwrap_or(Shape::Scalar(Scalar::Any))
    }

    /// As a map, where one may stand here.
    pub fn as_map(self) -> Option<Shape<'a>> {
        Some(Shape::Map(match self {
            Self::Schema(of) => of.map()?,
            Self::Deduced => MapType {
                of: None,
                rest: Some(Self::Deduced),
                atomic: false,
            },
            Self::Untyped => MapType {
                of: None,
                rest: Some(Self::Untyped),
                atomic: true,
            },
        }))
    }

    /// As a list, where one may stand here.
    pub fn as_list(self) -> Option<Shape<'a>> {
        Some(Shape::List(match self {
            Self::Schema(of) => of.list()?,
            Self::Deduced | Self::Untyped => ListType {
                relation: Relation::Atomic,
                item: Self::Untyped,
            },
        }))
    }

    fn as_scalar(self) -> Option<Shape<'a>> {
        Some(Shape::Scalar(match self {
            Self::Schema(of) => of.scalar()?,
            Self::Deduced | Self::Untyped => Scalar::Any,
        }))
    }
}

impl<'a> Schema<'a> {
    fn named(self) -> &'a str {
        match self.schema.type_.as_deref() {
            None if self.object => "object",
            None => "",
            Some(name) => name,
        }
    }

    fn scalar(self) -> Option<Scalar> {
        match self.named() {
            "integer" | "number" => Some(Scalar::Number),
            "boolean" => Some(Scalar::Truth),
            // With a format the value may be decoded to something else than a text.
            "string" => match self.schema.format.as_deref() {
                None | Some("" | "byte") => Some(Scalar::Text),
                Some(_) => Some(Scalar::Any),
            },
            "" => Some(Scalar::Any),
            _ => None,
        }
    }

    fn map(self) -> Option<MapType<'a>> {
        if !matches!(self.named(), "" | "object") {
            return None;
        }
        let no_fields = self
            .schema
            .properties
            .as_ref()
            .is_none_or(BTreeMap::is_empty);
        let rest = match &self.schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(rest)) => Some(Type::inner(rest, self.preserve)),
            Some(JSONSchemaPropsOrBool::Bool(true)) => Some(Type::Deduced),
            Some(JSONSchemaPropsOrBool::Bool(false)) => None,
            None if self.preserve || (no_fields && !self.object) => Some(Type::Deduced),
            None => None,
        };
        Some(MapType {
            of: Some(self),
            rest,
            atomic: self.schema.x_kubernetes_map_type.as_deref() == Some("atomic"),
        })
    }

    fn list(self) -> Option<ListType<'a>> {
        if !matches!(self.named(), "" | "array") {
            return None;
        }
        let keys = self.schema.x_kubernetes_list_map_keys.as_deref();
        let relation = match self.schema.x_kubernetes_list_type.as_deref() {
            Some("set") => Relation::Set,
            Some("map") => Relation::Keyed(keys.unwrap_or_default()),
            _ => Relation::Atomic,
        };
        let item = match &self.schema.items {
            Some(JSONSchemaPropsOrArray::Schema(item)) => Type::inner(item, self.preserve),
            Some(JSONSchemaPropsOrArray::Schemas(_)) => Type::Deduced,
            None => Type::Untyped,
        };
        Some(ListType { relation, item })
    }

    fn declared(self, name: &str) -> Option<Type<'a>> {
        if self.object {
            match name {
                "apiVersion" | "kind" => return Some(Type::inner(&TEXT, false)),
                "metadata" => return Some(Type::inner(&META, false)),
                _ => {}
            }
        }
        let field = self.schema.properties.as_ref()?.get(name)?;
        Some(Type::inner(field, self.preserve))
    }
}

impl<'a> MapType<'a> {
    /// The schema names this field.
    pub fn declares(&self, name: &str) -> bool {
        self.of.is_some_and(|of| of.declared(name).is_some())
    }

    /// What a field may hold. `None`: there may be no such field.
    pub fn field(&self, name: &str) -> Option<Type<'a>> {
        let declared = self.of.and_then(|of| of.declared(name));
        declared.or(self.rest)
    }

    fn default_of(&self, name: &str) -> Option<&'a Value> {
        let schema = self.of?.schema.properties.as_ref()?.get(name)?;
        schema.default.as_ref().map(|JSON(value)| value)
    }
}

impl ListType<'_> {
    /// The list is owned and replaced as a whole.
    pub fn is_atomic(&self) -> bool {
        matches!(self.relation, Relation::Atomic)
    }

    /// The step to an item.
    ///
    /// # Errors
    /// Why the item cannot be told from others.
    pub fn step(&self, item: &Value) -> Result<Step, String> {
        match self.relation {
            Relation::Atomic => Err("invalid indexing of non-associative list".to_owned()),
            Relation::Set => set_step(item),
            Relation::Keyed(keys) => self.key_step(keys, item),
        }
    }

    fn key_step(&self, keys: &[String], item: &Value) -> Result<Step, String> {
        let fields = match item {
            Value::Object(fields) => fields,
            Value::Null => {
                return Err("associative list with keys may not have a null element".to_owned());
            }
            _ => {
                return Err("associative list with keys may not have non-map elements".to_owned());
            }
        };
        let shape = self.item.as_map();
        let default = |key: &str| match &shape {
            Some(Shape::Map(map)) => map.default_of(key),
            _ => None,
        };
        let found = keys.iter().filter_map(|key| {
            let value = fields.get(key).or_else(|| default(key))?;
            Some((key.clone(), value.clone()))
        });
        let mut found: Vec<_> = found.collect();
        if found.is_empty() && !keys.is_empty() {
            let names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default \
                 values for any key fields)",
                names.join(" ")
            ));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Step::Key(found))
    }
}

fn set_step(item: &Value) -> Result<Step, String> {
    let why = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Ok(Step::Item(item.clone()));
        }
    };
    Err(why.to_owned())
}

static TEXT: LazyLock<JSONSchemaProps> = LazyLock::new(|| plain("string"));
static META: LazyLock<JSONSchemaProps> = LazyLock::new(object_meta);

fn plain(type_: &str) -> JSONSchemaProps {
    JSONSchemaProps {
        type_: Some(type_.to_owned()),
        ..Default::default()
    }
}

/// `ObjectMeta` of Kubernetes. A definition cannot say it: the API server puts it in.
fn object_meta() -> JSONSchemaProps {
    let free = || JSONSchemaProps {
        additional_properties: Some(JSONSchemaPropsOrBool::Schema(Box::new(plain("string")))),
        ..plain("object")
    };
    let list = |list_type: &str, keys: &[&str], item: JSONSchemaProps| JSONSchemaProps {
        items: Some(JSONSchemaPropsOrArray::Schema(Box::new(item))),
        x_kubernetes_list_type: Some(list_type.to_owned()),
        x_kubernetes_list_map_keys: (!keys.is_empty())
            .then(|| keys.iter().map(|&key| key.to_owned()).collect()),
        ..plain("array")
    };
    let time = || JSONSchemaProps {
        format: Some("date-time".to_owned()),
        ..plain("string")
    };
    let owner = JSONSchemaProps {
        properties: Some(fields([
            ("apiVersion", plain("string")),
            ("blockOwnerDeletion", plain("boolean")),
            ("controller", plain("boolean")),
            ("kind", plain("string")),
            ("name", plain("string")),
            ("uid", plain("string")),
        ])),
        x_kubernetes_map_type: Some("atomic".to_owned()),
        ..plain("object")
    };
    JSONSchemaProps {
        properties: Some(fields([
            ("annotations", free()),
            ("creationTimestamp", time()),
            ("deletionGracePeriodSeconds", plain("integer")),
            ("deletionTimestamp", time()),
            ("finalizers", list("set", &[], plain("string"))),
            ("generateName", plain("string")),
            ("generation", plain("integer")),
            ("labels", free()),
            ("managedFields", list("atomic", &[], plain("object"))),
            ("name", plain("string")),
            ("namespace", plain("string")),
            ("ownerReferences", list("map", &["uid"], owner)),
            ("resourceVersion", plain("string")),
            ("selfLink", plain("string")),
            ("uid", plain("string")),
        ])),
        ..plain("object")
    }
}

fn fields<const N: usize>(
    fields: [(&str, JSONSchemaProps); N],
) -> BTreeMap<String, JSONSchemaProps> {
    fields
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}
