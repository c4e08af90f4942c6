//! `kubectl get history -o wide`, `history`, `watch` and `logs` say the same of the same run, to the second.

use super::morning::Morning;
use super::told;
use super::user::User;
use crate::brms;
use crate::failures::save21::tapes;
use crate::failures::stage::{HOLD, Stage, USER, environments};
use crate::failures::surroundings::{programs, surrounded};
use crate::support::kube::shared;
use crate::support::pty::Terminal;
use chrono::{DateTime, Utc};
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::ibmi::brms::{GroupResult, LogLine};
use ibmi_clone_operator::simulators::ibmi::disk_of;
use ibmi_clone_operator::simulators::ibmi::file::ProgramResult;
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::{Value, json};
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

pub fn cell(row: &Value, field: &str) -> String {
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
    let shown = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    for field in SCREEN {
        let text = cell(row, field);
        if field == "started" {
            let (day, time) = text.split_once('T').unwrap();
            words.push((field.to_owned(), day.to_owned()));
            words.push((field.to_owned(), time.trim_end_matches('Z').to_owned()));
            continue;
        }
        if field == "duration" {
            let freeze = shown(cell(row, "freeze"));
            words.extend(
                freeze
                    .split(' ')
                    .map(|part| ("freeze".to_owned(), part.to_owned())),
            );
        }
        words.push((field.to_owned(), shown(text)));
    }
    words
}

/// The words of a row's line, once all of it is there.
fn line_of<'t>(text: &'t str, row: &Value) -> Option<Vec<&'t str>> {
    let wanted = [cell(row, "environment"), cell(row, "number")];
    let lines = text
        .lines()
        .map(|line| line.trim_start_matches(" _ ").trim_start());
    let mut lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find(|words| words.len() >= SCREEN.len() && words[..2] == wanted)
}

/// Compares the line of each row in a text with rows read before and after.
fn assert_lines(text: &str, before: &[Value], after: &[Value]) {
    for (before, after) in before.iter().zip(after) {
        let name = cell(before, "name");
        let line = line_of(text, before).unwrap_or_else(|| panic!("no line of {name}: {text}"));
        let pairs = words(before).into_iter().zip(words(after));
        for (seen, ((field, before), (_, after))) in line.iter().zip(pairs) {
            assert_between(&format!("{field} of {name}"), &before, seen, &after);
        }
    }
}

/// What the three views show, and rows read before and after them.
struct Views {
    before: Vec<Value>,
    kubectl: BTreeMap<String, BTreeMap<String, String>>,
    history: String,
    /// When `watch` was started.
    read: DateTime<Utc>,
    watch: String,
    after: Vec<Value>,
}

impl Views {
    /// `name` = under which the screen of `watch` is kept.
    async fn read(stack: &KubeStack, user: &User, name: &str) -> Self {
        let before = user.rows().await;
        let kubectl = Command::new(stack.kubectl())
            .args(["get", "history", "-o", "wide"])
            .args(user.place())
            .output()
            .unwrap();
        let kubectl = table(&String::from_utf8(kubectl.stdout).unwrap());
        let history = user.prints(&["history", "-o", "wide"]).await;
        let arguments = [&["watch"][..], &user.place()].concat();
        let screen = Terminal::start(&arguments, 200, 43);
        let read = Utc::now();
        let clock = |text: &str| {
            let line = text.lines().next().unwrap_or_default();
            let at = line.len().checked_sub(20)?;
            let time = line.get(at..)?.replace(' ', "T");
            time.parse::<DateTime<Utc>>().ok()
        };
        // Drawn, all of it, after the rows above were read.
        let drawn = |text: &str| {
            before.iter().all(|row| line_of(text, row).is_some())
                && !text.contains("does not exist")
                && clock(text).is_some_and(|at| at > read)
        };
        let watch = screen.until("the screen of a later second", drawn).await;
        screen.keep(name);
        Self {
            before,
            kubectl,
            history,
            read,
            watch,
            after: user.rows().await,
        }
    }

    fn assert_agreed(&self) {
        assert_lines(&self.history, &self.before, &self.after);
        assert_lines(&self.watch, &self.before, &self.after);
        let rows = self.before.iter().zip(&self.after);
        let objects = rows.filter(|(row, _)| row["archived"] == false);
        let mut count = 0;
        for (before, after) in objects {
            self.assert_kubectl(before, after);
            count += 1;
        }
        assert_eq!(self.kubectl.len(), count, "the archive is not kubectl's");
    }

    fn assert_kubectl(&self, before: &Value, after: &Value) {
        let name = cell(before, "name");
        let row = &self.kubectl[&name];
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
                    let about = [began(&low, self.read), began(&high, Utc::now())];
                    let near = about.iter().flat_map(|at| {
                        [-2, -1, 0, 1, 2].map(|s| *at + chrono::TimeDelta::seconds(s))
                    });
                    let mut near = near.map(|at| at.format("%H:%M").to_string());
                    assert!(
                        near.any(|m| m == minute),
                        "{what}: {seen}, {low} until {}",
                        self.read
                    );
                }
                None if seen.is_empty() && low != high => {}
                None => assert_between(&what, &low, seen, &high),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_history_watch_and_logs_agree_to_the_second() {
    let Some(stack) = shared().await else { return };
    let morning = Morning::new(stack).await;
    let views = Views::read(stack, &morning.user, "agree-200x43").await;
    assert_eq!(views.before.len(), 4, "ended, under way, held and archived");
    views.assert_agreed();
    let mut rows = views.after.iter();
    let ended = rows.find(|row| row["name"] == "nightly-18").unwrap();
    told::agrees(&morning.user, ended, &[("joblog", 30)]).await;
}

/// The second save of the night ends with errors: the run fails, and its image is the one that lives.
fn spoil(world: &mut World) {
    for image in world.images.values_mut() {
        let Some(brms) = &mut image.disk.brms else {
            continue;
        };
        brms.groups[0].result = GroupResult::Unsaved;
        let message = json!({"id": "CPF3770", "severity": 40, "kind": "DIAGNOSTIC", "text": "No objects saved for library X."});
        brms.groups[0].messages = vec![serde_json::from_value(message).unwrap()];
    }
}

/// Messages that are on production's disks before the flash, and so on the clone's.
fn earlier(world: &mut World, text: &str) {
    for image in world.images.values_mut() {
        let Some(brms) = &mut image.disk.brms else {
            continue;
        };
        let at = world.now - chrono::TimeDelta::minutes(1);
        brms.log.push(LogLine {
            area: "SYSTEM".to_owned(),
            id: "BRM1049".to_owned(),
            severity: 60,
            at,
            job: "000001/QBRMS/EARLIER".to_owned(),
            group: String::new(),
            text: text.to_owned(),
        });
        let mut message = image.disk.history.last().unwrap().clone();
        (message.at, message.severity, message.text) = (at, 60, text.to_owned());
        image.disk.history.push(message);
    }
}

/// Not fixtures: what a real operator has written of real runs on simulated devices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_history_watch_and_logs_agree_of_a_brms_run_and_of_one_that_failed() {
    const EARLIER: &str = "of the time before the flash";
    let Some(stage) = brms::ready_to_save(json!({})).await else {
        return;
    };
    let stack = shared().await.unwrap();
    let user = User {
        namespace: stage.namespace.clone(),
        kubeconfig: stack.kubeconfig().display().to_string(),
    };
    stage.world(|world| earlier(world, EARLIER));
    let good = stage.run(brms::BRMS).await;
    stage.ended(&good).await.succeeded();
    stage.world(spoil);
    let bad = stage.run(brms::BRMS).await;
    stage
        .ended(&bad)
        .await
        .is(Phase::Failed, "BackupFailed", &["DAILY"]);

    let views = Views::read(stack, &user, "agree-brms-200x43").await;
    let names: Vec<String> = views.before.iter().map(|row| cell(row, "name")).collect();
    assert_eq!(names, [bad.as_str(), good.as_str()]);
    views.assert_agreed();
    let states = views.after.iter().map(|row| cell(row, "state"));
    assert_eq!(states.collect::<Vec<_>>(), ["ERROR", "END_FC"]);

    // The BRMS log counts what the saves did, so their job logs have no errors of their own.
    const NEVER: u64 = 100;
    let counted = [
        ("joblog", NEVER),
        ("joblog-2", NEVER),
        ("brms", 30),
        ("history", 30),
    ];
    for row in &views.after {
        told::agrees(&user, row, &counted).await;
    }
    assert!(views.after[0]["errors"].as_i64().unwrap() > 0);
    let is_there = |w: &mut World| {
        let disk = disk_of(w, "CLONE1").unwrap();
        disk.history.iter().any(|m| m.text == EARLIER)
    };
    assert!(stage.world(is_there), "it was copied with the disks");
    for run in [&good, &bad] {
        let everything = user.prints(&["logs", run]).await;
        assert!(!everything.contains(EARLIER), "{everything}");
    }
    stage.unharmed().await;
}

/// From now on this program of the function's library ends badly on every copy of production's disks.
fn fails(world: &mut World, program: &str) {
    for image in world.images.values_mut() {
        if let Some(known) = image.disk.programs.get_mut(program) {
            known.result = ProgramResult::Abnormal;
        }
    }
}

/// The functions besides BRMS: a copy, programs with hooks around them, a run that its first hook has failed, and a full
/// save.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_history_watch_and_logs_agree_of_hold_user_save21_and_a_failed_hook() {
    let devices = |w: &mut WorldFile| {
        programs(w);
        tapes(w);
    };
    let Some(stage) = Stage::new(devices, environments(surrounded)).await else {
        return;
    };
    let stack = shared().await.unwrap();
    let viewer = User {
        namespace: stage.namespace.clone(),
        kubeconfig: stack.kubeconfig().display().to_string(),
    };
    for environment in [HOLD, USER] {
        stage.ready(environment).await;
    }
    let hold = stage.run(HOLD).await;
    stage.ended(&hold).await.succeeded();
    let user = stage.run(USER).await;
    stage.ended(&user).await.succeeded();
    stage.world(|world| fails(world, "CLNLIB/QUIESCE"));
    let failed = stage.run(USER).await;
    let end = stage.ended(&failed).await;
    end.is(Phase::Failed, "HookFailed", &["CLNLIB/QUIESCE"]);
    let save = json!({"device": "TAP01", "volumes": ["VOL001"]});
    let change = json!({"function": "SAVE21", "user": null, "hooks": null, "save21": save});
    stage.change_spec(USER, change).await;
    let save21 = stage.run(USER).await;
    stage.ended(&save21).await.succeeded();

    let views = Views::read(stack, &viewer, "agree-functions-200x43").await;
    views.assert_agreed();
    let with_limit = |kinds: &[&'static str]| -> Vec<(&'static str, u64)> {
        kinds.iter().map(|kind| (*kind, 30)).collect()
    };
    const HOOKS: [&str; 5] = [
        "joblog-hook-1",
        "joblog-hook-2",
        "joblog-hook-3",
        "joblog-hook-4",
        "joblog-hook-5",
    ];
    let all = [&HOOKS[..], &["joblog", "joblog-2", "history"]].concat();
    let counted = [
        (&save21, "SAVE21_END", with_limit(&["joblog", "history"])),
        // The hook that failed and the one at the end; AfterResume was only owed.
        (&failed, "ERROR", with_limit(&[HOOKS[0], HOOKS[4]])),
        (&user, "END_FC", with_limit(&all)),
        (&hold, "HOLD", Vec::new()),
    ];
    assert_eq!(views.after.len(), counted.len());
    for (row, (run, state, counted)) in views.after.iter().zip(counted) {
        assert_eq!(
            (cell(row, "name"), cell(row, "state")),
            (run.clone(), state.to_owned())
        );
        told::agrees(&viewer, row, &counted).await;
    }
    assert!(
        views.after[1]["errors"].as_i64().unwrap() > 0,
        "of the failed hook"
    );
    stage.unharmed().await;
}
