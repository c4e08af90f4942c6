//! Garbage collection: what names owners goes when all of them are gone (`kubernetes-api.md` § 4 row 9).

use serde_json::{Value, json};

use super::owners::Named;
use super::{Background, Work, waits_for_dependents};
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::request::{DeleteOptions, PatchBody, Propagation};
use crate::embedded::registry::{meta, refusals};
use crate::embedded::store::{Key, Stored};

/// What became of the owners that an object names, by their uids.
#[derive(Debug, Default)]
struct Fate {
    /// There, and not waiting for this object.
    solid: bool,
    /// There, until their dependents are gone.
    waiting: Vec<String>,
    /// Gone.
    dangling: Vec<String>,
}

impl Background {
    /// The owners that an object names.
    pub(super) fn named_owners(&self, key: &Key, object: &Value) -> Vec<Named> {
        let named = meta::owners(object).iter().map(|owner| {
            let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
            Named {
                uid: text("uid").to_owned(),
                key: self.resolve(
                    text("apiVersion"),
                    text("kind"),
                    text("name"),
                    &key.namespace,
                ),
                blocks: owner.get("blockOwnerDeletion") == Some(&Value::Bool(true)),
            }
        });
        named.collect()
    }

    /// Where an owner would be: in the namespace of its dependent, or in none.
    fn resolve(&self, version: &str, kind: &str, name: &str, namespace: &str) -> Option<Key> {
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let mut kinds = self.registry.kinds().iter();
        let kind = kinds.find(|k| k.kind == kind && k.group == group)?;
        let served = self.registry.served(kind).ok()?;
        Some(served.key(namespace, name))
    }

    async fn stored(&self, key: &Key) -> Result<Option<Stored>, Refusal> {
        self.registry
            .inner
            .store
            .get(key)
            .await
            .map_err(refusals::store)
    }

    /// Deletes an object whose owners are gone, or takes those that are gone out of its references.
    pub(super) async fn check_dependent(&mut self, key: &Key) -> Result<(), Refusal> {
        let Some(live) = self.stored(key).await? else {
            return Ok(());
        };
        if meta::is_deleting(&live.object) {
            return Ok(());
        }
        let named = self.named_owners(key, &live.object);
        // An owner of a kind that is not served may be there: nothing is done, as by the real server.
        if named.is_empty() || named.iter().any(|n| n.key.is_none()) {
            return Ok(());
        }
        let fate = self.fate(&named).await?;
        if fate.solid {
            let gone: Vec<String> = fate.dangling.into_iter().chain(fate.waiting).collect();
            return self.drop_references(&live, &gone).await;
        }
        let uid = meta::text(&live.object, "uid").to_owned();
        let propagation = if !fate.waiting.is_empty() && !self.owners.dependents(&uid).is_empty() {
            self.unblock_circle(&live, &uid).await?;
            Some(Propagation::Foreground)
        } else {
            None
        };
        self.delete(key, uid, propagation).await
    }

    async fn fate(&self, named: &[Named]) -> Result<Fate, Refusal> {
        let mut fate = Fate::default();
        for owner in named {
            let Some(key) = &owner.key else { continue };
            match self.stored(key).await? {
                Some(found) if meta::text(&found.object, "uid") == owner.uid => {
                    if waits_for_dependents(&found.object) {
                        fate.waiting.push(owner.uid.clone());
                    } else {
                        fate.solid = true;
                    }
                }
                Some(_) | None => fate.dangling.push(owner.uid.clone()),
            }
        }
        Ok(fate)
    }

    /// An object whose dependents wait for it as it waits for them keeps nobody any longer.
    async fn unblock_circle(&self, live: &Stored, uid: &str) -> Result<(), Refusal> {
        let mut circle = false;
        for key in self.owners.dependents(uid) {
            let found = self.stored(&key).await?;
            circle |= found.is_some_and(|s| waits_for_dependents(&s.object));
        }
        if !circle {
            return Ok(());
        }
        let mut references = meta::owners(&live.object).to_vec();
        references
            .iter_mut()
            .for_each(|r| r["blockOwnerDeletion"] = false.into());
        self.patch(&live.key, json!({"ownerReferences": references}))
            .await
    }

    /// Does what an object that is being deleted waits for.
    pub(super) async fn check_owner(&mut self, key: &Key) -> Result<(), Refusal> {
        let Some(live) = self.stored(key).await? else {
            return Ok(());
        };
        let finalizers = meta::finalizers(&live.object);
        if !meta::is_deleting(&live.object) {
            return Ok(());
        }
        let uid = meta::text(&live.object, "uid");
        let dependents = self.owners.dependents(uid);
        if finalizers.contains(&meta::ORPHAN) {
            for dependent in &dependents {
                if let Some(dependent) = self.stored(dependent).await? {
                    self.drop_references(&dependent, &[uid.to_owned()]).await?;
                }
            }
            self.drop_finalizer(&live, meta::ORPHAN).await?;
        } else if finalizers.contains(&meta::FOREGROUND) {
            if !self.owners.is_blocked(uid) {
                self.drop_finalizer(&live, meta::FOREGROUND).await?;
            }
            self.work
                .extend(dependents.into_iter().map(Work::Dependent));
        }
        Ok(())
    }

    async fn drop_references(&self, live: &Stored, uids: &[String]) -> Result<(), Refusal> {
        let stays = |owner: &&Value| {
            let uid = owner.get("uid").and_then(Value::as_str).unwrap_or_default();
            !uids.iter().any(|u| u == uid)
        };
        let all = meta::owners(&live.object);
        let left: Vec<&Value> = all.iter().filter(stays).collect();
        if left.len() == all.len() {
            return Ok(());
        }
        self.patch(
            &live.key,
            json!({"ownerReferences": left, "resourceVersion": live.revision.to_string()}),
        )
        .await
    }

    async fn drop_finalizer(&self, live: &Stored, finalizer: &str) -> Result<(), Refusal> {
        let left: Vec<&str> = meta::finalizers(&live.object)
            .into_iter()
            .filter(|f| *f != finalizer)
            .collect();
        self.patch(
            &live.key,
            json!({"finalizers": left, "resourceVersion": live.revision.to_string()}),
        )
        .await
    }

    async fn patch(&self, key: &Key, metadata: Value) -> Result<(), Refusal> {
        let Some(served) = self.kinds.get(&key.resource) else {
            return Ok(());
        };
        let patch = PatchBody::Merge(json!({"metadata": metadata}));
        let target = Self::target(served, key);
        self.registry
            .patch(&target, &key.name, patch, &Self::options())
            .await?;
        Ok(())
    }

    async fn delete(
        &self,
        key: &Key,
        uid: String,
        propagation: Option<Propagation>,
    ) -> Result<(), Refusal> {
        let Some(served) = self.kinds.get(&key.resource) else {
            return Ok(());
        };
        let options = DeleteOptions {
            propagation,
            uid: Some(uid),
            ..DeleteOptions::default()
        };
        self.registry
            .delete(&Self::target(served, key), &key.name, &options)
            .await?;
        Ok(())
    }
}
