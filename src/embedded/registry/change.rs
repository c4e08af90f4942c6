//! One change of one object, from what a client has made of it to the store.

use serde_json::Value;

use super::family::{Family, Through};
use super::request::{Target, WriteOptions, Written};
use super::served::Served;
use super::{Registry, family, meta, refusals};
use crate::embedded::apply::{Manager, track};
use crate::embedded::refusal::{Cause, Refusal};
use crate::embedded::store::{StoreError, Stored};

/// Who has already told the owners of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// Nobody: the write is an update.
    Update,
    /// Server-side apply.
    Applied,
}

/// How a change ended.
pub enum Outcome {
    Done(Written),
    /// Another one came between.
    Overtaken,
}

/// A change of one object.
pub struct Change<'a> {
    pub served: &'a Served,
    pub target: &'a Target<'a>,
    pub options: &'a WriteOptions,
    pub name: &'a str,
    pub through: Through,
}

impl<'a> Change<'a> {
    /// Through the part of the object that the target names.
    pub fn new(
        served: &'a Served,
        target: &'a Target<'a>,
        options: &'a WriteOptions,
        name: &'a str,
    ) -> Self {
        let through = if target.status {
            Through::Status
        } else {
            Through::Object
        };
        Self {
            served,
            target,
            options,
            name,
            through,
        }
    }
}

impl Registry {
    /// Puts `object`, in the form of the request's group, in the place of `live`.
    pub(super) async fn change(
        &self,
        change: &Change<'_>,
        live: &Stored,
        mut object: Value,
        tracking: Tracking,
    ) -> Result<Outcome, Refusal> {
        let served = change.served;
        let based_on = based_on(served, change.name, &object)?;
        if based_on.is_some_and(|revision| revision != live.revision) {
            return Err(refusals::modified(&served.kind, change.name));
        }
        let current = served.present(live.object.clone(), live.revision);
        meta::carry(&mut object, &current);
        served
            .family
            .carry(&served.kind, &mut object, &current, change.through);
        if tracking == Tracking::Update {
            let manager = Manager {
                name: &change.options.manager,
                subresource: change.through.subresource(),
                api_version: &served.kind.api_version(),
                now: self.now(),
            };
            track(&served.kind, Some(&current), &mut object, &manager)?;
        }
        served
            .family
            .generation(&served.kind, &mut object, &current);
        let mut causes = meta::deletion_begun(&object, &current);
        causes.extend(served.structural.validate(&object, Some(&current)));
        if !causes.is_empty() {
            return Err(refusals::invalid(
                &served.of_object(&object),
                change.name,
                twice(causes),
            ));
        }
        let finalizers_changed = meta::finalizers(&object) != meta::finalizers(&current);
        let warnings = if served.kind.custom && finalizers_changed {
            meta::finalizer_warnings(&object)
        } else {
            Vec::new()
        };
        served.stored(&mut object);
        self.put(change, live, object, warnings, based_on.is_some())
            .await
    }

    /// Stores a changed object, or deletes it when it waited for the last finalizer that the change took away.
    async fn put(
        &self,
        change: &Change<'_>,
        live: &Stored,
        object: Value,
        warnings: Vec<String>,
        based: bool,
    ) -> Result<Outcome, Refusal> {
        let served = change.served;
        let written = |object: Value, revision: u64| {
            Outcome::Done(Written {
                object: served.present(object, revision),
                created: false,
                warnings,
            })
        };
        let gone = meta::is_deleting(&object) && may_go(served, &object);
        if change.options.dry_run || (object == live.object && !gone) {
            return Ok(written(object, live.revision));
        }
        let done = if gone {
            let last = live.object.clone();
            let deleted = self
                .inner
                .store
                .delete(&live.key, Some(live.revision), last)
                .await;
            deleted.map(|_| written(object, live.revision))
        } else {
            let stored = self
                .inner
                .store
                .replace(&live.key, live.revision, object)
                .await;
            stored.map(|stored| written(stored.object, stored.revision))
        };
        match done {
            Ok(outcome) => Ok(outcome),
            Err(StoreError::Conflict { .. }) if based => {
                Err(refusals::modified(&served.kind, change.name))
            }
            Err(StoreError::Conflict { .. }) => Ok(Outcome::Overtaken),
            Err(other) => Err(refusals::store(other)),
        }
    }
}

/// Nothing keeps an object that is being deleted.
pub fn may_go(served: &Served, object: &Value) -> bool {
    meta::finalizers(object).is_empty()
        && (served.family != Family::Namespace || family::namespace_is_empty(object))
}

/// The revision that a change is based on; none where that may be left out.
fn based_on(served: &Served, name: &str, object: &Value) -> Result<Option<u64>, Refusal> {
    let text = meta::text(object, "resourceVersion");
    let revision: u64 = match text {
        "" => 0,
        text => text.parse().map_err(|_| {
            refusals::internal(format!(
                "strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })?,
    };
    match revision {
        0 if served.family.unconditional() => Ok(None),
        0 => Err(refusals::no_resource_version(&served.kind, name)),
        revision => Ok(Some(revision)),
    }
}

/// The real server looks at changed metadata twice, and lists what it finds twice.
fn twice(causes: Vec<Cause>) -> Vec<Cause> {
    let metadata = causes.iter().filter(|c| c.field.starts_with("metadata."));
    let mut all: Vec<Cause> = metadata.cloned().collect();
    all.extend(causes);
    all
}
