//! Deleting: at once, or by marking what still has finalizers.

use serde_json::{Value, json};

use super::change::may_go;
use super::family::{self, Family};
use super::request::{DeleteOptions, ListOptions, Listed, Propagation, Target};
use super::served::Served;
use super::{Registry, meta, refusals};
use crate::embedded::refusal::Refusal;
use crate::embedded::store::{StoreError, Stored};

/// So often a deletion is begun again when a change came between.
const TRIES: usize = 100;

/// How one attempt ended.
enum Outcome {
    /// With this answer.
    Done(Value),
    /// A change came between.
    Overtaken,
}

impl Registry {
    /// Deletes an object, or marks it when it has finalizers. The answer is a `Status`, or the object that waits.
    ///
    /// # Errors
    /// 403 a namespace that must stay; 404 it is not there; 405 the kind is read-only; 409 it is not the one that was meant.
    pub async fn delete(
        &self,
        target: &Target<'_>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Value, Refusal> {
        let served = self.writable(target)?;
        if target.status {
            return Err(no_status(&served));
        }
        if served.family != Family::Namespace {
            return self.delete_any(&served, target, name, options).await;
        }
        if family::is_kept(name) {
            return Err(refusals::forbidden(
                &served.kind,
                name,
                "this namespace may not be deleted",
            ));
        }
        // What is being created in it is waited for; what comes later finds it Terminating.
        let _gate = self.inner.gate.write().await;
        self.delete_any(&served, target, name, options).await
    }

    /// Deletes what a list would show, and answers that list.
    ///
    /// # Errors
    /// As [`Registry::list`] and [`Registry::delete`]; objects that are gone by themselves count as deleted.
    pub async fn delete_collection(
        &self,
        target: &Target<'_>,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<Listed, Refusal> {
        let served = self.writable(target)?;
        let whole = served.kind.namespaced && target.namespace.is_none();
        if whole || !served.family.deletes_collections() {
            return Err(refusals::method_not_allowed());
        }
        let listed = self.list(target, list).await?;
        for object in &listed.items {
            match self
                .delete(target, meta::text(object, "name"), options)
                .await
            {
                Err(refusal) if refusal.reason != "NotFound" => return Err(refusal),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(listed)
    }

    async fn delete_any(
        &self,
        served: &Served,
        target: &Target<'_>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Value, Refusal> {
        for _ in 0..TRIES {
            let live = self.live(served, target, name).await?;
            let live = live.ok_or_else(|| refusals::not_found(&served.kind, name))?;
            check_preconditions(served, &live, options)?;
            match self.delete_once(served, live, options).await {
                Ok(Outcome::Done(answer)) => return Ok(answer),
                Ok(Outcome::Overtaken) => {}
                Err(other) => return Err(refusals::store(other)),
            }
        }
        Err(refusals::modified(&served.kind, name))
    }

    async fn delete_once(
        &self,
        served: &Served,
        live: Stored,
        options: &DeleteOptions,
    ) -> Result<Outcome, StoreError> {
        let store = &self.inner.store;
        let mut object = live.object.clone();
        choose_finalizers(&mut object, options.propagation);
        if may_go(served, &object) {
            let answer = Outcome::Done(success(served, &live));
            if options.dry_run {
                return Ok(answer);
            }
            let last = live.object;
            return settle(
                store
                    .delete(&live.key, Some(live.revision), last)
                    .await
                    .map(|_| answer),
            );
        }
        if !meta::is_deleting(&object) {
            self.mark(served, &mut object);
        }
        if options.dry_run || object == live.object {
            return Ok(Outcome::Done(served.present(object, live.revision)));
        }
        let stored = store.replace(&live.key, live.revision, object).await;
        settle(stored.map(|s| Outcome::Done(served.present(s.object, s.revision))))
    }

    fn mark(&self, served: &Served, object: &mut Value) {
        meta::set(object, "deletionTimestamp", meta::stamp(self.now()));
        if served.family == Family::Namespace {
            family::terminate(object);
            return;
        }
        meta::set(object, "deletionGracePeriodSeconds", 0.into());
        family::raise_generation(object);
    }
}

fn settle(done: Result<Outcome, StoreError>) -> Result<Outcome, StoreError> {
    match done {
        Err(StoreError::Conflict { .. }) => Ok(Outcome::Overtaken),
        other => other,
    }
}

/// What garbage collection has to do before the object may go stands in its finalizers: what the request says counts, else what
/// is there already.
fn choose_finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let old: Vec<String> = meta::finalizers(object)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let has = |name: &str| old.iter().any(|f| f == name);
    let (orphan, foreground) = match propagation {
        Some(Propagation::Orphan) => (true, false),
        Some(Propagation::Foreground) => (false, true),
        Some(Propagation::Background) => (false, false),
        None if has(meta::ORPHAN) => (true, false),
        None => (false, has(meta::FOREGROUND)),
    };
    let mut new = old.clone();
    new.retain(|f| f != meta::ORPHAN && f != meta::FOREGROUND);
    for (wanted, name) in [(orphan, meta::ORPHAN), (foreground, meta::FOREGROUND)] {
        if wanted {
            new.push(name.to_owned());
        }
    }
    let same = new.len() == old.len() && new.iter().all(|f| old.contains(f));
    if same {
        return;
    }
    if new.is_empty() {
        meta::remove(object, "finalizers");
    } else {
        meta::set(object, "finalizers", json!(new));
    }
}

fn check_preconditions(
    served: &Served,
    live: &Stored,
    options: &DeleteOptions,
) -> Result<(), Refusal> {
    let (kind, name) = (&served.kind, live.key.name.as_str());
    let uid = meta::text(&live.object, "uid");
    if let Some(asked) = options.uid.as_deref().filter(|asked| *asked != uid) {
        if served.family == Family::Namespace {
            let why = format!(
                "Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}"
            );
            return Err(refusals::conflict(kind, name, &why));
        }
        let why = format!(
            "the UID in the precondition ({asked}) does not match the UID in record ({uid}). The object might have been deleted \
             and then recreated"
        );
        return Err(refusals::precondition(kind, name, &why));
    }
    let revision = live.revision.to_string();
    if let Some(asked) = options
        .resource_version
        .as_deref()
        .filter(|asked| *asked != revision)
    {
        if served.family == Family::Namespace {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {asked}, ResourceVersion in object meta: {revision}"
            );
            return Err(refusals::conflict(kind, name, &why));
        }
        let why = format!(
            "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record ({revision}). The \
             object might have been modified"
        );
        return Err(refusals::precondition(kind, name, &why));
    }
    Ok(())
}

fn success(served: &Served, live: &Stored) -> Value {
    let mut details = refusals::details(&served.kind, &served.kind.plural, &live.key.name);
    details["uid"] = meta::text(&live.object, "uid").into();
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

fn no_status(served: &Served) -> Refusal {
    let mut refusal = Refusal::new(
        405,
        "MethodNotAllowed",
        format!(
            "delete is not supported on resources of kind \"{}\"",
            served.kind.resource()
        ),
    );
    refusal.details = refusals::details(&served.kind, &served.kind.plural, "");
    refusal
}
