//! Changing: replace and patch, of the main resource and of its status.

use serde_json::Value;

use super::change::{Change, Outcome, Tracking};
use super::family::{Family, Through};
use super::request::{self, PatchBody, Target, WriteOptions, Written};
use super::served::Served;
use super::{Registry, decode, family, meta, refusals};
use crate::embedded::apply::{Manager, apply, go};
use crate::embedded::patch;
use crate::embedded::refusal::{Cause, Refusal};
use crate::embedded::store::Stored;

/// So often a change without a revision of its own is begun again when another one came between.
const TRIES: usize = 100;

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
        let change = Change::new(&served, target, options, name);
        self.replace_any(&change, body).await
    }

    /// Says what keeps a namespace, its `spec.finalizers`: no other write changes them. Without any, one that ends is gone at
    /// once, whatever is in it.
    ///
    /// # Errors
    /// As [`Registry::replace`].
    pub async fn finalize(
        &self,
        target: &Target<'_>,
        name: &str,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, Refusal> {
        let served = self.writable(target)?;
        if served.family != Family::Namespace {
            return Err(refusals::no_such_resource());
        }
        let change = Change {
            through: Through::Finalize,
            ..Change::new(&served, target, options, name)
        };
        self.replace_any(&change, body).await
    }

    pub(super) async fn replace_any(
        &self,
        change: &Change<'_>,
        body: Value,
    ) -> Result<Written, Refusal> {
        let mut warnings = Vec::new();
        let written = self.replace_read(change, body, &mut warnings).await;
        request::told(written, warnings)
    }

    async fn replace_read(
        &self,
        change: &Change<'_>,
        body: Value,
        warnings: &mut Vec<String>,
    ) -> Result<Written, Refusal> {
        let (served, target, name) = (change.served, change.target, change.name);
        let asked = family::asked_spec(&body);
        let mut object = decode::body(self, served, body, change.options, warnings)?;
        if change.through == Through::Finalize {
            object["spec"] = asked;
        }
        decode::place(target, &mut object)?;
        decode::same_name(&object, name)?;
        for _ in 0..TRIES {
            let Some(live) = self.live(served, target, name).await? else {
                if !served.family.creates_on_update() || target.status {
                    return Err(refusals::not_found(&served.kind, name));
                }
                return self.create_instead(change, object).await;
            };
            same_uid(served, &live, &object)?;
            if let Outcome::Done(written) = self
                .change(change, &live, object.clone(), Tracking::Update)
                .await?
            {
                return Ok(written);
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
        let change = Change::new(&served, target, options, name);
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
        let reading = match body {
            PatchBody::Strategic(_) => decode::Reading::Converted,
            PatchBody::Json(_) | PatchBody::Merge(_) | PatchBody::Apply(_) => {
                decode::Reading::Parsed
            }
        };
        let mut warnings = Vec::new();
        let mut object = decode::patched(
            served,
            object,
            reading,
            change.options,
            shown,
            &mut warnings,
        )?;
        let placed = decode::same_name(&object, change.name)
            .and_then(|()| decode::place(change.target, &mut object));
        if let Err(refusal) = placed {
            return Err(refusal.warned(warnings));
        }
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
            subresource: change.through.subresource(),
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
        Err(refusal) => Err(refusal.warned(warnings)),
        Ok(Outcome::Overtaken) => Ok(Outcome::Overtaken),
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
