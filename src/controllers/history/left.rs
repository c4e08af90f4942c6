//! What the lock Leases tell the history: runs that a Lease names no more, and images that have another owner by now.
//!
//! The run that takes a target set closes the row of the image that was there (`end-image`). This is the net under it, for
//! a Lease that changed without that run: what stands on the Lease decides (`architecture.md` § 8).

use crate::controllers::context::Context;
use crate::controllers::locks::lease::{self, HOLDER, ImageOwner};
use crate::controllers::locks::{close_row, names};
use crate::controllers::run::ended::end_image;
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use std::collections::HashMap;

/// A run by namespace and name.
type Run = (String, String);

/// Whom each lock Lease names.
#[derive(Debug, Default)]
pub(super) struct Locks {
    named: HashMap<String, Named>,
    left: Vec<Left>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Named {
    owner: Option<ImageOwner>,
    holder: Option<Run>,
}

impl Named {
    fn by(lease: &PartialObjectMeta<Lease>) -> Self {
        let holder = lease.annotations().get(HOLDER);
        let holder = holder.and_then(|run| run.split_once('/'));
        Self {
            owner: lease::image_owner(lease),
            holder: holder.map(|(namespace, run)| (namespace.to_owned(), run.to_owned())),
        }
    }
    fn runs(&self) -> Vec<Run> {
        let owner = self.owner.as_ref();
        let owner = owner.map(|o| (o.namespace.clone(), o.run.clone()));
        owner.into_iter().chain(self.holder.clone()).collect()
    }
}

impl Locks {
    /// Enters an event; gives the runs that the Lease has named before and does not name any more.
    pub(super) fn saw(&mut self, event: &Event<PartialObjectMeta<Lease>>) -> Vec<Run> {
        let (lease, now) = match event {
            Event::Init | Event::InitDone => return Vec::new(),
            Event::Apply(lease) | Event::InitApply(lease) => (lease, Named::by(lease)),
            // Whose image it is is not known any more; that it is gone is not said.
            Event::Delete(lease) => {
                let before = self.named.remove(&lease.name_any());
                return before.map(|named| named.runs()).unwrap_or_default();
            }
        };
        let name = lease.name_any();
        let before = self.named.insert(name.clone(), now.clone());
        let before = before.unwrap_or_default();
        if let Some(owner) = before.owner.clone().filter(|_| before.owner != now.owner) {
            self.left.push(Left { lease: name, owner });
        }
        let named = now.runs();
        let mut let_go = before.runs();
        let_go.retain(|run| !named.contains(run));
        let_go
    }

    pub(super) fn take_left(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.left)
    }
}

/// An image that has another owner by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    lease: String,
    owner: ImageOwner,
}

impl Left {
    /// Closes its row, unless that has been done.
    pub(super) async fn close(&self, context: &Context) {
        if let Err(error) = self.try_close(context).await {
            let Self { lease, owner } = self;
            tracing::warn!(run = owner.run, namespace = owner.namespace, lease, %error, "its image is gone, its row could not be closed");
        }
    }

    async fn try_close(&self, context: &Context) -> Result<(), StoreError> {
        let owner = &self.owner;
        let found = call(context.leases().get_opt(&self.lease)).await?;
        // Asked itself: the watch may be behind.
        let Some(found) = found.filter(|l| lease::image_owner(l).as_ref() != Some(owner)) else {
            return Ok(());
        };
        let run = call(context.runs(&owner.namespace).get_opt(&owner.run)).await?;
        // An open run ends its own image with its next write.
        let status = run.and_then(|r| r.status).filter(|s| s.phase.is_final());
        let image = status.and_then(|s| s.image);
        let there = image.is_some_and(|i| names::target_lease(&i.target_set) == found.name_any());
        if there && context.serves(&owner.namespace) {
            close_row(&context.client, owner, end_image).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use kube::core::{ObjectMeta, PartialObjectMetaExt};
    use std::collections::BTreeMap;

    fn owner(run: &str) -> ImageOwner {
        ImageOwner {
            uid: format!("uid-{run}"),
            namespace: "ibmi".to_owned(),
            run: run.to_owned(),
        }
    }

    fn lease(image: Option<&str>, holder: Option<&str>) -> PartialObjectMeta<Lease> {
        let mut notes = BTreeMap::new();
        if let Some(holder) = holder {
            notes.insert(HOLDER.to_owned(), format!("ibmi/{holder}"));
        }
        let metadata = ObjectMeta {
            name: Some("target".to_owned()),
            annotations: Some(notes),
            ..ObjectMeta::default()
        };
        let mut object: Lease = Lease {
            metadata,
            spec: None,
        };
        let image = image.map(owner);
        lease::set_image_owner(&mut object, image.as_ref());
        object.metadata.into_response_partial()
    }

    #[test]
    fn a_run_is_looked_at_again_when_a_lease_has_named_it_and_names_it_no_more() {
        let mut locks = Locks::default();
        let run = |name: &str| ("ibmi".to_owned(), name.to_owned());
        let first = Event::InitApply(lease(Some("a"), None));
        assert!(locks.saw(&first).is_empty());
        // The next one waits for it, holds it, and ends the image.
        let held = Event::Apply(lease(Some("a"), Some("b")));
        assert!(locks.saw(&held).is_empty() && locks.take_left().is_empty());
        let ended = Event::Apply(lease(None, Some("b")));
        assert_eq!(locks.saw(&ended), [run("a")]);
        let left = locks.take_left();
        assert_eq!(left.len(), 1);
        assert_eq!(
            (left[0].lease.as_str(), &left[0].owner),
            ("target", &owner("a"))
        );
        // Holder and owner at once, then owner alone.
        assert!(
            locks
                .saw(&Event::Apply(lease(Some("b"), Some("b"))))
                .is_empty()
        );
        assert!(locks.saw(&Event::Apply(lease(Some("b"), None))).is_empty());
        let gone = Event::Delete(lease(Some("b"), None));
        assert_eq!(locks.saw(&gone), [run("b")]);
        assert!(
            locks.take_left().is_empty(),
            "a Lease that is gone tells nothing of the image"
        );
    }
}
