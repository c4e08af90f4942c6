//! `lsfcmap`.

use super::{on_off, yes_no};
use crate::simulators::storage::spectrum_virtualize::commands::row;
use crate::simulators::storage::spectrum_virtualize::model::FcMap;
use crate::simulators::world::World;
use serde_json::Value;

/// Fields of a map that only the object view shows (§ 3.1).
pub(super) const NOT_LISTED_OF_MAP: &[&str] = &[
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

pub(super) fn fcmap(world: &World, m: &FcMap) -> Value {
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
