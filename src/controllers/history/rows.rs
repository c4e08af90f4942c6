//! A small row for every run object, from the metadata watch (`architecture.md` § 8).
//!
//! Only open runs are kept whole; of all others this is all the operator remembers. It is filled by the watch on the
//! metadata of *all* runs and by no other: in the watch on open runs an object that leaves the selection arrives as
//! deleted with its old content, and a row that is only finished would look as if it were gone.

use super::Key;
use crate::api::options::History;
use crate::api::{CloneRun, ENVIRONMENT_LABEL, NUMBER_LABEL, OUTCOME_LABEL, created_at};
use crate::schedule::slot_of_name;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use std::collections::{HashMap, HashSet};

/// What is known of a finished run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    outcome: Outcome,
    /// Creation, seconds since 1970.
    created: i64,
    /// Within the environment; 0 = none.
    number: i64,
}

/// Which of the three counts a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    Succeeded,
    Failed,
    Skipped,
}

impl Outcome {
    fn of(label: &str) -> Option<Self> {
        match label {
            "Succeeded" | "Warning" => Some(Self::Succeeded),
            "Failed" | "Cancelled" => Some(Self::Failed),
            "Skipped" => Some(Self::Skipped),
            _ => None,
        }
    }
    fn kept(self, history: &History) -> usize {
        let kept = match self {
            Self::Succeeded => history.succeeded,
            Self::Failed => history.failed,
            Self::Skipped => history.skipped,
        };
        usize::try_from(kept).unwrap_or_default()
    }
}

/// Whether a finished run may be removed because of its age at all. A run with a name that a person gave is his: it has
/// neither a generated name nor the name of a slot of its environment's schedule.
pub fn may_go(run: &impl ResourceExt, environment: &str) -> bool {
    let named_by_hand = run
        .meta()
        .generate_name
        .as_deref()
        .unwrap_or_default()
        .is_empty()
        && slot_of_name(environment, &run.name_any()).is_none();
    !named_by_hand && run.finalizers().is_empty() && run.meta().deletion_timestamp.is_none()
}

/// Rows of all finished runs that may go, by environment.
#[derive(Debug, Default)]
pub struct Rows {
    by_environment: HashMap<Key, HashMap<String, Row>>,
    /// Names of a listing under way, by scope.
    listing: HashMap<Option<String>, HashSet<(String, String)>>,
}

impl Rows {
    /// Enters an event; gives the environments that may have too many rows now.
    pub fn saw(
        &mut self,
        scope: Option<&str>,
        event: &Event<PartialObjectMeta<CloneRun>>,
    ) -> Vec<Key> {
        let scope = scope.map(ToOwned::to_owned);
        match event {
            Event::Init => {
                self.listing.insert(scope, HashSet::new());
                Vec::new()
            }
            Event::InitApply(run) => {
                self.enter(run);
                if let Some(seen) = self.listing.get_mut(&scope) {
                    seen.insert((run.namespace().unwrap_or_default(), run.name_any()));
                }
                Vec::new()
            }
            Event::Apply(run) => self.enter(run).into_iter().collect(),
            Event::Delete(run) => {
                if let Some(environment) = run.labels().get(ENVIRONMENT_LABEL) {
                    let key = Key {
                        namespace: run.namespace().unwrap_or_default(),
                        name: environment.clone(),
                    };
                    self.drop_row(&key, &run.name_any());
                }
                Vec::new()
            }
            Event::InitDone => {
                let seen = self.listing.remove(&scope).unwrap_or_default();
                for (key, rows) in &mut self.by_environment {
                    if scope.as_ref().is_none_or(|s| *s == key.namespace) {
                        rows.retain(|name, _| {
                            seen.contains(&(key.namespace.clone(), name.clone()))
                        });
                    }
                }
                self.by_environment.retain(|_, rows| !rows.is_empty());
                self.by_environment.keys().cloned().collect()
            }
        }
    }

    fn enter(&mut self, run: &PartialObjectMeta<CloneRun>) -> Option<Key> {
        let label = |key: &str| run.labels().get(key);
        let environment = label(ENVIRONMENT_LABEL)?;
        let key = Key {
            namespace: run.namespace().unwrap_or_default(),
            name: environment.clone(),
        };
        let outcome = label(OUTCOME_LABEL).and_then(|word| Outcome::of(word));
        let Some(outcome) = outcome.filter(|_| may_go(run, environment)) else {
            self.drop_row(&key, &run.name_any());
            return None;
        };
        let row = Row {
            outcome,
            created: created_at(run).map_or(0, |at| at.timestamp()),
            number: label(NUMBER_LABEL)
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
        };
        let rows = self.by_environment.entry(key.clone()).or_default();
        rows.insert(run.name_any(), row);
        Some(key)
    }

    /// A run that is gone, open again, or not what its labels said.
    pub fn drop_row(&mut self, key: &Key, run: &str) {
        if let Some(rows) = self.by_environment.get_mut(key) {
            rows.remove(run);
        }
    }

    /// The environment of a run that may go.
    pub fn environment_of(&self, namespace: &str, run: &str) -> Option<Key> {
        let mut known = self.by_environment.iter();
        let found = known.find(|(key, rows)| key.namespace == namespace && rows.contains_key(run));
        found.map(|(key, _)| key.clone())
    }

    /// Runs beyond what is kept, oldest first.
    pub fn beyond(&self, key: &Key, history: &History) -> Vec<String> {
        let Some(rows) = self.by_environment.get(key) else {
            return Vec::new();
        };
        let mut newest: Vec<(&Row, &String)> = rows.iter().map(|(name, row)| (row, name)).collect();
        newest.sort_by_key(|(row, name)| std::cmp::Reverse((row.created, row.number, *name)));
        let mut kept: HashMap<Outcome, usize> = HashMap::new();
        newest.retain(|(row, _)| {
            let count = kept.entry(row.outcome).or_default();
            *count += 1;
            *count > row.outcome.kept(history)
        });
        newest
            .into_iter()
            .rev()
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// Rows held.
    pub fn len(&self) -> usize {
        self.by_environment.values().map(HashMap::len).sum()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
