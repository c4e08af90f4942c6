//! The hypervisor's rules (`hmc.md` § 7).

use super::*;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::vios;
use crate::simulators::world::file::WorldFile;
use crate::simulators::world::{Content, World, coupling};
use chrono::TimeDelta;

fn world() -> World {
    let text = include_str!("../../../examples/demo/world.yaml");
    let mut file: WorldFile = serde_saphyr::from_str(text).unwrap();
    file.start = Some("2026-11-24T08:00:00Z".parse().unwrap());
    World::from_file(&file).unwrap()
}

fn pass(world: &mut World, milliseconds: u64) {
    let now = world.now + TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap());
    world.advance(now);
}

fn state(world: &World, partition: &str) -> &'static str {
    world.console.partitions[partition].state.as_str()
}

fn result(world: &World, job: u64) -> &str {
    &world.console.jobs[&job].result
}

/// Maps the disks of CLONE1 through both VIOSes and lays a copy of production on them.
fn with_image(world: &mut World) {
    for server in ["VIOS1", "VIOS2"] {
        let disks: Vec<String> = world.vioses[server]
            .hdisks
            .iter()
            .filter(|d| d.uid.is_some())
            .take(4)
            .map(|d| d.name.clone())
            .collect();
        for (n, disk) in disks.iter().enumerate() {
            let line = format!("mkvdev -vdev {disk} -vadapter vhost3 -dev c1_{n:02}");
            assert_eq!(vios::command(world, server, &line).status, 0, "{line}");
        }
    }
    let uid = |world: &World, name: &str| {
        let mut volumes = world.array.vdisks.values();
        volumes.find(|v| v.name == name).unwrap().uid.clone()
    };
    let pairs: Vec<_> = (0..4)
        .map(|n| {
            let source = uid(world, &format!("PROD_{n}"));
            (source, uid(world, &format!("CLONE1_{n}")))
        })
        .collect();
    coupling::copy_started(world, &pairs);
    // Not this test's subject: production was not suspended for it.
    world.ledger.violations.clear();
}

#[test]
fn an_activation_goes_through_starting_to_running_and_its_codes_end_in_zeros() {
    let mut w = world();
    with_image(&mut w);
    power_on(&mut w, "CLONE1", Some("CLONE_PRF"), Some(false), Some('b'));
    let mut codes = vec![reference_code(&w, "CLONE1")];
    assert_eq!(state(&w, "CLONE1"), "starting");
    for _ in 0..400 {
        pass(&mut w, 1_000);
        let code = reference_code(&w, "CLONE1");
        if codes.last() != Some(&code) {
            codes.push(code);
        }
    }
    assert_eq!(state(&w, "CLONE1"), "running");
    let classes: Vec<&str> = codes.iter().map(|c| &c[..2]).collect();
    assert_eq!(classes.first(), Some(&"C2"));
    let place = |class: &str| classes.iter().rposition(|c| *c == class);
    assert!(place("C6") > place("C2"), "{codes:?}");
    assert!(place("C9") > place("C6"), "{codes:?}");
    assert!(codes.iter().any(|c| c == "00000000"), "{codes:?}");
    assert_eq!(w.ledger.effect_count("ibmi.CLONE1.IPL"), 1);
}

#[test]
fn an_immediate_power_off_takes_its_time_and_ends_not_activated() {
    let mut w = world();
    power_on(&mut w, "CLONE1", None, None, None);
    pass(&mut w, 6_000);
    power_off(&mut w, "CLONE1");
    assert_eq!(state(&w, "CLONE1"), "shutting down");
    assert!(reference_code(&w, "CLONE1").starts_with("D2"));
    pass(&mut w, 19_999);
    assert!(is_on(&w, "CLONE1"));
    pass(&mut w, 1);
    assert_eq!(state(&w, "CLONE1"), "not activated");
    assert_eq!(reference_code(&w, "CLONE1"), "00000000");
}

#[test]
fn an_orderly_power_off_shows_the_operating_system_then_lic_then_the_partition() {
    let mut w = world();
    with_image(&mut w);
    let early = power_off_how(&mut w, "CLONE1", PowerOff::OperatingSystem);
    assert!(result(&w, early).starts_with("HSCL1558"));
    power_on(&mut w, "CLONE1", None, None, None);
    let early = power_off_how(&mut w, "CLONE1", PowerOff::OperatingSystem);
    assert!(result(&w, early).starts_with("HSCL0DB4"), "not yet running");
    pass(&mut w, 400_000);
    power_off_how(&mut w, "CLONE1", PowerOff::OperatingSystem);
    let mut classes = Vec::new();
    while is_on(&w, "CLONE1") {
        classes.push(reference_code(&w, "CLONE1")[..2].to_owned());
        pass(&mut w, 5_000);
    }
    classes.dedup();
    assert_eq!(classes, ["D9", "D6", "D2"]);
}

#[test]
fn the_operating_system_of_a_vios_is_not_shut_down_without_rmc() {
    let mut w = world();
    let job = |w: &mut World| power_off_how(w, "VIOS2", PowerOff::OperatingSystem);
    w.vioses.get_mut("VIOS2").unwrap().rmc = false;
    let refused = job(&mut w);
    assert!(result(&w, refused).starts_with("HSCL0DB4"));
    assert_eq!(state(&w, "VIOS2"), "running");
    w.vioses.get_mut("VIOS2").unwrap().rmc = true;
    job(&mut w);
    assert_eq!(state(&w, "VIOS2"), "shutting down");
}

#[test]
fn a_restart_never_shows_the_partition_off() {
    let mut w = world();
    with_image(&mut w);
    for how in [PowerOff::ImmediateRestart, PowerOff::DumpRestart] {
        if !is_on(&w, "CLONE1") {
            power_on(&mut w, "CLONE1", None, None, None);
        }
        pass(&mut w, 400_000);
        power_off_how(&mut w, "CLONE1", how);
        for _ in 0..80 {
            assert!(is_on(&w, "CLONE1"));
            pass(&mut w, 1_000);
        }
        assert_eq!(state(&w, "CLONE1"), "running");
    }
    assert_eq!(w.ledger.effect_count("hmc.PowerOff.CLONE1"), 0);
}

#[test]
fn a_manual_keylock_stops_at_the_console_and_never_reaches_the_end() {
    let mut w = world();
    with_image(&mut w);
    power_on(&mut w, "CLONE1", None, Some(true), None);
    pass(&mut w, 7_000);
    pass(&mut w, 4 * 3_600_000);
    assert_eq!(state(&w, "CLONE1"), "running");
    assert!(reference_code(&w, "CLONE1").starts_with("A6"));
}

#[test]
fn an_ipl_looks_at_the_disks() {
    let finding = |prepare: fn(&mut World)| {
        let mut w = world();
        with_image(&mut w);
        prepare(&mut w);
        power_on(&mut w, "CLONE1", None, None, Some('b'));
        pass(&mut w, 7_000);
        (state(&w, "CLONE1"), reference_code(&w, "CLONE1"))
    };
    assert_eq!(finding(|_| {}).0, "running");
    let unmapped = |w: &mut World| {
        for server in ["VIOS1", "VIOS2"] {
            w.vioses.get_mut(server).unwrap().vtds.clear();
        }
    };
    assert_eq!(finding(unmapped), ("error", "B2003110".to_owned()));
    let never_copied = |w: &mut World| {
        for content in w.contents.values_mut() {
            *content = Content::Garbage;
        }
    };
    assert_eq!(finding(never_copied), ("error", "B2003120".to_owned()));
    let one_missing = |w: &mut World| {
        for server in ["VIOS1", "VIOS2"] {
            w.vioses.get_mut(server).unwrap().vtds.truncate(3);
        }
    };
    assert_eq!(finding(one_missing).0, "error");
}

#[test]
fn ipl_source_d_without_media_fails_in_the_firmware() {
    let mut w = world();
    with_image(&mut w);
    power_on(&mut w, "CLONE1", None, None, Some('d'));
    pass(&mut w, 7_000);
    assert_eq!(state(&w, "CLONE1"), "error");
    assert!(reference_code(&w, "CLONE1").starts_with("B2"));
    assert_eq!(w.ledger.effect_count("ibmi.CLONE1.IPL"), 0);
}

#[test]
fn a_power_command_to_production_is_a_violation_whatever_comes_of_it() {
    let mut w = world();
    power_on(&mut w, "PROD", None, None, None);
    assert_eq!(w.ledger.effect_count("hmc.PowerOn.PROD"), 0, "it is on");
    let kinds: Vec<_> = w.ledger.violations.iter().map(|v| v.kind).collect();
    assert_eq!(kinds, [ViolationKind::PowerCommandToSource]);
}

#[test]
fn a_system_that_is_not_operating_refuses_power() {
    let mut w = world();
    w.console.systems[0].state = "no connection".into();
    for job in [
        power_on(&mut w, "CLONE1", None, None, None),
        change_keylock(&mut w, "CLONE1", true),
    ] {
        assert!(result(&w, job).starts_with("HSCL0238"));
    }
    assert!(!is_on(&w, "CLONE1"));
    assert_eq!(w.console.partitions["CLONE1"].keylock, "normal");
}

#[test]
fn during_a_reipl_the_console_may_show_off_for_a_while() {
    let mut w = world();
    w.knobs.off_during_reipl_milliseconds = 4_000;
    with_image(&mut w);
    power_on(&mut w, "CLONE1", None, None, None);
    pass(&mut w, 400_000);
    guest_power_down(&mut w, "CLONE1", true);
    let shown = |w: &World| role::shown_state(&w.console.partitions["CLONE1"]);
    assert_eq!(shown(&w), crate::site::PartitionState::NotActivated);
    pass(&mut w, 4_000);
    assert_eq!(shown(&w), crate::site::PartitionState::Starting);
    pass(&mut w, 10_000);
    assert_eq!(shown(&w), crate::site::PartitionState::Running);
}

#[test]
fn a_person_starts_what_is_off_and_nothing_else() {
    let mut w = world();
    start_by_hand(&mut w, "PROD");
    start_by_hand(&mut w, "CLONE1");
    assert_eq!(w.ledger.effect_count("person.start.PROD"), 0);
    assert_eq!(w.ledger.effect_count("person.start.CLONE1"), 1);
    assert_eq!(state(&w, "CLONE1"), "starting");
}

#[test]
fn a_fault_of_the_request_is_not_used_up_by_a_job() {
    let mut w = world();
    w.faults.add(Fault {
        device: Device::Hmc,
        name: String::new(),
        operation: String::new(),
        kind: FaultKind::Busy,
        times: 1,
    });
    power_on(&mut w, "CLONE1", None, None, None);
    assert!(w.faults.take(Device::Hmc, "hmc1", "GET /").is_some());
}

#[test]
fn a_partition_of_an_unknown_system_or_written_twice_is_named() {
    let file = || -> WorldFile {
        serde_saphyr::from_str(include_str!("../../../examples/demo/world.yaml")).unwrap()
    };
    let error = |file: &WorldFile| World::from_file(file).err().unwrap();
    let mut wrong = file();
    wrong.console.partitions[3].system = "P99".into();
    let text = error(&wrong);
    assert!(text.contains("CLONE1") && text.contains("P99"), "{text}");
    let mut wrong = file();
    wrong.console.partitions[4].name = "CLONE1".into();
    assert!(error(&wrong).contains("CLONE1"));
}
