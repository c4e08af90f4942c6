//! What lies on the disks: copied by FlashCopy, whatever it means on another partition.

use super::brms::Brms;
use super::file::{ProgramFile, SystemFile, SystemUser};
use super::job_scheduler::{self, DataLibraries};
use super::kit;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// One message of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMessage {
    /// Message id.
    pub id: String,
    /// 0–99.
    pub severity: u8,
    /// `ESCAPE`, …
    pub kind: String,
    /// `EXCEPTION NOT HANDLED`, …
    pub subtype: String,
    /// The system's own time.
    pub at: DateTime<Utc>,
    /// First-level text.
    pub text: String,
    /// Second-level text.
    pub second_level: String,
    /// Qualified job.
    pub job: String,
    /// How many times it stands there, one behind the other; 0 and 1 = once.
    pub times: u32,
    /// Message reference key within its queue; 0 = in no message queue.
    pub key: u32,
    /// Key of the inquiry that a reply answers; 0 = none.
    pub answers: u32,
}

/// A TCP/IP interface on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// IPv4 address.
    pub address: String,
    /// Subnet mask.
    pub netmask: String,
    /// Line description.
    pub line: String,
    /// Starts with TCP.
    pub autostart: bool,
}

/// A route on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Destination.
    pub destination: String,
    /// Mask.
    pub netmask: String,
    /// Next hop.
    pub next_hop: String,
}

/// A job schedule entry on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleEntry {
    /// Entry number.
    pub number: u32,
    /// Job name.
    pub name: String,
    /// `LIB/QUEUE`.
    pub queue: String,
    /// Held; else SCHEDULED.
    pub held: bool,
}

/// A job queue on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQueue {
    /// Reader.
    pub subsystem: String,
    /// Held.
    pub held: bool,
}

/// A job that has ended and left its log on an output queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    /// `nnnnnn/USER/NAME`.
    pub name: String,
    /// End code, 0 = normal.
    pub end_code: u32,
    /// Highest severity.
    pub severity: u8,
    /// Entered the system.
    pub entered: DateTime<Utc>,
    /// Became active.
    pub active: Option<DateTime<Utc>>,
    /// Ended.
    pub ended: DateTime<Utc>,
    /// Its log.
    pub log: Vec<LogMessage>,
    /// Gone from the job table: only the history log knows it.
    pub vanished: bool,
    /// LOGOUTPUT(*PND): there is no spooled file until somebody asks for the log.
    pub pending: bool,
}

/// What the disks contain.
#[derive(Debug, Clone, Default)]
pub struct DiskState {
    /// System name.
    pub system_name: String,
    /// Name of the next IPL.
    pub pending_name: Option<String>,
    /// Local control point name.
    pub control_point: String,
    /// Local location name.
    pub location: String,
    /// Alert status.
    pub alerts: String,
    /// Host name.
    pub host_name: String,
    /// Domain.
    pub domain: String,
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Line descriptions: resource name.
    pub lines: BTreeMap<String, String>,
    /// IPL attribute STRTCP.
    pub strtcp: bool,
    /// IPL attribute STRPRTWTR.
    pub strprtwtr: bool,
    /// System values.
    pub values: BTreeMap<String, String>,
    /// Schedule entries.
    pub schedule: Vec<ScheduleEntry>,
    /// Data libraries of the Advanced Job Scheduler.
    pub scheduler: DataLibraries,
    /// Job queues by `LIB/NAME`.
    pub job_queues: BTreeMap<String, JobQueue>,
    /// Subsystems of production's start-up program.
    pub start_up_subsystems: Vec<String>,
    /// Production's start-up program starts TCP.
    pub start_up_starts_tcp: bool,
    /// Independent ASPs: name → varied on.
    pub asps: BTreeMap<String, bool>,
    /// User profiles.
    pub users: Vec<SystemUser>,
    /// Seed of the SSH host key.
    pub host_key: String,
    /// sshd starts with TCP.
    pub sshd_autostart: bool,
    /// Stream files.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Directories.
    pub directories: BTreeSet<String>,
    /// Owner of `/ibmiclone`.
    pub directory_owner: String,
    /// Objects, `LIB/NAME *TYPE`.
    pub objects: BTreeSet<String>,
    /// Data areas, `LIB/NAME`.
    pub data_areas: BTreeMap<String, String>,
    /// Save files, `LIB/NAME`, with their bytes; none = cleared.
    pub save_files: BTreeMap<String, Vec<u8>>,
    /// BRMS, where it is installed.
    pub brms: Option<Brms>,
    /// QUSRBRM as it was restored to other libraries.
    pub brms_copies: BTreeMap<String, Brms>,
    /// Spooled files beside job logs, by qualified job and file.
    pub spooled: BTreeMap<(String, String), Vec<String>>,
    /// System reply list: number, message id, reply.
    pub reply_list: Vec<(u32, String, String)>,
    /// Programs a person wrote.
    pub programs: BTreeMap<String, ProgramFile>,
    /// History log.
    pub history: Vec<LogMessage>,
    /// QSYSOPR.
    pub operator_queue: Vec<LogMessage>,
    /// Jobs that ended.
    pub ended: Vec<EndedJob>,
    /// Number of the newest job.
    pub last_job: u32,
    /// Key of the newest message of QSYSOPR.
    pub last_message_key: u32,
    /// Length of a running transaction after each SUSPEND.
    pub long_transaction_seconds: u64,
    /// Percent of the system ASP.
    pub asp_used: f64,
    /// Own clock minus world clock.
    pub clock_ahead_seconds: i64,
    /// Printed by the profile scripts.
    pub profile_banner: String,
}

impl DiskState {
    /// The disks of a system a person wrote.
    pub fn from_file(file: &SystemFile) -> Self {
        let mut disk = Self {
            system_name: file.system_name.to_ascii_uppercase(),
            control_point: file.system_name.to_ascii_uppercase(),
            location: file.system_name.to_ascii_uppercase(),
            alerts: "*ON".to_owned(),
            host_name: file
                .host_name
                .clone()
                .unwrap_or_else(|| file.system_name.to_ascii_lowercase()),
            domain: file.domain.clone(),
            strtcp: file.strtcp,
            strprtwtr: true,
            start_up_subsystems: file.subsystems.clone(),
            start_up_starts_tcp: file.start_up_starts_tcp,
            users: file.users.clone(),
            host_key: file.host_key.clone(),
            sshd_autostart: file.sshd_autostart,
            last_job: 100_000,
            long_transaction_seconds: file.long_transaction_seconds,
            asp_used: file.asp_used,
            clock_ahead_seconds: file.clock_ahead_seconds,
            profile_banner: file.profile_banner.clone(),
            ..Self::default()
        };
        disk.values
            .insert("QSTRUPPGM".to_owned(), "STRTUP    QGPL      ".to_owned());
        disk.values
            .insert("QENDJOBLMT".to_owned(), "120".to_owned());
        disk.objects.insert("QGPL/STRTUP *PGM".to_owned());
        for directory in ["/", "/tmp"] {
            disk.directories.insert(directory.to_owned());
        }
        for i in &file.interfaces {
            disk.lines
                .insert(i.line_description.clone(), "CMN02".to_owned());
            disk.interfaces.push(Interface {
                address: i.address.clone(),
                netmask: i.netmask.clone(),
                line: i.line_description.clone(),
                autostart: i.autostart,
            });
        }
        for r in &file.routes {
            disk.routes.push(Route {
                destination: r.destination.clone(),
                netmask: r.netmask.clone(),
                next_hop: r.next_hop.clone(),
            });
        }
        for a in &file.asps {
            disk.asps.insert(a.name.to_ascii_uppercase(), a.available);
        }
        for (at, s) in file.schedule.iter().enumerate() {
            disk.schedule.push(ScheduleEntry {
                number: u32::try_from(at).unwrap_or(0) + 1,
                name: s.name.clone(),
                queue: s.job_queue.clone(),
                held: s.held,
            });
        }
        let usual = [
            ("QGPL/QBATCH", "QBATCH"),
            ("QGPL/QINTER", "QINTER"),
            ("QSYS/QCTL", "QCTL"),
            ("QSYS/QSYSNOMAX", "QSYSWRK"),
            ("QSYS/QUSRNOMAX", "QUSRWRK"),
        ];
        for (name, subsystem) in usual {
            disk.job_queues.insert(
                name.to_owned(),
                JobQueue {
                    subsystem: subsystem.to_owned(),
                    held: false,
                },
            );
        }
        if let Some(scheduler) = &file.job_scheduler {
            job_scheduler::install(&mut disk, scheduler);
        }
        for q in &file.job_queues {
            disk.job_queues.insert(
                q.name.clone(),
                JobQueue {
                    subsystem: q.subsystem.clone(),
                    held: q.held,
                },
            );
        }
        for p in &file.programs {
            disk.objects.insert(format!("{} *PGM", p.program));
            disk.programs.insert(p.program.clone(), p.clone());
        }
        if file.kit_installed {
            kit::installed_at_the_factory(&mut disk);
        }
        disk
    }

    /// Puts a message into QSYSOPR, under the next key; gives the key.
    pub fn to_operator(&mut self, mut message: LogMessage) -> u32 {
        // Keys are places in the queue: they grow by more than one.
        self.last_message_key += 0x40;
        message.key = self.last_message_key;
        self.operator_queue.push(message);
        self.last_message_key
    }

    /// A user profile, any case.
    pub fn user(&self, name: &str) -> Option<&SystemUser> {
        self.users
            .iter()
            .find(|u| u.name.eq_ignore_ascii_case(name))
    }

    /// QSTRUPPGM as `LIB/PGM`.
    pub fn start_up_program(&self) -> String {
        lib_pgm(self.values.get("QSTRUPPGM").map_or("", String::as_str))
    }
}

/// `LIB/PGM` of a value of 10 + 10 characters, `-` when blank.
pub fn lib_pgm(value: &str) -> String {
    let padded = format!("{value:<20}");
    let (program, library): (String, String) = (
        padded.chars().take(10).collect(),
        padded.chars().skip(10).collect(),
    );
    match (program.trim(), library.trim()) {
        ("", _) => "-".to_owned(),
        (program, "") => program.to_owned(),
        (program, library) => format!("{library}/{program}"),
    }
}
