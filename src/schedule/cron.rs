//! One cron line: five fields, read with crate croner.
//!
//! Croner is used on local wall-clock times without a zone; the zone is our own ([`super::zone`]), because croner skips
//! lists of hours in spring and runs them twice in autumn (`rust-dependencies.md` § 6).

use chrono::{DateTime, NaiveDateTime, Utc};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use std::fmt;
use thiserror::Error;

/// Longest line that is read.
const LONGEST: usize = 128;
const HOURS: u32 = 24;

/// Why a line is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// Not five fields.
    #[error(
        "cron line '{line}' has {count} fields: write five, minute hour day-of-month month day-of-week, for example 0 0 * * 1-6"
    )]
    Fields {
        /// The line.
        line: String,
        /// Fields found.
        count: usize,
    },
    /// `TZ=` or `CRON_TZ=`.
    #[error("cron line '{line}' names a time zone: write it in schedule.timeZone")]
    Zone {
        /// The line.
        line: String,
    },
    /// `@every`, `@daily` and the like.
    #[error(
        "cron line '{line}' is a nickname: write the five fields, for example 0 0 * * * for every midnight"
    )]
    Nickname {
        /// The line.
        line: String,
    },
    /// A field that cannot be read.
    #[error("cron line '{line}' cannot be read: {why}")]
    Unreadable {
        /// The line.
        line: String,
        /// What croner says.
        why: String,
    },
    /// A line that names no day of the calendar, for example 30 February.
    #[error("cron line '{line}' never fires: no day of the calendar matches it")]
    NeverFires {
        /// The line.
        line: String,
    },
}

impl LineError {
    /// One word of a fixed list, for the condition ScheduleValid.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Fields { .. }
            | Self::Zone { .. }
            | Self::Nickname { .. }
            | Self::Unreadable { .. } => "CronUnreadable",
            Self::NeverFires { .. } => "NeverFires",
        }
    }
}

/// A readable line.
#[derive(Clone)]
pub struct CronLine {
    cron: Cron,
    every_hour: bool,
}

impl fmt::Debug for CronLine {
    /// The line only: croner's tables are pages long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronLine({})", self.cron.as_str())
    }
}

impl CronLine {
    /// Reads a line: five fields, names of months and days as croner knows them, `L`, `15W`, `5#2`.
    ///
    /// # Errors
    /// What is wrong and what to write instead. A line without any day is found by searching once, which costs some
    /// ten milliseconds: keep the answer.
    pub fn parse(line: &str) -> Result<Self, LineError> {
        let text = || line.chars().take(LONGEST).collect::<String>();
        if line.contains("TZ=") {
            return Err(LineError::Zone { line: text() });
        }
        if line.trim_start().starts_with('@') {
            return Err(LineError::Nickname { line: text() });
        }
        let count = line.split_whitespace().count();
        if count != 5 {
            let line = text();
            return Err(LineError::Fields { line, count });
        }
        let unreadable = |why: String| LineError::Unreadable { line: text(), why };
        if line.len() > LONGEST {
            return Err(unreadable(format!(
                "it is longer than {LONGEST} characters"
            )));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(line).map_err(|e| unreadable(words(&e)))?;
        let every_hour = (0..HOURS).all(|h| cron.pattern.hour_match(h).unwrap_or(false));
        let read = Self { cron, every_hour };
        match read.next_local(DateTime::UNIX_EPOCH.naive_utc(), Bound::At) {
            Some(_) => Ok(read),
            None => Err(LineError::NeverFires { line: text() }),
        }
    }

    /// Whether the line names every hour of the day: then it counts real hours, also in the night in which one hour
    /// comes twice.
    pub fn every_hour(&self) -> bool {
        self.every_hour
    }

    /// The next local time of the line, without a zone. `None` = no further one in the calendar.
    pub fn next_local(&self, from: NaiveDateTime, bound: Bound) -> Option<NaiveDateTime> {
        // The zone UTC has no clock changes: croner counts plain wall-clock time.
        let from: DateTime<Utc> = from.and_utc();
        let inclusive = match bound {
            Bound::At => true,
            Bound::After => false,
        };
        let found = self.cron.find_next_occurrence(&from, inclusive).ok()?;
        Some(found.naive_utc())
    }
}

/// Whether the search may answer with its own start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It may.
    At,
    /// Only later.
    After,
}

/// Croner's text in our manner: lower case, no full stop.
fn words(error: &CronError) -> String {
    let text = error.to_string();
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn five_fields_are_read_and_nothing_else() {
        for good in [
            "0 0 * * 1-6",
            "15,45 2 * * *",
            "*/5 * * * *",
            "0 7 * * MON-FRI",
            "0 7 1 JAN *",
            "0 0 L * *",
            "0 0 * * 5#2",
            "0 0 15W * *",
            "0 0 29 2 *",
        ] {
            assert!(CronLine::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "0 0 0 * * *",
            "0 0 * * * * 2030",
            "60 * * * *",
            "0 24 * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "0 0 * * 8",
            "a b c d e",
        ] {
            let error = CronLine::parse(bad).unwrap_err();
            assert_eq!(error.reason(), "CronUnreadable", "{bad}: {error}");
        }
    }

    #[test]
    fn a_message_says_what_to_write_instead() {
        let said = |line| CronLine::parse(line).unwrap_err().to_string();
        assert!(said("TZ=Europe/Paris 0 0 * * *").contains("schedule.timeZone"));
        assert!(said("CRON_TZ=UTC 0 0 * * *").contains("schedule.timeZone"));
        assert!(said("@every 5m").contains("five fields"));
        assert!(said("@daily").contains("five fields"));
        assert!(said("0 0 * *").contains("has 4 fields"));
    }

    #[test]
    fn a_line_without_a_day_never_fires() {
        for never in ["30 2 30 2 *", "0 0 31 2 *", "0 0 31 4,6,9,11 *"] {
            let error = CronLine::parse(never).unwrap_err();
            assert_eq!(error.reason(), "NeverFires", "{never}: {error}");
        }
    }

    #[test]
    fn only_lines_of_all_hours_count_real_hours() {
        let every = |line| CronLine::parse(line).unwrap().every_hour();
        assert!(every("*/30 * * * *") && every("5 */1 * * *") && every("5 0-23 * * *"));
        assert!(!every("0 */2 * * *") && !every("15,45 2 * * *"));
    }
}
