//! Fault controls: what the next matching request of a device suffers.

use serde::{Deserialize, Serialize};

/// Which simulated device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The array's REST API.
    Array,
    /// The HMC's REST API.
    Hmc,
    /// VIOS commands (through the HMC's CLIRunner).
    Vios,
    /// IBM i over SSH.
    IbmI,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// Connection refused.
    Refused,
    /// The request is taken and never answered, without effect.
    NoAnswer,
    /// The effect happens, then the connection drops before the answer.
    AnswerLost,
    /// The device's own "busy" answer.
    Busy,
    /// The device says no, with this code and text, without effect.
    Refuse {
        /// Device code.
        code: String,
        /// Device text.
        text: String,
    },
    /// The answer comes this much later (world milliseconds).
    Delay {
        /// World milliseconds.
        milliseconds: u64,
    },
    /// A device-specific fault, by name (documented at the device).
    Special(String),
}

/// One fault, waiting for its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Which device.
    pub device: Device,
    /// Name of the device instance (partition, array, console, VIOS); empty = any.
    #[serde(default)]
    pub name: String,
    /// Beginning of the operation it waits for (`startfcconsistgrp`, `PUT PowerOn`, `CHGASPACT`); empty = any.
    #[serde(default)]
    pub operation: String,
    /// What happens.
    pub kind: FaultKind,
    /// How many times.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// The faults that wait.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    /// Adds one.
    pub fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }
    /// Removes all.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
    /// The fault that waits for exactly this operation, without taking it: for behaviours that last.
    pub fn waits(&self, device: Device, name: &str, operation: &str) -> Option<&FaultKind> {
        self.waiting
            .iter()
            .find(|f| {
                f.device == device
                    && (f.name.is_empty() || f.name == name)
                    && f.operation == operation
            })
            .map(|f| &f.kind)
    }
    /// Takes a device-specific fault that waits for this operation by name, as `OPERATION` or `special OPERATION`. Other
    /// kinds, and faults for any operation, stay for the request itself.
    pub fn take_special(&mut self, device: Device, name: &str, operation: &str) -> Option<String> {
        let word = |f: &Fault| match &f.kind {
            FaultKind::Special(word) => Some(word.clone()),
            _ => None,
        };
        self.take_first(device, name, |f| {
            let wanted = f.operation.strip_prefix("special ").unwrap_or(&f.operation);
            (wanted == operation).then(|| word(f)).flatten()
        })
    }
    /// Takes the fault for this request, if one waits.
    pub fn take(&mut self, device: Device, name: &str, operation: &str) -> Option<FaultKind> {
        self.take_if(device, name, operation, |_| true)
    }
    /// The same, only for kinds that this place of the device can show: the others go on waiting for theirs.
    pub fn take_if(
        &mut self,
        device: Device,
        name: &str,
        operation: &str,
        shows: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        self.take_first(device, name, |f| {
            let wanted = operation.starts_with(&f.operation) && shows(&f.kind);
            wanted.then(|| f.kind.clone())
        })
    }
    /// Takes a device-specific fault whose word this place can read, on any operation that begins like its own: the word
    /// and what it means.
    pub fn take_word<T>(
        &mut self,
        device: Device,
        name: &str,
        operation: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<(String, T)> {
        self.take_first(device, name, |f| match &f.kind {
            FaultKind::Special(word) if operation.starts_with(&f.operation) => {
                Some((word.clone(), read(word)?))
            }
            _ => None,
        })
    }
    /// Uses up the first fault of this device of which `wanted` makes something.
    fn take_first<T>(
        &mut self,
        device: Device,
        name: &str,
        wanted: impl Fn(&Fault) -> Option<T>,
    ) -> Option<T> {
        let (at, found) = self.waiting.iter().enumerate().find_map(|(at, f)| {
            let here = f.device == device && (f.name.is_empty() || f.name == name) && f.times > 0;
            Some((at, here.then(|| wanted(f)).flatten()?))
        })?;
        let fault = &mut self.waiting[at];
        fault.times -= 1;
        if fault.times == 0 {
            self.waiting.remove(at);
        }
        Some(found)
    }
}
