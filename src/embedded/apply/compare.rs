//! Which fields differ between two values.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::merge::{fields, items, names};
use super::step::{Step, same};
use super::types::{ListType, MapType, Shape, Type};

/// The fields that differ. No path is in two of the sets.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub removed: Fields,
    pub modified: Fields,
    pub added: Fields,
}

impl Comparison {
    /// Of an older value with a newer one.
    pub fn of(of: Type<'_>, old: &Value, new: &Value) -> Self {
        let mut comparison = Self::default();
        comparison.value(of, Some(old), Some(new), &mut Vec::new());
        comparison
    }

    /// Without these fields and what is below them.
    pub fn without(self, fields: &Fields) -> Self {
        Self {
            removed: self.removed.without(fields),
            modified: self.modified.without(fields),
            added: self.added.without(fields),
        }
    }

    /// Added or modified.
    pub fn changed(&self) -> Fields {
        self.modified.union(&self.added)
    }

    fn value(
        &mut self,
        of: Type<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
        path: &mut Vec<Step>,
    ) {
        let shape = of.shape(new.or(old));
        if let (Some(old_value), Some(new_value)) = (old, new) {
            let before = of.shape(Some(old_value));
            // From a map to a list, for example: what the map had is gone with it.
            if std::mem::discriminant(&before) != std::mem::discriminant(&shape) {
                self.parts(before, Some(old_value), Some(new_value), path);
            }
        }
        let leaf = self.parts(shape, old, new, path);
        if !leaf {
            match (old, new) {
                (None, _) => self.added.insert(path),
                (_, None) => self.removed.insert(path),
                (Some(_), Some(_)) => {}
            }
        }
    }

    /// True when the value was compared as a whole.
    fn parts(
        &mut self,
        shape: Shape<'_>,
        old: Option<&Value>,
        new: Option<&Value>,
        path: &mut Vec<Step>,
    ) -> bool {
        match shape {
            Shape::Scalar(_) => self.leaf(old, new, path),
            Shape::Map(map) => {
                let (old_fields, new_fields) = (fields(old), fields(new));
                if map.atomic || (old_fields.is_none() && new_fields.is_none()) {
                    return self.leaf(old, new, path);
                }
                self.maps(&map, old_fields, new_fields, path);
                false
            }
            Shape::List(list) => {
                let (old_items, new_items) = (items(old), items(new));
                if list.is_atomic() || (old_items.is_empty() && new_items.is_empty()) {
                    return self.leaf(old, new, path);
                }
                self.lists(&list, old_items, new_items, path);
                false
            }
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>, path: &[Step]) -> bool {
        match (old, new) {
            (None, _) => self.added.insert(path),
            (_, None) => self.removed.insert(path),
            (Some(old), Some(new)) if !same(old, new) => self.modified.insert(path),
            (Some(_), Some(_)) => {}
        }
        true
    }

    fn maps(
        &mut self,
        map: &MapType<'_>,
        old: Option<&Map<String, Value>>,
        new: Option<&Map<String, Value>>,
        path: &mut Vec<Step>,
    ) {
        for name in names(old, new) {
            if let Some(of) = map.field(name) {
                path.push(Step::field(name));
                let (old, new) = (old.and_then(|f| f.get(name)), new.and_then(|f| f.get(name)));
                self.value(of, old, new, path);
                path.pop();
            }
        }
    }

    fn lists(&mut self, list: &ListType<'_>, old: &[Value], new: &[Value], path: &mut Vec<Step>) {
        let (old, new) = (grouped(list, old), grouped(list, new));
        let none = Vec::new();
        let added = new.iter().filter(|(step, _)| find(&old, step).is_none());
        for (step, _) in old.iter().chain(added) {
            let before = find(&old, step).unwrap_or(&none);
            let after = find(&new, step).unwrap_or(&none);
            path.push(step.clone());
            self.items(list, before, after, path);
            path.pop();
        }
    }

    /// Items with the same step. More than one on a side are owned together, as one leaf.
    fn items(&mut self, list: &ListType<'_>, old: &[&Value], new: &[&Value], path: &mut Vec<Step>) {
        match (old, new) {
            ([] | [_], [] | [_]) => {
                self.value(list.item, old.first().copied(), new.first().copied(), path);
            }
            ([_, _, ..], [_, _, ..]) => {
                let equal = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| same(a, b));
                if !equal {
                    self.modified.insert(path);
                }
            }
            ([_, _, ..], rest) => {
                if let [one] = rest {
                    self.value(list.item, None, Some(one), path);
                }
                self.removed.insert(path);
            }
            (rest, [_, _, ..]) => {
                if let [one] = rest {
                    self.value(list.item, Some(one), None, path);
                }
                self.added.insert(path);
            }
        }
    }
}

type Groups<'a> = Vec<(Step, Vec<&'a Value>)>;

fn grouped<'a>(list: &ListType<'_>, items: &'a [Value]) -> Groups<'a> {
    let mut groups: Groups<'a> = Vec::new();
    for item in items {
        let Ok(step) = list.step(item) else { continue };
        match groups.iter_mut().find(|(other, _)| *other == step) {
            Some((_, group)) => group.push(item),
            None => groups.push((step, vec![item])),
        }
    }
    groups
}

fn find<'a, 'b>(groups: &'b Groups<'a>, step: &Step) -> Option<&'b Vec<&'a Value>> {
    let mut groups = groups.iter();
    groups
        .find(|(other, _)| other == step)
        .map(|(_, items)| items)
}
