//! `demo`: the embedded API, simulated devices and the operator in one process, and the four functions at work: the
//! environments of the product's own week, each run once.

pub mod objects;
pub mod week;

use super::cluster::Cluster;
use super::embedded_api::{EmbeddedApi, Place};
use super::follow::{Followed, follow};
use super::operator::{cancel_on_signal, installation, positive, serve, writer};
use super::outcome::{exit_of, result};
use super::progress::Progress;
use super::run::create;
use super::simulated_site::{Report, SimulatedSite, parse_world};
use super::text::{TERMINAL, hanging, wrapped};
use super::{CommandError, Exit, history};
use crate::api::run::{RunMode, Trigger};
use crate::api::{CloneRun, CloneRunSpec};
use crate::controllers::OperatorConfig;
use crate::observability::logging::{LogFormat, init};
use kube::api::DynamicObject;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Namespace of the demo's objects.
const NAMESPACE: &str = "ibmi";
/// One part of the demo: what is said before it, and the environments that run at once.
struct Act {
    says: &'static str,
    environments: &'static [&'static str],
}

/// In the order of the week, each with its own night: an image taken while another run has production's BRMS frozen would
/// carry that state and be a Warning.
const ACTS: [Act; 4] = [
    Act {
        says: "By day: a safety copy (*HOLD), and a clone that starts and runs a program\n\
               (*USER). They take turns at production.",
        environments: &["midday-hold", "nightly-user"],
    },
    Act {
        says: "Every night (*BRMS): the next copy takes the disks of CLONE1. The clone saves in\n\
               production's name, then the history goes home.",
        environments: &["nightly-brms"],
    },
    Act {
        says: "Saturday night (*BRMS): the same on TEST1. When the history is back\n\
               (AfterHistory) the clone becomes the week's test system, and stays.",
        environments: &["weekly-test"],
    },
    Act {
        says: "Sunday (*SAVE21): the whole system goes to tape in restricted state, before\n\
               anything is changed on the clone.",
        environments: &["sunday-save21"],
    },
];
/// No demo takes longer: 20 hours of the devices at the default scale.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Stay up for kubectl until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Where the data goes; default a new directory for temporary files, removed at the end unless something failed.
    #[arg(long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Device seconds per second.
    #[arg(long, value_name = "FACTOR", default_value_t = 60.0, value_parser = positive)]
    time_scale: f64,
}

/// Everything that runs during the demo.
struct Stage {
    api: EmbeddedApi,
    site: SimulatedSite,
    cluster: Cluster,
    operator: JoinHandle<Result<(), CommandError>>,
    shutdown: CancellationToken,
    time_scale: f64,
}

/// Starts, runs, shows, ends.
pub async fn execute(arguments: Arguments) -> Result<Exit, CommandError> {
    init(LogFormat::Text, "warn");
    let given = arguments.workdir.clone();
    let workdir = given.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("ibmi-clone-demo-{}", std::process::id()))
    });
    let exit = play(&arguments, &workdir).await;
    match (&exit, given) {
        // The error is that it is in use or gone already; it is a directory for temporary files.
        (Ok(Exit::Done), None) => drop(std::fs::remove_dir_all(&workdir)),
        (Ok(_), _) | (Err(_), _) => eprintln!("data: {}", workdir.display()),
    }
    exit
}

async fn play(arguments: &Arguments, workdir: &Path) -> Result<Exit, CommandError> {
    let stage = Stage::set(arguments, workdir).await?;
    // Whatever happened, the operator is asked to end and waited for: it may be in a freeze.
    match stage.perform(arguments.keep).await {
        Ok(outcome) => {
            let report = stage.close().await?;
            show_violations(&report);
            Ok(match report.violations.len() {
                0 => outcome,
                _ => Exit::Failed,
            })
        }
        Err(error) => {
            // When the operator ended by itself, its own words say more.
            stage.close().await?;
            Err(error)
        }
    }
}

impl Stage {
    /// API, devices, objects, operator.
    async fn set(arguments: &Arguments, workdir: &Path) -> Result<Self, CommandError> {
        println!("{}", on_the_terminal(&what_is_real(arguments.time_scale)));
        let api = EmbeddedApi::start(&Place {
            data: workdir.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            names: Vec::new(),
            namespace: NAMESPACE.to_owned(),
        })
        .await?;
        println!("Kubernetes API (a subset): {}", api.url());

        let world = parse_world(week::WORLD)
            .map_err(|why| CommandError::data(Path::new("examples/demo/week-world.yaml"), why))?;
        let site = SimulatedSite::start(&world, arguments.time_scale).await?;
        println!("simulated HMC: {}", site.endpoints.hmc.join(", "));
        println!("simulated array: {}", site.endpoints.array);
        for (address, socket) in &site.endpoints.ssh {
            println!("simulated IBM i address {address}: ssh {socket}");
        }

        let client = api.client(NAMESPACE);
        let objects = objects_of(&site)?;
        objects::apply(&client, NAMESPACE, &objects).await?;
        let applied = format!(
            "applied: {} objects in namespace {NAMESPACE}: examples/*.yaml on these devices, their \
             schedules suspended",
            objects.len()
        );
        println!("{}", on_the_terminal(&applied));

        let shutdown = CancellationToken::new();
        let operator = installation(&client, NAMESPACE).await?;
        let config = OperatorConfig {
            pace: arguments.time_scale,
            ..OperatorConfig::new(NAMESPACE, writer(), operator)
        };
        let operator = tokio::spawn(serve(client.clone(), config, shutdown.clone()));
        let cluster = Cluster {
            client,
            namespace: NAMESPACE.to_owned(),
        };
        Ok(Self {
            api,
            site,
            cluster,
            operator,
            shutdown,
            time_scale: arguments.time_scale,
        })
    }

    /// The runs, the history, and, when it is kept, the wait for Ctrl-C.
    async fn perform(&self, keep: bool) -> Result<Exit, CommandError> {
        let Some(runs) = self.runs().await? else {
            return Ok(Exit::Interrupted);
        };
        let all = self.cluster.runs().list(&Default::default()).await;
        let all = all.map_err(|e| CommandError::kube("list runs", &e))?;
        println!("\n{}", history::table_of_all(&all.items));
        println!("{}", on_the_terminal(&reading_of_times(self.time_scale)));
        let kubeconfig = self.api.kubeconfig().display();
        if keep {
            show_violations(&self.site.report());
            self.invite();
            cancel_on_signal(CancellationToken::new()).await;
        } else {
            println!("kubeconfig: {kubeconfig} (ends with the demo; `make demo KEEP=1` stays up)");
        }
        Ok(worst(&runs))
    }

    /// Act after act. `None` = Ctrl-C.
    async fn runs(&self) -> Result<Option<Vec<CloneRun>>, CommandError> {
        let mut runs = Vec::new();
        for act in &ACTS {
            println!("\n{}", act.says);
            match self.act(act.environments).await? {
                Some(ended) => runs.extend(ended),
                None => return Ok(None),
            }
        }
        Ok(Some(runs))
    }

    /// Runs that begin at once: where two need the same device, one waits in its queue, as it would on a site.
    async fn act(&self, environments: &[&str]) -> Result<Option<Vec<CloneRun>>, CommandError> {
        let progress = Progress::default();
        let mut names = Vec::new();
        for environment in environments {
            let spec = CloneRunSpec {
                environment: (*environment).to_owned(),
                mode: RunMode::Clone,
                trigger: Trigger::Manual,
                requested_by: "demo".to_owned(),
                ..CloneRunSpec::default()
            };
            names.push(create(&self.cluster, spec).await?);
        }
        let followed = names
            .iter()
            .map(|name| follow(&self.cluster, name, Some(LIMIT), &progress));
        let ends = futures::future::try_join_all(followed);
        let ends = tokio::select! {
            ends = ends => ends?,
            why = self.operator_ended() => return Err(why),
        };
        let mut runs = Vec::new();
        for (name, end) in names.iter().zip(ends) {
            match end {
                Followed::Final(run) => {
                    println!("{}", result(&run));
                    runs.push(*run);
                }
                Followed::TimedOut => {
                    return Err(CommandError::Other(format!(
                        "run {name} has not ended after {} minutes",
                        LIMIT.as_secs() / 60
                    )));
                }
                Followed::Interrupted => return Ok(None),
            }
        }
        Ok(Some(runs))
    }

    /// Ends only when the operator has ended by itself, which it never should.
    async fn operator_ended(&self) -> CommandError {
        while !self.operator.is_finished() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        CommandError::Other("the operator ended while runs were open".to_owned())
    }

    /// What to type now.
    fn invite(&self) {
        let kubeconfig = self.api.kubeconfig().display();
        // Nobody who typed `make demo` has the program in the PATH.
        let program = std::env::current_exe()
            .map_or_else(|_| "ibmi-clone".to_owned(), |exe| exe.display().to_string());
        println!(
            "\nAPI, simulated devices and operator stay up until Ctrl-C. Try in another\nterminal:"
        );
        println!("  export KUBECONFIG={kubeconfig}");
        println!("  kubectl get cenv,history");
        println!("  {program} -n {NAMESPACE} watch");
        println!("  {program} -n {NAMESPACE} run nightly-user --wait");
    }

    /// Operator first, so that it logs off everywhere; then the last look at the world.
    async fn close(self) -> Result<Report, CommandError> {
        self.shutdown.cancel();
        let ended = self.operator.await;
        let report = self.site.last_report().await;
        self.api.stop().await?;
        match ended {
            Ok(Ok(())) => Ok(report),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(CommandError::Other(format!("the operator broke: {panic}"))),
        }
    }
}

/// Secrets, authority and the environments of the examples. Nothing may start by itself beside the acts.
fn objects_of(site: &SimulatedSite) -> Result<Vec<DynamicObject>, CommandError> {
    let mut objects = week::secrets(site)?;
    for mut environment in week::environments(&site.into())? {
        environment.spec.suspend = environment.spec.schedule.is_some();
        objects.push(week::dynamic(&environment)?);
    }
    Ok(objects)
}

/// Nobody may take the demo for a test of devices.
fn what_is_real(scale: f64) -> String {
    format!(
        "SIMULATED: HMC, VIOS, array and IBM i of this demo are simulated; none of this has run on real devices. The \
         Kubernetes API is the embedded one. Devices run {scale} times as fast as real ones."
    )
}

/// Nor its times for those of a real site.
fn reading_of_times(scale: f64) -> String {
    format!(
        "These times say nothing about a real site: SAVE is by the simulated clone's clock, all others, and how long users \
         were held, by this machine's, on which the simulated devices run {scale} times as fast."
    )
}

fn on_the_terminal(text: &str) -> String {
    wrapped(text, TERMINAL).join("\n")
}

/// The worse of the outcomes: a demo that ends with a Warning is no success.
fn worst(runs: &[CloneRun]) -> Exit {
    let codes = runs.iter().filter_map(|run| {
        let phase = run.status.as_ref()?.phase;
        exit_of(phase)
    });
    let rank = |exit: &Exit| match exit {
        Exit::Done => 0,
        Exit::Warning => 1,
        _ => 2,
    };
    codes.max_by_key(rank).unwrap_or(Exit::Internal)
}

fn show_violations(report: &Report) {
    println!(
        "violations noticed by the simulated world: {}",
        report.violations.len()
    );
    for violation in &report.violations {
        let text = format!("- {:?}: {}", violation.kind, violation.text);
        println!("{}", hanging(&text, TERMINAL).join("\n"));
    }
}

#[cfg(test)]
mod rehearsal;
#[cfg(test)]
mod tests;
