//! `simulate`: only the devices, for vendors' own clients and for trying an operator against them.

use super::operator::{cancel_on_signal, positive};
use super::simulated_site::{Endpoints, Login, SimulatedSite, read_world};
use super::{CommandError, Exit};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The world to serve; examples/demo/world.yaml is one.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// World seconds per second.
    #[arg(long, value_name = "FACTOR", default_value_t = 60.0, value_parser = positive)]
    time_scale: f64,
    /// Where the report goes at the end: violations, effects, requests.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where the certificate of the site's own authority goes; default a file in the directory for temporary files.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// The line that says that everything listens.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready<'a> {
    ready: bool,
    simulated: bool,
    time_scale: f64,
    endpoints: &'a Endpoints,
    ca_certificate: &'a Path,
    logins: &'a [Login],
    host_keys: &'a BTreeMap<String, String>,
}

/// Serves until SIGTERM or Ctrl-C.
pub async fn execute(arguments: Arguments) -> Result<Exit, CommandError> {
    let file = read_world(&arguments.file)?;
    // Before anything listens: a report that cannot be written must not be found out at the end.
    if let Some(path) = &arguments.report {
        write(path, "")?;
    }
    let site = SimulatedSite::start(&file, arguments.time_scale).await?;
    let ca_file = arguments.ca_file.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("ibmi-clone-simulate-{}.pem", std::process::id()))
    });
    write(&ca_file, &site.authority)?;
    let ready = Ready {
        ready: true,
        simulated: true,
        time_scale: arguments.time_scale,
        endpoints: &site.endpoints,
        ca_certificate: &ca_file,
        logins: &site.logins,
        host_keys: &site.host_keys,
    };
    println!("{}", json(&ready)?);
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(cancel_on_signal(shutdown.clone()));
    shutdown.cancelled().await;
    signals.abort();
    let report = site.last_report().await;
    match &arguments.report {
        Some(path) => write(path, &json(&report)?)?,
        None => {
            for violation in &report.violations {
                eprintln!("violation: {:?}: {}", violation.kind, violation.text);
            }
        }
    }
    eprintln!("{} violations", report.violations.len());
    Ok(Exit::Done)
}

fn json(value: &impl Serialize) -> Result<String, CommandError> {
    serde_json::to_string(value).map_err(|e| CommandError::other(&e))
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    std::fs::write(path, text).map_err(|e| CommandError::io(format!("write {}", path.display()), e))
}
