//! `source-status`: what to type on production if all else fails. Reads only; nothing is sent to any device.
//!
//! IBM i does not report "suspended" (`ibmi.md` § 2.6), so this command cannot say it either: it says what the operator
//! still owes, and which commands are harmless on a system that runs.

use super::{CommandError, Exit, KubeFlags, text};
use crate::api::clone_side::Source;
use crate::api::{CloneEnvironment, CloneRun};
use crate::engine::journal::{Obligation, ObligationKind};
use chrono::{DateTime, Utc};
use kube::ResourceExt;

/// Arguments of `source-status`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Name of the environment.
    #[arg(value_name = "ENV")]
    environment: String,
}

/// Reads and prints. Without a Kubernetes API the commands that are always right are printed all the same.
pub async fn execute(kube: &KubeFlags, arguments: &Arguments) -> Result<Exit, CommandError> {
    let read = async {
        let cluster = kube.connect().await?;
        let environment = cluster.environment(&arguments.environment).await?;
        let runs = cluster.runs_of(&arguments.environment).await?;
        Ok((environment, runs))
    };
    match read.await {
        Ok((environment, runs)) => {
            print!("{}", report(&environment, &runs, Utc::now()));
            Ok(Exit::Done)
        }
        Err(error) => {
            if let CommandError::Unavailable(_) = error {
                print!("{}", without_cluster(&arguments.environment));
            }
            Err(error)
        }
    }
}

fn without_cluster(environment: &str) -> String {
    format!(
        "The environment {environment} cannot be read now. On its production partition, in this order:\n\
         \n{}{}\n\
         CHGASPACT OPTION(*RESUME) does no harm on a system that is not suspended; it may then end with an error.\n",
        command(
            "WRKCFGSTS CFGTYPE(*DEV) CFGD(*ASP)",
            "lists the independent ASPs"
        ),
        resume_commands(&[])
    )
}

/// The whole report.
fn report(environment: &CloneEnvironment, runs: &[CloneRun], now: DateTime<Utc>) -> String {
    let source = &environment.spec.source;
    let mut out = vec![format!(
        "Production of {}: partition {} on {}, host {}",
        environment.name_any(),
        source.partition.name,
        source.partition.managed_system,
        host(source),
    )];
    out.push(condition_line(environment));
    let open = open_runs(runs);
    let owed: Vec<(&CloneRun, &Obligation)> = open
        .iter()
        .flat_map(|run| obligations(run).map(move |o| (*run, o)))
        .collect();
    if owed.is_empty() {
        out.push(nothing_owed(&open));
    }
    for (run, obligation) in &owed {
        out.push(owed_line(run, obligation, now));
    }
    out.push(String::new());
    out.extend(commands(environment, &open, &owed));
    out.join("\n") + "\n"
}

fn host(source: &Source) -> String {
    match source.host.port {
        22 => source.host.address.clone(),
        port => format!("{} port {port}", source.host.address),
    }
}

fn condition_line(environment: &CloneEnvironment) -> String {
    let conditions = environment.status.as_ref().map(|s| s.conditions.as_slice());
    let frozen = conditions
        .unwrap_or_default()
        .iter()
        .find(|c| c.type_ == "SourceFrozen");
    match frozen {
        Some(c) => format!(
            "Condition SourceFrozen: {} {} {}",
            c.status,
            c.reason,
            text::one_line(&c.message)
        ),
        None => "Condition SourceFrozen: not known yet".to_owned(),
    }
}

/// Runs that are not final. A final run has met its obligations: they come before the verdict.
fn open_runs(runs: &[CloneRun]) -> Vec<&CloneRun> {
    runs.iter()
        .filter(|run| !run.status.as_ref().is_some_and(|s| s.phase.is_final()))
        .collect()
}

fn obligations(run: &CloneRun) -> impl Iterator<Item = &Obligation> {
    run.status
        .iter()
        .flat_map(|s| s.obligations.iter().filter(|o| o.met.is_none()))
}

fn nothing_owed(open: &[&CloneRun]) -> String {
    let names: Vec<String> = open.iter().map(|run| run.name_any()).collect();
    if names.is_empty() {
        "No run is open and nothing is owed to production: there is nothing to type.".to_owned()
    } else {
        format!(
            "Open: {}. Nothing is owed to production at this moment.",
            names.join(", ")
        )
    }
}

fn owed_line(run: &CloneRun, owed: &Obligation, now: DateTime<Utc>) -> String {
    let what = match owed.kind {
        ObligationKind::ResumeSource => "production may be suspended",
        ObligationKind::StopWatchdog => "the watchdog job may be active on production",
        ObligationKind::LeavePrepared => "the copy may be armed, production in write-through",
        ObligationKind::RemoveParameters => "the parameter file may be on production",
        ObligationKind::RunAfterResume => {
            "a BeforeFreeze hook may have run on production, and its AfterResume hooks have not ended"
        }
        ObligationKind::ReleaseBackups => "BRMS of production may be in its FlashCopy process",
    };
    let since = text::clock(text::seconds_between(owed.since.utc(), now));
    let mut line = format!("Owed by {}: {what}, for {since}", run.name_any());
    if owed.attempts > 0 {
        line = format!("{line}, {} tries", owed.attempts);
    }
    match &owed.message {
        Some(message) => format!("{line}: {}", text::one_line(message)),
        None => line,
    }
}

/// The exact commands, in the order in which to type them: resume first, whatever else is owed.
fn commands(
    environment: &CloneEnvironment,
    open: &[&CloneRun],
    owed: &[(&CloneRun, &Obligation)],
) -> Vec<String> {
    let owes = |kind| owed.iter().any(|(_, o)| o.kind == kind);
    let asps = suspended_asps(open);
    let mut out = Vec::new();
    let heading = if owes(ObligationKind::ResumeSource) {
        "On production, now if its users hang and the operator does not resume it:"
    } else {
        "On production, if it ever hangs after a run (harmless otherwise):"
    };
    out.push(heading.to_owned());
    if asps.is_empty() {
        out.push(command(
            "WRKCFGSTS CFGTYPE(*DEV) CFGD(*ASP)",
            "lists independent ASPs; resume each that is AVAILABLE",
        ));
    }
    out.push(resume_commands(&asps));
    out.push(
        "RESUME does no harm on a system that is not suspended; it may then end with an error."
            .to_owned(),
    );
    out.extend(by_hand(owed));
    if owes(ObligationKind::StopWatchdog) {
        out.push("Only after that, on production:".to_owned());
        out.push(command(
            "WRKACTJOB JOB(CLNWDOG)",
            "option 4 ends the watchdog; by itself it resumes and ends",
        ));
    }
    if owes(ObligationKind::RemoveParameters) {
        out.push("On production:".to_owned());
        out.push(command(
            "RMVLNK OBJLNK('/ibmiclone/run.parm')",
            "a copy taken later must not find it",
        ));
    }
    if owes(ObligationKind::ReleaseBackups) {
        out.extend(release_backups(owed));
    }
    if owes(ObligationKind::LeavePrepared)
        && let Some(array) = &environment.spec.storage.spectrum_virtualize
    {
        for group in &array.consistency_groups {
            out.push(format!("On the array {}:", array.endpoint));
            out.push(command(
                &format!("stopfcconsistgrp {group}"),
                "never with -force; only while the group is preparing or prepared",
            ));
        }
    }
    out
}

/// How production's BRMS is released: by the operator at a person's word, or by hand where the operator cannot reach it.
fn release_backups(owed: &[(&CloneRun, &Obligation)]) -> Vec<String> {
    let mut out = vec![
        "BRMS of production is released by the operator when the history of the saves is back. To release it now, without that history (the run fails and lists the volumes to protect):".to_owned(),
    ];
    for (run, _) in owed
        .iter()
        .filter(|(_, o)| o.kind == ObligationKind::ReleaseBackups)
    {
        out.push(patch(run, "releaseBackups"));
    }
    out.push("Only if the operator cannot reach production, on production:".to_owned());
    out.push(command(
        "INZBRM OPTION(*FLASHCOPY) STATE(*ENDPRC)",
        "before it, protect the volumes that the clone has written",
    ));
    out
}

fn patch(run: &CloneRun, field: &str) -> String {
    let namespace = run.namespace().unwrap_or_default();
    let name = run.name_any();
    format!(
        "    kubectl -n {namespace} patch crun {name} --type merge -p '{{\"spec\":{{\"{field}\":true}}}}'"
    )
}

/// How a person says that production was resumed by hand, and how a run is let go whose devices never come back.
fn by_hand(owed: &[(&CloneRun, &Obligation)]) -> Vec<String> {
    let mut out = Vec::new();
    for (run, _) in owed
        .iter()
        .filter(|(_, o)| o.kind == ObligationKind::ResumeSource)
    {
        out.push(format!(
            "After that, and only if production works again and the operator cannot reach it, tell {} so:",
            run.name_any()
        ));
        out.push(patch(run, "resumedByHand"));
    }
    let mut told: Vec<String> = Vec::new();
    for (run, _) in owed {
        let name = run.name_any();
        if run.metadata.deletion_timestamp.is_some() && !told.contains(&name) {
            out.push(format!(
                "{name} is being deleted and waits for what it owes; to let it go undone:"
            ));
            out.push(patch(run, "forceDelete"));
            told.push(name);
        }
    }
    out
}

/// ASPs of the windows of open runs, in the order of resuming: the reverse of suspending, *SYSBAS first.
fn suspended_asps(open: &[&CloneRun]) -> Vec<String> {
    let mut asps: Vec<String> = Vec::new();
    for run in open {
        let journal = run.status.as_ref().and_then(|s| s.journal.as_ref());
        let window = journal.and_then(|j| j.window.as_ref());
        for asp in window.iter().flat_map(|w| w.asps.iter().rev()) {
            if !asps.contains(asp) {
                asps.push(asp.clone());
            }
        }
    }
    asps
}

fn resume_commands(asps: &[String]) -> String {
    let sysbas = ["*SYSBAS".to_owned()];
    let asps = if asps.is_empty() { &sysbas } else { asps };
    let lines: Vec<String> = asps
        .iter()
        .map(|asp| format!("    CHGASPACT ASPDEV({asp}) OPTION(*RESUME)"))
        .collect();
    lines.join("\n")
}

fn command(line: &str, why: &str) -> String {
    format!("    {line:<48} {why}")
}

#[cfg(test)]
mod tests;
