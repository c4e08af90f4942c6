//! Several operators on a real and on the embedded API server: one leads. What a candidate makes of a Lease is tested where
//! it is decided, in the room `controllers::leader` of the crate.

mod replica;

use crate::controllers::field::{Field, phase};
use crate::server::Server;
use crate::support::wait;
use chrono::Utc;
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::observability::metrics::Metrics;
use kube::ResourceExt;
use kube::api::ListParams;
use macro_rules_attribute::apply;
use replica::{Line, Replica, election, lease, steal, until_leads};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Effects of one run of the fake recipe.
const EACH_ONCE: usize = 14;

async fn is_running(field: &Field, run: &str) {
    field.until(run, |r| phase(r) == Phase::Running).await;
    wait::until("the held step is under way", async || {
        field.world.looks("stop-clone").len() > 1
    })
    .await;
}

#[apply(on_both!)]
async fn of_two_operators_one_acts_and_sigterm_hands_over_at_once(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let first = Replica::start(server, &field, "first");
    until_leads(&field, "first").await;
    let second = Replica::start(server, &field, "second");
    second.until_ready().await;
    field.run("one", "nightly").await;
    let run = field.ended("one").await;
    assert_eq!(field.world.acts_of("one"), EACH_ONCE);
    let journal = run.status.unwrap().journal.unwrap();
    assert_eq!(journal.writer, "first");
    let sites = field.world.sites_opened();

    field.world.hold("stop-clone");
    field.run("two", "nightly").await;
    is_running(&field, "two").await;
    assert_eq!(
        field.world.sites_opened(),
        sites,
        "a stand-by opens no device"
    );
    let told = Instant::now();
    first.terminate().await;
    let lease = until_leads(&field, "second").await;
    assert!(
        told.elapsed() < election().duration - Duration::from_secs(1),
        "not waited for: {:?}",
        told.elapsed()
    );
    assert_eq!(lease.lease_transitions, Some(1));
    field.world.let_go("stop-clone");
    let run = field.ended("two").await;
    assert_eq!(phase(&run), Phase::Succeeded);
    assert_eq!(field.world.acts_of("two"), EACH_ONCE, "taken over");
    assert_eq!(run.status.unwrap().journal.unwrap().writer, "second");
}

/// The value of a series, by what its line begins with and holds.
fn told(scrape: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let fits = |line: &&str| {
        let own = line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "));
        own && labels.iter().all(|label| line.contains(label))
    };
    let line = scrape.lines().find(fits)?;
    line.rsplit(' ').next()?.parse().ok()
}

#[apply(on_both!)]
async fn a_run_moves_the_leaders_metrics_and_a_stand_by_tells_of_no_object(server: Server) {
    let field = Field::new(server).await;
    let every_midnight = |spec: &mut Value| spec["schedule"] = json!({"cron": ["0 0 * * *"]});
    field.environment("nightly", every_midnight).await;
    let clock = ScheduleClock::scaled("2026-11-23T23:59:55Z".parse().unwrap(), 1.0);
    let (first, second) = (Arc::<Metrics>::default(), Arc::<Metrics>::default());
    let (watch, other) = (first.clone(), clock.clone());
    let _leader = Replica::with(server, &field, "first", None, |config| {
        (config.metrics, config.schedule_clock) = (watch, other);
    });
    until_leads(&field, "first").await;
    let watch = second.clone();
    let stand_by = Replica::with(server, &field, "second", None, |config| {
        (config.metrics, config.schedule_clock) = (watch, clock);
    });
    stand_by.until_ready().await;
    field.ended("nightly-20261124t0000z").await;
    let here = format!("namespace=\"{}\"", field.namespace);
    // The watch tells of the last write a moment later.
    let scrape = wait::found("the last run in the metrics", async || {
        let scrape = first.encode().map_err(|e| e.to_string())?;
        let status = "ibmiclone_environment_last_run_status";
        let ended = told(&scrape, status, &[&here, "status=\"succeeded\""]) == Some(1.0);
        let active = "ibmiclone_environment_active_run_phase";
        let running = told(&scrape, active, &[&here, "phase=\"running\""]) == Some(1.0);
        (ended && !running).then_some(scrape.clone()).ok_or(scrape)
    })
    .await;
    let value = |name: &str, labels: &[&str]| told(&scrape, &format!("ibmiclone_{name}"), labels);
    let run = ["trigger=\"Schedule\"", "result=\"succeeded\"", &here];
    assert_eq!(value("runs_total", &run), Some(1.0), "{scrape}");
    assert_eq!(value("schedule_lateness_seconds_count", &[]), Some(1.0));
    let copied = ["step=\"start-copy\"", "result=\"done\""];
    assert_eq!(value("step_duration_seconds_count", &copied), Some(1.0));
    assert_eq!(value("leader", &[]), Some(1.0));
    assert!(value("scheduler_last_tick_timestamp_seconds", &[]) > Some(1.7e9));
    assert_eq!(value("environment_source_frozen", &[&here]), Some(0.0));
    assert!(value("reconcile_total", &["kind=\"CloneRun\""]) >= Some(1.0));

    let scrape = second.encode().unwrap();
    assert_eq!(told(&scrape, "ibmiclone_leader", &[]), Some(0.0));
    assert!(!scrape.contains("ibmiclone_environment"), "{scrape}");
    assert_eq!(told(&scrape, "ibmiclone_runs_total", &[]), None);
}

#[apply(on_both!)]
async fn a_killed_leader_is_replaced_within_the_lease_and_a_second_and_its_run_finished_not_repeated(
    server: Server,
) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let first = Replica::start(server, &field, "first");
    until_leads(&field, "first").await;
    let second = Replica::start(server, &field, "second");
    second.until_ready().await;
    field.world.hold("stop-clone");
    field.run("night", "nightly").await;
    is_running(&field, "night").await;
    first.kill();
    let killed = Utc::now();
    let lease = until_leads(&field, "second").await;
    let taken = lease.acquire_time.unwrap().0.as_millisecond();
    let limit = election().duration + Duration::from_secs(1);
    let took = taken - killed.timestamp_millis();
    assert!(took <= i64::try_from(limit.as_millis()).unwrap(), "{took}");
    field.world.let_go("stop-clone");
    let run = field.ended("night").await;
    assert_eq!(phase(&run), Phase::Succeeded);
    assert_eq!(field.world.acts_of("night"), EACH_ONCE, "each effect once");
}

#[apply(on_both!)]
async fn a_leader_that_loses_the_api_server_hands_over_stands_by_again_and_leads_again(
    server: Server,
) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let line = Line::new(server).await;
    let first = Replica::with(server, &field, "first", Some(&line), |_| {});
    until_leads(&field, "first").await;
    let second = Replica::start(server, &field, "second");
    second.until_ready().await;
    field.world.hold("stop-clone");
    field.run("night", "nightly").await;
    is_running(&field, "night").await;
    line.cut();
    until_leads(&field, "second").await;
    field.world.let_go("stop-clone");
    let run = field.ended("night").await;
    assert_eq!(phase(&run), Phase::Succeeded);
    assert_eq!(field.world.acts_of("night"), EACH_ONCE);
    line.mend();
    first.until_ready().await;
    assert!(!first.has_ended());
    second.terminate().await;
    until_leads(&field, "first").await;
    field.run("again", "nightly").await;
    assert_eq!(phase(&field.ended("again").await), Phase::Succeeded);
    assert_eq!(field.world.acts_of("again"), EACH_ONCE);
}

#[apply(on_both!)]
async fn a_stolen_lease_stops_the_acting_until_it_is_ours_again(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let _only = Replica::start(server, &field, "only");
    until_leads(&field, "only").await;
    field.world.hold("stop-clone");
    field.run("night", "nightly").await;
    is_running(&field, "night").await;
    steal(&field).await;
    let stolen = Instant::now();
    let mut looks = (0, Instant::now());
    // It looks every 50 ms while it leads.
    wait::until("no look any more", async || {
        let now = field.world.looks("stop-clone").len();
        if looks.0 != now {
            looks = (now, Instant::now());
        }
        looks.1.elapsed() > Duration::from_secs(1)
    })
    .await;
    assert!(stolen.elapsed() < election().duration, "seen while stolen");
    field.world.let_go("stop-clone");
    assert_eq!(phase(&field.ended("night").await), Phase::Succeeded);
    assert_eq!(field.world.acts_of("night"), EACH_ONCE);
    let next = field.world.looks("unmap-volumes")[0];
    assert!(
        next >= stolen + election().duration,
        "{:?} after the theft",
        next - stolen
    );
    assert_eq!(lease(&field).await.lease_transitions, Some(1));
}

#[apply(on_both!)]
async fn a_lease_lost_in_the_middle_of_a_burst_of_slots_makes_each_run_once_and_misses_none(
    server: Server,
) {
    const COUNT: usize = 80;
    let field = Field::new(server).await;
    let every_midnight = |spec: &mut Value| spec["schedule"] = json!({"cron": ["0 0 * * *"]});
    let names: Vec<String> = (0..COUNT).map(|n| format!("night-{n}")).collect();
    for name in &names {
        field.environment(name, every_midnight).await;
    }
    field.world.hold("stop-clone");
    let clock = ScheduleClock::scaled("2026-11-23T23:59:50Z".parse().unwrap(), 1.0);
    let at_night = |config: &mut ibmi_clone_operator::controllers::OperatorConfig| {
        config.schedule_clock = clock.clone();
    };
    let first = Replica::with(server, &field, "first", None, at_night);
    until_leads(&field, "first").await;
    let second = Replica::with(server, &field, "second", None, at_night);
    second.until_ready().await;
    let runs = async || {
        let found = field.runs().list_metadata(&ListParams::default()).await;
        let found = found.unwrap().items;
        found.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
    };
    wait::until("the first run of the burst", async || {
        !runs().await.is_empty()
    })
    .await;
    steal(&field).await;
    wait::until("a run of every slot", async || runs().await.len() >= COUNT).await;
    // One of the two leads after the thief, and looks at all slots again.
    wait::until("a new leader", async || {
        let holder = lease(&field).await.holder_identity;
        ["first", "second"].map(Some).contains(&holder.as_deref())
    })
    .await;
    for name in &names {
        field
            .environment_until(name, |e| {
                let status = e.status.clone().unwrap_or_default();
                status.schedule.iter().any(|l| l.last_slot.is_some())
            })
            .await;
    }
    let (found, wanted) = (runs().await, names.len());
    let once: BTreeSet<String> = found.iter().cloned().collect();
    let slots: BTreeSet<String> = names
        .iter()
        .map(|n| format!("{n}-20261124t0000z"))
        .collect();
    assert_eq!(once, slots);
    assert_eq!(found.len(), wanted);
    let all = field.runs().list(&ListParams::default()).await.unwrap();
    assert!(all.iter().all(|r| r.spec.skip.is_none()), "none is missed");
    drop(first);
}
