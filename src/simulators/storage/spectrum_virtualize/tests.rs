//! Volume protection, lost volumes and full pools, with the array's refusals.

mod host_mappings;

use super::{Answer, Command, request};
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::hmc::{power_off, power_on};
use crate::simulators::world::World;
use crate::simulators::world::coupling::{IplFinding, find_system};
use crate::simulators::world::file::WorldFile;
use chrono::TimeDelta;

fn world(change: impl FnOnce(&mut WorldFile)) -> World {
    let text = include_str!("../../../../examples/demo/world.yaml");
    let mut file: WorldFile = serde_saphyr::from_str(text).unwrap();
    file.start = Some("2026-11-24T08:00:00Z".parse().unwrap());
    change(&mut file);
    World::from_file(&file).unwrap()
}

fn pass(world: &mut World, seconds: i64) {
    let now = world.now + TimeDelta::seconds(seconds);
    world.advance(now);
}

fn fault(world: &mut World, operation: &str, word: &str) {
    world.faults.add(Fault {
        device: Device::Array,
        name: String::new(),
        operation: operation.to_owned(),
        kind: FaultKind::Special(word.to_owned()),
        times: 1,
    });
}

fn code(answer: Answer) -> String {
    match answer {
        Answer::Refused { code, .. } => code,
        other => format!("{other:?}"),
    }
}

fn on_group(world: &mut World, verb: &str) -> Answer {
    request(world, Command::new(verb, Some("CLONE1")))
}

/// The copy of CLONE1 exists.
fn copied(world: &mut World) {
    assert_eq!(on_group(world, "prestartfcconsistgrp"), Answer::Nothing);
    pass(world, 30);
    assert_eq!(on_group(world, "startfcconsistgrp"), Answer::Nothing);
}

fn unmap(world: &mut World, volume: &str, host: &str) -> Answer {
    let command = Command::new("rmvdiskhostmap", Some(volume)).with("host", host);
    request(world, command)
}

/// A field of an object view.
fn field(world: &mut World, verb: &str, object: &str, name: &str) -> String {
    let command = Command::new(verb, Some(object)).with("bytes", true);
    let value = match request(world, command) {
        Answer::Object(o) => o[name].clone(),
        Answer::Sections(s) => {
            let found = s.iter().find_map(|section| section.get(name));
            found.unwrap_or_else(|| panic!("no {name}")).clone()
        }
        other => panic!("{other:?}"),
    };
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_volume_of_a_running_partition_is_protected_until_its_time_after_power_off_has_passed() {
    let mut world = world(|w| {
        w.array.protection_minutes = 15;
        for (vios, name) in w.vioses.iter_mut().zip(["a", "b"]) {
            vios.vtds = (0..4)
                .map(|n| {
                    serde_json::from_value(serde_json::json!({
                        "vhost": "vhost3", "vtd": format!("{name}{n}"), "volume": format!("CLONE1_{n}")}))
                    .unwrap()
                })
                .collect();
        }
    });
    copied(&mut world);
    power_on(&mut world, "CLONE1", Some("CLONE_PRF"), None, None);
    pass(&mut world, 10);
    assert!(world.systems["CLONE1"].image().is_some(), "it runs");
    pass(&mut world, 3_600);
    assert_eq!(code(unmap(&mut world, "CLONE1_0", "VIOS1")), "CMMVC8855E");
    power_off(&mut world, "CLONE1");
    pass(&mut world, 14 * 60);
    let refused = unmap(&mut world, "CLONE1_0", "VIOS1");
    assert_eq!(code(refused), "CMMVC8855E", "the last use counts");
    let sees = |w: &World| super::volumes_of_host(w, "VIOS1").len();
    assert_eq!(sees(&world), 8, "a refusal changes nothing");
    pass(&mut world, 61);
    assert_eq!(unmap(&mut world, "CLONE1_0", "VIOS1"), Answer::Nothing);
    assert_eq!(sees(&world), 7);
}

#[test]
fn production_s_volumes_are_protected_while_it_runs_and_without_protection_nothing_is() {
    let mut with = world(|w| w.array.protection_minutes = 15);
    pass(&mut with, 1);
    assert_eq!(code(unmap(&mut with, "PROD_0", "PROD")), "CMMVC8855E");
    // The clones are off, and nothing uses their volumes.
    assert_eq!(unmap(&mut with, "CLONE2_0", "VIOS1"), Answer::Nothing);
    let mut without = world(|_| {});
    pass(&mut without, 1);
    assert_eq!(unmap(&mut without, "PROD_0", "PROD"), Answer::Nothing);
}

#[test]
fn a_busy_host_keeps_its_volumes_protected_from_unmapping_and_from_deletion() {
    let mut world = world(|w| {
        w.array.protection_minutes = 15;
        w.array.groups.clear();
        let host =
            serde_json::json!({"name": "BUSY", "wwpns": [], "volumes": ["CLONE2_3"], "busy": true});
        w.array.hosts = vec![serde_json::from_value(host).unwrap()];
    });
    pass(&mut world, 7_200);
    assert_eq!(code(unmap(&mut world, "CLONE2_3", "BUSY")), "CMMVC8855E");
    let host = world.array.hosts.get_mut(&0).unwrap();
    host.busy = false;
    host.luns.clear();
    let delete = || Command::new("rmvdisk", Some("CLONE2_3")).with("force", true);
    assert_eq!(
        code(request(&mut world, delete())),
        "CMMVC8855E",
        "force does not help"
    );
    pass(&mut world, 15 * 60);
    assert_eq!(request(&mut world, delete()), Answer::Nothing);
}

#[test]
fn a_volume_that_a_fault_has_just_used_is_protected() {
    let mut world = world(|w| w.array.protection_minutes = 15);
    fault(&mut world, "rmvdiskhostmap", "io:CLONE1_0");
    assert_eq!(code(unmap(&mut world, "CLONE1_0", "VIOS1")), "CMMVC8855E");
    pass(&mut world, 15 * 60);
    assert_eq!(unmap(&mut world, "CLONE1_0", "VIOS1"), Answer::Nothing);
}

#[test]
fn an_offline_target_stops_its_mapping_and_only_that_until_it_is_back() {
    let mut world = world(|_| {});
    copied(&mut world);
    fault(&mut world, "lsfcconsistgrp", "offline:CLONE1_1");
    on_group(&mut world, "lsfcconsistgrp");
    assert_eq!(field(&mut world, "lsfcmap", "C1MAP_1", "status"), "stopped");
    assert_eq!(field(&mut world, "lsfcmap", "C1MAP_0", "status"), "copying");
    assert_eq!(
        field(&mut world, "lsvdisk", "CLONE1_1", "status"),
        "offline"
    );
    assert_eq!(field(&mut world, "lsvdisk", "PROD_1", "status"), "online");
    // A prepare of the whole group flushes, and the mapping of the lost target is stopped again.
    assert_eq!(on_group(&mut world, "stopfcconsistgrp"), Answer::Nothing);
    assert_eq!(
        on_group(&mut world, "prestartfcconsistgrp"),
        Answer::Nothing
    );
    pass(&mut world, 30);
    assert_eq!(
        code(on_group(&mut world, "startfcconsistgrp")),
        "CMMVC5908E"
    );
    fault(&mut world, "", "online:CLONE1_1");
    assert_eq!(on_group(&mut world, "stopfcconsistgrp"), Answer::Nothing);
    copied(&mut world);
    assert_eq!(field(&mut world, "lsfcmap", "C1MAP_1", "status"), "copying");
}

#[test]
fn a_lost_source_suspends_its_mapping_and_the_copy_goes_on_when_it_is_back() {
    let mut world = world(|_| {});
    copied(&mut world);
    fault(&mut world, "", "offline:PROD_2");
    on_group(&mut world, "lsfcconsistgrp");
    assert_eq!(
        field(&mut world, "lsfcmap", "C1MAP_2", "status"),
        "suspended"
    );
    assert_eq!(
        code(on_group(&mut world, "prestartfcconsistgrp")),
        "CMMVC5903E"
    );
    fault(&mut world, "", "online:PROD_2");
    assert_eq!(field(&mut world, "lsfcmap", "C1MAP_2", "status"), "copying");
    fault(&mut world, "", "suspend:C1MAP_0");
    assert_eq!(
        field(&mut world, "lsfcmap", "C1MAP_0", "status"),
        "suspended"
    );
}

#[test]
fn a_clone_does_not_find_its_system_on_an_offline_disk() {
    let mut world = world(|w| {
        w.vioses[0].vtds = (0..4)
            .map(|n| {
                serde_json::from_value(serde_json::json!({
                    "vhost": "vhost3", "vtd": format!("d{n}"), "volume": format!("CLONE1_{n}")}))
                .unwrap()
            })
            .collect();
    });
    copied(&mut world);
    assert!(matches!(
        find_system(&world, "CLONE1"),
        IplFinding::System(_)
    ));
    fault(&mut world, "", "offline:CLONE1_3");
    on_group(&mut world, "lsfcconsistgrp");
    let IplFinding::Failed {
        reference_code,
        text,
    } = find_system(&world, "CLONE1")
    else {
        panic!("an offline disk was read");
    };
    assert_eq!(reference_code, "B6000103");
    assert!(text.contains("CLONE1_3 is offline"), "{text}");
}

#[test]
fn a_copy_s_growth_fills_the_pool_and_costs_the_copy_but_never_production() {
    let mut world = world(|w| {
        w.array.pools[0].gib = 1_000;
        w.array.pools[0].used_percent = 90;
        w.array.growth_per_mille = 10;
    });
    copied(&mut world);
    let free = |w: &mut World| -> u64 {
        let free = field(w, "lsmdiskgrp", "POOL0", "free_capacity");
        free.parse().unwrap()
    };
    let start = free(&mut world);
    pass(&mut world, 5 * 60);
    let later = free(&mut world);
    assert!(later < start && later > 0, "{start} {later}");
    assert_eq!(field(&mut world, "lsfcmap", "C1MAP_0", "status"), "copying");
    pass(&mut world, 10 * 60);
    assert_eq!(free(&mut world), 0);
    for n in 0..4 {
        let map = format!("C1MAP_{n}");
        assert_eq!(field(&mut world, "lsfcmap", &map, "status"), "stopped");
        let (target, source) = (format!("CLONE1_{n}"), format!("PROD_{n}"));
        assert_eq!(field(&mut world, "lsvdisk", &target, "status"), "offline");
        assert_eq!(field(&mut world, "lsvdisk", &source, "status"), "online");
    }
    assert_eq!(
        code(on_group(&mut world, "startfcconsistgrp")),
        "CMMVC5908E"
    );
    // The next prepare discards what the targets hold: there is room again.
    copied(&mut world);
    assert_eq!(field(&mut world, "lsfcmap", "C1MAP_0", "status"), "copying");
    assert!(free(&mut world) > 0);
}

#[test]
fn a_full_data_reduction_pool_takes_its_sources_too() {
    let mut world = world(|w| w.array.pools[0].data_reduction = true);
    copied(&mut world);
    fault(&mut world, "lsmdiskgrp", "fill:POOL0:100");
    request(&mut world, Command::new("lsmdiskgrp", None));
    assert_eq!(field(&mut world, "lsvdisk", "PROD_0", "status"), "offline");
    assert_eq!(
        field(&mut world, "lsfcmap", "C1MAP_0", "status"),
        "suspended"
    );
    fault(&mut world, "lsmdiskgrp", "fill:POOL0:50");
    request(&mut world, Command::new("lsmdiskgrp", None));
    assert_ne!(
        field(&mut world, "lsmdiskgrp", "POOL0", "free_capacity"),
        "0"
    );
    assert_eq!(
        code(on_group(&mut world, "prestartfcconsistgrp")),
        "CMMVC5904E"
    );
}

#[test]
fn a_stopped_target_keeps_the_space_it_used_until_the_next_prepare() {
    let mut world = world(|_| {});
    copied(&mut world);
    pass(&mut world, 600);
    let used = |w: &mut World| field(w, "lsvdisk", "CLONE1_0", "used_capacity");
    let before = used(&mut world);
    assert_ne!(before, "0");
    on_group(&mut world, "stopfcconsistgrp");
    pass(&mut world, 600);
    assert_eq!(used(&mut world), before);
    on_group(&mut world, "prestartfcconsistgrp");
    assert_eq!(used(&mut world), "0");
}

#[test]
fn a_background_copy_fills_a_thin_target() {
    let mut world = world(|w| w.array.groups[0].maps[0].copy_rate = 150);
    copied(&mut world);
    pass(&mut world, 60);
    let used = |w: &mut World, v: &str| -> u64 {
        field(w, "lsvdisk", v, "used_capacity").parse().unwrap()
    };
    assert!(used(&mut world, "CLONE1_0") > 20 * used(&mut world, "CLONE1_1"));
}
