//! Names and identities that cross the border. Newtypes, so that a volume can never be passed where a partition is meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $normal:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Normalises, so that two spellings of one identity compare equal.
            pub fn new(text: impl AsRef<str>) -> Self {
                let normal: fn(&str) -> String = $normal;
                Self(normal(text.as_ref()))
            }
            /// The normalised text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Storage identity of a volume (NAA, 32 hex digits on this family), upper case. The only name of a volume that
    /// every device agrees on (`hmc.md` § 0.8, `storage-virtualize.md` § 4).
    Uid,
    |t| t.trim().to_ascii_uppercase()
);
name!(
    /// The console's UUID of a partition, upper case (`hmc.md` § 1.4: case differs between objects).
    PartitionUuid,
    |t| t.trim().to_ascii_uppercase()
);
name!(
    /// A Fibre Channel world wide port name: 16 hex digits, lower case, no colons.
    Wwpn,
    |t| t.trim().replace(':', "").to_ascii_lowercase()
);
name!(
    /// Name of an auxiliary storage pool as CHGASPACT takes it: `*SYSBAS` or a device name.
    AspName,
    |t| t.trim().to_ascii_uppercase()
);
name!(
    /// A qualified IBM i job name, `123456/USER/NAME`.
    JobName,
    |t| t.trim().to_owned()
);

/// Who an IBM i is, as the hypervisor says: system serial and partition id. The only pair that is *not* copied with the
/// disks (`ibmi.md` § 3.1).
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// System serial number, blanks trimmed, upper case.
    #[schemars(length(min = 1, max = 16))]
    pub serial_number: String,
    /// Partition id as the hypervisor numbers it.
    #[schemars(range(min = 1, max = 65535))]
    pub partition_id: i32,
}

impl Identity {
    /// Trims the blanks IBM i puts in front of a serial number (`ibmi.md` § 1.7).
    pub fn new(serial: impl AsRef<str>, partition_id: i32) -> Self {
        Self {
            serial_number: serial.as_ref().trim().to_ascii_uppercase(),
            partition_id,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "serial {} partition {}",
            self.serial_number, self.partition_id
        )
    }
}
