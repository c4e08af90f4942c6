//! Reading one object, and lists of them: consistent over their pages, and as of a revision that was asked for.

use serde_json::Value;

use super::page::Page;
use super::request::{ListOptions, Listed, Target};
use super::selector::Selector;
use super::served::Served;
use super::{Registry, options, refusals};
use crate::embedded::refusal::Refusal;
use crate::embedded::store::{ListQuery, StoreError, Stored};

/// So many objects are read at once where a selector leaves some out.
const CHUNK: usize = 500;

/// As of when a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Now,
    /// Exactly.
    Revision(u64),
}

/// A list as it is wanted.
struct Plan {
    at: At,
    limit: Option<usize>,
    after: Option<(String, String)>,
    continued: bool,
}

impl Registry {
    /// An object.
    ///
    /// # Errors
    /// 404.
    pub async fn get(&self, target: &Target<'_>, name: &str) -> Result<Value, Refusal> {
        let served = self.served(target.kind)?;
        let live = self.live(&served, target, name).await?;
        let live = live.ok_or_else(|| refusals::not_found(&served.kind, name))?;
        Ok(served.present(live.object, live.revision))
    }

    /// Objects.
    ///
    /// # Errors
    /// 400 selectors and tokens that are none; 410 a revision that history no longer reaches; 422 options that do not go together;
    /// 504 a revision that is yet to come.
    pub async fn list(
        &self,
        target: &Target<'_>,
        options: &ListOptions,
    ) -> Result<Listed, Refusal> {
        let served = self.served(target.kind)?;
        let selector = Selector::parse(&served, &options.labels, &options.fields)?;
        let plan = self.plan(options)?;
        let namespace = target.namespace.filter(|_| served.kind.namespaced);
        let query = ListQuery {
            resource: served.resource.clone(),
            namespace: namespace.map(str::to_owned),
            after: plan.after.clone(),
            limit: None,
            at: match plan.at {
                At::Now => None,
                At::Revision(revision) => Some(revision),
            },
        };
        let found = self.collect(&selector, query, plan.limit).await;
        let (items, revision, remaining) = found.map_err(|error| match error {
            StoreError::Compacted { .. } if plan.continued => refusals::continue_too_old(),
            other => refusals::store(other),
        })?;
        let last = items
            .last()
            .map(|s| (s.key.namespace.clone(), s.key.name.clone()));
        let continue_ = (remaining > 0).then_some(last).flatten().map(|after| {
            let revision = Some(revision);
            Page { revision, after }.token()
        });
        let counted = continue_.is_some() && selector.is_empty();
        Ok(Listed {
            items: items.into_iter().map(|s| present(&served, s)).collect(),
            resource_version: revision.to_string(),
            continue_,
            remaining: counted.then_some(remaining as u64),
        })
    }

    /// Objects that match, at most `limit` of them; how many more there may be.
    async fn collect(
        &self,
        selector: &Selector,
        mut query: ListQuery,
        limit: Option<usize>,
    ) -> Result<(Vec<Stored>, u64, usize), StoreError> {
        let mut items = Vec::new();
        loop {
            query.limit = match (selector.is_empty(), limit) {
                (true, limit) => limit,
                (false, _) => Some(CHUNK),
            };
            let page = self.inner.store.list(&query).await?;
            query.at = Some(page.revision);
            query.after = page
                .items
                .last()
                .map(|s| (s.key.namespace.clone(), s.key.name.clone()));
            let mut more = page.remaining;
            let mut matching = page
                .items
                .into_iter()
                .filter(|s| selector.matches(&s.object));
            let room = limit.map_or(usize::MAX, |limit| limit - items.len());
            items.extend(matching.by_ref().take(room));
            // As the real server: a page that is full ends a list only when nothing at all comes after it.
            more += matching.count();
            let full = limit.is_some_and(|limit| items.len() >= limit);
            if full || more == 0 || selector.is_empty() {
                return Ok((items, page.revision, more));
            }
        }
    }

    fn plan(&self, options: &ListOptions) -> Result<Plan, Refusal> {
        options::check_list(options)?;
        let revision = parse_revision(&options.resource_version)?;
        let limit = options
            .limit
            .and_then(|l| usize::try_from(l).ok())
            .filter(|l| *l > 0);
        if let Some(token) = options.continue_.as_deref().filter(|t| !t.is_empty()) {
            let page = Page::parse(token)?;
            if revision > 0 {
                return Err(refusals::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            return Ok(Plan {
                at: page.revision.map_or(At::Now, At::Revision),
                limit,
                after: Some(page.after),
                continued: true,
            });
        }
        let newest = self.inner.store.revision();
        if revision > newest {
            return Err(refusals::too_large(revision, newest));
        }
        let exact = options.resource_version_match == "Exact";
        // A limit with a revision has always meant that revision; without a limit, or said so, something newer is as good.
        let exact =
            exact || (revision > 0 && limit.is_some() && options.resource_version_match.is_empty());
        // The real server gives all of its memory for revision 0, whatever the limit. Here that would take memory that a client
        // with a limit has just said it does not want, and every client goes on by the token.
        Ok(Plan {
            at: if exact {
                At::Revision(revision)
            } else {
                At::Now
            },
            limit,
            after: None,
            continued: false,
        })
    }
}

fn present(served: &Served, stored: Stored) -> Value {
    served.present(stored.object, stored.revision)
}

/// 400 where lists parse a revision.
fn parse_revision(text: &str) -> Result<u64, Refusal> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        refusals::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: {why}"
        ))
    })
}
