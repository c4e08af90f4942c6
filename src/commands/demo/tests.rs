use super::objects::{Placeholders, SITE, WORLD, objects};
use super::*;
use crate::api::CloneEnvironment;
use crate::commands::samples;
use crate::commands::simulated_site::Endpoints;
use crate::engine::journal::Phase;
use kube::ResourceExt;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn values() -> Placeholders {
    [
        ("HMC_ENDPOINT", json!("https://127.0.0.1:4001")),
        ("ARRAY_ENDPOINT", json!("https://127.0.0.1:4002")),
        ("PROD_ADDRESS", json!("127.0.0.1")),
        ("PROD_PORT", json!(4003)),
        ("CLONE1_ADDRESS", json!("127.0.0.2")),
        ("CLONE1_PORT", json!(4004)),
        ("CLONE2_ADDRESS", json!("127.0.0.3")),
        ("CLONE2_PORT", json!(4005)),
        ("PROD_HOST_KEY", json!(format!("SHA256:{}", "A".repeat(43)))),
        (
            "CA_CERTIFICATE",
            json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
    ]
    .into()
}

/// Where the devices of the week would listen.
pub(super) fn endpoints() -> (Endpoints, BTreeMap<String, String>) {
    let socket = |address: &str| {
        (
            address.to_owned(),
            "127.0.0.1:4003".parse().expect("is one"),
        )
    };
    let endpoints = Endpoints {
        hmc: vec!["https://127.0.0.1:4001".into()],
        hmc_other_ports: Vec::new(),
        array: "https://127.0.0.1:4002".into(),
        ssh: ["10.0.8.20", "10.0.8.21", "10.0.8.22", "10.0.8.24"]
            .map(socket)
            .into(),
    };
    let keys = BTreeMap::from([("PROD".to_owned(), format!("SHA256:{}", "A".repeat(43)))]);
    (endpoints, keys)
}

pub(super) fn the_week() -> Vec<CloneEnvironment> {
    let (endpoints, host_keys) = endpoints();
    let places = week::Places {
        endpoints: &endpoints,
        host_keys: &host_keys,
    };
    week::environments(&places).expect("the world has what the examples name")
}

#[test]
fn the_demo_runs_each_environment_of_the_week_once_and_all_four_functions() {
    let mut applied: Vec<String> = the_week().iter().map(ResourceExt::name_any).collect();
    let mut run: Vec<&str> = ACTS.iter().flat_map(|a| a.environments).copied().collect();
    applied.sort_unstable();
    run.sort_unstable();
    assert_eq!(run, applied);
    let functions: BTreeSet<&str> = the_week()
        .iter()
        .map(|e| e.spec.function.as_str())
        .collect();
    assert_eq!(functions.len(), 4, "{functions:?}");
}

#[test]
fn nothing_of_an_example_is_changed_but_where_the_devices_listen() {
    for environment in the_week() {
        let spec = &environment.spec;
        assert_eq!(spec.source.host.port, 4003);
        assert_eq!(spec.clone.host.address, "127.0.0.1");
        assert_eq!(spec.source.partition.name, "PROD");
        let scheduled = environment.name_any() != "nightly-user";
        assert_eq!(spec.schedule.is_some(), scheduled);
        assert!(
            !serde_json::to_string(spec)
                .expect("is JSON")
                .contains(".example.com\"")
        );
    }
}

/// What would make one environment of the week overwrite the other's disks, or answer at its address.
#[test]
fn environments_of_the_week_share_all_of_a_clone_or_nothing() {
    let of = |e: &CloneEnvironment| {
        let vscsi = e.spec.virtual_io.vscsi.as_ref().expect("is virtual SCSI");
        let array = e.spec.storage.spectrum_virtualize.as_ref();
        let adapters = vscsi.adapters.iter();
        let interfaces = e.spec.clone.personality.interfaces.iter();
        let parts = [
            vec![e.spec.clone.partition.name.clone()],
            vec![e.spec.clone.personality.system_name.clone()],
            array.expect("has an array").consistency_groups.clone(),
            adapters
                .map(|a| format!("{}/{}", a.server, a.vhost))
                .collect(),
            interfaces.map(|i| i.address.clone()).collect(),
        ];
        parts.concat().into_iter().collect::<BTreeSet<String>>()
    };
    let week = the_week();
    for (n, one) in week.iter().enumerate() {
        for other in &week[n + 1..] {
            let (a, b) = (of(one), of(other));
            assert!(a == b || a.is_disjoint(&b), "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_certificate_of_several_lines_survives_being_filled_in() {
    let objects = objects(SITE, &values()).expect("the file is YAML once filled in");
    let bundle = objects
        .iter()
        .find(|o| o.name_any() == "site-ca")
        .expect("the demo has a CA bundle");
    let pem = bundle.data["data"]["ca.crt"].as_str().expect("is a text");
    assert_eq!(pem.lines().count(), 3);
}

#[test]
fn a_placeholder_without_a_value_is_named() {
    let mut few = values();
    few.remove("ARRAY_ENDPOINT");
    let refusal = objects(SITE, &few).expect_err("one is missing");
    assert!(refusal.contains("ARRAY_ENDPOINT"), "{refusal}");
}

#[test]
fn the_worlds_of_the_demo_and_of_the_small_site_are_worlds() {
    for text in [WORLD, week::WORLD] {
        let file = parse_world(text).expect("parses");
        crate::simulators::world::World::from_file(&file).expect("contradicts nothing");
    }
}

#[test]
fn what_the_demo_says_fits_the_terminal() {
    let acts = ACTS.iter().map(|act| act.says.to_owned());
    let texts = [what_is_real(60.0), reading_of_times(60.0)];
    let texts = texts.iter().map(|text| on_the_terminal(text));
    for text in acts.chain(texts) {
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(TERMINAL), "{text}");
    }
}

#[test]
fn the_worst_outcome_is_the_outcome_of_the_demo() {
    let run = |phase| {
        let mut run = samples::run("r");
        run.status = Some(crate::api::CloneRunStatus {
            phase,
            ..Default::default()
        });
        run
    };
    let exit = |phases: &[Phase]| worst(&phases.iter().copied().map(run).collect::<Vec<_>>());
    assert_eq!(exit(&[Phase::Succeeded, Phase::Succeeded]), Exit::Done);
    assert_eq!(exit(&[Phase::Warning, Phase::Succeeded]), Exit::Warning);
    assert_eq!(exit(&[Phase::Failed, Phase::Warning]), Exit::Failed);
    assert_eq!(exit(&[]), Exit::Internal, "nothing ran: that is no success");
}
