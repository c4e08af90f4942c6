//! What was seen first and must not change, and how identities are written.

use crate::engine::journal::Facts;
use crate::site::{Identity, PartitionUuid};

/// Partition UUIDs and identities that were seen first and must not change (annotation `ibmiclone.dev/pins`,
/// `product.md` § 2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pins {
    /// The source's partition.
    pub source_partition: Option<PartitionUuid>,
    /// The clone's partition.
    pub clone_partition: Option<PartitionUuid>,
    /// Identity of production learned by the first verify; only used while `source.identities` is empty.
    pub source_identity: Option<Identity>,
    /// The array's own identity (`id` of `lssystem`): target sets are locked by it, whatever address leads to it.
    pub array: Option<String>,
}

const PIN_SOURCE: &str = "sourcePartition";
const PIN_CLONE: &str = "clonePartition";
const PIN_IDENTITY: &str = "sourceIdentity";
const PIN_ARRAY: &str = "arraySystem";

impl Pins {
    /// Reads the annotation's map; unknown keys are left alone. The identity is written `SERIAL/PARTITIONID`.
    pub fn from_facts(facts: &Facts) -> Self {
        let uuid = |key| facts.get(key).map(PartitionUuid::new);
        Self {
            source_partition: uuid(PIN_SOURCE),
            clone_partition: uuid(PIN_CLONE),
            source_identity: facts.get(PIN_IDENTITY).and_then(|t| parse_identity(t)),
            array: facts.get(PIN_ARRAY).cloned(),
        }
    }

    /// The annotation's map.
    pub fn to_facts(&self) -> Facts {
        let mut facts = Facts::new();
        if let Some(uuid) = &self.source_partition {
            facts.insert(PIN_SOURCE.into(), uuid.to_string());
        }
        if let Some(uuid) = &self.clone_partition {
            facts.insert(PIN_CLONE.into(), uuid.to_string());
        }
        if let Some(identity) = &self.source_identity {
            facts.insert(PIN_IDENTITY.into(), identity_text(identity));
        }
        if let Some(array) = &self.array {
            facts.insert(PIN_ARRAY.into(), array.clone());
        }
        facts
    }
}

/// `SERIAL/PARTITIONID`, as in the guest kit's files.
pub fn identity_text(identity: &Identity) -> String {
    format!("{}/{}", identity.serial_number, identity.partition_id)
}

/// Reads [`identity_text`].
pub fn parse_identity(text: &str) -> Option<Identity> {
    let (serial, id) = text.trim().split_once('/')?;
    let id = id.trim().parse().ok()?;
    (!serial.trim().is_empty()).then(|| Identity::new(serial, id))
}
