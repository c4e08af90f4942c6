//! What the `ls` commands print: field names and their order as the protocol page lists them, every value a string.

mod groups;
mod hosts;
mod maps;
mod pools;
mod volumes;

use super::commands::{Answer, Command, row};
use super::model::{FcMap, Vdisk, find};
use crate::simulators::world::World;
use groups::groups;
use hosts::{host_maps, hosts, volume_map};
use maps::{NOT_LISTED_OF_MAP, fcmap};
use pools::{NOT_LISTED_OF_POOL, pool};
use serde_json::Value;
use volumes::{copies, vdisks};

/// Executes an `ls` command.
pub(super) fn list(world: &World, command: &Command) -> Answer {
    match command.verb.as_str() {
        "lsfcmap" => of_objects(
            command,
            world.array.maps.values().map(|m| {
                (
                    m.id,
                    m.name.clone(),
                    in_view(command, fcmap(world, m), NOT_LISTED_OF_MAP),
                )
            }),
        ),
        "lsfcconsistgrp" => groups(world, command),
        "lsfcmapprogress" => with_map(world, command, |m| {
            let progress = world.array.progress(m, world.now).to_string();
            vec![row(&[("id", m.id.to_string()), ("progress", progress)])]
        }),
        "lsfcmapdependentmaps" => with_map(world, command, |m| {
            let names = world.array.dependants(m.id);
            let ids = names.iter().filter_map(|n| find(&world.array.maps, n));
            ids.map(|d| row(&[("fc_id", d.id.to_string()), ("fc_name", d.name.clone())]))
                .collect()
        }),
        "lsvdiskfcmappings" => with_vdisk(world, command, |v| {
            let maps = world
                .array
                .maps
                .values()
                .filter(|m| m.source == v.id || m.target == v.id);
            maps.map(|m| row(&[("id", m.id.to_string()), ("name", m.name.clone())]))
                .collect()
        }),
        "lsvdisk" => vdisks(world, command),
        "lsvdiskcopy" | "lssevdiskcopy" => copies(world, command),
        "lsmdiskgrp" => of_objects(
            command,
            world.array.pools.values().map(|p| {
                (
                    p.id,
                    p.name.clone(),
                    in_view(command, pool(world, command, p), NOT_LISTED_OF_POOL),
                )
            }),
        ),
        "lshost" => hosts(world, command),
        "lshostvdiskmap" => host_maps(world, command),
        "lsvdiskhostmap" => with_vdisk(world, command, |v| {
            world
                .array
                .hosts_of(v.id)
                .into_iter()
                .map(|(scsi, host)| volume_map(v, scsi, host))
                .collect()
        }),
        "lssystem" => Answer::Object(system(world)),
        "lssecurity" => Answer::Object(row(&[(
            "restapitimeout",
            world.array.token_minutes.to_string(),
        )])),
        "lssystemlimits" => Answer::Rows(vec![]),
        "lsiogrp" => Answer::Rows(vec![row(&[
            ("id", "0".into()),
            ("name", "io_grp0".into()),
            ("node_count", "2".into()),
        ])]),
        _ => Answer::UnknownCommand,
    }
}

/// The list view is shorter than the object view.
fn in_view(command: &Command, mut object: Value, not_listed: &[&str]) -> Value {
    if command.object.is_none()
        && let Some(cells) = object.as_object_mut()
    {
        cells.retain(|key, _| !not_listed.contains(&key.as_str()));
    }
    object
}

/// List with a filter, or one object by id or name.
fn of_objects(command: &Command, objects: impl Iterator<Item = (u32, String, Value)>) -> Answer {
    let Some(wanted) = command.object.as_deref() else {
        return filtered(command, objects.map(|(_, _, v)| v).collect());
    };
    let mut objects = objects;
    let found = match wanted.parse::<u32>() {
        Ok(id) => objects.find(|(i, _, _)| *i == id),
        Err(_) => objects.find(|(_, n, _)| n == wanted),
    };
    found.map_or_else(|| absent(wanted), |(_, _, v)| Answer::Object(v))
}

fn absent(what: &str) -> Answer {
    Answer::refused(
        "CMMVC5754E",
        &format!("The specified object does not exist: {what}."),
    )
}

/// `filtervalue`: `attr=value`, several joined by `:` are ANDed, `*` is a wildcard.
fn filtered(command: &Command, rows: Vec<Value>) -> Answer {
    let Some(filter) = command.text("filtervalue") else {
        return Answer::Rows(rows);
    };
    let mut kept = rows;
    for condition in filter.split(':') {
        let Some((key, wanted)) = condition.split_once('=') else {
            return Answer::refused("CMMVC5741E", "The filter value entered is not valid.");
        };
        if kept.first().is_some_and(|r| r.get(key).is_none()) {
            return Answer::refused(
                "CMMVC5741E",
                &format!("The filter attribute {key} is not valid."),
            );
        }
        kept.retain(|r| {
            r.get(key)
                .and_then(Value::as_str)
                .is_some_and(|v| matches_pattern(v, wanted))
        });
    }
    Answer::Rows(kept)
}

fn matches_pattern(value: &str, pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, rest @ ..] = parts.as_slice() else {
        return false;
    };
    if rest.is_empty() {
        return value == pattern;
    }
    let Some(mut left) = value.strip_prefix(first) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return false;
    };
    for part in middle {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

fn with_map(world: &World, command: &Command, rows: impl Fn(&FcMap) -> Vec<Value>) -> Answer {
    let Some(wanted) = command.object.as_deref() else {
        return Answer::refused("CMMVC5701E", "No object ID was specified.");
    };
    find(&world.array.maps, wanted).map_or_else(|| absent(wanted), |m| Answer::Rows(rows(m)))
}

fn with_vdisk(world: &World, command: &Command, rows: impl Fn(&Vdisk) -> Vec<Value>) -> Answer {
    let Some(wanted) = command.object.as_deref() else {
        return Answer::refused("CMMVC5707E", "Required parameters are missing.");
    };
    find(&world.array.vdisks, wanted).map_or_else(|| absent(wanted), |v| Answer::Rows(rows(v)))
}

fn on_off(flag: bool) -> String {
    if flag { "on" } else { "off" }.to_owned()
}

fn yes_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

/// Bytes as asked for: plain with `bytes`, else binary multiples as the array prints them.
fn size(command: &Command, bytes: u64) -> String {
    if command.is_set("bytes") || command.text("unit").as_deref() == Some("b") {
        return bytes.to_string();
    }
    let units = ["MB", "GB", "TB", "PB"];
    let mut value = bytes as f64 / 1_048_576.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.2}{}", units[unit])
}

fn system(world: &World) -> Value {
    row(&[
        ("id", super::system_id(world)),
        ("name", world.array.name.clone()),
        ("location", "local".into()),
        ("code_level", world.array.level.clone()),
        ("time_zone", "522 UTC".into()),
        ("product_name", "IBM Storwize (simulated)".into()),
        (
            "vdisk_protection_enabled",
            yes_no(world.array.protection_minutes > 0),
        ),
        (
            "vdisk_protection_time",
            world.array.protection_minutes.max(15).to_string(),
        ),
    ])
}
