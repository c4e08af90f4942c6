//! A stored value with an applied one laid over it, and a value with fields taken out of it.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::step::Step;
use super::types::{ListType, MapType, Shape, Type};

/// The stored value with the applied one laid over it. Takes nothing away.
///
/// # Errors
/// A stored list has an item that cannot be told from others.
pub(super) fn merge(
    of: Type<'_>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Result<Option<Value>, String> {
    match of.shape(applied.or(live)) {
        Shape::Scalar(_) => Ok(applied.or(live).cloned()),
        Shape::Map(map) => merge_maps(&map, live, applied),
        Shape::List(list) => merge_lists(&list, live, applied),
    }
}

fn merge_maps(
    map: &MapType<'_>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Result<Option<Value>, String> {
    let (ours, theirs) = (fields(live), fields(applied));
    // Two empty ones are a leaf: null and {} are told apart.
    if map.atomic || (ours.is_none() && theirs.is_none()) {
        return Ok(applied.or(live).cloned());
    }
    let mut merged = Map::new();
    for name in names(ours, theirs) {
        let of = map
            .field(name)
            .ok_or_else(|| format!(".{name}: field not declared in schema"))?;
        let (ours, theirs) = (
            ours.and_then(|f| f.get(name)),
            theirs.and_then(|f| f.get(name)),
        );
        if let Some(value) = merge(of, ours, theirs)? {
            merged.insert(name.clone(), value);
        }
    }
    Ok(Some(Value::Object(merged)))
}

fn merge_lists(
    list: &ListType<'_>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Result<Option<Value>, String> {
    let (ours, theirs) = (items(live), items(applied));
    if list.is_atomic() || (ours.is_empty() && theirs.is_empty()) {
        return Ok(applied.or(live).cloned());
    }
    let keyed = |items: &'_ [Value]| -> Result<Vec<Step>, String> {
        items.iter().map(|item| list.step(item)).collect()
    };
    let (our_steps, their_steps) = (keyed(ours)?, keyed(theirs)?);
    let merged = Items {
        list,
        ours: &our_steps.iter().zip(ours).collect::<Vec<_>>(),
        theirs: &their_steps.iter().zip(theirs).collect::<Vec<_>>(),
    };
    Ok(Some(Value::Array(merged.merge()?)))
}

/// The items of both sides of an associative list.
struct Items<'a> {
    list: &'a ListType<'a>,
    ours: &'a [(&'a Step, &'a Value)],
    theirs: &'a [(&'a Step, &'a Value)],
}

impl Items<'_> {
    /// Stored items keep their places among themselves, except that shared ones come in the order of the applied list.
    fn merge(&self) -> Result<Vec<Value>, String> {
        let mut out = Vec::new();
        let mut shared: VecDeque<&Step> = self
            .theirs
            .iter()
            .map(|(step, _)| *step)
            .filter(|step| self.our(step).is_some())
            .collect();
        let mut merged: Vec<&Step> = Vec::new();
        let (mut ours, mut theirs) = (self.ours.iter().peekable(), self.theirs.iter().peekable());
        loop {
            match (ours.peek(), theirs.peek()) {
                (None, None) => return Ok(out),
                (Some((step, _)), Some((other, _))) if step == other => {
                    out.extend(self.item(self.our(step), self.their(step))?);
                    merged.push(step);
                    shared.pop_front();
                    ours.next();
                    theirs.next();
                }
                // Shared, but not its turn: it comes where the applied list has it.
                (Some((step, _)), Some(_))
                    if self.their(step).is_some()
                        && shared.front().is_some_and(|turn| turn != step) =>
                {
                    ours.next();
                }
                (Some((step, item)), _) if self.their(step).is_none() => {
                    out.extend(self.item(Some(item), None)?);
                    ours.next();
                }
                (first, next) => {
                    let done = |(step, _): &&(&Step, &Value)| merged.contains(step);
                    if first.is_some_and(|item| next.is_none() || done(item)) {
                        ours.next();
                    }
                    if let Some((step, item)) = next {
                        out.extend(self.item(self.our(step), Some(item))?);
                        merged.push(step);
                        if shared.front() == Some(step) {
                            shared.pop_front();
                        }
                        theirs.next();
                    }
                }
            }
        }
    }

    /// The stored item. Items that cannot be told apart are not merged into: null takes what is laid over it.
    fn our(&self, step: &Step) -> Option<&Value> {
        let mut same = self.ours.iter().filter(|(other, _)| *other == step);
        let first = same.next().map(|(_, item)| *item);
        match same.next() {
            Some(_) => Some(&Value::Null),
            None => first,
        }
    }

    fn their(&self, step: &Step) -> Option<&Value> {
        let mut same = self.theirs.iter().filter(|(other, _)| *other == step);
        same.next().map(|(_, item)| *item)
    }

    fn item(&self, live: Option<&Value>, applied: Option<&Value>) -> Result<Option<Value>, String> {
        merge(self.list.item, live, applied)
    }
}

/// The fields of a map that has some.
pub(super) fn fields(side: Option<&Value>) -> Option<&Map<String, Value>> {
    side.and_then(Value::as_object)
        .filter(|fields| !fields.is_empty())
}

/// The items of a list; none where there is no list.
pub(super) fn items(side: Option<&Value>) -> &[Value] {
    side.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The names of both maps, each once.
pub(super) fn names<'a>(
    ours: Option<&'a Map<String, Value>>,
    theirs: Option<&'a Map<String, Value>>,
) -> impl Iterator<Item = &'a String> {
    let new = theirs.into_iter().flat_map(Map::keys);
    let new = new.filter(move |name| !ours.is_some_and(|ours| ours.contains_key(*name)));
    ours.into_iter().flat_map(Map::keys).chain(new)
}

/// The value without these fields. What has lost all its parts, and was not to be taken itself, is null.
pub(super) fn remove(of: Type<'_>, value: &Value, fields: &Fields) -> Value {
    match of.shape(Some(value)) {
        Shape::Scalar(_) => value.clone(),
        Shape::Map(map) if map.atomic => Value::Null,
        Shape::List(list) if list.is_atomic() => Value::Null,
        Shape::Map(map) => {
            let left = value.as_object().into_iter().flatten();
            let left: Map<String, Value> = left
                .filter_map(|(name, value)| {
                    let of = map.field(name);
                    Some((name.clone(), part(of, value, fields, &Step::field(name))?))
                })
                .collect();
            if left.is_empty() {
                return Value::Null;
            }
            Value::Object(left)
        }
        Shape::List(list) => {
            let items = value.as_array().into_iter().flatten();
            let left: Vec<Value> = items
                .filter_map(|item| match list.step(item) {
                    Ok(step) => part(Some(list.item), item, fields, &step),
                    Err(_) => Some(item.clone()),
                })
                .collect();
            if left.is_empty() {
                return Value::Null;
            }
            Value::Array(left)
        }
    }
}

/// What is left of a part; `None` when it is to be taken itself.
fn part(of: Option<Type<'_>>, value: &Value, fields: &Fields, step: &Step) -> Option<Value> {
    if fields.has(step) {
        return None;
    }
    Some(match (of, fields.below(step)) {
        (Some(of), Some(below)) => remove(of, value, below),
        (None, _) | (_, None) => value.clone(),
    })
}
