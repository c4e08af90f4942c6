//! Rules in CEL (`x-kubernetes-validations`). The language and its functions are kube-cel's; here is what the real server does
//! around them: which rule sees which old value, which failure counts, and its words. kube-cel's own walk finds old items of a
//! list by their place, takes a null for a value and compiles patterns at each use.

mod compile;
mod eval;
mod reads;
#[cfg(test)]
pub mod seen;
mod value;

pub use compile::{Rules, escaped};

use super::node::{List, Node};
use super::path::Path;
use crate::embedded::refusal::Cause;
use serde_json::Value;

/// The old value of a place.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// None: it was not there, or items have no identity here.
    pub value: Option<&'a Value>,
    /// The nearest place that has an old value is the same as before: what fails without looking back is forgiven.
    pub unchanged: bool,
}

impl<'a> Before<'a> {
    /// Of the whole object.
    pub fn of(object: &Value, old: Option<&'a Value>) -> Self {
        Self {
            value: old,
            unchanged: old == Some(object),
        }
    }

    fn below(self, value: &Value, old: Option<&'a Value>) -> Self {
        Self {
            value: old.filter(|v| !v.is_null()),
            unchanged: self.unchanged || old == Some(value),
        }
    }
}

/// Runs all rules at and below a place.
pub fn check(
    node: &Node,
    value: &Value,
    before: Before<'_>,
    path: &Path<'_>,
    causes: &mut Vec<Cause>,
) {
    if !node.has_rules || value.is_null() {
        return;
    }
    eval::run(node, value, before, path, causes);
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let Some(below) = node.child(key).filter(|n| n.has_rules) else {
                    continue;
                };
                let at = match node.properties.contains_key(key) {
                    true => path.field(key),
                    false => path.key(key),
                };
                let old = before.value.and_then(|o| o.get(key));
                check(below, value, before.below(value, old), &at, causes);
            }
        }
        Value::Array(list) => {
            let Some(below) = node.items.as_deref().filter(|n| n.has_rules) else {
                return;
            };
            let has_identity = matches!(node.list, List::Map(_));
            for (index, item) in list.iter().enumerate() {
                let old = node.counterpart(item, before.value);
                let before = match has_identity {
                    true => before.below(item, old),
                    false => Before {
                        value: None,
                        unchanged: before.unchanged,
                    },
                };
                check(below, item, before, &path.index(index), causes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
