//! Simulated Storage Virtualize system: volumes, hosts, pools, FlashCopy maps and groups, as `storage-virtualize.md` says.
//!
//! [`request`] is the whole array: a command, its object and its flags in, rows, an id, nothing or a CMMVC code out.
//! Faults (`Device::Array`) besides the general ones: `Special("flush-failed")` on `prestartfcconsistgrp`,
//! `Special("no-bitmap")` on `startfcconsistgrp` (the maps go to `suspended`), and what happens to the array itself, on
//! any verb and for good: `Special("offline:VOLUME")`, `("online:VOLUME")`, `("suspend:MAPPING")`,
//! `("fill:POOL:PERCENT")`, `("io:VOLUME")` (a host has just used it, for volume protection).

mod capacity;
mod commands;
mod file;
mod flashcopy;
mod mishaps;
mod model;
pub mod rest;
mod role;
mod views;

pub use commands::{Answer, Command, request};
pub use file::{ArrayFile, GroupFile, HostFile, MapFile, PoolFile, VolumeFile};
pub use mishaps::WORDS as MISHAPS;
pub use model::{Array, MapState};
pub use role::ArrayRole;

use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::World;
use crate::simulators::world::coupling::DiskAccess;
use crate::site::{Uid, Wwpn};
use model::{FcMap, Group, Host, Pool, Vdisk};
use std::collections::BTreeMap;

/// What `lssystem` shows as `id`: of the first world 000002032CA0FF0E, counting on from there.
fn system_id(world: &World) -> String {
    format!(
        "{:016X}",
        0x0000_0203_2CA0_FF0E_u64 + u64::from(world.number)
    )
}

const GIB: u64 = 1024 * 1024 * 1024;

/// Builds the array.
///
/// # Errors
/// Names the object of the file that refers to something missing.
pub fn install(world: &mut World, file: &ArrayFile) -> Result<(), String> {
    let mut array = Array {
        name: file.name.clone(),
        level: file.level.clone(),
        users: file.users.clone(),
        protection_minutes: file.protection_minutes,
        growth_per_mille: file.growth_per_mille,
        token_minutes: file.token_minutes,
        auth_per_second: file.auth_per_second,
        commands_per_second: file.commands_per_second,
        ..Array::default()
    };
    for (id, p) in (0..).zip(&file.pools) {
        let capacity = p.gib * GIB;
        let used = capacity * p.used_percent.min(100) / 100;
        array.pools.insert(
            id,
            Pool {
                id,
                name: p.name.clone(),
                capacity,
                used,
                data_reduction: p.data_reduction,
            },
        );
    }
    for (id, v) in (0..).zip(&file.volumes) {
        let pool = model::find(&array.pools, &v.pool)
            .ok_or_else(|| format!("array volume {}: there is no pool {}", v.name, v.pool))?
            .id;
        let uid = v
            .uid
            .clone()
            .unwrap_or_else(|| format!("60050768018A0000{id:016X}"));
        array.vdisks.insert(
            id,
            Vdisk {
                id,
                name: v.name.clone(),
                uid: Uid::new(uid),
                capacity: v.gib * GIB,
                pool,
                thin: v.thin,
                last_io: None,
                offline: false,
                held: 0,
            },
        );
    }
    for (id, h) in (0..).zip(&file.hosts) {
        let mut luns = BTreeMap::new();
        for (scsi, name) in (0..).zip(&h.volumes) {
            luns.insert(
                scsi,
                vdisk_id(&array, name, &format!("array host {}", h.name))?,
            );
        }
        let wwpns = h
            .wwpns
            .iter()
            .map(|w| Wwpn::new(w).as_str().to_owned())
            .collect();
        array.hosts.insert(
            id,
            Host {
                id,
                name: h.name.clone(),
                wwpns,
                luns,
                busy: h.busy,
            },
        );
    }
    for (id, g) in (0..).zip(&file.groups) {
        array.groups.insert(
            id,
            Group {
                id,
                name: g.name.clone(),
                autodelete: false,
            },
        );
        for m in &g.maps {
            let map = map_from(&array, id, m)?;
            array.maps.insert(map.id, map);
        }
    }
    world.array = array;
    Ok(())
}

fn vdisk_id(array: &Array, name: &str, of: &str) -> Result<u32, String> {
    model::find(&array.vdisks, name)
        .map(|v| v.id)
        .ok_or_else(|| format!("{of}: there is no volume {name}"))
}

fn map_from(array: &Array, group: u32, m: &MapFile) -> Result<FcMap, String> {
    let of = format!("array map {}", m.name);
    let state = match m.state.as_deref() {
        None => MapState::IdleOrCopied,
        Some(word) => {
            MapState::parse(word).ok_or_else(|| format!("{of}: {word} is no state of a map"))?
        }
    };
    Ok(FcMap {
        id: model::free_id(&array.maps),
        name: m.name.clone(),
        source: vdisk_id(array, &m.source, &of)?,
        target: vdisk_id(array, &m.target, &of)?,
        group: Some(group),
        state,
        until: None,
        start_time: if state == MapState::Copying {
            "260101000000".to_owned()
        } else {
            String::new()
        },
        started: None,
        copy_rate: m.copy_rate,
        clean_rate: 50,
        grain: 256,
        autodelete: m.autodelete,
        incremental: false,
        rc_controlled: m.rc_controlled,
    })
}

/// Moves the array to `world.now`.
pub fn advance(world: &mut World) {
    flashcopy::advance(world);
    capacity::lose_mappings(world);
}

/// Whether a volume can be read now (§ 3.3).
pub fn access(world: &World, uid: &Uid) -> DiskAccess {
    let Some(vdisk) = world.array.vdisks.values().find(|v| &v.uid == uid) else {
        return DiskAccess::Failing("the array has no such volume".to_owned());
    };
    if let Some(why) = world.array.lost(vdisk, world.now) {
        return DiskAccess::Failing(why);
    }
    for map in world.array.maps.values() {
        let failing = match map.state {
            MapState::Preparing | MapState::Prepared | MapState::Stopped | MapState::Stopping => {
                map.target == vdisk.id
            }
            MapState::Suspended => map.target == vdisk.id || map.source == vdisk.id,
            MapState::IdleOrCopied | MapState::Copying => false,
        };
        if failing {
            return DiskAccess::Failing(format!(
                "its FlashCopy mapping {} is {}",
                map.name,
                map.state.as_str()
            ));
        }
    }
    DiskAccess::Usable
}

/// Notes that volumes were used now: those of running systems, and those of busy host objects. Volume protection counts
/// from here (§ 5).
pub fn used_now(world: &mut World, uids: &[Uid]) {
    let now = world.now;
    let array = &mut world.array;
    let busy = array.hosts.values().filter(|h| h.busy);
    let busy: Vec<u32> = busy.flat_map(|h| h.luns.values().copied()).collect();
    for vdisk in array.vdisks.values_mut() {
        if busy.contains(&vdisk.id) || uids.contains(&vdisk.uid) {
            vdisk.last_io = Some(now);
        }
    }
}

/// Whether the array keeps the time of the last use at all.
pub fn protects_volumes(world: &World) -> bool {
    world.array.protection_minutes > 0
}

/// Volumes mapped to host objects that hold any of these ports, in the order of SCSI ids.
pub fn volumes_of_ports(world: &World, ports: &[Wwpn]) -> Vec<Uid> {
    let array = &world.array;
    let mut uids = Vec::new();
    for host in array.hosts.values().filter(|h| {
        ports
            .iter()
            .any(|p| h.wwpns.iter().any(|w| w == p.as_str()))
    }) {
        uids.extend(
            host.luns
                .values()
                .filter_map(|v| array.vdisks.get(v))
                .map(|v| v.uid.clone()),
        );
    }
    uids
}

/// Names of the consistency groups of which a target is mapped to a host object with any of these ports.
pub fn target_sets_of_ports(world: &World, ports: &[Wwpn]) -> Vec<String> {
    let array = &world.array;
    let seen = volumes_of_ports(world, ports);
    let is_seen = |id: &u32| array.vdisks.get(id).is_some_and(|v| seen.contains(&v.uid));
    let targets = array.maps.values().filter(|m| is_seen(&m.target));
    let mut names: Vec<String> = targets
        .filter_map(|m| array.groups.get(&m.group?))
        .map(|g| g.name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Volumes mapped to one host object (a VIOS), in the order of SCSI ids.
pub fn volumes_of_host(world: &World, host: &str) -> Vec<Uid> {
    let array = &world.array;
    let Some(host) = model::find(&array.hosts, host) else {
        return Vec::new();
    };
    host.luns
        .values()
        .filter_map(|v| array.vdisks.get(v))
        .map(|v| v.uid.clone())
        .collect()
}

/// Whether a volume is the source of a prepared mapping: its writes go through the cache (`storage-virtualize.md`).
pub fn is_prepared_source(world: &World, uid: &Uid) -> bool {
    let array = &world.array;
    array.maps.values().any(|m| {
        matches!(
            m.state,
            model::MapState::Preparing | model::MapState::Prepared
        ) && array.vdisks.get(&m.source).is_some_and(|v| &v.uid == uid)
    })
}

/// A word of a thing that happens to the array itself: `Some` with what it names and the array does not have; `None`
/// when it is no such word.
pub(crate) fn missing_of(world: &World, word: &str) -> Option<Option<String>> {
    mishaps::Mishap::parse(word).map(|m| m.missing(&world.array))
}

/// Storage identity of a volume by the array's name.
pub fn uid_of(world: &World, volume: &str) -> Option<Uid> {
    model::find(&world.array.vdisks, volume).map(|v| v.uid.clone())
}

/// Violations that can only be told at the end: a group left prepared.
pub fn check_left_behind(world: &mut World) {
    let left: Vec<String> = world
        .array
        .maps
        .values()
        .filter(|m| matches!(m.state, MapState::Prepared | MapState::Preparing))
        .map(|m| m.name.clone())
        .collect();
    for map in left {
        world.violation(
            ViolationKind::LeftPrepared,
            format!("FlashCopy mapping {map} was left prepared"),
        );
    }
}

#[cfg(test)]
mod tests;
