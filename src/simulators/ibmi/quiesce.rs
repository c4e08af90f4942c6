//! CHGASPACT: suspend, resume, force write, per ASP; the watchdog and a resume by the system itself.

use super::helper;
use super::system::{running, view};
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::{Content, Quality, World};
use chrono::Duration;

/// Placeholder ids: IBM's are not known (`ibmi.md` § 2.3), so nothing may depend on them.
pub const SUSPENDED_ID: &str = "CPCB701";
/// Escape of a refused CHGASPACT, a placeholder as well.
pub const REFUSED_ID: &str = "CPFB701";

/// What CHGASPACT is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AspAction {
    /// `*FRCWRT`.
    ForceWrite,
    /// `*SUSPEND`.
    Suspend {
        /// SSPTIMO, seconds.
        timeout: u64,
        /// SSPTIMOACN(*CONT): stay suspended although a transaction is open.
        keep: bool,
    },
    /// `*RESUME`.
    Resume,
}

/// A refusal: id and text.
pub type Refusal = (String, String);

/// `*SYSBAS` and every independent ASP that is varied on, independent ones first.
pub(super) fn available_asps(world: &World, partition: &str) -> Vec<String> {
    let mut names: Vec<String> = view(world, partition)
        .map(|(_, d)| {
            d.asps
                .iter()
                .filter(|(_, on)| **on)
                .map(|(n, _)| n.clone())
                .collect()
        })
        .unwrap_or_default();
    names.push("*SYSBAS".to_owned());
    names
}

/// How long the command takes, world milliseconds. Waited before [`apply`].
pub(super) fn duration(world: &World, partition: &str, action: &AspAction) -> u64 {
    match action {
        AspAction::ForceWrite => {
            world.knobs.force_write_milliseconds
                * if write_through(world, partition) {
                    world.knobs.write_through_factor.max(1)
                } else {
                    1
                }
        }
        AspAction::Resume => world.knobs.resume_milliseconds,
        AspAction::Suspend { timeout, .. } => {
            let open = view(world, partition).map_or(0, |(_, d)| d.long_transaction_seconds) * 1000;
            let boundary = world.knobs.suspend_milliseconds.max(open);
            boundary.min(timeout * 1000)
        }
    }
}

/// A prepared consistency group on one of the system's disks: the array writes through.
fn write_through(world: &World, partition: &str) -> bool {
    let image = world.systems.get(partition).and_then(|s| s.image);
    world.contents.iter().any(|(uid, content)| {
        matches!(content, Content::Part { image: i, .. } if Some(*i) == image)
            && spectrum_virtualize::is_prepared_source(world, uid)
    })
}

/// The effect, at the end of the command.
pub(super) fn apply(
    world: &mut World,
    partition: &str,
    asp: &str,
    action: &AspAction,
) -> Result<(), Refusal> {
    if !available_asps(world, partition).iter().any(|a| a == asp) {
        return Err((
            "CPF9801".to_owned(),
            format!("Object {asp} in library QSYS not found."),
        ));
    }
    let (knobs, word) = (
        world.knobs.clone(),
        match action {
            AspAction::ForceWrite => "FRCWRT",
            AspAction::Suspend { .. } => "SUSPEND",
            AspAction::Resume => "RESUME",
        },
    );
    let Some(r) = running(world, partition) else {
        return Err((REFUSED_ID.to_owned(), "System is not active.".to_owned()));
    };
    let now = r.now;
    match action {
        AspAction::ForceWrite => {
            r.system.force_written.insert(asp.to_owned(), now);
        }
        AspAction::Resume => {
            let was = r.system.suspended.remove(asp).is_some();
            if was {
                r.system.resumed_at = Some(now);
            } else if knobs.resume_when_running_fails {
                return Err((REFUSED_ID.to_owned(), format!("{asp} was not suspended.")));
            }
        }
        AspAction::Suspend { timeout, keep } => {
            let open = r.disk.long_transaction_seconds;
            if r.system.suspended.contains_key(asp) && knobs.suspend_when_suspended_fails {
                return Err((
                    REFUSED_ID.to_owned(),
                    format!("{asp} is suspended already."),
                ));
            }
            if open > *timeout && !keep {
                return Err((
                    REFUSED_ID.to_owned(),
                    format!(
                        "Transaction boundary was not reached in {timeout} seconds; {asp} is not suspended."
                    ),
                ));
            }
            r.system.suspended.entry(asp.to_owned()).or_insert(now);
            // What was written before is not what a later copy sees.
            r.system.force_written.clear();
        }
    }
    world.ledger.effect(format!("ibmi.{partition}.{word}"));
    helper::asp_changed(world, partition);
    Ok(())
}

/// Self-resume and watchdog, by the clock.
pub(super) fn advance(world: &mut World, partition: &str) {
    let limit = world.knobs.self_resume_milliseconds;
    if limit > 0 {
        let now = world.now;
        let limit = Duration::milliseconds(i64::try_from(limit).unwrap_or(i64::MAX));
        let due: Vec<String> = world
            .systems
            .get(partition)
            .map(|s| {
                s.suspended
                    .iter()
                    .filter(|(_, since)| now - **since >= limit)
                    .map(|(a, _)| a.clone())
                    .collect()
            })
            .unwrap_or_default();
        for asp in due {
            let _ = apply(world, partition, &asp, &AspAction::Resume);
        }
    }
    helper::watchdog_advance(world, partition);
}

/// How the system is now, for a copy taken at this instant.
pub fn quality(world: &World, partition: &str) -> Quality {
    let Some(system) = world.systems.get(partition) else {
        return Quality::PoweredOff;
    };
    if system.image.is_none() {
        return Quality::PoweredOff;
    }
    let asps = available_asps(world, partition);
    if asps.iter().all(|a| system.suspended.contains_key(a)) {
        return Quality::Suspended;
    }
    let recent = world.now - Duration::minutes(5);
    let written = asps
        .iter()
        .all(|a| system.force_written.get(a).is_some_and(|at| *at >= recent));
    if written && system.suspended.is_empty() {
        Quality::ForceWritten
    } else {
        Quality::Dirty
    }
}
