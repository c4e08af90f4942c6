//! Which target set a run overwrites, where an environment has more than one (`product.md` § 2): chosen when the run
//! opens and frozen in it, so that a take-over and a later look at the row mean the same one.

use crate::api::{CloneEnvironment, CloneEnvironmentSpec, CloneRun};
use crate::controllers::OPEN;
use crate::controllers::context::Context;
use crate::controllers::environment::pins;
use crate::controllers::locks::{device_locks, held, lease};
use crate::controllers::run::order;
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::engine::step::LockKind;
use crate::engine::time::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::ListParams;
use std::collections::BTreeSet;

/// What is known of one target set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    /// The consistency group.
    set: String,
    /// Its image is pinned or kept: nobody takes it.
    pinned: bool,
    /// A run is at work on it, or was opened for it and waits.
    live: bool,
    /// When its image was taken; `None` = it has none.
    image: Option<Timestamp>,
}

/// The environment's spec with the one target set that this run uses.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn chosen(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<CloneEnvironmentSpec, StoreError> {
    let spec = &environment.spec;
    if spec.target_sets().len() < 2 {
        return Ok(spec.clone());
    }
    let waiting = opened_for(context, run).await?;
    let mut all = Vec::new();
    for set in spec.target_sets() {
        let lease = lease_of(context, environment, &set).await?;
        let at_work = match &lease {
            Some(lease) => lease::in_use(&context.client, lease).await?,
            None => false,
        };
        all.push(Candidate {
            pinned: match &lease {
                Some(lease) => spared(context, lease).await?,
                None => false,
            },
            live: at_work || waiting.contains(&set),
            image: lease.as_ref().and_then(lease::image_taken),
            set,
        });
    }
    Ok(match next(&all) {
        Some(chosen) => spec.with_target_set(&chosen.set),
        None => spec.clone(),
    })
}

/// Whether the image is held, or kept by its run.
async fn spared(context: &Context, lease: &Lease) -> Result<bool, StoreError> {
    if lease::is_pinned(lease) {
        return Ok(true);
    }
    match lease::image_owner(lease) {
        Some(owner) => Ok(held::kept(&context.client, &owner).await?.is_some()),
        None => Ok(false),
    }
}

/// Without image first, then the oldest. What is pinned or at work comes last: then its lock decides, which queues or
/// refuses the run as it does where there is only one set.
fn next(all: &[Candidate]) -> Option<&Candidate> {
    all.iter().min_by_key(|c| (c.pinned, c.live, c.image))
}

/// The set with the newest image, the first one before there is any: what the environment's status shows.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn newest(
    context: &Context,
    environment: &CloneEnvironment,
) -> Result<Option<String>, StoreError> {
    let sets = environment.spec.target_sets();
    if sets.len() < 2 {
        return Ok(sets.into_iter().next());
    }
    let mut newest: Option<(Option<Timestamp>, String)> = None;
    for set in sets {
        let lease = lease_of(context, environment, &set).await?;
        let taken = lease.as_ref().and_then(lease::image_taken);
        if newest.as_ref().is_none_or(|(best, _)| taken > *best) {
            newest = Some((taken, set));
        }
    }
    Ok(newest.map(|(_, set)| set))
}

/// The lock Lease of one target set, where there is one.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn lease_of(
    context: &Context,
    environment: &CloneEnvironment,
    set: &str,
) -> Result<Option<Lease>, StoreError> {
    let spec = environment.spec.with_target_set(set);
    let locks = device_locks(&spec, &pins::of(environment));
    match locks.iter().find(|l| l.kind == LockKind::TargetSet) {
        Some(lock) => call(context.leases().get_opt(&lock.lease)).await,
        None => Ok(None),
    }
}

/// Sets for which other runs of the environment have been opened and are not over: they may still be queued.
async fn opened_for(context: &Context, run: &CloneRun) -> Result<BTreeSet<String>, StoreError> {
    let api = context.runs(&run.namespace().unwrap_or_default());
    let of_environment = format!("spec.environment={},{OPEN}", run.spec.environment);
    let found = call(api.list(&ListParams::default().fields(&of_environment))).await?;
    let others = found.items.iter().filter(|r| r.uid() != run.uid());
    let sets = others.filter_map(|run| {
        let sets = order::frozen(run.status.as_ref()?)?.target_sets();
        match sets.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    });
    Ok(sets.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn set(name: &str, image: Option<i64>) -> Candidate {
        let taken = |s| DateTime::from_timestamp(s, 0).map(Timestamp::new);
        Candidate {
            set: name.to_owned(),
            pinned: false,
            live: false,
            image: image.and_then(taken),
        }
    }
    fn pinned(candidate: Candidate) -> Candidate {
        Candidate {
            pinned: true,
            ..candidate
        }
    }
    fn live(candidate: Candidate) -> Candidate {
        Candidate {
            live: true,
            ..candidate
        }
    }
    fn chosen(all: &[Candidate]) -> &str {
        next(all).map_or("", |c| c.set.as_str())
    }

    #[test]
    fn a_set_without_image_comes_first_then_the_oldest() {
        assert_eq!(chosen(&[set("A", None), set("B", None)]), "A");
        assert_eq!(chosen(&[set("A", Some(1)), set("B", None)]), "B");
        let all = [set("A", Some(3)), set("B", Some(1)), set("C", Some(2))];
        assert_eq!(chosen(&all), "B");
    }

    #[test]
    fn a_pinned_set_and_one_at_work_are_passed_over() {
        let all = [pinned(set("A", Some(1))), set("B", Some(9))];
        assert_eq!(chosen(&all), "B");
        let all = [live(set("A", None)), set("B", Some(9))];
        assert_eq!(chosen(&all), "B");
        let all = [pinned(set("A", None)), live(set("B", Some(9)))];
        assert_eq!(chosen(&all), "B", "waiting ends, a pin may not");
    }
}
