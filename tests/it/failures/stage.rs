//! One simulated site on real sockets, one namespace of an API server that tests share, one operator that drives the real
//! drivers against the site, 60 times faster than real time.

mod told;

use super::end::message_of;
pub use super::end::{End, condition, is, says_all};
use crate::server::Server;
use crate::support::devices;
use crate::support::wait::{self, LIMIT};
use ibmi_clone_operator::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun};
use ibmi_clone_operator::commands::factory::Drivers;
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use ibmi_clone_operator::controllers::{OperatorConfig, run_operator};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::faults::{Device, Fault, FaultKind};
use ibmi_clone_operator::simulators::ledger::ViolationKind;
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DynamicObject, ListParams, Patch, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// World seconds per second: of the devices, and of the operator's waits.
pub const SCALE: f64 = 60.0;
/// The environments of the demo's file.
pub const HOLD: &str = "midday-hold";
pub const USER: &str = "nightly-user";

pub struct Stage {
    server: Server,
    pub client: Client,
    pub namespace: String,
    pub site: Arc<SimulatedSite>,
    /// Id of the operator in the lock on production.
    pub operator_id: String,
    drivers: Arc<Drivers>,
    operator: Option<(DropGuard, JoinHandle<()>)>,
}

/// Short times of devices: a USER run takes two to three world minutes.
pub fn quick(world: &mut WorldFile) {
    world.knobs = devices::quick();
    for system in &mut world.systems {
        for program in &mut system.programs {
            program.seconds = Some(20);
        }
    }
}

impl Stage {
    /// The demo's site and objects, changed: the devices before they start, and every object before it is created
    /// (Secrets too; `Value::Null` = it is not created). On the real API server; `None` = there is none here, the test is
    /// skipped.
    pub async fn new(
        devices: impl FnOnce(&mut WorldFile),
        objects: impl Fn(&mut Value),
    ) -> Option<Self> {
        Some(Self::at(Server::real().await?, devices, objects).await)
    }

    /// The same on this server.
    pub async fn at(
        server: Server,
        devices: impl FnOnce(&mut WorldFile),
        objects: impl Fn(&mut Value),
    ) -> Self {
        let mut stage = Self::at_without_operator(server, devices, objects).await;
        stage.start_operator(SCALE);
        stage
    }

    pub async fn without_operator(
        devices: impl FnOnce(&mut WorldFile),
        objects: impl Fn(&mut Value),
    ) -> Option<Self> {
        Some(Self::at_without_operator(Server::real().await?, devices, objects).await)
    }

    pub async fn at_without_operator(
        server: Server,
        devices: impl FnOnce(&mut WorldFile),
        objects: impl Fn(&mut Value),
    ) -> Self {
        let mut world = parse_world(include_str!("../../../examples/demo/world.yaml")).unwrap();
        quick(&mut world);
        devices(&mut world);
        let site = Arc::new(SimulatedSite::start(&world, SCALE).await.unwrap());
        Self::on(server, site, "test-operator", objects).await
    }

    /// Another operator with a namespace, objects and Leases of its own, on the same devices.
    pub async fn beside(&self, operator_id: &str) -> Self {
        let mut stage = Self::on(self.server, self.site.clone(), operator_id, as_it_is).await;
        stage.start_operator(SCALE);
        stage
    }

    async fn on(
        server: Server,
        site: Arc<SimulatedSite>,
        operator_id: &str,
        objects: impl Fn(&mut Value),
    ) -> Self {
        let (client, namespace) = server.namespace().await;
        let stage = Self {
            server,
            client,
            namespace,
            site,
            operator_id: operator_id.to_owned(),
            drivers: Arc::new(Drivers::paced(SCALE)),
            operator: None,
        };
        for mut object in stage.objects() {
            // Nobody else needs the other one: each test has its own environment.
            objects(&mut object);
            if !object.is_null() {
                stage.create(&object).await;
            }
        }
        stage
    }

    /// The demo's objects with this site's endpoints.
    fn objects(&self) -> Vec<Value> {
        let site = &self.site;
        let socket = |address: &str| site.endpoints.ssh[address];
        let (prod, clone1, clone2) = (
            socket("10.0.8.20"),
            socket("10.0.8.21"),
            socket("10.0.8.22"),
        );
        let mut text = include_str!("../../../examples/demo/site.yaml").to_owned();
        for (name, value) in [
            ("HMC_ENDPOINT", json!(site.endpoints.hmc[0])),
            ("ARRAY_ENDPOINT", json!(site.endpoints.array)),
            ("PROD_HOST_KEY", json!(site.host_keys["PROD"])),
            ("CA_CERTIFICATE", json!(site.authority)),
            ("PROD_ADDRESS", json!(prod.ip().to_string())),
            ("PROD_PORT", json!(prod.port())),
            ("CLONE1_ADDRESS", json!(clone1.ip().to_string())),
            ("CLONE1_PORT", json!(clone1.port())),
            ("CLONE2_ADDRESS", json!(clone2.ip().to_string())),
            ("CLONE2_PORT", json!(clone2.port())),
        ] {
            text = text.replace(&format!("${{{name}}}"), &value.to_string());
        }
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for object in &mut objects {
            if object["kind"] == "CloneEnvironment" {
                // The cap is real time divided by the scale: a machine under load must not reach it by itself.
                object["spec"]["freeze"] = json!({"maxSeconds": 600});
            }
        }
        objects
    }

    pub async fn create(&self, object: &Value) {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let kind = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
        let resource = ApiResource::from_gvk(&kind);
        Api::<DynamicObject>::namespaced_with(self.client.clone(), &self.namespace, &resource)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }

    /// `pace` = the operator's; below [`SCALE`] it is slower than the devices.
    pub fn start_operator(&mut self, pace: f64) {
        self.start_operator_with(pace, as_it_is);
    }

    /// The same with another configuration.
    pub fn start_operator_with(&mut self, pace: f64, change: impl FnOnce(&mut OperatorConfig)) {
        let shutdown = CancellationToken::new();
        let mut config = OperatorConfig {
            namespaces: vec![self.namespace.clone()],
            pace,
            ..OperatorConfig::new(&self.namespace, "writer-1", &self.operator_id)
        };
        change(&mut config);
        let (client, token) = (self.client.clone(), shutdown.clone());
        let drivers = self.drivers.clone();
        let task = tokio::spawn(async move {
            run_operator(client, config, drivers, token).await.unwrap();
        });
        self.operator = Some((shutdown.drop_guard(), task));
    }

    /// A look at, or a change of, the world.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.site.world.now())
    }

    pub fn fault(&self, device: Device, name: &str, operation: &str, kind: FaultKind, times: u32) {
        self.world(|w| {
            w.faults.add(Fault {
                device,
                name: name.to_owned(),
                operation: operation.to_owned(),
                kind,
                times,
            });
        });
    }

    /// How often an effect happened in the world.
    pub fn effects(&self, kind: &str) -> u64 {
        self.world(|w| w.ledger.effect_count(kind))
    }

    /// Waits until an effect has happened that often.
    pub async fn until_effects(&self, kind: &str, count: u64) {
        wait::until(kind, async || self.effects(kind) >= count).await;
    }

    pub fn runs(&self) -> Api<CloneRun> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn environments(&self) -> Api<CloneEnvironment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A merge patch of a Secret.
    pub async fn change_secret(&self, name: &str, change: Value) {
        let patch = Patch::Merge(&change);
        self.secrets()
            .patch(name, &Default::default(), &patch)
            .await
            .unwrap();
    }

    /// A new run of an environment, named after it.
    pub async fn run(&self, environment: &str) -> String {
        let object = json!({
            "metadata": {"generateName": format!("{environment}-")},
            "spec": {"environment": environment},
            "apiVersion": "ibmiclone.dev/v1alpha1",
            "kind": "CloneRun",
        });
        let run: CloneRun = serde_json::from_value(object).unwrap();
        let created = self
            .runs()
            .create(&PostParams::default(), &run)
            .await
            .unwrap();
        created.name_any()
    }

    /// A merge patch of a run's spec.
    pub async fn set(&self, run: &str, spec: Value) {
        let change = json!({"spec": spec});
        let patch = Patch::Merge(&change);
        self.runs()
            .patch(run, &Default::default(), &patch)
            .await
            .unwrap();
    }

    /// Waits until the environment was verified and is ready.
    pub async fn ready(&self, environment: &str) {
        self.environment_until(environment, |s| is(s, "Ready", "True"))
            .await;
    }

    /// Waits until the environment is verified as not ready for this reason; gives its status.
    pub async fn not_ready(&self, environment: &str, reason: &str) -> CloneEnvironmentStatus {
        let status = self
            .environment_until(environment, |s| is(s, "Ready", "False"))
            .await;
        let found = condition(&status, "Ready");
        assert_eq!(found.0, reason, "{}", found.1);
        status
    }

    pub async fn environment_until(
        &self,
        environment: &str,
        wanted: impl Fn(&CloneEnvironmentStatus) -> bool,
    ) -> CloneEnvironmentStatus {
        let holds = |object: Option<&CloneEnvironment>| {
            object.is_some_and(|e| e.status.as_ref().is_some_and(&wanted))
        };
        let api = self.environments();
        let found = tokio::time::timeout(LIMIT, await_condition(api, environment, holds)).await;
        match found {
            Ok(object) => object.unwrap().unwrap().status.unwrap(),
            Err(_) => panic!(
                "{:#?}",
                self.environments()
                    .get(environment)
                    .await
                    .map(|e| e.status.map(|s| s.conditions))
            ),
        }
    }

    /// Waits until the run looks as wanted.
    pub async fn until(&self, run: &str, wanted: impl Fn(&CloneRun) -> bool) -> CloneRun {
        let holds = |object: Option<&CloneRun>| object.is_some_and(&wanted);
        let found = tokio::time::timeout(LIMIT, await_condition(self.runs(), run, holds)).await;
        match found {
            Ok(object) => object.unwrap().unwrap(),
            Err(_) => panic!("{}", self.told(run).await),
        }
    }

    /// Waits until the run is final and its finalizer gone; gives the end.
    pub async fn ended(&self, run: &str) -> End {
        let run = self
            .until(run, |r| {
                r.status.as_ref().is_some_and(|s| s.phase.is_final()) && r.finalizers().is_empty()
            })
            .await;
        End(run)
    }

    /// Waits until the current step shows a message with these words; gives the message.
    pub async fn says(&self, run: &str, step: &str, words: &str) -> String {
        let found = self
            .until(run, |r| {
                message_of(r, step).contains(words)
                    || r.status.as_ref().is_some_and(|s| s.phase.is_final())
            })
            .await;
        let message = message_of(&found, step);
        assert!(
            message.contains(words),
            "{words:?} was not said: {}",
            self.told(run).await
        );
        message
    }

    /// Puts the site's own authority into the ConfigMap.
    pub async fn trust_the_site(&self) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let change = json!({"data": {"ca.crt": self.site.authority}});
        let patch = Patch::Merge(&change);
        api.patch("site-ca", &Default::default(), &patch)
            .await
            .unwrap();
    }

    /// Deletes a run and waits until it is gone: its finalizer stays until it has ended.
    pub async fn delete(&self, run: &str) {
        let api = self.runs();
        api.delete(run, &Default::default()).await.unwrap();
        let gone = await_condition(api, run, |r: Option<&CloneRun>| r.is_none());
        wait::finished("the run", gone).await.unwrap();
    }

    /// Marks the lock of a device as pinned, as `start-held` does.
    pub async fn pin(&self, device: &str) {
        let note = json!({"ibmiclone.dev/pinned": crate::support::kube::PIN});
        self.change_lock(device, note).await;
    }

    /// Takes from the clone partition's lock what runs have mapped to it, as if a person had mapped it.
    pub async fn forget_what_was_mapped(&self) {
        let note = json!({"ibmiclone.dev/attached": null});
        self.change_lock("clone partition", note).await;
    }

    async fn lock(&self, device: &str) -> Lease {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = api.list(&ListParams::default()).await.unwrap().items;
        let is_it = |lease: &Lease| {
            let named = lease.annotations().get("ibmiclone.dev/device");
            named.is_some_and(|d| d.starts_with(device))
        };
        all.into_iter().find(is_it).unwrap()
    }

    /// Name of the run whose image a target set carries, by the set's lock.
    pub async fn image_owner(&self, device: &str) -> Option<String> {
        let lock = self.lock(device).await;
        let owner = lock.annotations().get("ibmiclone.dev/image-owner")?;
        let owner: Value = serde_json::from_str(owner).unwrap();
        owner["run"].as_str().map(str::to_owned)
    }

    async fn change_lock(&self, device: &str, annotations: Value) {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = self.lock(device).await.name_any();
        let change = json!({"metadata": {"annotations": annotations}});
        let patch = Patch::Merge(&change);
        api.patch(&name, &Default::default(), &patch).await.unwrap();
    }

    /// A merge patch of an environment's spec.
    pub async fn change_spec(&self, environment: &str, spec: Value) {
        let change = json!({"spec": spec});
        let patch = Patch::Merge(&change);
        self.environments()
            .patch(environment, &Default::default(), &patch)
            .await
            .unwrap();
    }

    /// Lets the environment be verified now instead of within the hour: any change of its spec does.
    pub async fn look_again(&self, environment: &str) {
        self.change_spec(environment, json!({"suspend": true}))
            .await;
    }

    /// The end of a test: the operator logs off everywhere, then the world is asked whether anything was done that must
    /// never be done, or left that must never be left; production runs and got no power command.
    pub async fn unharmed(self) {
        self.unharmed_but(&[]).await;
    }

    /// The operator stops and logs off; what the world saw is asked of another stage on the same devices.
    pub async fn gone(mut self) {
        self.stop_operator().await;
    }

    async fn stop_operator(&mut self) {
        if let Some((shutdown, task)) = self.operator.take() {
            drop(shutdown);
            wait::finished("the operator", task).await.unwrap();
        }
        wait::finished("logging off", self.drivers.close()).await;
    }

    /// As [`Stage::unharmed`], with violations that this test itself provokes.
    pub async fn unharmed_but(mut self, known: &[ViolationKind]) {
        self.stop_operator().await;
        let mut report = self.site.last_report().await;
        report.violations.retain(|v| !known.contains(&v.kind));
        assert!(report.violations.is_empty(), "{:#?}", report.violations);
        let power = |kind: &&String| kind.starts_with("hmc.Power") && kind.ends_with(".PROD");
        assert_eq!(report.effects.keys().find(power), None);
        let left = self.world(|w| w.systems["PROD"].suspended());
        assert!(left.is_empty(), "production is suspended: {left:?}");
    }
}

/// A change of the two environments only.
pub fn environments(change: impl Fn(&mut Value)) -> impl Fn(&mut Value) {
    move |object| {
        if object["kind"] == "CloneEnvironment" {
            change(&mut object["spec"]);
        }
    }
}

/// No change.
pub fn as_it_is<T: ?Sized>(_: &mut T) {}
