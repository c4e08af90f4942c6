//! The console's role (HMC): look at partitions, switch the clone. Bound to one partition when it is opened: no method
//! takes a partition, so production cannot be named here by mistake.

use super::{DeviceError, Identity, PartitionUuid, Uid, Wwpn};
use async_trait::async_trait;

/// State of a partition, from the console (`hmc.md` § 1.8). `error`, `not available` and unknown words are *not* off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionState {
    /// Powered off. Only this word means off.
    NotActivated,
    /// Activation was accepted.
    Starting,
    /// LIC was started; says nothing about the operating system.
    Running,
    /// On its way down.
    ShuttingDown,
    /// Firmware reports an error.
    Error,
    /// The console cannot see it.
    NotAvailable,
    /// Any other word, lower case, shown as it came.
    Other(String),
}

/// What the console says of one partition, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The console's UUID.
    pub uuid: PartitionUuid,
    /// Name, unique per managed system.
    pub name: String,
    /// Name of the managed system.
    pub managed_system: String,
    /// System serial (from its MTMS) and partition id.
    pub identity: Identity,
    /// Whether the console says `OS400`.
    pub is_ibm_i: bool,
    /// Power state.
    pub state: PartitionState,
    /// System reference code as shown; `00000000` and blank mean off *or* fully up (`hmc.md` § 1.9).
    pub reference_code: String,
    /// Keylock position as the console words it, lower case: `normal`, `manual`.
    pub keylock: String,
    /// Another console operation holds the partition.
    pub operation_in_progress: bool,
    /// `Not_Migrating` in all states in which we act.
    pub migration_state: String,
}

/// A disk or a port through which a partition reaches storage, as found from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// A volume mapped by a VIOS to a vSCSI adapter of the partition.
    Volume {
        /// The VIOS that maps it.
        vios: String,
        /// Storage identity; `None` when the disk has no readable one (internal disk, other VIOS's file).
        uid: Option<Uid>,
        /// The VIOS's name of the disk, for messages.
        disk: String,
    },
    /// A virtual Fibre Channel adapter: the array knows the volumes behind its WWPNs.
    Ports(Vec<Wwpn>),
}

/// Position of the key for a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keylock {
    /// Unattended IPL.
    Normal,
    /// Stops at the console.
    Manual,
}

/// How to start the clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Profile name; `None` = the partition's default one, which the driver looks up (`hmc.md` § 0.7).
    pub profile: Option<String>,
    /// IPL source: `a`, `b`, `c` or `d`.
    pub ipl_source: char,
    /// Key for this start.
    pub keylock: Keylock,
}

/// A job the console runs for us; its text form is journalled, so that a restarted operator can ask for it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerJob(pub String);

/// What became of a [`PowerJob`]. Never trusted alone: the partition's state decides (`hmc.md` § 0.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PowerJobState {
    /// Not ended.
    Running,
    /// Ended well.
    Ended,
    /// Ended badly, with the console's code and text.
    Failed {
        /// `HSCL…` code, or the job's status word.
        code: String,
        /// The console's text.
        text: String,
    },
    /// The console has forgotten it.
    Forgotten,
}

/// Read-only view of one partition.
#[async_trait]
pub trait PartitionView: Send + Sync {
    /// The partition as the console sees it now.
    async fn status(&self) -> Result<PartitionStatus, DeviceError>;
    /// Everything through which this partition reaches storage, found at the console and on every VIOS of its system.
    async fn attachments(&self) -> Result<Vec<Attachment>, DeviceError>;
    /// WWPNs of its virtual Fibre Channel client adapters, one list per adapter: the pair of which the second is used while
    /// the partition moves (`hmc.md` § 2.2). Hypervisor data, right even when a VIOS does not answer.
    async fn fibre_channel(&self) -> Result<Vec<Vec<Wwpn>>, DeviceError> {
        let found = self.attachments().await?.into_iter();
        Ok(found
            .filter_map(|attachment| match attachment {
                Attachment::Ports(wwpns) => Some(wwpns),
                Attachment::Volume { .. } => None,
            })
            .collect())
    }
    /// First WWPNs of the adapters that a VIOS connects to no physical port, each with that VIOS: `(VIOS, WWPN)`. Only a
    /// VIOS that answers can tell.
    async fn unconnected(&self) -> Result<Vec<(String, Wwpn)>, DeviceError> {
        Ok(Vec::new())
    }
}

/// Power over the clone's partition, and over no other: bound to its UUID when opened.
#[async_trait]
pub trait PartitionControl: PartitionView {
    /// Names of the partition's profiles.
    async fn profiles(&self) -> Result<Vec<String>, DeviceError>;
    /// Effect: immediate shutdown (`shutdown`, `immediate`, never a restart; `hmc.md` § 0.6).
    async fn power_off(&self) -> Result<PowerJob, DeviceError>;
    /// Effect: activate.
    async fn activate(&self, how: &Activation) -> Result<PowerJob, DeviceError>;
    /// Effect: set the key without starting (a HOLD run leaves it at manual).
    async fn set_keylock(&self, to: Keylock) -> Result<PowerJob, DeviceError>;
    /// What became of a job that one of the effects above returned.
    async fn job(&self, job: &PowerJob) -> Result<PowerJobState, DeviceError>;
}
