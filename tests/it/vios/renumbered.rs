//! hdisk numbers move: the identity decides, at the last moment, too.

use crate::support::console::{ConsoleSite, virtual_io};
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::site::VirtualIo;

#[tokio::test]
async fn disks_renumbered_between_the_look_and_the_mapping_are_not_mixed_up() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    let wanted = site.wanted();
    // lsdev is the last look before a disk is used.
    site.fault(Device::Vios, "lsdev", FaultKind::Special("renumber".into()));
    let error = virtual_io.map(&wanted).await.unwrap_err();
    assert_eq!(error.reason(), "Busy", "{error}");
    virtual_io.map(&wanted).await.unwrap();
    let state = virtual_io.observe(&wanted).await.unwrap();
    assert!(state.all_mapped());
    assert!(state.foreign.is_empty(), "{:?}", state.foreign);
    let world = site.world.now();
    for vios in world.vioses.values() {
        for vtd in &vios.vtds {
            let number: usize = vtd.name["clone1_".len()..].parse().unwrap();
            let uid = vios.disk(&vtd.hdisk).unwrap().uid.as_ref();
            assert_eq!(uid, Some(&wanted[number].uid), "{} {}", vios.name, vtd.name);
        }
    }
}
