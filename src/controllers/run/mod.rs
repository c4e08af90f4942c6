//! Runs: from the opened object to the final row.

pub mod status;
pub mod store;
