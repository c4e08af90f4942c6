//! The table of `storage-virtualize.md` § 3.4, written out a second time: state × command → next state or code.

use super::file;
use ibmi_clone_operator::simulators::faults::{Device, Fault, FaultKind};
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::{
    Answer, Command, MapState, request,
};
use ibmi_clone_operator::simulators::world::World;
use std::time::Duration;

/// What a command does to a map.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// Accepted; the map is then in this state.
    To(MapState),
    /// Accepted; the map is gone.
    Gone,
    /// Refused with this code, nothing changed.
    Code(&'static str),
    /// Refused; the page names no code.
    No,
}
use MapState::{Copying, IdleOrCopied, Prepared, Preparing, Stopped, Stopping, Suspended};
use Outcome::{Code, Gone, No, To};

const COMMANDS: [(&str, Option<&str>); 6] = [
    ("prestartfcconsistgrp", None),
    ("startfcconsistgrp", None),
    ("startfcconsistgrp", Some("prep")),
    ("stopfcconsistgrp", None),
    ("rmfcmap", None),
    ("rmfcmap", Some("force")),
];

#[rustfmt::skip]
const TABLE: [(MapState, [Outcome; 6]); 7] = [
    //               prestart             start                start -prep          stop                 rmfcmap              rmfcmap -force
    (IdleOrCopied, [To(Preparing),       Code("CMMVC5905E"),  To(Preparing),       To(IdleOrCopied),    Gone,                Gone]),
    (Preparing,    [Code("CMMVC5901E"),  Code("CMMVC5906E"),  No,                  Code("CMMVC5911E"),  Code("CMMVC5896E"),  No]),
    (Prepared,     [Code("CMMVC5902E"),  To(Copying),         No,                  To(Stopped),         Code("CMMVC5897E"),  No]),
    (Copying,      [Code("CMMVC5903E"),  Code("CMMVC5907E"),  Code("CMMVC5907E"),  To(Stopped),         Code("CMMVC5898E"),  No]),
    (Stopping,     [No,                  No,                  No,                  To(Stopping),        No,                  No]),
    (Stopped,      [To(Preparing),       Code("CMMVC5908E"),  To(Preparing),       Code("CMMVC5912E"),  Code("CMMVC5899E"),  Gone]),
    (Suspended,    [Code("CMMVC5904E"),  Code("CMMVC5909E"),  No,                  To(Stopped),         Code("CMMVC5900E"),  No]),
];

fn world_with(states: [MapState; 2]) -> World {
    let mut file = file();
    for (map, state) in file.array.groups[0].maps.iter_mut().zip(states) {
        map.state = Some(state.as_str().to_owned());
    }
    World::from_file(&file).unwrap()
}

fn states(world: &World) -> Vec<MapState> {
    world.array.maps.values().map(|m| m.state).collect()
}

fn send(world: &mut World, verb: &str, flag: Option<&str>) -> Answer {
    let object = if verb == "rmfcmap" { "m0" } else { "CLONE1" };
    let command = Command::new(verb, Some(object));
    request(
        world,
        match flag {
            Some(flag) => command.with(flag, true),
            None => command,
        },
    )
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let mut checked = 0;
    for (state, row) in TABLE {
        for ((verb, flag), outcome) in COMMANDS.into_iter().zip(row) {
            let mut world = world_with([state, state]);
            let answer = send(&mut world, verb, flag);
            let what = format!("{} + {verb} {flag:?}: {answer:?}", state.as_str());
            match outcome {
                To(next) => {
                    assert_eq!(answer, Answer::Nothing, "{what}");
                    assert_eq!(states(&world), [next, next], "{what}");
                }
                Gone => {
                    assert_eq!(answer, Answer::Nothing, "{what}");
                    assert_eq!(states(&world), [state], "{what}");
                }
                Code(_) | No => {
                    let Answer::Refused { code, .. } = answer else {
                        panic!("accepted: {what}");
                    };
                    if let Code(wanted) = outcome {
                        assert_eq!(code, wanted, "{what}");
                    }
                    assert_eq!(states(&world), [state, state], "{what}");
                }
            }
            checked += 1;
        }
    }
    assert_eq!(checked, 42);
}

#[test]
fn start_with_prep_flushes_and_then_starts_by_itself() {
    let mut world = world_with([IdleOrCopied, IdleOrCopied]);
    send(&mut world, "startfcconsistgrp", Some("prep"));
    assert_eq!(states(&world), [Preparing, Preparing]);
    world.advance(world.now + Duration::from_secs(3));
    assert_eq!(states(&world), [Copying, Copying]);
}

#[test]
fn a_flush_ends_in_prepared_and_a_failed_one_in_stopped() {
    let mut world = world_with([Stopped, Stopped]);
    send(&mut world, "prestartfcconsistgrp", None);
    world.advance(world.now + Duration::from_millis(2_999));
    assert_eq!(states(&world), [Preparing, Preparing]);
    world.advance(world.now + Duration::from_millis(1));
    assert_eq!(states(&world), [Prepared, Prepared]);

    let mut world = world_with([Stopped, Stopped]);
    world.faults.add(Fault {
        device: Device::Array,
        name: String::new(),
        operation: "prestartfcconsistgrp".to_owned(),
        kind: FaultKind::Special("flush-failed".to_owned()),
        times: 1,
    });
    send(&mut world, "prestartfcconsistgrp", None);
    world.advance(world.now + Duration::from_secs(3));
    assert_eq!(states(&world), [Stopped, Stopped]);
}

#[test]
fn a_background_copy_ends_idle_and_keeps_its_start_time() {
    let mut file = file();
    for map in &mut file.array.groups[0].maps {
        map.copy_rate = 100;
        map.state = Some("prepared".to_owned());
    }
    let mut world = World::from_file(&file).unwrap();
    send(&mut world, "startfcconsistgrp", None);
    // 200 GiB at 64 MiB a second is 3200 s; 100 GiB half of it.
    world.advance(world.now + Duration::from_secs(1_601));
    assert_eq!(states(&world), [IdleOrCopied, Copying]);
    assert_eq!(world.array.group_state(0), "copying");
    world.advance(world.now + Duration::from_secs(1_600));
    assert_eq!(states(&world), [IdleOrCopied, IdleOrCopied]);
    assert!(world.array.maps.values().all(|m| !m.start_time.is_empty()));
}

#[test]
fn a_start_that_one_map_forbids_starts_none() {
    let mut world = world_with([Prepared, Stopped]);
    let answer = send(&mut world, "startfcconsistgrp", None);
    assert!(matches!(answer, Answer::Refused { code, .. } if code == "CMMVC5908E"));
    assert_eq!(states(&world), [Prepared, Stopped]);
}

#[test]
fn a_stopped_map_does_not_protect_the_copying_ones_of_its_group_from_a_stop() {
    let mut world = world_with([Copying, Stopped]);
    assert_eq!(send(&mut world, "stopfcconsistgrp", None), Answer::Nothing);
    assert_eq!(states(&world), [Stopped, Stopped]);
}

#[test]
fn an_empty_group_and_a_member_by_itself_are_refused() {
    let mut world = world_with([IdleOrCopied, IdleOrCopied]);
    for verb in ["prestartfcconsistgrp", "startfcconsistgrp"] {
        let answer = request(&mut world, Command::new(verb, Some("SPARE")));
        assert!(matches!(answer, Answer::Refused { .. }), "{verb}");
    }
    for verb in ["prestartfcmap", "startfcmap", "stopfcmap"] {
        let answer = request(&mut world, Command::new(verb, Some("m0")));
        assert!(matches!(answer, Answer::Refused { .. }), "{verb}");
    }
    assert_eq!(states(&world), [IdleOrCopied, IdleOrCopied]);
}
