//! What every reconcile works with.

use super::endings::Endings;
use super::environment::known::Known;
use super::environment::partitions::PartitionIndex;
use super::history::Histories;
use super::leader::Term;
use super::ports::{OpenError, OperatorConfig, Recipes, SiteFactory};
use super::run::logs::budget::LogBudget;
use super::run::logs::live::LiveTails;
use super::run::numbers::DeviceNumbers;
use super::schedule::{Gate, ScheduleClock, Schedules};
use super::secrets;
use crate::api::options::History;
use crate::api::{CloneEnvironment, CloneEnvironmentSpec, CloneRun, FIELD_MANAGER};
use crate::engine::clock::SystemClock;
use crate::engine::time::Timestamp;
use crate::observability::metrics::{Caches, Objects};
use crate::recipe::{Pace, Pins};
use crate::site::Site;
use chrono::Utc;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shared by all reconciles of a term: a single replica has one, with an elected leader each standing by begins another.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Settings.
    pub config: OperatorConfig,
    /// Opened devices.
    pub sites: SitePool,
    /// Lines of steps and checks.
    pub recipes: Arc<dyn Recipes>,
    /// One for the whole process: it folds repeated events.
    pub recorder: Recorder,
    /// Clocks.
    pub clock: SystemClock,
    /// Whether this process may act: the engine's fence.
    pub term: Term,
    /// Environments whose highest run number was compared with the labels since the start of this term.
    pub numbered: Mutex<HashSet<String>>,
    /// Numbers behind names on devices.
    pub device_numbers: DeviceNumbers,
    /// Environments as the watches know them.
    pub known: Known<CloneEnvironment>,
    /// Which partitions they clone.
    pub partitions: PartitionIndex,
    /// Runs that are not final, as the watches know them.
    pub open_runs: Known<CloneRun>,
    /// When each environment is looked at next.
    pub due: Mutex<HashMap<String, Due>>,
    /// The schedule of all environments.
    pub schedules: Schedules,
    /// A small row of every finished run.
    pub histories: Histories,
    /// Runs whose images the operator ends by itself.
    pub endings: Endings,
    /// Held while slots are due: what can wait asks it first.
    pub gate: Gate,
    /// What open runs are doing, for `logs -f`.
    pub live: LiveTails,
    /// What the logs of all runs take.
    pub log_budget: LogBudget,
}

/// When an environment is verified next.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// Generation that was verified.
    pub generation: Option<i64>,
    /// Time of the next look.
    pub at: Instant,
}

impl Context {
    /// A context for one term of a process.
    pub fn new(
        client: Client,
        config: OperatorConfig,
        factory: Arc<dyn SiteFactory>,
        recipes: Arc<dyn Recipes>,
        term: Term,
    ) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(config.writer.clone()),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            sites: SitePool::new(factory, Pace::new(config.pace)),
            client,
            config,
            recipes,
            clock: SystemClock,
            term,
            numbered: Mutex::default(),
            device_numbers: DeviceNumbers::default(),
            known: Known::default(),
            partitions: PartitionIndex::default(),
            open_runs: Known::default(),
            due: Mutex::default(),
            schedules: Schedules::default(),
            histories: Histories::default(),
            endings: Endings::default(),
            gate: Gate::default(),
            live: LiveTails::default(),
            log_budget: LogBudget::default(),
        }
    }
    /// Waits and limits on our clock.
    pub fn pace(&self) -> Pace {
        Pace::new(self.config.pace)
    }
    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp::new(Utc::now())
    }
    /// The clock the schedule follows.
    pub fn schedule_clock(&self) -> &ScheduleClock {
        &self.config.schedule_clock
    }
    /// What devices note in their audit logs: this operator, and what it does for which object.
    pub fn errand(&self, what: &str, namespace: &str, name: &str) -> String {
        let operator = self.config.operator_id();
        format!("{FIELD_MANAGER} {operator} {what} {namespace}/{name}")
    }
    /// Runs of a namespace.
    pub fn runs(&self, namespace: &str) -> Api<CloneRun> {
        Api::namespaced(self.client.clone(), namespace)
    }
    /// Environments of a namespace.
    pub fn environments(&self, namespace: &str) -> Api<CloneEnvironment> {
        Api::namespaced(self.client.clone(), namespace)
    }
    /// Lock and number Leases.
    pub fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.config.lease_namespace)
    }
    /// Whether a namespace is served.
    pub fn serves(&self, namespace: &str) -> bool {
        self.config.namespaces.is_empty() || self.config.namespaces.iter().any(|n| n == namespace)
    }
    /// How long the lock of a vanished run is respected: longest window (600 s) and its watchdog.
    pub fn lock_grace(&self) -> Duration {
        self.pace().seconds(720)
    }
}

impl Caches for Context {
    fn leads(&self) -> bool {
        self.term.leads()
    }
    fn objects(&self) -> Option<Objects> {
        Some(Objects {
            environments: self.known.all()?,
            runs: self.open_runs.all()?,
            ..Objects::default()
        })
    }
}

/// Credentials are read again after this long: a changed Secret opens a new site.
const REREAD: u64 = 30;

/// Opened devices, one set per environment spec and credentials: a driver that was refused a login stays latched until
/// the Secret or the environment changes, so that no account is locked by trying.
pub struct SitePool {
    factory: Arc<dyn SiteFactory>,
    reread: Duration,
    open: Mutex<HashMap<String, Slot>>,
}

/// The devices of one key. Held while they are opened: a look and a run that come together open one set, and a device that
/// is slow to open keeps nobody but its own environment.
type Slot = Arc<tokio::sync::Mutex<Option<Opened>>>;

/// What nobody asked for in this time belongs to an environment that was changed or deleted.
const FORGOTTEN: Duration = Duration::from_secs(3600);

struct Opened {
    fingerprint: String,
    /// Generation of the last look.
    looked: Option<i64>,
    read: Instant,
    site: Site,
}

impl Opened {
    fn serves(&self, caller: Caller<'_>) -> bool {
        match caller {
            Caller::Verify { generation, .. } => self.looked == Some(generation),
            Caller::Run => true,
        }
    }
}

impl SitePool {
    fn new(factory: Arc<dyn SiteFactory>, pace: Pace) -> Self {
        Self {
            factory,
            reread: pace.seconds(REREAD),
            open: Mutex::default(),
        }
    }

    fn slot(&self, key: &str) -> Slot {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, slot| match slot.try_lock() {
            Ok(opened) => match opened.as_ref() {
                Some(opened) => opened.read.elapsed() < FORGOTTEN,
                // Somebody is about to open it, or nobody could.
                None => Arc::strong_count(slot) > 1,
            },
            Err(_) => true,
        });
        open.entry(key.to_owned()).or_default().clone()
    }

    /// The devices of an environment, opened or from the pool. What the pins tell of production and clone is given to them.
    ///
    /// # Errors
    /// Missing or unusable credentials, wrong settings, or a device that must be asked while opening.
    pub async fn open(
        &self,
        client: &Client,
        namespace: &str,
        spec: &CloneEnvironmentSpec,
        pins: &Pins,
        caller: Caller<'_>,
    ) -> Result<Site, OpenError> {
        let spec = &for_devices(spec, pins);
        let pinned = pins.clone_partition.as_ref();
        let pinned = pinned.map(ToString::to_string).unwrap_or_default();
        let slot = self.slot(&format!("{namespace}/{}/{pinned}", digest(spec)));
        let mut slot = slot.lock().await;
        if let Some(opened) = slot.as_ref()
            && opened.read.elapsed() < self.reread
            && opened.serves(caller)
        {
            return Ok(opened.site.clone());
        }
        let secrets = match secrets::read(client, namespace, spec).await {
            Ok(secrets) => secrets,
            Err(error) => return without_secrets(slot.as_mut(), caller, error),
        };
        if let Some(opened) = slot.as_mut()
            && opened.fingerprint == secrets.fingerprint()
            && opened.serves(caller)
        {
            opened.read = Instant::now();
            return Ok(opened.site.clone());
        }
        let (secrets, looked) = match caller {
            Caller::Verify {
                environment,
                generation,
            } => (
                secrets.for_environment(environment, generation),
                Some(generation),
            ),
            Caller::Run => (secrets, slot.as_ref().and_then(|o| o.looked)),
        };
        let site = self.factory.open(namespace, spec, pins, &secrets).await?;
        *slot = Some(Opened {
            fingerprint: secrets.fingerprint().to_owned(),
            looked,
            read: Instant::now(),
            site: site.clone(),
        });
        Ok(site)
    }
}

/// A run under way keeps the sessions it has: in a namespace that is being deleted the Secrets may go first, and what
/// production is owed must still be met.
fn without_secrets(
    opened: Option<&mut Opened>,
    caller: Caller<'_>,
    error: secrets::SecretError,
) -> Result<Site, OpenError> {
    match (caller, opened) {
        (Caller::Run, Some(opened)) => {
            tracing::warn!(%error, "the sessions that are open are used on");
            opened.read = Instant::now();
            Ok(opened.site.clone())
        }
        (Caller::Run, None) | (Caller::Verify { .. }, _) => Err(error.into()),
    }
}

/// Who needs the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller<'a> {
    /// A look: missing credentials are what it has to report. A new generation opens the devices anew, which makes a
    /// refused login worth another attempt; a run keeps the environment it was opened with, and is no such change.
    Verify {
        /// Name of the environment.
        environment: &'a str,
        /// Its generation.
        generation: i64,
    },
    /// A run that is under way.
    Run,
}

/// SHA-256 of a spec as canonical JSON (sorted keys), hex.
pub fn digest(spec: &CloneEnvironmentSpec) -> String {
    let value = serde_json::to_value(spec).unwrap_or_default();
    crate::controllers::run::logs::pack::hex(&Sha256::digest(value.to_string()))
}

/// The spec with production's identity filled in from what the first verify learned: the drivers must know who production
/// is before they suspend it or send the clone a command. When runs are created says nothing about the devices, so that is
/// left out, as is how long rows are kept: editing it opens no new sessions.
fn for_devices(spec: &CloneEnvironmentSpec, pins: &Pins) -> CloneEnvironmentSpec {
    let mut spec = spec.clone();
    (spec.schedule, spec.suspend) = (None, false);
    spec.history = History::default();
    if spec.source.identities.is_empty() {
        spec.source.identities.extend(pins.source_identity.clone());
    }
    spec
}
