//! A site whose devices never answer, and a line of steps a test can hold and let go: the controllers are tested, not the
//! devices.

use async_trait::async_trait;
use ibmi_clone_operator::api::CloneEnvironmentSpec;
use ibmi_clone_operator::controllers::secrets::SiteSecrets;
use ibmi_clone_operator::controllers::{OpenError, Recipes, SiteFactory};
use ibmi_clone_operator::engine::journal::{Facts, ObligationKind, Phase};
use ibmi_clone_operator::engine::ports::{Met, Recipe, Settle, every_lock};
use ibmi_clone_operator::engine::step::{LockKind, Observation, Step, StepContext};
use ibmi_clone_operator::recipe::checks::{SiteFacts, SiteReport};
use ibmi_clone_operator::recipe::{LogKind, LogLine, LogSink, Plan};
use ibmi_clone_operator::site::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What the tests see and steer.
#[derive(Default)]
pub struct World {
    held: Mutex<BTreeSet<String>>,
    slow: Mutex<BTreeSet<String>>,
    let_go: Notify,
    looks: Mutex<BTreeMap<String, Vec<Instant>>>,
    acts: Mutex<Vec<String>>,
    opened: Mutex<Vec<String>>,
    /// What cannot be met now; when there is anything, step suspend-source owes [`OWED`].
    unmet: Mutex<BTreeSet<ObligationKind>>,
    /// Facts added to the output of a step.
    pub outputs: Mutex<BTreeMap<String, Facts>>,
}

impl World {
    /// The step stays under way until it is let go.
    pub fn hold(&self, step: &str) {
        self.held.lock().unwrap().insert(step.to_owned());
    }
    pub fn let_go(&self, step: &str) {
        self.held.lock().unwrap().remove(step);
    }
    /// The source does not answer from now on, or answers again.
    pub fn cannot_meet(&self, kinds: &[ObligationKind]) {
        *self.unmet.lock().unwrap() = kinds.iter().copied().collect();
    }
    /// Sending the effect of the step does not end before [`World::speed_up`].
    pub fn slow_down(&self, step: &str) {
        self.slow.lock().unwrap().insert(step.to_owned());
    }
    pub fn speed_up(&self, step: &str) {
        self.slow.lock().unwrap().remove(step);
        self.let_go.notify_waiters();
    }
    /// When a step was looked at, each time.
    pub fn looks(&self, step: &str) -> Vec<Instant> {
        let looks = self.looks.lock().unwrap();
        looks.get(step).cloned().unwrap_or_default()
    }
    async fn slowness(&self, step: &str) {
        loop {
            let let_go = self.let_go.notified();
            if !self.slow.lock().unwrap().contains(step) {
                return;
            }
            let_go.await;
        }
    }
    /// `run step` for every effect that was sent.
    pub fn acts(&self) -> Vec<String> {
        self.acts.lock().unwrap().clone()
    }
    pub fn acts_of(&self, run: &str) -> usize {
        let prefix = format!("{run} ");
        self.acts()
            .iter()
            .filter(|a| a.starts_with(&prefix))
            .count()
    }
    pub fn sites_opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }
    /// How many sites of `open PARTITION` were opened; slow ones count when they begin.
    pub fn opened(&self, what: &str) -> usize {
        let opened = self.opened.lock().unwrap();
        opened.iter().filter(|o| *o == what).count()
    }
}

/// What step suspend-source owes once [`World::cannot_meet`] was called.
pub const OWED: &[ObligationKind] = &[
    ObligationKind::ResumeSource,
    ObligationKind::RemoveParameters,
];

pub const STEPS: &[&str] = &[
    "verify-site",
    "write-parameters",
    "stop-clone",
    "unmap-volumes",
    "end-image",
    "prepare-copy",
    "suspend-source",
    "start-copy",
    "resume-source",
    "map-volumes",
    "start-clone",
    "await-clone",
    "run-function",
    "collect-logs",
    "settle",
];

struct FakeStep {
    id: &'static str,
    run: String,
    world: Arc<World>,
    logs: Arc<dyn LogSink>,
}

#[async_trait]
impl Step for FakeStep {
    fn id(&self) -> &'static str {
        self.id
    }
    fn limit(&self) -> Duration {
        Duration::from_secs(600)
    }
    fn locks(&self) -> &'static [LockKind] {
        match self.id {
            "verify-site" => &[],
            _ => &[LockKind::Clone, LockKind::TargetSet],
        }
    }
    fn incurs(&self) -> &'static [ObligationKind] {
        if self.id == "suspend-source" && !self.world.unmet.lock().unwrap().is_empty() {
            OWED
        } else {
            &[]
        }
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let mut looks = self.world.looks.lock().unwrap();
        looks
            .entry(self.id.to_owned())
            .or_default()
            .push(Instant::now());
        drop(looks);
        if self.id == "verify-site" {
            return Observation::done();
        }
        if context.entry(self.id).attempts == 0 {
            return Observation::Absent;
        }
        if self.world.held.lock().unwrap().contains(self.id) {
            return Observation::underway(Duration::from_millis(50), "held by the test");
        }
        let outputs = self.world.outputs.lock().unwrap();
        Observation::Done(outputs.get(self.id).cloned().unwrap_or_default())
    }
    async fn act(&self, _: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        let act = format!("{} {}", self.run, self.id);
        self.world.acts.lock().unwrap().push(act);
        let slow = self.world.slow.lock().unwrap().contains(self.id);
        if slow {
            self.world.slowness(self.id).await;
            let act = format!("{} {} sent", self.run, self.id);
            self.world.acts.lock().unwrap().push(act);
        }
        if self.id == "collect-logs" {
            let line = LogLine {
                ts: "2026-11-23-04.12.33.000000".into(),
                part: "clone".into(),
                id: "CPF9801".into(),
                text: format!("job log of {}", self.run),
                ..LogLine::default()
            };
            let stored = self.logs.put(LogKind::JobLog, vec![line; 100]).await;
            stored.map_err(|e| DeviceError::busy("the API server", e))?;
        }
        Ok(None)
    }
}

struct Owed(Arc<World>);

#[async_trait]
impl Settle for Owed {
    async fn meet(&self, kind: ObligationKind, _: &StepContext<'_>) -> Result<Met, DeviceError> {
        if self.0.unmet.lock().unwrap().contains(&kind) {
            return silent();
        }
        Ok(Met::Yes("nothing was suspended".to_owned()))
    }
}

/// The fake recipe, and a verify that finds UUIDs made from the partitions' names.
pub struct FakeRecipes(pub Arc<World>);

#[async_trait]
impl Recipes for FakeRecipes {
    fn build(&self, plan: &Plan, logs: Arc<dyn LogSink>) -> Recipe {
        let step = |id: &&'static str| -> Box<dyn Step> {
            Box::new(FakeStep {
                id,
                run: plan.run.clone(),
                world: self.0.clone(),
                logs: logs.clone(),
            })
        };
        Recipe {
            name: "fake-v1".to_owned(),
            steps: STEPS.iter().map(step).collect(),
            window: None,
            settle: Arc::new(Owed(self.0.clone())),
            run_limit: Duration::from_secs(600),
            locks_from: 1,
            lock_set: every_lock,
            refused_means: Phase::Skipped,
            faster: 1.0,
        }
    }
    async fn inspect_set(&self, site: &Site, plan: &Plan) -> SiteReport {
        self.inspect(site, plan).await
    }
    async fn inspect(&self, _: &Site, plan: &Plan) -> SiteReport {
        let uuid = |pair: &(String, String)| PartitionUuid::new(format!("{}-{}", pair.0, pair.1));
        SiteReport {
            facts: SiteFacts {
                clone_uuid: Some(uuid(&plan.clone_partition)),
                source_uuid: Some(uuid(&plan.source_partition)),
                source_identity: Some(Identity::new(&plan.source_partition.1, 3)),
                clone_state: Some("not activated".to_owned()),
                phase: Some(CopyPhase::Idle),
                array: Some("000002032CA0FF0E".to_owned()),
                targets: vec![Uid::new(format!("60050768-{}", plan.copy_group))],
                source_volumes: vec![Uid::new("60050768")],
                ..SiteFacts::default()
            },
            ..SiteReport::default()
        }
    }
}

/// Opens [`Silent`] devices.
pub struct FakeFactory(pub Arc<World>);

#[async_trait]
impl SiteFactory for FakeFactory {
    async fn open(
        &self,
        _: &str,
        spec: &CloneEnvironmentSpec,
        _: &ibmi_clone_operator::recipe::Pins,
        secrets: &SiteSecrets,
    ) -> Result<Site, OpenError> {
        secrets.credential(&spec.source.host.credentials)?;
        let what = format!("open {}", spec.clone.partition.name);
        self.0.opened.lock().unwrap().push(what.clone());
        self.0.slowness(&what).await;
        let silent = Arc::new(Silent);
        Ok(Site {
            clone_partition: silent.clone(),
            source_partition: silent.clone(),
            virtual_io: silent.clone(),
            copy: silent.clone(),
            source: SourceSystem(silent.clone()),
            clone: CloneSystem(silent.clone()),
            freeze: silent,
            transcript: Default::default(),
        })
    }
}

/// A device that is not there.
pub struct Silent;

fn silent<T>() -> Result<T, DeviceError> {
    Err(DeviceError::unreachable(
        "the fake device",
        "it never answers",
    ))
}

#[async_trait]
impl PartitionView for Silent {
    async fn status(&self) -> Result<PartitionStatus, DeviceError> {
        silent()
    }
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError> {
        silent()
    }
}

#[async_trait]
impl PartitionControl for Silent {
    async fn profiles(&self) -> Result<Vec<String>, DeviceError> {
        silent()
    }
    async fn power_off(&self) -> Result<PowerJob, DeviceError> {
        silent()
    }
    async fn activate(&self, _: &Activation) -> Result<PowerJob, DeviceError> {
        silent()
    }
    async fn set_keylock(&self, _: Keylock) -> Result<PowerJob, DeviceError> {
        silent()
    }
    async fn job(&self, _: &PowerJob) -> Result<PowerJobState, DeviceError> {
        silent()
    }
}

#[async_trait]
impl VirtualIo for Silent {
    async fn observe(&self, _: &[WantedVolume]) -> Result<VirtualIoState, DeviceError> {
        silent()
    }
    async fn unmap(&self, _: &[WantedVolume]) -> Result<(), DeviceError> {
        silent()
    }
    async fn map(&self, _: &[WantedVolume]) -> Result<(), DeviceError> {
        silent()
    }
}

#[async_trait]
impl CopyServices for Silent {
    fn family(&self) -> ArrayFamily {
        ArrayFamily::Overwrite
    }
    async fn inventory(&self) -> Result<Inventory, DeviceError> {
        silent()
    }
    async fn volumes_of_ports(&self, _: &[Wwpn]) -> Result<Vec<Volume>, DeviceError> {
        silent()
    }
    async fn observe(&self) -> Result<CopyState, DeviceError> {
        silent()
    }
    async fn dependants(&self) -> Result<Vec<String>, DeviceError> {
        silent()
    }
    async fn prepare(&self) -> Result<(), DeviceError> {
        silent()
    }
    async fn start(&self) -> Result<(), DeviceError> {
        silent()
    }
    async fn end(&self) -> Result<(), DeviceError> {
        silent()
    }
    async fn usage(&self) -> Result<Usage, DeviceError> {
        silent()
    }
}

#[async_trait]
impl IbmI for Silent {
    fn address(&self) -> String {
        "nowhere:22".to_owned()
    }
    async fn connect(&self) -> Result<Session, DeviceError> {
        silent()
    }
    async fn run(&self, _: &Session, _: &ClCommand) -> Result<CommandOutput, DeviceError> {
        silent()
    }
    async fn query(&self, _: &Session, _: &str) -> Result<Vec<Row>, DeviceError> {
        silent()
    }
    async fn submit(&self, _: &Session, _: &Submission) -> Result<JobName, DeviceError> {
        silent()
    }
    async fn job(&self, _: &Session, _: &str) -> Result<Option<JobStatus>, DeviceError> {
        silent()
    }
    async fn messages(
        &self,
        _: &Session,
        _: &LogSource,
        _: EachMessage<'_>,
    ) -> Result<(), DeviceError> {
        silent()
    }
    async fn put(&self, _: &Session, _: &str, _: &[u8]) -> Result<(), DeviceError> {
        silent()
    }
    async fn get(&self, _: &Session, _: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        silent()
    }
    async fn remove(&self, _: &Session, _: &str) -> Result<(), DeviceError> {
        silent()
    }
    async fn disconnect(&self) {}
}

#[async_trait]
impl SourceFreeze for Silent {
    async fn open(&self, _: &FreezePlan) -> Result<Box<dyn FreezeSession>, DeviceError> {
        silent()
    }
    async fn asps(&self) -> Result<Vec<AspName>, DeviceError> {
        silent()
    }
    async fn resume_anyway(&self, _: &[AspName]) -> Result<(), DeviceError> {
        silent()
    }
    async fn disarm_watchdog(&self, _: &str) -> Result<Watchdog, DeviceError> {
        silent()
    }
}
