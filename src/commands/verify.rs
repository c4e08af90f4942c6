//! `verify`: a Preflight run of an environment, waited for, with its findings.

use super::cluster::Cluster;
use super::follow::{Followed, follow};
use super::progress::Progress;
use super::run::{create, report};
use super::{CommandError, Exit, KubeFlags, text};
use crate::api::run::{RunMode, Trigger};
use crate::api::{CloneEnvironment, CloneRunSpec};
use crate::controllers::run::logs::read_logs;
use crate::recipe::{LogKind, LogLine};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::time::Duration;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the environment.
    #[arg(value_name = "ENV")]
    environment: String,
    /// Give up waiting after this time (90s, 30m, 1h30m) with exit code 6; the check goes on.
    #[arg(long, value_parser = text::parse_span, default_value = "15m")]
    timeout: Duration,
}

/// Creates the run, waits, prints what was found; the exit code is the run's.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let spec = CloneRunSpec {
        environment: arguments.environment.clone(),
        mode: RunMode::Preflight,
        trigger: Trigger::Manual,
        requested_by: String::new(),
        ..CloneRunSpec::default()
    };
    let name = create(&cluster, spec).await?;
    let ended = follow(
        &cluster,
        &name,
        Some(arguments.timeout),
        &Progress::default(),
    )
    .await?;
    if let Followed::Final(_) = &ended {
        let environment = cluster.environment(&arguments.environment).await?;
        for line in findings(&record(&cluster, &name).await, &environment) {
            println!("{line}");
        }
    }
    Ok(report(&name, &ended))
}

/// The run's own record. Its row has only the verdict; a record that cannot be read must not hide that.
async fn record(cluster: &Cluster, run: &str) -> Vec<LogLine> {
    let read = read_logs(
        &cluster.client,
        &cluster.namespace,
        run,
        Some(LogKind::Steps),
    );
    match read.await {
        Ok(logs) => logs
            .iter()
            .flat_map(|(_, text)| text.lines())
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
        Err(error) => {
            eprintln!(
                "the record of the run: {}",
                text::one_line(&error.to_string())
            );
            Vec::new()
        }
    }
}

/// What a person must or may read, worst first.
fn findings(record: &[LogLine], environment: &CloneEnvironment) -> Vec<String> {
    let said = |word: &str, wanted: fn(&LogLine) -> bool| -> Vec<String> {
        let lines = record.iter().filter(|line| wanted(line));
        lines
            .map(|line| format!("{word:<8} {}", text::one_line(&line.text)))
            .collect()
    };
    let mut lines = said("failed", |line| line.sev >= 30);
    let conditions = environment.status.as_ref().map(|s| s.conditions.as_slice());
    for condition in conditions.unwrap_or_default() {
        if is_bad(condition) {
            lines.push(format!(
                "{:<8} {} {}: {}",
                "state",
                condition.type_,
                condition.reason,
                text::one_line(&condition.message)
            ));
        }
    }
    lines.extend(said("warning", |line| line.job == "warning"));
    lines.extend(said("note", |line| line.job == "note"));
    lines
}

/// Conditions that are good when True, and those that are good when False (`product.md` § 10).
fn is_bad(condition: &Condition) -> bool {
    match condition.type_.as_str() {
        "Ready" | "GuestKitReady" => condition.status != "True",
        "SourceFrozen" | "VolumeDrift" | "InsecureTransport" | "Stalled" => {
            condition.status == "True"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CloneEnvironmentStatus;
    use crate::commands::samples;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    fn condition(kind: &str, status: &str) -> Condition {
        Condition {
            type_: kind.into(),
            status: status.into(),
            reason: "Because".into(),
            message: "what to do".into(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    fn line(job: &str, sev: u8, text: &str) -> LogLine {
        LogLine {
            job: job.into(),
            sev,
            text: text.into(),
            ..LogLine::default()
        }
    }

    #[test]
    fn findings_begin_with_what_failed_and_leave_out_what_is_good() {
        let mut environment = samples::environment();
        environment.status = Some(CloneEnvironmentStatus {
            conditions: vec![
                condition("Ready", "True"),
                condition("VolumeDrift", "True"),
                condition("SourceFrozen", "False"),
                condition("GuestKitReady", "Unknown"),
            ],
            ..CloneEnvironmentStatus::default()
        });
        let record = [
            line("note", 0, "source lock held elsewhere"),
            line("warning", 20, "a PTF would apply"),
            line("verify-site", 40, "Failed; group CLONE1 is empty"),
            line("verdict", 0, "Failed StepFailed"),
        ];
        assert_eq!(
            findings(&record, &environment),
            [
                "failed   Failed; group CLONE1 is empty",
                "state    VolumeDrift Because: what to do",
                "state    GuestKitReady Because: what to do",
                "warning  a PTF would apply",
                "note     source lock held elsewhere",
            ]
        );
    }
}
