//! What the operator adds to the devices' own times: to the freeze, and to a whole run (`make bench`).
//!
//! Real kube-apiserver, or with `BENCH_API=embedded` the embedded API in this process as `standalone` has it; simulated devices on
//! real sockets with TLS and SSH, the operator in this process. Prints a table and one line of JSON. Figures, not tests: nothing
//! fails when they are large.
//!
//! * **Freeze**: the devices' own times inside the window are set to zero, so that everything measured between the first
//!   suspend sent and the last resume answered is ours (and the simulators').
//! * **Run**: a USER run with the usual device times, the world running `--scale` times as fast and the operator's polls,
//!   limits and cap divided by the same factor. Added = whole run − critical path of the devices' times.
//!
//! Both parts begin with a site of their own. What is fixed (a request, a write) weighs as many times as the world is fast,
//! so the run part uses a slower world than the freeze part: a run of 38 minutes takes 10.
//!
//! `BENCH_API` (kubernetes or embedded), `BENCH_FREEZES` (200), `BENCH_FREEZE_SCALE` (60), `BENCH_RUNS` (1), `BENCH_SCALE` (4), `IBMICLONE_KUBE_BINARIES`;
//! `BENCH_REQUESTS`: a file for all requests of the measured runs.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "shared/stack.rs"]
mod stack;

use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::api::run::{CloneRunSpec, RunMode, Trigger};
use ibmi_clone_operator::commands::demo::objects;
use ibmi_clone_operator::commands::embedded_api::{EmbeddedApi, Place};
use ibmi_clone_operator::commands::factory::Drivers;
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use ibmi_clone_operator::commands::simulated_site::{Report, SimulatedSite, parse_world};
use ibmi_clone_operator::controllers::run::logs::read_logs;
use ibmi_clone_operator::controllers::{OperatorConfig, run_operator};
use ibmi_clone_operator::engine::journal::{Entry, Phase, WindowRecord};
use ibmi_clone_operator::recipe::LogKind;
use ibmi_clone_operator::simulators::world::file::Knobs;
use kube::runtime::wait::await_condition;
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "bench";

fn number(name: &str, default: f64) -> f64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

/// What the operator reads and writes.
enum Server {
    Kubernetes(Box<KubeStack>),
    Embedded(EmbeddedApi),
}

impl Server {
    fn is_embedded() -> bool {
        std::env::var("BENCH_API").is_ok_and(|name| name == "embedded")
    }

    async fn start(workdir: &Path) -> (Self, Client) {
        if Self::is_embedded() {
            let place = Place {
                data: workdir.join("data"),
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                names: Vec::new(),
                namespace: NAMESPACE.to_owned(),
            };
            let api = EmbeddedApi::start(&place).await.unwrap();
            let client = api.client(NAMESPACE);
            return (Self::Embedded(api), client);
        }
        let mut stack = stack::start(workdir).await;
        stack.start_controller_manager().await.unwrap();
        let client = stack.client().unwrap();
        (Self::Kubernetes(Box::new(stack)), client)
    }

    async fn stop(self) {
        match self {
            Self::Kubernetes(stack) => stack.stop(),
            Self::Embedded(api) => api.stop().await.unwrap(),
        }
    }
}

struct Stage {
    client: Client,
    site: SimulatedSite,
    shutdown: CancellationToken,
    operator: tokio::task::JoinHandle<()>,
    server: Server,
}

impl Stage {
    async fn set(workdir: &Path, scale: f64) -> Self {
        let (server, client) = Server::start(workdir).await;
        let world = parse_world(objects::WORLD).unwrap();
        let site = SimulatedSite::start(&world, scale).await.unwrap();
        let values = objects::placeholders(&site).unwrap();
        let wanted = objects::objects(objects::SITE, &values).unwrap();
        objects::apply(&client, NAMESPACE, &wanted).await.unwrap();
        let shutdown = CancellationToken::new();
        let config = OperatorConfig {
            pace: scale,
            ..OperatorConfig::new(NAMESPACE, "bench".to_owned(), "bench".to_owned())
        };
        let (c, s) = (client.clone(), shutdown.clone());
        let operator = tokio::spawn(async move {
            let drivers = Arc::new(Drivers::paced(scale));
            run_operator(c, config, drivers.clone(), s).await.unwrap();
            drivers.close().await;
        });
        Self {
            client,
            site,
            shutdown,
            operator,
            server,
        }
    }

    async fn end(self) {
        self.shutdown.cancel();
        let _ = self.operator.await;
        self.server.stop().await;
    }

    /// One run to its end: the row, its window, its steps.
    async fn run(&self, environment: &str) -> Measured {
        let runs: Api<CloneRun> = Api::namespaced(self.client.clone(), NAMESPACE);
        let spec = CloneRunSpec {
            environment: environment.to_owned(),
            mode: RunMode::Clone,
            trigger: Trigger::External,
            requested_by: "bench".to_owned(),
            ..CloneRunSpec::default()
        };
        let mut run = CloneRun::new("", spec);
        run.metadata.generate_name = Some(format!("{environment}-"));
        let run = runs.create(&Default::default(), &run).await.unwrap();
        let name = run.name_any();
        let done = await_condition(runs.clone(), &name, |run: Option<&CloneRun>| {
            run.and_then(|r| r.status.as_ref())
                .is_some_and(|s| s.phase.is_final())
        });
        let row = done.await.unwrap().unwrap();
        let status = row.status.unwrap();
        assert_eq!(
            status.phase,
            Phase::Succeeded,
            "{name}: {:?}",
            status.message
        );
        let logs = read_logs(&self.client, NAMESPACE, &name, Some(LogKind::Steps))
            .await
            .unwrap();
        let lines = logs.iter().flat_map(|(_, text)| text.lines());
        let window = lines
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
            .filter(|l| {
                l["part"] == "window"
                    || l["job"] == "window"
                    || l["type"] == "window"
                    || l["id"] == "window"
            })
            .find_map(|l| serde_json::from_str::<WindowRecord>(l["text"].as_str()?).ok())
            .expect("the steps log holds the window");
        let took = status
            .finished_at
            .unwrap()
            .since(status.started_at.unwrap());
        Measured {
            took,
            window,
            steps: status.steps,
        }
    }
}

struct Measured {
    /// Whole run, milliseconds.
    took: i64,
    window: WindowRecord,
    steps: Vec<Entry>,
}

fn percentile(sorted: &[f64], p: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * p).round() as usize;
    sorted.get(at).copied().unwrap_or_default()
}

/// Device times of a USER run whose clone was running before, world milliseconds. The image it ends has a sibling on the
/// same sources (the HOLD's), so its maps go through `stopping`. Every VIOS command is a job of the console with a time of
/// its own; two VIOSes work at once, and the looks of `verify-site` and `settle` count like those that lead to a change.
fn critical_path(knobs: &Knobs, program_seconds: u64, commands: u64) -> u64 {
    let ipl = knobs.activation_milliseconds + knobs.ipl_milliseconds;
    knobs.power_off_milliseconds
        + knobs.stopping_milliseconds
        + knobs.force_write_milliseconds
        + knobs.prepare_milliseconds
        + knobs.suspend_milliseconds
        + knobs.start_copy_milliseconds
        + knobs.resume_milliseconds
        + ipl
        + knobs.personality_milliseconds
        + ipl
        + program_seconds * 1000
        + commands * knobs.hmc_job_milliseconds
}

/// VIOS commands that followed each other in one run: all console jobs, shared by the two VIOSes of the world.
fn commands_per_run(before: &Report, after: &Report, runs: usize) -> u64 {
    let since = before.requests.last().map(|r| r.at);
    let lines = after.requests.iter().filter(|r| Some(r.at) > since);
    let jobs = lines.filter(|r| r.operation.ends_with("/do/CLIRunner"));
    (jobs.count() / 2 / runs.max(1)) as u64
}

/// Peak resident memory of this process (operator and simulators), MiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}

/// `GET /rest/api/uom/LogicalPartition/UUID` and its like: what was asked, without what tells two of a kind apart.
fn kind_of(operation: &str) -> String {
    let path = operation.split('?').next().unwrap_or_default();
    let part = |p: &str| {
        let id = p.len() > 12 && p.contains('-') || p.bytes().any(|b| b.is_ascii_digit());
        if id { "*" } else { p }.to_owned()
    };
    let parts: Vec<String> = path.split('/').map(part).collect();
    parts.join("/").chars().take(60).collect()
}

/// What the simulators themselves took between the newest SUSPEND and its RESUME, milliseconds: from each request's arrival
/// to its answer. The devices' times inside the window are zero, so this is the whole of the simulated device time.
fn handled(site: &SimulatedSite) -> f64 {
    let world = site.world.now();
    let mut within = false;
    let mut sum = 0;
    for line in world.ledger.requests.iter().rev() {
        within |= line.operation.starts_with("RESUME");
        if within {
            sum += line.microseconds.unwrap_or_default();
        }
        if within && line.operation.starts_with("SUSPEND") {
            break;
        }
    }
    sum as f64 / 1000.0
}

struct Freezes {
    /// Whole windows.
    whole: Vec<f64>,
    /// Without what the simulators took.
    added: Vec<f64>,
    parts: BTreeMap<String, Vec<f64>>,
}

async fn measure_freezes(workdir: &Path) -> Freezes {
    let runs = number("BENCH_FREEZES", 200.0) as usize;
    let scale = number("BENCH_FREEZE_SCALE", 60.0);
    let stage = Stage::set(&workdir.join("freeze"), scale).await;
    {
        let mut world = stage.site.world.now();
        world.knobs = Knobs {
            suspend_milliseconds: 0,
            resume_milliseconds: 0,
            start_copy_milliseconds: 0,
            force_write_milliseconds: 0,
            prepare_milliseconds: 1_000,
            power_off_milliseconds: 1_000,
            ..world.knobs.clone()
        };
    }
    let (mut whole, mut added): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut parts: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for n in 0..runs {
        let measured = stage.run("midday-hold").await;
        let all = measured.window.microseconds.unwrap_or_default() as f64 / 1000.0;
        whole.push(all);
        added.push(all - handled(&stage.site));
        for part in &measured.window.parts {
            let all = parts.entry(part.what.clone()).or_default();
            all.push(part.microseconds as f64 / 1000.0);
        }
        if n % 50 == 49 {
            eprintln!("{} freezes", n + 1);
        }
    }
    stage.end().await;
    added.sort_by(f64::total_cmp);
    whole.sort_by(f64::total_cmp);
    println!(
        "\nfreeze, {runs} runs, the devices' own times 0     p50 {:.2} ms   p99 {:.2} ms   max {:.2} ms",
        percentile(&whole, 0.5),
        percentile(&whole, 0.99),
        percentile(&whole, 1.0)
    );
    println!(
        "freeze added by us: without what the simulators took     p50 {:.2} ms   p99 {:.2} ms   max {:.2} ms   (bar: p99 5 ms)",
        percentile(&added, 0.5),
        percentile(&added, 0.99),
        percentile(&added, 1.0)
    );
    for (what, times) in &mut parts {
        times.sort_by(f64::total_cmp);
        let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
        println!("  {what:<18} p50 {p50:.2} ms   p99 {p99:.2} ms");
    }
    Freezes {
        whole,
        added,
        parts,
    }
}

struct Runs {
    scale: f64,
    device: f64,
    overhead: Vec<f64>,
    requests: BTreeMap<String, f64>,
}

async fn measure_runs(workdir: &Path) -> Runs {
    let runs = number("BENCH_RUNS", 1.0) as usize;
    let scale = number("BENCH_SCALE", 4.0);
    let stage = Stage::set(&workdir.join("run"), scale).await;
    let knobs = stage.site.world.now().knobs.clone();
    // So that the clone runs, and both images exist, when the first measured run begins.
    let _first = stage.run("midday-hold").await;
    let _second = stage.run("nightly-user").await;
    let mut took = Vec::new();
    let mut steps: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let before = stage.site.report();
    for _ in 0..runs {
        let measured = stage.run("nightly-user").await;
        took.push(measured.took as f64);
        for step in &measured.steps {
            if let (Some(start), Some(end)) = (step.start, step.end) {
                let all = steps.entry(step.name.clone()).or_default();
                all.push(end.since(start) as f64);
            }
        }
    }
    let after = stage.site.report();
    if let Some(file) = std::env::var_os("BENCH_REQUESTS") {
        let since = before.requests.last().map(|r| r.at);
        let lines = after.requests.iter().filter(|r| Some(r.at) > since);
        let lines: Vec<String> = lines
            .filter_map(|l| serde_json::to_string(l).ok())
            .collect();
        std::fs::write(file, lines.join("\n")).unwrap();
    }
    stage.end().await;
    let commands = commands_per_run(&before, &after, runs);
    let device = critical_path(&knobs, 1500, commands) as f64 / scale;
    let mut overhead: Vec<f64> = took.iter().map(|t| t - device).collect();
    overhead.sort_by(f64::total_cmp);
    println!("VIOS commands one after the other in a run: {commands}");
    println!(
        "\nUSER run added by us, {runs} runs, world and operator {scale} times as fast   p50 {:.0} ms   max {:.0} ms   of {device:.0} ms of device time = {:.2} %   (bar: 1 % or 300 ms)",
        percentile(&overhead, 0.5),
        percentile(&overhead, 1.0),
        100.0 * percentile(&overhead, 0.5) / device
    );
    for (step, times) in &mut steps {
        times.sort_by(f64::total_cmp);
        println!("  {step:<18} p50 {:.0} ms", percentile(times, 0.5));
    }
    let requests = requests_per_run(&before, &after, runs);
    Runs {
        scale,
        device,
        overhead,
        requests,
    }
}

/// By device, with the most frequent kinds below.
fn requests_per_run(before: &Report, after: &Report, runs: usize) -> BTreeMap<String, f64> {
    let runs = runs.max(1) as f64;
    let since = before.requests.last().map(|r| r.at);
    let mut kinds: BTreeMap<(&str, String), f64> = BTreeMap::new();
    for line in after.requests.iter().filter(|r| Some(r.at) > since) {
        *kinds
            .entry((&line.device, kind_of(&line.operation)))
            .or_default() += 1.0 / runs;
    }
    println!("requests per run:");
    let mut requests = BTreeMap::new();
    for (device, count) in &after.request_counts {
        let earlier = before.request_counts.get(device).copied();
        let per_run = (count - earlier.unwrap_or_default()) as f64 / runs;
        println!("  {device:<10} {per_run:.0}");
        requests.insert(device.clone(), per_run);
        let mut of_device: Vec<_> = kinds.iter().filter(|((d, _), _)| d == device).collect();
        of_device.sort_by(|a, b| b.1.total_cmp(a.1));
        for ((_, kind), count) in of_device.into_iter().take(4) {
            println!("    {count:>5.0}  {kind}");
        }
    }
    requests
}

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // `cargo bench` and `cargo test --benches` call with arguments of their own; this has none.
    let workdir = std::env::temp_dir().join(format!("ibmi-clone-bench-{}", std::process::id()));
    let api = if Server::is_embedded() {
        "embedded API"
    } else {
        "real kube-apiserver"
    };
    println!("SIMULATED devices on real sockets; {api}; all on this machine");
    let freezes = measure_freezes(&workdir).await;
    let runs = measure_runs(&workdir).await;
    println!(
        "peak memory of operator and simulators: {} MiB",
        peak_memory()
    );
    let part = |name: &str| freezes.parts.get(name).map(|t| percentile(t, 0.99));
    println!(
        "{}",
        serde_json::json!({
            "simulated": true, "api": api,
            "freezeAddedMilliseconds": {
                "runs": freezes.added.len(), "p50": percentile(&freezes.added, 0.5),
                "p99": percentile(&freezes.added, 0.99), "max": percentile(&freezes.added, 1.0),
                "startCopyP99": part("start copy"),
                "withSimulators": {
                    "p50": percentile(&freezes.whole, 0.5), "p99": percentile(&freezes.whole, 0.99),
                },
            },
            "runAddedMilliseconds": {
                "scale": runs.scale, "runs": runs.overhead.len(), "p50": percentile(&runs.overhead, 0.5),
                "max": percentile(&runs.overhead, 1.0), "deviceMilliseconds": runs.device,
            },
            "requestsPerRun": runs.requests, "peakMiB": peak_memory(),
        })
    );
    let _ = std::fs::remove_dir_all(workdir);
}
