//! `end`, `start-held` and `release-held`: runs about the image of another run.

use super::cluster::Cluster;
use super::follow::follow;
use super::progress::Progress;
use super::run::{create, report};
use super::{CommandError, Exit, KubeFlags, text};
use crate::api::CloneRunSpec;
use crate::api::run::RunMode;
use kube::ResourceExt;
use std::time::Duration;

/// Arguments of the three.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The run whose image it is: its name, or ENV/NUMBER as the history shows it.
    #[arg(value_name = "RUN")]
    run: String,
    /// Wait for the end; the exit code tells the outcome.
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time (90s, 30m, 1h30m) with exit code 6; the run goes on.
    #[arg(long, requires = "wait", value_parser = text::parse_span)]
    timeout: Option<Duration>,
    /// Who asked for it: free text, shown as unverified.
    #[arg(long, value_name = "TEXT", default_value = "")]
    requested_by: String,
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
    carry_out(&cluster, spec, arguments).await
}

/// `start-held`: the clone is started on the image, at the console only, and pinned.
pub async fn start(kube: &KubeFlags, start: &Start) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let spec = CloneRunSpec {
        source_is_down: start.source_is_down,
        ..spec(&cluster, RunMode::StartHeld, &start.arguments).await?
    };
    carry_out(&cluster, spec, &start.arguments).await
}

/// `release-held`: the pins go, image and clone stay.
pub async fn release(kube: &KubeFlags, release: &Release) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let arguments = &release.arguments;
    let spec = match &release.environment {
        Some(environment) => of(
            environment.clone(),
            RunMode::ReleaseHeld,
            arguments,
            &arguments.run,
        ),
        None => spec(&cluster, RunMode::ReleaseHeld, arguments).await?,
    };
    carry_out(&cluster, spec, arguments).await
}

async fn spec(
    cluster: &Cluster,
    mode: RunMode,
    arguments: &Arguments,
) -> Result<CloneRunSpec, CommandError> {
    let run = cluster.run(&arguments.run).await?;
    let name = run.name_any();
    Ok(of(run.spec.environment, mode, arguments, &name))
}

fn of(environment: String, mode: RunMode, arguments: &Arguments, run: &str) -> CloneRunSpec {
    CloneRunSpec {
        environment,
        mode,
        run: Some(run.to_owned()),
        requested_by: arguments.requested_by.clone(),
        ..CloneRunSpec::default()
    }
}

async fn carry_out(
    cluster: &Cluster,
    spec: CloneRunSpec,
    arguments: &Arguments,
) -> Result<Exit, CommandError> {
    let name = create(cluster, spec).await?;
    println!("{name}");
    if !arguments.wait {
        return Ok(Exit::Done);
    }
    let ended = follow(cluster, &name, arguments.timeout, &Progress::default()).await?;
    Ok(report(&name, &ended))
}
