//! The columns of the history: what each view shows, and how it is made to fit a width. What identifies a row is never
//! cut; the year, the seconds of the start and, at last, the seconds of long durations give way.

use super::Row;
use crate::commands::table::{Column, Side, width};
use crate::commands::text::one_line;
use chrono::{DateTime, TimeDelta, Utc};

/// What the columns tell of the parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// How long each took.
    #[default]
    Durations,
    /// When each began and ended.
    Times,
}

/// How much a table says, most first.
#[derive(Debug, Clone, Copy)]
struct Room {
    date: &'static str,
    time: &'static str,
    /// Seconds of durations from an hour on, and counts above 9999.
    exact: bool,
}

/// Tried in this order until the table fits.
const ROOMS: [Room; 4] = [
    Room {
        date: "%Y-%m-%d",
        time: "%H:%M:%S",
        exact: true,
    },
    Room {
        date: "%Y-%m-%d",
        time: "%H:%M",
        exact: true,
    },
    Room {
        date: "%m-%d",
        time: "%H:%M",
        exact: true,
    },
    LEAST,
];
const LEAST: Room = Room {
    date: "%m-%d",
    time: "%H:%M",
    exact: false,
};

/// The columns of a view, in at most `most` columns of a terminal wherever it can be done.
pub fn fitting(rows: &[&Row], view: View, most: usize) -> Vec<Column> {
    for room in ROOMS {
        let columns = columns(rows, view, room);
        if width(&columns) <= most {
            return columns;
        }
    }
    columns(rows, view, LEAST)
}

/// Everything, as wide as it is.
pub fn wide(rows: &[&Row], view: View) -> Vec<Column> {
    let mut all = vec![environment(rows)];
    all.extend(columns(rows, view, ROOMS[0]));
    all.extend(more(rows));
    all.extend([
        Column::new("RUN", Side::Left, cells(rows, |r| Some(r.name.clone()))),
        Column::new("FUNCTION", Side::Left, cells(rows, |r| r.function.clone())),
        Column::new(
            "TRIGGER",
            Side::Left,
            cells(rows, |r| Some(format!("{:?}", r.trigger))),
        ),
        Column::new("REASON", Side::Left, cells(rows, |r| r.reason.clone())),
        Column::new(
            "MESSAGE",
            Side::Left,
            cells(rows, |r| r.message.as_deref().map(one_line)),
        ),
    ]);
    all
}

/// For a screen: as [`fitting`], and where there is room the environment in front and step, freeze, duration behind.
pub fn screen(rows: &[&Row], view: View, most: usize) -> Vec<Column> {
    for room in ROOMS {
        let mut all = vec![environment(rows)];
        all.extend(columns(rows, view, room));
        all.extend(more(rows));
        if width(&all) <= most {
            return all;
        }
    }
    fitting(rows, view, most)
}

fn environment(rows: &[&Row]) -> Column {
    let names = cells(rows, |r| Some(r.environment.clone()));
    Column::new("ENVIR.", Side::Left, names)
}

fn more(rows: &[&Row]) -> [Column; 3] {
    [
        Column::new("STEP", Side::Left, cells(rows, |r| r.step.clone())),
        Column::new("FREEZE", Side::Right, cells(rows, |r| r.freeze.clone())),
        Column::new("DURATION", Side::Right, cells(rows, |r| r.duration.clone())),
    ]
}

fn columns(rows: &[&Row], view: View, room: Room) -> Vec<Column> {
    let mut all = vec![Column::new(
        "NBR",
        Side::Right,
        cells(rows, |r| r.number.map(|n| n.to_string())),
    )];
    let started = |form: &str| cells(rows, |r| r.started.as_deref().map(|t| instant(t, form)));
    all.push(Column::new("DATE", Side::Left, started(room.date)));
    match view {
        View::Durations => {
            all.push(Column::new("TIME", Side::Left, started(room.time)));
            all.push(state(rows));
            all.extend(durations(rows, room));
        }
        View::Times => {
            all.push(Column::new("START", Side::Left, started("%H:%M:%S")));
            all.push(state(rows));
            all.extend(times(rows));
        }
    }
    all
}

fn state(rows: &[&Row]) -> Column {
    Column::new("STATUS", Side::Left, cells(rows, |r| Some(r.state.clone())))
}

fn durations(rows: &[&Row], room: Room) -> [Column; 8] {
    let count = |n: Option<i64>| n.map(|n| count(n, room.exact));
    let long = |text: &Option<String>| text.as_deref().map(|t| long(t, room.exact));
    let right = |upper, lower, cells| Column::two_lines(upper, lower, Side::Right, cells);
    [
        right("", "MSG", cells(rows, |r| count(r.messages))),
        right("", "ERR", cells(rows, |r| count(r.errors))),
        right("PREPA", "PROD", cells(rows, |r| long(&r.prepare_on_source))),
        right("PREPA", "CLONE", cells(rows, |r| long(&r.prepare_on_clone))),
        right("", "SAVE", cells(rows, |r| long(&r.save))),
        right(
            "PARTIT",
            "ACTIVE",
            cells(rows, |r| long(&r.partition_active)),
        ),
        right(
            "FLASHC",
            "ACTIVE",
            cells(rows, |r| long(&r.flash_copy_active)),
        ),
        right(
            "%",
            "DSK",
            cells(rows, |r| r.disk_used_percent.map(|p| p.to_string())),
        ),
    ]
}

fn times(rows: &[&Row]) -> [Column; 5] {
    let at = |upper, lower, time: fn(&Row) -> Option<&str>| {
        let cells = cells(rows, |r| time(r).map(|t| beside(r.started.as_deref(), t)));
        Column::two_lines(upper, lower, Side::Right, cells)
    };
    [
        at("PROD", "RESUMED", |r| r.times.resumed.as_deref()),
        at("CLONE", "READY", |r| r.times.clone_ready.as_deref()),
        at("SAVE", "START", |r| r.times.save_started.as_deref()),
        at("SAVE", "END", |r| r.times.save_ended.as_deref()),
        at("RUN", "END", |r| r.times.finished.as_deref()),
    ]
}

/// No cell is empty: scripts cut tables at blanks.
fn cells(rows: &[&Row], value: impl Fn(&Row) -> Option<String>) -> Vec<String> {
    rows.iter()
        .map(|row| value(row).filter(|t| !t.is_empty()).unwrap_or("-".into()))
        .collect()
}

/// From RFC 3339 in UTC; anything else is shown as it is.
fn instant(text: &str, form: &str) -> String {
    match parsed(text) {
        Some(at) => at.format(form).to_string(),
        None => text.to_owned(),
    }
}

fn parsed(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.with_timezone(&Utc))
}

/// A time beside its start: within a day the time alone says which is meant, later the number of days stands before it.
fn beside(start: Option<&str>, text: &str) -> String {
    let (Some(start), Some(at)) = (start.and_then(parsed), parsed(text)) else {
        return instant(text, "%H:%M:%S");
    };
    if at - start < TimeDelta::days(1) {
        return at.format("%H:%M:%S").to_string();
    }
    let days = (at.date_naive() - start.date_naive()).num_days();
    format!("+{days} {}", at.format("%H:%M"))
}

/// Message counts of five digits at most, so that a noisy save does not widen the table.
fn count(n: i64, exact: bool) -> String {
    let most = if exact { 100_000 } else { 10_000 };
    match n {
        n if n < most => n.to_string(),
        n if n < 1_000_000 => format!("{}k", n / 1000),
        n if exact && n < 10_000_000 => format!("{}k", n / 1000),
        n => format!("{}M", n / 1_000_000),
    }
}

/// `7:52:35`, or `7h52` where there is no room for more.
fn long(text: &str, exact: bool) -> String {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [hours, minutes, _] if !exact => format!("{hours}h{minutes}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_day_is_said_where_the_time_alone_would_mislead() {
        let start = Some("2026-11-23T22:00:00Z");
        assert_eq!(beside(start, "2026-11-24T06:01:02Z"), "06:01:02");
        assert_eq!(beside(start, "2026-11-24T22:00:00Z"), "+1 22:00");
        assert_eq!(beside(start, "2026-12-03T06:01:02Z"), "+10 06:01");
        assert_eq!(beside(None, "2026-12-03T06:01:02Z"), "06:01:02");
    }

    #[test]
    fn what_has_no_room_is_rounded_and_looks_so() {
        assert_eq!(long("7:52:35", false), "7h52");
        assert_eq!(long("52:35", false), "52:35");
        assert_eq!(long("7:52:35", true), "7:52:35");
        for (n, exact, close) in [
            (9_999, "9999", "9999"),
            (12_345, "12345", "12k"),
            (123_456, "123k", "123k"),
            (1_234_567, "1234k", "1M"),
            (12_345_678, "12M", "12M"),
        ] {
            assert_eq!(
                (count(n, true), count(n, false)),
                (exact.into(), close.into())
            );
        }
    }
}
