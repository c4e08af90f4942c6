//! What a run meets on the devices before it opens: the image it is about must be its run's, and an image that is held
//! or kept is not replaced. Nothing is touched here; the locks ask again before the first effect.

use crate::api::run::{CloneRunStatus, ImageOfRun, RunMode};
use crate::api::{CloneEnvironment, CloneRun};
use crate::controllers::context::Context;
use crate::controllers::environment::pins;
use crate::controllers::locks::lease::{self, Holder};
use crate::controllers::locks::{device_locks, held, names};
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::engine::step::LockKind;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};

/// Why a run touches nothing: reason and message.
pub type Refusal = (&'static str, String);

/// The image a run is about, `None` for a mode without one.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn image_of(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<Result<Option<ImageOfRun>, Refusal>, StoreError> {
    let found = match run.spec.mode {
        RunMode::Clone | RunMode::Preflight => return Ok(Ok(None)),
        RunMode::ReleaseHeld => held_image(context, run).await?,
        RunMode::StartHeld | RunMode::End => live_image(context, run, environment).await?,
    };
    Ok(found.map(Some))
}

fn leases(context: &Context) -> Api<Lease> {
    Api::namespaced(context.client.clone(), &context.config.lease_namespace)
}

/// The pins decide: the run whose image it is may be deleted by now.
async fn held_image(
    context: &Context,
    run: &CloneRun,
) -> Result<Result<ImageOfRun, Refusal>, StoreError> {
    let namespace = run.namespace().unwrap_or_default();
    let name = run.spec.run.clone().unwrap_or_default();
    let ours = |pin: &Holder| pin.namespace == namespace && pin.run == name;
    let pinned = held::pins_of(&leases(context), ours).await?;
    let Some(pin) = pinned.first().and_then(lease::pinned) else {
        let text = format!(
            "nothing is pinned by an image of run {name}; `kubectl get history` shows START_HELD for those that were started"
        );
        return Ok(Err(("NotHeld", text)));
    };
    Ok(Ok(ImageOfRun {
        run: name,
        uid: pin.uid,
        ..ImageOfRun::default()
    }))
}

/// The image as the run that took it left it, with the target set's Lease as witness.
async fn live_image(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<Result<ImageOfRun, Refusal>, StoreError> {
    let namespace = run.namespace().unwrap_or_default();
    let name = run.spec.run.clone().unwrap_or_default();
    let Some(target) = call(context.runs(&namespace).get_opt(&name)).await? else {
        let text = format!("there is no CloneRun {name} in namespace {namespace}");
        return Ok(Err(("RunNotFound", text)));
    };
    let status = target.status.clone().unwrap_or_default();
    if let Some(refusal) = not_its_image(run, &target, &status) {
        return Ok(Err(refusal));
    }
    let Some(image) = &status.image else {
        return Ok(Err(gone(&name, &status)));
    };
    let locks = device_locks(&environment.spec, &pins::of(environment));
    let Some(lock) = locks
        .iter()
        .find(|l| l.lease == names::target_lease(&image.target_set))
    else {
        let text = format!(
            "the image of run {name} is on target set {}, to which environment {} does not lead any more: nothing was touched; end it on the array",
            image.target_set, run.spec.environment
        );
        return Ok(Err(("NotItsImage", text)));
    };
    let witness = call(leases(context).get_opt(&lock.lease)).await?;
    let owner = witness.as_ref().and_then(lease::image_owner);
    if owner.as_ref().map(|o| &o.uid) != target.uid().as_ref() {
        let whose = owner.map_or("nobody".to_owned(), |o| {
            format!("{}/{}", o.namespace, o.run)
        });
        let text = format!(
            "{} carries the image of {whose}, not that of run {name}: nothing was touched",
            lock.device
        );
        return Ok(Err(("NotItsImage", text)));
    }
    Ok(Ok(ImageOfRun {
        run: name,
        uid: target.uid().unwrap_or_default(),
        mark: image.mark.clone(),
        suspension_proof: status.frozen.and_then(|f| f.suspension_proof),
    }))
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
        let text = format!("run {name} is still open: wait for its end, or delete it to cancel it");
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
///
/// # Errors
/// When the API server cannot be asked.
pub async fn in_the_way(
    context: &Context,
    run: &CloneRun,
    environment: &CloneEnvironment,
) -> Result<Option<Refusal>, StoreError> {
    match run.spec.mode {
        RunMode::Clone | RunMode::End => {}
        RunMode::Preflight | RunMode::StartHeld | RunMode::ReleaseHeld => return Ok(None),
    }
    // The end of an image that is not attached leaves the partition alone.
    let spared = |kind| kind == LockKind::Clone && run.spec.mode == RunMode::End;
    let needed = held::leases_of_image(environment);
    for lock in device_locks(&environment.spec, &pins::of(environment)) {
        if spared(lock.kind) || !needed.contains(&lock.lease) {
            continue;
        }
        let Some(found) = call(leases(context).get_opt(&lock.lease)).await? else {
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
