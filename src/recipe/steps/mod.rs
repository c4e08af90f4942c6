//! One file per step; each step is small, knows its plan from construction and nothing else.
//!
//! What done steps leave in their output, for later steps and for the status:
//!
//! | step | facts |
//! | --- | --- |
//! | verify-site | `targets` (UIDs, comma list, order of the maps), `sourcePartition`, `clonePartition`, `sourceIdentity`, `cloneIdentity`, `attached` (`yes`, `no`) |
//! | verify-image | `targets`, `clonePartition`, `attached`, as above |
//! | write-parameters | `sha256`, `writtenAt`, `notAfter`, `sourceScpf` |
//! | stop-clone, start-clone | `state` |
//! | unmap-volumes | `mapped`: kept maps |
//! | freeze-backups | `fingerprint` (digest of QUSRBRM's objects), `brmsName` |
//! | start-copy | `started`: the copy's identity |
//! | map-volumes | `volumes` |
//! | await-clone | `readyAt`, `scpf`, `reIpls`, `systemName` |
//! | run-function, run-function-2 … | `jobName`, `result` (`ok`, `failed`, `overrun`, `vanished`, `left`, `notStarted`), `endSeverity`, `saveMilliseconds`, `lastSeen` |
//! | run-function of SAVE21 | `jobName`, `result` (`ok`, `failed`, `left`), `endSeverity`, `saveMilliseconds`, `steps`, `failed`, `failedId`, `media` |
//! | the same with BRMS | `jobName`, `result` as above, `reason` and `said` where it failed, `endSeverity`, `saveMilliseconds`, `lastSeen` |
//! | end-backup | `volumes` that were written (comma list), `said` where ENDBKU was refused |
//! | return-history | `history` (`restored`, `merged`, `kept`), `saveFile` where it is kept |
//! | hooks: before-freeze, after-resume-2 … | as run-function; `said` where settle judges it; `logMessages`, `logErrors` |
//! | collect-logs | `messages`, `errors`, `jobErrors`, `failureTail` (lines), `notStored` (why a log is missing) |
//! | settle | `cloneState`, `referenceCode`, `copyProgress`, `diskUsedPercent` |
//!
//! A step with an effect has the baseline `sentAt`; its handle is what the device gave, `@`, and when it was sent.

pub(super) mod after_resume;
mod afterwards;
mod await_clone;
mod begin_backup;
mod collect_logs;
pub(super) mod doing;
mod end_backup;
mod end_image;
mod freeze_backups;
pub(super) mod gate;
mod hook;
mod hook_log;
mod job;
mod live_log;
mod map_volumes;
mod pin_image;
pub(super) mod power;
pub(super) mod prepare_copy;
mod restricted;
mod resume_source;
mod return_history;
mod run_function;
pub(super) mod run_group;
mod save21;
mod seen;
mod settle;
mod start_clone;
mod start_copy;
pub(super) mod stop_clone;
mod suspend_source;
mod tell_source;
mod unmap_volumes;
mod verify_image;
mod verify_site;
mod volumes;
mod write_parameters;

pub(super) use collect_logs::history_since;
pub use collect_logs::{NOT_STORED, step_lines};
pub use hook_log::counted;
pub(super) use job::watch_clone;
pub(super) use verify_image::{end_locks, held_locks, target_lock};
pub(super) use verify_site::hold_locks;

use super::brms;
use super::log_sink::LogSink;
use super::plan::Plan;
use super::surroundings::{TELL_SOURCE, hook_of, program_at};
use crate::api::options::Function;
use crate::engine::journal::Journal;
use crate::engine::step::Step;
pub(crate) use gate::state_word;
use std::sync::Arc;

/// Words with which a waiting step's message begins when a person should look (condition NeedsAttention): a reply is
/// waited for, the clone is up but silent, the clone shows an attention code.
pub const ATTENTION: [&str; 3] = ["NeedsReply", "CloneUpButSilent", "CloneNeedsAttention"];

/// The word of [`ATTENTION`] with which a step's message, or what it says of another job, begins, if any.
pub fn attention(message: &str) -> Option<&'static str> {
    let mut words = message.split(':').map(str::trim);
    words.find_map(|word| ATTENTION.into_iter().find(|a| *a == word))
}

/// Whether a job of the run may still be there on the clone, a program's or a hook's: it was submitted, and nothing proves
/// its end.
pub fn job_may_run(journal: &Journal) -> bool {
    run_function::may_run(journal) || hook::may_run_on_clone(journal)
}

/// The step of this name.
pub(super) fn step(
    name: &str,
    plan: &Arc<Plan>,
    log_sink: &Arc<dyn LogSink>,
) -> Option<Box<dyn Step>> {
    let plan = Arc::clone(plan);
    let sink = Arc::clone(log_sink);
    Some(match name {
        verify_site::ID => Box::new(verify_site::VerifySite { plan }),
        verify_image::ID => Box::new(verify_image::VerifyImage { plan }),
        pin_image::PIN => Box::new(pin_image::PinImage { plan }),
        pin_image::UNPIN => Box::new(pin_image::UnpinImage { plan }),
        write_parameters::ID => Box::new(write_parameters::WriteParameters { plan }),
        stop_clone::ID => Box::new(stop_clone::StopClone { plan }),
        unmap_volumes::ID => Box::new(unmap_volumes::UnmapVolumes { plan }),
        end_image::ID => Box::new(end_image::EndImage { plan }),
        prepare_copy::ID => Box::new(prepare_copy::PrepareCopy { plan }),
        suspend_source::ID => Box::new(suspend_source::SuspendSource { plan }),
        start_copy::ID => Box::new(start_copy::StartCopy { plan }),
        resume_source::ID => Box::new(resume_source::ResumeSource { plan }),
        map_volumes::ID => Box::new(map_volumes::MapVolumes { plan }),
        start_clone::ID => Box::new(start_clone::StartClone { plan }),
        await_clone::ID => Box::new(await_clone::AwaitClone { plan }),
        brms::FREEZE => Box::new(freeze_backups::FreezeBackups { plan }),
        brms::BEGIN => Box::new(begin_backup::BeginBackup { plan }),
        brms::END => Box::new(end_backup::EndBackup { plan }),
        brms::RETURN => Box::new(return_history::ReturnHistory { plan }),
        collect_logs::ID => Box::new(collect_logs::CollectLogs { plan, sink }),
        settle::ID => Box::new(settle::SettleStep { plan, sink }),
        TELL_SOURCE => Box::new(tell_source::TellSource { plan, sink }),
        _ => return added(name, &plan, &sink),
    })
}

/// The step of a name that the environment has added to the recipe's list.
fn added(name: &str, plan: &Arc<Plan>, sink: &Arc<dyn LogSink>) -> Option<Box<dyn Step>> {
    if let Some(place) = program_at(name) {
        let (plan, sink) = (Arc::clone(plan), Arc::clone(sink));
        return Some(match plan.function {
            Function::Brms => Box::new(run_group::RunGroup { plan, place, sink }),
            Function::Save21 => Box::new(save21::RunSave21 { plan }),
            Function::Hold | Function::User => {
                Box::new(run_function::RunFunction { plan, place, sink })
            }
        });
    }
    if let Some((point, id, place)) = hook_of(plan, name) {
        return Some(Box::new(hook::RunHook {
            plan: Arc::clone(plan),
            sink: Arc::clone(sink),
            point,
            id,
            place,
        }));
    }
    Some(Box::new(afterwards::step(name, plan)?))
}
