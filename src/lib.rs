//! Map of the crate.
//!
//! - [`commands`]: the commands of the binary and the control plane they can start

pub mod commands;
