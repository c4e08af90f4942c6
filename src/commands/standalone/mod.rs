//! `standalone`: the operator with the embedded API, for sites without a cluster.

mod manifests;
mod restored;

use super::embedded_api::{EmbeddedApi, Place};
use super::operator::{Common, cancel_on_signal, installation, serve, writer};
use super::{CommandError, Exit};
use crate::observability::health;
use crate::observability::metrics::Metrics;
use chrono::SecondsFormat;
use kube::Client;
use manifests::Manifests;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Port of the API: none that a Kubernetes distribution takes, so that both fit on one machine.
const PORT: u16 = 6445;

/// Arguments of `standalone`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the data: one SQLite file, its key, certificate and kubeconfig. Made when it is not there; one process at a
    /// time.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address of the API, always with TLS. One that other machines reach needs --tls-name.
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))]
    listen: SocketAddr,
    /// Name or address by which clients reach it, in the certificate and the kubeconfig; may be given several times.
    #[arg(long, value_name = "NAME")]
    tls_name: Vec<String>,
    /// Apply every YAML file of this directory, follow its changes, and delete what a file has no more.
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// Seconds between two looks at the manifests.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..), requires = "manifests")]
    manifests_every: u16,
    /// Serves /healthz, /readyz and /metrics there over plain HTTP: 127.0.0.1:8080. Default: not served.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    common: Common,
}

/// Runs until told to stop: the operator ends first, so that a freeze window is finished, then the API, then the file.
pub async fn execute(namespace: Option<&str>, arguments: Arguments) -> Result<Exit, CommandError> {
    reachable(arguments.listen, &arguments.tls_name)?;
    arguments.common.log();
    let namespace = namespace.unwrap_or("default").to_owned();
    // From the first moment: a store that is just being opened is closed too.
    let shutdown = CancellationToken::new();
    let stopping = tokio::spawn(cancel_on_signal(shutdown.clone()));
    let api = EmbeddedApi::start(&Place {
        data: arguments.data.clone(),
        listen: arguments.listen,
        names: arguments.tls_name.clone(),
        namespace: namespace.clone(),
    })
    .await?;
    eprintln!("Kubernetes API (a subset) on {}", api.url());
    eprintln!("  export KUBECONFIG={}", shown(api.kubeconfig()));
    let outcome = operate(&api, &namespace, arguments, shutdown).await;
    stopping.abort();
    // Whatever happened, what was acknowledged is on the disk and the file is closed.
    let stopped = api.stop().await;
    outcome.and(stopped).map(|()| Exit::Done)
}

async fn operate(
    api: &EmbeddedApi,
    namespace: &str,
    arguments: Arguments,
    shutdown: CancellationToken,
) -> Result<(), CommandError> {
    let metrics = Arc::new(Metrics::default());
    let client = api.client(namespace);
    settle(api, &client, arguments.manifests.is_some()).await?;
    let operator = installation(&client, namespace).await?;
    let config = arguments
        .common
        .config(namespace, writer(), operator, metrics);
    let health = match arguments.metrics {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|e| CommandError::io(format!("listen on {address} (--metrics)"), e))?;
            let answering = health::serve(listener, config.ready.clone(), config.metrics.clone());
            Some(tokio::spawn(answering))
        }
        None => None,
    };
    let following = arguments.manifests.map(|directory| {
        let manifests = Manifests::new(client.clone(), directory, namespace.to_owned());
        let every = Duration::from_secs(arguments.manifests_every.into());
        tokio::spawn(manifests.follow(every, shutdown.clone()))
    });
    let result = serve(client, config, shutdown.clone()).await;
    shutdown.cancel();
    if let Some(health) = health {
        health.abort();
    }
    if let Some(following) = following {
        let _ = following.await;
    }
    result
}

/// Data that was restored from a backup: nothing in it executes before a person has looked.
async fn settle(api: &EmbeddedApi, client: &Client, follows: bool) -> Result<(), CommandError> {
    let Some(at) = api.restored() else {
        return Ok(());
    };
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    if follows {
        // They could start schedules in the same moment.
        return Err(CommandError::Usage(format!(
            "this data was restored from a backup of {at}: start it once without --manifests, look at it, then with"
        )));
    }
    let settled = restored::settle(client).await?;
    api.settle_restored().await?;
    tracing::warn!(
        backup = at,
        runs = settled.runs,
        "restored from a backup: open runs are not executed, environments are paused"
    );
    eprintln!(
        "restored from a backup of {at}: {} open runs are not executed again, {} environments are paused;",
        settled.runs, settled.environments
    );
    eprintln!(
        "look whether production runs and whether a clone stands in for it, then `ibmi-clone schedule continue ENV`"
    );
    Ok(())
}

/// A certificate without the name that clients use helps nobody, and who opens the API to a network should know it.
fn reachable(listen: SocketAddr, names: &[String]) -> Result<(), CommandError> {
    if listen.ip().is_loopback() || !names.is_empty() {
        return Ok(());
    }
    Err(CommandError::Usage(format!(
        "--listen {listen} can be reached from other machines: give --tls-name too, the name they use, or listen on 127.0.0.1"
    )))
}

/// As a shell takes it.
fn shown(path: &std::path::Path) -> String {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_network_needs_a_name_for_the_certificate() {
        let address = |text: &str| text.parse().unwrap();
        assert!(reachable(address("127.0.0.1:1"), &[]).is_ok());
        assert!(reachable(address("[::1]:1"), &[]).is_ok());
        assert!(reachable(address("0.0.0.0:1"), &[]).is_err());
        assert!(reachable(address("0.0.0.0:1"), &["clone.example".to_owned()]).is_ok());
    }
}
