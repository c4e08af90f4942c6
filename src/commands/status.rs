//! `status`: what an environment is doing now, and what a person should look at. Everything is what the operator saw
//! last; nothing is asked of a device.

use super::text::{TERMINAL, clock, one_line, seconds_between, wrapped};
use super::{CommandError, Exit, KubeFlags};
use crate::api::environment::ImageObserved;
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun};
use crate::engine::time::Timestamp;
use chrono::{DateTime, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use std::io::Write;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the environment; default all of the namespace.
    #[arg(value_name = "ENV")]
    environment: Option<String>,
}

/// Width of the first column.
const LABEL: usize = 10;

/// Reads and prints.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let environments = match &arguments.environment {
        Some(name) => vec![cluster.environment(name).await?],
        None => {
            let what = format!("list environments of namespace {}", cluster.namespace);
            let list = cluster.environments().list(&Default::default()).await;
            list.map_err(|e| CommandError::kube(what, &e))?.items
        }
    };
    if environments.is_empty() {
        eprintln!("no environments in namespace {}", cluster.namespace);
    }
    let mut blocks = Vec::new();
    for environment in &environments {
        let active = environment
            .status
            .as_ref()
            .and_then(|s| s.active_run.as_deref());
        let run = match active {
            Some(name) => {
                let found = cluster.runs().get_opt(name).await;
                found.map_err(|e| CommandError::kube(format!("get run {name}"), &e))?
            }
            None => None,
        };
        blocks.push(block(environment, run.as_ref(), Utc::now()));
    }
    // A closed pipe (`| head`) is no reason to fail.
    let _ = std::io::stdout().write_all(blocks.join("\n").as_bytes());
    Ok(Exit::Done)
}

/// One environment, at most 80 columns.
fn block(environment: &CloneEnvironment, run: Option<&CloneRun>, now: DateTime<Utc>) -> String {
    let empty = CloneEnvironmentStatus::default();
    let status = environment.status.as_ref().unwrap_or(&empty);
    let mut lines = vec![
        ("function", environment.spec.function.as_str().to_owned()),
        ("image", image(status, now)),
        ("clone", clone(environment, status, now)),
        ("run", active(status, run, now)),
        ("last run", last_run(status)),
        ("next run", next_run(environment, status, now)),
    ];
    lines.extend(
        attention(status, run)
            .into_iter()
            .map(|text| ("look at", text)),
    );
    let mut text = format!("{}\n", environment.name_any());
    for (label, said) in lines {
        for (at, line) in wrapped(&said, TERMINAL - LABEL - 3).iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            text.push_str(format!("  {label:<LABEL$} {line}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn at(time: Timestamp) -> String {
    time.utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The figures are the array's, of the last look at the devices.
fn image(status: &CloneEnvironmentStatus, now: DateTime<Utc>) -> String {
    let Some(image) = &status.image else {
        return "none known".to_owned();
    };
    let mut parts = vec![image.state.clone()];
    parts.extend(image.progress_percent.map(|p| format!("{p} % copied")));
    let taken = image.taken_at.map(|t| {
        let age = clock(seconds_between(t.utc(), now));
        let by = image.run.as_ref().map(|run| format!(" by {run}"));
        format!("taken {}{}, {age} ago", at(t), by.unwrap_or_default())
    });
    parts.extend(taken);
    parts.extend(used(image));
    parts.join(", ")
}

/// `4 % of the disks used (1 % at 2026-11-24 00:12:00Z)`.
fn used(image: &ImageObserved) -> Option<String> {
    let text = format!("{} % of the disks used", image.disk_used_percent?);
    let first = image
        .growth
        .iter()
        .find_map(|s| Some((s.disk_used_percent?, s.at)));
    Some(match first {
        Some((percent, then)) if image.growth.len() > 1 => {
            format!("{text} ({percent} % at {})", at(then))
        }
        Some(_) | None => text,
    })
}

fn clone(
    environment: &CloneEnvironment,
    status: &CloneEnvironmentStatus,
    now: DateTime<Utc>,
) -> String {
    let name = &environment.spec.clone.partition.name;
    let Some(clone) = &status.clone else {
        return format!("{name}: not looked at yet");
    };
    let mut text = format!("{name}: {}", clone.state);
    if !clone.reference_code.is_empty() {
        text = format!("{text}, reference code {}", clone.reference_code);
    }
    let age = status
        .observed_at
        .map(|t| clock(seconds_between(t.utc(), now)));
    match age {
        Some(age) => format!("{text} (seen {age} ago)"),
        None => text,
    }
}

fn active(status: &CloneEnvironmentStatus, run: Option<&CloneRun>, now: DateTime<Utc>) -> String {
    let Some(name) = &status.active_run else {
        return "none under way".to_owned();
    };
    let Some(row) = run.and_then(|run| run.status.as_ref()) else {
        return name.clone();
    };
    let mut parts = vec![format!("{:?}", row.phase)];
    if let Some(queue) = &row.queue {
        parts.push(format!(
            "place {} behind {}",
            queue.position, queue.blocked_by
        ));
    }
    if let Some(step) = &row.step {
        let place = row.progress.as_deref().unwrap_or("?");
        parts.push(format!("at {step} ({place})"));
    }
    let since = row.started_at.filter(|_| !row.phase.is_final());
    parts.extend(since.map(|t| format!("since {}", clock(seconds_between(t.utc(), now)))));
    let number = row
        .number
        .map(|n| format!(", number {n}"))
        .unwrap_or_default();
    format!("{name}{number}: {}", parts.join(", "))
}

fn last_run(status: &CloneEnvironmentStatus) -> String {
    let Some(last) = &status.last_run else {
        return "never".to_owned();
    };
    let mut text = format!("{}, number {}: {:?}", last.name, last.number, last.phase);
    if let Some(end) = last.finished_at {
        text = format!("{text} {}", at(end));
    }
    if let Some(seconds) = last.duration_seconds {
        text = format!("{text}, took {}", clock(seconds));
    }
    text = format!("{text}, {} messages, {} errors", last.messages, last.errors);
    match (status.last_success_time, status.consecutive_failures) {
        (_, 0) => text,
        (Some(good), n) => format!("{text}; {n} failed in a row, last success {}", at(good)),
        (None, n) => format!("{text}; {n} failed in a row, never a success"),
    }
}

/// When the schedule runs it next, or why it does not.
pub(super) fn next_run(
    environment: &CloneEnvironment,
    status: &CloneEnvironmentStatus,
    now: DateTime<Utc>,
) -> String {
    let name = environment.name_any();
    if environment.spec.schedule.is_none() {
        return format!("by hand: `ibmi-clone run {name}`");
    }
    if environment.spec.suspend {
        return format!("paused; `ibmi-clone schedule continue {name}` ends that");
    }
    let next = status.next_run_time.as_deref();
    match next.and_then(|text| Some((text, text.parse::<DateTime<Utc>>().ok()?))) {
        Some((text, at)) => format!("{text}, in {}", clock(seconds_between(now, at))),
        None => "not known yet: does an operator run?".to_owned(),
    }
}

/// Conditions that need a person, of the environment and of the run that is under way.
fn attention(status: &CloneEnvironmentStatus, run: Option<&CloneRun>) -> Vec<String> {
    let of_run = run
        .and_then(|r| r.status.as_ref())
        .map(|s| s.conditions.as_slice());
    let wanted = |c: &&Condition| c.type_ == "NeedsAttention" && c.status == "True";
    let run = of_run.unwrap_or_default().iter().filter(wanted);
    let environment = status.conditions.iter().filter(|c| needs_person(c));
    environment.chain(run).map(said).collect()
}

/// Types of the environment's conditions that need a person.
pub(super) fn alarms(status: &CloneEnvironmentStatus) -> Vec<&str> {
    let wanted = status.conditions.iter().filter(|c| needs_person(c));
    wanted.map(|c| c.type_.as_str()).collect()
}

fn said(condition: &Condition) -> String {
    let message = one_line(&condition.message);
    let word = format!("{} {}", condition.type_, condition.reason);
    if message.is_empty() {
        word
    } else {
        format!("{word}: {message}")
    }
}

/// Conditions that are good when True, and those that are good when False (`product.md` § 10).
fn needs_person(condition: &Condition) -> bool {
    match condition.type_.as_str() {
        "Ready" | "ScheduleValid" | "LastRunSucceeded" | "GuestKitReady" | "HistoryArchived" => {
            condition.status == "False"
        }
        "Overdue" | "SourceFrozen" | "BackupsFrozen" | "VolumeDrift" | "LogBudget"
        | "InsecureTransport" | "Stalled" => condition.status == "True",
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::commands::samples;
    use serde_json::json;

    fn now() -> DateTime<Utc> {
        "2026-11-24T01:00:00Z".parse().unwrap()
    }

    #[test]
    fn everything_known_is_said_in_80_columns_and_what_needs_a_person_at_the_end() {
        let mut environment = samples::environment();
        let condition = |kind: &str, status: &str, message: &str| json!({"type": kind, "status": status, "reason": "Because", "message": message, "lastTransitionTime": "2026-11-24T00:00:00Z"});
        let long = "volume 600507680CF780BA6000000000000013 of production has no map in group CLONE1: add it to the group or take it away from production";
        let status = json!({
            "clone": {"state": "running", "referenceCode": "C6004050"}, "observedAt": "2026-11-24T00:55:00Z",
            "image": {"state": "copying", "progressPercent": 42, "takenAt": "2026-11-24T00:01:02Z", "run": "nightly-user-x7k2p", "diskUsedPercent": 4, "growth": [
                {"at": "2026-11-24T00:12:00Z", "diskUsedPercent": 1, "progressPercent": 9}, {"at": "2026-11-24T00:55:00Z", "diskUsedPercent": 4, "progressPercent": 42}]},
            "activeRun": "nightly-user-x7k2p", "nextRunTime": "2026-11-25T00:00:00Z",
            "lastRun": {"name": "nightly-user-4k6b2", "number": 12, "phase": "Failed", "finishedAt": "2026-11-23T07:52:35Z", "durationSeconds": 1897, "messages": 12, "errors": 2},
            "consecutiveFailures": 2,
            "conditions": [condition("Ready", "True", ""), condition("VolumeDrift", "True", long), condition("SourceFrozen", "False", "")],
        });
        environment.status = Some(serde_json::from_value(status).unwrap());
        let schedule = json!({"cron": ["0 0 * * *"]});
        environment.spec.schedule = Some(serde_json::from_value(schedule).unwrap());
        let mut run = samples::run("nightly-user-x7k2p");
        let status = json!({
            "phase": "Running", "number": 13, "step": "run-function", "progress": "12/15", "startedAt": "2026-11-24T00:00:00Z",
            "conditions": [condition("NeedsAttention", "True", "job 012345/U/MYSAVE waits for a reply")],
        });
        run.status = Some(serde_json::from_value(status).unwrap());
        let text = block(&environment, Some(&run), now());
        let expected = "\
nightly-user
  function   USER
  image      copying, 42 % copied, taken 2026-11-24 00:01:02Z by
             nightly-user-x7k2p, 58:58 ago, 4 % of the disks used (1 % at
             2026-11-24 00:12:00Z)
  clone      CLONE1: running, reference code C6004050 (seen 5:00 ago)
  run        nightly-user-x7k2p, number 13: Running, at run-function (12/15),
             since 1:00:00
  last run   nightly-user-4k6b2, number 12: Failed 2026-11-23 07:52:35Z, took
             31:37, 12 messages, 2 errors; 2 failed in a row, never a success
  next run   2026-11-25T00:00:00Z, in 23:00:00
  look at    VolumeDrift Because: volume 600507680CF780BA6000000000000013 of
             production has no map in group CLONE1: add it to the group or take
             it away from production
  look at    NeedsAttention Because: job 012345/U/MYSAVE waits for a reply
";
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= TERMINAL));
    }

    #[test]
    fn an_environment_nobody_looked_at_says_so() {
        let mut environment = samples::environment();
        environment.spec.schedule = None;
        let text = block(&environment, None, now());
        for said in [
            "none known",
            "not looked at yet",
            "none under way",
            "never",
            "by hand",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
