//! Volumes behind the adapters that name them, by the array's names.

use crate::support::console::{ConsoleSite, adapter};
use ibmi_clone_operator::drivers::hmc::HmcConsole;
use ibmi_clone_operator::drivers::vios::{Adapter, HmcVirtualIo};
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::ArrayRole;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use ibmi_clone_operator::site::VirtualIo;
use std::sync::Arc;

/// CLONE1 with a second adapter on each VIOS.
fn two_adapters(world: &mut WorldFile) {
    let clone = world
        .console
        .partitions
        .iter_mut()
        .find(|p| p.name == "CLONE1")
        .unwrap();
    let mut more = clone.scsi.clone();
    for (n, scsi) in more.iter_mut().enumerate() {
        scsi.slot += 20;
        scsi.vhost = "vhost8".into();
        scsi.server_slot = 40 + u32::try_from(n).unwrap();
    }
    clone.scsi.extend(more);
}

fn naming(server: &str, vhost: &str, volumes: &[&str]) -> Adapter {
    Adapter {
        volumes: volumes.iter().map(|v| (*v).to_owned()).collect(),
        ..adapter(server, vhost)
    }
}

fn virtual_io(site: &ConsoleSite, console: &HmcConsole, adapters: Vec<Adapter>) -> HmcVirtualIo {
    let array = Arc::new(ArrayRole::new(site.world.clone(), "CLONE1"));
    HmcVirtualIo::new(&console.view("P10-PARIS", "CLONE1"), adapters).named_by(array)
}

/// `vhost` and `vtd` of every map of a VIOS, in the order in which they were made.
fn maps(site: &ConsoleSite, vios: &str) -> Vec<String> {
    let world = site.world.now();
    let vtds = world.vioses[vios].vtds.iter();
    vtds.filter(|t| t.name.starts_with("clone1_"))
        .map(|t| format!("{} {}", t.vhost, t.name))
        .collect()
}

#[tokio::test]
async fn each_volume_is_mapped_behind_the_adapters_that_name_it_in_the_groups_order() {
    let site = ConsoleSite::start(two_adapters);
    let console = site.console();
    let adapters = vec![
        naming("VIOS1", "vhost8", &["CLONE1_3", "CLONE1_2"]),
        naming("VIOS1", "vhost3", &["*"]),
        naming("VIOS2", "vhost3", &["CLONE1_0", "*_1"]),
        naming("VIOS2", "vhost8", &["CLONE1_2"]),
    ];
    let virtual_io = virtual_io(&site, &console, adapters);
    let wanted = site.wanted();
    virtual_io.map(&wanted).await.unwrap();
    let first = [
        "vhost3 clone1_00",
        "vhost3 clone1_01",
        "vhost8 clone1_02",
        "vhost8 clone1_03",
    ];
    assert_eq!(maps(&site, "VIOS1"), first);
    assert_eq!(maps(&site, "VIOS2"), first[..3]);
    let state = virtual_io.observe(&wanted).await.unwrap();
    assert!(state.all_mapped() && state.foreign.is_empty(), "{state:?}");
    assert_eq!(state.paths.len(), 7);
    virtual_io.unmap(&wanted).await.unwrap();
    assert!(virtual_io.observe(&wanted).await.unwrap().all_unmapped());
    console.close().await;
    site.assert_clean();
}

/// The spec was changed since the map was made: it would stay behind while the disk is overwritten.
#[tokio::test]
async fn a_map_on_a_vios_that_does_not_serve_the_volume_any_more_is_seen_and_removed() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let before = vec![adapter("VIOS1", "vhost3"), adapter("VIOS2", "vhost3")];
    let wanted = site.wanted();
    virtual_io(&site, &console, before)
        .map(&wanted)
        .await
        .unwrap();
    let after = vec![
        adapter("VIOS1", "vhost3"),
        naming("VIOS2", "vhost3", &["CLONE1_0"]),
    ];
    let virtual_io = virtual_io(&site, &console, after);
    assert!(!virtual_io.observe(&wanted).await.unwrap().all_unmapped());
    virtual_io.unmap(&wanted).await.unwrap();
    assert_eq!(maps(&site, "VIOS2"), Vec::<String>::new());
    virtual_io.map(&wanted).await.unwrap();
    assert_eq!(maps(&site, "VIOS2"), ["vhost3 clone1_00"]);
    assert!(virtual_io.observe(&wanted).await.unwrap().all_mapped());
    site.assert_clean();
}

#[tokio::test]
async fn a_name_without_a_volume_and_a_volume_without_an_adapter_are_refused_before_anything_is_sent()
 {
    let site = ConsoleSite::usual();
    let console = site.console();
    for (names, code, words) in [
        (vec!["CLONE1_*", "CLONE1_9"], "VolumeUnknown", "CLONE1_9"),
        (
            vec!["CLONE1_0", "CLONE1_1", "CLONE1_2"],
            "NoAdapter",
            "CLONE1_3",
        ),
        // Another clone's volume is none of this group's.
        (vec!["*", "CLONE2_0"], "VolumeUnknown", "CLONE2_0"),
    ] {
        let adapters = vec![naming("VIOS1", "vhost3", &names)];
        let virtual_io = virtual_io(&site, &console, adapters);
        for answer in [
            virtual_io.observe(&site.wanted()).await.map(|_| ()),
            virtual_io.map(&site.wanted()).await,
        ] {
            let error = answer.unwrap_err();
            assert_eq!(error.code(), Some(code), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    assert_eq!(
        site.requests(""),
        0,
        "nothing at all was sent to the console"
    );
}
