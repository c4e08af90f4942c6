//! The words of a request line, and how long the request takes.

use super::Waiting;
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::ibmi::cl;
use crate::simulators::ibmi::quiesce::{self, AspAction};
use crate::simulators::world::World;

pub(super) fn verb_of(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    match words.as_slice() {
        ["WATCHDOG", what, ..] => format!("WATCHDOG {what}"),
        ["SUSPEND", asp, ..] => format!("CHGASPACT SUSPEND {asp}"),
        ["RESUME", asp, ..] => format!("CHGASPACT RESUME {asp}"),
        ["FORCEWRITE", asp, ..] => format!("CHGASPACT FRCWRT {asp}"),
        [verb, ..] => (*verb).to_owned(),
        [] => String::new(),
    }
}

pub(super) fn action_of(words: &[&str]) -> Option<(String, AspAction)> {
    match words {
        ["SUSPEND", asp, seconds, word] => Some((
            (*asp).to_owned(),
            AspAction::Suspend {
                timeout: seconds.parse().ok()?,
                keep: *word == "CONT",
            },
        )),
        ["RESUME", asp] => Some(((*asp).to_owned(), AspAction::Resume)),
        ["FORCEWRITE", asp] => Some(((*asp).to_owned(), AspAction::ForceWrite)),
        _ => None,
    }
}

fn fault_lets_through(fault: Option<&FaultKind>) -> bool {
    match fault {
        None | Some(FaultKind::AnswerLost | FaultKind::Delay { .. }) => true,
        Some(FaultKind::Special(name)) => name == "silent" || name == "dead-watchdog",
        Some(
            FaultKind::Refused | FaultKind::NoAnswer | FaultKind::Busy | FaultKind::Refuse { .. },
        ) => false,
    }
}

/// How long a request takes, and the fault that waits for it.
pub fn waiting(world: &mut World, partition: &str, line: &str) -> Waiting {
    let fault = world.faults.take(Device::IbmI, partition, &verb_of(line));
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let mut milliseconds = match action_of(&words) {
        Some((_, action)) if fault_lets_through(fault.as_ref()) => {
            quiesce::duration(world, partition, &action)
        }
        Some(_) | None => 0,
    };
    if let Some(FaultKind::Delay { milliseconds: more }) = fault {
        milliseconds += more;
    }
    Waiting {
        milliseconds,
        fault,
    }
}

pub(super) fn valid_asp(name: &str) -> bool {
    name == "*SYSBAS"
        || (!name.is_empty()
            && name.len() <= 10
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "$#@_.".contains(c)))
}

/// CHGASPACT as a CL command.
pub fn cl_action(command: &cl::Command) -> Result<(String, AspAction), String> {
    let asp = command.word("ASPDEV").unwrap_or_default();
    match command.word("OPTION").as_deref() {
        Some("*FRCWRT") => Ok((asp, AspAction::ForceWrite)),
        Some("*RESUME") => Ok((asp, AspAction::Resume)),
        Some("*SUSPEND") => {
            let timeout = command
                .word("SSPTIMO")
                .and_then(|t| t.parse().ok())
                .ok_or("SSPTIMO required with OPTION(*SUSPEND)")?;
            let keep = command.word("SSPTIMOACN").as_deref() == Some("*CONT");
            Ok((asp, AspAction::Suspend { timeout, keep }))
        }
        other => Err(format!(
            "value {} for OPTION not valid",
            other.unwrap_or_default()
        )),
    }
}
