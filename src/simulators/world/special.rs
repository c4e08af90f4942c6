//! The words of `special` faults: a misspelt one would wait for ever and show nothing.

use super::World;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::hmc;
use crate::simulators::storage::spectrum_virtualize as array;

/// Words that one request of a device shows, and words that happen beside it (with the names they take).
fn words(device: Device) -> (&'static [&'static str], &'static str) {
    match device {
        Device::Array => (
            &["flush-failed", "no-bitmap", "http-500", "http-502"],
            array::MISHAPS,
        ),
        Device::Hmc => (
            &["stuck-job", "return-code", "localised", "expire", "html"],
            hmc::MISHAPS,
        ),
        Device::Vios => (&["renumber"], ""),
        Device::IbmI => (
            &[
                "silent-loss",
                "silent",
                "dies",
                "dead-watchdog",
                "wrong-host-key",
                "no-reipl",
                "null-identity",
                "job-ends",
                "tape-not-ready",
                "schedule-released",
                "cut",
                "short",
            ],
            "",
        ),
    }
}

/// Every word of a device, for messages and documents.
pub fn list(device: Device) -> String {
    let (plain, with_names) = words(device);
    let mut all = plain.join(", ");
    if !with_names.is_empty() {
        all = format!("{all}, {with_names}");
    }
    all
}

/// Whether a fault can ever show.
///
/// # Errors
/// The word that no device knows, with those it does; or the object that a word names and the world does not have.
pub(super) fn check(world: &World, fault: &Fault) -> Result<(), String> {
    let FaultKind::Special(word) = &fault.kind else {
        return Ok(());
    };
    let missing = match fault.device {
        Device::Array => array::missing_of(world, word),
        Device::Hmc => hmc::missing_of(world, word),
        Device::Vios | Device::IbmI => None,
    };
    match missing {
        Some(Some(why)) => Err(format!("fault {word}: {why}")),
        Some(None) => Ok(()),
        None if words(fault.device).0.contains(&word.as_str()) => Ok(()),
        None => Err(format!(
            "fault: {:?} knows no special word {word}; it knows {}",
            fault.device,
            list(fault.device)
        )),
    }
}
