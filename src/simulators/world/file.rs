//! `world.yaml`: a world that a person can write. Each device's part is defined beside the device.

use crate::simulators::{faults::Fault, hmc, ibmi, storage::spectrum_virtualize, tape, vios};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorldFile {
    /// World time at the start; default the machine's.
    #[serde(default)]
    pub start: Option<DateTime<Utc>>,
    /// Several worlds that one operator serves need a number each: the identities of partitions and array are made from it.
    #[serde(default)]
    pub number: u16,
    /// Names of partitions that are production.
    pub sources: Vec<String>,
    /// Consoles, managed systems, partitions.
    pub console: hmc::ConsoleFile,
    /// VIOSes.
    pub vioses: Vec<vios::ViosFile>,
    /// The array.
    pub array: spectrum_virtualize::ArrayFile,
    /// IBM i systems, by the partition they run on at the start, with their disks (load source first).
    pub systems: Vec<ibmi::SystemFile>,
    /// Tape drives and cartridges, which no FlashCopy takes along.
    #[serde(default)]
    pub tapes: tape::TapeSite,
    /// Where the network's addresses are served: which system answers depends on who holds the address.
    pub network: Vec<NetworkAddress>,
    /// Timings and knobs.
    #[serde(default)]
    pub knobs: Knobs,
    /// Faults from the start.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// One IPv4 address of the simulated network and the real socket that stands for it (its SSH port).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkAddress {
    /// Address in the world, as in the interfaces of a system.
    pub address: String,
    /// Loopback socket; port 0 = a free one, told in the line printed when ready.
    #[serde(default = "any_port")]
    pub listen: String,
}

/// A free loopback port.
pub fn any_port() -> String {
    "127.0.0.1:0".to_owned()
}

/// A user of a console or array.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserFile {
    /// Name.
    pub name: String,
    /// Password (simulated world: nothing secret).
    pub password: String,
    /// May only read.
    #[serde(default)]
    pub read_only: bool,
}

/// Timings (world milliseconds) and behaviours that the protocol pages mark as inferred.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Knobs {
    /// Array: one command.
    pub array_command_milliseconds: u64,
    /// Array: `preparing` → `prepared`.
    pub prepare_milliseconds: u64,
    /// Array: answer of startfcconsistgrp.
    pub start_copy_milliseconds: u64,
    /// Array: `stopping` → `stopped` when sibling maps depend on it.
    pub stopping_milliseconds: u64,
    /// Array: error bodies as JSON (9.x) instead of text 500 (8.x).
    pub array_errors_as_json: bool,
    /// Array: an expired token is answered 401 (observed) instead of 403 (documented).
    pub array_expired_is_401: bool,
    /// HMC: one request.
    pub hmc_request_milliseconds: u64,
    /// HMC: a power or CLIRunner job is RUNNING that long.
    pub hmc_job_milliseconds: u64,
    /// Partition: immediate shutdown.
    pub power_off_milliseconds: u64,
    /// Partition: activation accepted → `running`.
    pub activation_milliseconds: u64,
    /// Partition: `running` → operating system up (start-up program called).
    pub ipl_milliseconds: u64,
    /// IBM i: personality of the kit, before its re-IPL.
    pub personality_milliseconds: u64,
    /// IBM i: SSH login.
    pub login_milliseconds: u64,
    /// IBM i: CHGASPACT *FRCWRT.
    pub force_write_milliseconds: u64,
    /// IBM i: CHGASPACT *SUSPEND.
    pub suspend_milliseconds: u64,
    /// IBM i: CHGASPACT *RESUME.
    pub resume_milliseconds: u64,
    /// IBM i: a submitted program without a time of its own.
    pub program_milliseconds: u64,
    /// IBM i: an answered inquiry message is shown as REPLY itself, instead of staying INQUIRY beside its reply.
    pub answered_inquiry_becomes_reply: bool,
    /// IBM i: JOBLOG_INFO shows the pending log of an ended job, instead of DSPJOBLOG alone.
    pub job_log_info_shows_pending: bool,
    /// RESUME when not suspended is an error instead of 0.
    pub resume_when_running_fails: bool,
    /// A second SUSPEND is an error.
    pub suspend_when_suspended_fails: bool,
    /// A new SSH exec on a suspended source hangs until the resume.
    pub exec_hangs_while_suspended: bool,
    /// Write-through of a prepared group makes FRCWRT this many times slower (1 = not).
    pub write_through_factor: u64,
    /// Sibling maps on one source: a stop goes to `stopping` first.
    pub sibling_maps_stop_slowly: bool,
    /// The console shows `not activated` for this long during a re-IPL (0 = stays `running`).
    pub off_during_reipl_milliseconds: u64,
    /// A suspended source resumes by itself after this long (0 = never).
    pub self_resume_milliseconds: u64,
    /// IBM i: ENDSBS of one subsystem → ended.
    pub subsystem_end_milliseconds: u64,
    /// IBM i: ENDSBS SBS(*ALL) → restricted state.
    pub restricted_state_milliseconds: u64,
    /// IBM i: the restricted state ends with its job; off = it never does (A9003C70 stays).
    pub restricted_state_ends: bool,
    /// IBM i: TCP/IP can be started after a restricted state; off = nothing ever answers again.
    pub tcp_returns_after_restricted_state: bool,
    /// IBM i: SAVSYS.
    pub save_system_milliseconds: u64,
    /// IBM i: SAVLIB to a tape.
    pub save_libraries_milliseconds: u64,
    /// IBM i: SAVDLO.
    pub save_documents_milliseconds: u64,
    /// IBM i: SAV.
    pub save_files_milliseconds: u64,
    /// IBM i: the shell has `openssl dgst -sha256`.
    pub openssl_in_shell: bool,
    /// Guest kit's watchdog is honoured (off = it never fires, to test the proof without it).
    pub watchdog_works: bool,
    /// Advanced Job Scheduler: ENDJS ends a monitor; off = the command is not there.
    pub endjs_works: bool,
    /// Advanced Job Scheduler: a monitor with AUTOSTART(*YES) starts before the start-up program instead of after it.
    pub monitor_starts_before_start_up: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            array_command_milliseconds: 0,
            prepare_milliseconds: 20_000,
            start_copy_milliseconds: 1_000,
            stopping_milliseconds: 60_000,
            array_errors_as_json: false,
            array_expired_is_401: true,
            hmc_request_milliseconds: 0,
            hmc_job_milliseconds: 1_000,
            power_off_milliseconds: 20_000,
            activation_milliseconds: 6_000,
            ipl_milliseconds: 300_000,
            personality_milliseconds: 60_000,
            login_milliseconds: 0,
            force_write_milliseconds: 3_000,
            suspend_milliseconds: 2_000,
            resume_milliseconds: 500,
            program_milliseconds: 600_000,
            answered_inquiry_becomes_reply: false,
            job_log_info_shows_pending: false,
            resume_when_running_fails: false,
            suspend_when_suspended_fails: true,
            exec_hangs_while_suspended: true,
            write_through_factor: 2,
            sibling_maps_stop_slowly: true,
            off_during_reipl_milliseconds: 0,
            self_resume_milliseconds: 0,
            subsystem_end_milliseconds: 2_000,
            restricted_state_milliseconds: 30_000,
            restricted_state_ends: true,
            tcp_returns_after_restricted_state: true,
            save_system_milliseconds: 900_000,
            save_libraries_milliseconds: 3_600_000,
            save_documents_milliseconds: 60_000,
            save_files_milliseconds: 600_000,
            openssl_in_shell: true,
            watchdog_works: true,
            endjs_works: true,
            monitor_starts_before_start_up: false,
        }
    }
}
