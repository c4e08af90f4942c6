use super::*;
use crate::engine::journal::{Phase, WindowRecord};
use crate::observability::metrics::Metrics;
use crate::observability::metrics::parse::Scrape;
use serde_json::json;

fn at(seconds: u32) -> Timestamp {
    let time = format!("2026-11-24T00:00:{seconds:02}Z");
    Timestamp::new(time.parse().unwrap())
}

fn tally() -> Tally {
    let run = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": "night-1", "namespace": "ibmi"},
        "spec": {"environment": "nightly", "trigger": "Schedule"},
        "status": {"function": "HOLD"},
    });
    Tally::of(&serde_json::from_value(run).unwrap())
}

fn journal() -> Journal {
    let mut journal = Journal::open("fake-v1", "TOKEN", &["suspend-source", "start-copy"]);
    journal.phase = Phase::Running;
    journal.writer = "first".to_owned();
    journal.started_at = Some(at(0));
    journal
}

fn count(steps: &[(&Journal, &Journal)]) -> Scrape {
    let metrics = Metrics::default();
    for (previous, next) in steps {
        tally().accepted(&metrics.counted, previous, next);
    }
    Scrape::of(&metrics.encode().unwrap())
}

#[test]
fn a_window_and_a_step_and_a_run_are_counted_when_they_end_and_once() {
    let open = journal();
    let mut closed = open.clone();
    closed.window = Some(WindowRecord {
        opened: Some(at(1)),
        closed: Some(at(3)),
        microseconds: Some(1_500_000),
        ..WindowRecord::default()
    });
    let step = closed.entry_mut("start-copy").unwrap();
    (step.state, step.start, step.end) = (EntryState::Done, Some(at(1)), Some(at(3)));
    let mut over = closed.clone();
    (over.phase, over.finished_at) = (Phase::Succeeded, Some(at(40)));
    let writes = [
        (&open, &open),
        (&open, &closed),
        (&closed, &over),
        (&over, &over),
    ];
    let found = count(&writes);
    let value = |name: &str, labels: &[(&str, &str)]| found.value(name, labels);
    let nightly = [("namespace", "ibmi"), ("environment", "nightly")];
    assert_eq!(
        value("ibmiclone_freeze_duration_seconds_count", &nightly),
        Some(1.0)
    );
    assert_eq!(
        value("ibmiclone_freeze_duration_seconds_sum", &nightly),
        Some(1.5)
    );
    let done = [("step", "start-copy"), ("result", "done")];
    assert_eq!(
        value("ibmiclone_step_duration_seconds_sum", &done),
        Some(2.0)
    );
    assert_eq!(
        value(
            "ibmiclone_step_duration_seconds_count",
            &[("step", "suspend-source")]
        ),
        None
    );
    let ended = [
        ("function", "HOLD"),
        ("trigger", "Schedule"),
        ("result", "succeeded"),
    ];
    assert_eq!(value("ibmiclone_runs_total", &ended), Some(1.0));
    let hold = [("function", "HOLD"), ("result", "succeeded")];
    assert_eq!(
        value("ibmiclone_run_duration_seconds_sum", &hold),
        Some(40.0)
    );
    assert_eq!(
        value("ibmiclone_run_resumes_total", &[]),
        None,
        "nobody took over"
    );
}

#[test]
fn a_force_written_copy_held_nobody() {
    let open = journal();
    let mut closed = open.clone();
    closed.window = Some(WindowRecord {
        closed: Some(at(3)),
        ..WindowRecord::default()
    });
    let found = count(&[(&open, &closed)]);
    assert_eq!(
        found.value("ibmiclone_freeze_duration_seconds_count", &[]),
        None
    );
}

#[test]
fn a_take_over_is_counted_at_the_step_it_goes_on_with() {
    let first = journal();
    let mut second = first.clone();
    second.writer = "second".to_owned();
    let found = count(&[(&Journal::default(), &first), (&first, &second)]);
    let at = [("environment", "nightly"), ("step", "suspend-source")];
    assert_eq!(found.value("ibmiclone_run_resumes_total", &at), Some(1.0));
}
