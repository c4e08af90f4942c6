use super::*;
use crate::api::CloneEnvironment;
use crate::api::run::{CloneRunStatus, Frozen, Queue};
use crate::commands::samples;
use crate::controllers::history::line::ArchivedRun;
use crate::engine::journal::{Entry, EntryState, Phase};
use crate::engine::time::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("is RFC 3339")
}

fn stamp(text: &str) -> Option<Timestamp> {
    Some(Timestamp::new(at(text)))
}

fn run(name: &str, created: &str, status: CloneRunStatus) -> CloneRun {
    let mut run = samples::run(name);
    run.metadata.creation_timestamp = Some(Time(created.parse().expect("is RFC 3339")));
    run.metadata.namespace = Some("ibmi".into());
    run.status = Some(status);
    run
}

fn done(number: i64) -> CloneRunStatus {
    CloneRunStatus {
        phase: Phase::Succeeded,
        state: Some("USER_END".into()),
        number: Some(number),
        function: Some("USER".into()),
        step: Some("settle".into()),
        started: Some("2026-11-23T00:00:02Z".into()),
        started_at: stamp("2026-11-23T00:00:02.250Z"),
        prepare_on_source: Some("1:37".into()),
        prepare_on_clone: Some("31:37".into()),
        save: Some("7:52:35".into()),
        messages: Some(1214),
        errors: Some(0),
        disk_used_percent: Some(12),
        frozen: Some(Frozen {
            milliseconds: Some(2480),
            ..Frozen::default()
        }),
        duration: Some("8:25:49".into()),
        ..CloneRunStatus::default()
    }
}

fn entry(name: &str, state: EntryState, start: Option<&str>, end: Option<&str>) -> Entry {
    Entry {
        name: name.into(),
        state,
        start: start.and_then(stamp),
        end: end.and_then(stamp),
        ..Entry::default()
    }
}

/// Saves since one hour.
fn saving() -> CloneRunStatus {
    CloneRunStatus {
        phase: Phase::Running,
        state: Some("RUNNING".into()),
        number: Some(13),
        step: Some("run-function".into()),
        started: Some("2026-11-24T00:00:00Z".into()),
        started_at: stamp("2026-11-24T00:00:00Z"),
        prepare_on_source: Some("1:40".into()),
        prepare_on_clone: Some("27:00".into()),
        partition_active: Some("since 00:03Z".into()),
        flash_copy_active: Some("since 00:01Z".into()),
        steps: vec![
            entry(
                "start-copy",
                EntryState::Done,
                Some("2026-11-24T00:01:00Z"),
                Some("2026-11-24T00:01:02Z"),
            ),
            entry(
                "resume-source",
                EntryState::Done,
                Some("2026-11-24T00:01:00Z"),
                Some("2026-11-24T00:01:40Z"),
            ),
            entry(
                "start-clone",
                EntryState::Done,
                Some("2026-11-24T00:02:00Z"),
                Some("2026-11-24T00:03:00Z"),
            ),
            entry(
                "await-clone",
                EntryState::Done,
                Some("2026-11-24T00:03:00Z"),
                Some("2026-11-24T00:30:00Z"),
            ),
            entry(
                "run-function",
                EntryState::Intended,
                Some("2026-11-24T00:30:00Z"),
                None,
            ),
        ],
        ..CloneRunStatus::default()
    }
}

fn rows(runs: &[CloneRun], now: &str) -> Vec<Vec<Row>> {
    let rows = runs.iter().map(|run| Row::new(run, at(now)));
    group(rows.collect(), None, None)
}

fn narrow(groups: &[Vec<Row>], view: View) -> String {
    tables(
        groups,
        |_| String::new(),
        |rows| fitting(rows, view, TERMINAL),
    )
}

#[test]
fn the_default_table_shows_the_newest_run_first_with_durations_that_still_count() {
    let runs = [
        run("nightly-1", "2026-11-23T00:00:00Z", done(12)),
        run("nightly-2", "2026-11-24T00:00:00Z", saving()),
    ];
    let groups = rows(&runs, "2026-11-24T01:30:05Z");
    let expected = "
                                       PREPA PREPA          PARTIT  FLASHC   %
NBR DATE       TIME  STATUS    MSG ERR  PROD CLONE    SAVE  ACTIVE  ACTIVE DSK
 13 2026-11-24 00:00 RUNNING     -   -  1:40 27:00 1:00:05 1:27:05 1:29:03   -
 12 2026-11-23 00:00 USER_END 1214   0  1:37 31:37 7:52:35       -       -  12
";
    assert_eq!(
        narrow(&groups, View::Durations),
        expected.trim_start_matches('\n')
    );
}

#[test]
fn times_stand_where_the_durations_did() {
    let mut status = saving();
    status.phase = Phase::Succeeded;
    status.save = Some("1:00:05".into());
    status.finished_at = stamp("2026-11-24T01:31:00Z");
    if let Some(last) = status.steps.last_mut() {
        last.state = EntryState::Done;
        last.end = stamp("2026-11-24T01:30:06Z");
    }
    let runs = [run("nightly-2", "2026-11-24T00:00:00Z", status)];
    let groups = rows(&runs, "2026-11-25T01:30:05Z");
    let expected = "
                                    PROD    CLONE     SAVE     SAVE      RUN
NBR DATE       START    STATUS   RESUMED    READY    START      END      END
 13 2026-11-24 00:00:00 RUNNING 00:01:40 00:30:00 00:30:01 01:30:06 01:31:00
";
    assert_eq!(
        narrow(&groups, View::Times),
        expected.trim_start_matches('\n')
    );
}

#[test]
fn neither_view_ever_needs_more_than_80_columns_and_what_identifies_is_whole() {
    let mut worst = done(123_456);
    worst.state = Some("RELEASE_HELD".into());
    worst.messages = Some(123_456_789);
    worst.errors = Some(99_999);
    worst.prepare_on_source = Some("1:02:03".into());
    worst.prepare_on_clone = Some("1:31:37".into());
    worst.save = Some("17:52:35".into());
    worst.partition_active = Some("9999:59:59".into());
    worst.flash_copy_active = Some("9999:59:59".into());
    worst.disk_used_percent = Some(100);
    worst.finished_at = stamp("2026-12-28T03:04:05Z");
    let runs = [
        run("nightly-1", "2026-11-23T00:00:00Z", worst),
        run("nightly-2", "2026-11-24T00:00:00Z", saving()),
    ];
    let groups = rows(&runs, "2026-11-24T01:30:05Z");
    for view in [View::Durations, View::Times] {
        let table = narrow(&groups, view);
        assert!(
            table.contains("123456") && table.contains("RELEASE_HELD"),
            "{table}"
        );
        for line in table.lines() {
            let width = line.chars().count();
            assert!(width <= TERMINAL, "{width}: {line}");
        }
    }
}

#[test]
fn above_the_rows_stand_operator_partitions_function_schedule_and_the_run_under_way() {
    let mut environment: CloneEnvironment = samples::environment();
    environment.metadata.namespace = Some("ibmi".into());
    environment.metadata.name = Some("nightly-user".into());
    let runs = vec![run("nightly-2", "2026-11-24T00:00:00Z", saving())];
    let known = Known {
        rows: Vec::new(),
        environments: vec![environment],
        runs: runs.clone(),
        operator: Default::default(),
    };
    let mut headings = Headings {
        known: &known,
        namespaces: false,
        now: at("2026-11-24T01:30:05Z"),
    };
    let groups = rows(&runs, "2026-11-24T01:30:05Z");
    let row = &groups[0][0];
    let text = headings.of(row);
    for said in [
        "Environment .: nightly-user, function *USER\n",
        "PROD on P10-PARIS (production)\n",
        "CLONE1 on P10-PARIS (clone)\n",
        "Schedule  . .: by hand",
        "Under way . .: number 13: at run-function (?), since 1:30:05\n",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    headings.namespaces = true;
    assert!(
        headings
            .of(row)
            .starts_with("Environment .: ibmi/nightly-user, ")
    );
    let gone = Row {
        environment: "other".into(),
        ..row.clone()
    };
    assert!(
        headings
            .of(&gone)
            .contains("ibmi/other (does not exist any more)")
    );
}

#[test]
fn what_is_still_going_on_counts_until_now_and_what_is_over_does_not() {
    let row = Row::new(
        &run("n", "2026-11-24T00:00:00Z", saving()),
        at("2026-11-24T01:30:05Z"),
    );
    assert_eq!(row.save.as_deref(), Some("1:00:05"));
    assert_eq!(row.prepare_on_source.as_deref(), Some("1:40"));
    assert_eq!(row.partition_active.as_deref(), Some("1:27:05"));
    assert_eq!(row.flash_copy_active.as_deref(), Some("1:29:03"));
    assert_eq!(row.duration.as_deref(), Some("1:30:05"));

    let mut failed = saving();
    failed.phase = Phase::Failed;
    failed.prepare_on_source = None;
    let row = Row::new(
        &run("n", "2026-11-24T00:00:00Z", failed),
        at("2026-11-25T00:00:00Z"),
    );
    assert_eq!(
        (row.save, row.prepare_on_source, row.duration),
        (None, None, None)
    );
}

#[test]
fn production_is_counted_until_it_is_resumed() {
    let mut frozen = saving();
    frozen.prepare_on_source = None;
    frozen.steps = vec![entry(
        "resume-source",
        EntryState::Intended,
        Some("2026-11-24T00:01:00Z"),
        None,
    )];
    let row = Row::new(
        &run("n", "2026-11-24T00:00:00Z", frozen),
        at("2026-11-24T00:01:05Z"),
    );
    assert_eq!(row.prepare_on_source.as_deref(), Some("1:05"));
}

/// Its clone is ready only behind the save: hours of a tape are no preparation.
#[test]
fn a_full_save_at_work_counts_as_save_alone() {
    let mut full = saving();
    full.prepare_on_clone = None;
    full.steps.swap(3, 4);
    full.steps[4] = entry("await-clone", EntryState::Pending, None, None);
    let row = Row::new(
        &run("n", "2026-11-24T00:00:00Z", full),
        at("2026-11-24T03:30:00Z"),
    );
    assert_eq!(
        (row.prepare_on_clone, row.save.as_deref()),
        (None, Some("3:00:00"))
    );
}

#[test]
fn a_run_that_has_not_opened_stands_on_top_and_a_queued_one_shows_its_place() {
    let queued = CloneRunStatus {
        phase: Phase::Queued,
        queue: Some(Queue {
            since: None,
            position: 2,
            blocked_by: "ibmi/x (source)".into(),
        }),
        ..CloneRunStatus::default()
    };
    let runs = [
        run("new", "2026-11-24T00:00:00Z", queued),
        run("old", "2026-11-23T00:00:00Z", done(12)),
    ];
    let groups = rows(&runs, "2026-11-24T01:00:00Z");
    let row = &groups[0][0];
    assert_eq!(row.name, "new");
    assert_eq!(
        (row.state.as_str(), row.step.as_deref()),
        ("RUNNING", Some("queue 2"))
    );
}

#[test]
fn environments_have_tables_of_their_own_and_the_last_active_one_comes_first() {
    let mut other = run("hold-1", "2026-11-24T12:00:00Z", done(3));
    other.spec.environment = "midday-hold".into();
    let runs = [run("nightly-1", "2026-11-23T00:00:00Z", done(12)), other];
    let text = tables(
        &rows(&runs, "2026-11-25T00:00:00Z"),
        |row| format!("{}/{}\n", row.namespace, row.environment),
        |rows| fitting(rows, View::Durations, TERMINAL),
    );
    let headings: Vec<&str> = text.lines().filter(|l| l.contains('/')).collect();
    assert_eq!(headings, ["ibmi/midday-hold", "ibmi/nightly-user"]);
}

#[test]
fn function_and_limit_choose_rows() {
    let mut hold = done(2);
    hold.function = Some("HOLD".into());
    let runs = [
        run("a", "2026-11-21T00:00:00Z", done(1)),
        run("b", "2026-11-22T00:00:00Z", hold),
        run("c", "2026-11-23T00:00:00Z", done(3)),
    ];
    let names = |function, limit| -> Vec<String> {
        let now = at("2026-11-24T00:00:00Z");
        let rows = runs.iter().map(|run| Row::new(run, now)).collect();
        let groups = group(rows, function, limit);
        groups.into_iter().flatten().map(|row| row.name).collect()
    };
    assert_eq!(names(Some(Function::User), None), ["c", "a"]);
    assert_eq!(names(None, Some(2)), ["c", "b"]);
}

#[test]
fn json_rows_carry_the_names_of_the_status_fields() {
    let row = Row::new(
        &run("n", "2026-11-23T00:00:00Z", done(12)),
        at("2026-11-24T00:00:00Z"),
    );
    let json = serde_json::to_value(&row).expect("a row is plain JSON");
    assert_eq!(json["prepareOnSource"], "1:37");
    assert_eq!(json["diskUsedPercent"], 12);
    assert_eq!(json["freeze"], "2.4 s");
    assert_eq!(json["phase"], "Succeeded");
}

#[test]
fn a_skipped_run_stands_where_it_was_and_an_archived_row_among_the_others() {
    let skipped = CloneRunStatus {
        phase: Phase::Skipped,
        state: Some("SKIPPED".into()),
        ..CloneRunStatus::default()
    };
    let now = at("2026-11-26T00:00:00Z");
    let objects = [
        // Created first and opened last: it waited for a device.
        run("c", "2026-11-20T00:00:00Z", done(4)),
        run("skipped", "2026-11-23T12:00:00Z", skipped),
        run("b", "2026-11-24T00:00:00Z", done(3)),
        run("new", "2026-11-25T00:00:00Z", CloneRunStatus::default()),
    ];
    let mut old = run("a", "2026-11-22T00:00:00Z", done(2));
    old.metadata.uid = Some("11111111-2222-4333-a444-555555555555".into());
    let line = ArchivedRun::of(&old).expect("it is final");
    let line = serde_json::from_str(&line.text()).expect("what was written is read");
    let mut rows: Vec<Row> = objects.iter().map(|run| Row::new(run, now)).collect();
    rows.push(Row::archived("ibmi", "nightly-user", line));
    let groups = group(rows, None, None);
    let names: Vec<&str> = groups[0].iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["new", "c", "skipped", "b", "a"]);
    let archived = groups[0].last().expect("five rows");
    let fresh = Row::new(&old, now);
    let wanted = Row {
        archived: true,
        ..fresh
    };
    assert_eq!(
        *archived, wanted,
        "nothing that is shown is lost on the way"
    );
}

#[test]
fn csv_has_every_field_of_a_row_and_quotes_what_needs_it() {
    let mut status = done(12);
    status.message = Some("3 errors, \"CPF3770\" first".into());
    let row = Row::new(
        &run("n", "2026-11-23T00:00:00Z", status),
        at("2026-11-24T00:00:00Z"),
    );
    let json = serde_json::to_value(&row).expect("a row is plain JSON");
    let mut fields: Vec<&str> = json
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    let mut columns = row::FIELDS.to_vec();
    fields.sort_unstable();
    columns.sort_unstable();
    assert_eq!(fields, columns);
    let text = csv(&[vec![row]]).expect("is text");
    let line = text.lines().nth(1).expect("one row");
    assert!(
        line.starts_with("ibmi,nightly-user,12,n,2026-11-23T00:00:02Z,USER_END,Succeeded,settle,")
    );
    assert!(
        line.contains(",\"3 errors, \"\"CPF3770\"\" first\",false,"),
        "{line}"
    );
}
