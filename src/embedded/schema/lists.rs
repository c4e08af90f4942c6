//! Lists whose items must differ: sets and maps.

use super::cause;
use super::node::{List, Node};
use super::path::Path;
use crate::embedded::refusal::Cause;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Items that are there twice, here and below.
pub fn check(node: &Node, value: &Value, path: &Path<'_>, causes: &mut Vec<Cause>) {
    if !node.has_keyed_lists {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let at = match node.properties.contains_key(key) {
                    true => path.field(key),
                    false => path.key(key),
                };
                if let Some(below) = node.child(key) {
                    check(below, value, &at, causes);
                }
            }
        }
        Value::Array(list) => {
            match &node.list {
                List::Atomic => {}
                List::Set => twice(list.to_vec(), path, causes),
                List::Map(keys) => map(keys, list, path, causes),
            }
            if let Some(below) = node.items.as_deref() {
                for (index, value) in list.iter().enumerate() {
                    check(below, value, &path.index(index), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn map(keys: &[String], list: &[Value], path: &Path<'_>, causes: &mut Vec<Cause>) {
    let is_object = |item: &Value| item.is_null() || item.is_object();
    if let Some(index) = list.iter().position(|item| !is_object(item)) {
        let field = path.index(index).name();
        let detail = "must be an object for an array of list-type map";
        causes.push(cause::invalid(field, &list[index], detail));
        return;
    }
    let identity = |item: &Value| {
        let named = keys
            .iter()
            .filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
        Value::Object(named.collect::<Map<_, _>>())
    };
    twice(list.iter().map(identity).collect(), path, causes);
}

/// Says the second appearance of a value, not the third.
fn twice(values: Vec<Value>, path: &Path<'_>, causes: &mut Vec<Cause>) {
    let mut times: HashMap<String, usize> = HashMap::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let seen = times.entry(value.to_string()).or_default();
        *seen += 1;
        if *seen == 2 {
            causes.push(cause::duplicate(path.index(index).name(), value));
        }
    }
}
