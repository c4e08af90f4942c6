//! What the real server cannot even read: a JSON type that its structs do not take. It answers 400 before it looks at values. Own
//! kinds are read as they come but for their metadata.

use super::formats::Format;
use super::go_time::{self, Layout};
use super::node::{Additional, Node, Type};
use crate::embedded::go_json;
use crate::embedded::kind::Kind;
use crate::embedded::kinds;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Where decoding is: the struct that is filled and the names of the fields to it.
#[derive(Clone)]
pub(super) struct At {
    pub structure: String,
    pub path: String,
}

impl At {
    pub fn field(&self, name: &str, structure: &str) -> Self {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            above => format!("{above}.{name}"),
        };
        Self {
            structure: structure.to_owned(),
            path,
        }
    }
}

/// Checks the JSON types of an object.
///
/// # Errors
/// What is said of the first that does not fit.
pub fn check(kind: &Kind, root: &Node, meta: &Node, object: &Value) -> Result<(), String> {
    match kind.custom {
        true => {
            let at = At {
                structure: "ObjectMeta".to_owned(),
                path: String::new(),
            };
            let metadata = object.get("metadata").unwrap_or(&Value::Null);
            fits(meta, metadata, &at, &at, "v1.ObjectMeta")
        }
        false => whole(kind, root, meta, object),
    }
}

fn whole(kind: &Kind, root: &Node, meta: &Node, object: &Value) -> Result<(), String> {
    let at = At {
        structure: kind.kind.clone(),
        path: String::new(),
    };
    for (name, value) in object.as_object().into_iter().flatten() {
        let structure = kinds::structure(&kind.kind, name);
        let below = at.field(name, &structure);
        let node = match name.as_str() {
            "metadata" => meta,
            _ => match root.child(name) {
                Some(node) => node,
                None => continue,
            },
        };
        fits(node, value, &at, &below, &format!("v1.{structure}"))?;
    }
    Ok(())
}

/// `holder` is the struct with the field, `at` the field.
fn fits(node: &Node, value: &Value, holder: &At, at: &At, go: &str) -> Result<(), String> {
    let refuse = |found: &str| {
        let named = kinds::text_type(&holder.structure, &at.path);
        let wanted = go_type(node, go, named.unwrap_or("string"));
        Err(match at.path.as_str() {
            "" => format!("json: cannot unmarshal {found} into Go value of type {wanted}"),
            path => format!(
                "json: cannot unmarshal {found} into Go struct field {}.{path} of type {wanted}",
                holder.structure
            ),
        })
    };
    match (value, node.type_) {
        (Value::Null, _) | (_, Type::Any | Type::IntOrString) => Ok(()),
        (Value::Bool(_), Type::Boolean) | (Value::Number(_), Type::Number) => Ok(()),
        (Value::String(text), Type::String) => readable(text, node, &at.path),
        (Value::Number(number), Type::Integer) => match (number.as_i64(), node.format) {
            (Some(n), Some(Format::Int32)) if i32::try_from(n).is_ok() => Ok(()),
            (Some(_), format) if format != Some(Format::Int32) => Ok(()),
            _ => refuse(&format!("number {number}")),
        },
        (Value::Array(list), Type::Array) => match node.items.as_deref() {
            Some(below) => list
                .iter()
                .try_for_each(|item| fits(below, item, holder, at, go)),
            None => Ok(()),
        },
        (Value::Object(object), Type::Object) => {
            object.iter().try_for_each(|(name, value)| {
                match (node.properties.get(name), &node.additional) {
                    (Some(property), _) => {
                        let structure = kinds::structure(&at.structure, name);
                        let below = at.field(name, &structure);
                        fits(
                            &property.node,
                            value,
                            at,
                            &below,
                            &format!("v1.{structure}"),
                        )
                    }
                    (None, Additional::Of(below)) => fits(below, value, holder, at, go),
                    (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => Ok(()),
                }
            })
        }
        (other, _) => refuse(go_json::type_name(other)),
    }
}

fn go_type(node: &Node, structure: &str, text: &str) -> String {
    match node.type_ {
        Type::Any | Type::IntOrString => structure.to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::Number => "float64".to_owned(),
        Type::String => match node.format {
            Some(Format::Byte) => "[]uint8".to_owned(),
            _ => text.to_owned(),
        },
        Type::Integer => match node.format {
            Some(Format::Int32) => "int32".to_owned(),
            _ => "int64".to_owned(),
        },
        Type::Array => match node.items.as_deref() {
            Some(below) => format!("[]{}", go_type(below, structure, text)),
            None => "[]interface {}".to_owned(),
        },
        Type::Object => match &node.additional {
            Additional::Of(below) => format!("map[string]{}", go_type(below, structure, text)),
            Additional::Unsaid | Additional::Any | Additional::Forbidden => structure.to_owned(),
        },
    }
}

/// Bytes and times are read at once, not validated later.
fn readable(text: &str, node: &Node, path: &str) -> Result<(), String> {
    match (node.format, is_time(node, path)) {
        (Some(Format::Byte), _) => bytes(text),
        (_, true) => time(text, path),
        (_, false) => Ok(()),
    }
}

/// Whether Go reads a time where this is.
pub(super) fn is_time(node: &Node, path: &str) -> bool {
    node.format == Some(Format::DateTime) || path.ends_with("Timestamp")
}

/// Reads a time, as it is written at a place.
pub(super) fn time(text: &str, path: &str) -> Result<(), String> {
    let layout = match kinds::is_micro_time(path) {
        true => Layout::Micros,
        false => Layout::Seconds,
    };
    go_time::check(text, layout)
}

/// Reads Base64.
pub(super) fn bytes(text: &str) -> Result<(), String> {
    STANDARD.decode(text).map(drop).map_err(|e| {
        let at = match e {
            base64::DecodeError::InvalidByte(at, _)
            | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            // Go says where the group of four began that is not complete.
            base64::DecodeError::InvalidLength(length) => length / 4 * 4,
            base64::DecodeError::InvalidPadding => text.len(),
        };
        format!("illegal base64 data at input byte {at}")
    })
}
