//! Logs of runs on a real API server, with the demo's simulated devices: followed, downloaded, bounded, and put on
//! production.

mod parts;
mod stdout;

use crate::commands::user::User;
use crate::commands::whole::{InProcess, SCALE, apply_demo, demo_world};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, CloneRunSpec};
use ibmi_clone_operator::controllers::{OperatorConfig, run_operator};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::Shared;
use ibmi_clone_operator::simulators::ibmi::disk_of;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::{Value, json};
use std::process::Output;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const ENVIRONMENT: &str = "nightly-user";

struct Site {
    client: Client,
    world: Shared,
    user: User,
    shutdown: CancellationToken,
    operator: JoinHandle<()>,
}

impl Site {
    async fn new(server: Server, log_budget: u64) -> Self {
        let (client, namespace) = server.namespace().await;
        let world = demo_world();
        apply_demo(&client, &namespace).await;
        let shutdown = CancellationToken::new();
        let config = OperatorConfig {
            namespaces: vec![namespace.clone()],
            pace: SCALE,
            log_budget,
            ..OperatorConfig::new(&namespace, "test", "test")
        };
        let factory = Arc::new(InProcess(world.clone()));
        let run = run_operator(client.clone(), config, factory, shutdown.clone());
        let operator = tokio::spawn(async move { run.await.unwrap() });
        let kubeconfig = server.kubeconfig().display().to_string();
        Self {
            client,
            world,
            user: User {
                namespace,
                kubeconfig,
            },
            shutdown,
            operator,
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.user.namespace)
    }

    async fn start(&self, name: &str) {
        let spec: CloneRunSpec =
            serde_json::from_value(json!({"environment": ENVIRONMENT})).unwrap();
        let object = CloneRun::new(name, spec);
        let runs: Api<CloneRun> = self.api();
        runs.create(&PostParams::default(), &object).await.unwrap();
    }

    /// The row of a run that has ended and lost its finalizer: all that follows the verdict is done but for old logs.
    async fn ended(&self, name: &str) -> CloneRun {
        let runs: Api<CloneRun> = self.api();
        wait::found("the end of the run", async || {
            let run = runs.get(name).await.unwrap();
            let status = run.status.clone().unwrap_or_default();
            match status.phase.is_final() && run.finalizers().is_empty() {
                true => Ok(run),
                false => Err(format!("{:?} {:?}", status.step, status.message)),
            }
        })
        .await
    }

    async fn change(&self, logs: Value) {
        let environments: Api<CloneEnvironment> = self.api();
        let patch = Patch::Merge(json!({"spec": {"logs": logs}}));
        let parameters = PatchParams::default();
        let patched = environments.patch(ENVIRONMENT, &parameters, &patch).await;
        patched.unwrap();
    }

    async fn maps_of(&self, run: &str) -> Vec<String> {
        let maps: Api<ConfigMap> = self.api();
        let of_run = ListParams::default().labels(&format!("ibmiclone.dev/run={run}"));
        let found = maps.list_metadata(&of_run).await.unwrap();
        found.iter().map(ResourceExt::name_any).collect()
    }

    async fn end(self) {
        self.shutdown.cancel();
        wait::finished("the operator", self.operator).await.unwrap();
        let mut world = self.world.now();
        world.check_left_behind();
        let violations = &world.ledger.violations;
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Of the demo's program.
const MESSAGE: &str = "412 objects saved from library ORDERS";
const PLENTY: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_and_its_job_are_followed_to_the_end_and_the_live_tail_goes_with_it() {
    let Some(server) = Server::real().await else {
        return;
    };
    let site = Site::new(server, PLENTY).await;
    site.start("followed").await;
    let maps: Api<ConfigMap> = site.api();
    let tail = async {
        wait::found("the job in the live tail", async || {
            let map = maps.get_opt("followed-log-live").await.unwrap();
            let text = map.and_then(|map| map.data?.remove("log.jsonl"));
            let text = text.unwrap_or_default();
            match text.contains(MESSAGE) {
                true => Ok(text),
                false => Err(text),
            }
        })
        .await
    };
    let (followed, tail) = tokio::join!(site.user.types(&["logs", "followed", "-f"]), tail);
    let lines = tail.lines().map(serde_json::from_str::<Value>);
    let (own, jobs): (Vec<Value>, Vec<Value>) = lines
        .map(Result::unwrap)
        .partition(|line| line["part"] == "operator");
    assert!(
        own.iter()
            .any(|l| l["job"] == "start-copy" && l["text"] == "done")
    );
    let job = jobs[0]["job"].as_str().unwrap().to_owned();
    for line in &jobs {
        assert_eq!(
            (&line["part"], &line["job"]),
            (&json!("clone"), &json!(job))
        );
        assert!(line["ts"].is_string() && line["id"].is_string(), "{line}");
    }

    let said = out(&followed);
    assert_eq!(followed.status.code(), Some(0), "{}", err(&followed));
    let (live, kept) = said.split_once("==> steps <==").unwrap();
    assert!(live.contains("write-parameters STEP 00 done"), "{live}");
    for text in [MESSAGE, &format!("Job {job} started")] {
        assert_eq!(live.matches(text).count(), 1, "{text}: {live}");
    }
    let (_, jobs) = kept.split_once("==> joblog <==").unwrap();
    assert!(jobs.contains(MESSAGE), "{kept}");
    site.ended("followed").await;
    assert!(maps.get_opt("followed-log-live").await.unwrap().is_none());
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn downloads_are_proved_and_overwrite_nothing() {
    let Some(server) = Server::real().await else {
        return;
    };
    let site = Site::new(server, PLENTY).await;
    site.start("loaded").await;
    site.ended("loaded").await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let download = ["logs", "loaded", "--download", &path];
    let done = site.user.types(&download).await;
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let steps = std::fs::read_to_string(directory.path().join("loaded-steps.jsonl")).unwrap();
    let printed = site
        .user
        .types(&["logs", "loaded", "--kind", "steps", "-o", "json"])
        .await;
    assert_eq!(steps, out(&printed));
    assert!(
        out(&done).contains("1 parts proved by their SHA-256"),
        "{}",
        out(&done)
    );
    for kind in ["joblog", "history", "devices"] {
        assert_eq!(
            directory
                .path()
                .join(format!("loaded-{kind}.jsonl"))
                .exists(),
            kind != "devices",
            "the simulated roles keep no transcript: {kind}"
        );
    }

    let again = site.user.types(&download).await;
    assert_eq!(again.status.code(), Some(74));
    assert!(
        err(&again).contains("nothing is overwritten"),
        "{}",
        err(&again)
    );

    // Somebody has put other content under the name.
    let maps: Api<ConfigMap> = site.api();
    let mut map = maps.get("loaded-log-joblog-001").await.unwrap();
    maps.delete("loaded-log-joblog-001", &Default::default())
        .await
        .unwrap();
    let other = maps.get("loaded-log-steps-001").await.unwrap();
    map.binary_data = other.binary_data;
    map.metadata.resource_version = None;
    map.metadata.uid = None;
    maps.create(&PostParams::default(), &map).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().display().to_string();
    let damaged = ["logs", "loaded", "--kind", "joblog", "--download", &path];
    let damaged = site.user.types(&damaged).await;
    assert_eq!(damaged.status.code(), Some(70));
    assert!(
        err(&damaged).contains("SHA-256 differs"),
        "{}",
        err(&damaged)
    );
    let left = std::fs::read_dir(elsewhere.path()).unwrap().count();
    assert_eq!(left, 0, "no half file stays");
    site.end().await;
}

#[apply(on_both!)]
async fn beyond_the_operators_budget_the_oldest_logs_go_and_everybody_is_told(server: Server) {
    let site = Site::new(server, 100).await;
    site.start("older").await;
    site.ended("older").await;
    assert!(
        !site.maps_of("older").await.is_empty(),
        "the newest run keeps its logs"
    );
    site.start("newer").await;
    site.ended("newer").await;
    wait::until("the older run's logs to go", async || {
        site.maps_of("older").await.is_empty()
    })
    .await;
    assert!(!site.maps_of("newer").await.is_empty());
    let environments: Api<CloneEnvironment> = site.api();
    let condition = wait::found("condition LogBudget", async || {
        let status = environments.get(ENVIRONMENT).await.unwrap().status.unwrap();
        let found = status
            .conditions
            .into_iter()
            .find(|c| c.type_ == "LogBudget");
        found.ok_or("there is none")
    })
    .await;
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("False", "LogsRemoved")
    );
    assert!(condition.message.contains("older") && condition.message.contains("--log-budget-mib"));
    let asked = site.user.types(&["logs", "older"]).await;
    assert_eq!(asked.status.code(), Some(66));
    assert!(err(&asked).contains("LogBudget"), "{}", err(&asked));
    site.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_and_logs_are_on_production_and_qsysopr_was_told_once() {
    let Some(server) = Server::real().await else {
        return;
    };
    let site = Site::new(server, PLENTY).await;
    site.change(json!({"onSource": {"directory": "/home/ibmiclone/logs"}}))
        .await;
    site.start("told").await;
    let run = site.ended("told").await;
    let status = run.status.unwrap();
    assert_eq!(status.phase, Phase::Succeeded, "{:?}", status.message);
    let (files, told) = {
        let world = site.world.now();
        let disk = disk_of(&world, "PROD").unwrap();
        let files: Vec<String> = disk.files.keys().cloned().collect();
        let told: Vec<String> = disk.operator_queue.iter().map(|m| m.text.clone()).collect();
        (files, told)
    };
    for kind in ["row", "steps", "joblog", "history"] {
        let one = files.iter().filter(|f| {
            f.starts_with("/home/ibmiclone/logs/ibmiclone-nightly-user-000001-")
                && f.ends_with(&format!("-{kind}.jsonl"))
        });
        assert_eq!(one.count(), 1, "{kind}: {files:?}");
    }
    let ours: Vec<&String> = told.iter().filter(|t| t.starts_with("IBMICLONE")).collect();
    assert_eq!(ours.len(), 1, "{told:?}");
    assert!(ours[0].contains("nightly-user/1 USER_END"), "{ours:?}");
    site.end().await;
}
