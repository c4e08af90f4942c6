//! Integration tests, a module per subject.
#![allow(clippy::unwrap_used, missing_docs)]

mod commands;
mod contract;
mod controllers;
mod crd_rules;
mod guest_kit;
mod hmc;
mod kube;
mod support;
mod vios;
