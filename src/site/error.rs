//! How a device may fail us. Exactly four ways, because the engine has exactly four answers.

use std::fmt;

/// What went wrong between us and a device.
///
/// The first, second and last mean "observe again until the step's limit"; `Refused` fails the step
/// (`architecture.md` § 3). When a driver is in doubt it says `Indeterminate`, never `Unreachable`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Nothing was sent: no route, no session, connection refused, device still starting.
    #[error("{device} cannot be reached: {text}")]
    Unreachable {
        /// Which device, in the user's words (`HMC hmc1.example.com`).
        device: String,
        /// What was tried and what came back.
        text: String,
    },
    /// The device answered that it is busy; the request had no effect.
    #[error("{device} is busy: {text}")]
    Busy {
        /// Which device.
        device: String,
        /// The device's own words.
        text: String,
    },
    /// The device understood and said no. `code` is the device's own (`HSCL3680`, `CMMVC5907E`, `CPF9802`, `HTTP404`).
    #[error("{device} refused: {code} {text}")]
    Refused {
        /// Which device.
        device: String,
        /// The device's own code, the only thing ever compared.
        code: String,
        /// The device's words, for people only.
        text: String,
    },
    /// Sent, but the answer was lost: the effect may or may not have happened.
    #[error("{device} did not answer, outcome unknown: {text}")]
    Indeterminate {
        /// Which device.
        device: String,
        /// What was sent and how the answer was lost.
        text: String,
    },
}

impl DeviceError {
    /// One word of a fixed list, for events and metric labels; never the text.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "Unreachable",
            Self::Busy { .. } => "Busy",
            Self::Refused { .. } => "Refused",
            Self::Indeterminate { .. } => "Indeterminate",
        }
    }

    /// The device's own code, when it refused with one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Indeterminate { .. } => None,
        }
    }

    /// Shorthand used by drivers.
    pub fn unreachable(device: impl fmt::Display, text: impl fmt::Display) -> Self {
        Self::Unreachable {
            device: device.to_string(),
            text: text.to_string(),
        }
    }

    /// Shorthand used by drivers.
    pub fn busy(device: impl fmt::Display, text: impl fmt::Display) -> Self {
        Self::Busy {
            device: device.to_string(),
            text: text.to_string(),
        }
    }

    /// Shorthand used by drivers.
    pub fn refused(
        device: impl fmt::Display,
        code: impl fmt::Display,
        text: impl fmt::Display,
    ) -> Self {
        Self::Refused {
            device: device.to_string(),
            code: code.to_string(),
            text: text.to_string(),
        }
    }

    /// Shorthand used by drivers.
    pub fn indeterminate(device: impl fmt::Display, text: impl fmt::Display) -> Self {
        Self::Indeterminate {
            device: device.to_string(),
            text: text.to_string(),
        }
    }
}
