//! When an environment is due (`product.md` § 8): pure, no Kubernetes, no clock of its own.
//!
//! - [`cron`]: one line of five fields
//! - [`zone`]: its instants in a time zone, each fixed local time exactly once
//! - [`slot`]: names and jitter
//! - [`decide`]: what to do now

pub mod cron;
pub mod decide;
pub mod slot;
pub mod zone;

#[cfg(test)]
mod night_tests;
#[cfg(test)]
mod random_tests;

pub use cron::{CronLine, LineError};
pub use decide::{Decision, Image, Line, SkipReason, State, decide, next_wake, settle};
pub use slot::{jitter, slot_name, slot_of_name};
pub use zone::{Due, Zone, ZoneError};
