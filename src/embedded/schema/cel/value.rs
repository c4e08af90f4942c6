//! JSON as CEL values, by the schema: a number may be whole or not, a text a moment, and a null is no field.

use super::reads::Reads;
use crate::embedded::schema::formats::{self, Format};
use crate::embedded::schema::node::{Additional, Node, Type};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube_cel::cel::Value as Cel;
use kube_cel::cel::objects::{Key, Map};
use serde_json::{Map as Object, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// The parts of a value that are read. `root` = the object itself, of whose metadata rules see only the names.
pub fn cel(node: &Node, value: &Value, reads: &Reads, root: bool) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match (node.type_, number.as_i64()) {
            (Type::Number, _) | (_, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
            (_, Some(whole)) => Cel::Int(whole),
        },
        Value::String(text) => string(node, text),
        Value::Array(list) => {
            let item = |v: &Value| match node.items.as_deref() {
                Some(below) => cel(below, v, &Reads::All, false),
                None => plain(v),
            };
            Cel::List(Arc::new(list.iter().map(item).collect()))
        }
        Value::Object(object) => self::object(node, object, reads, root),
    }
}

fn string(node: &Node, text: &str) -> Cel {
    let parsed = match (node.type_, node.format) {
        (Type::String, Some(Format::DateTime | Format::Date)) => {
            formats::moment(text).map(Cel::Timestamp)
        }
        (Type::String, Some(Format::Duration)) => formats::duration(text).map(Cel::Duration),
        (Type::String, Some(Format::Byte)) => {
            let bytes = STANDARD.decode(text).ok();
            bytes.map(|b| Cel::Bytes(Arc::new(b)))
        }
        _ => None,
    };
    parsed.unwrap_or_else(|| Cel::String(Arc::new(text.to_owned())))
}

fn object(node: &Node, object: &Object<String, Value>, reads: &Reads, root: bool) -> Cel {
    let mut map = HashMap::with_capacity(object.len());
    let mut put = |name: &str, value: Cel| {
        map.insert(Key::String(Arc::new(name.to_owned())), value);
    };
    for (key, value) in object {
        if (root || node.embedded) && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) {
            if reads.of(key).is_some() {
                put(key, names_of(value));
            }
            continue;
        }
        match (node.properties.get(key), &node.additional) {
            // A field that is null is not there; a key of a map that is null is.
            (Some(property), _) if !value.is_null() => {
                let mut names = vec![property.cel_name.as_str()];
                // A word of the language may also be written as it is, behind a dot.
                names.extend((*key != property.cel_name && is_name(key)).then_some(key.as_str()));
                for name in names {
                    if let Some(reads) = reads.of(name) {
                        put(name, cel(&property.node, value, reads, false));
                    }
                }
            }
            (Some(_), _) => {}
            (None, Additional::Of(below)) => {
                if let Some(reads) = reads.of(key) {
                    put(key, cel(below, value, reads, false));
                }
            }
            (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => {}
        }
    }
    Cel::Map(Map { map: Arc::new(map) })
}

fn is_name(key: &str) -> bool {
    key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `apiVersion`, `kind`, or of the metadata its two names: rules see no more of it.
fn names_of(value: &Value) -> Cel {
    let Value::Object(metadata) = value else {
        return plain(value);
    };
    let mut map = HashMap::new();
    for name in ["name", "generateName"] {
        if let Some(text) = metadata.get(name).and_then(Value::as_str) {
            let text = Cel::String(Arc::new(text.to_owned()));
            map.insert(Key::String(Arc::new(name.to_owned())), text);
        }
    }
    Cel::Map(Map { map: Arc::new(map) })
}

fn plain(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(list) => Cel::List(Arc::new(list.iter().map(plain).collect())),
        Value::Object(object) => {
            let entry = |(k, v): (&String, &Value)| (Key::String(Arc::new(k.clone())), plain(v));
            let map = Arc::new(object.iter().map(entry).collect());
            Cel::Map(Map { map })
        }
    }
}
