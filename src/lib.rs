//! Map of the crate.
//!
//! - [`api`]: the two kinds, their rules and generated definitions
//! - [`site`]: the border to the devices
//! - [`engine`]: moves a run along its line of steps
//! - [`controllers`]: runs and environments on a Kubernetes API
//! - [`observability`]: logging
//! - [`commands`]: the commands of the binary and the control plane they can start

pub mod api;
pub mod commands;
pub mod controllers;
pub mod engine;
pub mod observability;
pub mod site;
