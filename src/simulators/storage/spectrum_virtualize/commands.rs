//! The command table: one function per verb, arguments checked, refusals with the array's codes
//! (`storage-virtualize.md` § 1.7, § 3.9, § 7.3).

use super::flashcopy::{self, Act};
use super::model::{Array, FcMap, Group, Host, MapState, Named, Vdisk, find, free_id};
use super::views;
use crate::simulators::world::World;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One command as it arrives.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// `lsfcmap`.
    pub verb: String,
    /// Positional object, id or name.
    pub object: Option<String>,
    /// Flags; `null` and `false` are dropped.
    pub flags: Map<String, Value>,
}

impl Command {
    /// A command without flags.
    pub fn new(verb: &str, object: Option<&str>) -> Self {
        Self {
            verb: verb.to_owned(),
            object: object.map(str::to_owned),
            flags: Map::new(),
        }
    }
    /// Adds a flag.
    pub fn with(mut self, flag: &str, value: impl Into<Value>) -> Self {
        self.flags.insert(flag.to_owned(), value.into());
        self
    }
    /// A flag's value as text, however it was typed.
    pub fn text(&self, flag: &str) -> Option<String> {
        match self.flags.get(flag)? {
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
    /// Whether a flag without value is given.
    pub fn is_set(&self, flag: &str) -> bool {
        matches!(self.flags.get(flag), Some(Value::Bool(true)))
    }
}

/// What comes back.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// List view.
    Rows(Vec<Value>),
    /// Object view.
    Object(Value),
    /// Object view with sections (`lsvdisk NAME`).
    Sections(Vec<Value>),
    /// Created.
    Created {
        /// Id.
        id: u32,
        /// The array's sentence.
        message: String,
    },
    /// Done, empty body.
    Nothing,
    /// Refused.
    Refused {
        /// CMMVC code.
        code: String,
        /// Text after it.
        text: String,
    },
    /// No such command.
    UnknownCommand,
}

impl Answer {
    /// Shorthand.
    pub fn refused(code: &str, text: &str) -> Self {
        Self::Refused {
            code: code.to_owned(),
            text: text.to_owned(),
        }
    }
    fn absent(what: &str) -> Self {
        Self::refused(
            "CMMVC5754E",
            &format!("The specified object does not exist: {what}."),
        )
    }
}

/// Flags each verb takes; anything else is CMMVC5709E.
fn flags_of(verb: &str) -> Option<&'static [&'static str]> {
    Some(match verb {
        "mkfcconsistgrp" => &["name", "autodelete", "ownershipgroup"],
        "chfcconsistgrp" => &["name", "autodelete", "ownershipgroup", "noownershipgroup"],
        "prestartfcconsistgrp" | "prestartfcmap" => &["restore"],
        "startfcconsistgrp" | "startfcmap" => &["prep", "restore", "retentiondays"],
        "stopfcconsistgrp" | "stopfcmap" => &["force", "split"],
        "rmfcconsistgrp" | "rmfcmap" => &["force"],
        "mkfcmap" => &[
            "source",
            "target",
            "name",
            "consistgrp",
            "copyrate",
            "cleanrate",
            "autodelete",
            "grainsize",
            "incremental",
            "iogrp",
            "keeptarget",
        ],
        "chfcmap" => &["name", "consistgrp", "copyrate", "cleanrate", "autodelete"],
        "lsfcmap" => &["filtervalue", "bytes", "showhidden"],
        "lsfcconsistgrp"
        | "lsfcmapprogress"
        | "lsfcmapdependentmaps"
        | "lsvdiskfcmappings"
        | "lshost"
        | "lsiogrp"
        | "lshostvdiskmap"
        | "lsvdiskhostmap"
        | "lssystem"
        | "lssecurity"
        | "lssystemlimits" => &["filtervalue", "bytes"],
        "lsvdisk" | "lsvdiskcopy" | "lssevdiskcopy" | "lsmdiskgrp" => {
            &["filtervalue", "bytes", "unit"]
        }
        "mkvdisk" => &[
            "mdiskgrp",
            "size",
            "unit",
            "iogrp",
            "name",
            "rsize",
            "autoexpand",
            "warning",
            "grainsize",
            "compressed",
        ],
        "chvdisk" => &["name", "warning"],
        "rmvdisk" => &["force", "removehostmappings"],
        "mkvdiskhostmap" => &["host", "scsi", "force", "allowmismatchedscsiids"],
        "rmvdiskhostmap" => &["host"],
        "registerplugin" => &["name", "uniquekey", "version", "metadata"],
        _ => return None,
    })
}

/// Executes one command at `world.now`. Authentication, limits and faults are the server's.
pub fn request(world: &mut World, mut command: Command) -> Answer {
    command
        .flags
        .retain(|_, v| !matches!(v, Value::Null | Value::Bool(false)));
    let Some(known) = flags_of(&command.verb) else {
        return Answer::UnknownCommand;
    };
    if let Some(flag) = command.flags.keys().find(|f| !known.contains(&f.as_str())) {
        return Answer::refused(
            "CMMVC5709E",
            &format!("[-{flag}] is not a supported parameter."),
        );
    }
    if command.verb.starts_with("ls") {
        return views::list(world, &command);
    }
    match command.verb.as_str() {
        "registerplugin" => Answer::Nothing,
        "mkfcconsistgrp" => make_group(world, &command),
        "mkfcmap" => make_map(world, &command),
        "mkvdisk" => make_vdisk(world, &command),
        "chfcmap" => change_map(world, &command),
        "chfcconsistgrp" => change_group(world, &command),
        "prestartfcconsistgrp" | "startfcconsistgrp" | "stopfcconsistgrp" => {
            drive_group(world, &command)
        }
        "prestartfcmap" | "startfcmap" | "stopfcmap" => drive_map(world, &command),
        "rmfcmap" => remove_map(world, &command),
        "rmfcconsistgrp" => remove_group(world, &command),
        "chvdisk" => rename_vdisk(world, &command),
        "rmvdisk" => remove_vdisk(world, &command),
        "mkvdiskhostmap" => map_to_host(world, &command),
        "rmvdiskhostmap" => unmap_from_host(world, &command),
        _ => Answer::UnknownCommand,
    }
}

fn act_of(command: &Command) -> Act {
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

fn object<'a, T: Named>(objects: &'a BTreeMap<u32, T>, command: &Command) -> Result<&'a T, Answer> {
    let Some(wanted) = command.object.as_deref() else {
        return Err(Answer::refused("CMMVC5701E", "No object ID was specified."));
    };
    find(objects, wanted).ok_or_else(|| {
        Answer::refused(
            "CMMVC5753E",
            &format!("The specified object does not exist: {wanted}."),
        )
    })
}

fn drive_group(world: &mut World, command: &Command) -> Answer {
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

fn drive_map(world: &mut World, command: &Command) -> Answer {
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

fn valid_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || "_-. ".contains(c))
        && name.len() <= 63
}

fn new_name<T: Named>(
    objects: &BTreeMap<u32, T>,
    command: &Command,
    default: &str,
) -> Result<(u32, String), Answer> {
    let id = free_id(objects);
    let name = command
        .text("name")
        .unwrap_or_else(|| format!("{default}{id}"));
    if !valid_name(&name) {
        return Err(Answer::refused(
            "CMMVC6527E",
            "The name that you have entered is not valid.",
        ));
    }
    if objects.values().any(|o| o.name() == name) {
        return Err(Answer::refused(
            "CMMVC6035E",
            "The action failed as the object already exists.",
        ));
    }
    Ok((id, name))
}

fn created(world: &mut World, verb: &str, id: u32, what: &str) -> Answer {
    world.ledger.effect(format!("array.{verb}"));
    Answer::Created {
        id,
        message: format!("{what}, id [{id}], successfully created"),
    }
}

fn make_group(world: &mut World, command: &Command) -> Answer {
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

fn make_map(world: &mut World, command: &Command) -> Answer {
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

fn change_map(world: &mut World, command: &Command) -> Answer {
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

fn change_group(world: &mut World, command: &Command) -> Answer {
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

fn remove_map(world: &mut World, command: &Command) -> Answer {
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
    world.array.maps.remove(&id);
    world.ledger.effect("array.rmfcmap");
    Answer::Nothing
}

fn remove_group(world: &mut World, command: &Command) -> Answer {
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

fn make_vdisk(world: &mut World, command: &Command) -> Answer {
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
                },
            );
            created(world, &command.verb, id, "Virtual Disk")
        }
        Err(answer) => answer,
    }
}

fn rename_vdisk(world: &mut World, command: &Command) -> Answer {
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

fn remove_vdisk(world: &mut World, command: &Command) -> Answer {
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
    world.array.vdisks.remove(&id);
    world.ledger.effect("array.rmvdisk");
    Answer::Nothing
}

fn named_host(array: &Array, command: &Command) -> Result<u32, Answer> {
    let name = command
        .text("host")
        .ok_or_else(|| Answer::refused("CMMVC5707E", "Required parameters are missing."))?;
    find(&array.hosts, &name)
        .map(|h| h.id)
        .ok_or_else(|| Answer::absent(&name))
}

fn map_to_host(world: &mut World, command: &Command) -> Answer {
    let vdisk = match object(&world.array.vdisks, command) {
        Ok(vdisk) => vdisk.id,
        Err(answer) => return answer,
    };
    let host = match named_host(&world.array, command) {
        Ok(host) => host,
        Err(answer) => return answer,
    };
    let mapped: Vec<u32> = world
        .array
        .hosts_of(vdisk)
        .iter()
        .map(|(_, h)| h.id)
        .collect();
    let Some(Host { luns, .. }) = world.array.hosts.get_mut(&host) else {
        return Answer::absent("host");
    };
    let scsi = match command.text("scsi").map(|s| s.parse::<u32>()) {
        Some(Ok(scsi)) => scsi,
        Some(Err(_)) => return Answer::refused("CMMVC5767E", "-scsi is not valid."),
        None => free_id(luns),
    };
    if luns.contains_key(&scsi) {
        return Answer::refused("CMMVC5879E", "The SCSI ID is already in use on this host.");
    }
    if mapped.contains(&host) {
        return Answer::refused(
            "CMMVC5878E",
            "The virtual disk is already mapped to this host.",
        );
    }
    if !mapped.is_empty() && !command.is_set("force") {
        return Answer::refused(
            "CMMVC6071E",
            "The virtual disk is already mapped to another host.",
        );
    }
    luns.insert(scsi, vdisk);
    created(world, &command.verb, scsi, "Virtual Disk to Host map")
}

fn unmap_from_host(world: &mut World, command: &Command) -> Answer {
    let (vdisk, last_io) = match object(&world.array.vdisks, command) {
        Ok(vdisk) => (vdisk.id, vdisk.last_io),
        Err(answer) => return answer,
    };
    let host = match named_host(&world.array, command) {
        Ok(host) => host,
        Err(answer) => return answer,
    };
    let minutes = i64::from(world.array.protection_minutes);
    if minutes > 0 && last_io.is_some_and(|t| (world.now - t).num_minutes() < minutes) {
        return Answer::refused(
            "CMMVC8855E",
            "The volume had I/O within the volume protection time.",
        );
    }
    let Some(host) = world.array.hosts.get_mut(&host) else {
        return Answer::absent("host");
    };
    let before = host.luns.len();
    host.luns.retain(|_, v| *v != vdisk);
    if host.luns.len() == before {
        return Answer::refused("CMMVC5842E", "The virtual disk is not mapped to this host.");
    }
    world.ledger.effect("array.rmvdiskhostmap");
    Answer::Nothing
}

/// One row as the array prints it: every value a string.
pub(super) fn row(cells: &[(&str, String)]) -> Value {
    let mut object = Map::new();
    for (key, value) in cells {
        object.insert((*key).to_owned(), json!(value));
    }
    Value::Object(object)
}
