//! Logging. Metrics and health come with the issue on monitoring.

pub mod logging;
