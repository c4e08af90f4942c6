//! Logging, health, metrics.

pub mod api_requests;
pub mod health;
pub mod logging;
pub mod metrics;
