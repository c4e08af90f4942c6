//! Map of the crate.
//!
//! - [`site`]: the border to devices: five roles, four errors
//! - [`engine`]: moves a run along its line of steps; knows no Kubernetes
//! - [`api`]: the two kinds
//! - [`schedule`]: when an environment is due; pure
//! - [`recipe`]: the line of steps of each function
//! - [`drivers`]: the real devices behind the roles
//! - [`simulators`]: simulated devices, on real sockets and in process
//! - [`wire`]: lines and constants that a driver and its simulator share
//! - [`controllers`]: environments and runs on a Kubernetes API
//! - [`embedded`]: the embedded Kubernetes API, for sites without a cluster
//! - [`observability`]: logging, health, metrics
//! - [`commands`]: the commands of the binary and the control plane they can start

pub mod api;
pub mod commands;
pub mod controllers;
pub mod drivers;
pub mod embedded;
pub mod engine;
#[cfg(test)]
mod matrix;
pub mod observability;
pub mod recipe;
pub mod schedule;
pub mod simulators;
pub mod site;
pub mod wire;
