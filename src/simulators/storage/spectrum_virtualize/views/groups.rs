//! `lsfcconsistgrp`.

use super::{absent, filtered, on_off};
use crate::simulators::storage::spectrum_virtualize::commands::{Answer, Command, row};
use crate::simulators::storage::spectrum_virtualize::model::{FcMap, find};
use crate::simulators::world::World;
use serde_json::json;

pub(super) fn groups(world: &World, command: &Command) -> Answer {
    let array = &world.array;
    let start = |group: u32| {
        let first = array.maps.values().find(|m| m.group == Some(group));
        first
            .map(|m| {
                if m.start_time == "auto" {
                    String::new()
                } else {
                    m.start_time.clone()
                }
            })
            .unwrap_or_default()
    };
    let Some(wanted) = command.object.as_deref() else {
        let rows = array.groups.values().map(|g| {
            row(&[
                ("id", g.id.to_string()),
                ("name", g.name.clone()),
                ("status", array.group_state(g.id).to_owned()),
                ("start_time", start(g.id)),
            ])
        });
        return filtered(command, rows.collect());
    };
    let Some(g) = find(&array.groups, wanted) else {
        return absent(wanted);
    };
    let mut object = row(&[
        ("id", g.id.to_string()),
        ("name", g.name.clone()),
        ("status", array.group_state(g.id).to_owned()),
        ("autodelete", on_off(g.autodelete)),
        ("start_time", start(g.id)),
        ("owner_id", String::new()),
        ("owner_name", String::new()),
    ]);
    let members: Vec<&FcMap> = array
        .maps
        .values()
        .filter(|m| m.group == Some(g.id))
        .collect();
    if let Some(object) = object.as_object_mut() {
        match members.as_slice() {
            [] => {}
            [one] => {
                object.insert("FC_mapping_id".into(), json!(one.id.to_string()));
                object.insert("FC_mapping_name".into(), json!(one.name));
            }
            several => {
                let ids: Vec<String> = several.iter().map(|m| m.id.to_string()).collect();
                let names: Vec<&str> = several.iter().map(|m| m.name.as_str()).collect();
                object.insert("FC_mapping_id".into(), json!(ids));
                object.insert("FC_mapping_name".into(), json!(names));
            }
        }
    }
    Answer::Object(object)
}
