//! What the `ls` commands print: field names and their order as the protocol page lists them, every value a string.

use super::commands::{Answer, Command, row};
use super::model::{FcMap, Host, Vdisk, find};
use crate::simulators::world::World;
use serde_json::{Value, json};

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

/// Fields of a map that only the object view shows (§ 3.1).
const NOT_LISTED_OF_MAP: &[&str] = &[
    "dependent_mappings",
    "autodelete",
    "clean_rate",
    "difference",
    "grain_size",
    "IO_group_id",
    "IO_group_name",
    "keep_target",
    "type",
    "restore_progress",
    "fc_controlled",
    "owner_id",
    "owner_name",
];
/// Fields of a pool that only the object view shows.
const NOT_LISTED_OF_POOL: &[&str] = &[
    "physical_capacity",
    "physical_free_capacity",
    "vdisk_protection_enabled",
];

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

fn fcmap(world: &World, m: &FcMap) -> Value {
    let array = &world.array;
    let vdisk = |id: u32| {
        array
            .vdisks
            .get(&id)
            .map(|v| v.name.clone())
            .unwrap_or_default()
    };
    let (group_id, group_name) = match m.group.and_then(|g| array.groups.get(&g)) {
        Some(group) => (group.id.to_string(), group.name.clone()),
        None => (String::new(), String::new()),
    };
    let shown_start = if m.start_time == "auto" {
        String::new()
    } else {
        m.start_time.clone()
    };
    row(&[
        ("id", m.id.to_string()),
        ("name", m.name.clone()),
        ("source_vdisk_id", m.source.to_string()),
        ("source_vdisk_name", vdisk(m.source)),
        ("target_vdisk_id", m.target.to_string()),
        ("target_vdisk_name", vdisk(m.target)),
        ("group_id", group_id),
        ("group_name", group_name),
        ("status", m.state.as_str().to_owned()),
        ("progress", array.progress(m, world.now).to_string()),
        ("copy_rate", m.copy_rate.to_string()),
        ("start_time", shown_start),
        (
            "dependent_mappings",
            array.dependants(m.id).len().to_string(),
        ),
        ("autodelete", on_off(m.autodelete)),
        ("clean_progress", "100".into()),
        ("clean_rate", m.clean_rate.to_string()),
        ("incremental", on_off(m.incremental)),
        ("difference", "100".into()),
        ("grain_size", m.grain.to_string()),
        ("IO_group_id", "0".into()),
        ("IO_group_name", "io_grp0".into()),
        ("partner_FC_id", String::new()),
        ("partner_FC_name", String::new()),
        ("restoring", "no".into()),
        ("rc_controlled", yes_no(m.rc_controlled)),
        ("keep_target", "no".into()),
        ("type", "generic".into()),
        ("restore_progress", "0".into()),
        ("fc_controlled", "no".into()),
        ("owner_id", String::new()),
        ("owner_name", String::new()),
    ])
}

fn groups(world: &World, command: &Command) -> Answer {
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

fn vdisk_summary(world: &World, command: &Command, v: &Vdisk) -> Value {
    let array = &world.array;
    let pool = array.pools.get(&v.pool);
    let maps: Vec<&FcMap> = array
        .maps
        .values()
        .filter(|m| m.source == v.id || m.target == v.id)
        .collect();
    let (fc_id, fc_name) = match maps.as_slice() {
        [] => (String::new(), String::new()),
        [one] => (one.id.to_string(), one.name.clone()),
        _ => ("many".to_owned(), "many".to_owned()),
    };
    let online =
        super::access(world, &v.uid) == crate::simulators::world::coupling::DiskAccess::Usable;
    row(&[
        ("id", v.id.to_string()),
        ("name", v.name.clone()),
        ("IO_group_id", "0".into()),
        ("IO_group_name", "io_grp0".into()),
        (
            "status",
            if online { "online" } else { "offline" }.to_owned(),
        ),
        ("mdisk_grp_id", v.pool.to_string()),
        (
            "mdisk_grp_name",
            pool.map(|p| p.name.clone()).unwrap_or_default(),
        ),
        ("capacity", size(command, v.capacity)),
        ("type", "striped".into()),
        ("FC_id", fc_id),
        ("FC_name", fc_name),
        ("vdisk_UID", v.uid.as_str().to_owned()),
        ("fc_map_count", maps.len().to_string()),
        ("copy_count", "1".into()),
        ("se_copy_count", if v.thin { "1" } else { "0" }.to_owned()),
        ("parent_mdisk_grp_id", v.pool.to_string()),
        (
            "parent_mdisk_grp_name",
            pool.map(|p| p.name.clone()).unwrap_or_default(),
        ),
        ("volume_group_id", String::new()),
        ("volume_group_name", String::new()),
        ("is_snapshot", "no".into()),
    ])
}

fn copy_section(world: &World, command: &Command, v: &Vdisk) -> Value {
    let pool = world.array.pools.get(&v.pool);
    let used = world.array.used_by(v, world.now);
    let blank = pool.is_some_and(|p| p.data_reduction);
    let shown = |bytes: u64| {
        if blank {
            String::new()
        } else {
            size(command, bytes)
        }
    };
    row(&[
        ("vdisk_id", v.id.to_string()),
        ("vdisk_name", v.name.clone()),
        ("copy_id", "0".into()),
        ("status", "online".into()),
        ("sync", "yes".into()),
        ("primary", "yes".into()),
        ("mdisk_grp_id", v.pool.to_string()),
        (
            "mdisk_grp_name",
            pool.map(|p| p.name.clone()).unwrap_or_default(),
        ),
        ("capacity", size(command, v.capacity)),
        ("used_capacity", shown(used)),
        (
            "real_capacity",
            shown(if v.thin {
                used + v.capacity / 50
            } else {
                v.capacity
            }),
        ),
        (
            "free_capacity",
            shown(if v.thin { v.capacity / 50 } else { 0 }),
        ),
        ("overallocation", "100".into()),
        ("autoexpand", if v.thin { "on" } else { "" }.to_owned()),
        ("warning", if v.thin { "80" } else { "" }.to_owned()),
        ("grainsize", if v.thin { "256" } else { "" }.to_owned()),
        ("se_copy", yes_no(v.thin)),
        ("compressed_copy", "no".into()),
        ("deduplicated_copy", "no".into()),
        (
            "used_capacity_before_reduction",
            if blank {
                size(command, used)
            } else {
                String::new()
            },
        ),
    ])
}

/// The list, or `[ {volume}, {copy 0} ]` for one.
fn vdisks(world: &World, command: &Command) -> Answer {
    let Some(wanted) = command.object.as_deref() else {
        return filtered(
            command,
            world
                .array
                .vdisks
                .values()
                .map(|v| vdisk_summary(world, command, v))
                .collect(),
        );
    };
    match find(&world.array.vdisks, wanted) {
        None => absent(wanted),
        Some(v) => Answer::Sections(vec![
            vdisk_summary(world, command, v),
            copy_section(world, command, v),
        ]),
    }
}

fn copies(world: &World, command: &Command) -> Answer {
    let all = world.array.vdisks.values();
    let kept = all.filter(|v| command.verb == "lsvdiskcopy" || v.thin);
    let kept = kept.filter(|v| {
        command
            .object
            .as_deref()
            .is_none_or(|w| w == v.name || w == v.id.to_string())
    });
    filtered(
        command,
        kept.map(|v| copy_section(world, command, v)).collect(),
    )
}

fn pool(world: &World, command: &Command, p: &super::model::Pool) -> Value {
    let thin: u64 = world
        .array
        .vdisks
        .values()
        .filter(|v| v.pool == p.id && v.thin)
        .map(|v| world.array.used_by(v, world.now))
        .sum();
    let free = p.capacity.saturating_sub(p.used + thin);
    row(&[
        ("id", p.id.to_string()),
        ("name", p.name.clone()),
        ("status", "online".into()),
        ("capacity", size(command, p.capacity)),
        ("free_capacity", size(command, free)),
        ("virtual_capacity", size(command, p.capacity)),
        ("used_capacity", size(command, p.capacity - free)),
        ("real_capacity", size(command, p.capacity - free)),
        ("overallocation", "100".into()),
        ("warning", "80".into()),
        ("data_reduction", yes_no(p.data_reduction)),
        ("physical_capacity", size(command, p.capacity)),
        ("physical_free_capacity", size(command, free)),
        ("type", "parent".into()),
        ("parent_mdisk_grp_id", p.id.to_string()),
        ("parent_mdisk_grp_name", p.name.clone()),
        (
            "vdisk_protection_enabled",
            yes_no(world.array.protection_minutes > 0),
        ),
    ])
}

fn hosts(world: &World, command: &Command) -> Answer {
    let Some(wanted) = command.object.as_deref() else {
        let rows = world.array.hosts.values().map(|h| {
            row(&[
                ("id", h.id.to_string()),
                ("name", h.name.clone()),
                ("port_count", h.wwpns.len().to_string()),
                ("iogrp_count", "4".into()),
                ("status", "online".into()),
                ("protocol", "scsi".into()),
            ])
        });
        return filtered(command, rows.collect());
    };
    let Some(h) = find(&world.array.hosts, wanted) else {
        return absent(wanted);
    };
    let mut object = row(&[
        ("id", h.id.to_string()),
        ("name", h.name.clone()),
        ("port_count", h.wwpns.len().to_string()),
        ("type", "generic".into()),
        ("iogrp_count", "4".into()),
        ("status", "online".into()),
        ("protocol", "scsi".into()),
    ]);
    let nodes: Vec<Value> = h
        .wwpns
        .iter()
        .map(|w| {
            row(&[
                ("WWPN", w.to_ascii_uppercase()),
                ("node_logged_in_count", "2".into()),
                ("state", "active".into()),
            ])
        })
        .collect();
    if let Some(object) = object.as_object_mut() {
        object.insert("nodes".into(), Value::Array(nodes));
    }
    Answer::Object(object)
}

fn host_maps(world: &World, command: &Command) -> Answer {
    let array = &world.array;
    let only = match command.object.as_deref() {
        None => None,
        Some(wanted) => match find(&array.hosts, wanted) {
            Some(h) => Some(h.id),
            None => return absent(wanted),
        },
    };
    let mut rows = Vec::new();
    for h in array
        .hosts
        .values()
        .filter(|h| only.is_none_or(|id| id == h.id))
    {
        for (scsi, v) in h
            .luns
            .iter()
            .filter_map(|(s, v)| array.vdisks.get(v).map(|v| (s, v)))
        {
            rows.push(row(&[
                ("id", h.id.to_string()),
                ("name", h.name.clone()),
                ("SCSI_id", scsi.to_string()),
                ("vdisk_id", v.id.to_string()),
                ("vdisk_name", v.name.clone()),
                ("vdisk_UID", v.uid.as_str().to_owned()),
                ("IO_group_id", "0".into()),
                ("IO_group_name", "io_grp0".into()),
                ("mapping_type", "private".into()),
                ("host_cluster_id", String::new()),
                ("host_cluster_name", String::new()),
                ("protocol", "scsi".into()),
            ]));
        }
    }
    filtered(command, rows)
}

fn volume_map(v: &Vdisk, scsi: u32, h: &Host) -> Value {
    row(&[
        ("id", v.id.to_string()),
        ("name", v.name.clone()),
        ("SCSI_id", scsi.to_string()),
        ("host_id", h.id.to_string()),
        ("host_name", h.name.clone()),
        ("vdisk_UID", v.uid.as_str().to_owned()),
        ("IO_group_id", "0".into()),
        ("IO_group_name", "io_grp0".into()),
        ("mapping_type", "private".into()),
        ("host_cluster_id", String::new()),
        ("host_cluster_name", String::new()),
        ("protocol", "scsi".into()),
    ])
}

fn system(world: &World) -> Value {
    row(&[
        ("id", super::SYSTEM_ID.into()),
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
