//! Reading one object, and lists of them: consistent over their pages, and as of a revision that was asked for.

use serde_json::Value;

use super::page::Page;
use super::request::{ListOptions, Listed, Target};
use super::{Registry, options, refusals};
use crate::embedded::refusal::Refusal;

/// As of when a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest there is.
    Now,
    /// Exactly.
    Revision(u64),
}

/// A list as it is wanted.
pub struct Plan {
    /// As of when.
    pub at: At,
    /// At most so many.
    pub limit: Option<usize>,
    /// Only what comes after it.
    pub after: Option<(String, String)>,
    /// How many come after it, when the token says so.
    pub left: Option<usize>,
    /// A token was given.
    pub continued: bool,
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
        let mut pages = self.pages(target, options, |text| text.object())?;
        let mut items = Vec::new();
        while let Some(piece) = pages.next().await? {
            items.extend(piece);
        }
        Ok(Listed {
            items,
            ..pages.ending()
        })
    }

    pub(super) fn plan(&self, options: &ListOptions) -> Result<Plan, Refusal> {
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
                left: page.left,
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
            left: None,
            continued: false,
        })
    }
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
