//! What stands above the rows: the operator, and of each environment its partitions, function and schedule.

use crate::api::run::Queue;
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun};
use crate::commands::status::next_run;
use crate::commands::text::{clock, seconds_between, wrapped};
use crate::engine::journal::Phase;
use chrono::{DateTime, Utc};
use kube::ResourceExt;

/// Width of the label with its dots.
const LABEL: usize = 13;

/// What is known of an environment besides its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Its name, with the namespace in front where there are several.
    pub name: String,
    /// `*USER`.
    pub function: String,
    /// `PROD on P10-PARIS`: the production partition.
    pub production: String,
    /// `CLONE1 on P10-PARIS`: the clone partition.
    pub clone: String,
    /// The console's word for the clone's partition at the last look, with its reference code.
    pub clone_state: String,
    /// How long ago that was.
    pub seen: Option<String>,
    /// Next time, or why there is none.
    pub schedule: String,
    /// Next time in short, for one line: `next 11-25 00:00Z`, `suspended`.
    pub schedule_short: String,
}

impl Heading {
    /// Of an environment as it is at `now`.
    pub fn of(environment: &CloneEnvironment, now: DateTime<Utc>) -> Self {
        let empty = CloneEnvironmentStatus::default();
        let status = environment.status.as_ref().unwrap_or(&empty);
        let spec = &environment.spec;
        let seen = status.observed_at.map(|t| seconds_between(t.utc(), now));
        let clone_state = match &status.clone {
            Some(clone) if clone.reference_code.is_empty() => clone.state.clone(),
            Some(clone) => format!("{} {}", clone.state, clone.reference_code),
            None => String::new(),
        };
        let (source, clone) = (&spec.source.partition, &spec.clone.partition);
        Self {
            name: environment.name_any(),
            function: format!("*{}", spec.function.as_str()),
            production: format!("{} on {}", source.name, source.managed_system),
            clone: format!("{} on {}", clone.name, clone.managed_system),
            clone_state,
            seen: seen.map(clock),
            schedule: next_run(environment, status, now),
            schedule_short: short(environment, status),
        }
    }

    /// Lines of at most `width` characters, each a label and what it says.
    pub fn block(&self, under_way: Option<&str>, width: usize) -> String {
        let mut clone = format!("{} (clone)", self.clone);
        if !self.clone_state.is_empty() {
            clone = format!("{clone}, {}", self.clone_state);
        }
        if let Some(age) = &self.seen {
            clone = format!("{clone}, seen {age} ago");
        }
        let mut text = [
            labelled(
                "Environment",
                &format!("{}, function {}", self.name, self.function),
                width,
            ),
            labelled(
                "Source",
                &format!("{} (production)", self.production),
                width,
            ),
            labelled("Clone", &clone, width),
            labelled("Schedule", &self.schedule, width),
        ]
        .concat();
        if let Some(run) = under_way {
            text.push_str(&labelled("Under way", run, width));
        }
        text
    }
}

/// `Environment . : nightly-user, …`, further lines below the text.
pub fn labelled(label: &str, said: &str, width: usize) -> String {
    let mut text = String::new();
    for (at, line) in wrapped(said, width.saturating_sub(LABEL + 2))
        .iter()
        .enumerate()
    {
        let lead = match at {
            0 => format!("{}:", dotted(label)),
            _ => " ".repeat(LABEL + 1),
        };
        text.push_str(&format!("{lead} {line}\n"));
    }
    text
}

/// `Clone . . . .`, as labels of 5250 displays are led to their colons.
fn dotted(label: &str) -> String {
    let mut text = format!("{label} ");
    while text.chars().count() < LABEL {
        text.push(if text.chars().count() % 2 == 0 {
            '.'
        } else {
            ' '
        });
    }
    text
}

fn short(environment: &CloneEnvironment, status: &CloneEnvironmentStatus) -> String {
    if environment.spec.schedule.is_none() {
        return "by hand".to_owned();
    }
    if environment.spec.suspend {
        return "suspended".to_owned();
    }
    let next = status.next_run_time.as_deref();
    match next.and_then(|text| text.parse::<DateTime<Utc>>().ok()) {
        Some(at) => format!("next {}", at.format("%m-%d %H:%MZ")),
        None => "next not known".to_owned(),
    }
}

/// What an open run is doing: `number 13 at run-function (12/15), since 1:30:05`.
pub fn under_way(run: &CloneRun, now: DateTime<Utc>) -> Option<String> {
    let Some(status) = &run.status else {
        return Some(format!(
            "{}: not opened yet: does an operator run?",
            run.name_any()
        ));
    };
    let word = match status.phase {
        Phase::Pending => "not opened yet",
        Phase::Queued => "queued",
        Phase::Running => "",
        Phase::Cancelling => "being cancelled",
        Phase::Succeeded | Phase::Warning | Phase::Failed | Phase::Cancelled | Phase::Skipped => {
            return None;
        }
    };
    let name = match status.number {
        Some(number) => format!("number {number}"),
        None => run.name_any(),
    };
    let mut parts: Vec<String> = Some(word.to_owned())
        .filter(|w| !w.is_empty())
        .into_iter()
        .collect();
    match (&status.queue, &status.step) {
        (
            Some(Queue {
                position,
                blocked_by,
                since: _,
            }),
            _,
        ) => {
            parts.push(format!("place {position} behind {blocked_by}"));
        }
        (None, Some(step)) => {
            parts.push(format!(
                "at {step} ({})",
                status.progress.as_deref().unwrap_or("?")
            ));
        }
        (None, None) => {}
    }
    parts.extend(
        status
            .started_at
            .map(|at| format!("since {}", clock(seconds_between(at.utc(), now)))),
    );
    Some(format!("{name}: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;
    use serde_json::json;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("is RFC 3339")
    }

    #[test]
    fn partition_types_function_and_schedule_are_said_and_labels_stand_in_one_column() {
        let mut environment = samples::environment();
        environment.spec.schedule =
            serde_json::from_value(json!({"cron": ["0 0 * * *"]})).expect("is a schedule");
        let status = json!({
            "clone": {"state": "running", "referenceCode": "00000000"},
            "observedAt": "2026-11-24T00:55:00Z", "nextRunTime": "2026-11-25T00:00:00Z",
        });
        environment.status = Some(serde_json::from_value(status).expect("is a status"));
        let heading = Heading::of(&environment, at("2026-11-24T01:00:00Z"));
        let text = heading.block(Some("number 13: at run-function (12/15)"), 80);
        let expected = "\
Environment .: nightly-user, function *USER
Source  . . .: PROD on P10-PARIS (production)
Clone . . . .: CLONE1 on P10-PARIS (clone), running 00000000, seen 5:00 ago
Schedule  . .: 2026-11-25T00:00:00Z, in 23:00:00
Under way . .: number 13: at run-function (12/15)
";
        assert_eq!(text, expected);
        assert_eq!(heading.schedule_short, "next 11-25 00:00Z");
        environment.spec.suspend = true;
        let paused = Heading::of(&environment, at("2026-11-24T01:00:00Z"));
        assert_eq!(paused.schedule_short, "suspended");
        assert!(
            paused.schedule.starts_with("paused; "),
            "{}",
            paused.schedule
        );
    }

    #[test]
    fn only_an_open_run_is_under_way_and_a_queued_one_names_its_blocker() {
        let mut run = samples::run("nightly-1");
        let now = at("2026-11-24T01:00:00Z");
        let said = under_way(&run, now).unwrap_or_default();
        assert!(said.contains("does an operator run?"), "{said}");
        for (status, expected) in [
            (
                json!({"phase": "Running", "number": 13, "step": "settle", "progress": "15/15", "startedAt": "2026-11-24T00:59:00Z"}),
                Some("number 13: at settle (15/15), since 1:00"),
            ),
            (
                json!({"phase": "Queued", "number": 14, "step": "verify-site", "queue": {"position": 2, "blockedBy": "ibmi/x (source)"}}),
                Some("number 14: queued, place 2 behind ibmi/x (source)"),
            ),
            (json!({"phase": "Warning", "number": 15}), None),
        ] {
            run.status = Some(serde_json::from_value(status).expect("is a status"));
            assert_eq!(under_way(&run, now).as_deref(), expected);
        }
    }
}
