//! When the parts of a run began and ended: what `history --time` and F11 of `watch` show instead of durations.

use crate::api::run::CloneRunStatus;
use crate::engine::journal::{Entry, EntryState};
use crate::engine::time::Timestamp;
use crate::recipe::program_at;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

/// Instants as RFC 3339, whole seconds, UTC; absent = not yet, does not apply, or (archive) not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// The run ended.
    pub finished: Option<String>,
    /// Production was resumed.
    pub resumed: Option<String>,
    /// The clone's partition was activated.
    pub clone_started: Option<String>,
    /// The clone was ready.
    pub clone_ready: Option<String>,
    /// The function's first job began: its end less the duration that SAVE shows, by the clone's own clock.
    pub save_started: Option<String>,
    /// The function's last job ended.
    pub save_ended: Option<String>,
    /// The clone's partition was switched off, or taken by another run.
    pub partition_ended: Option<String>,
    /// The image was taken.
    pub image_taken: Option<String>,
    /// The image was ended.
    pub image_ended: Option<String>,
}

impl Times {
    /// From the journal in a status.
    pub fn of(status: &CloneRunStatus) -> Self {
        let done = |step: &str| {
            let mut steps = status.steps.iter();
            steps.find(|e| e.name == step && e.state == EntryState::Done)
        };
        let ended = |step: &str| done(step).and_then(|e| e.end);
        let activated = done("start-clone");
        let (on, taken) = (activated.and_then(|e| e.end), ended("start-copy"));
        let (save_started, save_ended) = saved(status);
        Self {
            finished: text(status.finished_at),
            resumed: text(ended("resume-source")),
            clone_started: text(activated.and_then(|e| e.start)),
            clone_ready: text(ended("await-clone")),
            save_started,
            save_ended,
            partition_ended: after(on, status.partition_active.as_deref()),
            image_taken: text(taken),
            image_ended: after(taken, status.flash_copy_active.as_deref()),
        }
    }
}

fn text(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::to_seconds_text)
}

/// First job active and last job ended. The end is known once SAVE is written.
fn saved(status: &CloneRunStatus) -> (Option<String>, Option<String>) {
    let programs: Vec<&Entry> = status
        .steps
        .iter()
        .filter(|e| program_at(&e.name).is_some())
        .collect();
    let last = programs.iter().rfind(|e| e.state == EntryState::Done);
    match (status.save.as_deref().and_then(span), last) {
        (Some(length), Some(last)) => {
            let began = last.end.map(|end| Timestamp::new(end.utc() - length));
            (text(began), text(last.end))
        }
        (_, _) => (text(programs.first().and_then(|e| e.start)), None),
    }
}

/// The end of what lasted so long. `since 07:37Z` has none.
fn after(began: Option<Timestamp>, lasted: Option<&str>) -> Option<String> {
    let end: DateTime<Utc> = began?.utc() + span(lasted?)?;
    text(Some(Timestamp::new(end)))
}

/// A duration as the history writes it: `1:37`, `7:52:35`.
fn span(text: &str) -> Option<TimeDelta> {
    let mut seconds = 0_i64;
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    for part in parts {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    TimeDelta::try_seconds(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_the_history_are_read_back_and_a_since_is_none() {
        let seconds = |text| span(text).map(|d| d.num_seconds());
        assert_eq!(seconds("1:37"), Some(97));
        assert_eq!(seconds("7:52:35"), Some(28_355));
        for none in ["since 07:37Z", "", "5", "1:2:3:4"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }
}
