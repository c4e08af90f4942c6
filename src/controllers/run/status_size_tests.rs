//! How large a final row may be.

use super::*;

#[test]
fn the_worst_final_row_is_small() {
    let mut journal = journal(15);
    let long = "ä very long text of a device ".repeat(100);
    journal.window = Some(WindowRecord {
        closed: Some(at(480)),
        ..WindowRecord::default()
    });
    for entry in &mut journal.steps {
        entry.message = Some(long.clone());
        entry.output.insert("started".into(), "6".repeat(4000));
        entry.output.insert("targets".into(), "6".repeat(4000));
    }
    for kind in [
        ObligationKind::ResumeSource,
        ObligationKind::StopWatchdog,
        ObligationKind::LeavePrepared,
        ObligationKind::RemoveParameters,
    ] {
        journal.incur(kind, "suspend-source", at(1));
        journal.meet(kind, at(2), &long);
    }
    journal.warnings = vec![long.clone(); 20];
    journal.notes = vec![long.clone(); 20];
    journal.steps[13]
        .output
        .insert("failureTail".into(), vec![long.clone(); 9].join("\n"));
    finish(&mut journal, Phase::Failed, 900);
    journal.verdict.as_mut().unwrap().message = long;
    let row = build(&opened(), &journal, &facts(900));
    let size = serde_json::to_vec(&row).unwrap().len();
    assert!(size <= 4_900, "{size} bytes, metadata not counted");
}

/// 16 programs, 16 hooks, and all of `after`.
#[test]
fn the_row_of_the_longest_line_of_steps_is_small_and_keeps_lengths_and_troubles() {
    let mut names: Vec<String> = USER.iter().map(|n| (*n).to_owned()).collect();
    names.extend((2..=16).map(|n| format!("run-function-{n}")));
    names.push("before-function".to_owned());
    names.extend((2..=16).map(|n| format!("before-function-{n}")));
    names.extend(["power-off-clone", "unmap-after", "end-copy"].map(str::to_owned));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(names.len(), 49);
    let mut journal = Journal::open(
        "user-overwrite-vscsi-v1-p16-before-function16-power-off-clone-unmap-after-end-copy",
        "TOKEN123TOKEN123TOKEN123TOKEN123",
        &names,
    );
    journal.started_at = Some(at(0));
    journal.window = Some(WindowRecord {
        closed: Some(at(480)),
        milliseconds: Some(480),
        started_at: Some(at(470)),
        ended_at: Some(at(480)),
        suspension_proof: Some("Canary".into()),
        ..WindowRecord::default()
    });
    let long = "ä very long text of a device ".repeat(100);
    for (n, entry) in journal.steps.iter_mut().enumerate() {
        let n = i64::try_from(n).unwrap();
        entry.state = EntryState::Done;
        entry.attempts = 12;
        entry.start = Some(at(n * 60));
        entry.end = Some(at(n * 60 + 60));
        entry.message = Some(long.clone());
        entry.output.insert("started".into(), "6".repeat(4000));
    }
    let failed = journal.entry_mut("run-function-7").unwrap();
    failed.state = EntryState::Failed;
    for kind in [
        ObligationKind::ResumeSource,
        ObligationKind::StopWatchdog,
        ObligationKind::LeavePrepared,
        ObligationKind::RemoveParameters,
        ObligationKind::RunAfterResume,
    ] {
        journal.incur(kind, "suspend-source", at(1));
        journal.meet(kind, at(2), &long);
    }
    journal.warnings = vec![long.clone(); 40];
    journal.notes = vec![long.clone(); 40];
    journal.writer = "ibmi-clone-operator-5d4f8b7c9-x7k2p-1-0a1b2c3d".into();
    journal
        .entry_mut("collect-logs")
        .unwrap()
        .output
        .insert("failureTail".into(), vec![long.clone(); 9].join("\n"));
    finish(&mut journal, Phase::Failed, 4000);
    journal.verdict.as_mut().unwrap().message = long;
    let mut before = opened();
    before.logs = LOGS.iter().map(|kind| log(kind)).collect();
    before
        .logs
        .extend((2..=16).map(|n| log(&format!("joblog-{n}"))));
    let row = build(&before, &journal, &facts(4000));
    let size = serde_json::to_vec(&row).unwrap().len();
    assert!(size <= 4_900, "{size} bytes, metadata not counted");

    let left: Vec<&str> = row.steps.iter().map(|e| e.name.as_str()).collect();
    let recipe = names[..15].iter().copied();
    let mut wanted: Vec<&str> = recipe
        .chain(["run-function-7", "before-function"])
        .collect();
    wanted.extend(["power-off-clone", "unmap-after", "end-copy"]);
    assert_eq!(left, wanted, "further ones that ended well are in the log");
    assert_eq!(row.progress.as_deref(), Some("21/49"));
    let entry = |name: &str| row.steps.iter().find(|e| e.name == name).unwrap();
    for name in [
        "resume-source",
        "start-copy",
        "start-clone",
        "await-clone",
        "run-function-7",
    ] {
        assert!(entry(name).end.is_some(), "{name}");
    }
    assert_eq!(entry("run-function-7").attempts, 12);
    assert_eq!(row.prepare_on_source.as_deref(), Some("9:00"));
    assert!(conditions::is_true(&row.conditions, "SourceResumed"));
    assert_eq!(build(&row, &journal_of(&row), &facts(4001)), row);
}

const LOGS: [&str; 4] = ["steps", "joblog", "history", "devices"];
