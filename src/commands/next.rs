//! `next`: the coming times of a schedule, in the environment's zone and in UTC, from the cluster or from a file.

use super::documents::{self, Document};
use super::table::{Column, Side, render};
use super::{CommandError, Exit, KubeFlags};
use crate::api::CloneEnvironment;
use crate::api::schedule::Schedule;
use crate::schedule::{CronLine, Zone};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use kube::ResourceExt;
use std::path::{Path, PathBuf};

/// Arguments of `next`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the environment; with --file only where the file has several.
    #[arg(value_name = "ENV", required_unless_present = "file")]
    environment: Option<String>,
    /// How many times, at most 1000.
    #[arg(short, long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// Read the environment from this YAML file instead of a cluster; - is the standard input.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Half a day: a clock change this near is said.
const NEAR: TimeDelta = TimeDelta::hours(12);

/// Reads and prints.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    kube.namespace_is_no_count("times write --count")?;
    let environment = match &arguments.file {
        Some(file) => from_file(file, arguments.environment.as_deref())?,
        None => {
            let name = arguments.environment.as_deref().unwrap_or_default();
            kube.connect().await?.environment(name).await?
        }
    };
    print!(
        "{}",
        report(&environment, usize::from(arguments.count), Utc::now())?
    );
    Ok(Exit::Done)
}

fn from_file(file: &Path, wanted: Option<&str>) -> Result<CloneEnvironment, CommandError> {
    let documents = documents::read(file)?;
    let mut found: Vec<&Document> = documents
        .iter()
        .filter(|d| d.kind() == "CloneEnvironment")
        .filter(|d| wanted.is_none_or(|name| d.name() == name))
        .collect();
    let document = match (found.pop(), found.is_empty()) {
        (Some(document), true) => document,
        (Some(_), false) => {
            return Err(CommandError::Usage(format!(
                "{} has several environments: name one of them",
                file.display()
            )));
        }
        (None, _) => {
            let name = wanted.map(|n| format!(" {n}")).unwrap_or_default();
            return Err(CommandError::NotFound(format!(
                "{} has no CloneEnvironment{name}",
                file.display()
            )));
        }
    };
    let unusable = |why: &dyn std::fmt::Display| {
        let at = format!(
            "line {}: {why}; `ibmi-clone validate` says more",
            document.line
        );
        CommandError::data(file, at)
    };
    let value = document.value.as_ref().map_err(|e| unusable(e))?;
    serde_json::from_value(value.clone()).map_err(|e| unusable(&e))
}

/// The whole answer.
fn report(
    environment: &CloneEnvironment,
    count: usize,
    now: DateTime<Utc>,
) -> Result<String, CommandError> {
    let name = environment.name_any();
    let Some(schedule) = &environment.spec.schedule else {
        return Ok(format!(
            "{name} has no spec.schedule: runs are created by hand or by another scheduler\n"
        ));
    };
    let wrong = |why: &dyn std::fmt::Display| CommandError::Other(format!("{name}: {why}"));
    let zone = Zone::parse(&schedule.time_zone).map_err(|e| wrong(&e))?;
    let lines = schedule.cron.iter().map(|line| CronLine::parse(line));
    let mut out = String::new();
    let mut usable = Vec::new();
    for line in lines {
        match line {
            Ok(line) => usable.push(line),
            Err(error) => out.push_str(&format!("not run: {error}\n")),
        }
    }
    if environment.spec.suspend {
        out.push_str(&format!(
            "{name} is suspended: none of these is run before `ibmi-clone schedule continue {name}`\n"
        ));
    }
    out.push_str(&table(&usable, zone, schedule, count, now));
    if schedule.jitter_seconds > 0 {
        out.push_str(&format!(
            "each run starts up to {} s later (schedule.jitterSeconds)\n",
            schedule.jitter_seconds
        ));
    }
    Ok(out)
}

/// The next slots of all lines; the same instant of two lines is one.
pub fn slots(
    lines: &[CronLine],
    zone: Zone,
    count: usize,
    now: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let mut found = Vec::new();
    let mut after = now;
    while found.len() < count {
        let next = lines.iter().filter_map(|line| zone.next_after(line, after));
        let Some(next) = next.min() else { break };
        found.push(next);
        after = next;
    }
    found
}

fn table(
    lines: &[CronLine],
    zone: Zone,
    schedule: &Schedule,
    count: usize,
    now: DateTime<Utc>,
) -> String {
    let slots = slots(lines, zone, count, now);
    if slots.is_empty() {
        return "no time of the schedule is to come\n".to_owned();
    }
    let local = slots.iter().map(|at| {
        let local = zone.local(*at);
        local.format("%a %Y-%m-%d %H:%M %:z").to_string()
    });
    let utc = slots
        .iter()
        .map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
    let notes = slots.iter().map(|at| change(zone, *at));
    let columns = [
        Column::new("LOCAL", Side::Left, local.collect()),
        Column::new("UTC", Side::Left, utc.collect()),
        Column::new("CLOCK CHANGE", Side::Left, notes.collect()),
    ];
    format!("times of {}\n{}", schedule.time_zone, render(&columns))
}

/// A clock change within half a day: `02:00 → 03:00`.
fn change(zone: Zone, at: DateTime<Utc>) -> String {
    let Some(change) = zone.change_between(at - NEAR, at + NEAR) else {
        return "-".to_owned();
    };
    let after = zone.local(change);
    let offset = zone
        .local(change - TimeDelta::seconds(1))
        .offset()
        .to_owned();
    let before = change.with_timezone(&offset);
    format!("{} → {}", before.format("%H:%M"), after.format("%H:%M"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::commands::samples;

    fn environment(cron: &[&str], zone: &str) -> CloneEnvironment {
        let mut environment = samples::environment();
        let schedule = serde_json::json!({"cron": cron, "timeZone": zone});
        environment.spec.schedule = Some(serde_json::from_value(schedule).unwrap());
        environment
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn both_clocks_are_shown_and_clock_change_nights_are_marked() {
        let environment = environment(&["30 2 * * *"], "Europe/Paris");
        let text = report(&environment, 3, at("2026-03-27T12:00:00Z")).unwrap();
        let expected = "\
times of Europe/Paris
LOCAL                       UTC                  CLOCK CHANGE
Sat 2026-03-28 02:30 +01:00 2026-03-28T01:30:00Z -
Sun 2026-03-29 03:00 +02:00 2026-03-29T01:00:00Z 02:00 → 03:00
Mon 2026-03-30 02:30 +02:00 2026-03-30T00:30:00Z -
";
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn two_lines_at_one_instant_are_one_run_and_what_never_fires_is_said() {
        let mut environment = environment(&["0 0 * * *", "0 0 24 11 *", "0 0 30 2 *"], "UTC");
        environment.spec.suspend = true;
        let text = report(&environment, 2, at("2026-11-23T12:00:00Z")).unwrap();
        assert_eq!(text.matches("2026-11-24T00:00:00Z").count(), 1, "{text}");
        assert!(text.contains("2026-11-25T00:00:00Z"), "{text}");
        assert!(
            text.starts_with("not run: ") && text.contains("never fires"),
            "{text}"
        );
        assert!(text.contains("is suspended"), "{text}");
    }

    #[test]
    fn an_environment_without_a_schedule_says_how_it_runs() {
        let mut environment = samples::environment();
        environment.spec.schedule = None;
        let text = report(&environment, 2, at("2026-11-23T12:00:00Z")).unwrap();
        assert!(text.contains("has no spec.schedule"), "{text}");
    }
}
