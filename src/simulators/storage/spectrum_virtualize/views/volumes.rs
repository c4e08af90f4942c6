//! `lsvdisk`, `lsvdiskcopy`, `lssevdiskcopy`.

use super::{absent, filtered, size, yes_no};
use crate::simulators::storage::spectrum_virtualize::commands::{Answer, Command, row};
use crate::simulators::storage::spectrum_virtualize::model::{FcMap, Vdisk, find};
use crate::simulators::world::World;
use serde_json::Value;

/// The list, or `[ {volume}, {copy 0} ]` for one.
pub(super) fn vdisks(world: &World, command: &Command) -> Answer {
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
    let online = super::super::access(world, &v.uid)
        == crate::simulators::world::coupling::DiskAccess::Usable;
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

pub(super) fn copies(world: &World, command: &Command) -> Answer {
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
