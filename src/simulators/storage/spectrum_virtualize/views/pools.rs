//! `lsmdiskgrp`.

use super::{size, yes_no};
use crate::simulators::storage::spectrum_virtualize::commands::{Command, row};
use crate::simulators::storage::spectrum_virtualize::model::Pool;
use crate::simulators::world::World;
use serde_json::Value;

/// Fields of a pool that only the object view shows.
pub(super) const NOT_LISTED_OF_POOL: &[&str] = &[
    "physical_capacity",
    "physical_free_capacity",
    "vdisk_protection_enabled",
];

pub(super) fn pool(world: &World, command: &Command, p: &Pool) -> Value {
    let used = world.array.pool_used(p, world.now);
    let free = p.capacity - used;
    row(&[
        ("id", p.id.to_string()),
        ("name", p.name.clone()),
        ("status", "online".into()),
        ("capacity", size(command, p.capacity)),
        ("free_capacity", size(command, free)),
        ("virtual_capacity", size(command, p.capacity)),
        ("used_capacity", size(command, used)),
        ("real_capacity", size(command, used)),
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
