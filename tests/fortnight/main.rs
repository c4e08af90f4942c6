//! A fortnight of two sites by themselves, across the end of summer time: the operator installed with Helm, run as a
//! process with the chart's arguments, account and rules, against simulated devices on their real protocols. One site has
//! four environments on two productions, the other the product's own week as `examples/` has it. The schedule's clock
//! passes an hour in a second, so that the fortnight takes six minutes; the devices are 240 times as fast as real ones.
//!
//! A test binary of its own, because it wants the machine for itself.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod site;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "shared with the other test binary")]
mod support;
mod week;

use chrono::{DateTime, TimeDelta, Utc};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::commands::demo::objects::apply;
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use ibmi_clone_operator::controllers::history::archive;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::schedule::slot_of_name;
use ibmi_clone_operator::simulators::world::file::Knobs;
use kube::api::DynamicObject;
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeSet;
use std::time::Duration;
use support::chart::{Helm, OperatorProcess};
use support::devices::quick;
use support::kube::{bare, namespace};
use support::wait;

const RELEASE: &str = "ibmi-clone-operator";
const OPERATORS: &str = "clone-operator";
/// Of the devices, and of the operator's waits.
const DEVICES: f64 = 240.0;
/// Of the schedule's clock.
const SCHEDULE: f64 = 3600.0;
/// Some minutes before the first midnight of Paris.
const START: &str = "2026-10-18T21:40:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The same time of so many days.
fn days(first: &str, count: i64) -> Vec<DateTime<Utc>> {
    (0..count).map(|n| at(first) + TimeDelta::days(n)).collect()
}

/// 07:00 and 12:30: six days of summer, eight of winter.
fn mornings_and_middays() -> Vec<DateTime<Utc>> {
    let mut slots = [
        days("2026-10-19T05:00:00Z", 6),
        days("2026-10-19T10:30:00Z", 6),
        days("2026-10-25T06:00:00Z", 8),
        days("2026-10-25T11:30:00Z", 8),
    ]
    .concat();
    slots.sort_unstable();
    slots
}

/// What a person works out from the cron lines of the first site, with summer time until 25 October, 03:00.
fn expected() -> BTreeSet<String> {
    table(vec![
        // Midnight: seven nights at 22:00 UTC, then seven at 23:00.
        (
            "nightly",
            [
                days("2026-10-18T22:00:00Z", 7),
                days("2026-10-25T23:00:00Z", 7),
            ]
            .concat(),
            "USER_END",
        ),
        ("safety", mornings_and_middays(), "HOLD"),
        // Sunday 02:30: once, at its first occurrence, in the night that has it twice.
        (
            "weekly-test",
            vec![at("2026-10-25T00:30:00Z"), at("2026-11-01T01:30:00Z")],
            "USER_END",
        ),
        // 03:15: six nights of summer; on the 25th it is winter already.
        (
            "second",
            [
                days("2026-10-19T01:15:00Z", 6),
                days("2026-10-25T02:15:00Z", 8),
            ]
            .concat(),
            "HOLD",
        ),
    ])
}

/// The rows of environments with their slots, oldest first: the image of every run but the newest was ended by the one
/// after it.
fn table(slots: Vec<(&str, Vec<DateTime<Utc>>, &str)>) -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    for (environment, slots, newest) in slots {
        let last = slots.len();
        for (n, slot) in slots.into_iter().enumerate() {
            let state = if n + 1 == last { newest } else { "END_FC" };
            rows.insert(row(environment, n as i64 + 1, slot, state));
        }
    }
    rows
}

/// `environment, number, slot, state`.
fn row(environment: &str, number: i64, slot: DateTime<Utc>, state: &str) -> String {
    format!(
        "{environment} #{number:02} {} {state}",
        slot.format("%d %b %H:%M")
    )
}

/// `environment slot` of a row, which a run has before it has a number.
fn time_of(row: &str) -> String {
    let words = row.split(' ').enumerate();
    let words = words.filter(|(n, _)| matches!(n, 0 | 2..=4));
    words.map(|(_, word)| format!("{word} ")).collect()
}

/// One run, from its object or its line in the archive.
#[derive(Debug)]
struct Row {
    environment: String,
    text: String,
    phase: Phase,
    message: Option<String>,
}

/// One of the two sites, as the cluster has it.
struct Watched<'a> {
    client: Client,
    namespace: String,
    environments: &'a [&'a str],
    expected: BTreeSet<String>,
}

impl Watched<'_> {
    /// Rows of the objects, and of the archives where the older ones are; the objects first, so that none is missed on its
    /// way.
    async fn rows(&self) -> Vec<Row> {
        let runs: Api<CloneRun> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = runs.list(&Default::default()).await.unwrap();
        let mut rows: Vec<Row> = found.items.iter().map(of_object).collect();
        for name in self.environments {
            let lines = archive::read(&self.client, &self.namespace, name).await;
            rows.extend(lines.unwrap().into_iter().map(|line| {
                let slot = slot_of_name(name, &line.name).unwrap();
                let state = line.state.unwrap_or_default();
                Row {
                    environment: (*name).to_owned(),
                    text: row(name, line.number.unwrap_or_default(), slot, &state),
                    phase: line.phase,
                    message: line.message,
                }
            }));
        }
        rows
    }

    /// An error tells what is not there yet, or what is too much. A run that failed or was skipped ends the test, as does
    /// one at a time that nobody expects.
    async fn is_complete(&self) -> Result<(), String> {
        let found = self.rows().await;
        let times: BTreeSet<String> = self.expected.iter().map(|r| time_of(r)).collect();
        for row in &found {
            let text = &row.text;
            let wrong = text.contains("ERROR") || text.contains("SKIPPED");
            assert!(!wrong && times.contains(&time_of(text)), "{row:?}");
        }
        let rows: BTreeSet<String> = found.into_iter().map(|row| row.text).collect();
        if rows == self.expected {
            return Ok(());
        }
        let missing = self.expected.difference(&rows);
        let strange = rows.difference(&self.expected);
        Err(format!(
            "missing {:?}, not expected {:?}",
            missing.collect::<Vec<_>>(),
            strange.collect::<Vec<_>>()
        ))
    }

    async fn verified(&self) {
        let environments: Api<CloneEnvironment> =
            Api::namespaced(self.client.clone(), &self.namespace);
        wait::found("all environments ready", async || {
            let found = environments.list(&Default::default()).await.unwrap();
            let unready: Vec<String> = found
                .iter()
                .filter_map(|e| {
                    let conditions = &e.status.as_ref()?.conditions;
                    let ready = conditions.iter().find(|c| c.type_ == "Ready")?;
                    (ready.status != "True").then(|| format!("{}: {}", e.name_any(), ready.message))
                })
                .collect();
            let looked = found.iter().filter(|e| e.status.is_some()).count();
            if unready.is_empty() && looked == self.environments.len() {
                return Ok(());
            }
            Err(unready.join("; "))
        })
        .await;
    }
}

fn of_object(run: &CloneRun) -> Row {
    let status = run.status.clone().unwrap_or_default();
    let slot = run.spec.scheduled_time.as_ref().map(|t| t.0.as_second());
    let slot = DateTime::from_timestamp(slot.unwrap_or_default(), 0).unwrap();
    let state = match status.state {
        Some(state) if status.phase.is_final() && run.finalizers().is_empty() => state,
        Some(_) | None => format!("{:?} {:?}", status.phase, status.message),
    };
    let environment = run.spec.environment.clone();
    Row {
        text: row(
            &environment,
            status.number.unwrap_or_default(),
            slot,
            &state,
        ),
        environment,
        phase: status.phase,
        message: status.message,
    }
}

/// Times of the devices, both sites'.
fn knobs() -> Knobs {
    Knobs {
        stopping_milliseconds: 5_000,
        ..quick()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fortnight_of_nights_gives_the_expected_history_to_the_row() {
    let Some(helm) = Helm::find() else { return };
    let stack = bare("fortnight").await.unwrap();
    helm.on(&stack).installs(RELEASE, OPERATORS).await;
    let mut world = parse_world(include_str!("world.yaml")).unwrap();
    world.knobs = knobs();
    let site = SimulatedSite::start(&world, DEVICES).await.unwrap();
    let (client, namespace) = namespace_with(&stack, &site::objects(&site)).await;
    let names = site::ENVIRONMENTS.map(|e| e.name);
    let nights = Watched {
        client,
        namespace,
        environments: &names,
        expected: expected(),
    };
    let week_site = SimulatedSite::start(&week::world(), DEVICES).await.unwrap();
    let (client, namespace) = namespace_with(&stack, &week::objects(&week_site)).await;
    let week = Watched {
        client,
        namespace,
        environments: &week::ENVIRONMENTS,
        expected: week::expected(),
    };

    let scale = SCHEDULE.to_string();
    let clock = [
        "--simulated-time-start",
        START,
        "--simulated-schedule-scale",
        &scale,
    ];
    let mut operator =
        OperatorProcess::start_with(&stack, OPERATORS, RELEASE, DEVICES, &clock).await;
    nights.verified().await;
    week.verified().await;
    assert_eq!(nights.expected.len(), 14 + 28 + 2 + 14);
    assert_eq!(week.expected.len(), 10 + 2 + 2 + 28);
    let limit = Duration::from_secs(15 * 60);
    wait::found_within(limit, "the fortnight", async || {
        assert!(operator.ended().is_none(), "{}", operator.log());
        // Both are looked at, so that neither hides what the other has against it.
        let (nights, week) = (nights.is_complete().await, week.is_complete().await);
        nights.and(week)
    })
    .await;
    // 28 copies of which 20 stay as objects: the archive has the others.
    let archived = archive::read(&nights.client, &nights.namespace, "safety").await;
    let archived = archived.unwrap();
    assert!(archived.len() >= 7, "{}", archived.len());
    week::full_success(&week.rows().await);
    week::all_saves_came_home(&week_site);
    assert!(operator.stop().await.success(), "{}", operator.log());
    assert_eq!(operator.forbidden(), Vec::<String>::new());
    for site in [site, week_site] {
        let report = site.last_report().await;
        assert!(report.violations.is_empty(), "{:?}", report.violations);
    }
}

async fn namespace_with(stack: &KubeStack, objects: &[DynamicObject]) -> (Client, String) {
    let (client, namespace) = namespace(stack).await;
    apply(&client, &namespace, objects).await.unwrap();
    (client, namespace)
}
