//! How long each step of each environment took last. Told only where it was asked for: it is a series per step.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Seconds by step.
pub type Steps = BTreeMap<String, f64>;
/// Steps by namespace and environment.
pub type ByEnvironment = HashMap<(String, String), Steps>;

/// What ended steps took, since the process began.
#[derive(Debug, Default)]
pub struct LastSteps {
    wanted: AtomicBool,
    known: Mutex<ByEnvironment>,
}

impl LastSteps {
    /// From now on.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }
    pub(super) fn enter(&self, namespace: &str, environment: &str, step: &str, seconds: f64) {
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let key = (namespace.to_owned(), environment.to_owned());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = known.entry(key).or_default();
        steps.insert(step.to_owned(), seconds);
    }
    /// Those of environments that are there; the others are forgotten.
    pub(super) fn of(&self, there: impl Fn(&(String, String)) -> bool) -> ByEnvironment {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|key, _| there(key));
        known.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_length_counts_and_an_environment_that_is_gone_is_forgotten() {
        let steps = LastSteps::default();
        steps.enter("ibmi", "a", "start-copy", 1.0);
        assert!(steps.of(|_| true).is_empty(), "nobody asked for it");
        steps.want();
        for (environment, seconds) in [("a", 1.0), ("b", 2.0), ("a", 3.0)] {
            steps.enter("ibmi", environment, "start-copy", seconds);
        }
        let left = steps.of(|(_, environment)| environment == "a");
        let key = ("ibmi".to_owned(), "a".to_owned());
        assert_eq!(left[&key]["start-copy"], 3.0);
        assert_eq!(steps.of(|_| true).len(), 1);
    }
}
