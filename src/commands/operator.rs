//! `operator`: the controllers, until SIGTERM or Ctrl-C.

use super::factory::Drivers;
use super::{CommandError, Exit, KubeFlags};
use crate::controllers::leader::{Election, LEASE};
use crate::controllers::ports::LOG_BUDGET_MIB;
use crate::controllers::{OperatorConfig, ScheduleClock, run_operator};
use crate::observability::health;
use crate::observability::logging::{LogFormat, init};
use crate::observability::metrics::Metrics;
use chrono::{DateTime, Utc};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Arguments of `operator`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Namespace of the Leases that lock devices; default the operator's own namespace.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME")]
    lease_namespace: Option<String>,
    /// Id of this installation in the guest kit's lock on production, where a second operator is refused; the same for all
    /// its processes. Default UID of namespace kube-system and name of the Leases' namespace.
    #[arg(long, value_name = "ID", value_parser = operator_id)]
    operator_id: Option<String>,
    #[command(flatten)]
    leader: LeaderArguments,
    /// Serve only this namespace; may be given several times. Default all.
    #[arg(long, value_name = "NAME")]
    watch: Vec<String>,
    /// Serves /healthz, /readyz and /metrics there over plain HTTP: 0.0.0.0:8080. Default: not served.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    common: Common,
}

/// What `operator` and `standalone` have in common.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Divides every wait of the operator, for simulated devices whose clock runs faster by this factor. Never for real
    /// devices: it also shortens the freeze's cap on our clock.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = positive)]
    simulated_time_scale: f64,
    /// Time the schedule begins at, RFC 3339; with simulated devices only. Default now.
    #[arg(long, value_name = "TIME")]
    simulated_time_start: Option<DateTime<Utc>>,
    /// How much faster than real time the schedule's clock runs; with simulated devices only. Default as
    /// --simulated-time-scale.
    #[arg(long, value_name = "FACTOR", value_parser = positive)]
    simulated_schedule_scale: Option<f64>,
    /// Also tells how long each step of each environment took last: a series per step and environment.
    #[arg(long)]
    metrics_of_steps: bool,
    /// What the logs of all runs may take in ConfigMaps together, compressed, MiB; beyond it those of the oldest runs go.
    #[arg(long, value_name = "MIB", default_value_t = LOG_BUDGET_MIB, value_parser = clap::value_parser!(u32).range(1..))]
    log_budget_mib: u32,
    /// json: one object per line on standard output; text: for a terminal, on standard error.
    #[arg(long, value_enum, default_value = "json")]
    log_format: Format,
    /// What is logged, in the syntax of RUST_LOG, which wins.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

/// One leader among several operators.
#[derive(Debug, clap::Args)]
struct LeaderArguments {
    /// Of several operators only the one that holds the leader's Lease acts; the others stand by.
    #[arg(long)]
    leader_elect: bool,
    /// Name of the leader's Lease, in the namespace of --lease-namespace.
    #[arg(long, value_name = "NAME", default_value = LEASE, requires = "leader_elect")]
    lease_name: String,
    /// A stand-by takes over when it has seen the Lease unchanged for this long.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 15,
        requires = "leader_elect"
    )]
    lease_duration: u16,
    /// A leader whose last renewal is older starts nothing any more; shorter than --lease-duration.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        requires = "leader_elect"
    )]
    lease_renew_deadline: u16,
    /// Seconds between two renewals; at most half of --lease-renew-deadline.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 2,
        requires = "leader_elect"
    )]
    lease_renew_every: u16,
}

impl Common {
    /// Turns the log on.
    pub fn log(&self) {
        let format = match self.log_format {
            Format::Json => LogFormat::Json,
            Format::Text => LogFormat::Text,
        };
        init(format, &self.log);
    }

    /// The operator's configuration, with `writer` and `operator` as in [`OperatorConfig::new`].
    pub fn config(
        &self,
        lease_namespace: &str,
        writer: String,
        operator: String,
        metrics: Arc<Metrics>,
    ) -> OperatorConfig {
        if self.metrics_of_steps {
            metrics.tell_steps();
        }
        let scale = self.simulated_schedule_scale;
        let scale = scale.unwrap_or(self.simulated_time_scale);
        let schedule_clock = match self.simulated_time_start {
            None if scale == 1.0 => ScheduleClock::system(),
            start => ScheduleClock::scaled(start.unwrap_or_else(Utc::now), scale),
        };
        OperatorConfig {
            schedule_clock,
            pace: self.simulated_time_scale,
            metrics,
            log_budget: u64::from(self.log_budget_mib) << 20,
            ..OperatorConfig::new(lease_namespace, writer, operator)
        }
    }
}

impl LeaderArguments {
    fn election(&self) -> Option<Election> {
        let seconds = |s: u16| Duration::from_secs(s.into());
        self.leader_elect.then(|| Election {
            lease: self.lease_name.clone(),
            duration: seconds(self.lease_duration),
            renew_deadline: seconds(self.lease_renew_deadline),
            renew_every: seconds(self.lease_renew_every),
        })
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One object per line.
    Json,
    /// For people.
    Text,
}

/// A factor above zero.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        Ok(_) | Err(_) => Err("write a number above 0".to_owned()),
    }
}

/// Runs until told to stop; then waits for a pass that is in the freeze window.
pub async fn execute(kube: &KubeFlags, arguments: Arguments) -> Result<Exit, CommandError> {
    arguments.common.log();
    let metrics = Arc::new(Metrics::default());
    let cluster = kube.connect_counted(metrics.clone()).await?;
    let lease_namespace = arguments.lease_namespace.unwrap_or(cluster.namespace);
    let operator = match arguments.operator_id {
        Some(id) => id,
        None => installation(&cluster.client, &lease_namespace).await?,
    };
    let common = arguments.common;
    let config = OperatorConfig {
        namespaces: arguments.watch,
        election: arguments.leader.election(),
        ..common.config(&lease_namespace, writer(), operator, metrics)
    };
    let health = match arguments.listen {
        Some(address) => {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|e| CommandError::io(format!("listen on {address} (--listen)"), e))?;
            let at = listener
                .local_addr()
                .map_err(|e| CommandError::io(format!("listen on {address} (--listen)"), e))?;
            tracing::info!(address = %at, "health and metrics are served");
            let answering = health::serve(listener, config.ready.clone(), config.metrics.clone());
            Some(tokio::spawn(answering))
        }
        None => None,
    };
    let shutdown = CancellationToken::new();
    let stopping = tokio::spawn(cancel_on_signal(shutdown.clone()));
    let result = serve(cluster.client, config, shutdown).await;
    stopping.abort();
    if let Some(health) = health {
        health.abort();
    }
    result.map(|()| Exit::Done)
}

/// Id of the installation that keeps its Leases in this namespace of this cluster. Two that keep them in different
/// namespaces do not see each other's locks, so they must not pass for one on the source.
pub async fn installation(client: &Client, lease_namespace: &str) -> Result<String, CommandError> {
    let spaces: Api<Namespace> = Api::all(client.clone());
    let system = spaces
        .get("kube-system")
        .await
        .map_err(|e| CommandError::kube("get namespace kube-system (or give --operator-id)", &e))?;
    let uid = system.metadata.uid.unwrap_or_default();
    Ok(format!("{uid}.{lease_namespace}"))
}

/// Characters that the guest kit's files take.
fn operator_id(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if (1..=100).contains(&text.len()) && text.chars().all(good) {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 100 letters, digits, hyphens and dots".to_owned())
    }
}

/// The operator with the real drivers.
pub async fn serve(
    client: Client,
    config: OperatorConfig,
    shutdown: CancellationToken,
) -> Result<(), CommandError> {
    let drivers = Drivers::paced(config.pace).counted_by(config.metrics.clone());
    let drivers = Arc::new(drivers);
    let ended = run_operator(client, config, drivers.clone(), shutdown).await;
    drivers.close().await;
    ended.map_err(|e| CommandError::other(&e))
}

/// Unique per process: journals and Leases tell two operators apart by it, also two on one machine.
pub fn writer() -> String {
    let host = std::env::var("HOSTNAME")
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
        .unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "operator" } else { host };
    let chance: u32 = rand::random();
    format!("{host}-{}-{chance:08x}", std::process::id())
}

/// Cancels at the first SIGTERM or SIGINT. A second one changes nothing: a freeze window that is open is finished, and
/// who kills the process all the same leaves it to the watchdog on production.
pub async fn cancel_on_signal(shutdown: CancellationToken) {
    // Without a handler the signal ends the process, as if this task did not exist.
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
}
