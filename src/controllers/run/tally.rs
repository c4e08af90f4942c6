//! What an accepted write of a journal adds to the metrics.

use crate::api::CloneRun;
use crate::engine::journal::{Entry, EntryState, Journal};
use crate::engine::time::Timestamp;
use crate::observability::metrics::objects::phase_word;
use crate::observability::metrics::{Counted, RunLabels, StepLabels};
use kube::ResourceExt;
use std::time::Duration;

/// The run as metrics name it: by its environment.
#[derive(Debug, Clone)]
pub struct Tally {
    namespace: String,
    environment: String,
    function: String,
    trigger: String,
}

impl Tally {
    /// Of a run.
    pub fn of(run: &CloneRun) -> Self {
        let function = run.status.as_ref().and_then(|s| s.function.clone());
        Self {
            namespace: run.namespace().unwrap_or_default(),
            environment: run.spec.environment.clone(),
            function: function.unwrap_or_default(),
            trigger: format!("{:?}", run.spec.trigger),
        }
    }

    /// Counts what changed from one journal to the next. Called once for each write that the API server took.
    pub fn accepted(&self, counted: &Counted, previous: &Journal, next: &Journal) {
        let (namespace, environment) = (&self.namespace, &self.environment);
        let taken_over = !previous.writer.is_empty() && previous.writer != next.writer;
        // One that only gets its verdict (restored, not usable) does not go on.
        if taken_over && !next.phase.is_final() {
            let at = previous.current().and_then(|at| previous.steps.get(at));
            let step = at.map(|e| e.name.as_str()).unwrap_or_default();
            counted.resumed(namespace, environment, step);
        }
        for entry in &next.steps {
            let before = previous.entry(&entry.name).map(|e| e.state);
            if let Some((labels, seconds)) = step_end(entry).filter(|_| before != Some(entry.state))
            {
                counted.step_ended(&labels, seconds);
                counted.last_step(namespace, environment, &labels.step, seconds);
            }
        }
        let closed = |j: &Journal| j.window.as_ref().is_some_and(|w| w.closed.is_some());
        if let Some(window) = next
            .window
            .as_ref()
            .filter(|_| closed(next) && !closed(previous))
            && let Some(held) = window
                .microseconds
                .and_then(|held| u64::try_from(held).ok())
        {
            counted.frozen(namespace, environment, Duration::from_micros(held));
        }
        if next.phase.is_final() && !previous.phase.is_final() {
            self.ended(counted, next);
        }
    }

    fn ended(&self, counted: &Counted, journal: &Journal) {
        let labels = RunLabels {
            namespace: self.namespace.clone(),
            environment: self.environment.clone(),
            function: self.function.clone(),
            trigger: self.trigger.clone(),
            result: phase_word(journal.phase).to_owned(),
        };
        counted.ended(&labels, between(journal.started_at, journal.finished_at));
    }
}

fn step_end(entry: &Entry) -> Option<(StepLabels, f64)> {
    let result = match entry.state {
        EntryState::Done => "done",
        EntryState::Failed => "failed",
        // Not needed, or not over: there is no duration.
        EntryState::Skipped | EntryState::Pending | EntryState::Intended => return None,
    };
    let labels = StepLabels {
        step: entry.name.clone(),
        result,
    };
    Some((labels, between(entry.start, entry.end)?))
}

fn between(start: Option<Timestamp>, end: Option<Timestamp>) -> Option<f64> {
    let milliseconds = end?.since(start?);
    Some(milliseconds.max(0) as f64 / 1000.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "tally_tests.rs"]
mod tests;
