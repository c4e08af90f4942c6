//! Mapping by storage identity on every VIOS, never with force, never somebody else's.

use super::padmin::{Rig, uid, vioses, wanted};
use crate::drivers::vios::Adapter;
use crate::recipe::fakes;
use crate::site::{CopyServices, Uid, VirtualIo};
use std::sync::Arc;

#[tokio::test]
async fn volumes_are_mapped_in_order_on_every_vios_and_unmapped_again() {
    let rig = Rig::new(vioses(3));
    let wanted = wanted(3);
    rig.virtual_io.map(&wanted).await.unwrap();
    assert!(rig.virtual_io.observe(&wanted).await.unwrap().all_mapped());
    assert_eq!(
        rig.commands(1, "mkvdev"),
        [
            "mkvdev -vdev hdisk11 -vadapter vhost3 -dev clone1_00",
            "mkvdev -vdev hdisk12 -vadapter vhost3 -dev clone1_01",
            "mkvdev -vdev hdisk13 -vadapter vhost3 -dev clone1_02",
        ]
    );
    assert_eq!(rig.commands(0, "chdev").len(), 3);
    rig.virtual_io.unmap(&wanted).await.unwrap();
    let state = rig.virtual_io.observe(&wanted).await.unwrap();
    assert!(state.all_unmapped());
    assert!(state.paths.iter().all(|p| p.disks.is_empty()), "forgotten");
    assert_eq!(state.paths.len(), 6, "one per VIOS and volume");
    // The next run finds them again with one cfgdev per VIOS.
    rig.virtual_io.map(&wanted).await.unwrap();
    assert!(rig.virtual_io.observe(&wanted).await.unwrap().all_mapped());
    assert_eq!(rig.commands(0, "cfgdev").len(), 1);
}

#[tokio::test]
async fn a_look_changes_nothing_and_costs_one_command_per_vios() {
    let vioses = vioses(20);
    let hidden = vioses.lock().unwrap()[0].disks.pop().unwrap();
    vioses.lock().unwrap()[0].hidden.push((hidden.0, hidden.1));
    let rig = Rig::new(vioses);
    let state = rig.virtual_io.observe(&wanted(20)).await.unwrap();
    assert_eq!(state.paths.iter().filter(|p| p.disks.is_empty()).count(), 1);
    for vios in 0..2 {
        assert_eq!(rig.commands(vios, ""), ["lsmap -all -fmt :"]);
    }
}

#[tokio::test]
async fn mapping_twice_maps_once() {
    let rig = Rig::new(vioses(2));
    rig.virtual_io.map(&wanted(2)).await.unwrap();
    rig.virtual_io.map(&wanted(2)).await.unwrap();
    assert_eq!(rig.commands(0, "mkvdev").len(), 2);
    rig.virtual_io.unmap(&wanted(2)).await.unwrap();
    rig.virtual_io.unmap(&wanted(2)).await.unwrap();
    assert_eq!(rig.commands(0, "rmvdev").len(), 2);
}

#[tokio::test]
async fn a_volume_of_another_adapter_is_told_and_never_touched() {
    let vioses = vioses(2);
    vioses.lock().unwrap()[1].vhosts[1]
        .2
        .push(("other".into(), "hdisk11".into()));
    let rig = Rig::new(vioses);
    let state = rig.virtual_io.observe(&wanted(2)).await.unwrap();
    let elsewhere: Vec<_> = state
        .paths
        .iter()
        .filter(|p| !p.mapped_elsewhere.is_empty())
        .collect();
    assert_eq!(elsewhere.len(), 1);
    assert_eq!(elsewhere[0].mapped_elsewhere, ["vhost7"]);
    let error = rig.virtual_io.map(&wanted(2)).await.unwrap_err();
    assert_eq!(error.code(), Some("MappedElsewhere"));
    assert_eq!(
        rig.commands(1, "mkvdev"),
        Vec::<String>::new(),
        "none at all"
    );
    rig.virtual_io.unmap(&wanted(2)).await.unwrap();
    assert_eq!(rig.commands(1, "rmvdev"), Vec::<String>::new());
    assert_eq!(rig.commands(1, "rmdev"), ["rmdev -dev hdisk12"]);
    let all: Vec<String> = (0..2).flat_map(|v| rig.commands(v, "")).collect();
    assert!(
        all.iter()
            .all(|c| !c.contains(" -f ") && !c.ends_with(" -f"))
    );
}

#[tokio::test]
async fn a_foreign_device_on_our_adapter_is_told_and_stays() {
    let vioses = vioses(1);
    {
        let mut all = vioses.lock().unwrap();
        all[0].disks.push(("hdisk90".into(), uid(77), true));
        all[0].vhosts[0].2.push(("old".into(), "hdisk90".into()));
    }
    let rig = Rig::new(vioses);
    let state = rig.virtual_io.observe(&wanted(1)).await.unwrap();
    let places: Vec<&str> = state.foreign.iter().map(|f| f.place.as_str()).collect();
    assert_eq!(places, ["VIOS1/vhost3/old"]);
    rig.virtual_io.unmap(&wanted(1)).await.unwrap();
    assert_eq!(rig.commands(0, "rmvdev"), Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_that_got_another_number_since_the_look_is_not_mapped() {
    let vioses = vioses(2);
    vioses.lock().unwrap()[0].renumbers = true;
    let rig = Rig::new(vioses);
    let error = rig.virtual_io.map(&wanted(2)).await.unwrap_err();
    assert_eq!(error.reason(), "Busy");
    assert_eq!(rig.commands(0, "mkvdev"), Vec::<String>::new());
}

#[tokio::test]
async fn no_disk_after_cfgdev_and_two_disks_are_refused_with_the_uid() {
    let missing = vioses(2);
    missing.lock().unwrap()[1].disks.clear();
    let rig = Rig::new(missing);
    let error = rig.virtual_io.map(&wanted(2)).await.unwrap_err();
    assert_eq!(error.code(), Some("DiskMissing"));
    assert!(error.to_string().contains(&uid(0)), "{error}");
    assert_eq!(rig.commands(1, "cfgdev").len(), 1, "once");
    assert_eq!(rig.commands(1, "mkvdev"), Vec::<String>::new());

    let twice = vioses(1);
    twice.lock().unwrap()[0]
        .disks
        .push(("hdisk50".into(), uid(0), true));
    let rig = Rig::new(twice);
    let error = rig.virtual_io.map(&wanted(1)).await.unwrap_err();
    assert_eq!(error.code(), Some("DiskAmbiguous"));
}

#[tokio::test]
async fn a_vios_that_cannot_answer_is_an_error_and_never_no_mapping() {
    let silent = vioses(1);
    silent.lock().unwrap()[1].rmc = "inactive".into();
    let rig = Rig::new(silent);
    let error = rig.virtual_io.observe(&wanted(1)).await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    assert!(error.to_string().contains("VIOS2"), "{error}");
    assert_eq!(
        rig.commands(0, ""),
        Vec::<String>::new(),
        "before any command"
    );

    for (text, reason) in [
        ("HSCL3205 VIOS is busy", "Busy"),
        ("HSCL2970 failed: VIOS0014 busy", "Busy"),
        ("HSCL294C no RMC connection to VIOS1", "Unreachable"),
        ("HSCL350B no authority", "Refused"),
    ] {
        let failing = vioses(1);
        failing.lock().unwrap()[0].fails = Some(("lsmap".into(), text.into()));
        let error = Rig::new(failing)
            .virtual_io
            .observe(&wanted(1))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), reason, "{text}");
    }
}

#[tokio::test]
async fn a_lost_answer_to_mkvdev_is_unknown_and_the_next_pass_maps_nothing_twice() {
    let losing = vioses(2);
    losing.lock().unwrap()[0].loses = Some("mkvdev".into());
    let rig = Rig::new(losing);
    let error = rig.virtual_io.map(&wanted(2)).await.unwrap_err();
    assert_eq!(error.reason(), "Indeterminate");
    assert_eq!(rig.commands(0, "mkvdev").len(), 1);
    rig.vioses.lock().unwrap()[0].loses = None;
    rig.virtual_io.map(&wanted(2)).await.unwrap();
    assert_eq!(rig.commands(0, "mkvdev").len(), 2, "the second volume only");
    assert!(
        rig.virtual_io
            .observe(&wanted(2))
            .await
            .unwrap()
            .all_mapped()
    );
}

#[tokio::test]
async fn a_disk_that_does_not_go_away_is_not_fatal() {
    let stuck = vioses(1);
    stuck.lock().unwrap()[0].fails = Some(("rmdev".into(), "0514-062 busy".into()));
    let rig = Rig::new(stuck);
    rig.virtual_io.map(&wanted(1)).await.unwrap();
    rig.virtual_io.unmap(&wanted(1)).await.unwrap();
    assert!(
        rig.virtual_io
            .observe(&wanted(1))
            .await
            .unwrap()
            .all_unmapped()
    );
}

#[tokio::test]
async fn a_full_vios_says_so() {
    let full = vioses(1);
    full.lock().unwrap()[1].fails = Some((
        "mkvdev".into(),
        "Some error messages may contain invalid information\nfor the Virtual I/O Server environment.\n\nmkdev: 0514-548 file system full".into(),
    ));
    let error = Rig::new(full).virtual_io.map(&wanted(1)).await.unwrap_err();
    assert_eq!(error.code(), Some("0514-548"));
    assert!(error.to_string().contains("make space"), "{error}");
}

#[tokio::test]
async fn unknown_servers_and_adapters_are_answered_with_those_that_exist() {
    let adapter = |server: &str, vhost: &str| Adapter {
        server: server.into(),
        vhost: vhost.into(),
        volumes: vec!["*".to_owned()],
    };
    for (adapter, code, names) in [
        (adapter("VIOS9", "vhost3"), "ViosUnknown", "VIOS1, VIOS2"),
        (adapter("VIOS1", "vhost8"), "VhostUnknown", "vhost3, vhost7"),
        (adapter("VIOS1", "vhost7"), "VhostOfOther", "id 2"),
    ] {
        let rig = Rig::with(vioses(1), vec![adapter]);
        let error = rig.virtual_io.observe(&wanted(1)).await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert!(error.to_string().contains(names), "{error}");
        assert!(rig.virtual_io.map(&wanted(1)).await.is_err());
        assert_eq!(rig.commands(0, "mkvdev"), Vec::<String>::new());
    }
}

/// An array whose group has so many targets, CLONE1_0 first.
fn array(count: u32) -> Arc<dyn CopyServices> {
    let world = fakes::world();
    let mut pairs: Vec<_> = (0..count).map(fakes::pair).collect();
    for (n, pair) in pairs.iter_mut().enumerate() {
        pair.target.uid = Uid::new(uid(n));
        pair.target.name = format!("CLONE1_{n}");
    }
    world.set().inventory.as_mut().unwrap().pairs = pairs;
    world.site().copy
}

#[tokio::test]
async fn a_name_without_an_array_to_ask_is_refused_and_nothing_is_sent() {
    let named = Adapter {
        server: "VIOS1".into(),
        vhost: "vhost3".into(),
        volumes: vec!["CLONE1_*".to_owned()],
    };
    let rig = Rig::with(vioses(1), vec![named]);
    let error = rig.virtual_io.map(&wanted(1)).await.unwrap_err();
    assert_eq!(error.code(), Some("VolumeUnknown"));
    assert_eq!(rig.commands(0, ""), Vec::<String>::new());
}

#[tokio::test]
async fn volumes_go_to_the_adapter_that_names_them() {
    let two = vioses(2);
    two.lock().unwrap()[0]
        .vhosts
        .push(("vhost4".into(), 16, Vec::new()));
    let adapters = vec![
        Adapter {
            server: "VIOS1".into(),
            vhost: "vhost3".into(),
            volumes: vec!["*".to_owned()],
        },
        Adapter {
            server: "VIOS1".into(),
            vhost: "vhost4".into(),
            volumes: vec!["*_1".to_owned()],
        },
    ];
    let mut rig = Rig::with(two, adapters);
    rig.virtual_io = rig.virtual_io.named_by(array(2));
    rig.virtual_io.map(&wanted(2)).await.unwrap();
    let made = rig.commands(0, "mkvdev");
    assert!(made[0].contains("vhost3 -dev clone1_00") && made[1].contains("vhost4 -dev clone1_01"));
    assert_eq!(rig.commands(1, ""), Vec::<String>::new(), "not in the spec");
    assert_eq!(rig.wire.count("PUT hmc1:12443/rest/api/web/Logon"), 1);
}
