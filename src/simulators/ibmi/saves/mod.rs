//! Saves and restores (`ibmi.md` §§ 5, 11): save files here, tapes in [`tape`].
//!
//! What was saved lies in the save file, as bytes that a shell can read and write, and comes back from it; a file that was
//! cut or changed on its way is refused. Message ids are those of the page; what it does not name is CPF9898 with a text.

pub(super) mod save_file;
pub(super) mod tape;

use super::brms::{self, LIBRARY};
use super::cl::Command;
use super::commands::{Caller, ClAnswer};
use super::disk::DiskState;
use super::system::{own_clock, running};
use crate::simulators::world::World;
use save_file::Saved;

/// Runs a command that saves or restores; `None` for any other command.
pub(super) fn run(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    command: &Command,
) -> Option<ClAnswer> {
    let word = |k: &str| command.word(k).unwrap_or_default();
    let to_file = word("DEV") == "*SAVF";
    match command.name.as_str() {
        "SAVLIB" if !to_file => return tape::run(world, partition, caller, command),
        "SAVSYS" | "SAVDLO" | "SAV" | "INZTAP" => {
            return tape::run(world, partition, caller, command);
        }
        "RSTLIB" if to_file => return Some(restore(world, partition, command)),
        "RSTLIB" => {
            return Some(no_device(&word("DEV")));
        }
        _ => {}
    }
    let disk = running(world, partition)?.disk;
    Some(match command.name.as_str() {
        "CRTSAVF" => create(disk, &word("FILE")),
        "SAVLIB" => save(disk, command),
        "CLRSAVF" => match disk.save_files.get_mut(&word("FILE")) {
            None => not_found(&word("FILE")),
            Some(saved) => {
                saved.clear();
                ClAnswer::quiet()
            }
        },
        "DLTF" => {
            let file = word("FILE");
            disk.save_files.remove(&file);
            if disk.objects.remove(&format!("{file} *FILE")) {
                ClAnswer::completed("CPC2191", format!("Object {file} deleted."))
            } else {
                ClAnswer::escape("CPF2105", format!("Object {file} not found."))
            }
        }
        _ => return None,
    })
}

fn not_found(object: &str) -> ClAnswer {
    ClAnswer::escape("CPF9801", format!("Object {object} not found."))
}

fn no_library(library: &str) -> ClAnswer {
    ClAnswer::escape("CPF2110", format!("Library {library} not found."))
}

fn no_device(device: &str) -> ClAnswer {
    ClAnswer::escape("CPF9814", format!("Device {device} not found."))
}

/// Libraries that are always there need no object of their own here.
fn exists(disk: &DiskState, library: &str) -> bool {
    matches!(library, "QGPL" | "QSYS" | "QUSRSYS")
        || disk.objects.contains(&format!("QSYS/{library} *LIB"))
}

fn create(disk: &mut DiskState, file: &str) -> ClAnswer {
    let Some((library, _)) = file.split_once('/') else {
        return ClAnswer::escape("CPD0071", "FILE needs a library.");
    };
    if !exists(disk, library) {
        return no_library(library);
    }
    if !disk.objects.insert(format!("{file} *FILE")) {
        return ClAnswer::escape("CPF5813", format!("File {file} already exists."));
    }
    disk.save_files.insert(file.to_owned(), Vec::new());
    ClAnswer::completed("CPC7301", format!("File {file} created."))
}

/// Types left out by `OMITOBJ((*ALL *JRN) (*ALL *JRNRCV))`, names by `OMITOBJ((NAME))`.
fn omitted(command: &Command, object: &str) -> bool {
    let (name, kind) = object.split_once(' ').unwrap_or((object, ""));
    let short = name.rsplit('/').next().unwrap_or(name);
    command.values("OMITOBJ").iter().any(|pair| {
        let mut words = pair.trim_matches(['(', ')']).split_whitespace();
        let (of, what) = (words.next().unwrap_or(""), words.next().unwrap_or("*ALL"));
        (of == "*ALL" || of == short) && (what == "*ALL" || what == kind)
    })
}

fn save(disk: &mut DiskState, command: &Command) -> ClAnswer {
    let (library, file) = (
        command.word("LIB").unwrap_or_default(),
        command.word("SAVF").unwrap_or_default(),
    );
    if !exists(disk, &library) {
        return no_library(&library);
    }
    let prefix = format!("{library}/");
    let own = format!("QSYS/{library} *LIB");
    let objects: Vec<String> = disk
        .objects
        .iter()
        .filter(|o| (o.starts_with(&prefix) && !omitted(command, o)) || **o == own)
        .cloned()
        .collect();
    let brms = disk.brms.as_ref().filter(|_| library == LIBRARY).cloned();
    match disk.save_files.get_mut(&file) {
        None => not_found(&file),
        // The system asks the operator here; the answer of a job that nobody watches is the default, cancel.
        Some(saved) if !saved.is_empty() => ClAnswer::escape(
            "CPF9898",
            format!("Save file {file} holds saved data already and was not cleared."),
        ),
        Some(saved) => {
            let count = objects.len();
            *saved = Saved {
                library: library.clone(),
                objects,
                brms,
            }
            .bytes();
            ClAnswer::completed(
                "CPC3722",
                format!("{count} objects saved from library {library}."),
            )
        }
    }
}

fn restore(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let word = |k: &str| command.word(k).unwrap_or_default();
    let (library, file) = (word("SAVLIB"), word("SAVF"));
    let to = match command.word("RSTLIB") {
        Some(to) if to != "*SAVLIB" => to,
        Some(_) | None => library.clone(),
    };
    let locked = brms::library::locked(world, partition).filter(|_| to == LIBRARY);
    let at = own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let Some(bytes) = r.disk.save_files.get(&file) else {
        return not_found(&file);
    };
    let saved = match Saved::read(bytes) {
        Ok(saved) => saved,
        Err(why) => return ClAnswer::escape("CPF9898", format!("Save file {file}: {why}.")),
    };
    if saved.library != library {
        let text = format!("Library {library} not found on save file {file}.");
        return ClAnswer::escape("CPF9898", text);
    }
    let count = saved.objects.len();
    if let Some(by) = locked {
        let text = format!("0 objects restored. {count} not restored to {to}: in use by {by}.");
        return ClAnswer::escape("CPF3773", text);
    }
    put_back(r.disk, saved, &to, at);
    ClAnswer::completed(
        "CPC3703",
        format!("{count} objects restored to library {to}."),
    )
}

fn put_back(disk: &mut DiskState, saved: Saved, to: &str, at: chrono::DateTime<chrono::Utc>) {
    let prefix = format!("{}/", saved.library);
    let names: Vec<String> = saved
        .objects
        .iter()
        .filter_map(|o| o.strip_prefix(&prefix).map(str::to_owned))
        .collect();
    disk.objects.insert(format!("QSYS/{to} *LIB"));
    disk.objects
        .extend(names.iter().map(|n| format!("{to}/{n}")));
    match saved.brms {
        Some(content) if to == LIBRARY => brms::library::restored(disk, content, &names, at),
        Some(content) => {
            disk.brms_copies.insert(to.to_owned(), content);
        }
        None => {}
    }
}
