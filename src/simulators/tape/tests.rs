//! Cartridges by themselves.

use super::file::{TapeSite, install};
use super::*;
use crate::simulators::world::file::WorldFile;
use serde_json::json;

fn world() -> World {
    let file: WorldFile = serde_json::from_value(json!({
        "start": "2026-11-23T20:00:00Z", "sources": [],
        "console": {"name": "hmc1", "listen": [], "users": [], "systems": [], "partitions": []},
        "vioses": [], "array": {"name": "svc", "users": [], "pools": [], "volumes": []},
        "systems": [], "network": []
    }))
    .unwrap();
    World::from_file(&file).unwrap()
}

fn said(file: serde_json::Value) -> String {
    let file: TapeSite = serde_json::from_value(file).unwrap();
    install(&mut world(), &file).unwrap_err()
}

#[test]
fn wrong_tapes_are_told_with_what_to_write() {
    let said_of = [
        (json!({"cartridges": [{"volume": "a1"}]}), "A-Z 0-9"),
        (
            json!({"cartridges": [{"volume": "A1"}, {"volume": "A1"}]}),
            "twice",
        ),
        (
            json!({"drives": [{"device": "TAP01", "loaded": "A1"}]}),
            "tapes.cartridges",
        ),
        (
            json!({"drives": [{"device": "TAP01", "partitions": ["X"]}]}),
            "console.partitions",
        ),
        (
            json!({"drives": [{"device": "TAP01"}, {"device": "TAP01"}]}),
            "twice",
        ),
    ];
    for (file, right) in said_of {
        let said = said(file);
        assert!(said.contains(right), "{said}");
    }
}

#[test]
fn a_drive_is_reached_by_its_partitions_and_loads_what_it_can() {
    let mut world = world();
    let file = json!({"cartridges": [{"volume": "A1"}, {"volume": "A2", "initialised": false}],
        "drives": [{"device": "TAP01"}, {"device": "TAP02", "library": false}]});
    install(&mut world, &serde_json::from_value(file).unwrap()).unwrap();
    world.tapes.drives.get_mut("TAP02").unwrap().partitions = vec!["CLONE1".to_owned()];
    assert_eq!(world.tapes.devices("PROD"), ["TAP01"]);
    assert_eq!(world.tapes.devices("CLONE1"), ["TAP01", "TAP02"]);
    assert!(world.tapes.reachable("PROD", "A1") && !world.tapes.reachable("PROD", "A2"));
    world.tapes.drives.get_mut("TAP01").unwrap().library = false;
    assert!(!world.tapes.reachable("PROD", "A1"));
}
