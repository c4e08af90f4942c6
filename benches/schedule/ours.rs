//! This operator, as a process of its own.

use super::account;
use super::api_server::Requests;
use super::process::{self, Operator, Usage};
use super::watch::{Seen, Watcher};
use super::{Fire, NAMESPACES, QUIET, SERVERS, each, namespace_of, sleep_until, slot_after};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, ENVIRONMENT_LABEL, OUTCOME_LABEL};
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use ibmi_clone_operator::controllers::leader::LEASE;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// N environments that are due once a day, and an operator that serves them.
pub struct Bench {
    client: Client,
    kubeconfig: PathBuf,
    n: usize,
    operator: Mutex<Operator>,
    before: Mutex<Usage>,
}

/// What became of the runs of a slot.
pub struct Ended {
    /// From the slot until the last had ended.
    pub seconds: f64,
    /// In that time, with what verifying the environments needs beside.
    pub requests: Requests,
}

/// What a restart gave.
pub struct Restarted {
    pub seen: Seen,
    pub first_after_restart: f64,
}

fn environment(i: usize, slot: DateTime<Utc>) -> Value {
    let host = |address: &str| json!({"address": address, "credentials": {"name": "none"}});
    json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneEnvironment",
        "metadata": {"name": format!("e{i}")},
        "spec": {
            "function": "HOLD",
            "schedule": {"cron": [line(slot)], "timeZone": "UTC"},
            "source": {
                "partition": {"managedSystem": "BENCH", "name": format!("PROD{i}")},
                "host": host("192.0.2.1"), "identities": [{"serialNumber": format!("78B{i:04}"), "partitionId": 3}],
            },
            "clone": {
                "partition": {"managedSystem": "BENCH", "name": format!("CLONE{i}")}, "host": host("192.0.2.2"), "network": "Isolated",
                "personality": {
                    "systemName": "CLONE", "hostName": "clone",
                    "interfaces": [{"address": "192.0.2.2", "netmask": "255.255.255.0", "lineDescription": "ETHLINE", "resource": "CMN03"}],
                },
            },
            "console": {"hmc": {"endpoints": ["https://192.0.2.3"], "credentials": {"name": "none"}}},
            "virtualIo": {"vscsi": {"adapters": [{"server": "VIOS1", "vhost": "vhost3"}]}},
            "storage": {"spectrumVirtualize": {
                "endpoint": "https://192.0.2.4:7443", "credentials": {"name": "none"}, "consistencyGroups": [format!("G{i}")],
            }},
        },
    })
}

fn line(slot: DateTime<Utc>) -> String {
    format!("{} {} * * *", slot.minute(), slot.hour())
}

impl Bench {
    /// Makes `finished` rows of the past and starts the operator.
    pub async fn new(stack: &KubeStack, n: usize, finished: usize) -> Self {
        let client = stack.client().unwrap();
        rows(&client, finished).await;
        let kubeconfig = account::kubeconfig(stack).await;
        Self {
            client,
            n,
            operator: Mutex::new(spawn(&kubeconfig, &[])),
            kubeconfig,
            before: Mutex::default(),
        }
    }

    fn pid(&self) -> u32 {
        self.operator.lock().unwrap().pid()
    }

    pub fn before_mib(&self) -> u64 {
        self.before.lock().unwrap().now_mib
    }

    /// All due in one minute.
    pub async fn fire(&self) -> Fire {
        let slot = slot_after(20 + self.n as i64 / 40);
        each(self.n, |i| {
            let api: Api<CloneEnvironment> = Api::namespaced(self.client.clone(), &namespace_of(i));
            async move {
                let object = serde_json::from_value(environment(i, slot)).unwrap();
                api.create(&Default::default(), &object).await.unwrap();
            }
        })
        .await;
        let watcher = Watcher::start::<CloneRun>(self.client.clone()).await;
        sleep_until(slot - TimeDelta::seconds(1)).await;
        *self.before.lock().unwrap() = process::usage(self.pid());
        let before = Requests::so_far(&self.client).await;
        let cpu = process::cpu_seconds(self.pid());
        let servers = process::cpu_seconds_of(&SERVERS);
        while !watcher.has(self.n) && Utc::now() < slot + TimeDelta::seconds(120) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let cpu_seconds = process::cpu_seconds(self.pid()) - cpu;
        let servers_cpu_seconds = process::cpu_seconds_of(&SERVERS) - servers;
        let requests = Requests::so_far(&self.client).await.since(&before);
        watcher.settled(self.n, Duration::from_secs(30)).await;
        Fire {
            who: "operator",
            n: self.n,
            slot,
            before,
            seen: watcher.seen(slot),
            requests,
            cpu_seconds,
            servers_cpu_seconds,
            usage: process::usage(self.pid()),
        }
    }

    /// Waits until every run of a slot is opened, which ends it here.
    pub async fn ended(&self, fire: &Fire) -> Ended {
        self.nothing_is_open().await;
        let seconds = (Utc::now() - fire.slot).num_milliseconds() as f64 / 1000.0;
        let requests = Requests::so_far(&self.client).await.since(&fire.before);
        Ended { seconds, requests }
    }

    /// Waits until no run is open, a quarter of an hour at most: a time of the schedule waits for an open run.
    async fn nothing_is_open(&self) {
        let runs: Api<CloneRun> = Api::all(self.client.clone());
        let open = "status.phase!=Failed,status.phase!=Succeeded";
        let open = ListParams::default().fields(open).limit(1);
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(900)
            && !runs.list_metadata(&open).await.unwrap().items.is_empty()
        {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Gives every environment a new slot.
    async fn next_slot(&self) -> DateTime<Utc> {
        self.nothing_is_open().await;
        let slot = slot_after(20 + self.n as i64 / 20);
        each(self.n, |i| {
            let api: Api<CloneEnvironment> = Api::namespaced(self.client.clone(), &namespace_of(i));
            async move {
                let patch = json!({"spec": {"schedule": {"cron": [line(slot)]}}});
                let parameters = PatchParams::default();
                let name = format!("e{i}");
                api.patch(&name, &parameters, &Patch::Merge(&patch))
                    .await
                    .unwrap();
            }
        })
        .await;
        slot
    }

    /// The next slot, with the operator killed a second before and started again at once.
    pub async fn killed_before_the_slot(&self) -> Restarted {
        let slot = self.next_slot().await;
        let watcher = Watcher::start::<CloneRun>(self.client.clone()).await;
        sleep_until(slot - TimeDelta::seconds(1)).await;
        let started = {
            let mut operator = self.operator.lock().unwrap();
            operator.kill();
            *operator = spawn(&self.kubeconfig, &[]);
            Utc::now()
        };
        watcher.settled(self.n, Duration::from_secs(120)).await;
        let seen = watcher.seen(slot);
        let since = (slot - started).num_milliseconds() as f64 / 1000.0;
        Restarted {
            first_after_restart: seen.first() + since,
            seen,
        }
    }

    /// The next slot, with two operators of which the leader is killed a second before. Its Lease is as long as the chart's.
    pub async fn leader_killed_before_the_slot(&self) -> Seen {
        let elected = ["--leader-elect"];
        {
            let mut operator = self.operator.lock().unwrap();
            operator.kill();
            *operator = spawn(&self.kubeconfig, &elected);
        }
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "default");
        while leases.get_opt(LEASE).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let standby = spawn(&self.kubeconfig, &elected);
        let slot = self.next_slot().await;
        let watcher = Watcher::start::<CloneRun>(self.client.clone()).await;
        sleep_until(slot - TimeDelta::seconds(1)).await;
        let mut leader = std::mem::replace(&mut *self.operator.lock().unwrap(), standby);
        leader.kill();
        watcher.settled(self.n, Duration::from_secs(120)).await;
        watcher.seen(slot)
    }

    /// Ends the operator and removes everything.
    pub async fn end(self) {
        self.operator.into_inner().unwrap().kill();
        let finalizers = json!({"metadata": {"finalizers": null}});
        each(NAMESPACES, |i| {
            let environments: Api<CloneEnvironment> =
                Api::namespaced(self.client.clone(), &namespace_of(i));
            let runs: Api<CloneRun> = Api::namespaced(self.client.clone(), &namespace_of(i));
            let finalizers = finalizers.clone();
            async move {
                let (background, all) = (DeleteParams::background(), ListParams::default());
                environments
                    .delete_collection(&background, &all)
                    .await
                    .unwrap();
                for run in runs.list_metadata(&all).await.unwrap() {
                    if run.metadata.finalizers.is_some() {
                        let name = run.metadata.name.unwrap_or_default();
                        let patch = Patch::Merge(&finalizers);
                        let _ = runs
                            .patch_metadata(&name, &PatchParams::default(), &patch)
                            .await;
                    }
                }
                runs.delete_collection(&background, &all).await.unwrap();
            }
        })
        .await;
    }
}

fn spawn(kubeconfig: &Path, more: &[&str]) -> Operator {
    Operator::start(kubeconfig, &[&QUIET[..], more].concat())
}

/// Finished runs of environments that are gone.
async fn rows(client: &Client, finished: usize) {
    each(finished, |i| {
        let api: Api<CloneRun> = Api::namespaced(client.clone(), &namespace_of(i));
        async move {
            let name = format!("old{i}");
            let object = json!({
                "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
                "metadata": {"name": name, "labels": {ENVIRONMENT_LABEL: format!("old{}", i % 50), OUTCOME_LABEL: "Succeeded"}},
                "spec": {"environment": format!("old{}", i % 50)},
            });
            let object = serde_json::from_value(object).unwrap();
            api.create(&Default::default(), &object).await.unwrap();
            let status = json!({"status": {"phase": "Succeeded", "state": "USER_END", "number": i / 50}});
            let patch = Patch::Merge(&status);
            api.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
        }
    })
    .await;
}
