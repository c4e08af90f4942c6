//! The console's LogicalPartition and its profiles (`hmc.md` § 1.8).

use super::inventory::System;
use super::xml;
use crate::site::{Identity, PartitionState, PartitionStatus, PartitionUuid};
use roxmltree::Node;

/// What one entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lpar {
    pub(super) uuid: PartitionUuid,
    pub(super) name: String,
    pub(super) id: i32,
    is_ibm_i: bool,
    pub(super) state: PartitionState,
    reference_code: String,
    keylock: String,
    operation_in_progress: bool,
    migration_state: String,
    /// UUID of the default profile.
    pub(super) default_profile: Option<String>,
}

impl Lpar {
    /// Reads the first partition of an entry or feed; `None` when a field without which nothing can be decided is
    /// missing.
    pub(super) fn parse(body: &str) -> Option<Self> {
        let document = xml::parse(body)?;
        let object = xml::objects(&document, "LogicalPartition")
            .into_iter()
            .next()?;
        Self::read(object)
    }

    pub(super) fn read(object: Node<'_, '_>) -> Option<Self> {
        let field = |name: &str| xml::child_text(object, name);
        Some(Self {
            uuid: PartitionUuid::new(field("PartitionUUID").or_else(|| xml::uuid(object))?),
            name: field("PartitionName")?,
            id: field("PartitionID")?.parse().ok()?,
            is_ibm_i: field("PartitionType").as_deref() == Some("OS400"),
            state: state(&field("PartitionState")?),
            reference_code: field("ReferenceCode").unwrap_or_default(),
            keylock: field("KeylockPosition")
                .unwrap_or_default()
                .to_ascii_lowercase(),
            operation_in_progress: field("IsOperationInProgress")
                .is_some_and(|t| t.eq_ignore_ascii_case("true")),
            migration_state: field("MigrationState").unwrap_or_default(),
            default_profile: xml::child(object, "AssociatedPartitionProfile")
                .and_then(xml::href_tail),
        })
    }

    /// As the role tells it.
    pub(super) fn status(self, system: &System) -> PartitionStatus {
        PartitionStatus {
            uuid: self.uuid,
            name: self.name,
            managed_system: system.name.clone(),
            identity: Identity::new(system.serial(), self.id),
            is_ibm_i: self.is_ibm_i,
            state: self.state,
            reference_code: self.reference_code,
            keylock: self.keylock,
            operation_in_progress: self.operation_in_progress,
            migration_state: self.migration_state,
        }
    }
}

/// The state of a word, in any case. Only one word means off.
fn state(word: &str) -> PartitionState {
    match word.to_ascii_lowercase().as_str() {
        "not activated" => PartitionState::NotActivated,
        "starting" => PartitionState::Starting,
        "running" => PartitionState::Running,
        "shutting down" => PartitionState::ShuttingDown,
        "error" => PartitionState::Error,
        "not available" => PartitionState::NotAvailable,
        other => PartitionState::Other(other.to_owned()),
    }
}

/// A partition profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) uuid: String,
    pub(super) name: String,
}

/// Profiles of a feed; a 204 has none. `None` when it is no XML.
pub(super) fn profiles(body: &str) -> Option<Vec<Profile>> {
    if body.trim().is_empty() {
        return Some(Vec::new());
    }
    let document = xml::parse(body)?;
    xml::objects(&document, "LogicalPartitionProfile")
        .into_iter()
        .map(|object| {
            Some(Profile {
                uuid: xml::uuid(object)?,
                name: xml::child_text(object, "ProfileName")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_word_means_off() {
        assert_eq!(state("Not Activated"), PartitionState::NotActivated);
        for word in [
            "not available",
            "error",
            "",
            "off",
            "suspended",
            "hardware discovery",
        ] {
            assert_ne!(state(word), PartitionState::NotActivated, "{word}");
        }
        assert_eq!(
            state("Open Firmware"),
            PartitionState::Other("open firmware".into())
        );
    }

    #[test]
    fn a_partition_without_a_state_is_unreadable_and_not_off() {
        let body = "<L:LogicalPartition xmlns:L='u' xmlns='u'><PartitionUUID>a</PartitionUUID><PartitionName>X</PartitionName><PartitionID>3</PartitionID><PartitionState> </PartitionState></L:LogicalPartition>";
        assert_eq!(Lpar::parse(body), None);
    }
}
