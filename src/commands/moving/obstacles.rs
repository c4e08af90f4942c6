//! Why nothing is exported: what the new side could not know, and would do harm without.

use super::reading::PAGE;
use crate::api::{CloneEnvironment, CloneRun, CloneRunStatus, FINALIZER};
use crate::commands::CommandError;
use crate::controllers::environment::pins;
use crate::controllers::locks::{device_locks, lease};
use crate::controllers::pages::pages as by_pages;
use crate::controllers::run::ended::end_image;
use crate::engine::time::Timestamp;
use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeSet;

/// What becomes of images that are on the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Images {
    /// They are in the way.
    Refused,
    /// They stay on the devices and are nobody's any more; their rows are closed.
    Left,
}

/// Whether the row still counts something on the devices as its own.
pub(super) fn is_live(status: &CloneRunStatus) -> bool {
    status.image.is_some()
        || goes_on(&status.partition_active)
        || goes_on(&status.flash_copy_active)
}

/// `since TIME`: it has no end yet.
fn goes_on(told: &Option<String>) -> bool {
    told.as_ref().is_some_and(|text| text.starts_with("since "))
}

/// Closes the row of an image that is left behind: nothing of it counts any more.
pub(super) fn close(status: &mut CloneRunStatus, now: Timestamp) {
    end_image(status, now);
    for field in [&mut status.partition_active, &mut status.flash_copy_active] {
        // Since when is told by a step that is not in the row.
        if goes_on(field) {
            *field = None;
        }
    }
}

/// What is in the way of a run.
pub(super) fn of_run(run: &CloneRun, images: Images, now: DateTime<Utc>) -> Option<String> {
    let (namespace, name) = (run.namespace().unwrap_or_default(), run.name_any());
    let who = format!("run {namespace}/{name}");
    let empty = CloneRunStatus::default();
    let status = run.status.as_ref().unwrap_or(&empty);
    let open = status.obligations.iter().filter(|o| o.met.is_none());
    let owed: Vec<String> = open.map(|o| format!("{:?}", o.kind)).collect();
    if !owed.is_empty() {
        let environment = &run.spec.environment;
        return Some(format!(
            "{who} owes {}: leave its operator running until that is met, `ibmi-clone -n {namespace} source-status {environment}` says what it is",
            owed.join(", ")
        ));
    }
    match (status.phase.is_final(), &run.spec.imported) {
        (false, None) => {
            return Some(format!(
                "{who} is open: wait for its end, or `ibmi-clone -n {namespace} cancel {name}`"
            ));
        }
        (false, Some(_)) => {
            return Some(format!(
                "{who} was not imported to its end: import the same file again, or delete it"
            ));
        }
        (true, _) => {}
    }
    if run.finalizers().iter().any(|f| f == FINALIZER) {
        return Some(format!("{who} is just ending: try again in a minute"));
    }
    if !is_live(status) {
        return None;
    }
    let kept = run.spec.keep_until.as_ref().map(|t| t.0.as_second());
    match images {
        Images::Left if kept.is_some_and(|until| until > now.timestamp()) => Some(format!(
            "the image of {who} is kept by its keepUntil, which nobody would know of any more: wait for that time"
        )),
        Images::Left => None,
        Images::Refused => Some(format!(
            "the image of {who} is on the devices: `ibmi-clone -n {namespace} end {name}` ends it; with --leave-images it stays there, and is nobody's"
        )),
    }
}

/// Names of the lock Leases of an environment's devices, with the devices in words.
fn devices(environment: &CloneEnvironment) -> Vec<(String, String)> {
    let locks = device_locks(&environment.spec, &pins::of(environment));
    locks.into_iter().map(|l| (l.lease, l.device)).collect()
}

/// The same of several environments, without the words.
pub(super) fn used(environments: &[CloneEnvironment]) -> BTreeSet<String> {
    let devices = environments.iter().flat_map(devices);
    devices.map(|(lease, _)| lease).collect()
}

/// Held images: a clone that was started for a disaster, perhaps in the place of production. The pin is on the Leases and on
/// nothing else.
///
/// # Errors
/// Leases that cannot be read: nobody can tell.
pub(super) async fn held(
    client: &Client,
    lease_namespace: Option<&str>,
    namespace: Option<&str>,
    used: &BTreeSet<String>,
) -> Result<Vec<String>, CommandError> {
    let leases: Api<Lease> = match lease_namespace {
        Some(name) => Api::namespaced(client.clone(), name),
        None => Api::all(client.clone()),
    };
    let locks = ListParams::default().labels(lease::LOCK_LABEL);
    let found = leases.list(&locks).await.map_err(|e| {
        let what = "read the Leases of the operator, which tell whether an image is held (--lease-namespace names where they are)";
        CommandError::kube(what, &e)
    })?;
    if let (Some(name), true) = (lease_namespace, found.items.is_empty()) {
        return Err(CommandError::NotFound(format!(
            "no Lease of an operator is in namespace {name}: name the one where the operator keeps them"
        )));
    }
    let mut held = BTreeSet::new();
    for lease in &found.items {
        let Some(pin) = lease::pinned(lease) else {
            continue;
        };
        let ours = namespace.is_none_or(|n| pin.namespace == n || pin.namespace.is_empty());
        if ours || used.contains(&lease.name_any()) {
            let (space, run) = (pin.namespace, pin.run);
            held.insert(format!(
                "the image of run {space}/{run} is held, and its clone may stand in for production: `ibmi-clone -n {space} release-held {run}` when it does not any more"
            ));
        }
    }
    Ok(held.into_iter().collect())
}

/// Environments of other namespaces that use a device of one that is exported: two operators would use it, and each would know
/// of its own runs only.
///
/// # Errors
/// When the API does not answer. Who may not list them is told that nobody looked.
pub(super) async fn left_behind(
    client: &Client,
    namespace: &str,
    used: &BTreeSet<String>,
) -> Result<Vec<String>, CommandError> {
    let everywhere: Api<DeserializeGuard<CloneEnvironment>> = Api::all(client.clone());
    let nobody_looked = |why: &str| {
        eprintln!(
            "{why}: see to it that no environment of another namespace uses the same devices"
        );
    };
    let (mut all, mut broken) = (Vec::new(), false);
    let list = async |page: ListParams| everywhere.list(&page).await;
    let listed = by_pages(ListParams::default(), PAGE, list, |environment| {
        match environment.0 {
            Ok(environment) => all.push(environment),
            Err(_) => broken = true,
        }
        Ok(())
    });
    match listed.await {
        Ok(()) => {}
        Err(kube::Error::Api(status)) if status.code == 403 => {
            nobody_looked("you may not list environments of all namespaces");
            return Ok(Vec::new());
        }
        Err(error) => return Err(CommandError::kube("list all environments", &error)),
    }
    if broken {
        nobody_looked("some environments cannot be read");
    }
    let others = all
        .iter()
        .filter(|e| e.namespace().as_deref() != Some(namespace));
    let both = others.filter_map(|other| {
        let shared = devices(other).into_iter().find(|d| used.contains(&d.0))?;
        Some(format!(
            "environment {}/{} uses {} too: move both, with --all-namespaces",
            other.namespace().unwrap_or_default(),
            other.name_any(),
            shared.1
        ))
    });
    Ok(both.collect())
}
