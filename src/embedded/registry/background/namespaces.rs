//! The end of a namespace: everything in it is deleted, as its finalizers allow; then its own finalizer goes, and it with it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Background, PAGE};
use crate::embedded::refusal::Refusal;
use crate::embedded::registry::change::may_go;
use crate::embedded::registry::request::{DeleteOptions, Propagation};
use crate::embedded::registry::{meta, refusals};
use crate::embedded::store::{Key, ListQuery, StoreError, Stored};

/// What could not be deleted yet.
#[derive(Debug, Default)]
struct Remains {
    /// How many, by resource.
    objects: BTreeMap<String, usize>,
    /// How many have it, by finalizer.
    finalizers: BTreeMap<String, usize>,
}

impl Background {
    /// Deletes what is in a namespace that ends, and the namespace when nothing is left.
    pub(super) async fn empty_namespace(&mut self, name: &str) -> Result<(), Refusal> {
        let key = Key {
            resource: "namespaces".to_owned(),
            namespace: String::new(),
            name: name.to_owned(),
        };
        let Some(live) = self
            .registry
            .inner
            .store
            .get(&key)
            .await
            .map_err(refusals::store)?
        else {
            self.ending.remove(name);
            return Ok(());
        };
        if !meta::is_deleting(&live.object) {
            return Ok(());
        }
        let mut remains = Remains::default();
        for resource in self.kinds.keys() {
            self.empty_resource(resource, name, &mut remains).await?;
        }
        if remains.objects.is_empty() {
            self.finish(live).await
        } else {
            self.tell(live, &remains).await
        }
    }

    async fn empty_resource(
        &self,
        resource: &str,
        namespace: &str,
        remains: &mut Remains,
    ) -> Result<(), Refusal> {
        let Some(served) = self.kinds.get(resource).filter(|s| s.kind.namespaced) else {
            return Ok(());
        };
        let mut query = ListQuery {
            resource: resource.to_owned(),
            namespace: Some(namespace.to_owned()),
            limit: Some(PAGE),
            ..ListQuery::default()
        };
        let options = DeleteOptions {
            propagation: Some(Propagation::Background),
            ..DeleteOptions::default()
        };
        loop {
            let page = self
                .registry
                .inner
                .store
                .list(&query)
                .await
                .map_err(refusals::store)?;
            query.after = page
                .items
                .last()
                .map(|s| (s.key.namespace.clone(), s.key.name.clone()));
            for stored in &page.items {
                if !meta::is_deleting(&stored.object) {
                    let target = Self::target(served, &stored.key);
                    match self
                        .registry
                        .delete(&target, &stored.key.name, &options)
                        .await
                    {
                        Err(refusal) if refusal.reason != "NotFound" => return Err(refusal),
                        Ok(_) | Err(_) => {}
                    }
                }
                let finalizers = meta::finalizers(&stored.object);
                if !finalizers.is_empty() {
                    *remains.objects.entry(resource.to_owned()).or_default() += 1;
                }
                for finalizer in finalizers {
                    *remains.finalizers.entry(finalizer.to_owned()).or_default() += 1;
                }
            }
            if page.remaining == 0 {
                return Ok(());
            }
        }
    }

    async fn finish(&self, live: Stored) -> Result<(), Refusal> {
        let Some(served) = self.kinds.get("namespaces") else {
            return Ok(());
        };
        let mut object = live.object.clone();
        if let Some(finalizers) = object
            .pointer_mut("/spec/finalizers")
            .and_then(Value::as_array_mut)
        {
            finalizers.retain(|f| f != "kubernetes");
        }
        let store = &self.registry.inner.store;
        let done = if may_go(served, &object) {
            store
                .delete(&live.key, Some(live.revision), live.object)
                .await
                .map(|_| ())
        } else if object == live.object {
            return Ok(());
        } else {
            store
                .replace(&live.key, live.revision, object)
                .await
                .map(|_| ())
        };
        done.map_err(|error| overtaken(served, &live.key, error))
    }

    /// Tells in the namespace's conditions what keeps it there.
    async fn tell(&self, live: Stored, remains: &Remains) -> Result<(), Refusal> {
        let Some(served) = self.kinds.get("namespaces") else {
            return Ok(());
        };
        let now = meta::stamp(self.registry.now());
        let mut object = live.object.clone();
        let old = object
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let conditions = conditions(remains).into_iter().map(|mut condition| {
            let before = old.iter().find(|c| c["type"] == condition["type"]);
            let same = before.filter(|c| c["status"] == condition["status"]);
            let since = same
                .and_then(|c| c.get("lastTransitionTime"))
                .unwrap_or(&now);
            condition["lastTransitionTime"] = since.clone();
            condition
        });
        let conditions: Vec<Value> = conditions.collect();
        object["status"]["conditions"] = conditions.into();
        if object == live.object {
            return Ok(());
        }
        let stored = self
            .registry
            .inner
            .store
            .replace(&live.key, live.revision, object)
            .await;
        stored
            .map(|_| ())
            .map_err(|error| overtaken(served, &live.key, error))
    }
}

fn overtaken(
    served: &crate::embedded::registry::served::Served,
    key: &Key,
    error: StoreError,
) -> Refusal {
    match error {
        StoreError::Conflict { .. } => refusals::modified(&served.kind, &key.name),
        other => refusals::store(other),
    }
}

fn conditions(remains: &Remains) -> [Value; 5] {
    let list = |parts: &BTreeMap<String, usize>, words: &str| {
        let parts = parts
            .iter()
            .map(|(name, n)| format!("{name}{words} {n} resource instances"));
        parts.collect::<Vec<_>>().join(", ")
    };
    let objects = format!(
        "Some resources are remaining: {}",
        list(&remains.objects, ". has")
    );
    let finalizers = format!(
        "Some content in the namespace has finalizers remaining: {}",
        list(&remains.finalizers, " in")
    );
    let good = "All resources successfully discovered";
    let parsed = "All legacy kube types successfully parsed";
    let deleted = "All content successfully deleted, may be waiting on finalization";
    [
        condition(
            "NamespaceDeletionDiscoveryFailure",
            false,
            "ResourcesDiscovered",
            good,
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            false,
            "ParsedGroupVersions",
            parsed,
        ),
        condition(
            "NamespaceDeletionContentFailure",
            false,
            "ContentDeleted",
            deleted,
        ),
        condition(
            "NamespaceContentRemaining",
            true,
            "SomeResourcesRemain",
            &objects,
        ),
        condition(
            "NamespaceFinalizersRemaining",
            true,
            "SomeFinalizersRemain",
            &finalizers,
        ),
    ]
}

fn condition(name: &str, status: bool, reason: &str, message: &str) -> Value {
    let status = if status { "True" } else { "False" };
    json!({"type": name, "status": status, "reason": reason, "message": message})
}
