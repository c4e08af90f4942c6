//! `docs/world-file.md` lists every key, knob and fault of the world file, and a wrong one is told with the right ones.

use ibmi_clone_operator::commands::simulated_site::parse_world;
use ibmi_clone_operator::simulators::faults::{Device, Fault, FaultKind};
use ibmi_clone_operator::simulators::ibmi::{brms, file as ibmi};
use ibmi_clone_operator::simulators::storage::spectrum_virtualize as array;
use ibmi_clone_operator::simulators::world::file::{Knobs, NetworkAddress, UserFile, WorldFile};
use ibmi_clone_operator::simulators::world::{World, special};
use ibmi_clone_operator::simulators::{hmc, tape, vios};
use serde::de::DeserializeOwned;
use serde_json::json;

const DOCUMENT: &str = include_str!("../../../docs/world-file.md");
const WORLD: &str = include_str!("../../../examples/demo/world.yaml");

/// The keys of an object, as its own refusal of a wrong key lists them.
fn keys<T: DeserializeOwned>() -> Vec<String> {
    let refusal = serde_json::from_value::<T>(json!({"noSuchKey": 1}));
    let refusal = refusal.err().map(|e| e.to_string()).unwrap_or_default();
    let (_, right) = refusal
        .split_once("unknown field `noSuchKey`, expected ")
        .unwrap_or_else(|| panic!("a wrong key is not named: {refusal}"));
    let words = right.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn the_document_lists_every_key() {
    let objects = [
        keys::<WorldFile>(),
        keys::<NetworkAddress>(),
        keys::<UserFile>(),
        keys::<Knobs>(),
        keys::<Fault>(),
        keys::<hmc::ConsoleFile>(),
        keys::<hmc::OtherPortFile>(),
        keys::<hmc::ManagedSystemFile>(),
        keys::<hmc::PartitionFile>(),
        keys::<hmc::ScsiFile>(),
        keys::<hmc::FibreChannelFile>(),
        keys::<vios::ViosFile>(),
        keys::<vios::VhostFile>(),
        keys::<vios::VtdFile>(),
        keys::<array::ArrayFile>(),
        keys::<array::PoolFile>(),
        keys::<array::VolumeFile>(),
        keys::<array::HostFile>(),
        keys::<array::GroupFile>(),
        keys::<array::MapFile>(),
        keys::<ibmi::SystemFile>(),
        keys::<ibmi::InterfaceFile>(),
        keys::<ibmi::RouteFile>(),
        keys::<ibmi::AspFile>(),
        keys::<ibmi::SystemUser>(),
        keys::<ibmi::ProgramFile>(),
        keys::<ibmi::ProgramMessage>(),
        keys::<ibmi::ScheduleFile>(),
        keys::<ibmi::JobSchedulerFile>(),
        keys::<ibmi::DataLibraryFile>(),
        keys::<ibmi::SchedulerJobFile>(),
        keys::<ibmi::JobQueueFile>(),
        keys::<tape::TapeSite>(),
        keys::<tape::DriveFile>(),
        keys::<tape::CartridgeFile>(),
        keys::<brms::BrmsFile>(),
        keys::<brms::BrmsKnobs>(),
        keys::<brms::ControlGroupFile>(),
        keys::<brms::MediaFile>(),
    ];
    for keys in objects {
        assert!(!keys.is_empty());
        // One table has them all: a key of another object does not count.
        let has = |table: &str| keys.iter().all(|k| table.contains(&format!("| `{k}` |")));
        let tables = DOCUMENT.split("| key | default | meaning |");
        assert!(
            tables.skip(1).any(has),
            "no table of the document has {keys:?}"
        );
    }
}

#[test]
fn the_document_lists_every_default_of_a_knob() {
    let defaults = serde_json::to_value(Knobs::default()).unwrap();
    for (knob, value) in defaults.as_object().unwrap() {
        let row = format!("| `{knob}` | `{value}` |");
        assert!(DOCUMENT.contains(&row), "{row}");
    }
}

#[test]
fn the_document_lists_every_default_of_a_knob_of_brms() {
    let defaults = serde_json::to_value(brms::BrmsKnobs::default()).unwrap();
    for (knob, value) in defaults.as_object().unwrap() {
        let value = value.as_str().map_or(value.to_string(), str::to_owned);
        let row = format!("| `{knob}` | `{value}` |");
        assert!(DOCUMENT.contains(&row), "{row}");
    }
}

#[test]
fn a_wrong_brms_block_is_told_with_what_to_write() {
    let with = |tapes: &str, brms: &str| {
        let text = WORLD.replacen("network:", &format!("tapes: {tapes}\nnetwork:"), 1);
        let block = format!("    systemName: PROD\n    brms: {brms}\n");
        let text = text.replacen("    systemName: PROD\n", &block, 1);
        let world = parse_world(&text).and_then(|file| World::from_file(&file));
        world.err().unwrap_or_default()
    };
    let tapes = "{ drives: [{ device: TAP01 }], cartridges: [{ volume: A1 }] }";
    let fine = "{ controlGroups: [{ name: DAILY }], media: [{ volume: A1 }] }";
    assert_eq!(with(tapes, fine), "");
    for (brms, right) in [
        (
            "{ media: [{ volume: A2 }] }",
            "add it under tapes.cartridges",
        ),
        (
            "{ controlGroups: [{ name: daily }], media: [{ volume: A1 }] }",
            "such as DAILY or *SYSGRP",
        ),
        (
            "{ controlGroups: [{ name: D }, { name: D }], media: [{ volume: A1 }] }",
            "is there twice",
        ),
        (
            "{ controlGroups: [{ name: D, mediaClass: LTO }], media: [{ volume: A1 }] }",
            "write one of ULTRIUM",
        ),
        (
            "{ knobs: { severityColumn: SEV } }",
            "MESSAGE_SEVERITY or SEVERITY",
        ),
        ("{ controlGroups: [{ name: D, secs: 3 }] }", "seconds"),
        ("{ knobs: { frozen: BRM0001 } }", "frozenId"),
        ("{ controlGroups: [{ name: D, result: bad }] }", "unsaved"),
    ] {
        let said = with(tapes, brms);
        assert!(said.contains(right), "{said}");
    }
}

#[test]
fn the_document_lists_every_fault() {
    let refusal = serde_json::from_value::<FaultKind>(json!("noSuchFault"));
    let refusal = refusal.unwrap_err().to_string();
    let kinds: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
    assert_eq!(kinds.len(), 7, "{refusal}");
    for kind in kinds {
        assert!(DOCUMENT.contains(&format!("| `{kind}")), "{kind}");
    }
    for device in [Device::Array, Device::Hmc, Device::Vios, Device::IbmI] {
        for word in special::list(device).split(", ") {
            assert!(DOCUMENT.contains(&format!("`{word}`")), "{word}");
        }
    }
}

/// What is said of a world with this in place of that.
fn said(from: &str, to: &str) -> String {
    assert!(WORLD.contains(from), "{from}");
    let text = WORLD.replacen(from, to, 1);
    let parsed = parse_world(&text);
    parsed
        .and_then(|file| World::from_file(&file))
        .err()
        .unwrap_or_else(|| panic!("{to} was taken"))
}

#[test]
fn a_wrong_key_at_any_depth_is_named_with_its_line_and_the_right_ones() {
    for (from, to, wrong, right) in [
        ("sources:", "source: []\nsources:", "source", "systems"),
        (
            "certificateNames",
            "certificates",
            "certificates",
            "certificateNames",
        ),
        (
            "usedPercent",
            "usedPercents",
            "usedPercents",
            "dataReduction",
        ),
        ("serverSlot: 23", "serverSlt: 23", "serverSlt", "serverSlot"),
        ("arrayHost", "host", "host", "arrayHost"),
        ("schedule:", "jobSchedule:", "jobSchedule", "schedule"),
        (
            "network:",
            "knobs: { prepareMs: 3 }\nnetwork:",
            "prepareMs",
            "prepareMilliseconds",
        ),
        (
            "network:",
            "faults: [{ device: array, kind: busy, time: 2 }]\nnetwork:",
            "time",
            "times",
        ),
    ] {
        let said = said(from, to);
        assert!(said.contains(&format!("unknown field `{wrong}`")), "{said}");
        assert!(
            said.contains("line ") && said.contains("expected"),
            "{said}"
        );
        assert!(said.contains(right), "{said}");
    }
}

#[test]
fn a_fault_that_could_never_show_is_refused_with_the_words_there_are() {
    let with = |fault: &str| said("network:", &format!("faults: [{fault}]\nnetwork:"));
    let said = with("{ device: array, kind: { special: flush-faild } }");
    assert!(
        said.contains("flush-faild") && said.contains("flush-failed"),
        "{said}"
    );
    assert!(said.contains("fill:POOL:PERCENT"), "{said}");
    let said = with("{ device: vios, kind: { special: stuck-job } }");
    assert!(said.contains("renumber"), "{said}");
    let said = with("{ device: array, kind: { special: 'offline:CLONE9_0' } }");
    assert!(said.contains("no volume CLONE9_0"), "{said}");
    let said = with("{ device: hmc, kind: { special: 'start:CLONE9' } }");
    assert!(said.contains("no partition CLONE9"), "{said}");
    let said = with("{ device: aray, kind: busy }");
    assert!(said.contains("aray") && said.contains("ibm-i"), "{said}");
}
