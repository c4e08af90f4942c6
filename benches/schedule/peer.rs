//! Kubernetes' CronJob controller.

use super::api_server::Requests;
use super::watch::Watcher;
use super::{Fire, NAMESPACES, SERVERS, each, namespace_of, process, sleep_until, slot_after};
use chrono::Timelike;
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::json;
use std::time::Duration;

pub async fn fire(stack: &KubeStack, n: usize) -> Fire {
    let client = stack.client().unwrap();
    let slot = slot_after(10 + n as i64 / 100);
    let line = format!("{} {} * * *", slot.minute(), slot.hour());
    each(n, |i| {
        let api: Api<CronJob> = Api::namespaced(client.clone(), &namespace_of(i));
        let line = line.clone();
        async move {
            let object = json!({
                "metadata": {"name": format!("c{i}")},
                "spec": {
                    "schedule": line, "timeZone": "Etc/UTC",
                    "jobTemplate": {"spec": {"suspend": true, "template": {"spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "c", "image": "none"}],
                    }}}},
                },
            });
            let object = serde_json::from_value(object).unwrap();
            api.create(&Default::default(), &object).await.unwrap();
        }
    })
    .await;
    let pid = stack.controller_manager_pid().unwrap();
    let watcher = Watcher::start::<Job>(client.clone()).await;
    sleep_until(slot - chrono::TimeDelta::seconds(1)).await;
    let before = Requests::so_far(&client).await;
    let cpu = process::cpu_seconds(pid);
    let servers = process::cpu_seconds_of(&SERVERS);
    while !watcher.has(n) && chrono::Utc::now() < slot + chrono::TimeDelta::seconds(120) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cpu_seconds = process::cpu_seconds(pid) - cpu;
    let servers_cpu_seconds = process::cpu_seconds_of(&SERVERS) - servers;
    watcher.settled(n, Duration::from_secs(30)).await;
    let requests = Requests::so_far(&client).await.since(&before);
    let usage = process::usage(pid);
    let fire = Fire {
        who: "CronJob",
        n,
        slot,
        before,
        seen: watcher.seen(slot),
        requests,
        cpu_seconds,
        servers_cpu_seconds,
        usage,
    };
    each(NAMESPACES, |i| {
        let crons: Api<CronJob> = Api::namespaced(client.clone(), &namespace_of(i));
        let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace_of(i));
        async move {
            let (background, all) = (DeleteParams::background(), ListParams::default());
            crons.delete_collection(&background, &all).await.unwrap();
            jobs.delete_collection(&background, &all).await.unwrap();
        }
    })
    .await;
    fire
}
