//! What a run meets on the devices before it opens: the image it is about must be its run's, and an image that is held
//! or kept is not replaced. Nothing is touched here; the locks ask again before the first effect.

use super::target_set;
use crate::api::run::{CloneRunStatus, ImageOfRun, RunMode};
use crate::api::{CloneEnvironment, CloneEnvironmentSpec, CloneRun};
use crate::controllers::context::Context;
use crate::controllers::environment::pins;
use crate::controllers::locks::lease::{self, Holder};
use crate::controllers::locks::{device_locks, held, names};
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::engine::step::LockKind;
use kube::ResourceExt;

/// Why a run touches nothing: reason and message.
pub type Refusal = (&'static str, String);

/// What a run is opened for.
pub struct Aim {
    /// The environment with the one target set that the run uses.
    pub spec: CloneEnvironmentSpec,
    /// The image it is about, of a mode that has one.
    pub image: Option<ImageOfRun>,
    /// Why it cannot be carried out.
    pub refused: Option<Refusal>,
}

/// Looks what a run is about, and whether something is in its way.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn aim(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<Aim, StoreError> {
    let (spec, image) = match run.spec.mode {
        RunMode::Clone | RunMode::Preflight => {
            let spec = target_set::chosen(context, run, environment).await?;
            (spec, Ok(None))
        }
        RunMode::ReleaseHeld => held_image(context, run, environment).await?,
        RunMode::StartHeld | RunMode::End => live_image(context, run, environment).await?,
    };
    let (image, refused) = match image {
        Ok(image) => match in_the_way(context, run, environment, &spec).await? {
            Some(refusal) => (None, Some(refusal)),
            None => (image, None),
        },
        Err(refusal) => (None, Some(refusal)),
    };
    Ok(Aim {
        spec,
        image,
        refused,
    })
}

type Found = (CloneEnvironmentSpec, Result<Option<ImageOfRun>, Refusal>);

/// The pins decide: the run whose image it is may be deleted by now.
async fn held_image(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<Found, StoreError> {
    let namespace = run.namespace().unwrap_or_default();
    let name = run.spec.run.clone().unwrap_or_default();
    let ours = |pin: &Holder| pin.namespace == namespace && pin.run == name;
    let pinned = held::pins_of(&context.leases(), ours).await?;
    let spec = &environment.spec;
    let Some(pin) = pinned.first().and_then(lease::pinned) else {
        let text = format!(
            "nothing is pinned by an image of run {name}; `kubectl get history` shows START_HELD for those that were started"
        );
        return Ok((spec.clone(), Err(("NotHeld", text))));
    };
    let names: Vec<String> = pinned.iter().map(ResourceExt::name_any).collect();
    let sets = spec.target_sets();
    let set = sets
        .iter()
        .find(|set| set_lease(environment, set).is_some_and(|l| names.contains(&l)));
    let spec = match set.or(sets.first()) {
        Some(set) => spec.with_target_set(set),
        None => spec.clone(),
    };
    let image = ImageOfRun {
        run: name,
        uid: pin.uid,
        ..ImageOfRun::default()
    };
    Ok((spec, Ok(Some(image))))
}

/// Name of the Lease of one of the environment's target sets.
fn set_lease(environment: &CloneEnvironment, set: &str) -> Option<String> {
    let spec = environment.spec.with_target_set(set);
    let locks = device_locks(&spec, &pins::of(environment));
    let lock = locks.into_iter().find(|l| l.kind == LockKind::TargetSet);
    lock.map(|lock| lock.lease)
}

/// The image as the run that took it left it, with the target set's Lease as witness.
async fn live_image(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<Found, StoreError> {
    let spec = &environment.spec;
    let not = |refusal: Refusal| Ok((spec.clone(), Err(refusal)));
    let namespace = run.namespace().unwrap_or_default();
    let name = run.spec.run.clone().unwrap_or_default();
    let Some(target) = call(context.runs(&namespace).get_opt(&name)).await? else {
        let text = format!("there is no CloneRun {name} in namespace {namespace}");
        return not(("RunNotFound", text));
    };
    let status = target.status.clone().unwrap_or_default();
    if let Some(refusal) = not_its_image(run, &target, &status) {
        return not(refusal);
    }
    let Some(image) = &status.image else {
        return not(gone(&name, &status));
    };
    let wanted = names::target_lease(&image.target_set);
    let sets = spec.target_sets();
    let leads = |set: &&String| set_lease(environment, set).as_ref() == Some(&wanted);
    let Some(set) = sets.iter().find(leads) else {
        let text = format!(
            "the image of run {name} is on target set {}, to which environment {} does not lead any more: nothing was touched; end it on the array",
            image.target_set, run.spec.environment
        );
        return not(("NotItsImage", text));
    };
    let witness = call(context.leases().get_opt(&wanted)).await?;
    let owner = witness.as_ref().and_then(lease::image_owner);
    if owner.as_ref().map(|o| &o.uid) != target.uid().as_ref() {
        let whose = owner.map_or("nobody".to_owned(), |o| {
            format!("{}/{}", o.namespace, o.run)
        });
        let text = format!(
            "target set {set} carries the image of {whose}, not that of run {name}: nothing was touched"
        );
        return not(("NotItsImage", text));
    }
    let found = ImageOfRun {
        run: name,
        uid: target.uid().unwrap_or_default(),
        mark: image.mark.clone(),
        suspension_proof: status.frozen.and_then(|f| f.suspension_proof),
        backups_frozen_by: image.backups_frozen_by.clone(),
    };
    Ok((spec.with_target_set(set), Ok(Some(found))))
}

fn not_its_image(run: &CloneRun, target: &CloneRun, status: &CloneRunStatus) -> Option<Refusal> {
    let name = target.name_any();
    let (ours, its) = (&run.spec.environment, &target.spec.environment);
    if ours != its {
        let text =
            format!("run {name} is of environment {its}, not of {ours}: write environment: {its}");
        return Some(("NotItsImage", text));
    }
    if target.spec.mode != RunMode::Clone {
        let text = format!(
            "run {name} took no image, it is of mode {:?}: name the run that took it",
            target.spec.mode
        );
        return Some(("NotItsImage", text));
    }
    (!status.phase.is_final()).then(|| {
        let text = format!("run {name} is still open: wait for its end, or cancel it");
        ("RunStillOpen", text)
    })
}

fn gone(name: &str, status: &CloneRunStatus) -> Refusal {
    let state = status.state.as_deref().unwrap_or("no state");
    let text = format!(
        "run {name} has no image any more, or never had a clean one ({state}): nothing was touched"
    );
    ("ImageGone", text)
}

/// Why a run that replaces or ends an image must not: a held image pins what it needs, or the image is kept.
async fn in_the_way(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
    spec: &CloneEnvironmentSpec,
) -> Result<Option<Refusal>, StoreError> {
    let starts = match run.spec.mode {
        RunMode::Clone => spec.function.starts_clone(),
        RunMode::End => false,
        RunMode::Preflight | RunMode::StartHeld | RunMode::ReleaseHeld => return Ok(None),
    };
    for lock in device_locks(spec, &pins::of(environment)) {
        // A HOLD and the end of an image need the partition only while something is attached to it; that is looked at
        // later, and the lock itself refuses then.
        let needed = match lock.kind {
            LockKind::Source | LockKind::Backups => false,
            LockKind::TargetSet => true,
            LockKind::Clone => starts,
        };
        if !needed {
            continue;
        }
        let Some(found) = call(context.leases().get_opt(&lock.lease)).await? else {
            continue;
        };
        if let Some(image) = lease::pinned(&found) {
            return Ok(Some(held::in_use(&image, &lock)));
        }
        if lock.kind == LockKind::TargetSet
            && let Some(owner) = lease::image_owner(&found)
            && let Some(kept) = held::kept(&context.client, &owner).await?
        {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}
