//! Saves to a tape drive: `SAVSYS`, `SAVLIB`, `SAVDLO`, `SAV`, `INZTAP`, and the drive's device description.

use super::super::commands::ClAnswer;
use super::super::script;
use super::super::system::{Phase, view};
use super::*;
use crate::simulators::tape::{self, NewFile};
use chrono::{NaiveDate, NaiveTime};

/// How long a save to tape takes, world milliseconds; `None` for any other command. One that will be refused takes none.
pub(in crate::simulators::ibmi) fn duration(
    world: &World,
    partition: &str,
    command: &Command,
) -> Option<u64> {
    let knobs = &world.knobs;
    let device = device_of(command)?;
    let takes = match command.name.as_str() {
        "SAVSYS" => knobs.save_system_milliseconds,
        "SAVLIB" => knobs.save_libraries_milliseconds,
        "SAVDLO" => knobs.save_documents_milliseconds,
        "SAV" => knobs.save_files_milliseconds,
        _ => return None,
    };
    let fine = refusal(world, partition, command, &device).is_none();
    Some(if fine { takes } else { 0 })
}

/// `TAP01` of DEV(TAP01) and of DEV('/QSYS.LIB/TAP01.DEVD').
fn device_of(command: &Command) -> Option<String> {
    let text = command.word("DEV")?.to_ascii_uppercase();
    if text == "*SAVF" {
        return None;
    }
    let short = text.strip_prefix("/QSYS.LIB/").unwrap_or(&text);
    Some(short.strip_suffix(".DEVD").unwrap_or(short).to_owned())
}

/// Runs a command on a tape drive; `None` for any other.
pub(in crate::simulators::ibmi) fn run(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    command: &Command,
) -> Option<ClAnswer> {
    let device = device_of(command)?;
    if let Some(no) = refusal(world, partition, command, &device) {
        return Some(no);
    }
    if command.name == "INZTAP" {
        return Some(initialise(world, partition, command, &device));
    }
    let reply = reply(world, partition, caller, "CPA4278");
    let drive = world.tapes.drive(partition, &device)?.clone();
    let named = command
        .values("VOL")
        .into_iter()
        .find(|v| !v.starts_with('*'));
    let volume = match (named, drive.loaded) {
        (Some(v), loaded) if drive.library || loaded.as_ref() == Some(&v) => Some(v),
        (Some(_), _) => None,
        (None, loaded) => loaded,
    };
    let Some(volume) = volume.filter(|v| drive.ready && world.tapes.cartridges.contains_key(v))
    else {
        let text = format!("Device {device} is not ready, or not with the right volume. (C G)");
        return Some(ask_or_cancel(reply, "CPA4278", &text));
    };
    let cartridge = world.tapes.cartridges.get(&volume)?;
    if !cartridge.initialised || cartridge.broken {
        let what = if cartridge.broken {
            "Media error on"
        } else {
            "No standard label on"
        };
        return Some(ClAnswer::escape(
            "CPF9898",
            format!("{what} volume {volume}."),
        ));
    }
    Some(write(world, partition, caller, command, &volume))
}

/// Why nothing is saved at all.
fn refusal(world: &World, partition: &str, command: &Command, device: &str) -> Option<ClAnswer> {
    let (system, disk) = view(world, partition)?;
    if world.tapes.drive(partition, device).is_none() {
        return Some(no_device(device));
    }
    if !system.varied_on.contains(device) {
        return Some(ClAnswer::escape(
            "CPF9898",
            format!("Device {device} is not varied on."),
        ));
    }
    let library = command.word("LIB").unwrap_or_default();
    let needs = command.name == "SAVSYS" || (command.name == "SAVLIB" && library == "*NONSYS");
    if needs && system.phase() != Phase::Restricted {
        return Some(ClAnswer::escape("CPF3785", "Not all subsystems ended."));
    }
    let missing = command.name == "SAVLIB" && !library.starts_with('*') && !exists(disk, &library);
    missing.then(|| no_library(&library))
}

fn initialise(world: &mut World, partition: &str, command: &Command, device: &str) -> ClAnswer {
    let now = world.now;
    let check = command.word("CHECK").as_deref() != Some("*NO");
    let Some(volume) = world
        .tapes
        .drive(partition, device)
        .and_then(|d| d.loaded.clone())
    else {
        return ClAnswer::escape("CPF9898", format!("Device {device} is not ready."));
    };
    if check && !world.tapes.unexpired(&volume, now).is_empty() {
        return ClAnswer::escape("CPF9898", format!("Volume {volume} holds active files."));
    }
    if let Some(c) = world.tapes.cartridges.get_mut(&volume) {
        (c.initialised, c.files) = (true, Vec::new());
    }
    ClAnswer::quiet()
}

/// What the job would answer: of its own, of the system's reply list, or the default.
enum Reply {
    /// Nobody: the job waits.
    Nobody,
    /// This.
    Given(String),
}

fn reply(world: &World, partition: &str, caller: &Caller, id: &str) -> Reply {
    let Some((system, disk)) = view(world, partition) else {
        return Reply::Given("C".to_owned());
    };
    if let Some(text) = script::reply_of(world, partition, caller.job) {
        return Reply::Given(text);
    }
    let Some(job) = system.jobs.get(caller.job) else {
        // A command of a shell: its inquiries get the default.
        return Reply::Given("C".to_owned());
    };
    let listed = disk.reply_list.iter().find(|(_, of, _)| of == id);
    match listed.filter(|_| job.system_replies) {
        Some((_, _, text)) => Reply::Given(text.clone()),
        None if job.default_reply => Reply::Given("C".to_owned()),
        None => Reply::Nobody,
    }
}

/// An inquiry, or what C makes of the command. G asks again as long as nothing has changed: that is the same as to wait.
fn ask_or_cancel(reply: Reply, id: &str, text: &str) -> ClAnswer {
    match reply {
        Reply::Given(text_of_reply) if text_of_reply == "C" => ClAnswer::escape(
            "CPF9898",
            format!("Reply C to {id}: the save was cancelled."),
        ),
        Reply::Given(_) | Reply::Nobody => ClAnswer::asking(id, text),
    }
}

fn write(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    command: &Command,
    volume: &str,
) -> ClAnswer {
    let now = world.now;
    let word = |k: &str| command.word(k).unwrap_or_default();
    let (clear, sequence) = (word("CLEAR"), word("SEQNBR"));
    let foreign = world.tapes.unexpired(volume, now);
    let foreign = foreign
        .iter()
        .any(|f| f.job != caller.job || f.partition != partition);
    if foreign && !matches!(clear.as_str(), "*ALL" | "*REPLACE" | "*AFTER") && sequence != "*END" {
        match reply(world, partition, caller, "CPA4067") {
            Reply::Given(text) if text == "C" => {
                return ClAnswer::escape("CPF9898", "Reply C to CPA4067: the save was cancelled.");
            }
            Reply::Given(_) => {}
            Reply::Nobody => {
                let text = format!("Volume {volume} holds an active file. (C G)");
                return ClAnswer::asking("CPA4067", &text);
            }
        }
    }
    // What this job has written stays: the saves of one job lie behind one another.
    let own = world.tapes.cartridges.get(volume).is_some_and(|c| {
        c.files
            .iter()
            .any(|f| f.job == caller.job && f.partition == partition)
    });
    let library = word("LIB");
    let label = match command.name.as_str() {
        "SAVLIB" => library.trim_start_matches('*').to_owned(),
        other => other.to_owned(),
    };
    let file = NewFile {
        label: label.clone(),
        partition: partition.to_owned(),
        job: caller.job.to_owned(),
        brms: None,
        expires: expires(&word("EXPDATE")),
    };
    tape::write(world, volume, file, own || sequence == "*END");
    world
        .ledger
        .effect(format!("ibmi.{partition}.{}", command.name));
    remember(world, partition, command, &library);
    let count = running(world, partition).map_or(0, |r| r.disk.objects.len());
    ClAnswer::completed(
        "CPC3722",
        format!("{count} objects saved ({label}) on volume {volume}."),
    )
}

/// The data areas with the date of the last save (`ibmi.md` § 5.4).
fn remember(world: &mut World, partition: &str, command: &Command, library: &str) {
    let area = match (command.name.as_str(), library) {
        ("SAVSYS", _) => "QSYS/QSAVSYS",
        ("SAVLIB", "*NONSYS") => "QSYS/QSAVLIBALL",
        _ => return,
    };
    let at = own_clock(world, partition)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string();
    if let Some(r) = running(world, partition) {
        r.disk.data_areas.insert(area.to_owned(), at);
    }
}

/// EXPDATE: `*PERM`, a date as YYYY-MM-DD, YYYYMMDD or MMDDYY, or none.
fn expires(text: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    if text == "*PERM" {
        return Some(chrono::DateTime::<chrono::Utc>::MAX_UTC);
    }
    let date = ["%Y-%m-%d", "%Y%m%d", "%m%d%y"]
        .iter()
        .find_map(|f| NaiveDate::parse_from_str(text, f).ok())?;
    Some(date.and_time(NaiveTime::MIN).and_utc())
}

/// VRYCFG of a tape drive; `None` when it is none.
pub(in crate::simulators::ibmi) fn vary(
    world: &mut World,
    partition: &str,
    device: &str,
    on: bool,
) -> Option<ClAnswer> {
    world.tapes.drive(partition, device)?;
    let system = running(world, partition)?.system;
    if on {
        system.varied_on.insert(device.to_owned());
    } else {
        system.varied_on.remove(device);
    }
    Some(ClAnswer::completed(
        "CPC2605",
        format!("Vary completed for device {device}."),
    ))
}
