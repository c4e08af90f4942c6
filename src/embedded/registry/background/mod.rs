//! What goes on without a request: garbage collection by owner references, the emptying of namespaces that end, the end of old
//! events, compaction. Driven step by step, so that tests need not wait.

mod garbage;
mod namespaces;
mod owners;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::family::Family;
use super::request::{Target, WriteOptions};
use super::served::Served;
use super::{Registry, meta, refusals};
use crate::embedded::refusal::Refusal;
use crate::embedded::sparse::Fields;
use crate::embedded::store::{Change, Key, ListQuery, StoreError, Verb};
use owners::{Named, Owners};

/// So many objects are read at once.
const PAGE: usize = 200;
/// After a failure of the store nothing is tried for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// It names owners that may be gone.
    Dependent(Key),
    /// It waits for its dependents.
    Owner(Key),
    /// It ends.
    Namespace(String),
}

/// The work of one registry. There may be only one at a time.
pub struct Background {
    registry: Registry,
    /// By stored resource; the first kind that is stored there.
    kinds: HashMap<String, Arc<Served>>,
    /// Looked at up to there, by stored resource; empty = nothing yet.
    positions: HashMap<String, u64>,
    owners: Owners,
    ending: BTreeSet<String>,
    work: BTreeSet<Work>,
}

impl Registry {
    /// The work that goes on without a request, to be driven by hand.
    pub fn background(&self) -> Background {
        let mut kinds: HashMap<String, Arc<Served>> = HashMap::new();
        for kind in self.kinds() {
            if let Ok(served) = self.served(kind) {
                kinds.entry(served.resource.clone()).or_insert(served);
            }
        }
        Background {
            registry: self.clone(),
            kinds,
            positions: HashMap::new(),
            owners: Owners::default(),
            ending: BTreeSet::new(),
            work: BTreeSet::new(),
        }
    }

    /// Does that work until the token is cancelled.
    pub fn start_background(&self, token: CancellationToken) -> JoinHandle<()> {
        let background = self.background();
        tokio::spawn(background.run(token))
    }
}

impl Background {
    async fn run(mut self, token: CancellationToken) {
        let mut news = self.registry.inner.store.subscribe();
        let mut sweep = tokio::time::interval(self.registry.inner.options.sweep);
        while !token.is_cancelled() {
            news.borrow_and_update();
            if let Err(refusal) = self.settle().await {
                tracing::warn!(%refusal, "the embedded API's background work failed; it is tried again");
                tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
            tokio::select! {
                () = token.cancelled() => return,
                changed = news.changed() => if changed.is_err() { return },
                _ = sweep.tick() => if let Err(refusal) = self.sweep().await {
                    tracing::warn!(%refusal, "old events or history of the embedded API could not be removed; it is tried again");
                },
            }
        }
    }

    /// Works until there is nothing left to do.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn settle(&mut self) -> Result<(), Refusal> {
        while self.step().await? {}
        Ok(())
    }

    /// Reads what changed and does what there is to do; false when there was nothing.
    ///
    /// # Errors
    /// What the store answers; what was to be done is kept.
    pub async fn step(&mut self) -> Result<bool, Refusal> {
        if self.positions.is_empty() {
            self.load().await.map_err(refusals::store)?;
        }
        match self.follow().await {
            // History has gone on without us: look at everything again.
            Err(StoreError::Compacted { .. }) => self.load().await.map_err(refusals::store)?,
            other => other.map_err(refusals::store)?,
        }
        let work: Vec<Work> = self.work.iter().cloned().collect();
        for one in &work {
            self.work.remove(one);
            if let Err(refusal) = self.handle(one).await {
                let passing = ["NotFound", "Conflict"].contains(&refusal.reason);
                if refusal.reason != "NotFound" {
                    self.work.insert(one.clone());
                }
                if !passing {
                    return Err(refusal);
                }
            }
        }
        Ok(!work.is_empty())
    }

    async fn handle(&mut self, work: &Work) -> Result<(), Refusal> {
        match work {
            Work::Dependent(key) => self.check_dependent(key).await,
            Work::Owner(key) => self.check_owner(key).await,
            Work::Namespace(name) => self.empty_namespace(name).await,
        }
    }

    /// Reads who names whom in everything there is. Of each object only a few fields are read, and who names owners that are all
    /// there needs no look.
    async fn load(&mut self) -> Result<(), StoreError> {
        self.owners = Owners::default();
        self.ending.clear();
        let fields = Arc::new(fields());
        let mut solid: HashMap<String, Key> = HashMap::new();
        let mut dependents = Vec::new();
        for resource in self.kinds.keys().cloned().collect::<Vec<_>>() {
            let mut query = ListQuery {
                resource: resource.clone(),
                limit: Some(PAGE),
                ..ListQuery::default()
            };
            loop {
                let fields = Arc::clone(&fields);
                let store = &self.registry.inner.store;
                let read = move |_: &Key, _, text: &[u8]| Ok(fields.read(text)?);
                let page = store.read(&query, read).await?;
                query.after = page
                    .items
                    .last()
                    .map(|(key, _)| (key.namespace.clone(), key.name.clone()));
                (query.at, query.left) = (Some(page.revision), Some(page.remaining));
                for (key, object) in page.items {
                    if self.learn(&key, &object) {
                        dependents.push(key.clone());
                    }
                    if !waits_for_dependents(&object) {
                        solid.insert(meta::text(&object, "uid").to_owned(), key);
                    }
                }
                if page.remaining == 0 {
                    self.positions.insert(resource, page.revision);
                    break;
                }
            }
        }
        let is_solid =
            |owner: &Named| owner.key.is_some() && solid.get(&owner.uid) == owner.key.as_ref();
        let owners = &self.owners;
        let doubtful = dependents
            .into_iter()
            .filter(|key| !owners.named(key).iter().all(is_solid));
        self.work.extend(doubtful.map(Work::Dependent));
        Ok(())
    }

    async fn follow(&mut self) -> Result<(), StoreError> {
        for (resource, mut position) in self.positions.clone() {
            let Ok(feed) = self.registry.feed(&resource) else {
                continue;
            };
            loop {
                let found = feed.after(position).await?;
                for told in &found.changes {
                    self.note(&told.change);
                }
                if found.to == position {
                    break;
                }
                position = found.to;
                self.positions.insert(resource.clone(), position);
            }
        }
        Ok(())
    }

    fn note(&mut self, change: &Change) {
        let Key {
            resource,
            namespace,
            name,
        } = &change.key;
        if self.ending.contains(namespace) {
            self.work.insert(Work::Namespace(namespace.clone()));
        }
        match change.verb {
            Verb::Added | Verb::Modified => {
                if self.learn(&change.key, &change.object) {
                    self.work.insert(Work::Dependent(change.key.clone()));
                }
            }
            Verb::Deleted => {
                if resource == "namespaces" {
                    self.ending.remove(name);
                }
                let uid = meta::text(&change.object, "uid");
                let dependents = self.owners.dependents(uid).into_iter().map(Work::Dependent);
                self.work.extend(dependents);
                let owners = self.owners.forget(&change.key).into_iter().map(Work::Owner);
                self.work.extend(owners);
            }
        }
    }

    /// Takes over what an object says of its owners and its deletion. Whether it names owners, and others than before.
    fn learn(&mut self, key: &Key, object: &Value) -> bool {
        let named = self.named_owners(key, object);
        let mut refers = !named.is_empty();
        match self.owners.learn(key, named) {
            Some(before) => self.work.extend(before.into_iter().map(Work::Owner)),
            None => refers = false,
        }
        if !meta::is_deleting(object) {
            return refers;
        }
        if meta::finalizers(object)
            .iter()
            .any(|f| [meta::ORPHAN, meta::FOREGROUND].contains(f))
        {
            self.work.insert(Work::Owner(key.clone()));
        }
        if key.resource == "namespaces" && self.ending.insert(key.name.clone()) {
            self.work.insert(Work::Namespace(key.name.clone()));
        }
        refers
    }

    /// Removes what is too old: events whose last write is long ago, and history.
    ///
    /// # Errors
    /// What the store answers.
    pub async fn sweep(&self) -> Result<(), Refusal> {
        self.expire_events().await.map_err(refusals::store)?;
        let keep = self.registry.inner.options.keep;
        self.registry
            .inner
            .store
            .compact(keep)
            .await
            .map_err(refusals::store)?;
        Ok(())
    }

    async fn expire_events(&self) -> Result<(), StoreError> {
        if !self.kinds.values().any(|s| s.family == Family::Event) {
            return Ok(());
        }
        let (store, options) = (&self.registry.inner.store, &self.registry.inner.options);
        let now = self.registry.now();
        let mut query = ListQuery {
            resource: "events".to_owned(),
            limit: Some(PAGE),
            ..ListQuery::default()
        };
        loop {
            let page = store.list(&query).await?;
            query.after = page
                .items
                .last()
                .map(|s| (s.key.namespace.clone(), s.key.name.clone()));
            for stored in page.items {
                let age = (now - last_write(&stored.object))
                    .to_std()
                    .unwrap_or_default();
                if age < options.event_ttl {
                    continue;
                }
                // Whoever writes it now keeps it.
                match store
                    .delete(&stored.key, Some(stored.revision), stored.object)
                    .await
                {
                    Ok(_) | Err(StoreError::Conflict { .. }) => {}
                    Err(other) => return Err(other),
                }
            }
            if page.remaining == 0 {
                return Ok(());
            }
        }
    }

    /// Writes of ours are told apart by this name, as those of the real controllers.
    fn options() -> WriteOptions {
        WriteOptions {
            manager: "kube-controller-manager".to_owned(),
            ..WriteOptions::default()
        }
    }

    fn target<'a>(served: &'a Served, key: &'a Key) -> Target<'a> {
        Target {
            kind: &served.kind,
            namespace: served.kind.namespaced.then_some(key.namespace.as_str()),
            status: false,
        }
    }
}

/// What [`Background::learn`] looks at, and the uid.
fn fields() -> Fields {
    let mut fields = Fields::default();
    for field in ["uid", "ownerReferences", "deletionTimestamp", "finalizers"] {
        fields.want(["metadata", field]);
    }
    fields
}

/// It is being deleted in the foreground.
fn waits_for_dependents(object: &Value) -> bool {
    meta::is_deleting(object) && meta::finalizers(object).contains(&meta::FOREGROUND)
}

/// When an object was last written: its owners of fields know.
fn last_write(object: &Value) -> DateTime<Utc> {
    let time = |text: &str| {
        DateTime::parse_from_rfc3339(text)
            .map(|t| t.to_utc())
            .unwrap_or_default()
    };
    let entries = meta::of(object)
        .and_then(|m| m.get("managedFields"))
        .and_then(Value::as_array);
    let entries = entries.into_iter().flatten();
    let times = entries.filter_map(|e| e.get("time").and_then(Value::as_str).map(time));
    times.fold(time(meta::text(object, "creationTimestamp")), DateTime::max)
}
