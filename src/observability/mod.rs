//! Logging, health, metrics.

pub mod health;
pub mod logging;
pub mod metrics;
