//! A fortnight of four environments by themselves, across the end of summer time: the operator installed with Helm, run as a
//! process with the chart's arguments, account and rules, against simulated devices on their real protocols. The schedule's
//! clock passes an hour in a second, so that the fortnight takes six minutes; the devices are 240 times as fast as real ones.
//!
//! A test binary of its own, because it wants the machine for itself.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod site;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "shared with the other test binary")]
mod support;

use chrono::{DateTime, TimeDelta, Utc};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::commands::demo::objects::apply;
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use ibmi_clone_operator::controllers::history::archive;
use ibmi_clone_operator::schedule::slot_of_name;
use ibmi_clone_operator::simulators::world::file::Knobs;
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

/// `environment, number, slot, state` of every row, oldest first by environment: what a person works out from the cron
/// lines, with summer time until 25 October, 03:00.
fn expected() -> BTreeSet<String> {
    let day = |first: &str, n: i64| at(first) + TimeDelta::days(n);
    let mut slots: Vec<(&str, Vec<DateTime<Utc>>, &str)> = Vec::new();
    // Midnight: seven nights at 22:00 UTC, then seven at 23:00.
    let summer = (0..7).map(|n| day("2026-10-18T22:00:00Z", n));
    let winter = (0..7).map(|n| day("2026-10-25T23:00:00Z", n));
    slots.push(("nightly", summer.chain(winter).collect(), "USER_END"));
    // 07:00 and 12:30: six days of summer, eight of winter.
    let summer = (0..6).flat_map(|n| {
        [
            day("2026-10-19T05:00:00Z", n),
            day("2026-10-19T10:30:00Z", n),
        ]
    });
    let winter = (0..8).flat_map(|n| {
        [
            day("2026-10-25T06:00:00Z", n),
            day("2026-10-25T11:30:00Z", n),
        ]
    });
    slots.push(("safety", summer.chain(winter).collect(), "HOLD"));
    // Sunday 02:30: once, at its first occurrence, in the night that has it twice.
    let sundays = [at("2026-10-25T00:30:00Z"), at("2026-11-01T01:30:00Z")];
    slots.push(("weekly-test", sundays.to_vec(), "USER_END"));
    // 03:15: six nights of summer; on the 25th it is winter already.
    let summer = (0..6).map(|n| day("2026-10-19T01:15:00Z", n));
    let winter = (0..8).map(|n| day("2026-10-25T02:15:00Z", n));
    slots.push(("second", summer.chain(winter).collect(), "HOLD"));
    let mut rows = BTreeSet::new();
    for (environment, slots, alive) in slots {
        let last = slots.len();
        for (n, slot) in slots.into_iter().enumerate() {
            // The image of every run but the newest was ended by the one after it.
            let state = if n + 1 == last { alive } else { "END_FC" };
            rows.insert(row(environment, n as i64 + 1, slot, state));
        }
    }
    rows
}

fn row(environment: &str, number: i64, slot: DateTime<Utc>, state: &str) -> String {
    format!(
        "{environment} #{number:02} {} {state}",
        slot.format("%d %b %H:%M")
    )
}

/// Rows of the objects, and of the archives where the older ones are; the objects first, so that none is missed on its way.
async fn rows(client: &Client, namespace: &str) -> BTreeSet<String> {
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), namespace);
    let found = runs.list(&Default::default()).await.unwrap();
    let mut rows: BTreeSet<String> = objects(&found.items).collect();
    for environment in site::ENVIRONMENTS {
        let name = environment.name;
        let lines = archive::read(client, namespace, name).await.unwrap();
        rows.extend(lines.into_iter().map(|line| {
            let slot = slot_of_name(name, &line.name).unwrap();
            let state = line.state.unwrap_or_default();
            row(name, line.number.unwrap_or_default(), slot, &state)
        }));
    }
    rows
}

fn objects(runs: &[CloneRun]) -> impl Iterator<Item = String> {
    runs.iter().map(|run| {
        let status = run.status.clone().unwrap_or_default();
        let slot = run.spec.scheduled_time.as_ref().map(|t| t.0.as_second());
        let slot = DateTime::from_timestamp(slot.unwrap_or_default(), 0).unwrap();
        let state = match status.state {
            Some(state) if status.phase.is_final() && run.finalizers().is_empty() => state,
            Some(_) | None => format!("{:?} {:?}", status.phase, status.message),
        };
        row(
            &run.spec.environment,
            status.number.unwrap_or_default(),
            slot,
            &state,
        )
    })
}

async fn verified(client: &Client, namespace: &str) {
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), namespace);
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
        if unready.is_empty() && looked == site::ENVIRONMENTS.len() {
            return Ok(());
        }
        Err(unready.join("; "))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fortnight_of_nights_gives_the_expected_history_to_the_row() {
    let Some(helm) = Helm::find() else { return };
    let stack = bare("fortnight").await.unwrap();
    helm.on(&stack).installs(RELEASE, OPERATORS).await;
    let (client, here) = namespace(&stack).await;
    let mut world = parse_world(include_str!("world.yaml")).unwrap();
    world.knobs = Knobs {
        stopping_milliseconds: 5_000,
        ..quick()
    };
    let site = SimulatedSite::start(&world, DEVICES).await.unwrap();
    apply(&client, &here, &site::objects(&site)).await.unwrap();

    let scale = SCHEDULE.to_string();
    let clock = [
        "--simulated-time-start",
        START,
        "--simulated-schedule-scale",
        &scale,
    ];
    let mut operator =
        OperatorProcess::start_with(&stack, OPERATORS, RELEASE, DEVICES, &clock).await;
    verified(&client, &here).await;
    let expected = expected();
    assert_eq!(expected.len(), 14 + 28 + 2 + 14);
    let limit = Duration::from_secs(15 * 60);
    let seen = wait::found_within(limit, "the fortnight", async || {
        let rows = rows(&client, &here).await;
        assert!(operator.ended().is_none(), "{}", operator.log());
        let failed: Vec<&String> = rows
            .iter()
            .filter(|r| r.contains("ERROR") || r.contains("SKIPPED"))
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        if rows.len() >= expected.len() && rows.iter().all(|r| expected.contains(r)) {
            return Ok(rows);
        }
        Err(format!("{:?}", rows.difference(&expected)))
    })
    .await;
    assert_eq!(seen, expected);
    // 28 copies of which 20 stay as objects: the archive has the others.
    let archived = archive::read(&client, &here, "safety").await.unwrap();
    assert!(archived.len() >= 7, "{}", archived.len());
    assert!(operator.stop().await.success(), "{}", operator.log());
    assert_eq!(operator.forbidden(), Vec::<String>::new());
    let report = site.last_report().await;
    assert!(report.violations.is_empty(), "{:?}", report.violations);
}
