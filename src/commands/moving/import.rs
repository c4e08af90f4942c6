//! `import`: reads and checks everything, then writes.

use super::file::Text;
use super::{check, target, write};
use crate::commands::{CommandError, Exit, KubeFlags};
use std::path::PathBuf;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything is checked first, here and as a trial by the API server; what is there already is refused by name. Then \
archives, environments, runs and logs are written. An import that was interrupted goes on when it is given the same \
file again.\n\n\
No imported run is ever executed. Environments are paused, unless they were exported with --keep-schedules. The new \
operator has to take production over from the old one: `ibmi-clone guest install ENV --take-over`.")]
pub struct Arguments {
    /// What `export` wrote; - is the standard input. With -n it all goes into that
    /// namespace instead of the one it was in.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check everything, write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Checks, writes, and says what a person has to do.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let text = Text::read(&arguments.file)?;
    let plan = check::plan(&text, kube.namespace.as_deref())?;
    let cluster = kube.connect().await?;
    target::check(&cluster.client, &plan).await?;
    let counts = plan.header.counts.said();
    if arguments.dry_run {
        println!("{counts}: nothing is in the way, nothing was written");
        return Ok(Exit::Done);
    }
    if let Err(error) = write::all(&cluster.client, &plan).await {
        eprintln!(
            "the import was interrupted; what is there is not executed. Give the same file again to go on with it"
        );
        return Err(error);
    }
    println!("imported {counts}");
    for line in plan.header.to_be_made.said(kube.namespace.as_deref()) {
        println!("{line}");
    }
    println!(
        "then, of each environment: `ibmi-clone verify ENV`, `ibmi-clone guest install ENV --take-over`,"
    );
    println!(
        "and, when the operator of the other side is stopped for good, `ibmi-clone schedule continue ENV`"
    );
    Ok(Exit::Done)
}
