//! `run`: starts a run by creating a CloneRun, and waits for its end when asked.

use super::cluster::Cluster;
use super::follow::{Followed, follow};
use super::outcome::{exit_of, result};
use super::progress::Progress;
use super::text::{TERMINAL, hanging, parse_span};
use super::{CommandError, Exit, KubeFlags, MANAGER};
use crate::api::run::{RunMode, Trigger};
use crate::api::{CloneRun, CloneRunSpec, ENVIRONMENT_LABEL};
use kube::ResourceExt;
use kube::api::{ObjectMeta, PostParams};
use std::time::Duration;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the environment.
    #[arg(value_name = "ENV")]
    environment: String,
    #[command(flatten)]
    asked: Asked,
    /// Say that another scheduler asked for it.
    #[arg(long)]
    external: bool,
}

/// How a run is asked for and waited for, by every command that creates one.
#[derive(Debug, clap::Args)]
pub struct Asked {
    /// Wait for the end; the exit code tells the outcome.
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time (90s, 30m, 1h30m) with exit code 6; the run goes on.
    #[arg(long, requires = "wait", value_parser = parse_span)]
    timeout: Option<Duration>,
    /// Who asked for it: free text, shown as unverified.
    #[arg(long, value_name = "TEXT", default_value = "")]
    requested_by: String,
}

impl Asked {
    /// Creates the run, prints its name, waits when asked to.
    pub async fn carry_out(
        &self,
        cluster: &Cluster,
        spec: CloneRunSpec,
    ) -> Result<Exit, CommandError> {
        let spec = CloneRunSpec {
            requested_by: self.requested_by.clone(),
            ..spec
        };
        let name = create(cluster, spec).await?;
        println!("{name}");
        if !self.wait {
            return Ok(Exit::Done);
        }
        let ended = follow(cluster, &name, self.timeout, &Progress::default()).await?;
        Ok(report(&name, &ended))
    }
}

/// Creates, prints the name, waits.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let spec = CloneRunSpec {
        environment: arguments.environment.clone(),
        mode: RunMode::Clone,
        trigger: if arguments.external {
            Trigger::External
        } else {
            Trigger::Manual
        },
        ..CloneRunSpec::default()
    };
    arguments.asked.carry_out(&cluster, spec).await
}

/// Creates a run with a generated name.
pub async fn create(cluster: &Cluster, spec: CloneRunSpec) -> Result<String, CommandError> {
    // Asked first: a run of an environment that does not exist would only be Failed later.
    let environment = cluster.environment(&spec.environment).await?;
    let prefix = match spec.mode {
        RunMode::Clone => format!("{}-", spec.environment),
        RunMode::Preflight => format!("{}-preflight-", spec.environment),
        RunMode::StartHeld => format!("{}-start-held-", spec.environment),
        RunMode::ReleaseHeld => format!("{}-release-held-", spec.environment),
        RunMode::End => format!("{}-end-", spec.environment),
    };
    let mut run = CloneRun::new("", spec);
    run.metadata = ObjectMeta {
        generate_name: Some(prefix),
        labels: Some([(ENVIRONMENT_LABEL.to_owned(), environment.name_any())].into()),
        ..ObjectMeta::default()
    };
    let parameters = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let what = format!(
        "create a run of {} in namespace {}",
        environment.name_any(),
        cluster.namespace
    );
    let created = cluster.runs().create(&parameters, &run).await;
    Ok(created
        .map_err(|e| CommandError::kube(what, &e))?
        .name_any())
}

/// Prints how the wait ended, in a line that begins with the run's name and those it needs besides, and gives the exit code.
pub fn report(name: &str, ended: &Followed) -> Exit {
    let says = |text: &str| {
        let lines = hanging(&format!("{name}: {text}"), TERMINAL);
        println!("{}", lines.join("\n"));
    };
    match ended {
        Followed::Final(run) => {
            println!("{}", result(run));
            let phase = run.status.as_ref().map(|s| s.phase).unwrap_or_default();
            exit_of(phase).unwrap_or(Exit::Internal)
        }
        Followed::TimedOut => {
            says("the wait timed out, the run goes on; `ibmi-clone history` shows it");
            Exit::TimedOut
        }
        Followed::Interrupted => {
            says(&format!(
                "not waited for any longer, the run goes on; `ibmi-clone cancel {name}` ends it"
            ));
            Exit::Interrupted
        }
    }
}
