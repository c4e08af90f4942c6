//! Commands of BRMS (`ibmi.md` §§ 4, 11).

use super::super::cl::Command;
use super::super::commands::{Caller, ClAnswer};
use super::super::system::own_clock;
use super::*;

/// Runs a command of BRMS; `None` for another command, or where BRMS is not installed.
pub(in crate::simulators::ibmi) fn run(
    world: &mut World,
    partition: &str,
    caller: &Caller,
    command: &Command,
) -> Option<ClAnswer> {
    running(world, partition)?.disk.brms.as_ref()?;
    let word = |k: &str| command.word(k).unwrap_or_default();
    Some(match command.name.as_str() {
        "INZBRM" => match word("OPTION").as_str() {
            "*FLASHCOPY" => process::change(world, partition, caller, &word("STATE")),
            "*SQLSRVINZ" => sql_services(world, partition),
            "*MERGE" => library::merge(world, partition, command),
            "*CHGSYSNAM" => change_name(world, partition, command),
            other => {
                ClAnswer::not_valid(format!("Value {other} for parameter OPTION is not valid."))
            }
        },
        "STRBKUBRM" => backup::start(world, partition, caller, command),
        "STRMNTBRM" => maintenance(world, partition, caller, command),
        "MOVMEDBRM" => process::frozen(world, partition, caller).unwrap_or_else(ClAnswer::quiet),
        "WRKMEDBRM" => media::list(world, partition, command),
        "DSPLOGBRM" => {
            let brms = running(world, partition)?.disk.brms.as_ref()?;
            let lines = log_messages(brms);
            ClAnswer::listed(
                lines
                    .iter()
                    .flat_map(super::super::listings::print_message)
                    .collect(),
            )
        }
        _ => return None,
    })
}

/// How long a command of BRMS takes, world milliseconds; `None` for another command.
pub(in crate::simulators::ibmi) fn duration(
    world: &World,
    partition: &str,
    command: &Command,
) -> Option<u64> {
    let brms = view(world, partition)?.1.brms.as_ref()?;
    let of_library = |key: &str| command.word(key).as_deref() == Some(LIBRARY);
    match command.name.as_str() {
        "STRBKUBRM" if command.word("SBMJOB").as_deref() == Some("*NO") => {
            let group = command.word("CTLGRP").unwrap_or_default();
            Some(backup::duration(world, partition, &group))
        }
        "STRMNTBRM" if !brms.frozen() => Some(brms.file.knobs.maintenance_milliseconds),
        "SAVLIB" if of_library("LIB") => Some(brms.file.knobs.library_milliseconds),
        "RSTLIB" if of_library("SAVLIB") => Some(brms.file.knobs.library_milliseconds),
        _ => None,
    }
}

fn sql_services(world: &mut World, partition: &str) -> ClAnswer {
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    for view in ["BRMS_LOG_INFO", "LOG_INFO"] {
        r.disk.objects.insert(format!("{LIBRARY}/{view} *FILE"));
    }
    if let Some(brms) = &mut r.disk.brms {
        brms.sql_services = true;
    }
    ClAnswer::quiet()
}

/// INZBRM OPTION(*CHGSYSNAM) PRVSYSNAM(APPN.OLD) NEWSYSNAM(*LCL): inventory and history get the new name.
fn change_name(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let word = |k: &str| command.word(k).unwrap_or_default();
    let short = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    let old = short(&word("PRVSYSNAM"));
    let at = own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let new = match word("NEWSYSNAM").as_str() {
        "*LCL" => name_of(r.disk).unwrap_or_default(),
        other => short(other),
    };
    let Some(brms) = &mut r.disk.brms else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    for v in brms.volumes.values_mut().filter(|v| v.system == old) {
        v.system.clone_from(&new);
    }
    for h in brms.history.iter_mut().filter(|h| h.system == old) {
        h.system.clone_from(&new);
    }
    brms.touch(MEDIA_FILE, at);
    brms.touch(HISTORY_FILE, at);
    ClAnswer::quiet()
}

/// STRMNTBRM: expires volumes, prints the recovery reports, and starts what is missing of the BRMS network (`ibmi.md`
/// § 4.4).
fn maintenance(world: &mut World, partition: &str, caller: &Caller, command: &Command) -> ClAnswer {
    if let Some(no) = process::frozen(world, partition, caller) {
        return no;
    }
    let at = own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let name = name_of(r.disk).unwrap_or_default();
    let Some(brms) = &mut r.disk.brms else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    for v in brms.volumes.values_mut() {
        v.expires = v.expires.filter(|e| *e > at);
    }
    brms.maintained = Some(at);
    brms.touch(MEDIA_FILE, at);
    let reports = command.word("PRTRCYRPT").is_some_and(|w| w != "*NONE");
    let mut report = vec![format!(" Recovering Your Entire System   {name}")];
    report.extend(brms.history.iter().map(|h| {
        format!(
            "  {:<10} {:<10} {}  {}",
            h.group,
            h.item,
            h.at.format("%m/%d/%y %H:%M:%S"),
            h.volumes.join(" ")
        )
    }));
    if reports {
        let key = (caller.job.to_owned(), "QP1ARCY".to_owned());
        r.disk.spooled.insert(key, report);
    }
    r.system.subsystems.insert(NETWORK.to_owned());
    log(
        world,
        partition,
        caller.job,
        ("MAINTENANCE", "", 0, "", "Maintenance ended."),
    );
    world.ledger.effect(format!("brms.{partition}.maintenance"));
    ClAnswer::quiet()
}

/// CALL QBRM/Q1AOLD: BRMSYSNAME and FLASHTIME. Parameters of another length are not what the program reads (`ibmi.md`
/// § 4.3: "padding matters").
pub(in crate::simulators::ibmi) fn old_program(
    world: &mut World,
    partition: &str,
    parameters: &[String],
) -> ClAnswer {
    named_or_timed(world, partition, parameters)
        .unwrap_or_else(|text| ClAnswer::escape("CPF9898", text))
}

fn named_or_timed(
    world: &mut World,
    partition: &str,
    parameters: &[String],
) -> Result<ClAnswer, String> {
    let lengths: Vec<usize> = parameters.iter().map(|p| p.chars().count()).collect();
    let at = own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return Err("system is not active".to_owned());
    };
    let Some(brms) = &mut r.disk.brms else {
        return Err("BRMS is not installed".to_owned());
    };
    let words: Vec<&str> = parameters.iter().map(|p| p.trim_end()).collect();
    if lengths.get(..2) != Some([10, 10].as_slice()) {
        return Err("Q1AOLD: the first two parameters are 10 characters long.".to_owned());
    }
    match words.as_slice() {
        ["BRMSYSNAME", "*SET", name] => {
            let fine = (1..=8).contains(&name.len())
                && lengths.get(2) == Some(&8)
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"$#@".contains(&b));
            if !fine {
                return Err(format!("Q1AOLD: {name} is no system name of 8 characters."));
            }
            brms.name = Some((*name).to_owned());
            brms.touch(STATE_FILE, at);
            Ok(ClAnswer::quiet())
        }
        ["FLASHTIME", "*DISPLAY", ..] => {
            let all = brms.flash_times.iter();
            Ok(ClAnswer::listed(
                all.map(|(k, t)| format!("FLASHTIME {k} {t}")).collect(),
            ))
        }
        ["FLASHTIME", "*ENABLE", "*SYSBAS", kind, time] => {
            if !brms.file.advanced_feature {
                return Err(
                    "FLASHTIME needs the Advanced feature of BRMS, which is not installed."
                        .to_owned(),
                );
            }
            if !["*QSYS", "*IFS"].contains(kind) || lengths.get(2..) != Some([10, 5, 13].as_slice())
            {
                return Err(
                    "FLASHTIME: parameters of 10, 10, 10, 5 and 13 characters are needed."
                        .to_owned(),
                );
            }
            if !time.bytes().all(|b| b.is_ascii_digit())
                || *time > super::super::system::scpf_text(at).as_str()
            {
                return Err(format!(
                    "FLASHTIME: {time} is no time, or later than the current time of the system."
                ));
            }
            brms.flash_times
                .insert((*kind).to_owned(), (*time).to_owned());
            brms.touch(STATE_FILE, at);
            Ok(ClAnswer::quiet())
        }
        _ => Err(format!("Q1AOLD: {} is not known.", words.join(" "))),
    }
}
