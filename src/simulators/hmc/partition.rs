//! Hypervisor state: managed systems, partitions, sessions and jobs of the console.

use super::file::{FibreChannelFile, PartitionKind, ScsiFile};
use super::jobs::Job;
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
    /// Name of the profile it was last activated with.
    pub last_profile: String,
    /// B-code of a failed IPL.
    pub error_code: Option<(String, String)>,
    /// The console shows a blank instead of its reference code.
    pub blank_code: bool,
    /// The console shows this code, whatever the system does.
    pub stuck_code: Option<String>,
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
    /// Logged on.
    pub since: DateTime<Utc>,
    /// Last request.
    pub used: DateTime<Utc>,
    /// Which of the console's sockets.
    pub endpoint: usize,
    /// Objects and their etags when the session last asked for events; `None` = it never did.
    pub watched: Option<BTreeMap<String, i64>>,
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
    /// Next event id.
    pub next_event: u64,
    /// Minutes after which an ended job is forgotten; 0 = never.
    pub job_minutes: i64,
    /// Minutes after which a session ends, used or not; 0 = never.
    pub session_minutes: i64,
    /// UUIDs are written in the case that other levels do not use.
    pub swapped_case: bool,
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
    /// WWPNs through which a partition reaches the array: of the adapters that a VIOS which is on connects to a port.
    pub fn live_ports_of(&self, partition: &str) -> Vec<Wwpn> {
        let off = |vios: &str| {
            let vios = self.partitions.get(vios);
            vios.is_some_and(|v| v.state == PowerState::NotActivated)
        };
        let adapters = self.partitions.get(partition).into_iter();
        adapters
            .flat_map(|p| &p.fibre_channel)
            .filter(|a| a.connected && !off(&a.vios))
            .flat_map(|a| a.wwpns.iter().map(Wwpn::new))
            .collect()
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
    /// By UUID, whatever its case; none of a system that the console does not reach.
    pub fn by_uuid(&self, uuid: &str) -> Option<&Partition> {
        let wanted = PartitionUuid::new(uuid);
        self.partitions
            .values()
            .find(|p| p.uuid == wanted && self.reaches(&p.system))
    }
    /// Whether the console sees the objects of a managed system: only while that is `operating`.
    pub fn reaches(&self, system: &str) -> bool {
        self.system(system).is_some_and(|s| s.state == "operating")
    }
    /// A UUID as this level writes it.
    pub fn written(&self, uuid: &str) -> String {
        if !self.swapped_case {
            return uuid.to_owned();
        }
        let swap = |c: char| {
            if c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        };
        uuid.chars().map(swap).collect()
    }
    /// The beginning of a location code: `U9105.42A.78ABCD0`.
    pub fn location(&self, system: &str) -> String {
        self.system(system).map_or_else(String::new, |s| {
            format!("U{}.{}", s.type_model.replace('-', "."), s.serial)
        })
    }
    /// A managed system by name.
    pub fn system(&self, name: &str) -> Option<&ManagedSystem> {
        self.systems.iter().find(|s| s.name == name)
    }
}
