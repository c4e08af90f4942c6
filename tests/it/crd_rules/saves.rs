//! BRMS and SAVE21 in the schema, and the examples as the API server takes them.

use super::{create, environment, set};
use crate::server::Server;
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// An environment of another function, with the block it needs.
fn saving(function: &str, block: &str, value: Value) -> Value {
    let mut object = environment("saving");
    let spec = object["spec"].as_object_mut().unwrap();
    spec.remove("user");
    spec.insert("function".into(), json!(function));
    spec.insert(block.into(), value);
    object
}

fn brms() -> Value {
    saving(
        "BRMS",
        "brms",
        json!({"controlGroups": ["*SYSGRP", "DAILY"]}),
    )
}

fn save21() -> Value {
    saving("SAVE21", "save21", json!({"device": "TAP01"}))
}

#[apply(on_both!)]
async fn a_function_that_saves_has_its_own_block_and_no_other(server: Server) {
    let (client, here) = server.namespace().await;
    let mut both = brms();
    both["spec"]["save21"] = json!({"device": "TAP01"});
    let mut none = brms();
    none["spec"].as_object_mut().unwrap().remove("brms");
    let without_device = saving("SAVE21", "save21", json!({}));
    for (object, field, remedy) in [
        (both, "save21", "no other function may have it"),
        (none, "brms", "brms: { controlGroups: [ … ] }"),
        (without_device, "save21.device", "Required"),
        (
            saving("BRMS", "brms", json!({"controlGroups": []})),
            "controlGroups",
            "at least 1",
        ),
        (
            saving("BRMS", "brms", json!({"controlGroups": ["daily"]})),
            "controlGroups",
            "in upper case",
        ),
        (
            saving(
                "SAVE21",
                "save21",
                json!({"device": "TAP01", "expirationDate": "31.12.2027"}),
            ),
            "expirationDate",
            "such as 2027-12-31",
        ),
    ] {
        let refused = create(&client, &here, &object)
            .await
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(field) && refused.contains(remedy),
            "{field}: {refused}"
        );
    }
}

#[apply(on_both!)]
async fn nothing_is_called_on_a_clone_that_has_no_network_and_no_history_is_waited_for_that_never_comes(
    server: Server,
) {
    let (client, here) = server.namespace().await;
    let hook = |at: &str| json!([{"at": at, "program": "CLNLIB/HOOK"}]);
    for (mut object, at, remedy) in [
        (save21(), "BeforeFunction", "CloneReady or AfterFunction"),
        (save21(), "AfterHistory", "only function BRMS"),
        (environment("user"), "AfterHistory", "only function BRMS"),
    ] {
        set(&mut object, "/spec/hooks", hook(at));
        let refused = create(&client, &here, &object)
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.contains(remedy), "{at}: {refused}");
    }
    let mut object = brms();
    set(&mut object, "/spec/hooks", hook("AfterHistory"));
    create(&client, &here, &object).await.unwrap();
}

#[apply(on_both!)]
async fn the_examples_are_taken_as_they_stand(server: Server) {
    let (client, here) = server.namespace().await;
    for text in [
        include_str!("../../../examples/nightly-user.yaml"),
        include_str!("../../../examples/midday-hold.yaml"),
        include_str!("../../../examples/nightly-npiv.yaml"),
        include_str!("../../../examples/nightly-brms.yaml"),
        include_str!("../../../examples/weekly-test.yaml"),
        include_str!("../../../examples/sunday-save21.yaml"),
    ] {
        let mut object: Value = serde_saphyr::from_str(text).unwrap();
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("namespace");
        let name = object["metadata"]["name"].clone();
        if let Err(refused) = create(&client, &here, &object).await {
            panic!("{name}: {refused}");
        }
    }
}
