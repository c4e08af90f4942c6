//! The history of an environment: how many finished runs stay as objects, and the archive of the others
//! (`product.md` § 9).
//!
//! A run is written to the archive **before** it is deleted, and deleted only as the object that was archived. What the
//! archive does not take stays.

pub mod archive;
mod left;
pub mod line;
pub mod pack;
mod prune;
pub mod rows;
mod seen;

use super::context::Context;
use super::rounds;
pub use super::schedule::board::Key;
use crate::api::{CloneEnvironment, CloneRun};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::Event;
use left::{Left, Locks};
use prune::Pruned;
use rows::Rows;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Environments looked at at the same time: an archive is read and written whole.
const AT_ONCE: usize = 4;
/// Longest sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Shared by the watches and the loop.
#[derive(Default)]
pub struct Histories {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Default)]
struct Known {
    rows: Rows,
    /// Environments to be looked at.
    touched: HashSet<Key>,
    /// Environments that are tried again.
    later: HashMap<Key, Instant>,
    /// Finished runs whose spec a person may have changed since their end (`keepUntil`).
    changed_rows: HashSet<Key>,
    locks: Locks,
}

impl Histories {
    /// Enters an event of the watch on the metadata of all runs.
    pub fn saw_run(&self, scope: Option<&str>, event: &Event<PartialObjectMeta<CloneRun>>) {
        let mut known = self.lock();
        let touched = known.rows.saw(scope, event);
        let changed = seen::changed_row(event);
        if !touched.is_empty() || changed.is_some() {
            known.touched.extend(touched);
            known.changed_rows.extend(changed);
            self.changed.notify_one();
        }
    }

    /// Enters an event of the watch on environments: their counts may have changed.
    pub fn saw_environment(&self, event: &Event<DeserializeGuard<CloneEnvironment>>) {
        if let Event::Apply(object) = event {
            let key = Key {
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
            };
            self.lock().touched.insert(key);
            self.changed.notify_one();
        }
    }

    /// Enters an event of the watch on lock Leases. A run that a Lease has named and names no more may leave the objects
    /// now, and its image is gone: nobody else would tell, its own object does not change.
    pub fn saw_lock(&self, event: &Event<PartialObjectMeta<Lease>>) {
        let mut known = self.lock();
        let let_go = known.locks.saw(event);
        if let_go.is_empty() {
            return;
        }
        for (namespace, run) in let_go {
            let touched = known.rows.environment_of(&namespace, &run);
            known.touched.extend(touched);
        }
        self.changed.notify_one();
    }

    /// Images whose Lease names another owner by now, or none.
    fn take_left(&self) -> Vec<Left> {
        self.lock().locks.take_left()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Environments to look at now, and when to look again.
    fn due(&self) -> (Vec<Key>, Duration) {
        let mut known = self.lock();
        let now = Instant::now();
        let mut keys = std::mem::take(&mut known.touched);
        // One that has to wait waits, however many of its runs end meanwhile.
        let later = &mut known.later;
        later.retain(|key, at| {
            let waits = *at > now;
            if waits {
                keys.remove(key);
            } else {
                keys.insert(key.clone());
            }
            waits
        });
        let next = later.values().min().map(|at| *at - now);
        let wait = next.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        (keys.into_iter().collect(), wait)
    }
}

/// Removes rows beyond what is kept, from the beginning of the term until `shutdown`.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    let mut goes_on = rounds::begun(&context, &shutdown).await;
    while goes_on && context.term.leads() {
        let left = context.histories.take_left();
        let (keys, wait) = context.histories.due();
        for left in &left {
            left.close(&context).await;
        }
        let changed = std::mem::take(&mut context.histories.lock().changed_rows);
        seen::acknowledge_all(&context, changed).await;
        goes_on = if keys.is_empty() && left.is_empty() {
            rounds::idle(&shutdown, &context.histories.changed, wait).await
        } else {
            // Given up at any point: what is archived and not deleted yet is found again.
            let looks = keys.into_iter().map(|key| look(&context, key));
            rounds::looks(&context, &shutdown, AT_ONCE, looks).await
        };
    }
}

async fn look(context: &Context, key: Key) {
    let wait = match prune::prune(context, &key).await {
        Ok(Pruned::Done) => return,
        Ok(Pruned::More) => Duration::ZERO,
        Ok(Pruned::NotArchived) => context.pace().seconds(300),
        Err(error) => {
            tracing::warn!(
                environment = key.name, namespace = key.namespace, %error,
                "old rows of the history stay until the next try"
            );
            context.pace().seconds(30)
        }
    };
    let again = Instant::now() + wait;
    context.histories.lock().later.insert(key, again);
}
