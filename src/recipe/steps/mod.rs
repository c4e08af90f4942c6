//! One file per step; each step is small, knows its plan from construction and nothing else.

use super::log_sink::LogSink;
use super::plan::Plan;
use crate::engine::step::Step;
use std::sync::Arc;

/// The step of this name.
pub(super) fn step(
    _name: &str,
    _plan: &Arc<Plan>,
    _log_sink: &Arc<dyn LogSink>,
) -> Option<Box<dyn Step>> {
    None
}
