//! What a strategic merge patch has made is not read as JSON by the real server: it converts values into the fields of its structs
//! one by one, and has other words for what does not fit.

use super::decode::{self, At};
use super::formats::Format;
use super::node::{Additional, Node, Type};
use crate::embedded::go_json;
use crate::embedded::kind::Kind;
use crate::embedded::kinds;
use serde_json::Value;

/// Checks an object of a kind that is built in.
///
/// # Errors
/// What is said of the first field that does not fit.
pub fn check(kind: &Kind, root: &Node, meta: &Node, object: &Value) -> Result<(), String> {
    let at = At {
        structure: kind.kind.clone(),
        path: String::new(),
    };
    for (name, value) in object.as_object().into_iter().flatten() {
        let below = at.field(name, &kinds::structure(&kind.kind, name));
        let node = match name.as_str() {
            "metadata" => meta,
            _ => match root.child(name) {
                Some(node) => node,
                None => continue,
            },
        };
        converts(node, value, &at, &below)?;
    }
    Ok(())
}

/// `holder` is the struct with the field, `at` the field.
fn converts(node: &Node, value: &Value, holder: &At, at: &At) -> Result<(), String> {
    match (node.type_, value) {
        (_, Value::Null) | (Type::Any | Type::IntOrString, _) => Ok(()),
        (Type::String, _) => text(node, value, holder, at),
        (Type::Boolean, Value::Bool(_))
        | (Type::Number, Value::Number(_))
        | (Type::Array, Value::Array(_))
        | (Type::Object, Value::Object(_)) => inside(node, value, holder, at),
        (Type::Integer, Value::Number(number)) => {
            let whole = number.as_f64().is_none_or(|n| n.fract() == 0.0);
            let wanted = integer(node);
            whole
                .then_some(())
                .ok_or_else(|| format!("cannot convert float64 to {wanted}"))
        }
        (Type::Boolean, _) => Err("unrecognized type: bool".to_owned()),
        (Type::Number, _) => Err("unrecognized type: float64".to_owned()),
        (Type::Integer, _) => Err(format!("unrecognized type: {}", integer(node))),
        (Type::Array, other) => Err(format!("cannot restore slice from {}", go_kind(other))),
        (Type::Object, other) => Err(match &node.additional {
            Additional::Of(_) => format!("cannot restore map from {}", go_kind(other)),
            Additional::Unsaid | Additional::Any | Additional::Forbidden => {
                format!("cannot restore struct from: {}", go_kind(other))
            }
        }),
    }
}

fn inside(node: &Node, value: &Value, holder: &At, at: &At) -> Result<(), String> {
    match value {
        Value::Array(items) => match node.items.as_deref() {
            Some(below) => {
                let mut items = items.iter();
                items.try_for_each(|item| converts(below, item, holder, at))
            }
            None => Ok(()),
        },
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            match (node.properties.get(name), &node.additional) {
                (Some(property), _) => {
                    let below = at.field(name, &kinds::structure(&at.structure, name));
                    converts(&property.node, value, at, &below)
                }
                (None, Additional::Of(below)) => converts(below, value, holder, at),
                (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => Ok(()),
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Times have a reader of their own; bytes are a slice; a whole number would be a character, which is refused as such.
fn text(node: &Node, value: &Value, holder: &At, at: &At) -> Result<(), String> {
    let is_bytes = node.format == Some(Format::Byte);
    match value {
        Value::String(text) if is_bytes => {
            decode::bytes(text).map_err(|why| format!("error decoding from json: {why}"))
        }
        other if is_bytes => Err(format!("cannot restore slice from {}", go_kind(other))),
        Value::String(text) if decode::is_time(node, &at.path) => decode::time(text, &at.path),
        other if decode::is_time(node, &at.path) => Err(go_json::cannot_become(other, "string")),
        Value::String(_) => Ok(()),
        Value::Number(number) if !number.is_f64() => {
            let named = kinds::text_type(&holder.structure, &at.path).unwrap_or("string");
            Err(format!("cannot convert int64 to {named}"))
        }
        _ => Err("unrecognized type: string".to_owned()),
    }
}

fn integer(node: &Node) -> &'static str {
    match node.format {
        Some(Format::Int32) => "int32",
        _ => "int64",
    }
}

/// What Go calls the sort of a value.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "invalid",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

#[cfg(test)]
mod tests {
    use crate::embedded::kinds::builtin;
    use crate::embedded::schema::Structural;
    use serde_json::json;

    /// As a kube-apiserver 1.36.3 says it.
    #[test]
    fn what_does_not_convert_is_told_in_the_words_of_the_real_server() {
        let kinds = builtin().unwrap();
        let config_map = kinds.iter().find(|k| k.kind == "ConfigMap").unwrap();
        let structural = Structural::new(config_map).unwrap();
        for (object, words) in [
            (json!({"data": {"k": 5}}), "cannot convert int64 to string"),
            (json!({"data": {"k": 1.5}}), "unrecognized type: string"),
            (
                json!({"data": {"k": {"x": 1}}}),
                "unrecognized type: string",
            ),
            (json!({"data": {"k": true}}), "unrecognized type: string"),
            (json!({"data": 5}), "cannot restore map from int64"),
            (json!({"data": [1]}), "cannot restore map from slice"),
            (json!({"immutable": 5}), "unrecognized type: bool"),
            (
                json!({"binaryData": {"b": "!!"}}),
                "error decoding from json: illegal base64 data at input byte 0",
            ),
            (
                json!({"binaryData": {"b": 5}}),
                "cannot restore slice from int64",
            ),
            (json!({"metadata": 5}), "cannot restore struct from: int64"),
            (
                json!({"metadata": {"finalizers": "x"}}),
                "cannot restore slice from string",
            ),
            (
                json!({"metadata": {"finalizers": [5]}}),
                "cannot convert int64 to string",
            ),
            (
                json!({"metadata": {"generation": 1.5}}),
                "cannot convert float64 to int64",
            ),
            (
                json!({"metadata": {"generation": "x"}}),
                "unrecognized type: int64",
            ),
            (
                json!({"metadata": {"ownerReferences": [{"uid": 5}]}}),
                "cannot convert int64 to types.UID",
            ),
            (
                json!({"metadata": {"ownerReferences": {"uid": 5}}}),
                "cannot restore slice from map",
            ),
            (
                json!({"metadata": {"creationTimestamp": 5}}),
                "json: cannot unmarshal number into Go value of type string",
            ),
            (
                json!({"metadata": {"creationTimestamp": "x"}}),
                "parsing time \"x\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"x\" as \"2006\"",
            ),
        ] {
            assert_eq!(
                structural.convertible(&object),
                Err(words.to_owned()),
                "{object}"
            );
        }
        let good =
            json!({"metadata": {"name": "a", "generation": 2.0}, "data": {"k": "v", "l": null}});
        assert_eq!(structural.convertible(&good), Ok(()));
    }
}
