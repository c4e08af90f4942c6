//! `verify`: a Preflight run of an environment, waited for, with its findings.

use super::follow::{Followed, follow};
use super::progress::Progress;
use super::run::{create, report};
use super::{CommandError, Exit, KubeFlags, text};
use crate::api::run::{CloneRunStatus, RunMode, Trigger};
use crate::api::{CloneEnvironment, CloneRunSpec};
use crate::engine::journal::EntryState;
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
    };
    let name = create(&cluster, spec).await?;
    let ended = follow(&cluster, &name, Some(arguments.timeout), &Progress::new()).await?;
    if let Followed::Final(run) = &ended {
        let environment = cluster.environment(&arguments.environment).await?;
        let status = run.status.clone().unwrap_or_default();
        for line in findings(&status, &environment) {
            println!("{line}");
        }
    }
    Ok(report(&name, &ended))
}

/// What a person must or may read, worst first.
fn findings(status: &CloneRunStatus, environment: &CloneEnvironment) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &status.steps {
        if step.state == EntryState::Failed {
            let why = step.message.clone().unwrap_or_default();
            lines.push(format!("failed   {}: {}", step.name, text::one_line(&why)));
        }
    }
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
    if let Some(journal) = &status.journal {
        let said = |word: &str, texts: &[String]| -> Vec<String> {
            texts
                .iter()
                .map(|t| format!("{word:<8} {}", text::one_line(t)))
                .collect()
        };
        lines.extend(said("warning", &journal.warnings));
        lines.extend(said("note", &journal.notes));
    }
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
    use crate::api::run::JournalRest;
    use crate::engine::journal::{Entry, Phase};
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

    #[test]
    fn findings_begin_with_what_failed_and_leave_out_what_is_good() {
        let mut environment = crate::commands::examples::environment();
        environment.status = Some(CloneEnvironmentStatus {
            conditions: vec![
                condition("Ready", "True"),
                condition("VolumeDrift", "True"),
                condition("SourceFrozen", "False"),
                condition("GuestKitReady", "Unknown"),
            ],
            ..CloneEnvironmentStatus::default()
        });
        let status = CloneRunStatus {
            phase: Phase::Failed,
            steps: vec![Entry {
                name: "verify-site".into(),
                state: EntryState::Failed,
                message: Some("group CLONE1 is empty".into()),
                ..Entry::default()
            }],
            journal: Some(JournalRest {
                warnings: vec!["a PTF would apply".into()],
                ..JournalRest::default()
            }),
            ..CloneRunStatus::default()
        };
        assert_eq!(
            findings(&status, &environment),
            [
                "failed   verify-site: group CLONE1 is empty",
                "state    VolumeDrift Because: what to do",
                "state    GuestKitReady Because: what to do",
                "warning  a PTF would apply",
            ]
        );
    }
}
