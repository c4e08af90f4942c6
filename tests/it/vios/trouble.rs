//! A VIOS that is busy, silent, full, or used by somebody else.

use crate::support::console::{ConsoleSite, adapter, virtual_io};
use ibmi_clone_operator::drivers::vios::HmcVirtualIo;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::site::{VirtualIo, WantedVolume};

/// VIOS1 has to look for the disks again, as after an unmapping.
fn forget_disks(site: &ConsoleSite, wanted: &[WantedVolume]) {
    let mut world = site.world.now();
    let vios = world.vioses.get_mut("VIOS1").unwrap();
    vios.hdisks
        .retain(|d| !wanted.iter().any(|w| d.uid.as_ref() == Some(&w.uid)));
}

#[tokio::test]
async fn a_busy_vios_is_busy_and_the_next_pass_goes_on_where_it_stopped() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    let wanted = site.wanted();
    forget_disks(&site, &wanted);
    for command in ["lsmap", "cfgdev", "chdev", "mkvdev"] {
        site.fault_at_vios1(command, FaultKind::Busy);
        let error = virtual_io.map(&wanted).await.unwrap_err();
        assert_eq!(error.reason(), "Busy", "{command}: {error}");
    }
    virtual_io.map(&wanted).await.unwrap();
    assert!(virtual_io.observe(&wanted).await.unwrap().all_mapped());
    assert_eq!(site.effects("vios.VIOS1.mkvdev"), 4, "each once");
    site.fault(Device::Vios, "rmvdev", FaultKind::Busy);
    let error = virtual_io.unmap(&wanted).await.unwrap_err();
    assert_eq!(error.reason(), "Busy");
    virtual_io.unmap(&wanted).await.unwrap();
    assert!(virtual_io.observe(&wanted).await.unwrap().all_unmapped());
    site.assert_clean();
}

#[tokio::test]
async fn a_vios_without_rmc_is_never_no_mapping() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    let wanted = site.wanted();
    virtual_io.map(&wanted).await.unwrap();
    site.world.now().vioses.get_mut("VIOS2").unwrap().rmc = false;
    for error in [
        virtual_io.observe(&wanted).await.unwrap_err(),
        virtual_io.map(&wanted).await.unwrap_err(),
        virtual_io.unmap(&wanted).await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), "Unreachable");
        assert!(error.to_string().contains("RMC"), "{error}");
    }
    // Half an unmapping would be worse than none: VIOS1 was left alone, too.
    assert_eq!(site.effects("vios.VIOS1.rmvdev"), 0);
    site.world.now().vioses.get_mut("VIOS2").unwrap().rmc = true;
    assert!(virtual_io.observe(&wanted).await.unwrap().all_mapped());
}

#[tokio::test]
async fn a_target_mapped_to_another_partition_is_told_and_left_alone() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    let wanted = site.wanted();
    site.padmin("VIOS2", "cfgdev");
    let disk = {
        let world = site.world.now();
        let disks = &world.vioses["VIOS2"].hdisks;
        let disk = disks
            .iter()
            .find(|d| d.uid.as_ref() == Some(&wanted[0].uid));
        disk.unwrap().name.clone()
    };
    let line = format!("mkvdev -vdev {disk} -vadapter vhost4 -dev stolen");
    site.padmin("VIOS2", &line);
    let state = virtual_io.observe(&wanted).await.unwrap();
    let path = state.paths.iter().find(|p| !p.mapped_elsewhere.is_empty());
    let path = path.expect("it is told");
    assert_eq!(
        (path.vios.as_str(), &path.mapped_elsewhere[..]),
        ("VIOS2", &["vhost4".to_owned()][..])
    );
    let error = virtual_io.map(&wanted).await.unwrap_err();
    assert_eq!(error.code(), Some("MappedElsewhere"));
    virtual_io.unmap(&wanted).await.unwrap();
    assert!(
        site.padmin("VIOS2", "lsmap -all -fmt :")
            .contains(":stolen:")
    );
    site.assert_clean();
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_the_vios_decides() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    let wanted = site.wanted();
    forget_disks(&site, &wanted);
    for command in ["cfgdev", "chdev", "mkvdev"] {
        site.fault_at_vios1(command, FaultKind::AnswerLost);
        let error = virtual_io.map(&wanted).await.unwrap_err();
        assert_eq!(error.reason(), "Indeterminate", "{command}: {error}");
    }
    virtual_io.map(&wanted).await.unwrap();
    assert!(virtual_io.observe(&wanted).await.unwrap().all_mapped());
    assert_eq!(site.effects("vios.VIOS1.mkvdev"), 4, "none twice");
    assert_eq!(site.effects("vios.VIOS2.mkvdev"), 4, "none twice");
    site.fault(Device::Vios, "lsmap", FaultKind::AnswerLost);
    let error = virtual_io.observe(&wanted).await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable", "a look has no effect");
    site.fault(Device::Vios, "rmvdev", FaultKind::AnswerLost);
    let error = virtual_io.unmap(&wanted).await.unwrap_err();
    assert_eq!(error.reason(), "Indeterminate");
    virtual_io.unmap(&wanted).await.unwrap();
    assert!(virtual_io.observe(&wanted).await.unwrap().all_unmapped());
    site.assert_clean();
}

#[tokio::test]
async fn a_session_that_expires_between_polls_loses_no_command() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    for _ in 0..3 {
        site.fault(
            Device::Hmc,
            "GET /rest/api/uom/jobs",
            FaultKind::Special("expire".into()),
        );
        virtual_io.map(&site.wanted()).await.unwrap();
    }
    assert_eq!(site.effects("vios.VIOS1.mkvdev"), 4);
    assert!(
        virtual_io
            .observe(&site.wanted())
            .await
            .unwrap()
            .all_mapped()
    );
}

#[tokio::test]
async fn a_command_that_ended_well_with_a_return_code_failed() {
    let site = ConsoleSite::usual();
    site.fault(
        Device::Hmc,
        "special CLIRunner",
        FaultKind::Special("return-code".into()),
    );
    let error = virtual_io(&site.console()).observe(&site.wanted()).await;
    assert_eq!(error.unwrap_err().code(), Some("rc=1"));
}

#[tokio::test]
async fn a_full_vios_is_refused_with_what_to_do_and_the_other_one_is_not_undone() {
    let site = ConsoleSite::usual();
    let full = FaultKind::Refuse {
        code: "0514-548".into(),
        text: "The file system is full.".into(),
    };
    site.fault(Device::Vios, "mkvdev", full);
    let virtual_io = virtual_io(&site.console());
    let error = virtual_io.map(&site.wanted()).await.unwrap_err();
    assert_eq!(error.code(), Some("0514-548"));
    assert!(error.to_string().contains("make space"), "{error}");
    virtual_io.map(&site.wanted()).await.unwrap();
    assert!(
        virtual_io
            .observe(&site.wanted())
            .await
            .unwrap()
            .all_mapped()
    );
}

#[tokio::test]
async fn unknown_servers_and_adapters_are_refused_before_any_change() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let view = console.view("P10-PARIS", "CLONE1");
    for (adapter, code, names) in [
        (adapter("VIOS7", "vhost3"), "ViosUnknown", "VIOS1, VIOS2"),
        (adapter("VIOS1", "vhost9"), "VhostUnknown", "vhost3, vhost4"),
        // vhost4 is CLONE2's: mapping there would hand the disks to it.
        (adapter("VIOS1", "vhost4"), "VhostOfOther", "id 5"),
    ] {
        let virtual_io = HmcVirtualIo::new(&view, vec![adapter]);
        let error = virtual_io.map(&site.wanted()).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
        assert!(error.to_string().contains(names), "{error}");
    }
    assert_eq!(site.effects("vios.VIOS1.cfgdev"), 0);
    assert_eq!(site.effects("vios.VIOS1.mkvdev"), 0);
}

#[tokio::test]
async fn a_foreign_device_on_the_clones_adapter_is_told_and_stays() {
    let site = ConsoleSite::usual();
    let virtual_io = virtual_io(&site.console());
    site.padmin("VIOS1", "cfgdev");
    let other = site.uid("CLONE2_3");
    let disk = {
        let world = site.world.now();
        let disks = &world.vioses["VIOS1"].hdisks;
        let disk = disks.iter().find(|d| d.uid.as_ref() == Some(&other));
        disk.unwrap().name.clone()
    };
    site.padmin(
        "VIOS1",
        &format!("mkvdev -vdev {disk} -vadapter vhost3 -dev extra"),
    );
    let state = virtual_io.observe(&site.wanted()).await.unwrap();
    let places: Vec<&str> = state.foreign.iter().map(|f| f.place.as_str()).collect();
    assert_eq!(places, ["VIOS1/vhost3/extra"]);
    virtual_io.unmap(&site.wanted()).await.unwrap();
    assert!(
        site.padmin("VIOS1", "lsmap -all -fmt :")
            .contains(":extra:")
    );
}

#[tokio::test]
async fn a_volume_the_array_does_not_give_to_a_vios_is_named() {
    let site = ConsoleSite::start(|w| {
        let host = w
            .array
            .hosts
            .iter_mut()
            .find(|h| h.name == "VIOS2")
            .unwrap();
        host.volumes.retain(|v| v != "CLONE1_2");
    });
    let error = virtual_io(&site.console()).map(&site.wanted()).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Some("DiskMissing"));
    let text = error.to_string();
    assert!(
        text.contains("VIOS2") && text.contains(site.uid("CLONE1_2").as_str()),
        "{text}"
    );
    assert_eq!(site.effects("vios.VIOS2.mkvdev"), 0, "none of them");
}
