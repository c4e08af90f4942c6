//! `schedule pause|continue`: sets `spec.suspend` and says what happens next.

use super::next::slots;
use super::{CommandError, Exit, KubeFlags, MANAGER};
use crate::api::CloneEnvironment;
use crate::schedule::{CronLine, Zone};
use chrono::{DateTime, SecondsFormat, Utc};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// Arguments of `schedule`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Start no new scheduled runs. A run under way goes on; times that pass are not made up for.
    Pause(Target),
    /// Start scheduled runs again, from the next time on.
    Continue(Target),
}

#[derive(Debug, clap::Args)]
struct Target {
    /// Name of the environment.
    #[arg(value_name = "ENV")]
    environment: String,
}

/// Patches and prints.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let (target, suspend) = match &arguments.action {
        Action::Pause(target) => (target, true),
        Action::Continue(target) => (target, false),
    };
    let cluster = kube.connect().await?;
    let before = cluster.environment(&target.environment).await?;
    if before.spec.schedule.is_none() {
        return Err(CommandError::Usage(format!(
            "{} has no spec.schedule: its runs are created by hand or by another scheduler, which is the one to stop",
            target.environment
        )));
    }
    let after = if before.spec.suspend == suspend {
        println!("{} was so already", target.environment);
        before
    } else {
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        // The very object that was read. Not its version: the operator writes the status all the time, and only this one field
        // is set.
        let patch = json!({
            "metadata": {"uid": before.uid()},
            "spec": {"suspend": suspend},
        });
        let (name, patch) = (&target.environment, Patch::Merge(&patch));
        let patched = cluster
            .environments()
            .patch(name, &parameters, &patch)
            .await;
        let what = format!(
            "change environment {name} in namespace {}",
            cluster.namespace
        );
        patched.map_err(|e| CommandError::kube(what, &e))?
    };
    println!("{}", outcome(&after, Utc::now()));
    Ok(Exit::Done)
}

/// What happens next.
fn outcome(environment: &CloneEnvironment, now: DateTime<Utc>) -> String {
    let name = environment.name_any();
    let active = environment
        .status
        .as_ref()
        .and_then(|s| s.active_run.as_ref());
    if environment.spec.suspend {
        let running = active.map(|run| format!(" Run {run} goes on."));
        return format!(
            "{name} is paused: no new scheduled runs.{}\n`ibmi-clone schedule continue {name}` starts them again; times that pass are not made up for.",
            running.unwrap_or_default()
        );
    }
    let Some(schedule) = &environment.spec.schedule else {
        return format!("{name} has no schedule");
    };
    let zone = match Zone::parse(&schedule.time_zone) {
        Ok(zone) => zone,
        Err(error) => return format!("{name} continues, but runs nothing: {error}"),
    };
    let lines: Vec<CronLine> = schedule
        .cron
        .iter()
        .filter_map(|line| CronLine::parse(line).ok())
        .collect();
    match slots(&lines, zone, 1, now).first() {
        Some(next) => format!(
            "{name} continues: next run {} ({} {})",
            next.to_rfc3339_opts(SecondsFormat::Secs, true),
            zone.local(*next).format("%a %H:%M"),
            schedule.time_zone
        ),
        None => format!(
            "{name} continues, but no line of its schedule ever fires; `ibmi-clone next {name}` says why"
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::CloneEnvironmentStatus;
    use crate::commands::samples;

    #[test]
    fn it_says_what_happens_next() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let mut environment = samples::environment();
        let schedule = json!({"cron": ["30 7 * * *"], "timeZone": "Europe/Paris"});
        environment.spec.schedule = Some(serde_json::from_value(schedule).unwrap());
        assert_eq!(
            outcome(&environment, now),
            "nightly-user continues: next run 2026-11-24T06:30:00Z (Tue 07:30 Europe/Paris)"
        );
        environment.spec.suspend = true;
        environment.status = Some(CloneEnvironmentStatus {
            active_run: Some("nightly-user-x7k2p".to_owned()),
            ..CloneEnvironmentStatus::default()
        });
        let text = outcome(&environment, now);
        assert!(text.contains("is paused") && text.contains("Run nightly-user-x7k2p goes on."));
    }
}
