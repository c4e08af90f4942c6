//! Single maps, background copies, deletion: what the table of the states does not say (`storage-virtualize.md` § 3).

use chrono::TimeDelta;
use ibmi_clone_operator::simulators::ledger::ViolationKind;
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::{Answer, Command, request};
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::simulators::world::file::WorldFile;

const STATES: [&str; 7] = [
    "idle_or_copied",
    "preparing",
    "prepared",
    "copying",
    "stopping",
    "stopped",
    "suspended",
];

/// The group CLONE1 with one map.
fn world(edit: impl FnOnce(&mut WorldFile)) -> World {
    let mut file = super::file();
    file.array.groups[0].maps.truncate(1);
    edit(&mut file);
    World::from_file(&file).unwrap()
}

fn in_state(state: &str) -> World {
    world(|w| w.array.groups[0].maps[0].state = Some(state.to_owned()))
}

fn state_of(world: &World) -> &'static str {
    let map = world.array.maps.values().find(|m| m.name == "m0");
    map.map_or("gone", |m| m.state.as_str())
}

#[test]
fn maps_outlive_their_group_keep_its_state_and_answer_as_it_did() {
    for state in STATES {
        for (verb, flag) in [
            ("prestart", "restore"),
            ("start", "restore"),
            ("start", "prep"),
            ("stop", "split"),
        ] {
            let mut grouped = in_state(state);
            let command = Command::new(&format!("{verb}fcconsistgrp"), Some("CLONE1"));
            let expected = request(&mut grouped, command.with(flag, true));

            let mut alone = in_state(state);
            let apart = Command::new("rmfcconsistgrp", Some("CLONE1")).with("force", true);
            assert_eq!(request(&mut alone, apart), Answer::Nothing);
            assert_eq!(state_of(&alone), state);
            let command = Command::new(&format!("{verb}fcmap"), Some("m0"));
            let answer = request(&mut alone, command.with(flag, true));
            assert_eq!(answer, expected, "{state}: {verb} -{flag}");
            assert_eq!(
                state_of(&alone),
                state_of(&grouped),
                "{state}: {verb} -{flag}"
            );
        }
    }
}

fn run(world: &mut World, seconds: i64) {
    let to = world.now + TimeDelta::seconds(seconds);
    world.advance(to);
}

fn done(world: &mut World, verb: &str, object: &str) {
    let answer = request(world, Command::new(verb, Some(object)));
    assert_eq!(answer, Answer::Nothing, "{verb} {object}");
}

#[test]
fn a_map_with_copy_rate_0_stays_copying_for_ever() {
    let mut world = in_state("prepared");
    done(&mut world, "startfcconsistgrp", "CLONE1");
    run(&mut world, 400 * 24 * 3600);
    assert_eq!(state_of(&world), "copying");
}

#[test]
fn a_copy_of_250_gib_at_rate_50_takes_about_35_hours() {
    let mut world = world(|w| {
        w.array.volumes[0].gib = 250;
        w.array.volumes[2].gib = 250;
        w.array.groups[0].maps[0].copy_rate = 50;
        w.array.groups[0].maps[0].state = Some("prepared".to_owned());
    });
    done(&mut world, "startfcconsistgrp", "CLONE1");
    run(&mut world, 35 * 3600);
    assert_eq!(state_of(&world), "copying");
    run(&mut world, 3600);
    assert_eq!(state_of(&world), "idle_or_copied");
    // Complete: a stop now keeps the target.
    done(&mut world, "stopfcconsistgrp", "CLONE1");
    assert_eq!(state_of(&world), "idle_or_copied");
}

#[test]
fn a_map_that_deletes_itself_is_gone_at_100_percent() {
    let mut world = world(|w| {
        w.array.groups[0].maps[0].copy_rate = 150;
        w.array.groups[0].maps[0].autodelete = true;
        w.array.groups[0].maps[0].state = Some("prepared".to_owned());
    });
    done(&mut world, "startfcconsistgrp", "CLONE1");
    run(&mut world, 3600);
    assert_eq!(state_of(&world), "gone");
}

#[test]
fn a_stop_with_force_takes_the_dependants_content_and_is_a_violation() {
    let mut world = world(|w| {
        let mut older = w.array.groups[0].maps[0].clone();
        older.name = "older".to_owned();
        older.target = "OLD_0".to_owned();
        older.state = Some("copying".to_owned());
        w.array.groups[1].maps.push(older);
    });
    done(&mut world, "prestartfcconsistgrp", "CLONE1");
    run(&mut world, 3);
    done(&mut world, "startfcconsistgrp", "CLONE1");
    let stop = Command::new("stopfcconsistgrp", Some("CLONE1")).with("force", true);
    assert_eq!(request(&mut world, stop), Answer::Nothing);
    let kinds: Vec<ViolationKind> = world.ledger.violations.iter().map(|v| v.kind).collect();
    assert_eq!(kinds, [ViolationKind::ForcedStop]);
}

#[test]
fn a_group_with_maps_is_deleted_by_force_only_and_an_empty_one_as_it_is() {
    let mut world = world(|_| ());
    let answer = request(&mut world, Command::new("rmfcconsistgrp", Some("CLONE1")));
    assert!(matches!(answer, Answer::Refused { .. }));
    done(&mut world, "rmfcconsistgrp", "SPARE");
}

#[test]
fn the_target_is_lost_from_prepare_on_and_readable_again_from_start_on() {
    use ibmi_clone_operator::simulators::storage::spectrum_virtualize::access;
    use ibmi_clone_operator::simulators::world::coupling::DiskAccess;
    let mut world = world(|_| ());
    let target = world.array.vdisks.values().find(|v| v.name == "CLN_0");
    let uid = target.unwrap().uid.clone();
    let usable = |w: &World| access(w, &uid) == DiskAccess::Usable;
    assert!(usable(&world));
    done(&mut world, "prestartfcconsistgrp", "CLONE1");
    assert!(!usable(&world), "preparing");
    run(&mut world, 3);
    assert!(!usable(&world), "prepared");
    done(&mut world, "startfcconsistgrp", "CLONE1");
    assert!(usable(&world), "copying");
    done(&mut world, "stopfcconsistgrp", "CLONE1");
    assert!(!usable(&world), "stopped");
}
