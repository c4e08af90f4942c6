//! One namespace with credentials and an operator that serves it.

use super::fakes::{FakeFactory, FakeRecipes, World};
use crate::crd_rules::environment;
use crate::server::Server;
use crate::support::wait::{self, LIMIT};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, CloneRunSpec};
use ibmi_clone_operator::controllers::{OperatorConfig, run_operator_with};
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Field {
    pub client: Client,
    pub namespace: String,
    pub world: Arc<World>,
}

/// Ends the operator when the test drops it, as SIGTERM does.
pub struct Operator(DropGuard, JoinHandle<()>);

impl Operator {
    /// SIGTERM, and the handle that ends when the operator has.
    pub fn terminate(self) -> JoinHandle<()> {
        drop(self.0);
        self.1
    }

    /// SIGTERM, and its end.
    pub async fn ends(self) {
        wait::finished("the operator", self.terminate())
            .await
            .unwrap();
    }
}

impl Field {
    pub async fn new(server: Server) -> Self {
        let (client, namespace) = server.namespace().await;
        Self::on(client, namespace).await
    }

    /// In a namespace of a control plane that the test breaks.
    pub async fn on(client: Client, namespace: String) -> Self {
        let field = Self {
            client,
            namespace,
            world: Arc::default(),
        };
        for name in ["prod-ssh", "clone-ssh", "hmc", "svc"] {
            field.secret(name).await;
        }
        field
    }

    pub async fn secret(&self, name: &str) {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"ibmiclone.dev/credentials": "true"}},
            "type": "kubernetes.io/basic-auth",
            "stringData": {"username": "clone", "password": "not shown anywhere"},
        }))
        .unwrap();
        Api::<Secret>::namespaced(self.client.clone(), &self.namespace)
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
    }

    pub async fn change_secret(&self, name: &str) {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let new = json!({"stringData": {"password": "another one"}});
        let patch = kube::api::Patch::Merge(&new);
        api.patch(name, &Default::default(), &patch).await.unwrap();
    }

    pub async fn remove_secrets(&self) {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        api.delete_collection(&Default::default(), &ListParams::default())
            .await
            .unwrap();
    }

    /// Waits until that many sites were opened.
    pub async fn until_opened(&self, count: usize) {
        wait::until("a new site", async || self.world.sites_opened() >= count).await;
    }

    /// An environment of its own clone partition and consistency group, unless `change` says otherwise.
    pub async fn environment(&self, name: &str, change: impl Fn(&mut Value)) -> CloneEnvironment {
        let mut object = environment(name);
        object["spec"]["source"]["partition"]["name"] = json!(format!("PROD-{}", self.namespace));
        object["spec"]["source"]["identities"] = json!([{"serialNumber": format!("PROD-{}", self.namespace).to_uppercase(), "partitionId": 3}]);
        object["spec"]["clone"]["partition"]["name"] = json!(format!("{name}-{}", self.namespace));
        let group = format!("{}_{name}", self.namespace);
        object["spec"]["storage"]["spectrumVirtualize"]["consistencyGroups"] =
            json!([format!("G{group}")]);
        change(&mut object["spec"]);
        let object: CloneEnvironment = serde_json::from_value(object).unwrap();
        let api = self.environments();
        api.create(&PostParams::default(), &object).await.unwrap()
    }

    pub async fn run(&self, name: &str, environment: &str) -> CloneRun {
        let spec = json!({"environment": environment});
        let spec: CloneRunSpec = serde_json::from_value(spec).unwrap();
        let run = CloneRun::new(name, spec);
        self.runs()
            .create(&PostParams::default(), &run)
            .await
            .unwrap()
    }

    /// An operator for this namespace only, 30 times faster than real time, with its Leases here too.
    pub fn operator(&self) -> Operator {
        self.operator_with(|_| {})
    }

    /// The same with other settings.
    pub fn operator_with(&self, change: impl FnOnce(&mut OperatorConfig)) -> Operator {
        self.operator_via(self.client.clone(), change)
    }

    /// The same on another way to the API server.
    pub fn operator_via(
        &self,
        client: Client,
        change: impl FnOnce(&mut OperatorConfig),
    ) -> Operator {
        let shutdown = CancellationToken::new();
        let mut config = OperatorConfig {
            namespaces: vec![self.namespace.clone()],
            pace: 30.0,
            ..OperatorConfig::new(&self.namespace, "writer-1", "test-operator")
        };
        change(&mut config);
        let recipes = Arc::new(FakeRecipes(self.world.clone()));
        let factory = Arc::new(FakeFactory(self.world.clone()));
        let token = shutdown.clone();
        let task = tokio::spawn(async move {
            run_operator_with(client, config, factory, recipes, token)
                .await
                .unwrap();
        });
        Operator(shutdown.drop_guard(), task)
    }

    /// Sets a field of a run's spec, as a person does.
    pub async fn set(&self, run: &str, field: &str, value: Value) -> Result<CloneRun, kube::Error> {
        let change = json!({"spec": {field: value}});
        let patch = kube::api::Patch::Merge(&change);
        self.runs().patch(run, &Default::default(), &patch).await
    }

    /// Waits until the run is at this step.
    pub async fn at_step(&self, run: &str, step: &str) -> CloneRun {
        self.until(run, |r| {
            r.status.as_ref().and_then(|s| s.step.as_deref()) == Some(step)
        })
        .await
    }

    pub fn runs(&self) -> Api<CloneRun> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn environments(&self) -> Api<CloneEnvironment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until the run looks as wanted.
    pub async fn until(&self, run: &str, wanted: impl Fn(&CloneRun) -> bool) -> CloneRun {
        let holds = |object: Option<&CloneRun>| object.is_some_and(&wanted);
        let found = tokio::time::timeout(LIMIT, await_condition(self.runs(), run, holds)).await;
        match found {
            Ok(object) => object.unwrap().unwrap(),
            Err(_) => panic!(
                "{run} is {:#?}",
                self.runs().get(run).await.map(|r| r.status)
            ),
        }
    }

    /// Waits until the run is final and its finalizer gone.
    pub async fn ended(&self, run: &str) -> CloneRun {
        self.until(run, |r| {
            r.status.as_ref().is_some_and(|s| s.phase.is_final()) && r.finalizers().is_empty()
        })
        .await
    }

    /// Waits until the environment looks as wanted.
    pub async fn environment_until(
        &self,
        name: &str,
        wanted: impl Fn(&CloneEnvironment) -> bool,
    ) -> CloneEnvironment {
        let holds = |object: Option<&CloneEnvironment>| object.is_some_and(&wanted);
        let api = self.environments();
        let found = tokio::time::timeout(LIMIT, await_condition(api, name, holds)).await;
        match found {
            Ok(object) => object.unwrap().unwrap(),
            Err(_) => panic!(
                "{:#?}",
                self.environments().get(name).await.map(|e| e.status)
            ),
        }
    }

    /// Waits until the environment was looked at and is Ready.
    pub async fn verified(&self, name: &str) {
        self.environment_until(name, |e| ready(e).is_some_and(|r| r.0 == "True"))
            .await;
    }

    /// Waits for an event about an object; gives the reasons of all so far.
    pub async fn told(&self, name: &str, reason: &str) -> Vec<String> {
        let mut events = Vec::new();
        let what = format!("event {reason} about {name}");
        wait::until(&what, async || {
            events = self.events(name).await;
            events.iter().any(|r| r == reason)
        })
        .await;
        events
    }

    /// Reasons of the events about an object, in order.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut found = api.list(&ListParams::default()).await.unwrap().items;
        found.retain(|e| {
            e.regarding
                .as_ref()
                .is_some_and(|o| o.name.as_deref() == Some(name))
        });
        found.sort_by_key(|e| e.event_time.as_ref().map(|t| t.0));
        found.into_iter().filter_map(|e| e.reason).collect()
    }
}

pub fn phase(run: &CloneRun) -> Phase {
    run.status.as_ref().map(|s| s.phase).unwrap_or_default()
}

pub fn reason(run: &CloneRun) -> &str {
    run.status.as_ref().unwrap().reason.as_deref().unwrap_or("")
}

/// Status of a condition.
pub fn ready(environment: &CloneEnvironment) -> Option<(String, String)> {
    let status = environment.status.as_ref()?;
    let ready = status.conditions.iter().find(|c| c.type_ == "Ready")?;
    Some((ready.status.clone(), ready.reason.clone()))
}
