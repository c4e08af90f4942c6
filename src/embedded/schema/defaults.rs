//! Nulls that are none or an empty text, and values that are taken where nothing is written.

use super::node::{Additional, Node, Type};
use serde_json::Value;

/// Removes nulls where null is no value and nothing stands for it; such with a default are left for [`fill`].
pub fn drop_nulls(value: &mut Value, node: Option<&Node>) {
    match value {
        Value::Object(object) => object.retain(|key, value| {
            let below = node.and_then(|n| n.child(key));
            let dropped =
                value.is_null() && below.is_some_and(|n| !n.nullable && n.default.is_none());
            if !dropped {
                drop_nulls(value, below);
            }
            !dropped
        }),
        Value::Array(list) => {
            let below = node.and_then(|n| n.items.as_deref());
            list.iter_mut().for_each(|value| drop_nulls(value, below));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// In a map or a list of texts, and of bytes, null is the empty one, where Go reads into a struct.
pub fn empty_texts(value: &mut Value, node: &Node) {
    let stand_in = |value: &mut Value, node: &Node| {
        if value.is_null() && node.type_ == Type::String {
            *value = Value::from("");
        }
        empty_texts(value, node);
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (node.properties.get(name), &node.additional) {
                    (Some(property), _) => empty_texts(value, &property.node),
                    (None, Additional::Of(below)) => stand_in(value, below),
                    (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = node.items.as_deref() {
                items.iter_mut().for_each(|item| stand_in(item, below));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fills in defaults, also inside of those that were filled in.
pub fn fill(value: &mut Value, node: &Node) {
    match value {
        Value::Object(object) => {
            for (name, property) in &node.properties {
                let Some(default) = &property.node.default else {
                    continue;
                };
                let replaced = match object.get(name) {
                    None => true,
                    Some(found) => found.is_null() && !property.node.nullable,
                };
                if replaced {
                    object.insert(name.clone(), default.clone());
                }
            }
            for (key, value) in object.iter_mut() {
                let below = match (node.properties.get(key), &node.additional) {
                    (Some(property), _) => &property.node,
                    (None, Additional::Of(below)) => {
                        stand_in(value, below);
                        below
                    }
                    (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => {
                        continue;
                    }
                };
                fill(value, below);
            }
        }
        Value::Array(list) => {
            if let Some(below) = node.items.as_deref() {
                for value in list {
                    stand_in(value, below);
                    fill(value, below);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn stand_in(value: &mut Value, node: &Node) {
    if value.is_null()
        && !node.nullable
        && let Some(default) = &node.default
    {
        *value = default.clone();
    }
}
