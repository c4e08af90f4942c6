#[path = "status_saves_tests.rs"]
mod saves;
#[path = "status_size_tests.rs"]
mod size;

use super::super::ended::end_image;
use super::*;
use crate::api::run::Resolved;
use crate::controllers::conditions;
use crate::engine::journal::{Verdict, WindowPart};
use crate::recipe::image_mark;
use chrono::{TimeDelta, TimeZone, Utc};

const USER: &[&str] = &[
    "verify-site",
    "write-parameters",
    "stop-clone",
    "unmap-volumes",
    "end-image",
    "prepare-copy",
    "suspend-source",
    "start-copy",
    "resume-source",
    "map-volumes",
    "start-clone",
    "await-clone",
    "run-function",
    "collect-logs",
    "settle",
];

fn at(seconds: i64) -> Timestamp {
    let start = Utc.with_ymd_and_hms(2026, 11, 23, 7, 36, 0).unwrap();
    Timestamp::new(start + TimeDelta::seconds(seconds))
}

fn facts(seconds: i64) -> RowFacts {
    RowFacts {
        generation: Some(1),
        mode: RunMode::Clone,
        now: at(seconds),
    }
}

fn opened() -> CloneRunStatus {
    CloneRunStatus {
        number: Some(412),
        function: Some("USER".to_owned()),
        resolved: Some(Resolved {
            image: None,
            environment_uid: "0b7cfa0a-6c9e-4b0a-9b53-6f1d0fbb5c11".to_owned(),
            generation: 7,
            sha256: "ab".repeat(32),
            device_number: 3,
            pins: Facts::from([("clonePartition".to_owned(), "U".repeat(36))]),
            spec: None,
        }),
        ..CloneRunStatus::default()
    }
}

/// A run whose first `done` steps took 60 s each.
fn journal(done: usize) -> Journal {
    let mut journal = Journal::open("user-overwrite-vscsi-v1", "TOKEN123", USER);
    journal.phase = Phase::Running;
    journal.started_at = Some(at(0));
    for (n, entry) in journal.steps.iter_mut().take(done).enumerate() {
        let n = i64::try_from(n).unwrap();
        entry.state = EntryState::Done;
        entry.attempts = 1;
        entry.start = Some(at(n * 60));
        entry.end = Some(at(n * 60 + 60));
    }
    journal
}

fn finish(journal: &mut Journal, phase: Phase, seconds: i64) {
    journal.phase = phase;
    journal.finished_at = Some(at(seconds));
    journal.verdict = Some(Verdict {
        phase,
        reason: "Completed".to_owned(),
        message: "the function ended normally".to_owned(),
        at: at(seconds),
    });
}

#[test]
fn the_journal_survives_the_status() {
    let mut journal = journal(8);
    journal.incur(ObligationKind::ResumeSource, "suspend-source", at(400));
    journal.window = Some(WindowRecord {
        token: "once".to_owned(),
        opened: Some(at(400)),
        parts: vec![WindowPart {
            what: "start copy".to_owned(),
            microseconds: 5,
            device_milliseconds: None,
        }],
        ..WindowRecord::default()
    });
    journal.warnings.push("a warning".to_owned());
    journal.notes.push("a note".to_owned());
    journal.revision = 17;
    journal.writer = "writer".to_owned();
    let status = build(&opened(), &journal, &facts(500));
    assert_eq!(journal_of(&status), journal);
    let text = serde_json::to_string(&status).unwrap();
    let back: CloneRunStatus = serde_json::from_str(&text).unwrap();
    assert_eq!(journal_of(&back), journal, "also over the wire");
}

#[test]
fn an_open_run_shows_step_place_and_lengths() {
    let mut journal = journal(12);
    journal.steps[12].message = Some("job queued on QSYSNOMAX".to_owned());
    let status = build(&opened(), &journal, &facts(720));
    assert_eq!(status.state.as_deref(), Some("RUNNING"));
    assert_eq!(status.step.as_deref(), Some("run-function"));
    assert_eq!(status.progress.as_deref(), Some("13/15"));
    assert_eq!(status.started.as_deref(), Some("2026-11-23T07:36:00Z"));
    assert_eq!(status.prepare_on_source.as_deref(), Some("9:00"));
    assert_eq!(status.prepare_on_clone.as_deref(), Some("2:00"));
    assert_eq!(status.flash_copy_active.as_deref(), Some("since 07:44Z"));
    assert_eq!(status.partition_active.as_deref(), Some("since 07:47Z"));
    assert_eq!(status.message.as_deref(), Some("job queued on QSYSNOMAX"));
    assert!(conditions::is_true(&status.conditions, "Reconciling"));
    assert_eq!(
        conditions::get(&status.conditions, "Succeeded")
            .unwrap()
            .status,
        "Unknown"
    );
}

#[test]
fn a_queued_run_shows_where_it_waits() {
    let mut journal = journal(1);
    journal.phase = Phase::Queued;
    journal.steps[1].message = Some("2|ibmi/nightly-1 (target set CLONE1)".to_owned());
    let status = build(&opened(), &journal, &facts(60));
    let queue = status.queue.clone().unwrap();
    assert_eq!(queue.since, Some(at(60)));
    journal.steps[1].message = Some("1|ibmi/nightly-1 (target set CLONE1)".to_owned());
    let nearer = build(&status, &journal, &facts(90)).queue.unwrap();
    assert_eq!((nearer.position, nearer.since), (1, Some(at(60))));
    assert_eq!(
        (queue.position, queue.blocked_by.as_str()),
        (2, "ibmi/nightly-1 (target set CLONE1)")
    );
    assert_eq!(status.reason.as_deref(), Some("Queued"));
    journal.phase = Phase::Running;
    journal.steps[1].message = None;
    assert_eq!(build(&status, &journal, &facts(61)).queue, None);
}

#[test]
fn words_of_the_history_display() {
    for (phase, mode, function, word) in [
        (Phase::Succeeded, RunMode::Clone, "USER", "USER_END"),
        (Phase::Warning, RunMode::Clone, "HOLD", "HOLD"),
        (Phase::Succeeded, RunMode::Preflight, "USER", "PREFLIGHT"),
        (Phase::Failed, RunMode::Preflight, "USER", "ERROR"),
        (Phase::Cancelled, RunMode::Clone, "USER", "CANCELLED"),
        (Phase::Skipped, RunMode::Clone, "USER", "SKIPPED"),
    ] {
        let mut journal = journal(15);
        finish(&mut journal, phase, 900);
        let mut before = opened();
        before.function = Some(function.to_owned());
        let facts = RowFacts { mode, ..facts(900) };
        let status = build(&before, &journal, &facts);
        assert_eq!(status.state.as_deref(), Some(word));
        assert_eq!(
            conditions::is_true(&status.conditions, "Stalled"),
            phase == Phase::Failed
        );
        assert!(conditions::get(&status.conditions, "Reconciling").is_none());
    }
}

#[test]
fn the_row_of_an_ended_image_stops_counting_and_stays_ended() {
    let mut journal = journal(15);
    finish(&mut journal, Phase::Succeeded, 900);
    let mut status = build(&opened(), &journal, &facts(900));
    end_image(&mut status, at(480 + 28_355));
    assert_eq!(status.state.as_deref(), Some("END_FC"));
    assert_eq!(status.flash_copy_active.as_deref(), Some("7:52:35"));
    assert_eq!(status.partition_active.as_deref(), Some("7:49:35"));
    let closed = status.clone();
    end_image(&mut status, at(99_999));
    assert_eq!(status, closed, "ending twice changes nothing");
    let again = build(&status, &journal_of(&status), &facts(99_999));
    assert_eq!(again.state.as_deref(), Some("END_FC"));
    assert_eq!(again.flash_copy_active.as_deref(), Some("7:52:35"));

    let mut failed = build(
        &opened(),
        &{
            let mut j = self::journal(11);
            finish(&mut j, Phase::Failed, 700);
            j
        },
        &facts(700),
    );
    end_image(&mut failed, at(2_000));
    assert_eq!(failed.state.as_deref(), Some("ERROR"));
    assert_eq!(failed.flash_copy_active.as_deref(), Some("25:20"));
}

#[test]
fn an_unmet_obligation_is_loud() {
    let mut journal = journal(6);
    journal.incur(ObligationKind::ResumeSource, "suspend-source", at(360));
    let quiet = build(&opened(), &journal, &facts(361));
    assert!(!conditions::is_true(&quiet.conditions, "NeedsAttention"));
    assert_eq!(
        conditions::get(&quiet.conditions, "SourceResumed")
            .unwrap()
            .status,
        "False"
    );
    journal.obligations[0].attempts = 3;
    journal.obligations[0].message = Some("PROD cannot be reached".to_owned());
    let loud = build(&quiet, &journal, &facts(380));
    assert!(conditions::is_true(&loud.conditions, "NeedsAttention"));
    assert!(
        loud.message
            .unwrap()
            .contains("resuming production is still owed")
    );
    journal.meet(ObligationKind::ResumeSource, at(400), "RESUME returned 0");
    let met = build(&quiet, &journal, &facts(401));
    assert!(conditions::is_true(&met.conditions, "SourceResumed"));
    assert!(!conditions::is_true(&met.conditions, "NeedsAttention"));
}

#[test]
fn results_survive_the_slimming() {
    let mut journal = journal(15);
    journal.steps[12]
        .output
        .insert("saveMilliseconds".into(), "1897000".into());
    journal.steps[13]
        .output
        .insert("messages".into(), "1204".into());
    journal.steps[13].output.insert("errors".into(), "3".into());
    journal.steps[13]
        .output
        .insert("failureTail".into(), "CPF3770 a\nCPF3771 b".into());
    journal.steps[14]
        .output
        .insert("diskUsedPercent".into(), "12".into());
    finish(&mut journal, Phase::Warning, 900);
    let row = build(&opened(), &journal, &facts(900));
    assert!(row.steps.iter().all(|e| e.output.is_empty()));
    let again = build(&row, &journal_of(&row), &facts(950));
    for status in [&row, &again] {
        assert_eq!(status.save.as_deref(), Some("31:37"));
        assert_eq!(
            (status.messages, status.errors, status.disk_used_percent),
            (Some(1204), Some(3), Some(12))
        );
        assert_eq!(status.failure_tail, ["CPF3770 a", "CPF3771 b"]);
        assert_eq!(
            status.message.as_deref(),
            Some("the function ended normally")
        );
        assert_eq!(status.reason.as_deref(), Some("Completed"));
        assert_eq!(status.duration.as_deref(), Some("15:00"));
    }
    assert_eq!(row, again, "a final row is the same whenever it is built");
}

/// `start-held` has to prove after weeks that the image is still of this run (`product.md` § 5.1).
#[test]
fn a_final_row_keeps_what_proves_its_image() {
    let mut journal = journal(15);
    let maps: Vec<String> = (0..300)
        .map(|n| format!("C1MAP_{n}=261123041233"))
        .collect();
    let mark = maps.join(",");
    journal.steps[7]
        .output
        .insert("started".into(), mark.clone());
    journal.window = Some(WindowRecord {
        opened: Some(at(420)),
        closed: Some(at(480)),
        ..WindowRecord::default()
    });
    let mut opened = opened();
    let resolved = opened.resolved.as_mut().unwrap();
    resolved
        .pins
        .insert("arraySystem".into(), "000002032CA0FF0E".into());
    let yaml = include_str!("../testdata/environment.yaml");
    resolved.spec = Some(serde_saphyr::from_str(yaml).unwrap());
    let open = build(&opened, &journal, &facts(800));
    finish(&mut journal, Phase::Succeeded, 900);
    let row = build(&open, &journal, &facts(900));
    let image = row.image.clone().unwrap();
    assert_eq!(image.mark, image_mark(&mark));
    assert_eq!(image.mark.len(), 64);
    assert_ne!(image.mark, image_mark(&mark.replace("33", "34")));
    assert!(
        image.target_set.starts_with("000002032CA0FF0E/") && image.target_set.len() > 17,
        "{}",
        image.target_set
    );
    assert_eq!(image.taken_at, Some(at(480)));
    let again = build(&row, &journal_of(&row), &facts(950));
    assert_eq!(again.image, row.image);
    let mut ended = row;
    end_image(&mut ended, at(2_000));
    let ended = build(&ended, &journal_of(&ended), &facts(2_050));
    assert_eq!(ended.image, None, "the image is gone");
}

/// An image of a window that failed is nobody's.
#[test]
fn an_image_that_is_not_clean_is_not_named() {
    let mut journal = journal(9);
    journal.steps[7]
        .output
        .insert("started".into(), "M=1".into());
    journal.window = Some(WindowRecord {
        opened: Some(at(420)),
        closed: Some(at(480)),
        failure: Some("WatchdogFired: it was resumed too early".into()),
        ..WindowRecord::default()
    });
    assert_eq!(build(&opened(), &journal, &facts(800)).image, None);
}

fn log(kind: &str) -> crate::api::run::LogRef {
    crate::api::run::LogRef {
        kind: kind.to_owned(),
        config_map: format!("nightly-user-20261124t2300z-log-{kind}-001"),
        parts: 1,
        lines: 12_345,
    }
}

/// A run that has copied cleanly, whose environment ends its image 60 s after its end.
fn to_be_ended(on_failure: OnFailure) -> (CloneRunStatus, Journal) {
    let mut journal = journal(15);
    let copied = journal.entry_mut("start-copy").unwrap();
    copied.output.insert("started".into(), "M=1".into());
    let program = journal.entry_mut("run-function").unwrap();
    program.output.insert("result".into(), "ok".into());
    journal.window = Some(WindowRecord {
        opened: Some(at(420)),
        closed: Some(at(480)),
        ..WindowRecord::default()
    });
    let mut opened = opened();
    let yaml = include_str!("../testdata/environment.yaml");
    let mut spec: crate::api::CloneEnvironmentSpec = serde_saphyr::from_str(yaml).unwrap();
    spec.after.end_after_seconds = 60;
    spec.after.on_failure = on_failure;
    opened.resolved.as_mut().unwrap().spec = Some(spec);
    (opened, journal)
}

#[test]
fn the_end_of_an_image_is_written_with_a_good_end_and_with_a_bad_one_only_where_apply_says_so() {
    use OnFailure::{Apply, Keep};
    for (phase, on_failure, wanted) in [
        (Phase::Succeeded, Keep, Some(60)),
        (Phase::Warning, Keep, Some(60)),
        (Phase::Failed, Keep, None),
        (Phase::Failed, Apply, Some(60)),
        (Phase::Cancelled, Apply, None),
        (Phase::Running, Apply, None),
    ] {
        let (opened, mut journal) = to_be_ended(on_failure);
        finish(&mut journal, phase, 900);
        let row = build(&opened, &journal, &facts(900));
        let image = row.image.clone().unwrap();
        assert_eq!(image.end_after_seconds, wanted, "{phase:?} {on_failure:?}");
        let again = build(&row, &journal_of(&row), &facts(950));
        assert_eq!(again.image, row.image);
    }
}

/// A job that may still write to a tape is not cut off by a time that passes.
#[test]
fn a_failed_run_whose_job_may_still_be_active_keeps_its_image() {
    for (result, wanted) in [("overrun", None), ("failed", Some(60))] {
        let (opened, mut journal) = to_be_ended(OnFailure::Apply);
        let program = journal.entry_mut("run-function").unwrap();
        program.output.insert("result".into(), result.into());
        finish(&mut journal, Phase::Failed, 900);
        let row = build(&opened, &journal, &facts(900));
        assert_eq!(row.image.unwrap().end_after_seconds, wanted, "{result}");
    }
}

/// Further steps behind the list, 60 s each from 900 s on.
fn with_steps(mut journal: Journal, names: &[&str]) -> Journal {
    for (n, name) in names.iter().enumerate() {
        let start = 900 + 60 * i64::try_from(n).unwrap();
        journal.steps.push(Entry {
            name: (*name).to_owned(),
            state: EntryState::Done,
            start: Some(at(start)),
            end: Some(at(start + 60)),
            ..Entry::default()
        });
    }
    journal
}

#[test]
fn save_lasts_from_the_first_programs_start_to_the_last_ones_end() {
    let mut journal = with_steps(journal(13), &["run-function-2"]);
    journal.steps[12]
        .output
        .insert("saveMilliseconds".into(), "600000".into());
    finish(&mut journal, Phase::Succeeded, 9000);
    let row = build(&opened(), &journal, &facts(9000));
    // 10 minutes by its own system, and 3 until the second one was seen to end.
    assert_eq!(row.save.as_deref(), Some("13:00"));
    assert_eq!(build(&row, &journal_of(&row), &facts(9001)), row);
}

#[test]
fn save_is_not_told_while_a_program_is_still_to_come() {
    let mut journal = with_steps(journal(13), &["run-function-2"]);
    journal.steps.last_mut().unwrap().state = EntryState::Intended;
    assert_eq!(build(&opened(), &journal, &facts(900)).save, None);
}

#[test]
fn a_run_that_has_ended_its_own_image_is_end_fc_and_its_lengths_have_stopped() {
    let mut journal = with_steps(journal(15), &["power-off-clone", "unmap-after", "end-copy"]);
    finish(&mut journal, Phase::Succeeded, 9000);
    let row = build(&opened(), &journal, &facts(9000));
    assert_eq!(row.state.as_deref(), Some("END_FC"));
    assert!(row.image.is_none());
    for length in [&row.partition_active, &row.flash_copy_active] {
        assert!(!length.as_ref().unwrap().contains("since"), "{length:?}");
    }
    assert_eq!(build(&row, &journal_of(&row), &facts(9001)), row);
    // A failure keeps its word, and its image is gone all the same.
    journal.phase = Phase::Failed;
    let row = build(&opened(), &journal, &facts(9000));
    assert_eq!(row.state.as_deref(), Some("ERROR"));
    assert!(row.image.is_none());
}
