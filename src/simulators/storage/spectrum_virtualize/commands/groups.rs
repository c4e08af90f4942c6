//! Consistency groups: made, driven as one, removed (`storage-virtualize.md` §§ 3.4, 3.6).

use super::{Answer, Command, created, new_name, object};
use crate::simulators::storage::spectrum_virtualize::flashcopy::{self, Act};
use crate::simulators::storage::spectrum_virtualize::model::Group;
use crate::simulators::world::World;

pub(super) fn act_of(command: &Command) -> Act {
    if command.verb.starts_with("prestart") {
        Act::Prestart
    } else if command.verb.starts_with("start") {
        if command.is_set("prep") {
            Act::StartPrepared
        } else {
            Act::Start
        }
    } else {
        Act::Stop {
            force: command.is_set("force"),
        }
    }
}

pub(super) fn drive_group(world: &mut World, command: &Command) -> Answer {
    let group = match object(&world.array.groups, command) {
        Ok(group) => group.id,
        Err(answer) => return answer,
    };
    let maps = world.array.members(group);
    if maps.is_empty() {
        return Answer::refused(
            "CMMVC5894E",
            "The command failed because the consistency group is empty.",
        );
    }
    flashcopy::act(world, &maps, act_of(command), &command.verb)
}

pub(super) fn make_group(world: &mut World, command: &Command) -> Answer {
    match new_name(&world.array.groups, command, "fccstgrp") {
        Ok((id, name)) => {
            world.array.groups.insert(
                id,
                Group {
                    id,
                    name,
                    autodelete: command.is_set("autodelete"),
                },
            );
            created(world, &command.verb, id, "FlashCopy Consistency Group")
        }
        Err(answer) => answer,
    }
}

pub(super) fn change_group(world: &mut World, command: &Command) -> Answer {
    let id = match object(&world.array.groups, command) {
        Ok(group) => group.id,
        Err(answer) => return answer,
    };
    if let Some(group) = world.array.groups.get_mut(&id) {
        if let Some(name) = command.text("name") {
            group.name = name;
        }
        if let Some(word) = command.text("autodelete") {
            group.autodelete = word == "on";
        }
    }
    world.ledger.effect("array.chfcconsistgrp");
    Answer::Nothing
}

pub(super) fn remove_group(world: &mut World, command: &Command) -> Answer {
    let id = match object(&world.array.groups, command) {
        Ok(group) => group.id,
        Err(answer) => return answer,
    };
    let members = world.array.members(id);
    if !members.is_empty() && !command.is_set("force") {
        return Answer::refused("CMMVC5895E", "The consistency group is not empty.");
    }
    // With force the group goes, its maps become stand-alone and keep their state (§ 3.6).
    for map in members {
        if let Some(map) = world.array.maps.get_mut(&map) {
            map.group = None;
        }
    }
    world.array.groups.remove(&id);
    world.ledger.effect("array.rmfcconsistgrp");
    Answer::Nothing
}
