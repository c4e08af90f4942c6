//! Lateness of the schedule beside that of Kubernetes' own CronJob controller (`make bench-schedule`).
//!
//! One real kube-apiserver; one after the other: this operator as a process of its own with N environments due in the same
//! minute, then kube-controller-manager with its throttle lifted and N CronJobs, spread over 100 namespaces like ours, whose
//! Jobs are suspended. Lateness is what one watcher sees: the time between the slot and the ADDED event of the object.
//! Prints a table and one line of JSON. Figures, not tests: nothing fails when they are large.
//!
//! The environments have no Secrets, so none is ever Ready and every run fails as soon as it is opened, after the creates:
//! what is measured is the schedule, and the load of verifying each environment again every minute lies beside it.
//!
//! At the end many runs at once on sites of their own ([`sites`]).
//!
//! `BENCH_SCHEDULE_N` (100,1000,5000; empty: none), `BENCH_SITES` (40; 0: none), `BENCH_SITES_SCALE` (30),
//! `BENCH_SCHEDULE_ROWS` (10000: finished runs beside the largest N), `BENCH_SCHEDULE_RESTARTS` (0: no restarts), `IBMICLONE_KUBE_BINARIES`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod account;
mod api_server;
mod ours;
mod peer;
#[path = "../shared/process.rs"]
mod process;
mod sites;
#[path = "../shared/stack.rs"]
mod stack;
mod watch;

use api_server::Requests;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures::StreamExt;
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use process::Usage;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use watch::Seen;

/// Namespaces over which objects are spread.
pub const NAMESPACES: usize = 100;
/// Arguments of every operator here.
pub const QUIET: [&str; 4] = ["--lease-namespace", "default", "--log", "error"];
/// Requests of the bench itself at the same time.
pub const AT_ONCE: usize = 32;
/// The API server's processes.
pub const SERVERS: [&str; 2] = ["kube-apiserver", "etcd"];
/// Everything that was there before is settled this long before the slot.
const SETTLE: TimeDelta = TimeDelta::seconds(20);

/// One fire of N objects by one controller.
pub struct Fire {
    pub who: &'static str,
    pub n: usize,
    pub slot: DateTime<Utc>,
    /// All requests until a second before the slot.
    pub before: Requests,
    pub seen: Seen,
    /// Until the last object was seen.
    pub requests: Requests,
    /// CPU seconds from the slot to the last object seen.
    pub cpu_seconds: f64,
    /// Of the API server and etcd in the same time.
    pub servers_cpu_seconds: f64,
    pub usage: Usage,
}

pub fn namespace_of(i: usize) -> String {
    format!("bench-{:02}", i % NAMESPACES)
}

/// The next full minute that leaves time to settle; objects made until then know it.
pub fn slot_after(seconds: i64) -> DateTime<Utc> {
    let earliest = Utc::now() + TimeDelta::seconds(seconds) + SETTLE;
    let minute = TimeDelta::minutes(1);
    earliest.duration_trunc(minute).unwrap() + minute
}

pub async fn sleep_until(at: DateTime<Utc>) {
    while let Ok(left) = (at - Utc::now()).to_std() {
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}

/// Does one request per index, many at once.
pub async fn each<F, Fut>(n: usize, work: F)
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = ()>,
{
    futures::stream::iter((0..n).map(work))
        .buffer_unordered(AT_ONCE)
        .for_each(|()| async {})
        .await;
}

async fn namespaces(client: &Client) {
    each(NAMESPACES, |i| {
        let api: Api<Namespace> = Api::all(client.clone());
        async move {
            let object = serde_json::from_value(json!({"metadata": {"name": namespace_of(i)}}));
            api.create(&Default::default(), &object.unwrap())
                .await
                .unwrap();
        }
    })
    .await;
}

async fn start(workdir: &Path) -> KubeStack {
    let mut stack = stack::start(workdir).await;
    let unthrottled = [
        "--controllers=cronjob-controller",
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
        "--concurrent-cron-job-syncs=50",
    ];
    stack
        .start_controller_manager_with(&unthrottled)
        .await
        .unwrap();
    stack
}

fn numbers() -> Vec<usize> {
    let text = std::env::var("BENCH_SCHEDULE_N").unwrap_or_else(|_| "100,1000,5000".to_owned());
    text.split(',')
        .filter_map(|n| n.trim().parse().ok())
        .collect()
}

fn rows() -> usize {
    let text = std::env::var("BENCH_SCHEDULE_ROWS");
    text.ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
}

/// Whether restarts are measured too.
fn restarts() -> bool {
    !std::env::var("BENCH_SCHEDULE_RESTARTS").is_ok_and(|text| text == "0")
}

fn line(fire: &Fire) {
    let s = &fire.seen;
    println!(
        "{:>5} {:<9} {:>6.3} {:>6.3} {:>6.3} {:>6.3} {:>6} {:>5} {:>6.1} {:>6.1} {:>5}",
        fire.n,
        fire.who,
        s.percentile(0.5),
        s.percentile(0.9),
        s.percentile(0.99),
        s.percentile(1.0),
        s.missed(fire.n),
        s.twice(),
        fire.requests.writes_per(fire.n),
        fire.cpu_seconds,
        fire.usage.peak_mib,
    );
}

fn as_json(fire: &Fire) -> serde_json::Value {
    let s = &fire.seen;
    json!({
        "who": fire.who, "n": fire.n, "p50": s.percentile(0.5), "p90": s.percentile(0.9), "p99": s.percentile(0.99),
        "max": s.percentile(1.0), "missed": s.missed(fire.n), "twice": s.twice(),
        "writesPerFire": fire.requests.writes_per(fire.n), "writes": fire.requests.writes(),
        "requests": fire.requests.each(fire.n), "first": s.first(),
        "cpuSeconds": fire.cpu_seconds, "serversCpuSeconds": fire.servers_cpu_seconds, "rssMiB": fire.usage.now_mib, "peakMiB": fire.usage.peak_mib,
    })
}

#[tokio::main]
async fn main() {
    let workdir = std::env::temp_dir().join(format!("ibmi-clone-schedule-{}", std::process::id()));
    let stack = start(&workdir).await;
    let client = stack.client().unwrap();
    namespaces(&client).await;
    println!(
        "lateness in seconds, seen by one watcher; writes per fire until the last object; CPU seconds, peak MiB"
    );
    println!("    N who          p50    p90    p99    max missed twice writes    CPU   MiB");
    let mut report = Vec::new();
    let numbers = numbers();
    let most = numbers.iter().copied().max().unwrap_or_default();
    for n in numbers {
        let finished = if n == most { rows() } else { 0 };
        let bench = ours::Bench::new(&stack, n, finished).await;
        let fire = bench.fire().await;
        line(&fire);
        report.push(as_json(&fire));
        if n == most {
            println!(
                "  with {finished} finished runs beside; RSS before the slot {} MiB",
                bench.before_mib()
            );
        }
        let ended = bench.ended(&fire).await;
        println!(
            "  all runs of the slot opened and ended {:.1} s after it, {:.1} requests each",
            ended.seconds,
            ended.requests.per(n)
        );
        report.push(json!({
            "who": "ended", "n": n, "seconds": ended.seconds, "requestsPerRun": ended.requests.per(n),
            "requests": ended.requests.each(n),
        }));
        if restarts() {
            restarted(&bench, n, &mut report).await;
        }
        bench.end().await;
        let fire = peer::fire(&stack, n).await;
        line(&fire);
        report.push(as_json(&fire));
    }
    let sites = sites::count();
    if sites > 0 {
        report.push(sites::at_once(&stack, sites).await);
    }
    println!("{}", serde_json::Value::Array(report));
    drop(stack);
    let _ = std::fs::remove_dir_all(workdir);
}

/// Killed a second before the next slot; the leader of two killed a second before the one after that.
async fn restarted(bench: &ours::Bench, n: usize, report: &mut Vec<serde_json::Value>) {
    let again = bench.killed_before_the_slot().await;
    println!(
        "  kill -9 one second before the slot: first run {:.1} s after the restart, missed {}, twice {}",
        again.first_after_restart,
        again.seen.missed(n),
        again.seen.twice()
    );
    report.push(json!({
        "who": "killed", "n": n, "firstAfterRestart": again.first_after_restart,
        "missed": again.seen.missed(n), "twice": again.seen.twice(),
    }));
    let seen = bench.leader_killed_before_the_slot().await;
    println!(
        "  leader of two killed one second before the slot: first run {:.1} s late, last {:.1} s, missed {}, twice {}",
        seen.first(),
        seen.percentile(1.0),
        seen.missed(n),
        seen.twice()
    );
    report.push(json!({
        "who": "leader-killed", "n": n, "first": seen.first(), "last": seen.percentile(1.0),
        "missed": seen.missed(n), "twice": seen.twice(),
    }));
}
