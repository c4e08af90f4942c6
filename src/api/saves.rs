//! The two functions that save: BRMS with its control groups, and the full system save.

use super::options::default_queue;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Function BRMS: control groups on the clone under production's BRMS name, the history brought back (`ibmi.md` § 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Brms {
    /// Control groups in the order in which they are saved, such as `*SYSGRP`, `*BKUGRP`, `DAILY`.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 10)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[*]?[A-Z$#@][A-Z0-9$#@_.]{0,9}$'))").message("controlGroups: write names of BRMS control groups in upper case, such as \"*SYSGRP\" or DAILY"))]
    pub control_groups: Vec<ControlGroup>,
    /// Name under which the clone's BRMS saves: Source (production's, so that its history is production's), or another
    /// BRMS system name, at most 8 characters. Default Source.
    #[serde(default = "source")]
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(validation = Rule::new(r"self == 'Source' || self.matches(r'^[A-Z$#@][A-Z0-9$#@]{0,7}$')").message("systemName: write Source, or a BRMS system name of at most 8 characters in upper case"))]
    pub system_name: String,
    /// Control groups that need the restricted state, because they save the system: run in the controlling subsystem, watched
    /// through the console. Each also stands in controlGroups. Default `*SYSGRP` and `*SYSTEM` where they are named there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 10)))]
    pub restricted_groups: Option<Vec<ControlGroup>>,
    /// Job queue of the controlling subsystem on the clone, `LIB/QUEUE`, for groups in restricted state. Default QSYS/QCTL.
    #[serde(default = "controlling_queue")]
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("controllingQueue: write LIBRARY/QUEUE in upper case, such as QSYS/QCTL"))]
    pub controlling_queue: String,
    /// Job queue for every other job of this function, on the clone and on production, `LIB/QUEUE`. Default QSYS/QSYSNOMAX.
    #[serde(default = "default_queue")]
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("jobQueue: write LIBRARY/QUEUE in upper case, such as QSYS/QSYSNOMAX"))]
    pub job_queue: String,
    /// Tell BRMS the time of the flash as reference of incremental saves (needs its Advanced feature). Default false.
    #[serde(default)]
    pub flash_time: bool,
    /// How the history comes back: Restore (the whole QUSRBRM, only when nothing changed in production's BRMS meanwhile), Merge, or
    /// None (the save file is kept on production). Default Restore.
    #[serde(default)]
    pub history: BrmsHistory,
    /// Run STRMNTBRM on the clone after the saves. Default true.
    #[serde(default = "yes")]
    pub maintenance: bool,
    /// Production's BRMS is released this many seconds after it was frozen even when the history is not back (the run then
    /// fails and lists the volumes to protect). A save under way is never cut short by it, and the history gets at least an
    /// hour from its first try on. Default 14400.
    #[serde(default = "max_frozen")]
    #[schemars(range(min = 600, max = 604800))]
    pub max_frozen_seconds: i32,
    /// Messages of the BRMS log of this severity or above are errors. Default 30.
    #[serde(default = "thirty")]
    #[schemars(range(min = 0, max = 99))]
    pub error_severity: i32,
    /// Message ids of the BRMS log and the save jobs that are never errors. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 7, max = 7)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[A-Z][A-Z0-9]{2}[0-9A-F]{4}$'))").message("ignore: write message ids of 7 characters such as BRM10A1"))]
    pub ignore: Vec<String>,
}

/// Name of a BRMS control group.
pub type ControlGroup = String;

/// How BRMS history comes back to production (`ibmi.md` § 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum BrmsHistory {
    /// The whole of QUSRBRM is restored, when it is proved that nothing changed in it on production meanwhile.
    #[default]
    Restore,
    /// `INZBRM OPTION(*MERGE)` of archive, backup and media entries.
    Merge,
    /// The save file is left on production.
    None,
}

/// Function SAVE21: the full system save in restricted state, before anything is changed on the clone (`ibmi.md` § 5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Save21 {
    /// Tape device on the clone.
    #[schemars(length(min = 1, max = 10))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("device: write the tape device's name in upper case, such as TAP01"))]
    pub device: String,
    /// Volume ids in the order of use. Default none: whatever volume is mounted (*MOUNTED).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 6)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[A-Z0-9$#@]{1,6}$'))").message("volumes: write volume ids of at most 6 characters in upper case"))]
    pub volumes: Vec<String>,
    /// What the drive does after the last save: Rewind, Leave or Unload. Default Rewind.
    #[serde(default)]
    pub end_option: EndOption,
    /// What happens to files on the volumes that have not expired: None (the save stops), All (they are cleared), After
    /// (those behind the current one are cleared). Default None.
    #[serde(default)]
    pub clear: Clear,
    /// Until when the saved files may not be overwritten: `YYYY-MM-DD`, PERM, or empty for no protection. Default empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(validation = Rule::new(r"self == '' || self == 'PERM' || self.matches(r'^[0-9]{4}-[0-9]{2}-[0-9]{2}$')").message("expirationDate: write a date such as 2027-12-31, PERM, or leave it out"))]
    pub expiration_date: String,
    /// Libraries left out of SAVLIB *NONSYS. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 10)))]
    #[x_kube(validation = Rule::new(r"self.all(x, x.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}[*]?$'))").message("omit: write library names in upper case"))]
    pub omit: Vec<String>,
    /// Job queue of the clone's controlling subsystem, `LIB/QUEUE`: only a job of that subsystem may save in restricted
    /// state. Default QSYS/QCTL.
    #[serde(default = "controlling_queue")]
    #[schemars(length(min = 3, max = 21))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z$#@][A-Z0-9$#@_.]{0,9}/[A-Z$#@][A-Z0-9$#@_.]{0,9}$')").message("controllingQueue: write LIBRARY/QUEUE in upper case, such as QSYS/QCTL"))]
    pub controlling_queue: String,
    /// How long the clone may take to reach the restricted state, seconds. Default 600.
    #[serde(default = "restricted")]
    #[schemars(range(min = 30, max = 7200))]
    pub restricted_state_seconds: i32,
    /// Answers to messages nobody can answer in the restricted state, given to the system's reply list of the clone. Default
    /// none: the message's own default reply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub replies: Vec<MessageReply>,
}

/// One line of the clone's reply list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessageReply {
    /// Message id such as CPA4067.
    #[schemars(length(min = 7, max = 7))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Z][A-Z0-9]{2}[0-9A-F]{4}$')").message("messageId: write a message id of 7 characters such as CPA4067"))]
    pub message_id: String,
    /// The reply.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new(r"self.matches(r'^[A-Za-z0-9*]{1,32}$')").message("reply: write letters and digits such as G"))]
    pub reply: String,
}

/// What the drive does after the last save.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum EndOption {
    /// ENDOPT(*REWIND).
    #[default]
    Rewind,
    /// ENDOPT(*LEAVE).
    Leave,
    /// ENDOPT(*UNLOAD).
    Unload,
}

/// What happens to unexpired files on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Clear {
    /// CLEAR(*NONE).
    #[default]
    None,
    /// CLEAR(*ALL).
    All,
    /// CLEAR(*AFTER).
    After,
}

fn source() -> String {
    "Source".to_owned()
}
fn controlling_queue() -> String {
    "QSYS/QCTL".to_owned()
}
fn yes() -> bool {
    true
}
fn max_frozen() -> i32 {
    14_400
}
fn thirty() -> i32 {
    30
}
fn restricted() -> i32 {
    600
}
