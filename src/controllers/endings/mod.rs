//! `after.endAfterSeconds`: the operator ends the image of a run some time after the run has ended (`product.md` §§ 7.10, 9).
//!
//! What is due is told by the run's own status: `finishedAt` and `image.endAfterSeconds`. An annotation that is written
//! together with the removal of the finalizer only says when to look, so that one watch on metadata is enough and neither
//! a restart nor a new leader forgets anything. The image is ended by a run of mode End whose name is made from the UID of
//! the run that took it: two leaders that look at once make one.

mod look;

use super::context::Context;
use super::rounds;
use crate::api::{CloneRun, ENDS_ANNOTATION};
use chrono::{DateTime, TimeDelta, Utc};
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use look::Next;
pub use look::{REQUESTED_BY, due_at};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Images looked at at the same time.
const AT_ONCE: usize = 4;
/// Longest sleep: timers of the runtime stand still while the machine sleeps, the wall clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// After an error of the API server.
const TROUBLE: u64 = 30;

/// A run by namespace and name.
type Name = (String, String);

/// When to look at which run. Shared by the watch and the loop.
#[derive(Default)]
pub struct Endings {
    due: Mutex<HashMap<Name, DateTime<Utc>>>,
    changed: Notify,
}

impl Endings {
    /// Enters an event of the watch on the metadata of all runs. What an interrupted watch did not see to go away is found
    /// gone when it is looked at.
    pub fn saw_run(&self, event: &Event<PartialObjectMeta<CloneRun>>) {
        let (run, there) = match event {
            Event::Init | Event::InitDone => return,
            Event::Apply(run) | Event::InitApply(run) => (run, true),
            Event::Delete(run) => (run, false),
        };
        let name = (run.namespace().unwrap_or_default(), run.name_any());
        let text = run.annotations().get(ENDS_ANNOTATION).filter(|_| there);
        // One that cannot be read is looked at at once: the status knows better.
        let at = text.map(|t| t.parse::<DateTime<Utc>>().unwrap_or_default());
        let mut due = self.lock();
        match at {
            Some(at) => {
                due.entry(name).or_insert(at);
                self.changed.notify_one();
            }
            None => drop(due.remove(&name)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, DateTime<Utc>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs to look at now, and how long to sleep when there is none.
    fn due(&self, now: DateTime<Utc>) -> (Vec<Name>, Duration) {
        let due = self.lock();
        let names = due.iter().filter(|(_, at)| **at <= now);
        let names = names.map(|(name, _)| name.clone()).collect();
        let next = due.values().min().map(|at| (*at - now).to_std());
        let sleep = next.and_then(Result::ok).unwrap_or(LONGEST_SLEEP);
        (names, sleep.min(LONGEST_SLEEP))
    }

    fn enter(&self, name: &Name, next: Next) {
        let mut due = self.lock();
        match next {
            Next::Never => drop(due.remove(name)),
            // What the watch has taken out meanwhile stays out.
            Next::At(at) => drop(due.get_mut(name).map(|known| *known = at)),
        }
    }
}

/// Looks at what is due, from the beginning of the term until `shutdown`.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    let mut goes_on = rounds::begun(&context, &shutdown).await;
    while goes_on && context.term.leads() {
        let (names, sleep) = context.endings.due(Utc::now());
        goes_on = if names.is_empty() {
            rounds::idle(&shutdown, &context.endings.changed, sleep).await
        } else {
            // Given up at any point: what was created is found under its name.
            let looks = names.into_iter().map(|name| one(&context, name));
            rounds::looks(&context, &shutdown, AT_ONCE, looks).await
        };
    }
}

async fn one(context: &Context, name: Name) {
    let next = match look::look(context, &name.0, &name.1).await {
        Ok(next) => next,
        Err(error) => {
            tracing::warn!(
                run = name.1, namespace = name.0, %error,
                "whether its image is to be ended is asked again"
            );
            look::after(context, TROUBLE)
        }
    };
    context.endings.enter(&name, next);
}

/// A time on our clock, from one on the devices'.
fn later(from: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
    from.checked_add_signed(wait)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use kube::core::ObjectMeta;
    use kube::core::PartialObjectMetaExt;
    use std::collections::BTreeMap;

    fn run(name: &str, ends: Option<&str>) -> PartialObjectMeta<CloneRun> {
        let note = |at: &str| BTreeMap::from([(ENDS_ANNOTATION.to_owned(), at.to_owned())]);
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some("ibmi".to_owned()),
            annotations: ends.map(note),
            ..ObjectMeta::default()
        };
        metadata.into_response_partial()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_run_is_looked_at_from_its_time_on_until_its_annotation_or_itself_is_gone() {
        let endings = Endings::default();
        let noon = "2026-11-23T12:00:00Z";
        endings.saw_run(&Event::InitApply(run("a", Some(noon))));
        endings.saw_run(&Event::Apply(run("b", None)));
        let (names, sleep) = endings.due(at("2026-11-23T11:59:57Z"));
        assert!(names.is_empty());
        assert_eq!(sleep, Duration::from_secs(3));
        let a = ("ibmi".to_owned(), "a".to_owned());
        assert_eq!(endings.due(at(noon)).0, std::slice::from_ref(&a));
        // It waits for something: the watch's old time does not bring it back.
        endings.enter(&a, Next::At(at("2026-11-23T12:01:00Z")));
        endings.saw_run(&Event::Apply(run("a", Some(noon))));
        assert!(endings.due(at("2026-11-23T12:00:30Z")).0.is_empty());
        endings.saw_run(&Event::Apply(run("a", None)));
        assert!(endings.due(at("2026-11-24T12:00:00Z")).0.is_empty());
        endings.enter(&a, Next::At(at(noon)));
        assert!(endings.due(at("2026-11-24T12:00:00Z")).0.is_empty());
        endings.saw_run(&Event::Apply(run("a", Some("tomorrow"))));
        assert_eq!(endings.due(at(noon)).0, [a]);
        endings.saw_run(&Event::Delete(run("a", Some(noon))));
        assert!(endings.due(at(noon)).0.is_empty());
    }
}
