//! `guest install` and `guest verify`: the kit on production, from the sources in this binary.
//!
//! Pure in the middle: [`observe()`] reads, [`plan()`] and [`judge`] decide, [`install()`] sends.

mod command;
mod install;
mod observe;
mod plan;
mod sources;
#[cfg(test)]
mod tests;
mod verify;

pub use command::{Arguments, execute};
pub use install::{Done, InstallError, Mode, install};
pub use observe::{Lock, Observed, observe};
pub use plan::{Action, PlanError, Send, Wanted, plan};
pub use sources::SOURCES;
pub use verify::{Expectations, KitFinding, Verdict, judge, verify};
