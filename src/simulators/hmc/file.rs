//! Consoles, managed systems and partitions as a person writes them in `world.yaml`.

use crate::simulators::world::file::UserFile;
use serde::{Deserialize, Serialize};

/// One console (or two with the same systems).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsoleFile {
    /// Name, for messages and faults.
    pub name: String,
    /// Sockets of the REST API: one, or two consoles that manage the same systems.
    pub listen: Vec<String>,
    /// The console's other ports, where its REST API is not.
    #[serde(default)]
    pub other_ports: Vec<OtherPortFile>,
    /// Names in its certificate.
    #[serde(default)]
    pub certificate_names: Vec<String>,
    /// Users.
    pub users: Vec<UserFile>,
    /// Open sessions per console before a logon is refused.
    #[serde(default = "hundred")]
    pub max_sessions: usize,
    /// Idle minutes after which a session ends; 0 = never.
    #[serde(default)]
    pub idle_minutes: i64,
    /// Minutes after which a session ends, used or not; 0 = never.
    #[serde(default)]
    pub session_minutes: i64,
    /// Minutes after which an ended job is forgotten; 0 = never.
    #[serde(default = "one_day")]
    pub job_minutes: i64,
    /// UUIDs of partitions in lower case, of systems in upper case: the other way round than usual.
    #[serde(default)]
    pub swapped_uuid_case: bool,
    /// Managed systems.
    pub systems: Vec<ManagedSystemFile>,
    /// Partitions.
    pub partitions: Vec<PartitionFile>,
}

fn hundred() -> usize {
    100
}
fn one_day() -> i64 {
    24 * 60
}

/// One of the two ports 443 and 12443 that does not serve the REST API at the console's level (`hmc.md` § 1).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OtherPortFile {
    /// Its socket.
    pub listen: String,
    /// What is behind it.
    pub serves: OtherPort,
}

/// What a console's other port does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OtherPort {
    /// 443 before V11: the console's web page, which knows no REST API.
    Gui,
    /// 12443 from V11 on: connections are taken and never answered.
    Hangs,
}

/// A managed system.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManagedSystemFile {
    /// Name.
    pub name: String,
    /// `9105-42A`.
    pub type_model: String,
    /// Serial number.
    pub serial: String,
    /// `operating` unless told otherwise.
    #[serde(default = "operating")]
    pub state: String,
}

fn operating() -> String {
    "operating".to_owned()
}

/// Type of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionKind {
    /// IBM i.
    OS400,
    /// AIX or Linux.
    #[serde(rename = "AIX/Linux")]
    AixLinux,
    /// VIOS.
    #[serde(rename = "Virtual IO Server")]
    Vios,
}

impl PartitionKind {
    /// The console's word.
    pub fn as_str(self) -> &'static str {
        match self {
            PartitionKind::OS400 => "OS400",
            PartitionKind::AixLinux => "AIX/Linux",
            PartitionKind::Vios => "Virtual IO Server",
        }
    }
}

/// A partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartitionFile {
    /// Name.
    pub name: String,
    /// Managed system.
    pub system: String,
    /// Partition id.
    pub id: i32,
    /// `OS400`, `AIX/Linux` or `Virtual IO Server`.
    pub kind: PartitionKind,
    /// Running at the start.
    #[serde(default)]
    pub running: bool,
    /// Profiles; the first is the default one.
    #[serde(default = "one_profile")]
    pub profiles: Vec<String>,
    /// `normal` or `manual`.
    #[serde(default = "normal")]
    pub keylock: String,
    /// Never activated: needs a profile (HSCL3680).
    #[serde(default)]
    pub fresh: bool,
    /// Virtual SCSI client adapters.
    #[serde(default)]
    pub scsi: Vec<ScsiFile>,
    /// Virtual Fibre Channel client adapters: WWPN pairs.
    #[serde(default)]
    pub fibre_channel: Vec<FibreChannelFile>,
}

fn one_profile() -> Vec<String> {
    vec!["default_profile".to_owned()]
}
fn normal() -> String {
    "normal".to_owned()
}

/// A virtual SCSI client adapter and the server adapter behind it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScsiFile {
    /// Client slot.
    pub slot: u32,
    /// VIOS.
    pub vios: String,
    /// Server adapter on it.
    pub vhost: String,
    /// Slot of the server adapter.
    #[serde(default)]
    pub server_slot: u32,
}

/// A virtual Fibre Channel client adapter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FibreChannelFile {
    /// Client slot.
    pub slot: u32,
    /// VIOS.
    pub vios: String,
    /// Its two WWPNs.
    pub wwpns: Vec<String>,
    /// The VIOS connects it to a physical port.
    #[serde(default = "connected")]
    pub connected: bool,
}

fn connected() -> bool {
    true
}
