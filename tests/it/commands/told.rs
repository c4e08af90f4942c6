//! What the logs of a run say is what its row says: counters count lines, instants are those of the steps.

use super::agree::cell;
use super::user::User;
use ibmi_clone_operator::recipe::program_at;
use serde_json::Value;

/// Field of a row, step, and whether the field tells the step's end.
const INSTANTS: [(&str, &str, bool); 4] = [
    ("imageTaken", "start-copy", true),
    ("resumed", "resume-source", true),
    ("cloneStarted", "start-clone", false),
    ("cloneReady", "await-clone", true),
];

/// `2026-11-23T00:00:02.250Z` as a row shows it.
fn second(text: &str) -> String {
    format!("{}Z", &text[..19])
}

/// The log `steps` of a run.
struct Steps(Vec<Value>);

impl Steps {
    fn lines(&self, job: &str) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.0.iter().filter(move |line| line["job"] == job);
        lines.map(|line| (line["ts"].as_str().unwrap(), line["text"].as_str().unwrap()))
    }

    /// Begin and end of a step that was done: `Done 2026-…Z after 1 attempts`.
    fn done(&self, step: &str) -> Option<(String, String)> {
        let (begin, text) = self
            .lines(step)
            .find(|(_, text)| text.starts_with("Done "))?;
        Some((second(begin), second(text.split(' ').nth(1)?)))
    }

    fn last_program(&self) -> Option<(String, String)> {
        let mut names = self.0.iter().rev().filter_map(|line| line["job"].as_str());
        names.find_map(|name| self.done(name).filter(|_| program_at(name).is_some()))
    }
}

/// Compares a row of an ended run with its logs. `counted` = the logs whose messages the row counts, each with the severity
/// from which on they are errors.
pub async fn agrees(user: &User, row: &Value, counted: &[(&str, u64)]) {
    let run = format!("{}/{}", cell(row, "environment"), cell(row, "number"));
    let (mut messages, mut errors) = (0, 0);
    for (kind, limit) in counted {
        let lines = user.log(&run, kind).await;
        assert!(!lines.is_empty(), "log {kind} of {run}");
        messages += lines.len();
        let severe = |line: &&Value| line["sev"].as_u64().unwrap() >= *limit;
        errors += lines.iter().filter(severe).count();
    }
    // What nobody has counted is not shown as none.
    let shown = |count: usize| match counted {
        [] => String::new(),
        [_, ..] => count.to_string(),
    };
    assert_eq!(cell(row, "messages"), shown(messages), "{run}");
    assert_eq!(cell(row, "errors"), shown(errors), "{run}");

    let steps = Steps(user.log(&run, "steps").await);
    for (field, step, end) in INSTANTS {
        let instant = steps.done(step).map(|(b, e)| if end { e } else { b });
        assert_eq!(
            cell(row, field),
            instant.unwrap_or_default(),
            "{field} of {run}"
        );
    }
    let saved = steps.last_program().map(|(_, end)| end);
    assert_eq!(cell(row, "saveEnded"), saved.unwrap_or_default(), "{run}");
    let own: Vec<(&str, &str)> = steps.lines("run").collect();
    assert_eq!(own.len(), 2, "{own:?}");
    assert_eq!(cell(row, "started"), second(own[0].0), "{run}");
    assert_eq!(cell(row, "finished"), second(own[1].0), "{run}");
    assert_eq!(cell(row, "phase"), own[1].1, "{run}");
    // The row's reason and words are the verdict's.
    let verdict = steps
        .lines("verdict")
        .next()
        .map(|(_, text)| text.to_owned());
    if let Some(verdict) = verdict {
        for field in ["phase", "reason"] {
            assert!(
                verdict.contains(&cell(row, field)),
                "{field} of {run}: {verdict}"
            );
        }
    }
}
