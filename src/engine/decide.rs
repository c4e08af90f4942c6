//! The table of `architecture.md` § 3: what an observation means for an entry. Pure.

use super::journal::{Entry, EntryState, Facts};
use super::rules::{Rule, kept};
use super::step::{Failure, Observation};
use super::time::Timestamp;
use std::time::Duration;

/// What the engine does next with a plain step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write the intent (or attempt + 1), then send the effect.
    Act,
    /// Write the intent without sending anything, then wait.
    Note {
        /// When to look again.
        again: Duration,
        /// Shown in status.
        message: String,
    },
    /// Wait; write only when the shown message changed.
    Wait {
        /// When to look again.
        again: Duration,
        /// Shown in status.
        message: String,
    },
    /// Record the output; no effect.
    Record(Facts),
    /// Record that the step is not needed.
    Skip(String),
    /// The step fails.
    Fail(Failure),
}

/// Applies the table. `limit` counts from the entry's start.
pub fn decide(
    entry: &Entry,
    observation: Observation,
    now: Timestamp,
    limit: Duration,
) -> Decision {
    let overdue = entry
        .start
        .is_some_and(|start| now.since(start) > millis(limit));
    match observation {
        Observation::Done(facts) => Decision::Record(facts),
        Observation::NotNeeded(why) => Decision::Skip(why),
        Observation::Broken(failure) => Decision::Fail(failure),
        Observation::Unknown(_) if !kept(Rule::AbsentIsProved) => Decision::Act,
        Observation::Unknown(failure) => Decision::Fail(failure),
        Observation::Absent if overdue => {
            Decision::Fail(timed_out(entry, limit, "the effect never showed"))
        }
        Observation::Underway { message, .. } | Observation::Asking { message, .. } if overdue => {
            Decision::Fail(timed_out(entry, limit, &message))
        }
        Observation::Underway { .. } | Observation::Asking { .. }
            if !kept(Rule::AbsentIsProved) =>
        {
            Decision::Act
        }
        Observation::Absent => Decision::Act,
        Observation::Underway { again, message } | Observation::Asking { again, message, .. } => {
            match entry.state {
                EntryState::Pending => Decision::Note { again, message },
                EntryState::Intended
                | EntryState::Done
                | EntryState::Skipped
                | EntryState::Failed => Decision::Wait { again, message },
            }
        }
    }
}

fn timed_out(entry: &Entry, limit: Duration, last: &str) -> Failure {
    Failure::new(
        "StepTimedOut",
        format!(
            "{} did not end within {} s: {last}",
            entry.name,
            limit.as_secs()
        ),
    )
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, Utc};

    const LIMIT: Duration = Duration::from_secs(60);
    const AGAIN: Duration = Duration::from_secs(2);

    fn entry(state: EntryState, age: i64) -> (Entry, Timestamp) {
        let now = Utc::now();
        let start =
            (state != EntryState::Pending).then(|| Timestamp::new(now - TimeDelta::seconds(age)));
        (
            Entry {
                name: "stop-clone".into(),
                state,
                start,
                ..Entry::default()
            },
            Timestamp::new(now),
        )
    }

    fn outcome(state: EntryState, age: i64, observation: Observation) -> Decision {
        let (entry, now) = entry(state, age);
        decide(&entry, observation, now, LIMIT)
    }

    #[test]
    fn absent_is_acted_upon_whether_the_intent_is_written_or_not() {
        assert_eq!(
            outcome(EntryState::Pending, 0, Observation::Absent),
            Decision::Act
        );
        assert_eq!(
            outcome(EntryState::Intended, 1, Observation::Absent),
            Decision::Act
        );
    }

    #[test]
    fn underway_writes_the_intent_once_and_then_only_waits() {
        let seen = Observation::underway(AGAIN, "powering off");
        let message = "powering off".to_owned();
        assert_eq!(
            outcome(EntryState::Pending, 0, seen.clone()),
            Decision::Note {
                again: AGAIN,
                message: message.clone()
            }
        );
        assert_eq!(
            outcome(EntryState::Intended, 1, seen),
            Decision::Wait {
                again: AGAIN,
                message
            }
        );
    }

    #[test]
    fn done_is_recorded_even_after_the_limit_and_without_an_effect() {
        assert_eq!(
            outcome(EntryState::Pending, 0, Observation::done()),
            Decision::Record(Facts::new())
        );
        assert_eq!(
            outcome(EntryState::Intended, 999, Observation::done()),
            Decision::Record(Facts::new())
        );
    }

    #[test]
    fn broken_and_unknown_fail_the_step_and_are_never_repeated() {
        for state in [EntryState::Pending, EntryState::Intended] {
            let failure = Failure::new("Odd", "odd");
            assert_eq!(
                outcome(state, 1, Observation::Broken(failure.clone())),
                Decision::Fail(failure.clone())
            );
            assert_eq!(
                outcome(state, 1, Observation::Unknown(failure.clone())),
                Decision::Fail(failure)
            );
        }
    }

    #[test]
    fn the_limit_counts_from_the_start_and_names_what_it_waited_for() {
        let Decision::Fail(failure) = outcome(
            EntryState::Intended,
            61,
            Observation::underway(AGAIN, "stopping: map B depends"),
        ) else {
            panic!("must fail");
        };
        assert_eq!(failure.reason, "StepTimedOut");
        assert!(
            failure.message.contains("map B depends"),
            "{}",
            failure.message
        );
    }
}
