//! The instants of a cron line in a time zone.
//!
//! A fixed local time runs exactly once in every night: one that the clock skips runs at the first instant after the
//! gap (two of them in one gap are one slot), one that comes twice runs the first time. A line that names every hour
//! counts real time instead: in the long night it runs in both hours.

use super::cron::{Bound, CronLine};
use chrono::{
    DateTime, DurationRound, FixedOffset, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use thiserror::Error;

/// Longest gap that is looked through, minutes: zones have skipped whole days.
const GAP: i64 = 26 * 60;

/// A time zone of the IANA database compiled into this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

/// The name is not in the database.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "time zone '{name}' is not known: write an IANA name with its capital letters, for example Europe/Paris (data of {data})"
)]
pub struct ZoneError {
    /// The name.
    pub name: String,
    /// Version of the database.
    pub data: &'static str,
}

/// Slots between two instants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// The first ones, in order.
    pub slots: Vec<DateTime<Utc>>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(Tz::UTC);

    /// By name; names are case-sensitive.
    ///
    /// # Errors
    /// An unknown name.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        name.parse().map(Self).map_err(|_| ZoneError {
            name: name.chars().take(64).collect(),
            data: chrono_tz::IANA_TZDB_VERSION,
        })
    }

    /// The first instant of the line after `after`. `None` = none in the calendar.
    pub fn next_after(self, line: &CronLine, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if line.every_hour() {
            self.next_real_hour(line, after)
        } else {
            self.next_local_time(line, after)
        }
    }

    /// Instants of the line in `(after, until]`, at most `limit`.
    pub fn between(
        self,
        line: &CronLine,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Due {
        let mut due = Due::default();
        let mut last = after;
        while let Some(next) = self.next_after(line, last).filter(|next| *next <= until) {
            if due.slots.len() >= limit {
                due.more = true;
                break;
            }
            due.slots.push(next);
            last = next;
        }
        due
    }

    /// Local times in order, mapped to instants: the map never goes back, so the first instant after `after` is found by
    /// walking on from its own local time.
    fn next_local_time(self, line: &CronLine, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = self.0.from_utc_datetime(&after.naive_utc()).naive_local();
        let start = start.duration_trunc(TimeDelta::minutes(1)).ok()?;
        let mut local = line.next_local(start, Bound::At)?;
        loop {
            let instant = self.instant(local)?;
            if instant > after {
                return Some(instant);
            }
            local = line.next_local(local, Bound::After)?;
        }
    }

    /// The instant of a local time: the first one when it comes twice, the end of the gap when it does not come.
    fn instant(self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        (0..GAP).find_map(|minutes| {
            let local = local.checked_add_signed(TimeDelta::minutes(minutes))?;
            let found = self.0.from_local_datetime(&local).earliest()?;
            Some(found.with_timezone(&Utc))
        })
    }

    /// From one stretch of constant offset to the next.
    fn next_real_hour(self, line: &CronLine, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut from, mut bound) = (after, Bound::After);
        loop {
            let offset = self.offset(from);
            let local = line.next_local(from.naive_utc() + offset, bound)?;
            let found = (local - offset).and_utc();
            match self.change_between(from, found) {
                None => return Some(found),
                Some(change) => (from, bound) = (change, Bound::At),
            }
        }
    }

    fn offset(self, at: DateTime<Utc>) -> TimeDelta {
        let offset = self.0.offset_from_utc_datetime(&at.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }

    /// An instant as clocks in the zone show it.
    pub fn local(self, at: DateTime<Utc>) -> DateTime<FixedOffset> {
        let offset = at.with_timezone(&self.0).offset().fix();
        at.with_timezone(&offset)
    }

    /// The first change of the offset in `(from, to]`, looked for in steps that are shorter than any two changes lie
    /// apart.
    pub fn change_between(self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(from);
        let mut low = from;
        while low < to {
            let mut high = to.min(low + TimeDelta::hours(24));
            if self.offset(high) == offset {
                low = high;
                continue;
            }
            while high - low > TimeDelta::seconds(1) {
                let middle = low + (high - low) / 2;
                if self.offset(middle) == offset {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            // Changes happen at whole seconds; the search ends within one.
            return high.duration_trunc(TimeDelta::seconds(1)).ok();
        }
        None
    }
}
