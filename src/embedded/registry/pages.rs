//! Lists piece by piece: however long a list is, only a piece of it is in memory. All pieces are of one revision.

use std::sync::Arc;

use serde_json::Value;

use super::page::Page;
use super::read::At;
use super::request::{ListOptions, Listed, Target};
use super::selector::Selector;
use super::served::Served;
use super::{Registry, refusals};
use crate::embedded::refusal::Refusal;
use crate::embedded::store::{Key, ListQuery, StoreError, Unreadable};

/// So many objects are read at once.
const PIECE: usize = 500;

/// An object of a list, as it is stored.
pub struct Text<'a> {
    served: &'a Served,
    /// JSON, without `metadata.resourceVersion`; of events, the form of the core group.
    pub json: &'a [u8],
    /// Of the write that made this state.
    pub revision: u64,
}

impl Text<'_> {
    /// The object as clients see it.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn object(&self) -> Result<Value, Unreadable> {
        let object = serde_json::from_slice(self.json)?;
        Ok(self.served.present(object, self.revision))
    }
}

type Read<T> = dyn Fn(&Key, u64, &[u8]) -> Result<Option<T>, Unreadable> + Send + Sync;

/// A list that is being read.
pub struct Pages<T> {
    registry: Registry,
    /// None: it does not match.
    read: Arc<Read<T>>,
    query: ListQuery,
    selects: bool,
    /// The list goes on where another one ended.
    continued: bool,
    limit: Option<usize>,
    taken: usize,
    /// Of the newest that was taken.
    last: Option<(String, String)>,
    /// How many more there may be.
    more: usize,
    over: bool,
}

impl Registry {
    /// Objects, each as `form` makes it; `form` runs on several threads.
    ///
    /// # Errors
    /// As [`Registry::list`], also when a piece is fetched.
    pub fn pages<T, F>(
        &self,
        target: &Target<'_>,
        options: &ListOptions,
        form: F,
    ) -> Result<Pages<T>, Refusal>
    where
        T: Send + 'static,
        F: Fn(&Text<'_>) -> Result<T, Unreadable> + Send + Sync + 'static,
    {
        let served = self.served(target.kind)?;
        let selector = Selector::parse(&served, &options.labels, &options.fields)?;
        let plan = self.plan(options)?;
        let namespace = target.namespace.filter(|_| served.kind.namespaced);
        let query = ListQuery {
            resource: served.resource.clone(),
            namespace: namespace.map(str::to_owned),
            after: plan.after,
            limit: None,
            at: match plan.at {
                At::Now => None,
                At::Revision(revision) => Some(revision),
            },
            left: plan.left,
        };
        Ok(Pages {
            registry: self.clone(),
            selects: !selector.is_empty(),
            read: Arc::new(move |_: &Key, revision, json: &[u8]| {
                if !selector.matches_text(json)? {
                    return Ok(None);
                }
                let served = &served;
                form(&Text {
                    served,
                    json,
                    revision,
                })
                .map(Some)
            }),
            query,
            continued: plan.continued,
            limit: plan.limit,
            taken: 0,
            last: None,
            more: 0,
            over: false,
        })
    }
}

impl<T: Send + 'static> Pages<T> {
    /// The next piece, which may be empty. None: there are no more.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, Refusal> {
        if self.over {
            return Ok(None);
        }
        let room = self.limit.map(|limit| limit - self.taken);
        self.query.limit = Some(match room {
            Some(room) if !self.selects => room.min(PIECE),
            Some(_) | None => PIECE,
        });
        let read = Arc::clone(&self.read);
        let store = &self.registry.inner.store;
        let page = store.read(&self.query, move |k, r, text| read(k, r, text));
        let page = page.await.map_err(|error| match error {
            StoreError::Compacted { .. } if self.continued => refusals::continue_too_old(),
            other => refusals::store(other),
        })?;
        self.query.at = Some(page.revision);
        self.query.left = Some(page.remaining);
        if let Some((key, _)) = page.items.last() {
            self.query.after = Some((key.namespace.clone(), key.name.clone()));
        }
        // As the real server: a page that is full ends a list only when nothing at all comes after it.
        self.more = page.remaining;
        let mut items = Vec::with_capacity(page.items.len());
        for (key, item) in page.items {
            let Some(item) = item else { continue };
            if self.is_full() {
                self.more += 1;
                continue;
            }
            self.taken += 1;
            self.last = Some((key.namespace, key.name));
            items.push(item);
        }
        self.over = self.is_full() || self.more == 0;
        Ok(Some(items))
    }

    /// Nothing more is to come.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What the list says of itself, once all of it has been fetched; without items.
    pub fn ending(&self) -> Listed {
        let revision = self.query.at.unwrap_or_default();
        let last = self.last.clone().filter(|_| self.more > 0);
        let continue_ = last.map(|after| {
            // Counted from the end of the page, which with a selector is not where the next one begins.
            let left = (!self.selects).then_some(self.more);
            let page = Page {
                revision: Some(revision),
                after,
                left,
            };
            page.token()
        });
        let counted = continue_.is_some() && !self.selects;
        Listed {
            items: Vec::new(),
            resource_version: revision.to_string(),
            continue_,
            remaining: counted.then_some(self.more as u64),
        }
    }

    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.taken >= limit)
    }
}
