//! What the operator's watches know of environments and open runs (`architecture.md` § 8).

use futures::FutureExt;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{Lookup, ObjectRef, Store};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The objects of a kind in all served namespaces, from the watches of the operator: every pass of every run needs the
/// environments, and a list each time would be most of what the API server has to do for us.
pub struct Known<K>
where
    DeserializeGuard<K>: Lookup<DynamicType = ()> + 'static,
{
    watches: Mutex<Watches<K>>,
}

struct Watches<K>
where
    DeserializeGuard<K>: Lookup<DynamicType = ()> + 'static,
{
    wanted: usize,
    stores: Vec<Store<DeserializeGuard<K>>>,
}

impl<K> Watches<K>
where
    DeserializeGuard<K>: Lookup<DynamicType = ()> + Clone + 'static,
{
    fn complete(&self) -> bool {
        let filled = |s: &Store<_>| matches!(s.wait_until_ready().now_or_never(), Some(Ok(())));
        self.wanted > 0 && self.stores.len() == self.wanted && self.stores.iter().all(filled)
    }
}

impl<K> Default for Known<K>
where
    DeserializeGuard<K>: Lookup<DynamicType = ()> + 'static,
{
    fn default() -> Self {
        let watches = Mutex::new(Watches {
            wanted: 0,
            stores: Vec::new(),
        });
        Self { watches }
    }
}

impl<K> Known<K>
where
    DeserializeGuard<K>: Lookup<DynamicType = ()> + Clone + 'static,
{
    /// How many watches will be given: before all are there and filled, nothing is told.
    pub fn expect(&self, watches: usize) {
        self.lock().wanted = watches;
    }
    /// One watch's store.
    pub fn add(&self, store: Store<DeserializeGuard<K>>) {
        self.lock().stores.push(store);
    }
    /// All objects, or `None` while a watch has not listed all of its own yet.
    pub fn all(&self) -> Option<Vec<Arc<DeserializeGuard<K>>>> {
        let watches = self.lock();
        let all = || watches.stores.iter().flat_map(Store::state).collect();
        watches.complete().then(all)
    }
    /// Whether every watch has listed all of its own.
    pub fn is_complete(&self) -> bool {
        self.lock().complete()
    }
    /// One object, if a watch has seen it.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<DeserializeGuard<K>>> {
        let key = ObjectRef::new(name).within(namespace);
        self.lock().stores.iter().find_map(|store| store.get(&key))
    }
    fn lock(&self) -> MutexGuard<'_, Watches<K>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::CloneEnvironment;
    use kube::runtime::{reflector, watcher};

    fn environment(name: &str) -> DeserializeGuard<CloneEnvironment> {
        let yaml = include_str!("../testdata/environment.yaml");
        let spec = serde_saphyr::from_str(yaml).unwrap();
        let mut environment = CloneEnvironment::new(name, spec);
        environment.metadata.namespace = Some("ibmi".to_owned());
        DeserializeGuard(Ok(environment))
    }

    /// A source that is not known yet must never look like none.
    #[test]
    fn nothing_is_told_before_every_watch_has_listed_its_own() {
        let known = Known::default();
        assert!(known.all().is_none(), "no watch was announced");
        known.expect(2);
        let (left, mut left_writer) = reflector::store();
        known.add(left);
        left_writer.apply_watcher_event(&watcher::Event::Init);
        left_writer.apply_watcher_event(&watcher::Event::InitApply(environment("nightly")));
        left_writer.apply_watcher_event(&watcher::Event::InitDone);
        assert!(known.all().is_none(), "a watch is missing");
        let (right, mut right_writer) = reflector::store();
        known.add(right);
        right_writer.apply_watcher_event(&watcher::Event::Init);
        right_writer.apply_watcher_event(&watcher::Event::InitApply(environment("hourly")));
        assert!(known.all().is_none(), "a list is under way");
        right_writer.apply_watcher_event(&watcher::Event::InitDone);
        assert_eq!(known.all().unwrap().len(), 2);
    }
}
