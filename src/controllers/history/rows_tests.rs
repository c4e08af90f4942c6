use super::*;
use kube::core::{ObjectMeta, PartialObjectMetaExt};

fn key() -> Key {
    Key {
        namespace: "ibmi".to_owned(),
        name: "nightly".to_owned(),
    }
}

fn history(succeeded: i32, failed: i32, skipped: i32) -> History {
    History {
        succeeded,
        failed,
        skipped,
    }
}

/// A finished run with a generated name, created at second `number`.
fn run(number: i64, outcome: &str) -> PartialObjectMeta<CloneRun> {
    let labels = [
        (ENVIRONMENT_LABEL, "nightly".to_owned()),
        (OUTCOME_LABEL, outcome.to_owned()),
        (NUMBER_LABEL, number.to_string()),
    ];
    ObjectMeta {
        name: Some(format!("nightly-{number}")),
        generate_name: Some("nightly-".to_owned()),
        namespace: Some("ibmi".to_owned()),
        creation_timestamp: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::from_second(number).expect("is a time"),
        )),
        labels: Some(labels.map(|(k, v)| (k.to_owned(), v)).into_iter().collect()),
        ..ObjectMeta::default()
    }
    .into_response_partial()
}

fn apply(rows: &mut Rows, run: PartialObjectMeta<CloneRun>) -> Vec<Key> {
    rows.saw(None, &Event::Apply(run))
}

#[test]
fn the_oldest_of_each_outcome_go_first_and_each_outcome_has_its_count() {
    let mut rows = Rows::default();
    for (number, outcome) in [
        (1, "Succeeded"),
        (2, "Failed"),
        (3, "Warning"),
        (4, "Skipped"),
        (5, "Cancelled"),
        (6, "Succeeded"),
        (7, "Skipped"),
    ] {
        assert_eq!(apply(&mut rows, run(number, outcome)), [key()]);
    }
    assert!(rows.beyond(&key(), &history(3, 2, 2)).is_empty());
    let beyond = rows.beyond(&key(), &history(1, 1, 1));
    assert_eq!(beyond, ["nightly-1", "nightly-2", "nightly-3", "nightly-4"]);
    let beyond = rows.beyond(&key(), &history(3, 0, 1));
    assert_eq!(beyond, ["nightly-2", "nightly-4", "nightly-5"]);
}

#[test]
fn open_runs_and_runs_with_a_name_of_a_person_never_go_and_are_not_counted() {
    let mut rows = Rows::default();
    let mut open = run(1, "Succeeded");
    open.metadata.finalizers = Some(vec!["ibmiclone.dev/run".to_owned()]);
    let mut unlabelled = run(2, "Succeeded");
    unlabelled.labels_mut().remove(OUTCOME_LABEL);
    let mut named = run(3, "Succeeded");
    named.metadata.generate_name = None;
    let mut slot = run(4, "Succeeded");
    slot.metadata.generate_name = None;
    slot.metadata.name = Some("nightly-20261124t0000z".to_owned());
    for run in [open, unlabelled, named, slot] {
        apply(&mut rows, run);
    }
    apply(&mut rows, run(5, "Succeeded"));
    assert_eq!(rows.len(), 2);
    assert_eq!(
        rows.beyond(&key(), &history(1, 0, 0)),
        ["nightly-20261124t0000z"]
    );
}

#[test]
fn what_vanished_while_nobody_watched_is_forgotten_in_its_scope_only() {
    let mut rows = Rows::default();
    apply(&mut rows, run(1, "Succeeded"));
    apply(&mut rows, run(2, "Succeeded"));
    let scope = Some("other");
    rows.saw(scope, &Event::Init);
    rows.saw(scope, &Event::InitDone);
    assert_eq!(rows.len(), 2);
    rows.saw(None, &Event::Init);
    rows.saw(None, &Event::InitApply(run(2, "Succeeded")));
    assert_eq!(rows.saw(None, &Event::InitDone), [key()]);
    assert_eq!(rows.len(), 1);
    rows.saw(None, &Event::Delete(run(2, "Succeeded")));
    assert!(rows.is_empty());
}

/// A run whose status is written many times is one row, and ten thousand rows are a few megabytes (`architecture.md` § 8).
#[test]
fn a_row_is_small() {
    assert!(std::mem::size_of::<Row>() <= 24);
    let mut rows = Rows::default();
    for _ in 0..3 {
        for number in 0..1_000 {
            apply(&mut rows, run(number, "Failed"));
        }
    }
    assert_eq!(rows.len(), 1_000);
}

/// Of 10,000 finished runs the operator keeps their names and this, never their journals: about 1 MiB.
#[test]
fn a_row_is_three_numbers_and_nothing_that_grows_with_the_run() {
    fn plain<T: Copy>() -> usize {
        std::mem::size_of::<T>()
    }
    assert!(plain::<Row>() <= 24);
    let mut rows = Rows::default();
    for number in 1..=10_000 {
        let mut run = run(number, "Succeeded");
        let note = (
            "kubectl.kubernetes.io/last-applied-configuration",
            "x".repeat(10_000),
        );
        run.metadata.annotations = Some([(note.0.to_owned(), note.1)].into());
        apply(&mut rows, run);
    }
    assert_eq!(rows.len(), 10_000);
    let names = rows.by_environment[&key()].keys().map(String::len);
    assert!(names.max().unwrap_or_default() <= 13, "a name and no more");
    assert!(rows.listing.is_empty());
}
