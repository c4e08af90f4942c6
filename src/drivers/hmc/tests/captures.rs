//! The parsers against answers recorded from real consoles. Skipped, visibly, where the recordings are absent.

use crate::drivers::hmc::job::Job;
use crate::drivers::hmc::{errors, lpar, quick, storage, xml};
use crate::site::{PartitionState, Uid, Wwpn};
use std::path::PathBuf;

fn read(name: &str) -> Option<String> {
    let root = std::env::var_os("IBMICLONE_CAPTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/captures"),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(root.join("hmc").join(name)).ok();
    if text.is_none() {
        eprintln!("skipped: recording {name} is not there (set IBMICLONE_CAPTURES)");
    }
    text
}

#[test]
fn ibm_i_partitions_running_and_off_are_told_apart() {
    let Some(body) = read("lpar-feed-ibmi-power9.xml") else {
        return;
    };
    let document = xml::parse(&body).unwrap();
    let all: Vec<lpar::Lpar> = xml::objects(&document, "LogicalPartition")
        .into_iter()
        .map(|o| lpar::Lpar::read(o).expect("every partition is readable"))
        .collect();
    let system = crate::drivers::hmc::System {
        uuid: "s".into(),
        name: "P9".into(),
        mtms: "9009-42A*21F64EV".into(),
    };
    let ibm_i: Vec<_> = all
        .into_iter()
        .map(|l| l.status(&system))
        .filter(|s| s.is_ibm_i)
        .collect();
    assert_eq!(ibm_i.len(), 7);
    let off: Vec<_> = ibm_i
        .iter()
        .filter(|s| s.state == PartitionState::NotActivated)
        .collect();
    assert!(!off.is_empty() && off.len() < 7);
    for status in &ibm_i {
        assert_eq!(status.reference_code, "00000000", "both off and up");
        assert_eq!(status.identity.serial_number, "21F64EV");
        assert_eq!(status.migration_state, "Not_Migrating");
    }
    assert!(off.iter().any(|s| s.keylock == "manual"));
}

#[test]
fn every_partition_of_the_other_feeds_has_a_state() {
    for name in ["lpar-feed-pollux.xml", "lpar-entry-646AE0BC.xml"] {
        let Some(body) = read(name) else { return };
        let document = xml::parse(&body).unwrap();
        let all = xml::objects(&document, "LogicalPartition");
        assert!(!all.is_empty(), "{name}");
        for object in all {
            let lpar = lpar::Lpar::read(object).expect(name);
            assert!(lpar.default_profile.is_some(), "{name}");
        }
    }
}

#[test]
fn quick_lists_give_systems_and_vioses() {
    let Some(body) = read("managedsystem-quick-all.json") else {
        return;
    };
    let systems = quick::objects(&body).unwrap();
    let pollux = systems
        .iter()
        .find(|s| quick::text(s, "SystemName").as_deref() == Some("pollux"))
        .unwrap();
    assert_eq!(
        quick::text(pollux, "MTMS").as_deref(),
        Some("8284-22A*21FD4AV")
    );
    assert_eq!(quick::text(pollux, "ReferenceCode"), None, "one blank");
    assert_eq!(
        quick::whole(pollux, "InstalledSystemProcessorUnits"),
        Some(20)
    );
    for name in ["vios-quick-all-pollux.json", "vios-quick-all-porthos.json"] {
        let Some(body) = read(name) else { return };
        for vios in quick::objects(&body).unwrap() {
            assert!(quick::whole(&vios, "PartitionID").is_some(), "{name}");
            assert!(quick::text(&vios, "RMCState").is_some(), "{name}");
        }
    }
}

#[test]
fn mapped_volumes_have_the_identity_of_the_array() {
    let Some(body) = read("vios-feed-pollux.xml") else {
        return;
    };
    let mappings = storage::mappings(&body).unwrap();
    let mapped: Vec<_> = mappings.iter().filter(|m| m.client.is_some()).collect();
    assert!(!mapped.is_empty());
    assert!(mapped.iter().any(|m| m.backing.uid
        == Some(Uid::new("60050764008100DC4800000000002C06"))
        && m.backing.name == "hdisk2"
        && m.client_id == Some(10)));
    let disks = storage::disks(&body).unwrap();
    let named = |n: &str| disks.iter().filter(|d| d.name == n).count();
    assert_eq!(named("hdisk1"), 1, "each disk once, whatever ports show it");
    let hdisk1 = disks.iter().find(|d| d.name == "hdisk1").unwrap();
    assert!(!hdisk1.no_reserve, "SinglePath");
}

#[test]
fn identity_by_odm_and_by_page_83_agree_in_every_recording() {
    use crate::drivers::vios::unique_id::{UniqueId, page_83};
    let mut compared = 0;
    for name in [
        "vios-feed-pollux.xml",
        "vios-feed-ssp-npiv.xml",
        "vios-mappings.xml",
        "vios-multi-vscsi-mapping.xml",
    ] {
        let Some(body) = read(name) else { return };
        let document = xml::parse(&body).unwrap();
        for volume in document.descendants() {
            let Some(odm) = xml::child_text(volume, "VolumeUniqueID") else {
                continue;
            };
            let is_odm = !odm.starts_with("scsi-") && !odm.starts_with("lvm-");
            let parsed = UniqueId::parse(&odm);
            assert_eq!(parsed.is_some(), is_odm, "{odm}");
            let page = xml::child_text(volume, "DescriptorPage83").and_then(|t| page_83(&t));
            if let (Some(odm), Some(page)) = (parsed.and_then(|p| p.storage_uid()), page) {
                assert_eq!(odm, page);
                compared += 1;
            }
        }
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn ports_and_serving_vioses_come_from_the_client_adapters() {
    let Some(body) = read("vfc-client-adapters-684292A4.xml") else {
        return;
    };
    let ports = storage::ports(&body).unwrap();
    assert_eq!(
        ports[0],
        [Wwpn::new("c0507608add54118"), Wwpn::new("c0507608add54119")]
    );
    assert_eq!(storage::fibre_channel_vioses(&body), Some(vec![2, 8]));
    let Some(body) = read("vios-feed-ssp-npiv.xml") else {
        return;
    };
    let mapped = storage::fibre_channel(&body).unwrap();
    let told: Vec<_> = mapped.iter().map(|m| (m.client_id, m.connected)).collect();
    assert_eq!(told, [(Some(2), true), (Some(7), false)]);
    assert_eq!(mapped[1].wwpns[0], Wwpn::new("c05076065a8b0060"));
    let Some(body) = read("vscsi-client-adapters-646AE0BC.xml") else {
        return;
    };
    assert_eq!(storage::serving_vioses(&body), Some(vec![1, 1]));
}

#[test]
fn jobs_end_as_their_console_said() {
    let Some(done) = read("clirunner-viosvrcmd-3-poll-completed.xml") else {
        return;
    };
    let done = Job::parse(&done).unwrap();
    assert!(done.succeeded());
    assert_eq!(done.id, "1667807035365");
    assert_eq!(
        crate::drivers::vios::lsdev::attribute(&done.text),
        Some("3425000000")
    );
    for (name, ended, succeeded, code) in [
        (
            "clirunner-viosvrcmd-1-submit.xml",
            false,
            false,
            "NOT_STARTED",
        ),
        (
            "clirunner-viosvrcmd-2-poll-running.xml",
            false,
            false,
            "RUNNING",
        ),
        ("job-completed-ok.xml", true, true, "COMPLETED_OK"),
        (
            "job-completed-with-error-hscl05df.xml",
            true,
            false,
            "HSCL05DF",
        ),
        (
            "job-failed-before-completion.xml",
            true,
            false,
            "FAILED_BEFORE_COMPLETION",
        ),
    ] {
        let Some(body) = read(name) else { return };
        let job = Job::parse(&body).expect(name);
        assert_eq!(
            (job.is_terminal(), job.succeeded()),
            (ended, succeeded),
            "{name}"
        );
        assert_eq!(job.code(), code, "{name}");
    }
    let Some(body) = read("job-failed-before-completion.xml") else {
        return;
    };
    assert!(
        Job::parse(&body)
            .unwrap()
            .text
            .contains("Unsupported commmand")
    );
}

#[test]
fn error_bodies_give_code_and_words() {
    use crate::drivers::transport::http::Intent;
    let Some(body) = read("httperror-404-vios.xml") else {
        return;
    };
    let error = errors::failed("HMC h", 404, &body, Intent::Read);
    assert_eq!(error.code(), Some("REST000B"));
    let Some(body) = read("httperror-500-vios-busy.xml") else {
        return;
    };
    let error = errors::failed("HMC h", 500, &body, Intent::Effect);
    assert_eq!(error.reason(), "Busy");
}

#[test]
fn the_console_has_one_uuid() {
    for (name, uuid) in [
        (
            "managementconsole-v8r8.xml",
            "67c67e9a-c027-3a3d-9399-ebe6aa14e12e",
        ),
        ("managementconsole-2015.xml", ""),
    ] {
        let Some(body) = read(name) else { return };
        let document = xml::parse(&body).unwrap();
        let consoles = xml::objects(&document, "ManagementConsole");
        assert_eq!(consoles.len(), 1, "{name}");
        let found = xml::uuid(consoles[0]).expect(name);
        assert!(uuid.is_empty() || found == uuid, "{name}: {found}");
    }
}
