//! BRMS (5770-BR1) as far as a clone needs it (`ibmi.md` § 4): its state lies in library QUSRBRM on the disks, so a
//! FlashCopy takes it along; the cartridges it writes lie outside ([`crate::simulators::tape`]).
//!
//! What no source confirms is in [`BrmsKnobs`]; the message ids there are placeholders.

pub mod file;

pub(super) mod backup;
pub(super) mod commands;
pub(super) mod library;
pub(super) mod media;
pub(super) mod sql;

mod process;

pub use file::{BrmsFile, BrmsKnobs, ControlGroupFile, GroupResult, MediaFile};

use super::disk::{DiskState, LogMessage};
use super::system::{running, view};
use crate::simulators::world::World;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Subsystem of the BRMS network; while it is active its jobs lock QUSRBRM (`ibmi.md` § 4.2).
pub const NETWORK: &str = "Q1ABRMNET";
/// Its jobs (`ibmi.md` § 4.4).
pub const NETWORK_JOBS: [&str; 4] = ["QBRMNET", "QNMAPINGD", "Q1ACPDST", "QBRMSYNC"];
/// Library of BRMS's data.
pub const LIBRARY: &str = "QUSRBRM";

/// Where BRMS is in its FlashCopy process (`ibmi.md` § 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrmsState {
    /// Everything works.
    Normal,
    /// Frozen: the clone saves.
    StartProcess,
    /// This system is the one that saves.
    StartBackup,
    /// The saves are over; QUSRBRM goes back to production.
    EndBackup,
}

impl BrmsState {
    /// The special value of STATE().
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "*ENDPRC",
            Self::StartProcess => "*STRPRC",
            Self::StartBackup => "*STRBKU",
            Self::EndBackup => "*ENDBKU",
        }
    }
}

/// A volume as the media inventory knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Media class.
    pub class: String,
    /// Active until then; in the past = expired.
    pub expires: Option<DateTime<Utc>>,
    /// BRMS system that wrote it.
    pub system: String,
    /// When it was written.
    pub written: Option<DateTime<Utc>>,
    /// The write that it knows of ([`crate::simulators::tape::SavedFile`]).
    pub write: u64,
    /// Storage location.
    pub location: String,
}

/// A save in the history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When it ended, the system's own clock.
    pub at: DateTime<Utc>,
    /// Control group.
    pub group: String,
    /// What was saved.
    pub item: String,
    /// Volumes.
    pub volumes: Vec<String>,
    /// BRMS system in whose name.
    pub system: String,
    /// Reference time of incremental saves, `CYYMMDDHHMMSS`.
    pub flash_time: Option<String>,
}

/// A line of the BRMS log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `BACKUP`, `MEDIA`, `MAINTENANCE`, `SYSTEM`.
    pub area: String,
    /// Message id.
    pub id: String,
    /// 0–99.
    pub severity: u8,
    /// The system's own clock.
    pub at: DateTime<Utc>,
    /// Qualified job.
    pub job: String,
    /// Control group, empty where there is none.
    pub group: String,
    /// Text.
    pub text: String,
}

/// A control group that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Control group.
    pub group: String,
    /// Volumes with the number of their write.
    pub volumes: Vec<(String, u64)>,
    /// It began without the restricted state that it needs.
    pub bypassed: bool,
}

/// The content of QUSRBRM, and the policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brms {
    /// FlashCopy process.
    pub state: BrmsState,
    /// Name set with BRMSYSNAME; `None` = the system's own.
    pub name: Option<String>,
    /// Reference times by `*QSYS`, `*IFS`.
    pub flash_times: BTreeMap<String, String>,
    /// Control groups.
    pub groups: Vec<ControlGroupFile>,
    /// Media inventory.
    pub volumes: BTreeMap<String, Volume>,
    /// History of saves.
    pub history: Vec<HistoryEntry>,
    /// Log.
    pub log: Vec<LogLine>,
    /// Control groups that run, by job.
    pub running: BTreeMap<String, Running>,
    /// Last change of the objects of QUSRBRM, `NAME *TYPE`.
    pub changed: BTreeMap<String, DateTime<Utc>>,
    /// When maintenance ran.
    pub maintained: Option<DateTime<Utc>>,
    /// SQL services were created.
    pub sql_services: bool,
    /// What a person wrote.
    pub file: BrmsFile,
}

/// Objects of QUSRBRM that stand for all of them.
pub(super) const LOG_FILE: &str = "QA1ALG *FILE";
pub(super) const MEDIA_FILE: &str = "QA1AMM *FILE";
const HISTORY_FILE: &str = "QA1AHS *FILE";
const STATE_FILE: &str = "QA1ASY *FILE";
const JOURNAL: &str = "QJ1ACM *JRN";
const RECEIVER: &str = "QJ1ACM0001 *JRNRCV";

impl Brms {
    /// BRMS as it was before the story began.
    pub fn from_file(file: &BrmsFile, now: DateTime<Utc>) -> Self {
        let installed = now - chrono::Duration::days(30);
        let day = |days: u32| now + chrono::Duration::days(i64::from(days));
        let objects = [
            LOG_FILE,
            MEDIA_FILE,
            HISTORY_FILE,
            STATE_FILE,
            JOURNAL,
            RECEIVER,
        ];
        Self {
            state: BrmsState::Normal,
            name: file.system_name.clone(),
            flash_times: BTreeMap::new(),
            groups: file.control_groups.clone(),
            volumes: file
                .media
                .iter()
                .map(|m| {
                    let volume = Volume {
                        class: m.media_class.clone(),
                        expires: (m.active_days > 0).then(|| day(m.active_days)),
                        system: String::new(),
                        written: None,
                        write: 0,
                        location: m.location.clone(),
                    };
                    (m.volume.clone(), volume)
                })
                .collect(),
            history: Vec::new(),
            log: Vec::new(),
            running: BTreeMap::new(),
            changed: objects
                .iter()
                .map(|o| ((*o).to_owned(), installed))
                .collect(),
            maintained: None,
            sql_services: file.sql_services,
            file: file.clone(),
        }
    }
    /// A control group.
    pub fn group(&self, name: &str) -> Option<&ControlGroupFile> {
        self.groups.iter().find(|g| g.name == name)
    }
    /// The FlashCopy process keeps everything but state commands and QUSRBRM away.
    pub fn frozen(&self) -> bool {
        match self.state {
            BrmsState::Normal | BrmsState::StartBackup => false,
            BrmsState::StartProcess => true,
            BrmsState::EndBackup => !self.file.knobs.saves_after_end_backup,
        }
    }
    /// An object of QUSRBRM was changed.
    pub(super) fn touch(&mut self, object: &str, at: DateTime<Utc>) {
        self.changed.insert(object.to_owned(), at);
    }
    /// Adds a line to the log.
    pub(super) fn tell(&mut self, line: LogLine) {
        self.touch(LOG_FILE, line.at);
        self.log.push(line);
    }
}

/// Puts BRMS on a disk with its objects.
pub(super) fn install(disk: &mut DiskState, file: &BrmsFile, now: DateTime<Utc>) {
    let brms = Brms::from_file(file, now);
    for library in ["QBRM", LIBRARY] {
        disk.objects.insert(format!("QSYS/{library} *LIB"));
    }
    disk.objects.insert("QBRM/Q1AOLD *PGM".to_owned());
    for object in brms.changed.keys() {
        disk.objects.insert(format!("{LIBRARY}/{object}"));
    }
    disk.brms = Some(brms);
}

/// What is wrong with a person's BRMS blocks.
///
/// # Errors
/// The block, and what to write.
pub(super) fn check(world: &World, partition: &str, file: &BrmsFile) -> Result<(), String> {
    let here = format!("system of partition {partition}: brms");
    let column = &file.knobs.severity_column;
    if !["MESSAGE_SEVERITY", "SEVERITY"].contains(&column.as_str()) {
        return Err(format!(
            "{here}: severityColumn {column}: write MESSAGE_SEVERITY or SEVERITY"
        ));
    }
    let mut classes = BTreeSet::new();
    for m in &file.media {
        if !world.tapes.cartridges.contains_key(&m.volume) {
            return Err(format!(
                "{here}: media {}: no such cartridge; add it under tapes.cartridges",
                m.volume
            ));
        }
        classes.insert(m.media_class.as_str());
    }
    let mut names = BTreeSet::new();
    for g in &file.control_groups {
        let plain = g.name.strip_prefix('*').unwrap_or(&g.name);
        let fine = (1..=10).contains(&g.name.len())
            && plain
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"$#@_.".contains(&b));
        if !fine {
            return Err(format!(
                "{here}: control group {}: write a name of 1 to 10 characters in upper case, such as DAILY or *SYSGRP",
                g.name
            ));
        }
        if !names.insert(g.name.as_str()) {
            return Err(format!("{here}: control group {} is there twice", g.name));
        }
        if !classes.contains(g.media_class.as_str()) {
            return Err(format!(
                "{here}: control group {}: no volume of media class {}; add one under brms.media, or write one of {}",
                g.name,
                g.media_class,
                classes.iter().copied().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(())
}

/// The name under which a system's BRMS works.
pub(super) fn name_of(disk: &DiskState) -> Option<String> {
    let brms = disk.brms.as_ref()?;
    Some(
        brms.name
            .clone()
            .unwrap_or_else(|| disk.system_name.clone()),
    )
}

/// Where a source's BRMS is in its FlashCopy process; `None` = it is off, or has no BRMS.
pub fn state_of(world: &World, source: &str) -> Option<BrmsState> {
    let brms = disk_of_source(world, source)?.brms.as_ref();
    brms.map(|b| b.state)
}

/// What a person does to BRMS of a running system, past all commands.
pub fn by_hand(world: &mut World, partition: &str, change: impl FnOnce(&mut Brms)) {
    if let Some(brms) = running(world, partition).and_then(|r| r.disk.brms.as_mut()) {
        change(brms);
    }
}

/// The name under which a source's BRMS works, when it is not in its FlashCopy process; `None` when it is, or is off.
pub(in crate::simulators) fn normal_name(world: &World, source: &str) -> Option<String> {
    let disk = disk_of_source(world, source)?;
    let normal = disk.brms.as_ref()?.state == BrmsState::Normal;
    if normal { name_of(disk) } else { None }
}

/// Whether a source's BRMS knows this write of a volume.
pub(in crate::simulators) fn knows_write(
    world: &World,
    source: &str,
    volume: &str,
    write: u64,
) -> bool {
    let brms = disk_of_source(world, source).and_then(|d| d.brms.as_ref());
    brms.and_then(|b| b.volumes.get(volume))
        .is_some_and(|v| v.write >= write)
}

fn disk_of_source<'w>(world: &'w World, source: &str) -> Option<&'w DiskState> {
    view(world, source).map(|(_, disk)| disk)
}

/// Adds a line to the BRMS log and, as BRMS does, to the log of the job.
pub(super) fn log(
    world: &mut World,
    partition: &str,
    job: &str,
    line: (&str, &str, u8, &str, &str),
) {
    let (area, id, severity, group, text) = line;
    let at = super::system::own_clock(world, partition);
    let Some(r) = running(world, partition) else {
        return;
    };
    if let Some(brms) = &mut r.disk.brms {
        brms.tell(LogLine {
            area: area.to_owned(),
            id: id.to_owned(),
            severity,
            at,
            job: job.to_owned(),
            group: group.to_owned(),
            text: text.to_owned(),
        });
    }
    if let Some(job) = r.system.jobs.get_mut(job) {
        let kind = if severity >= 30 {
            "DIAGNOSTIC"
        } else {
            "INFORMATIONAL"
        };
        super::jobs::push_log(job, at, id, severity, kind, text);
    }
}

/// Messages of the BRMS log as DSPLOGBRM prints them.
pub(super) fn log_messages(brms: &Brms) -> Vec<LogMessage> {
    let all = brms.log.iter();
    all.map(|l| {
        let mut m = super::system::message(&l.id, l.severity, l.at, &l.text);
        m.job.clone_from(&l.job);
        m
    })
    .collect()
}
