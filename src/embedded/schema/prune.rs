//! Fields that the schema does not declare: named for those who want it strict, removed for all.

use super::node::{Additional, Node};
use super::path::Path;
use serde_json::Value;

/// What a key of an object is.
enum Known<'a> {
    /// Stays as it is.
    Kept,
    /// Stays; what is inside is looked at with this schema (none = nothing is known inside).
    Below(Option<&'a Node>),
    /// Not declared.
    Unknown,
}

fn known<'a>(node: Option<&'a Node>, meta: &'a Node, key: &str) -> Known<'a> {
    let Some(node) = node else {
        return Known::Unknown;
    };
    if node.embedded {
        match key {
            "apiVersion" | "kind" => return Known::Kept,
            "metadata" => return Known::Below(Some(meta)),
            _ => {}
        }
    }
    match (node.child(key), &node.additional) {
        (Some(child), _) => Known::Below(Some(child)),
        (None, _) if node.preserve => Known::Kept,
        (None, Additional::Any) => Known::Below(None),
        (None, Additional::Unsaid | Additional::Forbidden | Additional::Of(_)) => Known::Unknown,
    }
}

/// Schema of the items; `Err` = they stay as they are.
fn items(node: Option<&Node>) -> Result<Option<&Node>, ()> {
    match node {
        Some(node) if node.preserve && node.items.is_none() => Err(()),
        Some(node) => Ok(node.items.as_deref()),
        None => Ok(None),
    }
}

/// Fields that are not declared, by their place, in order.
pub fn unknown(
    value: &Value,
    node: Option<&Node>,
    meta: &Node,
    path: &Path<'_>,
    found: &mut Vec<String>,
) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let at = path.field(key);
                match known(node, meta, key) {
                    Known::Kept => {}
                    Known::Below(node) => unknown(value, node, meta, &at, found),
                    Known::Unknown => found.push(at.body()),
                }
            }
        }
        Value::Array(list) => {
            if let Ok(node) = items(node) {
                for (index, value) in list.iter().enumerate() {
                    unknown(value, node, meta, &path.index(index), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes what is not declared.
pub fn prune(value: &mut Value, node: Option<&Node>, meta: &Node) {
    match value {
        Value::Object(object) => object.retain(|key, value| match known(node, meta, key) {
            Known::Kept => true,
            Known::Below(node) => {
                prune(value, node, meta);
                true
            }
            Known::Unknown => false,
        }),
        Value::Array(list) => {
            if let Ok(node) = items(node) {
                list.iter_mut().for_each(|value| prune(value, node, meta));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Metadata as the real server writes it back: what is empty is left out.
pub fn tidy_metadata(metadata: &mut Value) {
    if let Value::Object(fields) = metadata {
        fields.retain(|_, value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        });
    }
}

/// Numbers as the real server stores them: `2.0` as `2`.
pub fn whole_numbers(value: &mut Value) {
    match value {
        Value::Object(object) => object.values_mut().for_each(whole_numbers),
        Value::Array(list) => list.iter_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < 1e15);
            if let Some(whole) = whole {
                *value = Value::from(whole as i64);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
