//! Watches: what is there, then every change, in order and without a gap (`kubernetes-api.md` § 4 row 10, § 3.6).
//!
//! The log is read BEFORE waiting: what came between the list a client made and its watch is in there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream};
use serde_json::Value;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::feed::{Feed, Told};
use super::request::{Target, WatchItem, WatchOptions};
use super::selector::Selector;
use super::served::Served;
use super::shown::{Shown, State};
use super::{Registry, options, refusals};
use crate::embedded::refusal::Refusal;
use crate::embedded::store::{ListQuery, StoreError, Verb};

/// So many objects of the initial state are read at once.
const PAGE: usize = 100;
/// So long before a watch ends by its time-out its client is told where to go on, as by the real server.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// With what is there.
    State,
    /// With what came after.
    After(u64),
}

/// The initial state, as far as it has not been told.
struct Beginning {
    at: Option<u64>,
    after: Option<(String, String)>,
    left: Option<usize>,
    /// An end mark is wanted.
    mark: bool,
}

struct Watch {
    registry: Registry,
    served: Arc<Served>,
    feed: Arc<Feed>,
    selector: Selector,
    namespace: Option<String>,
    news: Receiver<u64>,
    ready: VecDeque<WatchItem>,
    state: Option<Beginning>,
    /// Everything up to there has been looked at.
    position: u64,
    bookmarks: Option<Duration>,
    /// None: there will be no more.
    next_bookmark: Option<Instant>,
    end: Instant,
    over: bool,
}

impl Registry {
    /// Follows objects. The stream ends by itself after the time-out, or after a [`WatchItem::Error`].
    ///
    /// # Errors
    /// 400 selectors that are none; 422 options that do not go together; 500 a revision that is no number; 504 a state to begin with that is yet to come. A revision that history
    /// no longer reaches is told in the stream, as the real server does.
    pub async fn watch(
        &self,
        target: &Target<'_>,
        options: &WatchOptions,
    ) -> Result<impl Stream<Item = WatchItem> + Send + use<>, Refusal> {
        let served = self.served(target.kind)?;
        options::check_watch(options)?;
        let selector = Selector::parse(&served, &options.labels, &options.fields)?;
        let (start, mark) = start(options, self.inner.store.revision())?;
        let namespace = target.namespace.filter(|_| served.kind.namespaced);
        let now = Instant::now();
        let knobs = &self.inner.options;
        let bookmarks = options.bookmarks.then_some(knobs.bookmark);
        let timeout = options.timeout.filter(|t| !t.is_zero());
        let end = now + timeout.unwrap_or(knobs.watch);
        let watch = Watch {
            registry: self.clone(),
            feed: self.feed(&served.resource)?,
            served,
            selector,
            namespace: namespace.map(str::to_owned),
            news: self.inner.store.subscribe(),
            ready: VecDeque::new(),
            state: (start == Start::State).then_some(Beginning {
                at: None,
                after: None,
                left: None,
                mark,
            }),
            position: match start {
                Start::State => 0,
                Start::After(revision) => revision,
            },
            bookmarks,
            next_bookmark: bookmarks.and_then(|period| next_bookmark(now, period, end)),
            end,
            over: false,
        };
        Ok(stream::unfold(watch, |mut watch| async move {
            let item = watch.next().await?;
            Some((item, watch))
        }))
    }
}

/// Where to begin, and whether the end of the initial state is marked.
fn start(options: &WatchOptions, newest: u64) -> Result<(Start, bool), Refusal> {
    let text = options.resource_version.as_str();
    let revision: u64 = if text.is_empty() {
        0
    } else {
        text.parse().map_err(|_| {
            let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
            refusals::internal(format!("resourceVersion: Invalid value: {text:?}: {why}"))
        })?
    };
    Ok(match (options.send_initial_events, revision) {
        (Some(true), revision) if revision > newest => {
            return Err(refusals::too_large(revision, newest));
        }
        (Some(true), _) => (Start::State, options.bookmarks),
        (Some(false), 0) => (Start::After(newest), false),
        (None, 0) => (Start::State, false),
        (Some(false) | None, revision) => (Start::After(revision), false),
    })
}

/// When the next bookmark is due: after the period, or right before the end.
fn next_bookmark(now: Instant, period: Duration, end: Instant) -> Option<Instant> {
    let last = end.checked_sub(LAST_BOOKMARK);
    let next = last.map_or(now + period, |last| last.min(now + period));
    (next >= now).then_some(next)
}

impl Watch {
    async fn next(&mut self) -> Option<WatchItem> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.over || Instant::now() >= self.end {
                return None;
            }
            // Seen before looking: a commit after this wakes up, one before it is in the log.
            self.news.borrow_and_update();
            let looked = match self.state.take() {
                Some(state) => self.tell_state(state).await,
                None => self.tell_changes().await,
            };
            match looked {
                Ok(true) => {}
                Ok(false) => self.wait().await,
                Err(error) => {
                    self.over = true;
                    return Some(WatchItem::Error(self.failure(error)));
                }
            }
        }
    }

    /// A page of the initial state.
    async fn tell_state(&mut self, state: Beginning) -> Result<bool, StoreError> {
        let query = ListQuery {
            resource: self.served.resource.clone(),
            namespace: self.namespace.clone(),
            after: state.after,
            limit: Some(PAGE),
            at: state.at,
            left: state.left,
        };
        let page = self.registry.inner.store.list(&query).await?;
        let after = page
            .items
            .last()
            .map(|s| (s.key.namespace.clone(), s.key.name.clone()));
        self.position = page.revision;
        for stored in page.items {
            if self.selector.matches(&stored.object) {
                let object = self.served.present(stored.object, stored.revision);
                self.ready.push_back(WatchItem::Added(object.into()));
            }
        }
        if page.remaining > 0 {
            self.state = Some(Beginning {
                at: Some(page.revision),
                after,
                left: Some(page.remaining),
                mark: state.mark,
            });
        } else if state.mark {
            self.ready.push_back(self.bookmark(true));
        }
        Ok(true)
    }

    /// Some changes; false when there are none left.
    async fn tell_changes(&mut self) -> Result<bool, StoreError> {
        let before = self.position;
        let found = self.feed.after(before).await?;
        self.position = found.to;
        for told in &found.changes {
            let here = self
                .namespace
                .as_ref()
                .is_none_or(|n| *n == told.change.key.namespace);
            if here && let Some(item) = self.item(told) {
                self.ready.push_back(item);
            }
        }
        Ok(self.position > before)
    }

    /// What a change is to somebody who sees only what matches.
    fn item(&self, told: &Arc<Told>) -> Option<WatchItem> {
        let change = &told.change;
        let matches = |object: &Value| self.selector.matches(object);
        let before = change.previous.as_ref().is_some_and(matches);
        let after = matches(&change.object);
        let shown = |state| Shown::shared(told, state, &self.served);
        match (change.verb, before, after) {
            // Of something deleted, the last state is told; that it left the selector with it is no other case.
            (Verb::Deleted, true, _) => Some(WatchItem::Deleted(shown(State::Before))),
            (Verb::Deleted, false, true) => Some(WatchItem::Deleted(shown(State::After))),
            (Verb::Added | Verb::Modified, false, true) => {
                Some(WatchItem::Added(shown(State::After)))
            }
            (Verb::Added | Verb::Modified, true, true) => {
                Some(WatchItem::Modified(shown(State::After)))
            }
            (Verb::Added | Verb::Modified, true, false) => {
                Some(WatchItem::Deleted(shown(State::Before)))
            }
            (Verb::Added | Verb::Modified | Verb::Deleted, false, false) => None,
        }
    }

    /// Until something is committed, a bookmark is due, or the watch ends.
    async fn wait(&mut self) {
        let bookmark = self.next_bookmark.map_or(self.end, |due| due.min(self.end));
        tokio::select! {
            changed = self.news.changed() => if changed.is_err() {
                self.over = true;
            },
            () = tokio::time::sleep_until(bookmark) => {}
        }
        let now = Instant::now();
        if let Some(period) = self.bookmarks
            && self.next_bookmark.is_some_and(|due| now >= due)
        {
            self.next_bookmark = next_bookmark(now, period, self.end);
            self.ready.push_back(self.bookmark(false));
        }
    }

    fn bookmark(&self, initial_end: bool) -> WatchItem {
        WatchItem::Bookmark {
            resource_version: self.position.to_string(),
            initial_end,
        }
    }

    fn failure(&self, error: StoreError) -> Refusal {
        match error {
            StoreError::Compacted { oldest } => refusals::too_old(self.position, oldest),
            other => refusals::store(other),
        }
    }
}
