//! Both clock-change nights of six zones (and the day a zone skipped).

#![allow(clippy::unwrap_used)]

use super::{CronLine, Zone};
use chrono::{DateTime, Utc};

/// Instants of a line between two instants (first excluded), as `ddThh:mmZ`.
fn fires(zone: &str, line: &str, from: &str, to: &str) -> Vec<String> {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let line = CronLine::parse(line).unwrap();
    let due = Zone::parse(zone)
        .unwrap()
        .between(&line, at(from), at(to), 500);
    assert!(!due.more);
    let text = |t: &DateTime<Utc>| t.format("%dT%H:%MZ").to_string();
    due.slots.iter().map(text).collect()
}

/// (zone, local midnight before the night in UTC, local midnight after it, fixed line, its instant, the pattern of two
/// times in the changing hour, its instants).
type Night = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const SPRING: &[Night] = &[
    (
        "Europe/Paris",
        "2026-03-28T22:59:00Z",
        "2026-03-29T21:59:00Z",
        "30 2 * * *",
        "29T01:00Z",
        "15,45 2 * * *",
        &["29T01:00Z"],
    ),
    (
        "America/New_York",
        "2026-03-08T04:59:00Z",
        "2026-03-09T03:59:00Z",
        "30 2 * * *",
        "08T07:00Z",
        "15,45 2 * * *",
        &["08T07:00Z"],
    ),
    // Half an hour is skipped: 02:00 -> 02:30.
    (
        "Australia/Lord_Howe",
        "2026-10-03T13:29:00Z",
        "2026-10-04T12:59:00Z",
        "10 2 * * *",
        "03T15:30Z",
        "15,45 2 * * *",
        &["03T15:30Z", "03T15:45Z"],
    ),
    // Midnight itself is skipped: 00:00 -> 01:00.
    (
        "America/Sao_Paulo",
        "2018-11-04T02:59:00Z",
        "2018-11-05T01:59:00Z",
        "0 0 * * *",
        "04T03:00Z",
        "15,45 0 * * *",
        &["04T03:00Z"],
    ),
    (
        "Africa/Casablanca",
        "2026-03-21T23:59:00Z",
        "2026-03-22T22:59:00Z",
        "30 2 * * *",
        "22T02:00Z",
        "15,45 2 * * *",
        &["22T02:00Z"],
    ),
    (
        "America/Santiago",
        "2026-09-06T03:59:00Z",
        "2026-09-07T02:59:00Z",
        "30 0 * * *",
        "06T04:00Z",
        "15,45 0 * * *",
        &["06T04:00Z"],
    ),
];

const AUTUMN: &[Night] = &[
    (
        "Europe/Paris",
        "2026-10-24T21:59:00Z",
        "2026-10-25T22:59:00Z",
        "30 2 * * *",
        "25T00:30Z",
        "15,45 2 * * *",
        &["25T00:15Z", "25T00:45Z"],
    ),
    (
        "America/New_York",
        "2026-11-01T03:59:00Z",
        "2026-11-02T04:59:00Z",
        "30 1 * * *",
        "01T05:30Z",
        "15,45 1 * * *",
        &["01T05:15Z", "01T05:45Z"],
    ),
    (
        "Australia/Lord_Howe",
        "2026-04-04T12:59:00Z",
        "2026-04-05T13:29:00Z",
        "45 1 * * *",
        "04T14:45Z",
        "15,45 1 * * *",
        &["04T14:15Z", "04T14:45Z"],
    ),
    // 18 February 00:00 becomes 17 February 23:00.
    (
        "America/Sao_Paulo",
        "2018-02-17T01:59:00Z",
        "2018-02-18T02:59:00Z",
        "30 23 * * *",
        "18T01:30Z",
        "15,45 23 * * *",
        &["18T01:15Z", "18T01:45Z"],
    ),
    (
        "Africa/Casablanca",
        "2026-02-14T22:59:00Z",
        "2026-02-15T23:59:00Z",
        "30 2 * * *",
        "15T01:30Z",
        "15,45 2 * * *",
        &["15T01:15Z", "15T01:45Z"],
    ),
    (
        "America/Santiago",
        "2026-04-04T02:59:00Z",
        "2026-04-05T03:59:00Z",
        "30 23 * * *",
        "05T02:30Z",
        "15,45 23 * * *",
        &["05T02:15Z", "05T02:45Z"],
    ),
];

fn runs_exactly_once(nights: &[Night]) {
    for (zone, from, to, fixed, at, pattern, instants) in nights {
        assert_eq!(fires(zone, fixed, from, to), [*at], "{zone} {fixed}");
        assert_eq!(
            &fires(zone, pattern, from, to),
            instants,
            "{zone} {pattern}"
        );
    }
}

#[test]
fn a_fixed_local_time_runs_exactly_once_in_the_short_night() {
    runs_exactly_once(SPRING);
}

#[test]
fn a_fixed_local_time_runs_exactly_once_in_the_long_night() {
    runs_exactly_once(AUTUMN);
}

#[test]
fn two_times_in_a_changing_hour_run_once_each_in_both_nights() {
    for (zone, from, to, _, _, _, _) in SPRING {
        let found = fires(zone, "15,45 2 * * *", from, to);
        // Both in one gap are one slot.
        assert!((1..=2).contains(&found.len()), "{zone} {found:?}");
    }
    for (zone, from, to, _, _, _, _) in AUTUMN {
        assert_eq!(fires(zone, "15,45 2 * * *", from, to).len(), 2, "{zone}");
        assert_eq!(fires(zone, "0 */2 * * *", from, to).len(), 12, "{zone}");
    }
}

#[test]
fn a_line_of_every_hour_counts_real_hours() {
    for (zone, from, to, _, _, _, _) in SPRING {
        let expected = if zone.ends_with("Lord_Howe") { 24 } else { 23 };
        assert_eq!(
            fires(zone, "45 * * * *", from, to).len(),
            expected,
            "{zone}"
        );
    }
    for (zone, from, to, _, _, _, _) in AUTUMN {
        assert_eq!(fires(zone, "45 * * * *", from, to).len(), 25, "{zone}");
    }
    let paris = fires(
        "Europe/Paris",
        "*/30 * * * *",
        "2026-10-24T23:45:00Z",
        "2026-10-25T02:05:00Z",
    );
    assert_eq!(
        paris,
        [
            "25T00:00Z",
            "25T00:30Z",
            "25T01:00Z",
            "25T01:30Z",
            "25T02:00Z"
        ]
    );
}

#[test]
fn other_nights_are_ordinary() {
    assert_eq!(
        fires(
            "Europe/Paris",
            "0 0 * * 1-6",
            "2026-11-20T23:00:00Z",
            "2026-11-24T23:00:00Z"
        ),
        ["22T23:00Z", "23T23:00Z", "24T23:00Z"]
    );
    assert_eq!(
        fires(
            "Pacific/Apia",
            "0 12 * * *",
            "2011-12-29T00:00:00Z",
            "2012-01-01T00:00:00Z"
        ),
        // 30 December 2011 did not take place there: its noon is the first instant of the 31st.
        ["29T22:00Z", "30T10:00Z", "30T22:00Z", "31T22:00Z"]
    );
}

#[test]
fn a_leap_day_and_years_without_one_are_found() {
    assert_eq!(
        fires(
            "UTC",
            "0 0 29 2 *",
            "2026-01-01T00:00:00Z",
            "2033-01-01T00:00:00Z"
        ),
        ["29T00:00Z", "29T00:00Z"]
    );
}

#[test]
fn the_list_between_two_instants_is_bounded() {
    let line = CronLine::parse("* * * * *").unwrap();
    let from: DateTime<Utc> = "2016-01-01T00:00:00Z".parse().unwrap();
    let to = "2026-01-01T00:00:00Z".parse().unwrap();
    let due = Zone::UTC.between(&line, from, to, 100);
    assert!(due.more);
    assert_eq!(due.slots.len(), 100);
}

#[test]
fn an_unknown_zone_says_what_to_write() {
    let error = Zone::parse("europe/paris").unwrap_err().to_string();
    assert!(
        error.contains("europe/paris") && error.contains("Europe/Paris"),
        "{error}"
    );
}
