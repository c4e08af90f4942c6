//! `guest show` and `guest uninstall` for one environment: opens its devices, asks, prints.

use super::command::{Opened, Target, line, production};
use super::install::Done;
use super::observe::observe;
use super::remains::remains;
use super::show::Shown;
use super::uninstall::{Leaving, UninstallError, left_over, plan, uninstall};
use crate::commands::cluster::Cluster;
use crate::commands::factory::Drivers;
use crate::commands::{CommandError, Exit};
use crate::controllers::environment::pins;
use crate::controllers::locks::lease::{LOCK_LABEL, in_use};
use crate::controllers::locks::{DeviceLock, device_locks};
use crate::engine::step::LockKind;
use crate::recipe::Pins;
use crate::site::{DeviceError, Identity};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    target: Target,
    /// Form of the answer.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For a terminal.
    Text,
    /// One object.
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct Uninstall {
    #[command(flatten)]
    target: Target,
    /// Show every command, send none.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Send them: production starts without the guard from its next IPL on. Without it the commands are only shown.
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run_show(
    cluster: &Cluster,
    drivers: &Drivers,
    arguments: &Show,
) -> Result<Exit, CommandError> {
    let opened = Opened::new(cluster, drivers, &arguments.target).await?;
    let system = opened.site.source.0.as_ref();
    let failed = |e: DeviceError| CommandError::other(&e);
    let session = system.connect().await.map_err(failed)?;
    let observed = observe(system, &session).await.map_err(failed)?;
    let found = remains(system, &session).await.map_err(failed)?;
    let environment = &arguments.target.environment;
    let address = system.address();
    let shown = Shown::new(environment, &address, &opened.operator, &observed, &found);
    let text = match arguments.output {
        Form::Text => shown.text(),
        Form::Json => {
            let text = serde_json::to_string_pretty(&shown);
            text.map_err(|e| CommandError::other(&e))? + "\n"
        }
    };
    // A closed pipe (`| head`) is no reason to fail.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(Exit::Done)
}

pub(super) async fn run_uninstall(
    cluster: &Cluster,
    drivers: &Drivers,
    arguments: &Uninstall,
) -> Result<Exit, CommandError> {
    let opened = Opened::new(cluster, drivers, &arguments.target).await?;
    let system = opened.site.source.0.as_ref();
    let failed = |e: DeviceError| CommandError::other(&e);
    let session = system.connect().await.map_err(failed)?;
    let leaving = Leaving {
        identity: production(&opened.site, &opened.spec, &session).await?,
        operator: opened.operator.clone(),
    };
    let found = remains(system, &session).await.map_err(failed)?;
    let steps = plan(&found, &leaving).map_err(refused)?;
    if steps.is_empty() {
        println!("Nothing of the guest kit is on this system.");
        return Ok(Exit::Done);
    }
    nobody_works(cluster, &arguments.target, &found.identity).await?;
    if !arguments.yes {
        for action in &steps {
            println!("{}", line(action, Done::Shown));
        }
        println!("{} steps, nothing was sent.", steps.len());
        return Ok(Exit::Done);
    }
    // Of CHECK, while it is still there.
    let observed = observe(system, &session).await.map_err(failed)?;
    let strtcp = observed.checked("strtcp").to_owned();
    let outcome = uninstall(system, &session, &leaving, &mut |action| {
        println!("{}", line(action, Done::Sent));
    })
    .await;
    outcome.map_err(refused)?;
    println!("{}", left_over(&strtcp, &found.lock));
    Ok(Exit::Done)
}

fn refused(error: UninstallError) -> CommandError {
    CommandError::Other(error.to_string())
}

/// A run of any environment that works with this source holds the source's Lease.
async fn nobody_works(
    cluster: &Cluster,
    target: &Target,
    found: &Identity,
) -> Result<(), CommandError> {
    let object = cluster.environment(&target.environment).await?;
    let pins = Pins {
        source_identity: Some(found.clone()),
        ..pins::of(&object)
    };
    let mut spec = object.spec;
    if !spec.source.identities.is_empty() {
        spec.source.identities.push(found.clone());
    }
    let mut locks = device_locks(&spec, &pins);
    locks.retain(|lock| lock.kind == LockKind::Source);
    // Each operator of the cluster has Leases of its own: all users are named.
    let mut used = Vec::new();
    for lease in leases(cluster, target).await? {
        let named = |lock: &&DeviceLock| lock.lease == lease.name_any();
        let Some(lock) = locks.iter().find(named) else {
            continue;
        };
        let busy = in_use(&cluster.client, &lease).await;
        if busy.map_err(|e| CommandError::other(&e))? {
            let by = lease.annotations().get("ibmiclone.dev/holder");
            let by = by.map_or("(unknown)", String::as_str);
            used.push(format!("{} is used by run {by}", lock.device));
        }
    }
    if used.is_empty() {
        return Ok(());
    }
    Err(CommandError::Other(format!(
        "{}: nothing was changed; wait for its end, or cancel it, then run guest uninstall again",
        used.join(", ")
    )))
}

/// The Leases of every operator of the cluster; where that is not allowed, those of the operator that was named.
async fn leases(cluster: &Cluster, target: &Target) -> Result<Vec<Lease>, CommandError> {
    let all = ListParams::default().labels(LOCK_LABEL);
    let everywhere: Api<Lease> = Api::all(cluster.client.clone());
    let found = match everywhere.list(&all).await {
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            let namespace = target.operator_namespace(cluster);
            let own: Api<Lease> = Api::namespaced(cluster.client.clone(), namespace);
            own.list(&all).await
        }
        answer => answer,
    };
    let what = "list the Leases that lock devices";
    Ok(found.map_err(|e| CommandError::kube(what, &e))?.items)
}
