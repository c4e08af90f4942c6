//! The product's own week, beside the other site: the environments of `examples/` as they are shipped, with their cron
//! lines, on the demo's devices. Changed are the ports, and what a clock that passes an hour in a second would break.

use super::{Row, Watched, at, days};
use chrono::{DateTime, TimeDelta, Utc};
use ibmi_clone_operator::api::CloneRun;
use ibmi_clone_operator::commands::demo::week::{self, dynamic, secrets};
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use ibmi_clone_operator::controllers::run::logs::read_logs;
use ibmi_clone_operator::engine::journal::{EntryState, Phase};
use ibmi_clone_operator::recipe::LogKind;
use ibmi_clone_operator::simulators::ibmi::brms::{BrmsState, state_of};
use ibmi_clone_operator::simulators::ibmi::disk_of;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use kube::api::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::json;
use std::collections::BTreeSet;

/// Those with a schedule.
pub const ENVIRONMENTS: [&str; 4] = [
    "midday-hold",
    "nightly-brms",
    "sunday-save21",
    "weekly-test",
];

/// The demo's devices with short saves, and tapes for a fortnight: no volume expires in a day of theirs.
pub fn world() -> WorldFile {
    let mut world = parse_world(week::WORLD).unwrap();
    world.knobs = super::knobs();
    let volumes = (1..=24).map(|n| json!({"volume": format!("VOL{n:03}")}));
    let volumes: Vec<_> = volumes.collect();
    let system = world.systems.iter_mut().find(|s| s.partition == "PROD");
    let system = system.unwrap();
    for program in &mut system.programs {
        program.seconds = Some(20);
    }
    let brms = system.brms.as_mut().unwrap();
    brms.media = serde_json::from_value(json!(volumes)).unwrap();
    brms.knobs.library_milliseconds = 5_000;
    brms.knobs.maintenance_milliseconds = 5_000;
    for group in &mut brms.control_groups {
        group.seconds = 20;
    }
    let cartridges = &mut world.tapes.cartridges;
    cartridges.retain(|c| c.volume.starts_with("SYS"));
    cartridges.extend(serde_json::from_value::<Vec<_>>(json!(volumes)).unwrap());
    world
}

/// Secrets, authority and the environments.
pub fn objects(site: &SimulatedSite) -> Vec<DynamicObject> {
    let mut objects = secrets(site).unwrap();
    for mut environment in week::environments(&site.into()).unwrap() {
        let Some(schedule) = &mut environment.spec.schedule else {
            continue;
        };
        // Ten real seconds: the schedule's clock runs an hour in a second, and a run under load waits for the one before it.
        schedule.starting_deadline_seconds = 36_000;
        // A machine under load must not reach the cap, which is divided like every other time.
        environment.spec.freeze.max_seconds = 600;
        objects.push(dynamic(&environment).unwrap());
    }
    objects
}

/// Midnight before Monday to Friday, five of summer and five of winter.
fn nights() -> Vec<DateTime<Utc>> {
    [
        days("2026-10-18T22:00:00Z", 5),
        days("2026-10-25T23:00:00Z", 5),
    ]
    .concat()
}

/// Midnight before Saturday.
fn saturdays() -> Vec<DateTime<Utc>> {
    vec![at("2026-10-23T22:00:00Z"), at("2026-10-30T23:00:00Z")]
}

/// What a person works out from the cron lines of the examples, with summer time until 25 October, 03:00.
pub fn expected() -> BTreeSet<String> {
    let mut slots = vec![
        // The last of its images was ended by the Sunday's, which takes the same disks.
        ("nightly-brms", nights(), "END_FC"),
        // The last one is the test system of the week to come.
        ("weekly-test", saturdays(), "BRMS_END"),
        // Sunday, 01:00: two hours before the clocks are set back, and a week later.
        (
            "sunday-save21",
            vec![at("2026-10-24T23:00:00Z"), at("2026-11-01T00:00:00Z")],
            "SAVE21_END",
        ),
    ];
    slots.push(("midday-hold", super::mornings_and_middays(), "HOLD"));
    super::table(slots)
}

/// A copy at 07:00 or 12:30 of a day whose night has saved with BRMS. When an hour is a second, the save reaches into the
/// morning, as on a site whose save is slow: then the copy is taken while production's BRMS is frozen, carries that state, and
/// is a Warning that says so (`product.md` § 5).
fn may_be_taken_while_frozen(row: &Row) -> bool {
    let saves = [nights(), saturdays()].concat();
    let hours = [TimeDelta::hours(7), TimeDelta::minutes(12 * 60 + 30)];
    let mut slots = saves.iter().flat_map(|night| hours.map(|h| *night + h));
    row.environment == "midday-hold" && slots.any(|slot| slot == row.slot)
}

/// Every run is a full success, but for the copies of which a Warning is expected, and of what it tells.
pub fn full_success(rows: &[Row]) {
    let mut early = 0;
    for row in rows {
        let message = row.message.as_deref().unwrap_or_default();
        let says_so = may_be_taken_while_frozen(row) && message.contains("FlashCopy process");
        let fine = row.phase == Phase::Succeeded || (row.phase == Phase::Warning && says_so);
        assert!(fine, "{row:?}");
        early += usize::from(row.phase == Phase::Warning);
    }
    println!("{early} copies were taken before the night's history was back");
}

/// The hook behind the history: it was called on the clone of each Saturday, when the history of its save was back, and the
/// last of these clones stays, a test system of that night.
pub async fn test_systems_were_made(week: &Watched<'_>, site: &SimulatedSite) {
    let runs: Api<CloneRun> = Api::namespaced(week.client.clone(), &week.namespace);
    let found = runs.list(&Default::default()).await.unwrap();
    let tests = found.iter().filter(|r| r.spec.environment == "weekly-test");
    let tests: Vec<&CloneRun> = tests.collect();
    assert_eq!(tests.len(), saturdays().len());
    for run in tests {
        let steps = &run.status.as_ref().unwrap().steps;
        let step = |name: &str| steps.iter().find(|e| e.name == name).unwrap();
        let (home, hook) = (step("return-history"), step("after-history"));
        assert_eq!(
            (home.state, hook.state),
            (EntryState::Done, EntryState::Done)
        );
        assert!(home.end.unwrap() <= hook.start.unwrap(), "{hook:?}");
        let kind = Some(LogKind::of_hook(0));
        let logs = read_logs(&week.client, &week.namespace, &run.name_any(), kind).await;
        let said = logs
            .unwrap()
            .pop()
            .map(|(_, text)| text)
            .unwrap_or_default();
        let mut lines = said.lines();
        let made =
            |line: &str| line.contains("\"clone\"") && line.contains("customers were replaced");
        assert!(lines.any(made), "{said}");
    }
    let world = site.world.now();
    assert!(
        world.systems["TEST1"].image().is_some(),
        "the test system stays"
    );
}

/// What only the devices know: every save of the fortnight is in the history of production's BRMS, and nothing is frozen.
pub fn all_saves_came_home(site: &SimulatedSite) {
    let world = site.world.now();
    assert_eq!(state_of(&world, "PROD"), Some(BrmsState::Normal));
    let production = disk_of(&world, "PROD").unwrap().brms.as_ref().unwrap();
    let known: BTreeSet<_> = production
        .history
        .iter()
        .map(|h| (h.at, &h.group))
        .collect();
    let known: Vec<&str> = known.iter().map(|(_, group)| group.as_str()).collect();
    let nights = ["*SYSGRP", "*BKUGRP"].repeat(5);
    let week = [nights.as_slice(), &["*BKUGRP"]].concat();
    assert_eq!(known, week.repeat(2));
    // SAVSYS, SAVLIB, SAVDLO and SAV of the last Sunday; those of the one before were cleared.
    assert_eq!(world.ledger.effect_count("ibmi.CLONE1.job.SAVE21"), 2);
    assert_eq!(world.tapes.cartridges["SYS001"].files.len(), 4);
}
