//! `cancel`: ends a run early by setting `spec.cancel`, says what will happen, and waits for the end when asked.

use super::follow::follow;
use super::progress::Progress;
use super::run::report;
use super::{CommandError, Exit, KubeFlags, MANAGER, text};
use crate::api::CloneRun;
use crate::api::run::{CancelMode, CloneRunStatus};
use crate::engine::journal::{ObligationKind, Phase};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::time::Duration;

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the run, or ENV/NUMBER as the history shows it.
    #[arg(value_name = "RUN")]
    run: String,
    /// Interrupt the step under way, too: a function or a wait. Without it the run ends after this step.
    #[arg(long)]
    abort: bool,
    /// Wait for the end; the exit code tells the outcome (4 = Cancelled).
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time (90s, 30m, 1h30m) with exit code 6; the run is cancelled all the same.
    #[arg(long, requires = "wait", value_parser = text::parse_span)]
    timeout: Option<Duration>,
}

/// Sets the field, says what follows, waits.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let cluster = kube.connect().await?;
    let run = cluster.run(&arguments.run).await?;
    let name = run.name_any();
    let wanted = if arguments.abort {
        CancelMode::Abort
    } else {
        CancelMode::Stop
    };
    let phase = run.status.as_ref().map(|s| s.phase).unwrap_or_default();
    if phase.is_final() {
        return Err(CommandError::Refused {
            what: format!("cancel run {name}"),
            why: format!("it is over ({phase:?}), nothing is left to cancel"),
        });
    }
    // Abort stands when it is there: it may not be taken back, and it does all that Stop does.
    let mode = match run.spec.cancel {
        Some(CancelMode::Abort) => CancelMode::Abort,
        Some(CancelMode::Stop) | None => wanted,
    };
    if run.spec.cancel != Some(mode) {
        let patch = json!({"metadata": {"uid": run.uid()}, "spec": {"cancel": mode}});
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let what = format!("cancel run {name} in namespace {}", cluster.namespace);
        let runs = cluster.runs();
        let patched = runs.patch(&name, &parameters, &Patch::Merge(&patch)).await;
        patched.map_err(|e| CommandError::kube(what, &e))?;
    }
    println!("{}", what_follows(&run, mode));
    if !arguments.wait {
        return Ok(Exit::Done);
    }
    let ended = follow(&cluster, &name, arguments.timeout, &Progress::default()).await?;
    Ok(report(&name, &ended))
}

/// One sentence per thing a person wonders about.
fn what_follows(run: &CloneRun, mode: CancelMode) -> String {
    let none = CloneRunStatus::default();
    let status = run.status.as_ref().unwrap_or(&none);
    let step = status.step.as_deref().unwrap_or("its first step");
    let owes_resume = status
        .obligations
        .iter()
        .any(|o| o.kind == ObligationKind::ResumeSource && o.met.is_none());
    let when = match (status.phase, mode) {
        (Phase::Pending | Phase::Queued, _) => {
            "has not touched any device and ends at once".to_owned()
        }
        (_, _) if owes_resume => {
            "is in the freeze, which is not interrupted; it ends as soon as production is resumed"
                .to_owned()
        }
        (_, CancelMode::Stop) => {
            format!("ends after {step}; `--abort` does not wait for that")
        }
        (_, CancelMode::Abort) => format!("is interrupted in {step}"),
    };
    let mut text = format!("{}: {when}.", run.name_any());
    if status.phase != Phase::Pending && status.phase != Phase::Queued {
        text +=
            " What it owes is met first, production above all; clone and image stay as they are.";
    }
    if mode == CancelMode::Abort && step == "run-function" {
        text += " The function's job on the clone is not ended: the run's message names it.";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::samples;
    use crate::engine::journal::Obligation;
    use crate::engine::time::Timestamp;
    use chrono::Utc;

    fn at(phase: Phase, step: &str) -> CloneRun {
        let mut run = samples::run("nightly-x7k2p");
        run.status = Some(CloneRunStatus {
            phase,
            step: Some(step.to_owned()),
            ..CloneRunStatus::default()
        });
        run
    }

    #[test]
    fn a_stop_names_the_step_it_waits_for_and_the_way_not_to() {
        let text = what_follows(&at(Phase::Running, "await-clone"), CancelMode::Stop);
        assert!(text.contains("ends after await-clone"), "{text}");
        assert!(text.contains("--abort"), "{text}");
        assert!(text.contains("clone and image stay"), "{text}");
    }

    #[test]
    fn an_aborted_function_is_not_promised_to_end() {
        let text = what_follows(&at(Phase::Running, "run-function"), CancelMode::Abort);
        assert!(text.contains("interrupted in run-function"), "{text}");
        assert!(text.contains("is not ended"), "{text}");
    }

    #[test]
    fn a_queued_run_and_a_run_in_the_freeze_are_told_apart() {
        let text = what_follows(&at(Phase::Queued, "write-parameters"), CancelMode::Stop);
        assert!(text.contains("ends at once"), "{text}");
        let mut run = at(Phase::Running, "suspend-source");
        run.status.as_mut().unwrap().obligations = vec![Obligation {
            kind: ObligationKind::ResumeSource,
            step: "suspend-source".into(),
            since: Timestamp::new(Utc::now()),
            met: None,
            message: None,
            attempts: 0,
        }];
        let text = what_follows(&run, CancelMode::Abort);
        assert!(text.contains("not interrupted"), "{text}");
    }
}
