//! FlashCopy mappings: made, driven alone, changed, removed (`storage-virtualize.md` §§ 3.1, 3.4).

use super::groups::act_of;
use super::{Answer, Command, created, new_name, object};
use crate::simulators::storage::spectrum_virtualize::flashcopy;
use crate::simulators::storage::spectrum_virtualize::model::{Array, FcMap, MapState, Vdisk, find};
use crate::simulators::world::World;

pub(super) fn drive_map(world: &mut World, command: &Command) -> Answer {
    let (id, group) = match object(&world.array.maps, command) {
        Ok(map) => (map.id, map.group),
        Err(answer) => return answer,
    };
    if group.is_some() {
        return Answer::refused(
            "CMMVC5923E",
            "The FlashCopy mapping is in a consistency group; use the group commands.",
        );
    }
    flashcopy::act(world, &[id], act_of(command), &command.verb)
}

pub(super) fn make_map(world: &mut World, command: &Command) -> Answer {
    match new_map(&world.array, command) {
        Ok(map) => {
            let id = map.id;
            world.array.maps.insert(id, map);
            created(world, &command.verb, id, "FlashCopy Mapping")
        }
        Err(answer) => answer,
    }
}

fn new_map(array: &Array, command: &Command) -> Result<FcMap, Answer> {
    let volume = |flag: &str| -> Result<&Vdisk, Answer> {
        let name = command
            .text(flag)
            .ok_or_else(|| Answer::refused("CMMVC5707E", "Required parameters are missing."))?;
        find(&array.vdisks, &name).ok_or_else(|| Answer::absent(&name))
    };
    let (source, target) = (volume("source")?, volume("target")?);
    if source.id == target.id {
        return Err(Answer::refused(
            "CMMVC6303E",
            "The create failed because the source and target are the same.",
        ));
    }
    if source.capacity != target.capacity {
        return Err(Answer::refused(
            "CMMVC5924E",
            "The source and target virtual disks are different sizes.",
        ));
    }
    if array.maps.values().any(|m| m.target == target.id) {
        return Err(Answer::refused(
            "CMMVC6466E",
            "The target volume is already in a mapping.",
        ));
    }
    let group = match command.text("consistgrp").filter(|g| g != "0") {
        None => None,
        Some(name) => Some(
            find(&array.groups, &name)
                .ok_or_else(|| Answer::absent(&name))?
                .id,
        ),
    };
    if let Some(group) = group
        && !matches!(
            array.group_state(group),
            "empty" | "idle_or_copied" | "stopped"
        )
    {
        return Err(Answer::refused(
            "CMMVC5920E",
            "The consistency group is not in the idle or stopped state.",
        ));
    }
    let grain = match command.text("grainsize").as_deref() {
        None | Some("256") => 256,
        Some("64") => 64,
        Some(_) => return Err(Answer::refused("CMMVC5767E", "-grainsize is 64 or 256.")),
    };
    let (id, name) = new_name(&array.maps, command, "fcmap")?;
    Ok(FcMap {
        id,
        name,
        source: source.id,
        target: target.id,
        group,
        state: MapState::IdleOrCopied,
        until: None,
        start_time: String::new(),
        started: None,
        copy_rate: number(command, "copyrate", 50, 150)?,
        clean_rate: number(command, "cleanrate", 50, 150)?,
        grain,
        autodelete: command.is_set("autodelete"),
        incremental: command.is_set("incremental"),
        rc_controlled: false,
    })
}

fn number(command: &Command, flag: &str, default: u8, max: u8) -> Result<u8, Answer> {
    let Some(text) = command.text(flag) else {
        return Ok(default);
    };
    match text.parse::<u8>() {
        Ok(n) if n <= max => Ok(n),
        _ => Err(Answer::refused(
            "CMMVC5767E",
            &format!("One or more of the parameters for -{flag} are not valid."),
        )),
    }
}

pub(super) fn change_map(world: &mut World, command: &Command) -> Answer {
    let (id, state) = match object(&world.array.maps, command) {
        Ok(map) => (map.id, map.state),
        Err(answer) => return answer,
    };
    let group = match command.text("consistgrp") {
        None => None,
        Some(name) if name == "0" => Some(None),
        Some(name) => match find(&world.array.groups, &name) {
            Some(group) => Some(Some(group.id)),
            None => return Answer::absent(&name),
        },
    };
    if group.is_some() && !matches!(state, MapState::IdleOrCopied | MapState::Stopped) {
        return Answer::refused(
            "CMMVC5913E",
            "The properties of the mapping were not modified because of its state.",
        );
    }
    let (current_copy, current_clean) = world
        .array
        .maps
        .get(&id)
        .map_or((0, 0), |m| (m.copy_rate, m.clean_rate));
    let (copy, clean) = match (
        number(command, "copyrate", current_copy, 150),
        number(command, "cleanrate", current_clean, 150),
    ) {
        (Ok(copy), Ok(clean)) => (copy, clean),
        (Err(answer), _) | (_, Err(answer)) => return answer,
    };
    if let Some(map) = world.array.maps.get_mut(&id) {
        map.copy_rate = copy;
        map.clean_rate = clean;
        if let Some(group) = group {
            map.group = group;
        }
        if let Some(word) = command.text("autodelete") {
            map.autodelete = word == "on" || word == "true";
        }
        if let Some(name) = command.text("name") {
            map.name = name;
        }
    }
    world.ledger.effect("array.chfcmap");
    Answer::Nothing
}

pub(super) fn remove_map(world: &mut World, command: &Command) -> Answer {
    let (id, state) = match object(&world.array.maps, command) {
        Ok(map) => (map.id, map.state),
        Err(answer) => return answer,
    };
    let code = state.refusals()[3];
    let forced = state == MapState::Stopped && command.is_set("force");
    if !code.is_empty() && !forced {
        return Answer::refused(
            code,
            &format!(
                "The FlashCopy mapping was not deleted because it is {}.",
                state.as_str()
            ),
        );
    }
    let (target, now) = (world.array.maps.get(&id).map(|m| m.target), world.now);
    if let Some(target) = target {
        world.array.hold(target, now);
    }
    world.array.maps.remove(&id);
    world.ledger.effect("array.rmfcmap");
    Answer::Nothing
}
