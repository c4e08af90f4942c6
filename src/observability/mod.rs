//! Logging and health. Metrics come with the issue on monitoring.

pub mod health;
pub mod logging;
