//! Function BRMS (`ibmi.md` § 4): production's BRMS in its FlashCopy process from before the flash until its history is
//! back, the saves on the clone under production's name, the way of the history home, and the release on every path.
//!
//! No page tells how BRMS's state is read. So every change of it is a job of the run's own name: whether it happened is
//! told by the job's end, also when the answer was lost or the operator died (`ibmi.md` § 6). What the page says of job
//! ends holds for production as for the clone; the operator's memory is the devices' own job tables.

mod carry;
mod commands;
mod errand;
mod home;
mod log;
mod plan;
mod proof;
mod release;

pub(super) use commands::{flash_time, group_restricted, system_name};
pub(super) use errand::{Errand, Stands, There};
pub(super) use home::{Homeward, Leg, Outcome, Way};
pub(super) use log::{Log, MOST, NO_MEDIA, create_view, is_error};
pub(crate) use plan::BrmsJob;
pub(super) use plan::settings;
pub(super) use proof::{fingerprint, working_jobs};
pub(super) use release::{gives_up, meet_release, missing_history, read_volumes};
pub(crate) use release::{history_is_missing, volumes_to_protect};

/// Output of `freeze-backups`: digest of QUSRBRM's objects and members and their change times, right after BRMS was frozen.
pub(super) const FINGERPRINT: &str = "fingerprint";
/// Output of `freeze-backups`: name under which production's BRMS saves, unless `brms.systemName` says another.
pub(super) const SOURCE_NAME: &str = "brmsName";
/// Output of `end-backup`: volumes that the saves of this run wrote, comma list; absent when they could not be read.
pub(super) const VOLUMES: &str = "volumes";

/// Step 5.
pub(super) const FREEZE: &str = "freeze-backups";
/// Between `await-clone` and the first control group.
pub(super) const BEGIN: &str = "begin-backup";
/// Behind the last control group.
pub(super) const END: &str = "end-backup";
/// Step 16.
pub(super) const RETURN: &str = "return-history";
