//! BRMS as a person writes it in `world.yaml`: its inventory, and what the protocol page leaves open as knobs.

use serde::{Deserialize, Serialize};

/// BRMS of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrmsFile {
    /// BRMS system name that was set by hand; default the system's name, also after a rename.
    pub system_name: Option<String>,
    /// Control groups.
    pub control_groups: Vec<ControlGroupFile>,
    /// Volumes of its media inventory; each is a cartridge of `tapes`.
    pub media: Vec<MediaFile>,
    /// The Advanced feature is installed: FLASHTIME works.
    pub advanced_feature: bool,
    /// System policy: backups in batch restricted state are allowed.
    pub allow_batch: bool,
    /// System policy: a batch restricted state ends after so many minutes; 0 = *NOMAX.
    pub restricted_minutes: u32,
    /// Production's start-up program starts Q1ABRMNET.
    pub network: bool,
    /// INZBRM OPTION(*SQLSRVINZ) was run once.
    pub sql_services: bool,
    /// Behaviours that the protocol page marks as inferred.
    pub knobs: BrmsKnobs,
}

impl Default for BrmsFile {
    fn default() -> Self {
        Self {
            system_name: None,
            control_groups: Vec::new(),
            media: Vec::new(),
            advanced_feature: true,
            allow_batch: true,
            restricted_minutes: 0,
            network: true,
            sql_services: true,
            knobs: BrmsKnobs::default(),
        }
    }
}

/// A control group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlGroupFile {
    /// `DAILY`, `*SYSGRP`.
    pub name: String,
    /// What it saves, for logs.
    #[serde(default = "items")]
    pub items: Vec<String>,
    /// World seconds of the save.
    #[serde(default = "hour")]
    pub seconds: u64,
    /// Saves the system: needs the restricted state, else SAVSYS is bypassed (BRM1744).
    #[serde(default)]
    pub restricted: bool,
    /// Media class.
    #[serde(default = "class")]
    pub media_class: String,
    /// Volumes it fills.
    #[serde(default = "one")]
    pub volumes: usize,
    /// Days until the saves expire.
    #[serde(default = "month")]
    pub retain_days: u32,
    /// How it ends.
    #[serde(default)]
    pub result: GroupResult,
    /// Messages it leaves in the BRMS log and in its job log.
    #[serde(default)]
    pub messages: Vec<crate::simulators::ibmi::file::ProgramMessage>,
}

/// How a control group ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupResult {
    /// Exit status 0.
    #[default]
    Normal,
    /// Objects were not saved: saved, with an escape message at the end.
    Unsaved,
    /// Ends abnormally after it has begun to write.
    Failed,
}

/// A volume of the media inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MediaFile {
    /// Volume id.
    pub volume: String,
    /// Media class.
    #[serde(default = "class")]
    pub media_class: String,
    /// Active for so many days from the start; 0 = expired, may be written.
    #[serde(default)]
    pub active_days: u32,
    /// Storage location.
    #[serde(default = "home")]
    pub location: String,
}

/// Behaviours and message ids that no source confirms. The ids are placeholders: nothing may depend on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrmsKnobs {
    /// Id with which a BRMS that is in its FlashCopy process refuses saves, maintenance and movement.
    pub frozen_id: String,
    /// Id of a state command in the wrong order.
    pub wrong_order_id: String,
    /// Id of the entry in the BRMS log that tells a new state; empty = none is written.
    pub state_id: String,
    /// Id of the escape message of a control group that ended with errors.
    pub ended_with_errors_id: String,
    /// Its severity.
    pub ended_with_errors_severity: u8,
    /// Id of the entry in the BRMS log that names a written volume; empty = none is written.
    pub volume_id: String,
    /// A state command for the state BRMS is in already is refused.
    pub repeated_state_fails: bool,
    /// Saves after ENDBKU are allowed.
    pub saves_after_end_backup: bool,
    /// ENDPRC is taken while a backup is begun and not ended.
    pub end_process_during_backup: bool,
    /// STRPRC ends subsystem Q1ABRMNET.
    pub start_process_ends_network: bool,
    /// A refused command leaves an entry in the BRMS log, and so changes QUSRBRM.
    pub refusals_are_logged: bool,
    /// INZBRM OPTION(*MERGE) leaves the newest volume out.
    pub merge_loses_newest_volume: bool,
    /// CHANGE_TIMESTAMP of OBJECT_STATISTICS follows changes of a file's records; SYSPARTITIONSTAT always does.
    pub object_change_follows_records: bool,
    /// Name of the severity column of BRMS_LOG_INFO: MESSAGE_SEVERITY or SEVERITY.
    pub severity_column: String,
    /// Severity of the noise every save leaves (BRM10A1, BRM14A1, BRM15A7, CPC2402, CPD37C3, CPC3701).
    pub noise_severity: u8,
    /// Job name of STRBKUBRM SBMJOB(*CTLSBS).
    pub controlling_job: String,
    /// Size of QUSRBRM in a save file, KiB.
    pub library_kib: u32,
    /// Saving or restoring QUSRBRM, world milliseconds.
    pub library_milliseconds: u64,
    /// STRMNTBRM, world milliseconds.
    pub maintenance_milliseconds: u64,
}

impl Default for BrmsKnobs {
    fn default() -> Self {
        Self {
            frozen_id: "BRM40FC".to_owned(),
            wrong_order_id: "BRM40FD".to_owned(),
            state_id: "BRM40FE".to_owned(),
            ended_with_errors_id: "BRM40FB".to_owned(),
            ended_with_errors_severity: 40,
            volume_id: "BRM40FA".to_owned(),
            repeated_state_fails: true,
            saves_after_end_backup: false,
            end_process_during_backup: false,
            start_process_ends_network: false,
            refusals_are_logged: false,
            merge_loses_newest_volume: false,
            object_change_follows_records: true,
            severity_column: "MESSAGE_SEVERITY".to_owned(),
            noise_severity: 20,
            controlling_job: "BRMSBKU".to_owned(),
            library_kib: 64,
            library_milliseconds: 60_000,
            maintenance_milliseconds: 120_000,
        }
    }
}

fn items() -> Vec<String> {
    vec!["*ALLUSR".to_owned()]
}
fn hour() -> u64 {
    3600
}
fn class() -> String {
    "ULTRIUM".to_owned()
}
fn one() -> usize {
    1
}
fn month() -> u32 {
    35
}
fn home() -> String {
    "*HOME".to_owned()
}
