//! `logs`: what a run left behind, from its ConfigMaps, and what it is doing now (`product.md` § 9).

mod download;
mod follow;

use super::archived::run_or_hint;
use super::cluster::Cluster;
use super::{CommandError, Exit, KubeFlags, text};
use crate::api::CloneRun;
use crate::controllers::run::logs::{KINDS, LOGS_REMOVED, LogReadError, StoredLog};
use crate::recipe::{LogKind, LogLine};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use kube::ResourceExt;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `logs`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the run, or ENV/NUMBER as the history shows it.
    #[arg(value_name = "RUN")]
    run: String,
    /// Only this log.
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    kind: Option<LogKind>,
    /// Show what the run is doing until it is final, then the logs that are kept of it.
    #[arg(short, long)]
    follow: bool,
    /// Write one file per log into this directory, RUN-KIND.jsonl, each proved by its SHA-256. Nothing is overwritten.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["follow", "output"])]
    download: Option<PathBuf>,
    /// json: the lines as they are kept, one JSON object each.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// One JSON object per line.
    Json,
}

/// Every kind by its name; further programs' job logs are taken and not listed.
fn kinds() -> impl TypedValueParser<Value = LogKind> {
    let values = KINDS.map(|kind| {
        let value = PossibleValue::new(kind.as_str());
        match kind {
            LogKind::Steps => value.help("the operator's own record of the run"),
            LogKind::JobLog => {
                value.help(
"job log of the function; joblog-2 to joblog-16 of its further jobs, joblog-hook-1 to joblog-hook-16 of the hooks")
            }
            LogKind::JobLogOf(_) | LogKind::HookLog(_) => value.hide(true),
            LogKind::History => value.help("history log (DSPLOG) of the clone since the copy"),
            LogKind::Brms => value.help("BRMS log of the clone since the copy"),
            LogKind::Devices => value.help("what was said to the devices, without secrets"),
        }
    });
    PossibleValuesParser::new(values).try_map(|name| {
        let found = KINDS.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| format!("`{name}` is no kind of log"))
    })
}

/// Reads and prints.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let run = run_or_hint(&cluster, &arguments.run).await?;
    if let Some(directory) = &arguments.download {
        return download::execute(&cluster, &run, arguments.kind, directory).await;
    }
    if arguments.follow {
        return follow::execute(&cluster, run, arguments).await;
    }
    print_kept(&cluster, &run, arguments, Missing::IsAnError).await
}

/// What it means that nothing is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsAnError,
    IsSaid,
}

/// Prints the kept logs, part by part.
async fn print_kept(
    cluster: &Cluster,
    run: &CloneRun,
    arguments: &Arguments,
    missing: Missing,
) -> Result<Exit, CommandError> {
    let mut logs = kept(cluster, run, arguments.kind).await?;
    if logs.is_empty() {
        let why = none_there(run, &named(arguments.kind));
        return match missing {
            Missing::IsAnError => Err(why),
            Missing::IsSaid => {
                eprintln!("{why}");
                Ok(Exit::Done)
            }
        };
    }
    let several = logs.len() > 1;
    for (kind, log) in &mut logs {
        if several && arguments.output.is_none() && !say(&format!("==> {} <==\n", kind.as_str())) {
            return Ok(Exit::Done);
        }
        while let Some(part) = log.next_part().await.map_err(unreadable)? {
            let shown: String = part.lines().map(|l| shown(l, arguments.output)).collect();
            if !say(&shown) {
                return Ok(Exit::Done);
            }
        }
    }
    Ok(Exit::Done)
}

/// The logs of a run that are there: one, or all.
async fn kept(
    cluster: &Cluster,
    run: &CloneRun,
    kind: Option<LogKind>,
) -> Result<Vec<(LogKind, StoredLog)>, CommandError> {
    let mut logs = Vec::new();
    for wanted in KINDS
        .into_iter()
        .filter(|k| kind.is_none_or(|only| only == *k))
    {
        let (client, namespace) = (&cluster.client, &cluster.namespace);
        let log = StoredLog::open(client, namespace, &run.name_any(), wanted).await;
        logs.extend(log.map_err(unreadable)?.map(|log| (wanted, log)));
    }
    Ok(logs)
}

/// A kept line as it is printed, with its line end.
fn shown(line: &str, output: Option<Output>) -> String {
    match output {
        Some(Output::Json) => format!("{line}\n"),
        None => format!("{}\n", readable(line)),
    }
}

/// Prints; `false` = nobody reads any more. A closed pipe (`| head`) is no reason to fail, but the end of the work.
fn say(text: &str) -> bool {
    std::io::stdout().write_all(text.as_bytes()).is_ok()
}

pub(super) fn unreadable(error: LogReadError) -> CommandError {
    match error {
        LogReadError::Api { name, source } => {
            CommandError::kube(format!("log part {name}"), &source)
        }
        LogReadError::Missing { .. } => CommandError::NotFound(error.to_string()),
        LogReadError::Damaged { .. } => CommandError::Other(error.to_string()),
    }
}

/// What was asked for, in words.
fn named(kind: Option<LogKind>) -> String {
    kind.map_or("logs".to_owned(), |kind| format!("log {}", kind.as_str()))
}

/// Why there is nothing to show.
pub(super) fn none_there(run: &CloneRun, what: &str) -> CommandError {
    let status = run.status.as_ref();
    let kinds: Vec<&str> = status
        .iter()
        .flat_map(|s| s.logs.iter().map(|log| log.kind.as_str()))
        .collect();
    let ended = status.is_some_and(|s| s.phase.is_final());
    let removed = run.annotations().contains_key(LOGS_REMOVED);
    let why = match (kinds.is_empty(), ended) {
        _ if removed => "they were removed because the logs of all runs took more than the operator may keep (--log-budget-mib; condition LogBudget of the environment says more)".to_owned(),
        (false, _) => format!("it has kept {}", kinds.join(", ")),
        (true, false) => {
            "logs are kept towards its end; `logs -f` shows what it is doing".to_owned()
        }
        (true, true) => {
            "none were kept, or newer runs took their place (logs.retainRuns of the environment)"
                .to_owned()
        }
    };
    CommandError::NotFound(format!("run {} has no {what}: {why}", run.name_any()))
}

/// A kept line as a person reads it: time, who, id and severity, text.
pub(super) fn readable(line: &str) -> String {
    let Ok(line) = serde_json::from_str::<LogLine>(line) else {
        return line.to_owned();
    };
    let mut parts = vec![line.ts, line.part];
    parts.extend(Some(line.job).filter(|job| !job.is_empty()));
    if !line.id.is_empty() {
        parts.push(format!("{} {:02}", line.id, line.sev));
    }
    parts.push(text::one_line(&line.text));
    let mut shown = parts.join(" ");
    for second in line.second.lines() {
        shown.push_str(&format!("\n    {}", second.trim_end()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::run::{CloneRunStatus, LogRef};
    use crate::commands::samples;
    use crate::engine::journal::Phase;
    use clap::{Args, FromArgMatches};

    #[test]
    fn a_missing_log_is_answered_with_those_that_were_kept() {
        let mut run = samples::run("nightly-1");
        run.status = Some(CloneRunStatus {
            phase: Phase::Succeeded,
            logs: vec![LogRef {
                kind: "steps".into(),
                config_map: "nightly-1-log-steps-001".into(),
                parts: 1,
                lines: 20,
            }],
            ..CloneRunStatus::default()
        });
        let error = none_there(&run, "log joblog");
        assert_eq!(error.exit(), Exit::NotFound);
        assert_eq!(
            error.to_string(),
            "run nightly-1 has no log joblog: it has kept steps"
        );
    }

    fn of_kind(kind: &str) -> Result<Option<LogKind>, String> {
        let command = Arguments::augment_args(clap::Command::new("logs"));
        let matches = command.try_get_matches_from(["logs", "nightly/1", "--kind", kind]);
        let arguments = matches.and_then(|m| Arguments::from_arg_matches(&m));
        arguments.map(|a| a.kind).map_err(|e| e.to_string())
    }

    #[test]
    fn each_kind_is_taken_by_its_name_and_a_wrong_one_is_answered_with_those_there_are() {
        for kind in KINDS {
            assert_eq!(of_kind(kind.as_str()), Ok(Some(kind)));
        }
        let refusal = of_kind("syslog").expect_err("is no kind");
        assert!(
            refusal.contains("[possible values: steps, joblog, history, brms, devices]"),
            "{refusal}"
        );
    }

    #[test]
    fn the_help_names_every_kind() {
        let mut command = Arguments::augment_args(clap::Command::new("logs"));
        let help = command.render_long_help().to_string();
        for kind in ["steps:", "joblog:", "history:", "brms:", "devices:"] {
            assert!(help.contains(&format!("- {kind}")), "{help}");
        }
    }

    #[test]
    fn a_line_is_shown_with_its_id_and_severity_and_an_unknown_one_as_it_is() {
        let kept = r#"{"ts":"t","part":"clone","id":"CPF9801","sev":40,"text":"Object not found","second":"Cause\nRecovery"}"#;
        assert_eq!(
            readable(kept),
            "t clone CPF9801 40 Object not found\n    Cause\n    Recovery"
        );
        assert_eq!(readable("plain"), "plain");
    }
}
