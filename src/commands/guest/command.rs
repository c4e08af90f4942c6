//! `guest install` and `guest verify` for one environment: opens its devices, asks, prints.

use super::install::{Done, InstallError, Mode, install};
use super::leave::{Show, Uninstall, run_show, run_uninstall};
use super::observe::check;
use super::plan::{Action, Wanted};
use super::verify::{Expectations, KitFinding, Verdict, verify};
use crate::api::CloneEnvironmentSpec;
use crate::api::clone_side::Network;
use crate::api::options::Proof;
use crate::commands::cluster::Cluster;
use crate::commands::factory::Drivers;
use crate::commands::{CommandError, Exit, KubeFlags, operator, text};
use crate::controllers::secrets::{self, Credential, SiteSecrets};
use crate::controllers::{OpenError, SiteFactory};
use crate::recipe::Pins;
use crate::site::{Identity, Session, Site};

/// Arguments of `guest`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Upload, build and register the guest kit on production. May be repeated; does only what is missing.
    Install(Install),
    /// Judge the guest kit on production; changes nothing.
    Verify(Verify),
    /// What is installed there: version, identities, start-up program, leftovers, owner. Changes nothing.
    Show(Show),
    /// Remove the guest kit from production; the original start-up program is restored first. May be repeated.
    Uninstall(Uninstall),
}

#[derive(Debug, clap::Args)]
struct Install {
    #[command(flatten)]
    target: Target,
    /// Show every command, send none.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Also change how production starts: the guard becomes its start-up program, and TCP/IP no longer starts by itself at
    /// IPL. Only right when production's start-up program starts TCP/IP.
    #[arg(long)]
    yes: bool,
    /// Remove another operator's lock from the source. Only when that operator is gone.
    #[arg(long)]
    take_over: bool,
    /// Secret with the profile that installs (*ALLOBJ *SECADM *IOSYSCFG *JOBCTL); default the source's own credentials. The
    /// source's profile is then let in to what it needs.
    #[arg(long, value_name = "SECRET")]
    installer: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Name of the environment.
    #[arg(value_name = "ENV")]
    pub(super) environment: String,
    /// Namespace of the operator's Leases, from which its id in the lock on production is made.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    operator_namespace: Option<String>,
    /// Id of the operator in that lock, when it was started with one.
    #[arg(long, value_name = "ID")]
    operator_id: Option<String>,
}

impl Target {
    /// Where the operator keeps its Leases.
    pub(super) fn operator_namespace<'t>(&'t self, cluster: &'t Cluster) -> &'t str {
        let named = self.operator_namespace.as_deref();
        named.unwrap_or(&cluster.namespace)
    }
}

/// Does it; the devices are logged off whatever happens.
pub async fn execute(kube: &KubeFlags, arguments: Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let drivers = Drivers::default();
    let exit = match &arguments.what {
        What::Install(install) => run_install(&cluster, &drivers, install).await,
        What::Verify(verify) => run_verify(&cluster, &drivers, verify).await,
        What::Show(show) => run_show(&cluster, &drivers, show).await,
        What::Uninstall(uninstall) => run_uninstall(&cluster, &drivers, uninstall).await,
    };
    drivers.close().await;
    exit
}

/// An environment with its devices, opened.
pub(super) struct Opened {
    pub(super) spec: CloneEnvironmentSpec,
    secrets: SiteSecrets,
    pub(super) site: Site,
    pub(super) operator: String,
}

impl Opened {
    pub(super) async fn new(
        cluster: &Cluster,
        drivers: &Drivers,
        target: &Target,
    ) -> Result<Self, CommandError> {
        let spec = cluster.environment(&target.environment).await?.spec;
        let operator = match &target.operator_id {
            Some(id) => id.clone(),
            None => {
                let namespace = target.operator_namespace(cluster);
                operator::installation(&cluster.client, namespace).await?
            }
        };
        let (secrets, site) = open(cluster, drivers, &spec).await?;
        Ok(Self {
            spec,
            secrets,
            site,
            operator,
        })
    }

    fn shared_network(&self) -> bool {
        match self.spec.clone.network {
            Network::Shared => true,
            Network::Isolated => false,
        }
    }

    fn helper(&self) -> Result<String, CommandError> {
        user(&self.secrets, &self.spec)
    }
}

async fn open(
    cluster: &Cluster,
    drivers: &Drivers,
    spec: &CloneEnvironmentSpec,
) -> Result<(SiteSecrets, Site), CommandError> {
    let failed = |e: OpenError| CommandError::other(&e);
    let secrets = secrets::read(&cluster.client, &cluster.namespace, spec)
        .await
        .map_err(|e| failed(e.into()))?;
    let site = drivers
        .open(&cluster.namespace, spec, &Pins::default(), &secrets)
        .await
        .map_err(failed)?;
    Ok((secrets, site))
}

/// Profile behind the source's credentials, as IBM i writes it.
fn user(secrets: &SiteSecrets, spec: &CloneEnvironmentSpec) -> Result<String, CommandError> {
    let credential = secrets
        .credential(&spec.source.host.credentials)
        .map_err(|e| CommandError::other(&e))?;
    let name = match credential {
        Credential::Basic { username, .. } | Credential::Ssh { username, .. } => username,
    };
    Ok(name.to_ascii_uppercase())
}

/// Production's pair: the console's word, or one the environment names. What answers at the address is never believed alone.
pub(super) async fn production(
    site: &Site,
    spec: &CloneEnvironmentSpec,
    session: &Session,
) -> Result<Identity, CommandError> {
    let found = &session.system.identity;
    match site.source_partition.status().await {
        Ok(status) => Ok(status.identity),
        Err(_) if spec.source.identities.contains(found) => Ok(found.clone()),
        Err(error) => Err(CommandError::Other(format!(
            "{found} answers at source.host, and whether that is production cannot be told: {error}; write it to source.identities if it is"
        ))),
    }
}

async fn run_install(
    cluster: &Cluster,
    drivers: &Drivers,
    arguments: &Install,
) -> Result<Exit, CommandError> {
    let opened = Opened::new(cluster, drivers, &arguments.target).await?;
    let helper = opened.helper()?;
    let (installer, site) = match &arguments.installer {
        None => (helper.clone(), opened.site.clone()),
        Some(secret) => {
            let mut spec = opened.spec.clone();
            spec.source.host.credentials.name.clone_from(secret);
            let (secrets, site) = open(cluster, drivers, &spec).await?;
            (user(&secrets, &spec)?, site)
        }
    };
    let failed = |e: crate::site::DeviceError| CommandError::other(&e);
    let system = site.source.0.as_ref();
    let session = system.connect().await.map_err(failed)?;
    let helper_runs_check = installer == helper || {
        let own = opened.site.source.0.as_ref();
        match own.connect().await {
            Ok(session) => matches!(check(own, &session).await, Ok(Ok(_))),
            Err(_) => false,
        }
    };
    let wanted = Wanted {
        identity: production(&opened.site, &opened.spec, &session).await?,
        installer,
        helper,
        helper_runs_check,
        shared_network: opened.shared_network(),
        operator: opened.operator.clone(),
        take_over: arguments.take_over,
    };
    let mode = match (arguments.dry_run, arguments.yes) {
        (true, _) => Mode::DryRun,
        (false, true) => Mode::Everything,
        (false, false) => Mode::Careful,
    };
    let mut told = (0, false);
    let outcome = install(system, &session, &wanted, mode, &mut |action, done| {
        told = (told.0 + 1, told.1 || done == Done::Asks);
        println!("{}", line(action, done));
    })
    .await;
    if let Err(error) = outcome {
        return Err(match error {
            InstallError::Plan(why) => CommandError::Other(why.to_string()),
            other => CommandError::other(&other),
        });
    }
    println!("{}", conclusion(mode, told));
    Ok(Exit::Done)
}

pub(super) fn line(action: &Action, done: Done) -> String {
    let word = match (done, action.needs_yes) {
        (Done::Shown, false) => "would send",
        (Done::Shown, true) => "would send with --yes",
        (Done::Sent, _) => "sent",
        (Done::Asks, _) => "needs --yes",
    };
    let line = format!("{:<17} {word}: {}", action.id, action.shown());
    if action.remark.is_empty() {
        line
    } else {
        format!("{line}\n{:<17} {}", "", action.remark)
    }
}

fn conclusion(mode: Mode, (steps, asks): (usize, bool)) -> String {
    match (mode, steps, asks) {
        (_, 0, _) => "The guest kit is complete: nothing to do.".to_owned(),
        (Mode::DryRun, n, _) => format!("{n} steps, nothing was sent."),
        (_, _, true) => {
            "Production's start-up was not changed: read the remarks, then run it again with --yes."
                .to_owned()
        }
        (_, n, false) => format!("{n} steps done; check with: ibmi-clone guest verify ENV"),
    }
}

async fn run_verify(
    cluster: &Cluster,
    drivers: &Drivers,
    arguments: &Verify,
) -> Result<Exit, CommandError> {
    let opened = Opened::new(cluster, drivers, &arguments.target).await?;
    let runs = cluster.runs_of(&arguments.target.environment).await?;
    let running = runs
        .iter()
        .any(|r| r.status.as_ref().is_some_and(|s| s.finished_at.is_none()));
    let system = opened.site.source.0.as_ref();
    let failed = |e: crate::site::DeviceError| CommandError::other(&e);
    let session = system.connect().await.map_err(failed)?;
    let (console, clone) = tokio::join!(
        opened.site.source_partition.status(),
        opened.site.clone_partition.status()
    );
    let expected = Expectations {
        console: console.ok().map(|s| s.identity),
        clone: clone.ok().map(|s| s.identity),
        shared_network: opened.shared_network(),
        canary: match opened.spec.freeze.proof {
            Proof::Canary => true,
            Proof::Assumed => false,
        },
        operator: Some(opened.operator.clone()),
        run_holds_source: running,
    };
    let rows = verify(system, &session, &expected).await.map_err(failed)?;
    print!("{}", table(&rows));
    let bad = rows.iter().any(|r| r.verdict == Verdict::Bad);
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

/// One line a row.
fn table(rows: &[KitFinding]) -> String {
    rows.iter()
        .map(|row| {
            let word = match row.verdict {
                Verdict::Good => "ok",
                Verdict::Note => "note",
                Verdict::Bad => "BAD",
            };
            format!("{word:<5} {:<20} {}\n", row.id, text::one_line(&row.text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_a_yes_says_why() {
        let action = Action {
            id: "ipl-tcp",
            send: super::super::plan::Send::Cl("CHGIPLA STRTCP(*NO)".to_owned()),
            needs_yes: true,
            remark: "only right when …",
        };
        let shown = line(&action, Done::Asks);
        assert!(shown.starts_with("ipl-tcp           needs --yes: CHGIPLA STRTCP(*NO)\n"));
        assert!(shown.ends_with("only right when …"));
        assert!(conclusion(Mode::Careful, (3, true)).contains("--yes"));
        assert!(conclusion(Mode::Everything, (0, false)).contains("nothing to do"));
    }

    #[test]
    fn a_bad_row_stands_out() {
        let rows = [KitFinding {
            id: "guard",
            verdict: Verdict::Bad,
            text: "QSTRUPPGM is X\nnot the guard".to_owned(),
        }];
        assert_eq!(
            table(&rows),
            "BAD   guard                QSTRUPPGM is X; not the guard\n"
        );
    }
}
