//! IBM i systems as a person writes them in `world.yaml`. Everything has a default that makes a healthy production system.

use serde::{Deserialize, Serialize};

/// A system as a person writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemFile {
    /// Partition it runs on at the start.
    pub partition: String,
    /// Array names of its disks, or their UIDs (32 hex digits), load source first.
    pub volumes: Vec<String>,
    /// Its name.
    pub system_name: String,
    /// Serial and partition id, where the console's pair is not the one the system reads (virtual serial number).
    #[serde(default)]
    pub identity: Option<crate::site::Identity>,
    /// Host name; default the system name in lower case.
    #[serde(default)]
    pub host_name: Option<String>,
    /// TCP/IP domain.
    #[serde(default = "example_domain")]
    pub domain: String,
    /// Interfaces, addresses of the world's network.
    #[serde(default)]
    pub interfaces: Vec<InterfaceFile>,
    /// Routes.
    #[serde(default)]
    pub routes: Vec<RouteFile>,
    /// Independent ASPs (primary) beside `*SYSBAS`.
    #[serde(default)]
    pub asps: Vec<AspFile>,
    /// User profiles that may log in with SSH.
    #[serde(default)]
    pub users: Vec<SystemUser>,
    /// Seed of the SSH host key, which lies on the disks: source and clone show the same one.
    #[serde(default = "host_key_seed")]
    pub host_key: String,
    /// Programs that can be called.
    #[serde(default)]
    pub programs: Vec<ProgramFile>,
    /// Job schedule entries.
    #[serde(default)]
    pub schedule: Vec<ScheduleFile>,
    /// The Advanced Job Scheduler (5770-JS1), where it is installed.
    #[serde(default)]
    pub job_scheduler: Option<JobSchedulerFile>,
    /// Job queues beside the usual ones.
    #[serde(default)]
    pub job_queues: Vec<JobQueueFile>,
    /// Subsystems that production's start-up program starts.
    #[serde(default = "production_subsystems")]
    pub subsystems: Vec<String>,
    /// Whether production's start-up program starts TCP itself.
    #[serde(default = "yes")]
    pub start_up_starts_tcp: bool,
    /// Whether the guest kit is installed, with its guard as the start-up program.
    #[serde(default = "yes")]
    pub kit_installed: bool,
    /// IPL attribute STRTCP: TCP starts without the start-up program.
    #[serde(default)]
    pub strtcp: bool,
    /// CHGTCPSVR SVRSPCVAL(*SSHD) AUTOSTART.
    #[serde(default = "yes")]
    pub sshd_autostart: bool,
    /// A transaction runs this long after each SUSPEND began (0 = none): the boundary is reached no earlier.
    #[serde(default)]
    pub long_transaction_seconds: u64,
    /// `SYSTEM_ASP_USED`, percent.
    #[serde(default = "half")]
    pub asp_used: f64,
    /// The system's own clock is this many seconds ahead.
    #[serde(default)]
    pub clock_ahead_seconds: i64,
    /// Text that the profile scripts print on every exec.
    #[serde(default)]
    pub profile_banner: String,
    /// BRMS; absent = not installed.
    #[serde(default)]
    pub brms: Option<super::brms::BrmsFile>,
}

impl SystemFile {
    /// A healthy production system with one address and one user, to be changed by the caller.
    pub fn simple(partition: &str, volumes: &[&str], address: &str) -> Self {
        Self {
            partition: partition.to_owned(),
            volumes: volumes.iter().map(|v| (*v).to_owned()).collect(),
            system_name: partition.chars().take(8).collect(),
            identity: None,
            host_name: None,
            domain: example_domain(),
            interfaces: vec![InterfaceFile {
                address: address.to_owned(),
                netmask: netmask(),
                line_description: line(),
                autostart: true,
            }],
            routes: Vec::new(),
            asps: Vec::new(),
            users: vec![SystemUser::with_password("CLONEOP", "cloneop-secret")],
            host_key: host_key_seed(),
            programs: Vec::new(),
            schedule: vec![ScheduleFile {
                name: "NIGHTRUN".to_owned(),
                job_queue: queue(),
                held: false,
            }],
            job_scheduler: None,
            job_queues: Vec::new(),
            subsystems: production_subsystems(),
            start_up_starts_tcp: true,
            kit_installed: true,
            strtcp: false,
            sshd_autostart: true,
            long_transaction_seconds: 0,
            asp_used: half(),
            clock_ahead_seconds: 0,
            profile_banner: String::new(),
            brms: None,
        }
    }
}

/// A TCP/IP interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InterfaceFile {
    /// IPv4 address.
    pub address: String,
    /// Subnet mask.
    #[serde(default = "netmask")]
    pub netmask: String,
    /// Line description.
    #[serde(default = "line")]
    pub line_description: String,
    /// Starts with TCP.
    #[serde(default = "yes")]
    pub autostart: bool,
}

/// A TCP/IP route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteFile {
    /// `*DFTROUTE` or a network.
    pub destination: String,
    /// `*NONE` with `*DFTROUTE`.
    #[serde(default = "none")]
    pub netmask: String,
    /// Next hop.
    pub next_hop: String,
}

/// An independent ASP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AspFile {
    /// Device name.
    pub name: String,
    /// Varied on.
    #[serde(default = "yes")]
    pub available: bool,
}

/// A user profile. Simulated world: its password is nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemUser {
    /// Profile name.
    pub name: String,
    /// Password; none = PASSWORD(*NONE).
    #[serde(default)]
    pub password: Option<String>,
    /// Public keys in OpenSSH form.
    #[serde(default)]
    pub public_keys: Vec<String>,
    /// *USE on QSYS/QPMLPMGT: without it the partition columns are NULL.
    #[serde(default = "yes")]
    pub qpmlpmgt: bool,
    /// Special authority *JOBCTL: CHGASPACT, jobs of others.
    #[serde(default = "yes")]
    pub jobctl: bool,
    /// Special authorities *ALLOBJ *SECADM *IOSYSCFG: needed to install the kit.
    #[serde(default = "yes")]
    pub allobj: bool,
}

impl SystemUser {
    /// A user with every authority.
    pub fn with_password(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: Some(password.to_owned()),
            public_keys: Vec::new(),
            qpmlpmgt: true,
            jobctl: true,
            allobj: true,
        }
    }
}

/// What a called program does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgramFile {
    /// `LIB/PGM`.
    pub program: String,
    /// World seconds it runs; default the knob `programMilliseconds`.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// How it ends.
    #[serde(default)]
    pub result: ProgramResult,
    /// Messages it leaves in its job log, one after another, evenly over its time.
    #[serde(default)]
    pub messages: Vec<ProgramMessage>,
}

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProgramResult {
    /// End code 0.
    #[default]
    Normal,
    /// An unmonitored escape message, end code 30.
    Abnormal,
    /// Waits for a reply to an inquiry message, for ever. C and D end it abnormally, any other normally.
    Msgw,
    /// Waits for two replies, one after the other.
    MsgwTwice,
    /// Ends normally and is gone from the job table: only the history log knows.
    Vanish,
    /// Ends abnormally with end code 30 and is gone from the job table.
    VanishAbnormal,
    /// Is gone from the job table, and the history log has only its start.
    Lost,
    /// Ends normally and leaves its log pending (LOGOUTPUT(*PND)): no spooled file.
    PendingLog,
}

/// A message of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgramMessage {
    /// Message id.
    pub id: String,
    /// 0–99.
    #[serde(default)]
    pub severity: u8,
    /// `INFORMATIONAL`, `DIAGNOSTIC`, `ESCAPE`, …
    #[serde(default = "informational")]
    pub kind: String,
    /// First-level text; `{n}` becomes the place of the message among its repetitions.
    pub text: String,
    /// How many times it is sent: a long job log from one line.
    #[serde(default = "once")]
    pub repeat: u32,
}

/// A job schedule entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleFile {
    /// Job name.
    pub name: String,
    /// `LIB/QUEUE`.
    #[serde(default = "queue")]
    pub job_queue: String,
    /// Held already.
    #[serde(default)]
    pub held: bool,
}

/// The Advanced Job Scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobSchedulerFile {
    /// Its data libraries.
    pub data_libraries: Vec<DataLibraryFile>,
}

/// A data library of the Advanced Job Scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataLibraryFile {
    /// Library.
    #[serde(default = "data_library")]
    pub name: String,
    /// Job name of its monitor.
    #[serde(default = "monitor_job")]
    pub monitor_job: String,
    /// Its monitor starts by itself; else production's start-up program starts it (STRJS).
    #[serde(default)]
    pub autostart: bool,
    /// Jobs.
    #[serde(default)]
    pub jobs: Vec<SchedulerJobFile>,
}

/// A job of the Advanced Job Scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SchedulerJobFile {
    /// Name.
    pub name: String,
    /// Held already.
    #[serde(default)]
    pub held: bool,
    /// Submitted when a monitor starts after its time has passed.
    #[serde(default = "yes")]
    pub recovers: bool,
}

/// A job queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobQueueFile {
    /// `LIB/NAME`.
    pub name: String,
    /// Subsystem that reads it.
    pub subsystem: String,
    /// Held.
    #[serde(default)]
    pub held: bool,
}

fn once() -> u32 {
    1
}
fn yes() -> bool {
    true
}
fn half() -> f64 {
    51.5
}
fn none() -> String {
    "*NONE".to_owned()
}
fn netmask() -> String {
    "255.255.255.0".to_owned()
}
fn line() -> String {
    "ETHLINE".to_owned()
}
fn queue() -> String {
    "QGPL/QBATCH".to_owned()
}
fn example_domain() -> String {
    "EXAMPLE.COM".to_owned()
}
fn host_key_seed() -> String {
    "production".to_owned()
}
fn data_library() -> String {
    "QUSRIJS".to_owned()
}
fn monitor_job() -> String {
    "QIJSSCD".to_owned()
}
fn informational() -> String {
    "INFORMATIONAL".to_owned()
}
fn production_subsystems() -> Vec<String> {
    ["QSYSWRK", "QBATCH", "QINTER", "QSPL", "QSERVER"]
        .map(str::to_owned)
        .to_vec()
}
