use super::objects::{Placeholders, SITE, WORLD, objects};
use super::*;
use crate::api::CloneEnvironment;
use crate::commands::samples;
use crate::engine::journal::Phase;
use kube::ResourceExt;
use serde_json::json;

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

#[test]
fn the_demo_applies_the_environments_it_runs() {
    let objects = objects(SITE, &values()).expect("the file is YAML once filled in");
    let mut names = Vec::new();
    for object in objects {
        if object
            .types
            .as_ref()
            .is_some_and(|t| t.kind == "CloneEnvironment")
        {
            names.push(object.name_any());
            let value = serde_json::to_value(&object).expect("is an object");
            let environment: CloneEnvironment =
                serde_json::from_value(value).expect("is an environment");
            assert_eq!(environment.spec.source.host.port, 4003);
        }
    }
    assert_eq!(names, ENVIRONMENTS);
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
fn the_world_of_the_demo_is_a_world() {
    let file = parse_world(WORLD).expect("parses");
    crate::simulators::world::World::from_file(&file).expect("contradicts nothing");
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
