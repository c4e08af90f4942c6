//! How fields change their owners: by an apply, and by every other write.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::check::{Problem, fields_of};
use super::compare::Comparison;
use super::fields::Fields;
use super::merge::{merge, remove};
use super::owners::{Operation, Owned, Owner, Owners, cap};
use super::step::{Step, same};
use super::types::Type;
use crate::embedded::kind::Kind;

/// A field that somebody else owns with another value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conflict {
    pub owner: Owner,
    pub path: Vec<Step>,
}

/// Why an apply was not done.
#[derive(Debug)]
pub(super) enum Failure {
    Conflicts(Vec<Conflict>),
    /// The stored object cannot be merged with.
    Unmergeable(String),
    /// The applied object cannot be divided into fields.
    Malformed(Vec<Problem>),
}

/// The rules of one resource.
#[derive(Debug)]
pub(super) struct Ownership<'a> {
    pub of: Type<'a>,
    /// Like `v1`.
    pub version: String,
    /// What a write to this resource does not change, whatever is in it.
    reset: Fields,
    /// Fields in another version belong to nobody: it is not served.
    only_version: bool,
}

impl<'a> Ownership<'a> {
    /// Of a kind, or of a subresource.
    pub fn of(kind: &'a Kind, subresource: Option<&str>) -> Self {
        let reset: &[&[&str]] = match (kind.status, subresource) {
            (true, None | Some("finalize")) => &[&["status"]],
            (true, Some(_)) if kind.custom => &[&["metadata"], &["spec"]],
            (true, Some(_)) => &[&["spec"]],
            (false, _) => &[],
        };
        Self {
            of: Type::object(&kind.schema),
            version: kind.api_version(),
            reset: Fields::of(reset),
            only_version: kind.custom,
        }
    }

    /// After a plain write by `me`: what it changed is its own now, with what it owned before.
    pub fn update(
        &self,
        live: &Value,
        new: &Value,
        mut owners: Owners,
        me: Owner,
        now: DateTime<Utc>,
    ) -> Owners {
        self.settle(&mut owners);
        let change = Comparison::of(self.of, live, new).without(&self.reset);
        let changed = change.changed();
        self.take(&mut owners, &change, None);
        let taken = changed.minus(&not_owned());
        if !taken.is_empty() {
            let before = owners.get(&me).map(|owned| owned.fields.union(&taken));
            let owned = Owned {
                fields: before.unwrap_or(taken),
                version: self.version.clone(),
                time: Some(now),
            };
            owners.insert(me, owned);
        }
        cap(&mut owners);
        owners
    }

    /// After an apply by `me`: the new object, `None` when it is the stored one.
    pub fn apply(
        &self,
        live: &Value,
        applied: &Value,
        mut owners: Owners,
        me: &Owner,
        force: bool,
    ) -> Result<(Option<Value>, Owners), Failure> {
        self.settle(&mut owners);
        let merged = merge(self.of, Some(live), Some(applied)).map_err(Failure::Unmergeable)?;
        let merged = merged.unwrap_or_default();
        let fields = fields_of(self.of, applied).without(&self.reset);
        let mine = Owned {
            fields,
            version: self.version.clone(),
            time: None,
        };
        let last = owners.insert(me.clone(), mine);
        if let (Some(last), Some(mine)) = (&last, owners.get_mut(me)) {
            mine.time = last.time;
        }
        let last = last.filter(|last| last.version == self.version);
        let new = match last {
            Some(last) if !last.fields.is_empty() => self.prune(&merged, &owners, &last.fields),
            Some(_) | None => merged,
        };
        let change = Comparison::of(self.of, live, &new).without(&self.reset);
        let conflicts = self.conflicts(&owners, &change, me);
        if !force && !conflicts.is_empty() {
            return Err(Failure::Conflicts(conflicts));
        }
        self.take(&mut owners, &change, Some(me));
        if let Some(mine) = owners.get_mut(me) {
            mine.fields = mine.fields.minus(&not_owned());
        }
        owners.retain(|_, owned| !owned.fields.is_empty());
        Ok(((!same(live, &new)).then_some(new), owners))
    }

    fn conflicts(&self, owners: &Owners, change: &Comparison, me: &Owner) -> Vec<Conflict> {
        let changed = change.changed();
        let others = owners.iter().filter(|(owner, _)| *owner != me);
        let conflicts = others.filter(|(_, owned)| owned.version == self.version);
        conflicts
            .flat_map(|(owner, owned)| {
                let paths = owned.fields.intersection(&changed).paths();
                paths.into_iter().map(|path| Conflict {
                    owner: owner.clone(),
                    path,
                })
            })
            .collect()
    }

    /// Takes what was changed or removed from everybody but `except`.
    fn take(&self, owners: &mut Owners, change: &Comparison, except: Option<&Owner>) {
        let gone = change.changed().union(&change.removed);
        for (owner, owned) in owners.iter_mut() {
            if Some(owner) != except && owned.version == self.version {
                owned.fields = owned.fields.minus(&gone);
            }
        }
        owners.retain(|_, owned| !owned.fields.is_empty());
    }

    /// Takes out of the merged object what was applied last time, is not applied now, and nobody else owns.
    fn prune(&self, merged: &Value, owners: &Owners, last: &Fields) -> Value {
        let full = |fields: &Fields| fields.with_parents(Some(self.of));
        let all = |value: &Value| full(&fields_of(self.of, value));
        let (last, everything) = (full(last), all(merged));
        let without_last = remove(self.of, merged, &last);
        let same_version = owners
            .values()
            .filter(|owned| owned.version == self.version);
        let owned = same_version.fold(Fields::default(), |sum, owned| sum.union(&owned.fields));
        // What somebody owns comes back, with what leads to it.
        let kept = all(&without_last).union(&full(&owned));
        let pruned = remove(self.of, merged, &everything.minus(&kept));
        // What was taken only because it is below comes back too.
        let lost = everything.minus(&all(&pruned)).intersection(&last);
        remove(self.of, merged, &lost)
    }

    /// Owners as the present version and schema see them.
    fn settle(&self, owners: &mut Owners) {
        if self.only_version {
            owners.retain(|_, owned| owned.version == self.version);
        }
        for owned in owners.values_mut() {
            if owned.version == self.version {
                owned.fields = owned.fields.settled(Some(self.of));
            }
        }
    }
}

/// What the API server sets itself, or what names the object: nobody owns it.
fn not_owned() -> Fields {
    Fields::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
}

/// The one who writes.
pub(super) fn owner(
    manager: &str,
    operation: Operation,
    version: &str,
    subresource: Option<&str>,
) -> Owner {
    Owner {
        manager: match manager {
            "" => "unknown".to_owned(),
            name => name.to_owned(),
        },
        operation,
        version: match operation {
            Operation::Apply => String::new(),
            Operation::Update => version.to_owned(),
        },
        subresource: subresource.unwrap_or_default().to_owned(),
    }
}
