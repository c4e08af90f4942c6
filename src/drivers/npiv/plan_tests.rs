//! The rules of NPIV without a device.

use super::*;
use crate::site::Uid;

fn wwpn(n: u32) -> Wwpn {
    Wwpn::new(format!("c0507600000000{n:02}"))
}

/// Two adapters with a pair each.
fn adapters() -> Vec<Vec<Wwpn>> {
    vec![vec![wwpn(1), wwpn(2)], vec![wwpn(3), wwpn(4)]]
}

fn clone_ports() -> Vec<Wwpn> {
    adapters().concat()
}

/// A host object with the clone's ports that sees these volumes as (SCSI id, name).
fn host(volumes: &[(u32, &str)]) -> HostObject {
    HostObject {
        name: "CLONE1".into(),
        ports: clone_ports(),
        volumes: volumes
            .iter()
            .map(|(scsi_id, name)| HostVolume {
                name: (*name).into(),
                uid: Uid::new(format!("UID-{name}")),
                scsi_id: *scsi_id,
                shared: false,
            })
            .collect(),
    }
}

/// Targets `A` and `B`, mapped to these hosts.
fn targets(hosts: &[&str]) -> Vec<MappedVolume> {
    ["A", "B"]
        .map(|name| MappedVolume {
            name: name.into(),
            uid: Uid::new(format!("UID-{name}")),
            hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        })
        .into()
}

fn wanted() -> Vec<WantedVolume> {
    let volumes = targets(&[]).into_iter();
    volumes
        .map(|v| WantedVolume {
            uid: v.uid,
            vtd: String::new(),
        })
        .collect()
}

fn says(bad: &Bad, code: &str, words: &[&str]) {
    assert_eq!(bad.code, code, "{}", bad.text);
    for word in words {
        assert!(bad.text.contains(word), "{word}: {}", bad.text);
    }
}

#[test]
fn a_clone_without_fibre_channel_or_with_a_port_of_the_source_is_refused() {
    let bad = ports(&[], &[]).unwrap_err();
    says(&bad, "NoFibreChannel", &["virtualIo.vscsi"]);
    let bad = ports(&adapters(), &[wwpn(3)]).unwrap_err();
    says(
        &bad,
        "PortOfSource",
        &[wwpn(3).as_str(), "correct clone.partition"],
    );
    assert_eq!(
        ports(&adapters(), &[wwpn(9)]).unwrap(),
        clone_ports(),
        "both WWPNs of every adapter"
    );
}

#[test]
fn a_host_object_with_any_port_that_is_not_the_clones_is_never_touched() {
    let ours = clone_ports();
    for swap in [false, true] {
        assert_eq!(check_hosts(&[host(&[])], &ours, &[], swap), Ok(()));
        let bad = check_hosts(&[], &ours, &[], swap).unwrap_err();
        says(&bad, "HostUnknown", &[wwpn(1).as_str(), "mkhost"]);
        let mut of_two = host(&[]);
        of_two.ports.push(wwpn(9));
        let bad = check_hosts(&[of_two.clone()], &ours, &[], swap).unwrap_err();
        says(
            &bad,
            "HostOfOthers",
            &["CLONE1", wwpn(9).as_str(), "rmhostport"],
        );
        let bad = check_hosts(&[of_two], &ours, &[wwpn(9)], swap).unwrap_err();
        says(
            &bad,
            "HostOfSource",
            &[wwpn(9).as_str(), "host object of its own"],
        );
    }
}

#[test]
fn a_swap_needs_one_host_object_outside_of_any_cluster() {
    let ours = clone_ports();
    let (mut one, mut two) = (host(&[]), host(&[]));
    one.ports = adapters().remove(0);
    two.ports = adapters().remove(1);
    two.name = "CLONE1_B".into();
    let spread = [one, two];
    assert_eq!(check_hosts(&spread, &ours, &[], false), Ok(()));
    let bad = check_hosts(&spread, &ours, &[], true).unwrap_err();
    says(&bad, "SeveralHosts", &["CLONE1, CLONE1_B", "addhostport"]);
    let mut clustered = host(&[(0, "A")]);
    clustered.volumes[0].shared = true;
    let clustered = [clustered];
    assert_eq!(check_hosts(&clustered, &ours, &[], false), Ok(()));
    let bad = check_hosts(&clustered, &ours, &[], true).unwrap_err();
    says(&bad, "SharedMapping", &["A", "cluster"]);
}

#[test]
fn every_host_object_of_the_clone_must_see_every_target() {
    let mut second = host(&[(0, "A")]);
    second.name = "CLONE1_B".into();
    let hosts = [host(&[(0, "A"), (1, "B")]), second];
    let found = state(&hosts, &targets(&["CLONE1", "CLONE1_B"]), false);
    assert_eq!(found.paths.len(), 4);
    assert!(!found.all_mapped() && !found.all_unmapped());
    assert!(found.paths.iter().all(|p| p.mapped_elsewhere.is_empty()));
    assert!(state(&hosts[..1], &targets(&["CLONE1"]), false).all_mapped());
}

#[test]
fn another_volume_and_another_host_are_told() {
    let hosts = [host(&[(0, "A"), (1, "B"), (7, "X")])];
    let found = state(&hosts, &targets(&["CLONE1", "LINUX"]), true);
    let stranger = ForeignDevice {
        place: "CLONE1/SCSI id 7/X".into(),
        uid: Some(Uid::new("UID-X")),
    };
    assert_eq!(found.foreign, [stranger]);
    assert_eq!(found.paths[1].mapped_elsewhere, ["LINUX"]);
}

#[test]
fn a_swapped_volume_under_another_scsi_id_is_mapped_but_not_usable() {
    let hosts = [host(&[(1, "A"), (0, "B")])];
    let swapped = state(&hosts, &targets(&["CLONE1"]), true);
    assert!(!swapped.all_unmapped() && !swapped.all_mapped());
    assert!(state(&hosts, &targets(&["CLONE1"]), false).all_mapped());
}

#[test]
fn volumes_are_mapped_in_the_groups_order_with_the_load_source_first() {
    let none = to_map(&host(&[]), &targets(&[])).unwrap();
    assert_eq!(none, [(0, "A".to_owned()), (1, "B".to_owned())]);
    let half = to_map(&host(&[(0, "A")]), &targets(&["CLONE1"])).unwrap();
    assert_eq!(half, [(1, "B".to_owned())]);
}

#[test]
fn nothing_is_mapped_beside_a_foreign_volume_or_what_another_host_has() {
    let bad = to_map(&host(&[(5, "X")]), &targets(&[])).unwrap_err();
    says(&bad, "ForeignMapping", &["X", "5", "rmvdiskhostmap"]);
    let bad = to_map(&host(&[]), &targets(&["LINUX"])).unwrap_err();
    says(&bad, "VolumeMappedElsewhere", &["LINUX", "rmvdiskhostmap"]);
    let bad = to_map(&host(&[(4, "A")]), &targets(&["CLONE1"])).unwrap_err();
    says(&bad, "ScsiIdTaken", &["A", "4", "not 0"]);
}

#[test]
fn only_what_the_host_sees_is_unmapped() {
    let host = host(&[(3, "B"), (7, "X")]);
    assert_eq!(to_unmap(&host, &targets(&["CLONE1"])), ["B"]);
}

#[test]
fn a_forgotten_second_port_and_a_load_source_that_is_not_first_are_remarks() {
    let mut without = host(&[(0, "B"), (1, "A")]);
    without.ports.remove(3);
    let told = remarks(&adapters(), &[without], &wanted()).join("\n");
    for word in [wwpn(4).as_str(), "addhostport", "load source UID-A"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let good = host(&[(2, "A"), (5, "B")]);
    assert_eq!(
        remarks(&adapters(), &[good], &wanted()),
        Vec::<String>::new()
    );
}
