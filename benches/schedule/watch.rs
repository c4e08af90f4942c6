//! The one watcher that sees what both controllers create.

use chrono::{DateTime, Utc};
use futures::StreamExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Objects seen, by owner: seconds after the slot.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    by_owner: BTreeMap<String, Vec<f64>>,
    sorted: Vec<f64>,
}

impl Seen {
    pub fn percentile(&self, p: f64) -> f64 {
        let at = ((self.sorted.len() as f64 - 1.0) * p).round() as usize;
        self.sorted.get(at).copied().unwrap_or(f64::NAN)
    }
    pub fn missed(&self, n: usize) -> usize {
        n.saturating_sub(self.by_owner.len())
    }
    pub fn twice(&self) -> usize {
        self.by_owner
            .values()
            .filter(|times| times.len() > 1)
            .count()
    }
    pub fn first(&self) -> f64 {
        self.percentile(0.0)
    }
}

/// Owner of each object, and when it appeared.
type Notes = Arc<Mutex<Vec<(String, DateTime<Utc>)>>>;

/// A watch on all namespaces that notes when each object appeared.
pub struct Watcher {
    seen: Notes,
    task: tokio::task::JoinHandle<()>,
}

impl Watcher {
    /// Returns when the watch has listed what was there before, which does not count.
    pub async fn start<K>(client: Client) -> Self
    where
        K: Resource<DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let seen: Notes = Arc::default();
        let (listed, ready) = tokio::sync::oneshot::channel();
        let notes = seen.clone();
        let task = tokio::spawn(async move {
            let all: Api<PartialObjectMeta<K>> = Api::all(client);
            let mut events = std::pin::pin!(watcher::watcher(all, watcher::Config::default()));
            let mut listed = Some(listed);
            let mut known = std::collections::BTreeSet::new();
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::InitDone) => drop(listed.take().map(|l| l.send(()))),
                    Ok(Event::InitApply(object)) => drop(known.insert(object.uid())),
                    Ok(Event::Apply(object)) => {
                        if known.insert(object.uid()) {
                            notes.lock().unwrap().push((owner(&object), Utc::now()));
                        }
                    }
                    Ok(Event::Init | Event::Delete(_)) | Err(_) => {}
                }
            }
        });
        ready.await.unwrap();
        Self { seen, task }
    }

    /// Waits until `n` owners have an object and nothing came for a few seconds, at most `limit`.
    pub async fn settled(&self, n: usize, limit: Duration) {
        let begun = std::time::Instant::now();
        let mut quiet_since = std::time::Instant::now();
        let mut count = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.seen.lock().unwrap().len();
            if now != count {
                (count, quiet_since) = (now, std::time::Instant::now());
            }
            let quiet = quiet_since.elapsed() > Duration::from_secs(3);
            if (count >= n && quiet) || begun.elapsed() > limit {
                return;
            }
        }
    }

    /// Whether `n` objects were seen.
    pub fn has(&self, n: usize) -> bool {
        self.seen.lock().unwrap().len() >= n
    }

    pub fn seen(self, slot: DateTime<Utc>) -> Seen {
        self.task.abort();
        let mut seen = Seen::default();
        for (owner, at) in self.seen.lock().unwrap().iter() {
            let late = (*at - slot).num_microseconds().unwrap_or_default() as f64 / 1e6;
            seen.by_owner.entry(owner.clone()).or_default().push(late);
            seen.sorted.push(late);
        }
        seen.sorted.sort_by(f64::total_cmp);
        seen
    }
}

fn owner<K>(object: &PartialObjectMeta<K>) -> String {
    let owner = object.metadata.owner_references.iter().flatten().next();
    owner.map(|o| o.uid.clone()).unwrap_or_default()
}
