//! Final runs whose finalizer a crash has left. They are not among the open ones, so a watch on the metadata of all runs
//! finds them, at start and later.
//!
//! Metadata does not tell whether a run is final. One that the watch on open runs shows is not, and its own loop finishes
//! it: to ask the API server for each such run at each of its changes would be a request for every write.

use super::context::Context;
use super::run::finish::finish_left;
use super::schedule::board::Watched;
use super::{api, saw};
use crate::api::{CloneRun, FINALIZER};
use futures::StreamExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Seconds between two looks at what may be left.
const AGAIN: u64 = 5;

/// A run by namespace and name.
type Key = (String, String);

/// Runs with our finalizer.
#[derive(Debug, Default)]
struct Left(Mutex<BTreeMap<Key, Seen>>);

/// How a run stood at the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It was open, or has changed since.
    Busy,
    /// It was not among the open runs: by now its own loop has finished it, if there is one.
    Closed,
}

impl Left {
    fn saw(&self, event: &Event<PartialObjectMeta<CloneRun>>) {
        let (Event::Apply(run) | Event::InitApply(run) | Event::Delete(run)) = event else {
            return;
        };
        let key = (run.namespace().unwrap_or_default(), run.name_any());
        let gone = matches!(event, Event::Delete(_));
        if !gone && run.finalizers().iter().any(|f| f == FINALIZER) {
            self.lock().insert(key, Seen::Busy);
        } else {
            self.lock().remove(&key);
        }
    }

    /// Runs that were not open at the last look and are not now.
    fn closed(&self, is_open: impl Fn(&Key) -> bool) -> Vec<Key> {
        let mut closed = Vec::new();
        for (key, seen) in self.lock().iter_mut() {
            let now = match is_open(key) {
                true => Seen::Busy,
                false => Seen::Closed,
            };
            if (*seen, now) == (Seen::Closed, Seen::Closed) {
                closed.push(key.clone());
            }
            *seen = now;
        }
        closed
    }

    /// There is nothing to finish about a run, unless it has changed meanwhile.
    fn done(&self, key: &Key) {
        let mut left = self.lock();
        if left.get(key) == Some(&Seen::Closed) {
            left.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches until `shutdown`, also while standing by: the schedule and the history learn from it. What is left is finished
/// beside, so that they never wait for that.
pub(super) async fn run(context: Arc<Context>, scope: Option<String>, shutdown: CancellationToken) {
    let all: Api<PartialObjectMeta<CloneRun>> = api(&context.client, scope.as_deref());
    let left = Left::default();
    let watch = watcher::watcher(all, watcher::Config::default())
        .default_backoff()
        .for_each(|event| {
            if let Ok(event) = &event {
                saw(&context, &scope, Watched::AnyRun(event));
                left.saw(event);
            }
            std::future::ready(())
        });
    tokio::select! {
        () = watch => {}
        () = finish_all(&context, &left) => {}
        () = shutdown.cancelled() => {}
    }
}

/// By time: a final run changes no more, so that no event would tell of what could not be finished.
async fn finish_all(context: &Context, left: &Left) {
    context.term.begun().await;
    let mut again = tokio::time::interval(context.pace().seconds(AGAIN));
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !context.term.ending().is_cancelled() {
        again.tick().await;
        if !context.open_runs.is_complete() {
            continue;
        }
        let is_open = |(namespace, name): &Key| context.open_runs.get(namespace, name).is_some();
        for key in left.closed(is_open) {
            if !context.term.leads() {
                break;
            }
            match finish_left(context, &key.0, &key.1).await {
                Ok(()) => left.done(&key),
                // A conflict is the pass that is just finishing it.
                Err(error) => {
                    tracing::debug!(run = key.1, namespace = key.0, %error, "not finished");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::{ObjectMeta, PartialObjectMetaExt};

    fn run(finalizer: bool) -> PartialObjectMeta<CloneRun> {
        let metadata = ObjectMeta {
            name: Some("r".to_owned()),
            namespace: Some("ibmi".to_owned()),
            finalizers: finalizer.then(|| vec![FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        };
        metadata.into_response_partial()
    }

    #[test]
    fn a_run_is_asked_for_only_when_two_looks_have_not_found_it_open_and_it_has_not_changed() {
        let key = || ("ibmi".to_owned(), "r".to_owned());
        let left = Left::default();
        left.saw(&Event::InitApply(run(true)));
        let look = |open: bool| left.closed(|_| open).len();
        assert_eq!(
            [look(true), look(true)],
            [0, 0],
            "an open run is never asked for"
        );
        assert_eq!([look(false), look(true), look(false)], [0, 0, 0]);
        assert_eq!(left.closed(|_| false), [key()]);
        // Could not be finished: again at the next look.
        assert_eq!(left.closed(|_| false), [key()]);
        left.saw(&Event::Apply(run(true)));
        left.done(&key());
        assert_eq!(
            [look(false), look(false)],
            [0, 1],
            "it has changed meanwhile"
        );
        left.done(&key());
        assert_eq!([look(false), look(false)], [0, 0]);
    }

    #[test]
    fn a_run_without_our_finalizer_or_object_is_not_left() {
        for event in [Event::Apply(run(false)), Event::Delete(run(true))] {
            let left = Left::default();
            left.saw(&Event::InitApply(run(true)));
            left.saw(&event);
            assert_eq!([(); 3].map(|()| left.closed(|_| false).len()), [0, 0, 0]);
        }
    }
}
