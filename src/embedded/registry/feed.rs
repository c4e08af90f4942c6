//! Changes of one resource, decoded once for all watches that follow it closely.
//!
//! A watch that lags behind what is kept here reads the history itself. Nothing is pushed anywhere: a watch fetches when its client
//! takes the next item, so that a slow client holds no memory, and finds out by 410 when history has left it behind.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use super::Options;
use super::shown::{State, Written};
use crate::embedded::store::{Change, Store, StoreError};

/// So many changes are fetched at once.
pub const CHUNK: usize = 128;

/// Changes of one resource.
pub struct Feed {
    store: Store,
    resource: String,
    most_bytes: usize,
    most_changes: usize,
    kept: Mutex<Kept>,
}

/// A change, with the texts that watches tell of it.
pub struct Told {
    /// What was written.
    pub change: Change,
    before: Written,
    after: Written,
}

impl Told {
    fn new(change: Change) -> Self {
        Self {
            change,
            before: Written::default(),
            after: Written::default(),
        }
    }

    /// Where the text of a state is, once somebody has made it.
    pub fn written(&self, state: State) -> &Written {
        match state {
            State::Before => &self.before,
            State::After => &self.after,
        }
    }
}

#[derive(Default)]
struct Kept {
    /// In the order of their revisions.
    changes: VecDeque<(Arc<Told>, usize)>,
    bytes: usize,
    /// Everything after this revision, and up to `to`, is kept.
    from: u64,
    to: u64,
}

/// What a fetch found.
pub struct Fetched {
    /// Oldest first.
    pub changes: Vec<Arc<Told>>,
    /// There is nothing more up to this revision.
    pub to: u64,
}

impl Feed {
    /// Of a resource.
    pub fn new(store: Store, resource: &str, options: &Options) -> Self {
        Self {
            store,
            resource: resource.to_owned(),
            most_bytes: options.feed_bytes,
            most_changes: options.feed_changes,
            kept: Mutex::new(Kept::default()),
        }
    }

    /// Changes after a revision, of all namespaces; not always all there are.
    ///
    /// # Errors
    /// [`StoreError::Compacted`] when history no longer reaches back so far.
    pub async fn after(&self, after: u64) -> Result<Fetched, StoreError> {
        let newest = self.store.revision();
        if after >= newest {
            let changes = Vec::new();
            return Ok(Fetched { changes, to: after });
        }
        let last = self.store.last_of(&self.resource);
        let mut kept = self.kept.lock().await;
        // Most commits are of other resources, and are not looked for in the history.
        if kept.to >= last {
            kept.to = kept.to.max(newest);
        }
        if after >= last {
            let changes = Vec::new();
            return Ok(Fetched {
                changes,
                to: newest,
            });
        }
        if kept.to == 0 {
            (kept.from, kept.to) = (after, after);
        }
        if after < kept.from {
            drop(kept);
            return self.older(after, newest).await;
        }
        if kept.to <= after {
            // Nobody followed for a while: what lies between is not worth reading.
            if after > kept.to {
                kept.changes.clear();
                kept.bytes = 0;
                (kept.from, kept.to) = (after, after);
            }
            self.extend(&mut kept, newest).await?;
        }
        let start = kept
            .changes
            .partition_point(|(told, _)| told.change.revision <= after);
        let changes: Vec<Arc<Told>> = kept
            .changes
            .range(start..)
            .take(CHUNK)
            .map(|(c, _)| Arc::clone(c))
            .collect();
        let all = kept.changes.len() - start <= changes.len();
        let to = if all {
            kept.to
        } else {
            changes.last().map_or(after, |t| t.change.revision)
        };
        self.trim(&mut kept);
        Ok(Fetched { changes, to })
    }

    async fn extend(&self, kept: &mut Kept, newest: u64) -> Result<(), StoreError> {
        let found = self
            .store
            .changes(&self.resource, None, kept.to, CHUNK)
            .await?;
        kept.to = if found.len() < CHUNK {
            // Those that came after `newest` was read may be among them.
            found.last().map_or(newest, |c| c.revision.max(newest))
        } else {
            found.last().map_or(kept.to, |c| c.revision)
        };
        for change in found {
            // The text, which nearly every watch asks for, is about a third of the value.
            let object = size(&change.object);
            let size = object + object / 3 + change.previous.as_ref().map_or(0, size);
            kept.bytes += size;
            kept.changes.push_back((Arc::new(Told::new(change)), size));
        }
        Ok(())
    }

    /// Only after what was asked for has been taken: a chunk may be more than is kept.
    fn trim(&self, kept: &mut Kept) {
        while kept.changes.len() > 1
            && (kept.bytes > self.most_bytes || kept.changes.len() > self.most_changes)
        {
            if let Some((told, size)) = kept.changes.pop_front() {
                kept.bytes -= size;
                kept.from = told.change.revision;
            }
        }
    }

    async fn older(&self, after: u64, newest: u64) -> Result<Fetched, StoreError> {
        let found = self
            .store
            .changes(&self.resource, None, after, CHUNK)
            .await?;
        let to = match found.last() {
            Some(last) if found.len() == CHUNK => last.revision,
            Some(last) => last.revision.max(newest),
            None => newest,
        };
        let told = |change| Arc::new(Told::new(change));
        let changes = found.into_iter().map(told).collect();
        Ok(Fetched { changes, to })
    }
}

/// Bytes that a value takes in memory, roughly.
fn size(value: &Value) -> usize {
    const NODE: usize = 48;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => NODE,
        Value::String(text) => NODE + text.len(),
        Value::Array(items) => NODE + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => {
            NODE + fields
                .iter()
                .map(|(k, v)| NODE + k.len() + size(v))
                .sum::<usize>()
        }
    }
}
