//! What a test reads of ended runs and of environments.

use ibmi_clone_operator::api::{CloneEnvironmentStatus, CloneRun};
use ibmi_clone_operator::engine::journal::{Entry, Phase};

/// A run that is over.
pub struct End(pub CloneRun);

impl End {
    pub fn outcome(&self) -> (Phase, &str) {
        let status = self.0.status.as_ref().unwrap();
        (status.phase, status.reason.as_deref().unwrap_or_default())
    }
    pub fn message(&self) -> &str {
        let status = self.0.status.as_ref().unwrap();
        status.message.as_deref().unwrap_or_default()
    }
    pub fn step(&self, name: &str) -> &Entry {
        let steps = &self.0.status.as_ref().unwrap().steps;
        steps.iter().find(|e| e.name == name).unwrap()
    }
    /// Asserts phase and reason, and that the message has all these words.
    pub fn is(&self, phase: Phase, reason: &str, words: &[&str]) {
        assert_eq!(
            self.outcome(),
            (phase, reason),
            "{}\n{:#?}",
            self.message(),
            self.0.status.as_ref().unwrap().obligations
        );
        says_all(self.message(), words);
    }
    pub fn succeeded(&self) {
        assert_eq!(self.outcome().0, Phase::Succeeded, "{}", self.message());
    }
}

pub fn says_all(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

pub fn message_of(run: &CloneRun, step: &str) -> String {
    let status = run.status.as_ref();
    let entry = status.and_then(|s| s.steps.iter().find(|e| e.name == step));
    entry.and_then(|e| e.message.clone()).unwrap_or_default()
}

/// Whether a condition has this status.
pub fn is(status: &CloneEnvironmentStatus, kind: &str, wanted: &str) -> bool {
    let found = status.conditions.iter().find(|c| c.type_ == kind);
    found.is_some_and(|c| c.status == wanted)
}

/// Reason and message of a condition.
pub fn condition(status: &CloneEnvironmentStatus, kind: &str) -> (String, String) {
    let found = status.conditions.iter().find(|c| c.type_ == kind).unwrap();
    (found.reason.clone(), found.message.clone())
}
