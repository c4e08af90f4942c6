//! A set of fields, as `fieldsV1` of managed fields writes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::step::Step;
use super::types::{Shape, Type};

/// A set of paths, kept as a tree. That a path is in it says nothing of the paths above or below.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields(BTreeMap<Step, Node>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    /// The path that ends here is in the set.
    owned: bool,
    below: Fields,
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.owned && self.below.is_empty()
    }
}

impl Fields {
    /// A set of paths that consist of fields.
    pub fn of(paths: &[&[&str]]) -> Self {
        let mut fields = Self::default();
        for path in paths {
            let path: Vec<Step> = path.iter().map(|name| Step::field(name)).collect();
            fields.insert(&path);
        }
        fields
    }

    /// Adds one path. The empty one, which is the whole object, is never owned.
    pub fn insert(&mut self, path: &[Step]) {
        if let Some((first, rest)) = path.split_first() {
            let node = self.0.entry(first.clone()).or_default();
            if rest.is_empty() {
                node.owned = true;
            } else {
                node.below.insert(rest);
            }
        }
    }

    /// Holds no path.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Node::is_empty)
    }

    /// Holds this path of one step.
    pub fn has(&self, step: &Step) -> bool {
        self.0.get(step).is_some_and(|node| node.owned)
    }

    /// Holds this path.
    pub fn has_path(&self, path: &[Step]) -> bool {
        match path {
            [] => false,
            [last] => self.has(last),
            [first, rest @ ..] => self.below(first).is_some_and(|below| below.has_path(rest)),
        }
    }

    /// What is below a step, if anything.
    pub fn below(&self, step: &Step) -> Option<&Self> {
        let node = self.0.get(step)?;
        Some(&node.below).filter(|below| !below.is_empty())
    }

    /// All paths of both.
    pub fn union(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        for (step, theirs) in &other.0 {
            let ours = sum.0.entry(step.clone()).or_default();
            ours.owned |= theirs.owned;
            ours.below = ours.below.union(&theirs.below);
        }
        sum
    }

    /// The paths that are in both.
    pub fn intersection(&self, other: &Self) -> Self {
        self.keep(|step, ours| {
            let theirs = other.0.get(step)?;
            Some(Node {
                owned: ours.owned && theirs.owned,
                below: ours.below.intersection(&theirs.below),
            })
        })
    }

    /// The paths that are not in the other. A path below one of the other stays.
    pub fn minus(&self, other: &Self) -> Self {
        self.keep(|step, ours| match other.0.get(step) {
            None => Some(ours.clone()),
            Some(theirs) => Some(Node {
                owned: ours.owned && !theirs.owned,
                below: ours.below.minus(&theirs.below),
            }),
        })
    }

    /// The paths that are neither in the other nor below one of its paths.
    pub fn without(&self, other: &Self) -> Self {
        self.keep(|step, ours| match other.0.get(step) {
            None => Some(ours.clone()),
            Some(theirs) if theirs.owned => None,
            Some(theirs) => Some(Node {
                owned: ours.owned,
                below: ours.below.without(&theirs.below),
            }),
        })
    }

    fn keep(&self, node: impl Fn(&Step, &Node) -> Option<Node>) -> Self {
        let nodes = self.0.iter().filter_map(|(step, ours)| {
            let kept = node(step, ours).filter(|kept| !kept.is_empty())?;
            Some((step.clone(), kept))
        });
        Self(nodes.collect())
    }

    /// With every field of a declared structure that leads to a path of the set. Entries of free maps and items of lists are
    /// not added: they do not vanish by losing what they hold.
    pub fn with_parents(&self, of: Option<Type<'_>>) -> Self {
        let shape_of = |step: &Step| match step {
            Step::Field(_) => of.map(Type::as_map),
            Step::Key(_) | Step::Item(_) | Step::Index(_) => of.map(Type::as_list),
        };
        let nodes = self.0.iter().map(|(step, ours)| {
            let (declared, inner) = match (step, shape_of(step).flatten()) {
                (Step::Field(name), Some(Shape::Map(map))) => (map.declares(name), map.field(name)),
                (Step::Key(_), Some(Shape::List(list))) => (false, Some(list.item)),
                _ => (false, None),
            };
            let leads = declared && !ours.below.0.is_empty();
            let node = Node {
                owned: ours.owned || leads,
                below: ours.below.with_parents(inner),
            };
            (step.clone(), node)
        });
        Self(nodes.collect())
    }

    /// As the present schema divides an object: who owned parts of what is atomic by now owns the whole of it.
    pub fn settled(&self, of: Option<Type<'_>>) -> Self {
        let shape = of.map(|of| of.shape(None));
        let nodes = self.0.iter().map(|(step, ours)| {
            let inner = match (step, &shape) {
                (Step::Field(name), Some(Shape::Map(map))) => map.field(name),
                (Step::Key(_) | Step::Item(_), Some(Shape::List(list))) => Some(list.item),
                _ => None,
            };
            let atomic = match inner.map(|inner| inner.shape(None)) {
                Some(Shape::Map(map)) => map.atomic,
                Some(Shape::List(list)) => list.is_atomic(),
                Some(Shape::Scalar(_)) | None => false,
            };
            let node = if atomic {
                Node {
                    owned: true,
                    below: Self::default(),
                }
            } else {
                Node {
                    owned: ours.owned,
                    below: ours.below.settled(inner),
                }
            };
            (step.clone(), node)
        });
        Self(nodes.collect())
    }

    /// Every path: those of one level before those below them.
    pub fn paths(&self) -> Vec<Vec<Step>> {
        let mut all = Vec::new();
        self.collect(&mut Vec::new(), &mut all);
        all
    }

    fn collect(&self, prefix: &mut Vec<Step>, all: &mut Vec<Vec<Step>>) {
        for (step, _) in self.0.iter().filter(|(_, node)| node.owned) {
            let mut path = prefix.clone();
            path.push(step.clone());
            all.push(path);
        }
        for (step, node) in &self.0 {
            prefix.push(step.clone());
            node.below.collect(prefix, all);
            prefix.pop();
        }
    }

    /// As `fieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        for (step, node) in self.0.iter().filter(|(_, node)| !node.is_empty()) {
            let mut below = node.below.to_json();
            if node.owned && !node.below.is_empty() {
                below["."] = Value::Object(Map::new());
            }
            map.insert(step.encode(), below);
        }
        Value::Object(map)
    }

    /// From `fieldsV1`.
    ///
    /// # Errors
    /// Not a set of fields.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let map = value
            .as_object()
            .ok_or_else(|| format!("not a set of fields: {value}"))?;
        let mut fields = Self::default();
        for (key, value) in map.iter().filter(|(key, _)| *key != ".") {
            if let Some(step) = Step::decode(key)? {
                let below = Self::from_json(value)?;
                let owned = value.get(".").is_some() || below.is_empty();
                fields.0.insert(step, Node { owned, below });
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        Fields::from_json(&value).unwrap()
    }

    #[test]
    fn a_set_is_read_as_it_was_written() {
        let written = json!({"f:metadata": {"f:finalizers": {".": {}, "v:\"a/b\"": {}}}, "f:status": {
            "f:conditions": {"k:{\"type\":\"Ready\"}": {".": {}, "f:status": {}, "f:type": {}}}}});
        assert_eq!(fields(written.clone()).to_json(), written);
    }

    #[test]
    fn a_difference_takes_the_path_and_leaves_what_is_below() {
        let a = fields(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let b = fields(json!({"f:a": {}}));
        assert_eq!(
            a.minus(&b).to_json(),
            json!({"f:a": {"f:b": {}}, "f:c": {}})
        );
        assert_eq!(a.without(&b).to_json(), json!({"f:c": {}}));
        assert_eq!(a.intersection(&b).to_json(), json!({"f:a": {}}));
        assert_eq!(b.union(&a), a);
    }

    #[test]
    fn an_empty_difference_is_empty() {
        let a = fields(json!({"f:a": {"f:b": {"f:c": {}}}}));
        assert!(a.minus(&a).is_empty());
        assert_eq!(a.minus(&a), Fields::default());
    }
}
