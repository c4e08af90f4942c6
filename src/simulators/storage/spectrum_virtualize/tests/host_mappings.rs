//! What the world notices when a volume is mapped to a host object, or taken away.

use super::*;
use crate::simulators::hmc::start_by_hand;
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::coupling::seen_disks;

/// CLONE1 with a virtual Fibre Channel adapter and a host object of its own.
fn npiv_world() -> World {
    world(|file| {
        let partitions = file.console.partitions.iter_mut();
        for clone in partitions.filter(|p| p.name == "CLONE1") {
            clone.scsi.clear();
            let adapter =
                "[{ slot: 30, vios: VIOS1, wwpns: [c050760a1b2c0120, c050760a1b2c0121] }]";
            clone.fibre_channel = serde_saphyr::from_str(adapter).unwrap();
        }
        for vios in file.array.hosts.iter_mut().filter(|h| h.name != "PROD") {
            vios.volumes.clear();
        }
        let host = "{ name: LPAR1, wwpns: [c050760a1b2c0120, c050760a1b2c0121] }";
        file.array.hosts.push(serde_saphyr::from_str(host).unwrap());
    })
}

fn map(world: &mut World, volume: &str, host: &str, scsi: u32) -> Answer {
    let command = Command::new("mkvdiskhostmap", Some(volume))
        .with("host", host)
        .with("scsi", scsi.to_string());
    request(world, command)
}

fn kinds(world: &World) -> Vec<ViolationKind> {
    world.ledger.violations.iter().map(|v| v.kind).collect()
}

#[test]
fn a_mapping_changed_while_its_partition_is_on_is_a_violation() {
    let mut world = npiv_world();
    let answer = map(&mut world, "CLONE1_0", "LPAR1", 0);
    assert!(matches!(answer, Answer::Created { .. }));
    assert_eq!(kinds(&world), []);
    start_by_hand(&mut world, "CLONE1");
    let _ = map(&mut world, "CLONE1_1", "LPAR1", 1);
    let _ = unmap(&mut world, "CLONE1_0", "LPAR1");
    assert_eq!(kinds(&world), [ViolationKind::MappingWhileRunning; 2]);
}

#[test]
fn a_host_of_production_is_never_to_be_changed() {
    let mut world = npiv_world();
    let _ = map(&mut world, "CLONE1_0", "PROD", 9);
    assert!(kinds(&world).contains(&ViolationKind::SourceHostChanged));
}

#[test]
fn targets_of_two_groups_at_one_partition_are_a_violation() {
    let mut world = npiv_world();
    let _ = map(&mut world, "CLONE1_0", "LPAR1", 0);
    let _ = map(&mut world, "CLONE2_0", "LPAR1", 1);
    assert_eq!(kinds(&world), [ViolationKind::TwoTargetSets]);
}

#[test]
fn a_second_host_needs_force_and_force_is_a_violation() {
    let mut world = npiv_world();
    let _ = map(&mut world, "CLONE1_0", "LPAR1", 0);
    let refused = map(&mut world, "CLONE1_0", "VIOS1", 0);
    assert_eq!(code(refused), "CMMVC6071E");
    let command = Command::new("mkvdiskhostmap", Some("CLONE1_0"))
        .with("host", "VIOS1")
        .with("force", true);
    let _ = request(&mut world, command);
    assert_eq!(kinds(&world), [ViolationKind::ForcedMapping]);
}

#[test]
fn a_partition_sees_its_disks_only_through_a_vios_that_connects_it() {
    let mut world = npiv_world();
    let _ = map(&mut world, "CLONE1_0", "LPAR1", 0);
    assert_eq!(seen_disks(&world, "CLONE1").len(), 1);
    let clone = world.console.partitions.get_mut("CLONE1").unwrap();
    clone.fibre_channel[0].connected = false;
    assert_eq!(seen_disks(&world, "CLONE1").len(), 0);
}
