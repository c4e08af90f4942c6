//! Integration tests, a module per subject.
#![allow(clippy::unwrap_used, missing_docs)]

#[macro_use]
mod server;

mod brms;
mod chart;
mod commands;
mod conformance;
mod contract;
mod controllers;
mod crd_rules;
mod failures;
mod guest;
mod held;
mod history;
mod hmc;
mod ibmi;
mod kill;
mod kube;
mod layout;
mod leader;
mod logs;
mod moving;
mod npiv;
mod promised;
mod recorded;
mod schedule;
mod spectrum_virtualize;
mod support;
mod trouble;
mod vios;
