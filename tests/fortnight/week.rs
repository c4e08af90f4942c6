//! The product's own week, beside the other site: the environments of `examples/` as they are shipped, with their cron
//! lines, on the demo's devices. Changed are the ports, and what a clock that passes an hour in a second would break.

use super::{Row, at, days};
use chrono::{DateTime, Utc};
use ibmi_clone_operator::commands::demo::week::{self, dynamic, secrets};
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::ibmi::brms::{BrmsState, state_of};
use ibmi_clone_operator::simulators::ibmi::disk_of;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use kube::api::DynamicObject;
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

/// What a person works out from the cron lines of the examples, with summer time until 25 October, 03:00.
pub fn expected() -> BTreeSet<String> {
    let nights = |first: &str| days(first, 5);
    let both = |summer: Vec<DateTime<Utc>>, winter: Vec<DateTime<Utc>>| [summer, winter].concat();
    let mut slots = vec![
        // Midnight before Monday to Friday. The last of its images was ended by the Sunday's, which takes the same disks.
        (
            "nightly-brms",
            both(
                nights("2026-10-18T22:00:00Z"),
                nights("2026-10-25T23:00:00Z"),
            ),
            "END_FC",
        ),
        // Midnight before Saturday: the last one is the test system of the week to come.
        (
            "weekly-test",
            vec![at("2026-10-23T22:00:00Z"), at("2026-10-30T23:00:00Z")],
            "BRMS_END",
        ),
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

/// Every run is a full success. But a night's save may reach into the morning, when an hour is a second: then the copy of
/// 07:00 is taken while production's BRMS is frozen, and must say so.
pub fn full_success(rows: &[Row]) {
    let mut early = 0;
    for row in rows {
        let message = row.message.as_deref().unwrap_or_default();
        let says_so = row.environment == "midday-hold" && message.contains("FlashCopy process");
        let fine = row.phase == Phase::Succeeded || (row.phase == Phase::Warning && says_so);
        assert!(fine, "{row:?}");
        early += usize::from(row.phase == Phase::Warning);
    }
    println!("{early} copies of 07:00 were taken before the night's history was back");
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
