//! The subcommands `guest install` and `guest verify`: find the environment's source, prove who it is, act.

use super::{Action, Done, Expectations, Mode, Verdict, Wanted, install, verify};
use crate::api::CloneEnvironment;
use crate::api::clone_side::Network;
use crate::api::options::Proof;
use crate::commands::cluster::Cluster;
use crate::commands::factory::Drivers;
use crate::commands::operator::installation;
use crate::commands::{CommandError, Exit, KubeFlags};
use crate::controllers::secrets::{self, Credential};
use crate::controllers::{SiteFactory, with_identity};
use crate::recipe::Pins;
use crate::site::{Identity, Site};
use kube::ResourceExt;

/// Arguments of `guest`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Install the guest kit on production: upload, compile, register. Repeatable; needs the ILE C compiler there.
    Install(Install),
    /// Check the guest kit on production; changes nothing.
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Install {
    /// Name of the environment whose source gets the kit.
    #[arg(value_name = "ENV")]
    environment: String,
    /// Show what would be sent, send nothing.
    #[arg(long)]
    dry_run: bool,
    /// Also send the steps that change how production starts (QSTRUPPGM, STRTCP).
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Replace the lock of another operator. Only when that operator is gone for good.
    #[arg(long)]
    take_over: bool,
    /// Namespace of the operator's Leases; default the environment's own.
    #[arg(long, value_name = "NAMESPACE")]
    lease_namespace: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// Name of the environment whose source is checked.
    #[arg(value_name = "ENV")]
    environment: String,
}

/// Does it; the exit code of `verify` is 2 when something must be mended.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    match &arguments.command {
        Command::Install(arguments) => install_kit(&cluster, arguments).await,
        Command::Verify(arguments) => verify_kit(&cluster, arguments).await,
    }
}

struct Opened {
    environment: CloneEnvironment,
    drivers: Drivers,
    site: Site,
    profile: String,
    source: Identity,
    clone: Option<Identity>,
}

/// The environment's devices, and production's pair: as written, as learned, or as the console shows it.
async fn open(cluster: &Cluster, name: &str) -> Result<Opened, CommandError> {
    let environment = cluster.environment(name).await?;
    let pins = Pins::from_facts(&environment.status.clone().unwrap_or_default().pins);
    let spec = with_identity(&environment.spec, &pins);
    let namespace = environment.namespace().unwrap_or_default();
    let secrets = secrets::read(&cluster.client, &namespace, &spec).await;
    let secrets = secrets.map_err(|e| CommandError::other(&e))?;
    let credential = secrets
        .credential(&spec.source.host.credentials)
        .map_err(|e| CommandError::other(&e))?;
    let profile = match credential {
        Credential::Basic { username, .. } | Credential::Ssh { username, .. } => username.clone(),
    };
    let drivers = Drivers::default();
    let site = drivers
        .open(&namespace, &spec, &secrets)
        .await
        .map_err(|e| CommandError::other(&e))?;
    let shown = site
        .source_partition
        .status()
        .await
        .map_err(|e| CommandError::other(&e))?;
    let clone = site.clone_partition.status().await.ok().map(|s| s.identity);
    if !spec.source.identities.is_empty() && !spec.source.identities.contains(&shown.identity) {
        let known: Vec<String> = spec
            .source
            .identities
            .iter()
            .map(ToString::to_string)
            .collect();
        return Err(CommandError::Other(format!(
            "the console shows {} as {}, the environment knows {}: correct source.identities first; nothing was sent",
            shown.name,
            shown.identity,
            known.join(" or ")
        )));
    }
    Ok(Opened {
        environment,
        drivers,
        site,
        profile,
        source: shown.identity,
        clone,
    })
}

async fn install_kit(cluster: &Cluster, arguments: &Install) -> Result<Exit, CommandError> {
    let opened = open(cluster, &arguments.environment).await?;
    let leases = arguments
        .lease_namespace
        .clone()
        .unwrap_or_else(|| cluster.namespace.clone());
    let wanted = Wanted {
        identity: opened.source.clone(),
        installer: opened.profile.clone(),
        helper: opened.profile.clone(),
        helper_runs_check: true,
        shared_network: opened.environment.spec.clone.network == Network::Shared,
        operator: installation(&cluster.client, &leases).await?,
        take_over: arguments.take_over,
    };
    let mode = match (arguments.dry_run, arguments.yes) {
        (true, _) => Mode::DryRun,
        (false, true) => Mode::Everything,
        (false, false) => Mode::Careful,
    };
    let outcome = send(&opened, &wanted, mode).await;
    opened.drivers.close().await;
    outcome
}

async fn send(opened: &Opened, wanted: &Wanted, mode: Mode) -> Result<Exit, CommandError> {
    // Whoever answers must be production, as the console shows it: a clone has the same address book and host key.
    let source = &opened.site.source;
    let proved = source
        .prove(std::slice::from_ref(&opened.source))
        .await
        .map_err(|e| CommandError::other(&e))?;
    let (mut steps, mut asks) = (0, 0);
    let mut tell = |action: &Action, done: Done| {
        steps += 1;
        let word = match done {
            Done::Shown => "would send",
            Done::Sent => "sent",
            Done::Asks => {
                asks += 1;
                "NEEDS --yes"
            }
        };
        println!("{word:<12} {:<20} {}", action.id, action.shown());
        if !action.remark.is_empty() {
            println!("{:<12} {}", "", action.remark);
        }
    };
    let system = source.0.as_ref();
    install(system, proved.session(), wanted, mode, &mut tell)
        .await
        .map_err(|e| CommandError::other(&e))?;
    match (mode, steps, asks) {
        (_, 0, _) => println!("the guest kit is complete: nothing to do"),
        (Mode::DryRun, n, _) => println!("{n} steps; nothing was sent"),
        (_, n, 0) => println!("{n} steps done; look with `ibmi-clone guest verify`"),
        (_, n, asks) => println!(
            "{} steps done; {asks} change how production starts: read them and run again with --yes",
            n - asks
        ),
    }
    Ok(Exit::Done)
}

async fn verify_kit(cluster: &Cluster, arguments: &Verify) -> Result<Exit, CommandError> {
    let opened = open(cluster, &arguments.environment).await?;
    let spec = &opened.environment.spec;
    let status = opened.environment.status.as_ref();
    let expected = Expectations {
        console: Some(opened.source.clone()),
        clone: opened.clone.clone(),
        shared_network: spec.clone.network == Network::Shared,
        canary: spec.freeze.proof == Proof::Canary,
        operator: None,
        run_holds_source: status.is_some_and(|s| s.active_run.is_some()),
    };
    let source = &opened.site.source;
    let judged = async {
        let proved = source
            .prove(std::slice::from_ref(&opened.source))
            .await
            .map_err(|e| CommandError::other(&e))?;
        verify(source.0.as_ref(), proved.session(), &expected)
            .await
            .map_err(|e| CommandError::other(&e))
    };
    let judged = judged.await;
    opened.drivers.close().await;
    let mut exit = Exit::Done;
    for row in judged? {
        let word = match row.verdict {
            Verdict::Good => "ok",
            Verdict::Note => "note",
            Verdict::Bad => {
                exit = Exit::Failed;
                "MEND"
            }
        };
        println!("{word:<5} {:<16} {}", row.id, row.text);
    }
    Ok(exit)
}
