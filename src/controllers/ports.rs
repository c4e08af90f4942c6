//! What the controllers need from outside: opened devices and a few settings.

use super::leader::{Election, ElectionError};
use super::schedule::ScheduleClock;
use super::secrets::{SecretError, SiteSecrets};
use crate::api::CloneEnvironmentSpec;
use crate::engine::ports::Recipe;
use crate::observability::metrics::Metrics;
use crate::recipe::checks::{Depth, SiteReport};
use crate::recipe::{LogSink, Pins, Plan};
use crate::site::{DeviceError, Site};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Lines of steps and checks of a site. The binary uses [`BuiltinRecipes`]; tests of the controllers use short ones.
#[async_trait]
pub trait Recipes: Send + Sync {
    /// The recipe of a run, built anew for every pass.
    fn build(&self, plan: &Plan, logs: Arc<dyn LogSink>) -> Recipe;
    /// One look at the whole site that changes nothing.
    async fn inspect(&self, site: &Site, plan: &Plan) -> SiteReport;
    /// The part of it that differs between the target sets of one environment.
    async fn inspect_set(&self, site: &Site, plan: &Plan) -> SiteReport;
}

/// The recipes of this version.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltinRecipes;

#[async_trait]
impl Recipes for BuiltinRecipes {
    fn build(&self, plan: &Plan, logs: Arc<dyn LogSink>) -> Recipe {
        crate::recipe::build(plan, logs)
    }
    async fn inspect(&self, site: &Site, plan: &Plan) -> SiteReport {
        crate::recipe::checks::inspect(site, plan, Depth::Look).await
    }
    async fn inspect_set(&self, site: &Site, plan: &Plan) -> SiteReport {
        crate::recipe::checks::inspect_set(site, plan).await
    }
}

/// Opens the devices of one environment. The binary gives the drivers, tests give fakes.
#[async_trait]
pub trait SiteFactory: Send + Sync {
    /// Opens every role that the environment names. Called once per (environment spec, pins, credentials) and cached; a
    /// changed Secret opens a new site. May be slow, must not change anything on a device. The clone's partition must
    /// refuse effects on another UUID than the pinned one.
    async fn open(
        &self,
        namespace: &str,
        spec: &CloneEnvironmentSpec,
        pins: &Pins,
        secrets: &SiteSecrets,
    ) -> Result<Site, OpenError>;
}

/// Why the devices of an environment could not be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpenError {
    /// Something a person must change: a wrong name, a certificate that cannot be read. Tried again when it changes.
    #[error("{message}")]
    Settings {
        /// One word of a fixed list, CamelCase.
        reason: &'static str,
        /// What is wrong, where, and what to do.
        message: String,
    },
    /// A Secret or ConfigMap is missing or not usable.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A device that has to be asked while opening did not answer as hoped.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl OpenError {
    /// One word of a fixed list, for conditions and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Settings { reason, .. } => reason,
            Self::Secret(error) => error.reason(),
            Self::Device(error) => match error.code() {
                Some("LoginFailed") => "LoginFailed",
                Some("CertificateNotTrusted") => "CertificateNotTrusted",
                Some(_) | None => error.reason(),
            },
        }
    }
    /// Whether waiting alone may cure it (a device that is down), as opposed to something a person must change.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Settings { .. } | Self::Secret(_) => false,
            Self::Device(error) => match error {
                DeviceError::Unreachable { .. }
                | DeviceError::Busy { .. }
                | DeviceError::Indeterminate { .. } => true,
                DeviceError::Refused { .. } => false,
            },
        }
    }
}

/// Settings of the operator.
#[derive(Debug, Clone)]
pub struct OperatorConfig {
    /// Namespace of lock and number Leases.
    pub lease_namespace: String,
    /// Namespaces whose environments and runs are served; empty = all.
    pub namespaces: Vec<String>,
    /// Divides every wait of the operator (polls, back-offs); 1 in production, larger in tests and demo, where the
    /// devices' clocks run faster by the same factor.
    pub pace: f64,
    /// Unique per process; written into journals and Leases.
    pub writer: String,
    /// Id of this installation, the same for all its processes, `[A-Za-z0-9.-]`: written into the guest kit's lock on the
    /// source. The command fills it with the UID of namespace `kube-system`.
    pub operator: String,
    /// The clock the schedule follows: the machine's, except with simulated devices.
    pub schedule_clock: ScheduleClock,
    /// Becomes true once the environments of every served namespace are known: `/readyz`.
    pub ready: Arc<AtomicBool>,
    /// How a leader is elected among several; `None` = this is the only one.
    pub election: Option<Election>,
    /// What the process counts.
    pub metrics: Arc<Metrics>,
    /// Compressed bytes that the logs of all runs may take together; beyond it those of the oldest runs are removed.
    pub log_budget: u64,
}

/// Default of [`OperatorConfig::log_budget`], MiB.
pub const LOG_BUDGET_MIB: u32 = 256;

impl OperatorConfig {
    /// Production settings for a process that keeps its Leases in `lease_namespace` and serves all namespaces.
    pub fn new(
        lease_namespace: impl Into<String>,
        writer: impl Into<String>,
        operator: impl Into<String>,
    ) -> Self {
        Self {
            lease_namespace: lease_namespace.into(),
            namespaces: Vec::new(),
            pace: 1.0,
            writer: writer.into(),
            operator: operator.into(),
            schedule_clock: ScheduleClock::system(),
            ready: Arc::default(),
            election: None,
            metrics: Arc::default(),
            log_budget: u64::from(LOG_BUDGET_MIB) << 20,
        }
    }
    /// Id of this operator in the guest kit's files on the source: a second operator, of another cluster, is refused
    /// there. Stable over restarts and replicas, unlike `writer`.
    pub fn operator_id(&self) -> &str {
        &self.operator
    }
}

/// Why the operator could not run.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A kind is not installed or may not be read.
    #[error(
        "{kind} cannot be listed: {source}; install the definitions with `ibmi-clone crd | kubectl apply -f -` and check the operator's role"
    )]
    Kind {
        /// Plural name of the kind.
        kind: &'static str,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The leader's Lease may not be read.
    #[error(
        "the leader's Lease {namespace}/{lease} cannot be read: {source}; allow get, create and update of leases in this namespace, or run one replica without --leader-elect"
    )]
    Lease {
        /// Namespace.
        namespace: String,
        /// Name.
        lease: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The times of the election.
    #[error(transparent)]
    Election(#[from] ElectionError),
}
