//! Volumes: made, renamed, removed.

use super::{Answer, Command, created, new_name, object};
use crate::simulators::storage::spectrum_virtualize::model::{Vdisk, find};
use crate::simulators::world::World;

pub(super) fn make_vdisk(world: &mut World, command: &Command) -> Answer {
    let Some(pool) = command.text("mdiskgrp") else {
        return Answer::refused("CMMVC5707E", "Required parameters are missing.");
    };
    let Some(pool) = find(&world.array.pools, &pool).map(|p| p.id) else {
        return Answer::absent(&pool);
    };
    let Some(size) = command.text("size").and_then(|s| s.parse::<u64>().ok()) else {
        return Answer::refused("CMMVC5707E", "Required parameters are missing.");
    };
    let unit = match command.text("unit").as_deref() {
        Some("b") => 1,
        None | Some("mb") => 1 << 20,
        Some("gb") => 1 << 30,
        Some(_) => return Answer::refused("CMMVC5767E", "-unit is not valid."),
    };
    match new_name(&world.array.vdisks, command, "vdisk") {
        Ok((id, name)) => {
            let uid = crate::site::Uid::new(format!("60050768018A0000{id:016X}"));
            let thin = command.flags.contains_key("rsize");
            world.array.vdisks.insert(
                id,
                Vdisk {
                    id,
                    name,
                    uid,
                    capacity: size * unit,
                    pool,
                    thin,
                    last_io: None,
                    offline: false,
                    held: 0,
                },
            );
            created(world, &command.verb, id, "Virtual Disk")
        }
        Err(answer) => answer,
    }
}

pub(super) fn rename_vdisk(world: &mut World, command: &Command) -> Answer {
    let id = match object(&world.array.vdisks, command) {
        Ok(vdisk) => vdisk.id,
        Err(answer) => return answer,
    };
    if command.flags.is_empty() {
        return Answer::refused("CMMVC5707E", "Required parameters are missing.");
    }
    if command.text("name").is_some() {
        let name = match new_name(&world.array.vdisks, command, "vdisk") {
            Ok((_, name)) => name,
            Err(answer) => return answer,
        };
        if let Some(vdisk) = world.array.vdisks.get_mut(&id) {
            vdisk.name = name;
        }
    }
    world.ledger.effect("array.chvdisk");
    Answer::Nothing
}

pub(super) fn remove_vdisk(world: &mut World, command: &Command) -> Answer {
    let id = match object(&world.array.vdisks, command) {
        Ok(vdisk) => vdisk.id,
        Err(answer) => return answer,
    };
    let used = !world.array.hosts_of(id).is_empty()
        || world
            .array
            .maps
            .values()
            .any(|m| m.source == id || m.target == id);
    if used {
        return Answer::refused(
            "CMMVC5840E",
            "The virtual disk is mapped or part of a FlashCopy mapping.",
        );
    }
    if let Some(answer) = protected(world, id) {
        return answer;
    }
    world.array.vdisks.remove(&id);
    world.ledger.effect("array.rmvdisk");
    Answer::Nothing
}

/// Volume protection: unmapping and deleting are refused for a time after the last I/O; force does not help (§ 5).
pub(super) fn protected(world: &World, vdisk: u32) -> Option<Answer> {
    let minutes = i64::from(world.array.protection_minutes);
    let last_io = world.array.vdisks.get(&vdisk)?.last_io?;
    let recent = minutes > 0 && (world.now - last_io).num_minutes() < minutes;
    recent.then(|| {
        Answer::refused(
            "CMMVC8855E",
            "The volume had I/O within the volume protection time.",
        )
    })
}
