//! Many runs at once: sites with a source, a clone and an array of their own, one operator process for all of them.
//!
//! The devices are simulated on their real protocols in this process; their clock and the operator's waits run
//! `BENCH_SITES_SCALE` (30) times as fast. What counts is that every run succeeds and what the operator's process needs for it.

use super::QUIET;
use super::process::{self, Operator};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun, CloneRunSpec};
use ibmi_clone_operator::commands::demo::objects;
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use ibmi_clone_operator::engine::journal::Phase;
use kube::{Api, Client};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ENVIRONMENT: &str = "nightly-user";
/// Longest wait for all runs.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// `BENCH_SITES` (40); 0 leaves this part out.
pub fn count() -> u16 {
    let text = std::env::var("BENCH_SITES");
    text.ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

/// How much faster than real ones the devices are. Also the freeze's cap is divided by it: slower for a slow machine.
fn scale() -> f64 {
    let text = std::env::var("BENCH_SITES_SCALE");
    text.ok().and_then(|n| n.parse().ok()).unwrap_or(30.0)
}

fn namespace(site: u16) -> String {
    format!("site-{site}")
}

/// Runs one clone on each site, all at once, and prints what came of it.
pub async fn at_once(stack: &KubeStack, sites: u16) -> Value {
    let client = stack.client().unwrap();
    let scale = scale();
    let mut devices = Vec::new();
    for site in 0..sites {
        devices.push(start(&client, site, scale).await);
    }
    let scaled = scale.to_string();
    let arguments = [&QUIET[..], &["--simulated-time-scale", &scaled]].concat();
    let operator = Operator::start(stack.kubeconfig(), &arguments);
    let pid = operator.pid();
    verified(&client, sites).await;
    let before = process::usage(pid);
    let (begun, cpu) = (Instant::now(), process::cpu_seconds(pid));
    for site in 0..sites {
        let spec: CloneRunSpec =
            serde_json::from_value(json!({"environment": ENVIRONMENT})).unwrap();
        let run = CloneRun::new("r", spec);
        runs(&client, site)
            .create(&Default::default(), &run)
            .await
            .unwrap();
    }
    let outcomes = all_ended(&client, sites).await;
    let seconds = begun.elapsed().as_secs_f64();
    let (usage, cpu) = (process::usage(pid), process::cpu_seconds(pid) - cpu);
    drop(operator);
    let mut violations = 0;
    for site in devices {
        violations += site.report().violations.len();
    }
    println!(
        "\n{sites} runs at once on {sites} sites, devices {scale} times as fast: {outcomes:?}, {violations} violations, {seconds:.0} s"
    );
    println!(
        "  operator: RSS before {} MiB, peak {} MiB (bar: 80 MiB), {cpu:.1} CPU seconds",
        before.now_mib, usage.peak_mib
    );
    json!({
        "who": "sites", "n": sites, "scale": scale, "outcomes": outcomes, "violations": violations, "seconds": seconds,
        "rssBeforeMiB": before.now_mib, "rssMiB": usage.now_mib, "peakMiB": usage.peak_mib, "cpuSeconds": cpu,
    })
}

/// One site: its devices and its objects.
async fn start(client: &Client, site: u16, scale: f64) -> SimulatedSite {
    let mut world = parse_world(objects::WORLD).unwrap();
    world.number = site;
    world.console.systems[0].serial = format!("78C{site:04}");
    let devices = SimulatedSite::start(&world, scale).await.unwrap();
    let values = objects::placeholders(&devices).unwrap();
    let mut wanted = objects::objects(objects::SITE, &values).unwrap();
    // One environment per site: its other one would wait for the same source.
    wanted.retain(|o| {
        let kind = o.types.as_ref().map(|t| t.kind.as_str());
        kind != Some("CloneEnvironment") || o.metadata.name.as_deref() == Some(ENVIRONMENT)
    });
    objects::apply(client, &namespace(site), &wanted)
        .await
        .unwrap();
    devices
}

fn runs(client: &Client, site: u16) -> Api<CloneRun> {
    Api::namespaced(client.clone(), &namespace(site))
}

async fn verified(client: &Client, sites: u16) {
    let begun = Instant::now();
    for site in 0..sites {
        let api: Api<CloneEnvironment> = Api::namespaced(client.clone(), &namespace(site));
        loop {
            let environment = api.get(ENVIRONMENT).await.unwrap();
            let conditions = environment.status.map(|s| s.conditions).unwrap_or_default();
            let ready = conditions.iter().find(|c| c.type_ == "Ready");
            if ready.is_some_and(|c| c.status == "True") {
                break;
            }
            assert!(
                begun.elapsed() < LIMIT,
                "site {site} is not ready: {ready:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// How many runs ended how.
async fn all_ended(client: &Client, sites: u16) -> BTreeMap<String, usize> {
    let begun = Instant::now();
    let mut outcomes = BTreeMap::new();
    for site in 0..sites {
        loop {
            let status = runs(client, site).get("r").await.unwrap().status;
            let status = status.unwrap_or_default();
            let late = begun.elapsed() > LIMIT;
            if status.phase.is_final() || late {
                if status.phase != Phase::Succeeded {
                    eprintln!("site {site}: {:?} {:?}", status.phase, status.message);
                }
                *outcomes.entry(format!("{:?}", status.phase)).or_default() += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
    outcomes
}
