//! The VIOS's rules and the form of what it prints (`hmc.md` §§ 5, 7), read back by the driver's own parsers where the
//! form matters.

use super::*;
use crate::drivers::vios::unique_id::UniqueId;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::file::WorldFile;
use proptest::prelude::*;

fn world_with(change: impl FnOnce(&mut WorldFile)) -> World {
    let text = include_str!("../../../examples/demo/world.yaml");
    let mut file: WorldFile = serde_saphyr::from_str(text).unwrap();
    change(&mut file);
    World::from_file(&file).unwrap()
}

fn world() -> World {
    world_with(|_| {})
}

fn run(world: &mut World, line: &str) -> Output {
    command(world, "VIOS1", line)
}

fn ok(world: &mut World, line: &str) -> String {
    let output = run(world, line);
    assert_eq!(output.status, 0, "{line}: {}", output.text);
    output.text
}

fn refused(world: &mut World, line: &str) -> String {
    let output = run(world, line);
    assert_ne!(output.status, 0, "{line}: {}", output.text);
    output.text
}

#[test]
fn every_disk_has_an_identity_of_the_grammar_and_array_disks_the_arrays() {
    let mut w = world_with(|f| f.vioses[0].internal_disks = 3);
    let disks = w.vioses["VIOS1"].hdisks.clone();
    assert_eq!(disks.len(), 3 + 8);
    for disk in disks {
        let text = ok(&mut w, &format!("lsdev -dev {} -attr unique_id", disk.name));
        let value = text.strip_prefix("value\n\n").unwrap().trim();
        let id = UniqueId::parse(value).unwrap_or_else(|| panic!("{value}"));
        if disk.uid.is_some() {
            assert_eq!(id.storage_uid(), disk.uid);
        }
    }
}

#[test]
fn numbers_of_one_disk_differ_between_vioses() {
    let w = world();
    let number = |vios: &str| {
        let disks = &w.vioses[vios].hdisks;
        disks.iter().find(|d| d.uid.is_some()).unwrap().name.clone()
    };
    assert_ne!(number("VIOS1"), number("VIOS2"));
}

#[test]
fn a_disk_that_was_removed_or_unconfigured_comes_back_with_cfgdev_only() {
    let mut w = world();
    ok(&mut w, "rmdev -dev hdisk1");
    assert!(!ok(&mut w, "lspv").contains("hdisk1 "));
    ok(&mut w, "rmdev -dev hdisk2 -ucfg");
    let list = ok(&mut w, "lsdev -type disk -field name status -fmt :");
    assert!(list.contains("hdisk2:Defined\n"), "{list}");
    let text = refused(&mut w, "mkvdev -vdev hdisk2 -vadapter vhost3 -dev a");
    assert!(text.contains("AVAILABLE"), "{text}");
    ok(&mut w, "cfgdev");
    let list = ok(&mut w, "lsdev -type disk -field name status -fmt :");
    assert!(list.contains("hdisk2:Available\n"), "{list}");
    assert!(list.contains("hdisk9:Available\n"), "a new number: {list}");
}

#[test]
fn a_disk_behind_a_device_is_not_mapped_again_without_force_and_force_is_a_violation() {
    let mut w = world();
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a");
    let text = refused(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost4 -dev b");
    assert!(text.contains("\"hdisk1\" is already being used as a backing device"));
    assert_eq!(w.ledger.violations, Vec::new());
    ok(&mut w, "mkvdev -f -vdev hdisk1 -vadapter vhost4 -dev b");
    assert_eq!(w.ledger.violations[0].kind, ViolationKind::ForcedMapping);
}

#[test]
fn mkvdev_says_no_to_what_a_vios_says_no_to() {
    let mut w = world();
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev taken");
    for (line, word) in [
        ("mkvdev -vdev hdisk2 -vadapter vhost9 -dev a", "vhost9"),
        ("mkvdev -vdev hdisk99 -vadapter vhost3 -dev a", "AVAILABLE"),
        ("mkvdev -vdev hdisk0 -vadapter vhost3 -dev a", "olume group"),
        ("mkvdev -vdev hdisk2 -vadapter vhost3 -dev taken", "taken"),
        (
            "mkvdev -vdev hdisk2 -vadapter vhost3 -dev sixteen_letters_",
            "15",
        ),
        ("mkvdev -vdev hdisk2", "usage"),
    ] {
        let text = refused(&mut w, line);
        assert!(text.contains(word), "{line}: {text}");
    }
    assert_eq!(w.vioses["VIOS1"].vtds.len(), 1);
}

#[test]
fn mapping_and_unmapping_under_a_client_that_is_on_is_done_and_is_a_violation() {
    let mut w = world();
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a");
    assert_eq!(w.ledger.violations, Vec::new());
    hmc::start_by_hand(&mut w, "CLONE1");
    ok(&mut w, "rmvdev -vtd a");
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a");
    let kinds: Vec<_> = w.ledger.violations.iter().map(|v| v.kind).collect();
    assert_eq!(kinds, [ViolationKind::MappingWhileRunning; 2]);
}

#[test]
fn luns_count_up_in_the_order_of_mapping_and_holes_are_filled() {
    let mut w = world();
    for n in 1..4 {
        let line = format!("mkvdev -vdev hdisk{n} -vadapter vhost3 -dev v{n}");
        ok(&mut w, &line);
    }
    ok(&mut w, "rmvdev -vtd v1");
    ok(&mut w, "mkvdev -vdev hdisk4 -vadapter vhost3 -dev v4");
    let text = ok(&mut w, "lsmap -vadapter vhost3 -fmt :");
    let fields: Vec<&str> = text.trim_end().split(':').collect();
    assert_eq!(fields.len(), 3 + 3 * 6, "{text}");
    let vtds: Vec<&str> = fields[3..].chunks(6).map(|g| g[0]).collect();
    assert_eq!(vtds, ["v4", "v2", "v3"]);
    assert_eq!(fields[5], "0x8100000000000000");
}

#[test]
fn an_adapter_without_a_device_has_blank_fields_and_one_without_a_client_no_client() {
    let mut w = world_with(|f| {
        f.vioses[0].vhosts.push(VhostFile {
            vhost: "vhost10".into(),
            slot: 77,
        });
    });
    let text = ok(&mut w, "lsmap -all -fmt :");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "vhost3:U9105.42A.78ABCD0-V1-C23:0x00000004: : : : : : ",
            "vhost4:U9105.42A.78ABCD0-V1-C24:0x00000005: : : : : : ",
            "vhost10:U9105.42A.78ABCD0-V1-C77:0x00000000: : : : : : ",
        ]
    );
    let long = ok(&mut w, "lsmap -vadapter vhost10");
    assert!(long.contains("NO VIRTUAL TARGET DEVICE FOUND"), "{long}");
    let chosen = ok(&mut w, "lsmap -all -field clientid svsa -fmt ,");
    assert!(chosen.starts_with("vhost3,0x00000004\n"), "{chosen}");
    refused(&mut w, "lsmap");
    refused(&mut w, "lsmap -vadapter vhost99");
}

#[test]
fn npiv_adapters_are_listed_with_twelve_fields() {
    let mut w = world();
    let text = ok(&mut w, "lsmap -all -npiv -fmt :");
    let fields: Vec<&str> = text.trim_end_matches('\n').split(':').collect();
    assert_eq!(fields.len(), 12, "{text}");
    assert_eq!(&fields[2..6], ["3", "PROD", "IBM i", "LOGGED_IN"]);
}

#[test]
fn a_port_is_taken_from_a_virtual_adapter_and_given_back_and_its_client_must_be_off() {
    let mut w = world();
    let port = |w: &mut World| {
        let text = ok(w, "lsmap -all -npiv -fmt : -field fc");
        text.trim().to_owned()
    };
    assert_eq!(port(&mut w), "fcs0");
    refused(&mut w, "vfcmap -vadapter vfchost0");
    refused(&mut w, "vfcmap -vadapter vfchost9 -fcp fcs0");
    refused(&mut w, "vfcmap -vadapter vfchost0 -fcp fcs7");
    assert_eq!(
        (port(&mut w).as_str(), w.ledger.violations.len()),
        ("fcs0", 0)
    );
    let ports = w.console.live_ports_of("PROD").len();
    ok(&mut w, "vfcmap -vadapter vfchost0 -fcp");
    assert_eq!(port(&mut w), "");
    assert_eq!(w.console.live_ports_of("PROD").len(), ports - 2);
    assert_eq!(
        w.ledger.violations[0].kind,
        ViolationKind::MappingWhileRunning,
        "PROD is on"
    );
    ok(&mut w, "vfcmap -vadapter vfchost0 -fcp fcs0");
    assert_eq!(
        (port(&mut w).as_str(), w.ledger.violations.len()),
        ("fcs0", 1)
    );
}

#[test]
fn free_disks_are_those_without_a_volume_group_and_available_ones_back_nothing() {
    let mut w = world();
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a");
    let names = |text: String| -> Vec<String> {
        let lines = text.lines().filter(|l| l.starts_with("hdisk"));
        let first = lines.map(|l| l.split([':', ' ']).next().unwrap().to_owned());
        first.collect()
    };
    assert_eq!(names(ok(&mut w, "lspv")).len(), 9);
    let free = names(ok(&mut w, "lspv -free"));
    assert_eq!((free.len(), free[0].as_str()), (8, "hdisk1"));
    let available = ok(&mut w, "lspv -avail -fmt : -field name pvid size");
    assert!(available.starts_with("hdisk2:none:204800\n"), "{available}");
    assert_eq!(names(available).len(), 7);
}

#[test]
fn a_mapped_disk_keeps_its_reservation_policy_and_stays() {
    let mut w = world();
    ok(&mut w, "chdev -dev hdisk1 -attr reserve_policy=no_reserve");
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a");
    let same = "chdev -dev hdisk1 -attr reserve_policy=no_reserve";
    ok(&mut w, same);
    let text = refused(&mut w, "chdev -dev hdisk1 -attr reserve_policy=single_path");
    assert!(text.contains("0514-062"), "{text}");
    let text = refused(&mut w, "rmdev -dev hdisk1");
    assert!(text.contains("0514-029"), "{text}");
    let text = ok(&mut w, "chkdev -dev hdisk1 -field name vtd -fmt :");
    assert_eq!(text, "hdisk1:a\n");
}

#[test]
fn what_is_not_there_is_0514_519() {
    let mut w = world();
    for line in [
        "rmvdev -vtd nothing",
        "rmvdev -vdev hdisk1",
        "rmdev -dev hdisk99",
        "lsdev -dev hdisk99 -attr unique_id",
        "chdev -dev hdisk99 -attr reserve_policy=no_reserve",
        "chkdev -dev hdisk99",
    ] {
        let text = refused(&mut w, line);
        assert!(text.contains("0514-519"), "{line}: {text}");
        assert!(
            text.starts_with("Some error messages may contain"),
            "{text}"
        );
    }
}

#[test]
fn renumbering_keeps_the_mapped_disks_and_every_identity_once() {
    let mut w = world();
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a");
    let before = w.vioses["VIOS1"].hdisks.clone();
    w.faults.add(Fault {
        device: Device::Vios,
        name: "VIOS1".into(),
        operation: "lsmap".into(),
        kind: FaultKind::Special("renumber".into()),
        times: 1,
    });
    ok(&mut w, "lsmap -all -fmt :");
    let after = w.vioses["VIOS1"].hdisks.clone();
    let find = |disks: &[Hdisk], name: &str| {
        let disk = disks.iter().find(|d| d.name == name);
        disk.unwrap().uid.clone()
    };
    assert_eq!(find(&before, "hdisk1"), find(&after, "hdisk1"));
    assert_ne!(find(&before, "hdisk2"), find(&after, "hdisk2"));
    let uids = |disks: &[Hdisk]| {
        let mut uids: Vec<_> = disks.iter().map(|d| d.uid.clone()).collect();
        uids.sort();
        uids
    };
    assert_eq!(uids(&before), uids(&after));
}

#[test]
fn busy_and_a_full_file_system_have_no_effect() {
    let mut w = world();
    let fault = |w: &mut World, kind: FaultKind| {
        w.faults.add(Fault {
            device: Device::Vios,
            name: "VIOS1".into(),
            operation: "mkvdev".into(),
            kind,
            times: 2,
        });
    };
    let line = "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a";
    fault(&mut w, FaultKind::Busy);
    for _ in 0..2 {
        assert!(refused(&mut w, line).contains("HSCL3205"));
    }
    let code = "0514-548".to_owned();
    let text = "no space".to_owned();
    fault(&mut w, FaultKind::Refuse { code, text });
    assert!(refused(&mut w, line).contains("0514-548"));
    assert!(w.vioses["VIOS1"].vtds.is_empty());
}

#[test]
fn a_vios_that_is_off_serves_its_clients_nothing() {
    let mut w = world();
    ok(&mut w, "mkvdev -vdev hdisk1 -vadapter vhost3 -dev a");
    assert_eq!(client_disks(&w, "CLONE1").len(), 1);
    hmc::power_off(&mut w, "VIOS1");
    let later = w.now + chrono::TimeDelta::minutes(1);
    w.advance(later);
    assert_eq!(client_disks(&w, "CLONE1"), Vec::new());
}

proptest! {
    #[test]
    fn no_command_line_panics(line in "(lsmap|lspv|lsdev|chdev|mkvdev|rmvdev|rmdev|cfgdev|chkdev|lsnports)( -?[a-z:=0-9]{0,12}){0,6}") {
        let mut w = world();
        let _ = run(&mut w, &line);
    }
}
