//! `kubectl get history -o wide`, `history`, `watch` and `logs` say the same of the same run, to the second.

use super::morning::{MESSAGES, Morning};
use crate::support::kube::shared;
use crate::support::pty::Terminal;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Column of kubectl, field of a row.
const COLUMNS: [(&str, &str); 17] = [
    ("NUMBER", "number"),
    ("STARTED", "started"),
    ("STATUS", "state"),
    ("STEP", "step"),
    ("MSG", "messages"),
    ("ERR", "errors"),
    ("PREP PROD", "prepareOnSource"),
    ("PREP CLONE", "prepareOnClone"),
    ("SAVE", "save"),
    ("DISK%", "diskUsedPercent"),
    ("ENVIRONMENT", "environment"),
    ("PARTITION", "partitionActive"),
    ("FLASHCOPY", "flashCopyActive"),
    ("FUNCTION", "function"),
    ("TRIGGER", "trigger"),
    ("DURATION", "duration"),
    ("MESSAGE", "message"),
];

/// The columns of the list on a wide screen, as fields of a row; `started` fills two.
const SCREEN: [&str; 14] = [
    "environment",
    "number",
    "started",
    "state",
    "messages",
    "errors",
    "prepareOnSource",
    "prepareOnClone",
    "save",
    "partitionActive",
    "flashCopyActive",
    "diskUsedPercent",
    "step",
    "duration",
];

/// Cells of kubectl's table by run, cut where the headings begin.
fn table(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let heading = text.lines().next().unwrap();
    let names: Vec<&str> = heading
        .split("  ")
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .collect();
    let mut from = 0;
    let starts = names.iter().map(|name| {
        let at = from + heading[from..].find(name).unwrap();
        from = at + name.len();
        at
    });
    let starts: Vec<usize> = starts.collect();
    let cells = |line: &str| -> BTreeMap<String, String> {
        let ends = starts.iter().skip(1).copied().chain([line.len()]);
        let ranges = starts.iter().zip(ends);
        let cells = ranges.map(|(from, to)| {
            line.get(*from..to.min(line.len()))
                .unwrap_or_default()
                .trim()
                .to_owned()
        });
        names.iter().map(|n| (*n).to_owned()).zip(cells).collect()
    };
    let rows = text.lines().skip(1).map(cells);
    rows.map(|row| (row["NAME"].clone(), row)).collect()
}

fn cell(row: &Value, field: &str) -> String {
    match &row[field] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn seconds(text: &str) -> i64 {
    let part =
        |sum: i64, part: &str| sum * 60 + part.parse::<i64>().unwrap_or_else(|_| panic!("{text}"));
    text.split(':').fold(0, part)
}

/// What stands still is the same; what counts lies between what was said before and after.
fn assert_between(what: &str, before: &str, seen: &str, after: &str) {
    if before == after {
        assert_eq!(seen, before, "{what}");
        return;
    }
    let (low, high) = (seconds(before), seconds(after));
    assert!(
        (low..=high).contains(&seconds(seen)),
        "{what}: {seen} between {before} and {after}"
    );
}

/// The row's cells as the wide screen shows them.
fn words(row: &Value) -> Vec<(String, String)> {
    let mut words = Vec::new();
    for field in SCREEN {
        let text = cell(row, field);
        if field == "started" {
            let (day, time) = text.split_once('T').unwrap();
            words.push((field.to_owned(), day.to_owned()));
            words.push((field.to_owned(), time.trim_end_matches('Z').to_owned()));
            continue;
        }
        if field == "duration" {
            let freeze = cell(row, "freeze");
            words.extend(
                freeze
                    .split(' ')
                    .map(|part| ("freeze".to_owned(), part.to_owned())),
            );
        }
        let text = if text.is_empty() {
            "-".to_owned()
        } else {
            text
        };
        words.push((field.to_owned(), text));
    }
    words
}

/// Compares the line of each row in a text with rows read before and after.
fn assert_lines(text: &str, before: &[Value], after: &[Value]) {
    for (before, after) in before.iter().zip(after) {
        let name = cell(before, "name");
        let wanted = [cell(before, "environment"), cell(before, "number")];
        let lines = text
            .lines()
            .map(|line| line.trim_start_matches(" _ ").trim_start());
        let mut lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|words| words.len() > 10 && words[..2] == wanted);
        let line = line.unwrap_or_else(|| panic!("no line of {name}: {text}"));
        let pairs = words(before).into_iter().zip(words(after));
        for (seen, ((field, before), (_, after))) in line.iter().zip(pairs) {
            assert_between(&format!("{field} of {name}"), &before, seen, &after);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_history_watch_and_logs_agree_to_the_second() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    let before = morning.rows().await;
    let names: Vec<String> = before.iter().map(|row| cell(row, "name")).collect();
    assert_eq!(
        names.len(),
        4,
        "ended, under way, held and archived: {names:?}"
    );

    let kubectl = Command::new(stack.kubectl())
        .args(["get", "history", "-o", "wide"])
        .args(morning.place())
        .output()
        .unwrap();
    let kubectl = table(&String::from_utf8(kubectl.stdout).unwrap());
    let history = morning.prints(&["history", "-o", "wide"]).await;
    let arguments = [&["watch"][..], &morning.place()].concat();
    let screen = Terminal::start(&arguments, 200, 43);
    let read = Utc::now();
    let clock = |text: &str| {
        let line = text.lines().next().unwrap_or_default();
        let at = line.len().checked_sub(20)?;
        let time = line.get(at..)?.replace(' ', "T");
        time.parse::<DateTime<Utc>>().ok()
    };
    // Four rows, drawn after the rows above were read.
    let watch = screen
        .until("the screen of a later second", |text| {
            text.contains("2026-11-02") && clock(text).is_some_and(|at| at > read)
        })
        .await;
    screen.keep("agree-200x43");
    let after = morning.rows().await;

    assert_lines(&history, &before, &after);
    assert_lines(&watch, &before, &after);
    assert_eq!(kubectl.len(), 3, "the archive is not kubectl's");
    for (before, after) in before
        .iter()
        .zip(&after)
        .filter(|(row, _)| row["archived"] == false)
    {
        let name = cell(before, "name");
        let row = &kubectl[&name];
        for (column, field) in COLUMNS {
            let (low, high) = (cell(before, field), cell(after, field));
            let (seen, what) = (&row[column], format!("{column} of {name}"));
            match seen.strip_prefix("since ") {
                // Written once; how long it is by now is computed. The minute is that of the instant both count from.
                Some(since) => {
                    let began = |length: &str, now: DateTime<Utc>| {
                        now - chrono::TimeDelta::seconds(seconds(length))
                    };
                    let minute = since.trim_end_matches('Z');
                    let about = [began(&low, read), began(&high, Utc::now())];
                    let near = about.iter().flat_map(|at| {
                        [-2, -1, 0, 1, 2].map(|s| *at + chrono::TimeDelta::seconds(s))
                    });
                    let mut near = near.map(|at| at.format("%H:%M").to_string());
                    assert!(
                        near.any(|m| m == minute),
                        "{what}: {seen}, {low} until {read}"
                    );
                }
                None if seen.is_empty() && low != high => {}
                None => assert_between(&what, &low, seen, &high),
            }
        }
    }
    agrees_with_logs(&morning, &after).await;
}

/// Of the run that ended: the counters count the lines, the instants are those of the steps.
async fn agrees_with_logs(morning: &Morning, rows: &[Value]) {
    let row = rows.iter().find(|row| row["name"] == "nightly-18").unwrap();
    let jobs = morning
        .prints(&["logs", "nightly/18", "--kind", "joblog"])
        .await;
    assert_eq!(jobs.lines().count(), MESSAGES);
    assert_eq!(cell(row, "messages"), MESSAGES.to_string());
    let errors = jobs.lines().filter(|line| line.contains(" 40 ")).count();
    assert_eq!(cell(row, "errors"), errors.to_string());
    let steps = morning
        .prints(&["logs", "nightly/18", "--kind", "steps"])
        .await;
    // `2026-…Z operator start-copy Done 2026-…Z after 1 attempts`
    let times = |step: &str| {
        let line = steps
            .lines()
            .find(|line| line.contains(&format!(" {step} Done ")));
        let words: Vec<&str> = line.unwrap().split(' ').collect();
        let second = |text: &str| format!("{}Z", &text[..19]);
        (second(words[0]), second(words[4]))
    };
    assert_eq!(cell(row, "started"), times("verify-site").0);
    assert_eq!(cell(row, "imageTaken"), times("start-copy").1);
    assert_eq!(cell(row, "resumed"), times("resume-source").1);
    assert_eq!(cell(row, "cloneStarted"), times("start-clone").0);
    assert_eq!(cell(row, "cloneReady"), times("await-clone").1);
    assert_eq!(cell(row, "saveEnded"), times("run-function").1);
    assert_eq!(cell(row, "finished"), times("settle").1);
}
