//! Create, read, change, delete and watch, as the real API server does it (`kubernetes-api.md` § 4 rows 5–11, 16, 18, 19); its
//! answers, asked for at version 1.36.3, are the judge of everything here.
//!
//! - [`Registry`]: what clients of this room call; [`request`] has the words of its calls
//! - `served`: a kind with its schema and its family; `family`: the rules of the kinds that Kubernetes has built in
//! - `decode`: from a body to an object; `meta`: metadata
//! - `create`, `update`, `delete`: the writes, `change` in common; `read`, `pages`, `watch`: the reads; `options`: which of
//!   theirs go together; `feed`: changes that watches share
//! - `selector`: label and field selectors; `refusals`: the texts of what is refused
//! - `background`: garbage collection, namespaces that end, old events, compaction

mod background;
mod change;
mod create;
mod decode;
mod delete;
mod family;
mod feed;
mod meta;
mod options;
mod page;
mod pages;
mod read;
mod refusals;
pub mod request;
mod selector;
mod served;
mod shown;
mod update;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::RwLock;

use super::kind::{BadDefinition, Kind};
use super::refusal::Refusal;
use super::store::{Keep, Key, Store};

pub use background::Background;
pub use pages::{Pages, Text};
pub use request::{
    DeleteOptions, ListOptions, Listed, PatchBody, Propagation, Target, Validation, WatchItem,
    WatchOptions, WriteOptions, Written,
};

pub use shown::Shown;

use change::Change;
use feed::Feed;
use served::Served;

/// Tells the time that objects are stamped with and that ages are counted from.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Knobs of a registry.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often a watch that asked for bookmarks gets one, beside the last two seconds before it ends. 60 s, as the real server.
    pub bookmark: Duration,
    /// How long a watch without a time-out of its own goes on. 30 minutes, the real server's least.
    pub watch: Duration,
    /// How long an event stays after its last write. One hour, as the real server.
    pub event_ttl: Duration,
    /// How often history is compacted and old events are looked for. 5 minutes.
    pub sweep: Duration,
    /// How much history compaction leaves.
    pub keep: Keep,
    /// Most bytes of changes that are kept decoded for watches, for each resource. 4 MiB.
    pub feed_bytes: usize,
    /// Most changes that are kept decoded for watches, for each resource. 1,024.
    pub feed_changes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bookmark: Duration::from_secs(60),
            watch: Duration::from_secs(30 * 60),
            event_ttl: Duration::from_secs(60 * 60),
            sweep: Duration::from_secs(5 * 60),
            keep: Keep::default(),
            feed_bytes: 4 << 20,
            feed_changes: 1_024,
        }
    }
}

/// The objects of all served kinds. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    kinds: Vec<Kind>,
    served: HashMap<String, Arc<Served>>,
    clock: Clock,
    names: fn(&str) -> String,
    options: Options,
    /// Held for reading while something is created, for writing while a namespace turns Terminating: nothing is created in a
    /// namespace after its emptying has begun.
    gate: RwLock<()>,
    /// By stored resource.
    feeds: HashMap<String, Arc<Feed>>,
}

impl Registry {
    /// Over a store, with the default knobs.
    ///
    /// # Errors
    /// A kind whose schema cannot be used.
    pub fn new(store: Store, kinds: Vec<Kind>, clock: Clock) -> Result<Self, BadDefinition> {
        Self::with(store, kinds, clock, Options::default())
    }

    /// Over a store.
    ///
    /// # Errors
    /// A kind whose schema cannot be used.
    pub fn with(
        store: Store,
        kinds: Vec<Kind>,
        clock: Clock,
        options: Options,
    ) -> Result<Self, BadDefinition> {
        let mut served = HashMap::new();
        let mut feeds = HashMap::new();
        for kind in &kinds {
            let entry = Arc::new(Served::new(kind)?);
            feeds
                .entry(entry.resource.clone())
                .or_insert_with(|| Arc::new(Feed::new(store.clone(), &entry.resource, &options)));
            served.insert(served::index(kind), entry);
        }
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                kinds,
                served,
                clock,
                names: meta::generate_name,
                options,
                gate: RwLock::new(()),
                feeds,
            }),
        })
    }

    /// What is served.
    pub fn kinds(&self) -> &[Kind] {
        &self.inner.kinds
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Puts an object there, past all rules but the schema's defaults: for definitions, which clients may only read, and for what a
    /// new store begins with. Nothing happens when it is there as given, apart from what the server sets.
    ///
    /// # Errors
    /// Whatever a create or replace of it would answer.
    pub async fn seed(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        mut object: Value,
    ) -> Result<Written, Refusal> {
        let target = Target {
            kind,
            namespace,
            status: false,
        };
        let options = WriteOptions {
            manager: "kube-apiserver".to_owned(),
            ..WriteOptions::default()
        };
        let name = meta::text(&object, "name").to_owned();
        let served = self.served(kind)?;
        match self.live(&served, &target, &name).await? {
            None => self.create_any(&served, &target, object, &options).await,
            Some(live) => {
                meta::set(
                    &mut object,
                    "resourceVersion",
                    live.revision.to_string().into(),
                );
                let change = Change::new(&served, &target, &options, &name);
                self.replace_any(&change, object).await
            }
        }
    }

    /// The namespaces that a new cluster has, as far as they mean something here.
    ///
    /// # Errors
    /// Whatever a create would answer.
    pub async fn seed_namespaces(&self, names: &[&str]) -> Result<(), Refusal> {
        let kinds = self.kinds().to_vec();
        for kind in kinds
            .iter()
            .filter(|k| k.group.is_empty() && k.plural == "namespaces")
        {
            for name in names {
                let object = serde_json::json!({"metadata": {"name": name}});
                let target = Target {
                    kind,
                    namespace: None,
                    status: false,
                };
                let served = self.served(kind)?;
                if self.live(&served, &target, name).await?.is_none() {
                    self.seed(kind, None, object).await?;
                }
            }
        }
        Ok(())
    }

    /// The same with names of generated ones that a test knows.
    #[cfg(test)]
    fn naming(self, names: fn(&str) -> String) -> Self {
        let inner = &self.inner;
        let (store, clock) = (inner.store.clone(), Arc::clone(&inner.clock));
        let mut other =
            Self::with(store, inner.kinds.clone(), clock, inner.options.clone()).unwrap();
        Arc::get_mut(&mut other.inner).unwrap().names = names;
        other
    }

    fn now(&self) -> DateTime<Utc> {
        (self.inner.clock)()
    }

    fn served(&self, kind: &Kind) -> Result<Arc<Served>, Refusal> {
        let found = self.inner.served.get(&served::index(kind));
        found.cloned().ok_or_else(refusals::no_such_resource)
    }

    fn feed(&self, resource: &str) -> Result<Arc<Feed>, Refusal> {
        let found = self.inner.feeds.get(resource);
        found.cloned().ok_or_else(refusals::no_such_resource)
    }

    /// For writes by clients: definitions may only be read.
    fn writable(&self, target: &Target<'_>) -> Result<Arc<Served>, Refusal> {
        let served = self.served(target.kind)?;
        if served.family == family::Family::Definition {
            return Err(refusals::method_not_allowed());
        }
        Ok(served)
    }

    async fn live(
        &self,
        served: &Served,
        target: &Target<'_>,
        name: &str,
    ) -> Result<Option<super::store::Stored>, Refusal> {
        if target.status && !target.kind.status {
            return Err(refusals::not_found(&served.kind, name));
        }
        let key = served.key(target.namespace.unwrap_or_default(), name);
        self.inner.store.get(&key).await.map_err(refusals::store)
    }

    /// A namespace takes new content: it is there and does not end.
    async fn namespace_open(
        &self,
        served: &Served,
        target: &Target<'_>,
        name: &str,
    ) -> Result<(), Refusal> {
        let Some(namespace) = target.namespace.filter(|_| served.kind.namespaced) else {
            return Ok(());
        };
        let key = Key {
            resource: "namespaces".to_owned(),
            namespace: String::new(),
            name: namespace.to_owned(),
        };
        match self.inner.store.get(&key).await.map_err(refusals::store)? {
            None => Err(refusals::namespace_not_found(namespace)),
            Some(found) if meta::is_deleting(&found.object) => Err(
                refusals::namespace_terminating(&served.kind, name, namespace),
            ),
            Some(_) => Ok(()),
        }
    }
}
