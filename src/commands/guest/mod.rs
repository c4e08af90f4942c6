//! `guest install`, `verify`, `show` and `uninstall`: the kit on production, from the sources in this binary.
//!
//! Pure in the middle: [`observe()`] and [`remains()`] read, [`plan()`], [`leaving_plan`] and [`judge`] decide, [`install()`] and
//! [`uninstall()`] send.

mod command;
mod install;
mod leave;
mod observe;
mod plan;
mod remains;
mod show;
mod sources;
#[cfg(test)]
mod tests;
mod uninstall;
mod verify;

pub use crate::recipe::operator_lock::Lock;
pub use command::{Arguments, execute};
pub use install::{Done, InstallError, Mode, install};
pub use observe::{Observed, observe};
pub use plan::{Action, PlanError, Send, Wanted, plan};
pub use remains::{Remains, StartUp, remains};
pub use show::Shown;
pub use sources::SOURCES;
pub use uninstall::{Leaving, UninstallError, left_over, plan as leaving_plan, uninstall};
pub use verify::{Expectations, KitFinding, Verdict, judge, verify};
