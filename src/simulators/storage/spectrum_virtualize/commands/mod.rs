//! The command table: one function per verb, arguments checked, refusals with the array's codes
//! (`storage-virtualize.md` § 1.7, § 3.9, § 7.3).

mod groups;
mod hosts;
mod maps;
mod volumes;

use super::mishaps;
use super::model::{Named, find, free_id};
use super::views;
use crate::simulators::world::World;
use groups::{change_group, drive_group, make_group, remove_group};
use hosts::{map_to_host, unmap_from_host};
use maps::{change_map, drive_map, make_map, remove_map};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use volumes::{make_vdisk, remove_vdisk, rename_vdisk};

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
    mishaps::happen(world, &command.verb);
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

/// One row as the array prints it: every value a string.
pub(in super::super) fn row(cells: &[(&str, String)]) -> Value {
    let mut object = Map::new();
    for (key, value) in cells {
        object.insert((*key).to_owned(), json!(value));
    }
    Value::Object(object)
}
