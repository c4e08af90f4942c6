//! Strategic merge patch: objects are merged, lists are replaced unless the field says how to merge them, and directives in
//! the patch say the rest.
//!
//! - `$patch: replace | delete` in an object, or in an item of a merged list
//! - `$retainKeys: [..]` in an object: everything else goes
//! - `$deleteFromPrimitiveList/<field>: [..]`: these go from a list of texts
//! - `$setElementOrder/<field>: [..]`: the order of a merged list

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value, json};

use super::{bad_request, no_strategic};
use crate::embedded::apply::go;
use crate::embedded::go_json;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const ORDER: &str = "$setElementOrder";

type Object = Map<String, Value>;

/// A strategic merge patch applied.
///
/// # Errors
/// 415: the kind has none; 400: no object, or a directive of the wrong form; 500, as the real server: a directive it does not
/// know, and items without the key by which their list is merged.
pub fn strategic(kind: &Kind, object: &Value, patch: &Value) -> Result<Value, Refusal> {
    if let Some(refusal) = no_strategic(kind) {
        return Err(refusal);
    }
    let patch = match patch {
        Value::Null => return Ok(object.clone()),
        Value::Object(patch) => patch.clone(),
        other => {
            let why = go_json::cannot_become(other, "map[string]interface {}");
            return Err(bad_request(why));
        }
    };
    let live = object.as_object().cloned().unwrap_or_default();
    let place = Place::Object(&kind.schema);
    place.merge(live, patch).map(Value::Object)
}

/// How the items of a list are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy<'a> {
    /// The list is replaced.
    Replace,
    /// A set of values.
    Set,
    /// Objects, told apart by this field.
    ByKey(&'a str),
}

/// Where in an object the patch is at.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    /// The object itself.
    Object(&'a JSONSchemaProps),
    /// Its metadata, whose lists are the same in every kind.
    Metadata,
    Inside(&'a JSONSchemaProps),
    /// The schema says nothing.
    Anywhere,
}

impl<'a> Place<'a> {
    fn field(self, name: &str) -> Self {
        match self {
            Self::Object(_) if name == "metadata" => Self::Metadata,
            Self::Object(schema) | Self::Inside(schema) => {
                let declared = schema
                    .properties
                    .as_ref()
                    .and_then(|fields| fields.get(name));
                match (declared, &schema.additional_properties) {
                    (Some(declared), _) => Self::Inside(declared),
                    (None, Some(JSONSchemaPropsOrBool::Schema(rest))) => Self::Inside(rest),
                    (None, _) => Self::Anywhere,
                }
            }
            Self::Metadata | Self::Anywhere => Self::Anywhere,
        }
    }

    fn item(self) -> Self {
        match self {
            Self::Inside(schema) => match &schema.items {
                Some(JSONSchemaPropsOrArray::Schema(item)) => Self::Inside(item),
                Some(JSONSchemaPropsOrArray::Schemas(_)) | None => Self::Anywhere,
            },
            Self::Object(_) | Self::Metadata | Self::Anywhere => Self::Anywhere,
        }
    }

    /// In the built-in kinds that are served, a list is merged by a strategic patch as it is by an apply.
    fn strategy(self, name: &str) -> Strategy<'a> {
        match (self, name) {
            (Self::Metadata, "finalizers") => return Strategy::Set,
            (Self::Metadata, "ownerReferences") => return Strategy::ByKey("uid"),
            _ => {}
        }
        let Self::Inside(list) = self.field(name) else {
            return Strategy::Replace;
        };
        let keys = list
            .x_kubernetes_list_map_keys
            .as_deref()
            .unwrap_or_default();
        match (list.x_kubernetes_list_type.as_deref(), keys) {
            (Some("set"), _) => Strategy::Set,
            (Some("map"), [key]) => Strategy::ByKey(key),
            _ => Strategy::Replace,
        }
    }

    fn merge(self, mut live: Object, mut patch: Object) -> Result<Object, Refusal> {
        if let Some(directive) = patch.get(PATCH) {
            return match directive.as_str() {
                Some("replace") => {
                    patch.remove(PATCH);
                    Ok(patch)
                }
                Some("delete") => Ok(Object::new()),
                _ => Err(unknown_directive(directive, &patch)),
            };
        }
        retain(&mut live, &mut patch)?;
        self.merge_ordered(&mut live, &mut patch)?;
        for (name, value) in patch {
            if name.starts_with(DELETE_FROM) {
                let name = after(&name, DELETE_FROM)?;
                if let (Some(Value::Array(list)), Value::Array(gone)) = (live.get_mut(name), &value)
                {
                    list.retain(|item| !gone.contains(item));
                }
                continue;
            }
            let merged = match (live.remove(&name), value) {
                (_, Value::Null) => None,
                (Some(Value::Object(live)), Value::Object(patch)) => {
                    Some(Value::Object(self.field(&name).merge(live, patch)?))
                }
                (Some(Value::Array(live)), Value::Array(patch)) => {
                    Some(Value::Array(self.merge_list(&name, live, patch)?))
                }
                (_, mut new) => {
                    drop_nulls(&mut new);
                    without_directives(new)
                }
            };
            live.extend(merged.map(|merged| (name, merged)));
        }
        Ok(live)
    }

    fn merge_list(
        self,
        name: &str,
        live: Vec<Value>,
        patch: Vec<Value>,
    ) -> Result<Vec<Value>, Refusal> {
        match self.strategy(name) {
            Strategy::Replace => Ok(patch),
            Strategy::Set => {
                let order = patch.clone();
                let mut merged = live.clone();
                merged.extend(patch);
                let mut seen: Vec<Value> = Vec::new();
                merged.retain(|item| {
                    let new = !seen.contains(item);
                    seen.push(item.clone());
                    new
                });
                Ok(in_order(merged, &order, &live, None))
            }
            Strategy::ByKey(key) => self.field(name).item().merge_keyed(key, live, patch),
        }
    }

    fn merge_keyed(
        self,
        key: &str,
        mut live: Vec<Value>,
        patch: Vec<Value>,
    ) -> Result<Vec<Value>, Refusal> {
        let mut changes = Vec::new();
        let mut replace = false;
        for item in patch {
            let Value::Object(item) = item else {
                return Err(not_a_map(&item));
            };
            match item
                .get(PATCH)
                .map(|directive| (directive, directive.as_str()))
            {
                None => changes.push(item),
                Some((_, Some("delete"))) => {
                    let gone = item.get(key).ok_or_else(|| no_key(&item, key))?;
                    live.retain(|item| item.get(key) != Some(gone));
                }
                Some((_, Some("replace"))) => replace = true,
                Some((_, Some("merge"))) => {
                    return Err(failed("merging lists cannot yet be specified in the patch"));
                }
                Some((directive, _)) => return Err(unknown_directive(directive, &item)),
            }
        }
        if replace {
            return Ok(changes.into_iter().map(Value::Object).collect());
        }
        let before = live.clone();
        let order: Vec<Value> = changes.iter().cloned().map(Value::Object).collect();
        for change in changes {
            let its = change.get(key).ok_or_else(|| no_key(&change, key))?;
            let same = live.iter().position(|item| item.get(key) == Some(its));
            match same.and_then(|index| live.get_mut(index)) {
                Some(item) => {
                    let old = item.as_object().cloned().unwrap_or_default();
                    *item = Value::Object(self.merge(old, change)?);
                }
                None => live.push(Value::Object(change)),
            }
        }
        Ok(in_order(live, &order, &before, Some(key)))
    }

    /// Merges the lists for which the patch says an order, and takes them out of it.
    fn merge_ordered(self, live: &mut Object, patch: &mut Object) -> Result<(), Refusal> {
        let ordered: Vec<String> = patch
            .keys()
            .filter(|name| name.starts_with(ORDER))
            .cloned()
            .collect();
        for directive in ordered {
            let order = match patch.remove(&directive) {
                Some(Value::Array(order)) => order,
                other => return Err(wrong_type(&other.unwrap_or_default())),
            };
            let name = after(&directive, ORDER)?;
            let key = match self.strategy(name) {
                Strategy::ByKey(key) => Some(key),
                Strategy::Replace | Strategy::Set => None,
            };
            let changes = list_of(patch.remove(name))?;
            if let Some(changes) = &changes {
                fits_order(changes, &order, key)?;
            }
            let before = list_of(live.remove(name))?;
            let merged = match (before.clone(), changes) {
                (None, None) => continue,
                (Some(before), None) => before,
                (None, Some(changes)) => {
                    changes.into_iter().filter_map(without_directives).collect()
                }
                (Some(before), Some(changes)) => self.merge_list(name, before, changes)?,
            };
            let merged = in_order(merged, &order, &before.unwrap_or_default(), key);
            live.insert(name.to_owned(), Value::Array(merged));
        }
        Ok(())
    }
}

/// Follows `$retainKeys`.
fn retain(live: &mut Object, patch: &mut Object) -> Result<(), Refusal> {
    let Some(keys) = patch.remove(RETAIN) else {
        return Ok(());
    };
    let wrong = || bad_request("invalid patch format of retainKeys");
    let keys = keys.as_array().ok_or_else(wrong)?;
    let kept = |name: &String| keys.iter().any(|key| key == name);
    let directive = |name: &str| name.starts_with(DELETE_FROM) || name.starts_with(ORDER);
    let stray =
        |(name, value): (&String, &Value)| !value.is_null() && !directive(name) && !kept(name);
    if patch.iter().any(stray) {
        return Err(wrong());
    }
    live.retain(|name, _| kept(name));
    Ok(())
}

/// What identifies an item: itself, or the value of its key.
fn identity<'a>(item: &'a Value, key: Option<&str>) -> Option<&'a Value> {
    match key {
        None => Some(item),
        Some(key) => item.get(key),
    }
}

fn place_of(item: &Value, list: &[Value], key: Option<&str>) -> Option<usize> {
    let its = identity(item, key)?;
    list.iter()
        .position(|other| identity(other, key) == Some(its))
}

/// The items that `order` names in that order; between them, those it does not name, each as early as its place in the stored
/// list allows.
fn in_order(items: Vec<Value>, order: &[Value], stored: &[Value], key: Option<&str>) -> Vec<Value> {
    let named = |item: &Value| place_of(item, order, key);
    let was = |item: &Value| place_of(item, stored, key);
    let (mut ordered, mut others): (Vec<Value>, Vec<Value>) =
        items.into_iter().partition(|item| named(item).is_some());
    ordered.sort_by_key(|item| named(item));
    others.sort_by_key(|item| was(item).unwrap_or(usize::MAX));
    let mut merged = Vec::new();
    let (mut ordered, mut others) = (
        ordered.into_iter().peekable(),
        others.into_iter().peekable(),
    );
    loop {
        let other_first = match (ordered.peek(), others.peek()) {
            (None, None) => return merged,
            (None, Some(_)) => true,
            (Some(_), None) => false,
            // A new item is not in the stored list: it does not wait.
            (Some(next), Some(other)) => match (was(next), was(other)) {
                (Some(next), Some(other)) => other < next,
                (None, _) | (_, None) => false,
            },
        };
        merged.extend(if other_first {
            others.next()
        } else {
            ordered.next()
        });
    }
}

/// The items of the patch have to come in the order that it says.
fn fits_order(changes: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Refusal> {
    if order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for change in changes.iter().filter(|change| change.get(PATCH).is_none()) {
        if !rest.any(|item| {
            identity(item, key).is_some() && identity(item, key) == identity(change, key)
        }) {
            return Err(failed(format!(
                "The order in patch list:\n{}\n doesn't match {ORDER} list:\n{}\n",
                go(&json!(changes)),
                go(&json!(order))
            )));
        }
    }
    Ok(())
}

fn list_of(value: Option<Value>) -> Result<Option<Vec<Value>>, Refusal> {
    match value {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list)),
        Some(other) => Err(wrong_type(&other)),
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is new is taken as it is; what is only a directive is not there.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(PATCH) => None,
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let kept = fields.filter_map(|(name, value)| Some((name, without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        other => Some(other),
    }
}

/// The field that a directive is about.
fn after<'a>(directive: &'a str, prefix: &str) -> Result<&'a str, Refusal> {
    match directive.split_once('/') {
        Some((before, name)) if before == prefix => Ok(name),
        _ if prefix == ORDER => Err(bad_request("invalid patch format of setElementOrder list")),
        _ => Err(bad_request("invalid patch format of primitive list")),
    }
}

/// The real server has no reason for these, and calls them its own failure.
fn failed(message: impl Into<String>) -> Refusal {
    Refusal::new(500, "", message)
}

fn unknown_directive(directive: &Value, patch: &Object) -> Refusal {
    let patch = Value::Object(patch.clone());
    failed(format!(
        "unknown patch type: {} in map: {}",
        go(directive),
        go(&patch)
    ))
}

fn no_key(item: &Object, key: &str) -> Refusal {
    let item = go(&Value::Object(item.clone()));
    failed(format!(
        "map: {item} does not contain declared merge key: {key}"
    ))
}

fn not_a_map(item: &Value) -> Refusal {
    failed(format!(
        "list element types are not identical: map, {}",
        go_json::type_name(item)
    ))
}

fn wrong_type(value: &Value) -> Refusal {
    let sort = match value {
        Value::Null => "%!s(<nil>)",
        Value::Object(_) => "map[string]interface {}",
        Value::Number(_) => "int64",
        other => go_json::type_name(other),
    };
    failed(format!(
        "expected a []interface {{}}, but received a {sort}"
    ))
}
