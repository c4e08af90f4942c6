//! `lshost`, `lshostvdiskmap`, `lsvdiskhostmap`.

use super::{absent, filtered};
use crate::simulators::storage::spectrum_virtualize::commands::{Answer, Command, row};
use crate::simulators::storage::spectrum_virtualize::model::{Host, Vdisk, find};
use crate::simulators::world::World;
use serde_json::Value;

pub(super) fn hosts(world: &World, command: &Command) -> Answer {
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

pub(super) fn host_maps(world: &World, command: &Command) -> Answer {
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

pub(super) fn volume_map(v: &Vdisk, scsi: u32, h: &Host) -> Value {
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
