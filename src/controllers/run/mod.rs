//! Runs: from the opened object to the final row.

pub mod logs;
pub mod status;
pub mod store;
