//! Memory of the operator while a long job log passes through a run (`make bench-logs`).
//!
//! A real kube-apiserver, simulated devices on their real protocols in this process, the operator as a process of its own,
//! whose memory is read from /proc. The same environment runs twice: first with a short job log, so that caches, sessions
//! and the allocator are as they are in everyday use, then with a program that leaves `BENCH_LOGS_MIB` (1024) of job log,
//! counted as the system prints it. What counts is by how much the second run raises the peak of the resident memory.
//! Prints a table and one line of JSON. Figures, not tests: nothing fails when they are large.
//!
//! `BENCH_LOGS_MIB` (1024), `BENCH_LOGS_SCALE` (20: how much faster than real ones the devices are),
//! `IBMICLONE_KUBE_BINARIES`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../shared/process.rs"]
mod process;
#[path = "../shared/stack.rs"]
mod stack;

use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, CloneRunSpec};
use ibmi_clone_operator::commands::demo::objects;
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::ibmi::file::ProgramMessage;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::{Api, Client};
use process::Operator;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

const NAMESPACE: &str = "bench";
const ENVIRONMENT: &str = "nightly-user";
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// Text of a message. What differs from one to the next compresses as badly as names of objects do.
const TEXT: &str = "Object {n} of type *FILE saved to media volume from library ORDERS; member {n} has {n} records and {n} deleted ones, its access path was saved too and no damage was found in it.";
/// Bytes a message takes as the system prints it, beside its text: the line with id, type, severity and time, the margin.
const PRINTED: usize = 170;

fn number(name: &str, default: f64) -> f64 {
    let text = std::env::var(name);
    text.ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[tokio::main]
async fn main() {
    let scale = number("BENCH_LOGS_SCALE", 20.0);
    let mib = number("BENCH_LOGS_MIB", 1024.0);
    let workdir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-logs");
    let mut stack = stack::start(&workdir).await;
    stack.start_controller_manager().await.unwrap();
    let client = stack.client().unwrap();
    let site = start(&client, scale).await;
    let scaled = scale.to_string();
    let arguments = [
        "--lease-namespace",
        NAMESPACE,
        "--simulated-time-scale",
        &scaled,
    ];
    let operator = Operator::start(stack.kubeconfig(), &arguments);
    let pid = operator.pid();
    ready(&client).await;
    let short = run(&client, "short").await;
    let before = process::usage(pid);
    // The peak begins anew (proc(5), clear_refs).
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    let messages = (mib * 1024.0 * 1024.0 / (TEXT.len() + PRINTED) as f64).ceil() as u32;
    lengthen(&site, messages);
    let cpu = process::cpu_seconds(pid);
    let long = run(&client, "long").await;
    let cpu = process::cpu_seconds(pid) - cpu;
    let after = process::usage(pid);
    drop(operator);
    let raised = after.peak_mib.saturating_sub(before.now_mib);
    println!(
        "\n{mib} MiB of job log ({messages} messages) through a run, devices {scale} times as fast"
    );
    println!(
        "  operator: RSS before {} MiB, peak {} MiB: raised by {raised} MiB (bar: 32 MiB)",
        before.now_mib, after.peak_mib
    );
    println!(
        "  whole run {:.0} s (with a short log {:.0} s), {cpu:.1} CPU seconds; counted {}, stored {} lines in {} bytes, {} violations",
        long.seconds,
        short.seconds,
        long.counted,
        long.lines,
        long.bytes,
        site.report().violations.len()
    );
    let line = json!({
        "who": "logs", "mib": mib, "messages": messages, "scale": scale, "rssBeforeMiB": before.now_mib,
        "peakMiB": after.peak_mib, "raisedMiB": raised, "seconds": long.seconds, "secondsShort": short.seconds,
        "cpuSeconds": cpu, "counted": long.counted, "storedLines": long.lines, "storedBytes": long.bytes,
    });
    println!("{line}");
}

async fn start(client: &Client, scale: f64) -> SimulatedSite {
    let world = parse_world(objects::WORLD).unwrap();
    let site = SimulatedSite::start(&world, scale).await.unwrap();
    let values = objects::placeholders(&site).unwrap();
    let wanted = objects::objects(objects::SITE, &values).unwrap();
    objects::apply(client, NAMESPACE, &wanted).await.unwrap();
    site
}

/// What production's programs leave in their job logs from now on: the clone's are copied from there.
fn lengthen(site: &SimulatedSite, messages: u32) {
    let mut world = site.world.now();
    for image in world.images.values_mut() {
        for program in image.disk.programs.values_mut() {
            program.messages = vec![ProgramMessage {
                id: "CPC3722".to_owned(),
                severity: 0,
                kind: "COMPLETION".to_owned(),
                text: TEXT.to_owned(),
                repeat: messages,
            }];
        }
    }
}

async fn ready(client: &Client) {
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), NAMESPACE);
    let begun = Instant::now();
    loop {
        let status = environments.get(ENVIRONMENT).await.unwrap().status;
        let conditions = status.map(|s| s.conditions).unwrap_or_default();
        let ready = conditions.iter().find(|c| c.type_ == "Ready");
        if ready.is_some_and(|c| c.status == "True") {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "not ready: {ready:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

struct Done {
    seconds: f64,
    counted: i64,
    lines: i64,
    bytes: u64,
}

async fn run(client: &Client, name: &str) -> Done {
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), NAMESPACE);
    let spec: CloneRunSpec = serde_json::from_value(json!({"environment": ENVIRONMENT})).unwrap();
    let begun = Instant::now();
    let run = CloneRun::new(name, spec);
    runs.create(&Default::default(), &run).await.unwrap();
    let status = loop {
        let status = runs.get(name).await.unwrap().status.unwrap_or_default();
        if status.phase.is_final() {
            break status;
        }
        assert!(begun.elapsed() < LIMIT, "{:?}", status.message);
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(status.phase, Phase::Succeeded, "{:?}", status.message);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let of_run = ListParams::default().labels(&format!("ibmiclone.dev/run={name}"));
    let maps = maps.list(&of_run).await.unwrap();
    let sizes = maps.iter().flat_map(|m| m.binary_data.iter().flatten());
    Done {
        seconds: begun.elapsed().as_secs_f64(),
        counted: status.messages.unwrap_or_default(),
        lines: status.logs.iter().map(|l| l.lines).sum(),
        bytes: sizes.map(|(_, data)| data.0.len() as u64).sum(),
    }
}
