//! Hypervisor state: managed systems, partitions, sessions and jobs of the console.

use super::file::{FibreChannelFile, PartitionKind, ScsiFile};
use super::power::Job;
use crate::simulators::world::file::UserFile;
use crate::site::{Identity, PartitionUuid, Wwpn};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// Power state of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerState {
    /// Off.
    NotActivated,
    /// Activation accepted, until then.
    Starting {
        /// When LIC starts.
        until: DateTime<Utc>,
        /// Stops at the console.
        manual: bool,
    },
    /// LIC was started.
    Running,
    /// Going down, until then.
    ShuttingDown {
        /// When it is off.
        until: DateTime<Utc>,
    },
    /// Firmware found no usable load source.
    Error,
}

impl PowerState {
    /// The console's word, lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            PowerState::NotActivated => "not activated",
            PowerState::Starting { .. } => "starting",
            PowerState::Running => "running",
            PowerState::ShuttingDown { .. } => "shutting down",
            PowerState::Error => "error",
        }
    }
}

/// A managed system.
#[derive(Debug, Clone)]
pub struct ManagedSystem {
    /// UUID, lower case.
    pub uuid: String,
    /// Name.
    pub name: String,
    /// `9105-42A`.
    pub type_model: String,
    /// Serial number.
    pub serial: String,
    /// `operating`, …
    pub state: String,
}

/// A partition.
#[derive(Debug, Clone)]
pub struct Partition {
    /// UUID, upper case.
    pub uuid: PartitionUuid,
    /// Name.
    pub name: String,
    /// Managed system.
    pub system: String,
    /// Serial and id.
    pub identity: Identity,
    /// Type.
    pub kind: PartitionKind,
    /// Power state.
    pub state: PowerState,
    /// (UUID, name), the first is the default one.
    pub profiles: Vec<(String, String)>,
    /// `normal` or `manual`.
    pub keylock: String,
    /// IPL source of the last activation.
    pub ipl_source: char,
    /// Never activated.
    pub fresh: bool,
    /// B-code of a failed IPL.
    pub error_code: Option<(String, String)>,
    /// During a re-IPL with the knob: shown `not activated` until then.
    pub off_until: Option<DateTime<Utc>>,
    /// vSCSI client adapters.
    pub scsi: Vec<ScsiFile>,
    /// Virtual FC client adapters.
    pub fibre_channel: Vec<FibreChannelFile>,
}

/// A logon.
#[derive(Debug, Clone)]
pub struct ConsoleSession {
    /// User.
    pub user: String,
    /// Last request.
    pub used: DateTime<Utc>,
    /// Which of the console's sockets.
    pub endpoint: usize,
}

/// Hypervisor state of all systems, and the consoles' sessions and jobs.
#[derive(Debug, Clone, Default)]
pub struct Consoles {
    /// Name.
    pub name: String,
    /// Users.
    pub users: Vec<UserFile>,
    /// Managed systems.
    pub systems: Vec<ManagedSystem>,
    /// Partitions by name.
    pub partitions: BTreeMap<String, Partition>,
    /// Jobs by id.
    pub jobs: BTreeMap<u64, Job>,
    /// Next job id.
    pub next_job: u64,
    /// Sessions by token.
    pub sessions: BTreeMap<String, ConsoleSession>,
    /// Limit per console.
    pub max_sessions: usize,
    /// 0 = never.
    pub idle_minutes: i64,
    /// The answer to the request at hand is lost after its effect.
    pub answer_lost: bool,
    /// Failed logons by user, and until when the account is locked.
    pub failures: BTreeMap<String, (u32, Option<DateTime<Utc>>)>,
}

impl Consoles {
    /// All partitions.
    pub fn partition_names(&self) -> Vec<String> {
        self.partitions.keys().cloned().collect()
    }
    /// WWPNs of a partition's virtual Fibre Channel adapters.
    pub fn ports_of(&self, partition: &str) -> Vec<Wwpn> {
        let adapters = self
            .partitions
            .get(partition)
            .map(|p| p.fibre_channel.as_slice())
            .unwrap_or_default();
        adapters
            .iter()
            .flat_map(|a| a.wwpns.iter().map(Wwpn::new))
            .collect()
    }
    /// Serial and partition id.
    pub fn identity_of(&self, partition: &str) -> Option<Identity> {
        self.partitions.get(partition).map(|p| p.identity.clone())
    }
    /// By UUID, whatever its case.
    pub fn by_uuid(&self, uuid: &str) -> Option<&Partition> {
        let wanted = PartitionUuid::new(uuid);
        self.partitions.values().find(|p| p.uuid == wanted)
    }
    /// A managed system by name.
    pub fn system(&self, name: &str) -> Option<&ManagedSystem> {
        self.systems.iter().find(|s| s.name == name)
    }
}
