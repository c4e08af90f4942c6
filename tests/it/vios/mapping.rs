//! Mapping and unmapping the clone's volumes on every VIOS.

use crate::support::console::{ConsoleSite, clone1, until_state, virtual_io};
use ibmi_clone_operator::site::{PartitionControl, PartitionState, VirtualIo};

#[tokio::test]
async fn the_life_of_a_mapping_over_two_runs() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let virtual_io = virtual_io(&console);
    let wanted = site.wanted();
    let empty = virtual_io.observe(&wanted).await.unwrap();
    assert!(empty.all_unmapped() && !empty.all_mapped());
    assert_eq!(empty.paths.len(), 8);
    for _ in 0..2 {
        virtual_io.map(&wanted).await.unwrap();
        let mapped = virtual_io.observe(&wanted).await.unwrap();
        assert!(mapped.all_mapped(), "{mapped:?}");
        assert!(mapped.foreign.is_empty());
        let names: Vec<_> = mapped.paths[..4]
            .iter()
            .map(|p| p.mapped_as.clone().unwrap())
            .collect();
        assert_eq!(names, ["clone1_00", "clone1_01", "clone1_02", "clone1_03"]);
        virtual_io.unmap(&wanted).await.unwrap();
        assert!(virtual_io.observe(&wanted).await.unwrap().all_unmapped());
    }
    assert_eq!(site.effects("vios.VIOS1.mkvdev"), 8);
    assert_eq!(site.effects("vios.VIOS2.rmvdev"), 8);
    console.close().await;
    assert_eq!(site.sessions(), 0);
    site.assert_clean();
}

#[tokio::test]
async fn the_load_source_is_the_first_disk_the_partition_sees() {
    let site = ConsoleSite::usual();
    let console = site.console();
    virtual_io(&console).map(&site.wanted()).await.unwrap();
    let seen = {
        let world = site.world.now();
        ibmi_clone_operator::simulators::vios::client_disks(&world, "CLONE1")
    };
    let first: Vec<_> = seen.iter().take(4).map(|d| d.uid.clone()).collect();
    let wanted: Vec<_> = site.wanted().into_iter().map(|w| w.uid).collect();
    assert_eq!(first, wanted);
}

#[tokio::test]
async fn both_vioses_share_the_disks_without_a_reservation() {
    let site = ConsoleSite::usual();
    virtual_io(&site.console())
        .map(&site.wanted())
        .await
        .unwrap();
    let world = site.world.now();
    for vios in world.vioses.values() {
        for wanted in &vios.vtds {
            let disk = vios.disk(&wanted.hdisk).unwrap();
            assert_eq!(disk.reserve_policy, "no_reserve");
        }
    }
}

#[tokio::test]
async fn a_look_costs_one_command_and_one_list_per_vios() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    virtual_io.observe(&site.wanted()).await.unwrap();
    let before = (
        site.requests("PUT /rest/api/uom/ManagementConsole"),
        site.requests("GET /rest/api/uom/VirtualIOServer"),
    );
    virtual_io.observe(&site.wanted()).await.unwrap();
    let after = (
        site.requests("PUT /rest/api/uom/ManagementConsole"),
        site.requests("GET /rest/api/uom/VirtualIOServer"),
    );
    assert_eq!((after.0 - before.0, after.1 - before.1), (2, 2));
}

#[tokio::test]
async fn the_disks_of_another_clone_stay_as_they_are() {
    let site = ConsoleSite::usual();
    let console = site.console();
    site.padmin("VIOS1", "cfgdev");
    let other = site.uid("CLONE2_0");
    let disk = {
        let world = site.world.now();
        let vios = &world.vioses["VIOS1"];
        let disk = vios.hdisks.iter().find(|d| d.uid.as_ref() == Some(&other));
        disk.unwrap().name.clone()
    };
    let mapped = format!("mkvdev -vdev {disk} -vadapter vhost4 -dev clone2_00");
    site.padmin("VIOS1", &mapped);
    let virtual_io = virtual_io(&console);
    virtual_io.map(&site.wanted()).await.unwrap();
    virtual_io.unmap(&site.wanted()).await.unwrap();
    let map = site.padmin("VIOS1", "lsmap -all -fmt :");
    assert!(map.contains(":clone2_00:Available:"), "{map}");
    site.assert_clean();
}

#[tokio::test]
async fn switching_off_comes_before_unmapping_and_then_nothing_is_violated() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let virtual_io = virtual_io(&console);
    virtual_io.map(&site.wanted()).await.unwrap();
    let control = clone1(&console);
    ibmi_clone_operator::simulators::hmc::start_by_hand(&mut site.world.now(), "CLONE1");
    until_state(&control, PartitionState::Error).await;
    control.power_off().await.unwrap();
    until_state(&control, PartitionState::NotActivated).await;
    virtual_io.unmap(&site.wanted()).await.unwrap();
    site.assert_clean();
}
