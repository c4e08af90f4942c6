//! Changing: replace and patch, of the main resource and of its status.

use serde_json::Value;

use super::family::Family;
use super::request::{PatchBody, Target, WriteOptions, Written};
use super::served::Served;
use super::{Registry, decode, family, meta, refusals};
use crate::embedded::apply::{Manager, apply, go, track};
use crate::embedded::patch;
use crate::embedded::refusal::{Cause, Refusal};
use crate::embedded::store::{StoreError, Stored};

/// So often a change without a revision of its own is begun again when another one came between.
const TRIES: usize = 100;

/// Who has already told the owners of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// Nobody: the write is an update.
    Update,
    /// Server-side apply.
    Applied,
}

/// How a change ended.
enum Outcome {
    Done(Written),
    /// Another one came between.
    Overtaken,
}

/// A change of one object.
struct Change<'a> {
    served: &'a Served,
    target: &'a Target<'a>,
    options: &'a WriteOptions,
    name: &'a str,
}

impl Registry {
    /// Puts a new state in the place of an object's.
    ///
    /// # Errors
    /// As [`Registry::create`]; 404 it is not there; 409 it was changed since the revision that the new state is based on; 422 also
    /// without that revision, where the kind wants one.
    pub async fn replace(
        &self,
        target: &Target<'_>,
        name: &str,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let served = self.writable(target)?;
        self.replace_any(&served, target, name, body, options).await
    }

    pub(super) async fn replace_any(
        &self,
        served: &Served,
        target: &Target<'_>,
        name: &str,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let mut warnings = Vec::new();
        let mut object = decode::body(self, served, body, options.validation, &mut warnings)?;
        decode::place(target, &mut object)?;
        decode::same_name(&object, name)?;
        let change = Change {
            served,
            target,
            options,
            name,
        };
        for _ in 0..TRIES {
            let Some(live) = self.live(served, target, name).await? else {
                if !served.family.creates_on_update() || target.status {
                    return Err(refusals::not_found(&served.kind, name));
                }
                return Ok(self.create_instead(&change, object).await?.warned(warnings));
            };
            same_uid(served, &live, &object)?;
            if let Outcome::Done(written) = self
                .change(&change, &live, object.clone(), Tracking::Update)
                .await?
            {
                return Ok(written.warned(warnings));
            }
        }
        Err(refusals::modified(&served.kind, name))
    }

    /// A replace of what is not there, for the kinds that take it. Its revision says nothing.
    async fn create_instead(
        &self,
        change: &Change<'_>,
        mut object: Value,
    ) -> Result<Written, Refusal> {
        let served = change.served;
        let uid = meta::text(&object, "uid").to_owned();
        if !uid.is_empty() {
            return Err(refusals::other_uid(
                &served.kind,
                &served.key_of(&object),
                &uid,
                "",
            ));
        }
        meta::remove(&mut object, "resourceVersion");
        self.insert(
            served,
            change.target,
            object,
            change.options,
            Tracking::Update,
        )
        .await
    }

    /// Changes a part of an object; an apply creates it when it is not there.
    ///
    /// # Errors
    /// As [`Registry::replace`]; 400 a patch that is none, 409 also for fields of other managers, 415 a strategic merge patch of a
    /// custom kind, 422 also for a patch that cannot be applied, 500 for an apply of what the schema does not know.
    pub async fn patch(
        &self,
        target: &Target<'_>,
        name: &str,
        body: PatchBody,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let served = self.writable(target)?;
        check_options(&served, &body, options)?;
        let change = Change {
            served: &served,
            target,
            options,
            name,
        };
        for _ in 0..TRIES {
            let live = self.live(&served, target, name).await?;
            let outcome = match (live, &body) {
                (live, PatchBody::Apply(config)) => self.apply_once(&change, live, config).await?,
                (
                    Some(live),
                    PatchBody::Json(_) | PatchBody::Merge(_) | PatchBody::Strategic(_),
                ) => self.patch_once(&change, &live, &body).await?,
                (None, PatchBody::Json(_) | PatchBody::Merge(_) | PatchBody::Strategic(_)) => {
                    return Err(refusals::not_found(&served.kind, name));
                }
            };
            if let Outcome::Done(written) = outcome {
                return Ok(written);
            }
        }
        Err(refusals::modified(&served.kind, name))
    }

    async fn patch_once(
        &self,
        change: &Change<'_>,
        live: &Stored,
        body: &PatchBody,
    ) -> Result<Outcome, Refusal> {
        let served = change.served;
        let current = served.present(live.object.clone(), live.revision);
        let object = match body {
            PatchBody::Json(patch) => patch::json(&current, patch)?,
            PatchBody::Merge(patch) => patch::merge(&current, patch)?,
            PatchBody::Strategic(patch) => patch::strategic(&served.kind, &current, patch)?,
            // Applies go their own way.
            PatchBody::Apply(_) => return Err(refusals::method_not_allowed()),
        };
        let shown = |object: &Value| match (served.family, body) {
            (Family::Secret, _) => "<secret contents redacted>".to_owned(),
            (_, PatchBody::Strategic(patch)) => go(patch),
            (_, PatchBody::Json(_) | PatchBody::Merge(_) | PatchBody::Apply(_)) => {
                object.to_string()
            }
        };
        let mut warnings = Vec::new();
        let mut object = decode::patched(
            served,
            object,
            change.options.validation,
            shown,
            &mut warnings,
        )?;
        decode::same_name(&object, change.name)?;
        decode::place(change.target, &mut object)?;
        let carried = meta::text(&object, "resourceVersion") == live.revision.to_string();
        let outcome = self.change(change, live, object, Tracking::Update).await;
        begin_again(outcome, carried, warnings)
    }

    async fn apply_once(
        &self,
        change: &Change<'_>,
        live: Option<Stored>,
        config: &Value,
    ) -> Result<Outcome, Refusal> {
        let (served, target, name) = (change.served, change.target, change.name);
        if live.is_none() && target.status {
            return Err(refusals::not_found(&served.kind, name));
        }
        let manager = Manager {
            name: &change.options.manager,
            subresource: target.status.then_some("status"),
            api_version: &served.kind.api_version(),
            now: self.now(),
        };
        let current = live
            .as_ref()
            .map(|live| served.present(live.object.clone(), live.revision));
        let mut object = apply(
            &served.kind,
            current.as_ref(),
            config,
            &manager,
            change.options.force,
        )?;
        decode::settle(served, &mut object);
        decode::same_name(&object, name)?;
        decode::place(target, &mut object)?;
        let Some(live) = live else {
            let uid = meta::text(&object, "uid");
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(refusals::conflict(&served.kind, name, &why));
            }
            return match self
                .insert(served, target, object, change.options, Tracking::Applied)
                .await
            {
                Ok(written) => Ok(Outcome::Done(written)),
                Err(refusal) if refusal.reason == "AlreadyExists" && !change.options.dry_run => {
                    Ok(Outcome::Overtaken)
                }
                Err(refusal) => Err(refusal),
            };
        };
        let carried = meta::text(config, "resourceVersion").is_empty();
        if carried {
            meta::set(
                &mut object,
                "resourceVersion",
                live.revision.to_string().into(),
            );
        }
        let outcome = self.change(change, &live, object, Tracking::Applied).await;
        begin_again(outcome, carried, Vec::new())
    }

    /// Puts `object`, in the form of the request's group, in the place of `live`.
    async fn change(
        &self,
        change: &Change<'_>,
        live: &Stored,
        mut object: Value,
        tracking: Tracking,
    ) -> Result<Outcome, Refusal> {
        let (served, target) = (change.served, change.target);
        let based_on = based_on(served, change.name, &object)?;
        if based_on.is_some_and(|revision| revision != live.revision) {
            return Err(refusals::modified(&served.kind, change.name));
        }
        let current = served.present(live.object.clone(), live.revision);
        meta::carry(&mut object, &current);
        served
            .family
            .carry(&served.kind, &mut object, &current, target.status);
        if tracking == Tracking::Update {
            let manager = Manager {
                name: &change.options.manager,
                subresource: target.status.then_some("status"),
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

/// A patched object carries the revision that it was made from without the client having asked for it: it is no precondition, and
/// a change that came between only means that the patch is applied to the newer state.
fn begin_again(
    outcome: Result<Outcome, Refusal>,
    carried: bool,
    warnings: Vec<String>,
) -> Result<Outcome, Refusal> {
    match outcome {
        Ok(Outcome::Done(written)) => Ok(Outcome::Done(written.warned(warnings))),
        Err(refusal) if carried && refusal.reason == "Conflict" => Ok(Outcome::Overtaken),
        other => other,
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

/// A replace that names a uid is meant for that object alone.
fn same_uid(served: &Served, live: &Stored, object: &Value) -> Result<(), Refusal> {
    let (asked, found) = (meta::text(object, "uid"), meta::text(&live.object, "uid"));
    if asked.is_empty() || asked == found {
        return Ok(());
    }
    Err(refusals::other_uid(&served.kind, &live.key, asked, found))
}

fn check_options(served: &Served, body: &PatchBody, options: &WriteOptions) -> Result<(), Refusal> {
    let refuse = |field: &str, reason, message: &str| {
        let cause = Cause {
            field: field.to_owned(),
            reason,
            message: message.to_owned(),
        };
        Err(refusals::options("PatchOptions", vec![cause]))
    };
    match body {
        PatchBody::Apply(_) if options.manager.is_empty() => refuse(
            "fieldManager",
            "FieldValueRequired",
            "Required value: is required for apply patch",
        ),
        PatchBody::Json(_) | PatchBody::Merge(_) | PatchBody::Strategic(_) if options.force => {
            refuse(
                "force",
                "FieldValueForbidden",
                "Forbidden: may not be specified for non-apply patch",
            )
        }
        PatchBody::Strategic(_) => patch::no_strategic(&served.kind).map_or(Ok(()), Err),
        PatchBody::Apply(_) | PatchBody::Json(_) | PatchBody::Merge(_) => Ok(()),
    }
}

/// The real server looks at changed metadata twice, and lists what it finds twice.
fn twice(causes: Vec<Cause>) -> Vec<Cause> {
    let metadata = causes.iter().filter(|c| c.field.starts_with("metadata."));
    let mut all: Vec<Cause> = metadata.cloned().collect();
    all.extend(causes);
    all
}
