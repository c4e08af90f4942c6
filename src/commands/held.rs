//! `end`, `start-held` and `release-held`: runs about the image of another run.

use super::cluster::Cluster;
use super::run::Asked;
use super::{CommandError, Exit, KubeFlags};
use crate::api::CloneRunSpec;
use crate::api::run::RunMode;
use kube::ResourceExt;

/// Arguments of the three.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run whose image it is: its name, or ENV/NUMBER as the history shows it.
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    asked: Asked,
}

/// Arguments of `start-held`.
#[derive(Debug, clap::Args)]
pub struct Start {
    #[command(flatten)]
    arguments: Arguments,
    /// Production is down, whatever the console shows or cannot show of it.
    #[arg(long)]
    source_is_down: bool,
}

/// Arguments of `release-held`.
#[derive(Debug, clap::Args)]
pub struct Release {
    #[command(flatten)]
    arguments: Arguments,
    /// Environment of the run, when the run itself was deleted.
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
}

/// `end`: the clone is switched off, its volumes unmapped, the copy stopped.
pub async fn end(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let spec = spec(&cluster, RunMode::End, arguments).await?;
    arguments.asked.carry_out(&cluster, spec).await
}

/// `start-held`: the clone is started on the image, at the console only, and pinned.
pub async fn start(kube: &KubeFlags, start: &Start) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let spec = CloneRunSpec {
        source_is_down: start.source_is_down,
        ..spec(&cluster, RunMode::StartHeld, &start.arguments).await?
    };
    start.arguments.asked.carry_out(&cluster, spec).await
}

/// `release-held`: the pins go, image and clone stay.
pub async fn release(kube: &KubeFlags, release: &Release) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let arguments = &release.arguments;
    let spec = match &release.environment {
        Some(environment) => of(environment.clone(), RunMode::ReleaseHeld, &arguments.run),
        None => spec(&cluster, RunMode::ReleaseHeld, arguments).await?,
    };
    arguments.asked.carry_out(&cluster, spec).await
}

async fn spec(
    cluster: &Cluster,
    mode: RunMode,
    arguments: &Arguments,
) -> Result<CloneRunSpec, CommandError> {
    let run = cluster.run(&arguments.run).await?;
    let name = run.name_any();
    Ok(of(run.spec.environment, mode, &name))
}

fn of(environment: String, mode: RunMode, run: &str) -> CloneRunSpec {
    CloneRunSpec {
        environment,
        mode,
        run: Some(run.to_owned()),
        ..CloneRunSpec::default()
    }
}
