use super::*;
use crate::api::run::{CloneRunStatus, JournalRest};
use crate::commands::samples;
use crate::engine::journal::{Phase, WindowRecord};
use crate::engine::time::Timestamp;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("is RFC 3339")
}

fn owing(kinds: &[ObligationKind]) -> CloneRun {
    let mut run = samples::run("nightly-user-x7k2p");
    let obligation = |kind: &ObligationKind| Obligation {
        kind: *kind,
        step: "suspend-source".into(),
        since: Timestamp::new(at("2026-11-24T00:01:00Z")),
        met: None,
        message: Some("host prod.example.com cannot be reached".into()),
        attempts: 4,
    };
    run.status = Some(CloneRunStatus {
        phase: Phase::Running,
        obligations: kinds.iter().map(obligation).collect(),
        journal: Some(JournalRest {
            window: Some(WindowRecord {
                asps: vec!["IASP01".into(), "*SYSBAS".into()],
                ..WindowRecord::default()
            }),
            ..JournalRest::default()
        }),
        ..CloneRunStatus::default()
    });
    run
}

fn report_of(runs: &[CloneRun]) -> String {
    report(&samples::environment(), runs, at("2026-11-24T00:03:05Z"))
}

#[test]
fn asps_are_resumed_in_the_reverse_order_of_suspending() {
    let text = report_of(&[owing(&[ObligationKind::ResumeSource])]);
    let commands: Vec<&str> = text.lines().filter(|l| l.contains("CHGASPACT")).collect();
    assert_eq!(
        commands,
        [
            "    CHGASPACT ASPDEV(*SYSBAS) OPTION(*RESUME)",
            "    CHGASPACT ASPDEV(IASP01) OPTION(*RESUME)",
        ]
    );
    assert!(text.contains(
        "Owed by nightly-user-x7k2p: production may be suspended, for 2:05, 4 tries: host prod.example.com"
    ));
}

#[test]
fn the_resume_stands_before_everything_else_that_is_owed() {
    let text = report_of(&[owing(&[
        ObligationKind::RemoveParameters,
        ObligationKind::LeavePrepared,
        ObligationKind::StopWatchdog,
        ObligationKind::ResumeSource,
    ])]);
    let place = |words: &str| {
        text.find(words)
            .unwrap_or_else(|| panic!("{words}: {text}"))
    };
    let resume = place("CHGASPACT ASPDEV(*SYSBAS) OPTION(*RESUME)");
    assert!(resume < place("WRKACTJOB JOB(CLNWDOG)"));
    assert!(resume < place("RMVLNK OBJLNK('/ibmiclone/run.parm')"));
    assert!(resume < place("stopfcconsistgrp CLONE1"));
}

#[test]
fn a_run_that_has_ended_owes_nothing() {
    let mut run = owing(&[ObligationKind::ResumeSource]);
    if let Some(status) = &mut run.status {
        status.phase = Phase::Failed;
        status.obligations[0].met = Some(Timestamp::new(at("2026-11-24T00:02:00Z")));
    }
    let text = report_of(&[run]);
    assert!(text.contains("nothing is owed to production"), "{text}");
    // The command stays: who reads this has a hanging system in front of him.
    assert!(text.contains("CHGASPACT ASPDEV(*SYSBAS) OPTION(*RESUME)"));
    assert!(text.contains("WRKCFGSTS"), "the ASPs are not known: {text}");
}

#[test]
fn the_commands_are_printed_even_when_no_cluster_answers() {
    let text = without_cluster("nightly-user");
    assert!(
        text.contains("    CHGASPACT ASPDEV(*SYSBAS) OPTION(*RESUME)\n"),
        "{text}"
    );
    assert!(
        text.contains("WRKCFGSTS CFGTYPE(*DEV) CFGD(*ASP)"),
        "{text}"
    );
}

#[test]
fn a_persons_word_is_offered_only_for_a_resume_and_force_only_for_a_deleted_run() {
    let owed = owing(&[ObligationKind::ResumeSource]);
    let text = report_of(std::slice::from_ref(&owed));
    let line =
        "patch crun nightly-user-x7k2p --type merge -p '{\"spec\":{\"resumedByHand\":true}}'";
    assert!(text.contains(line), "{text}");
    let resume = text.find("OPTION(*RESUME)").expect("is said");
    assert!(
        resume < text.find(line).expect("is said"),
        "production first"
    );
    assert!(!text.contains("forceDelete"), "{text}");
    let mut deleted = owing(&[ObligationKind::LeavePrepared]);
    let now = serde_json::from_str("\"2026-11-24T00:02:00Z\"");
    deleted.metadata.deletion_timestamp = Some(now.expect("is a time"));
    let text = report_of(&[deleted]);
    assert!(text.contains("{\"spec\":{\"forceDelete\":true}}"), "{text}");
    assert!(!text.contains("resumedByHand"), "{text}");
}
