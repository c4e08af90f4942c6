//! What to do about an environment now: the table of `product.md` § 8 as one pure function.
//!
//! Slots are handled strictly in order, and the newest handled one is remembered: a slot that lies before it never fires
//! again, whatever the clock does.

use super::cron::CronLine;
use super::slot::jitter;
use super::zone::Zone;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// Missed slots that are counted one by one; after that the count is a lower bound.
pub const COUNTED: usize = 1000;
/// Slots looked at for the longest interval.
const LOOKED_AT: usize = 1500;

/// A line with its baseline: nothing fires at or before it.
#[derive(Debug, Clone)]
pub struct Line {
    /// The line.
    pub cron: CronLine,
    /// Time of the change that made the line valid: created, edited, resumed.
    pub baseline: DateTime<Utc>,
}

/// What the environment's image allows. HOLD images and running clones of the previous run are [`Image::Free`]: the
/// next run replaces them, that is what the product is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Image {
    /// The next run may take it.
    #[default]
    Free,
    /// `keepUntil` of its run lies ahead.
    Kept,
    /// Pinned by a run of mode StartHeld.
    Pinned,
}

/// What is known of an environment.
#[derive(Debug, Clone)]
pub struct State<'s> {
    /// Its name.
    pub environment: &'s str,
    /// Time zone of all lines.
    pub zone: Zone,
    /// Its lines.
    pub lines: &'s [Line],
    /// The newest slot that has a run, also a skipped one.
    pub handled: Option<DateTime<Utc>>,
    /// `spec.suspend`, or the environment is being deleted.
    pub suspended: bool,
    /// A run that is not final: since when it exists.
    pub active: Option<DateTime<Utc>>,
    /// Its image.
    pub image: Image,
    /// `startingDeadlineSeconds`.
    pub deadline: TimeDelta,
    /// `jitterSeconds`.
    pub jitter: u32,
}

/// Why a slot is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The operator was down, or the clock jumped.
    DeadlineExceeded,
    /// The previous run took too long.
    PreviousRunActive,
    /// The image is kept.
    ImageKept,
    /// The image is pinned by a held clone.
    HeldImageInUse,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Create the slot's run.
    Create {
        /// The slot.
        slot: DateTime<Utc>,
    },
    /// Create one skipped run for all slots from `first` to `slot`; it is named after `slot`.
    Skip {
        /// The oldest of them.
        first: DateTime<Utc>,
        /// The newest of them.
        slot: DateTime<Utc>,
        /// How many; at [`COUNTED`] at least as many.
        slots: usize,
        /// Why.
        reason: SkipReason,
    },
    /// A run is active: look again when it ends, and skip the slot after `until`.
    Wait {
        /// The slot.
        slot: DateTime<Utc>,
        /// End of its starting deadline.
        until: DateTime<Utc>,
    },
}

/// What to do now, in order. At most one skipped run and one other decision: the next call sees what comes after.
pub fn decide(state: &State<'_>, now: DateTime<Utc>) -> Vec<Decision> {
    if state.suspended {
        return Vec::new();
    }
    let edge = now - state.deadline - TimeDelta::nanoseconds(1);
    let mut decisions: Vec<Decision> = missed(state, edge).into_iter().collect();
    let after = |line: &Line| from(state, line).max(edge);
    let due = |line| state.zone.between(line_of(line), after(line), now, 1).slots;
    let Some(slot) = state.lines.iter().flat_map(due).min() else {
        return decisions;
    };
    if slot + jitter(state.environment, slot, state.jitter) > now {
        return decisions;
    }
    let skip = |reason| Decision::Skip {
        first: slot,
        slot,
        slots: 1,
        reason,
    };
    decisions.push(match (state.active, state.image) {
        (Some(_), _) => Decision::Wait {
            slot,
            until: slot + state.deadline,
        },
        (None, Image::Free) => Decision::Create { slot },
        (None, Image::Kept) => skip(SkipReason::ImageKept),
        (None, Image::Pinned) => skip(SkipReason::HeldImageInUse),
    });
    decisions
}

/// Slots whose starting deadline has passed, all together.
fn missed(state: &State<'_>, edge: DateTime<Utc>) -> Option<Decision> {
    let mut slots = BTreeSet::new();
    let mut newest = None;
    for line in state.lines {
        let due = state
            .zone
            .between(&line.cron, from(state, line), edge, COUNTED);
        newest = newest.max(due.slots.last().copied());
        if due.more {
            newest = newest.max(last_before(state.zone, line, edge));
        }
        slots.extend(due.slots);
    }
    let (first, slot) = (slots.first().copied()?, newest?);
    // A run that was there before the deadline passed is why; otherwise nobody was there.
    let busy = state
        .active
        .is_some_and(|since| since <= slot + state.deadline);
    Some(Decision::Skip {
        first,
        slot,
        slots: slots.len().min(COUNTED),
        reason: if busy {
            SkipReason::PreviousRunActive
        } else {
            SkipReason::DeadlineExceeded
        },
    })
}

/// The newest slot at or before `edge` of a line with too many slots to count: looked for in growing steps back.
fn last_before(zone: Zone, line: &Line, edge: DateTime<Utc>) -> Option<DateTime<Utc>> {
    [1, 24, 24 * 31, 24 * 366].into_iter().find_map(|hours| {
        let from = edge - TimeDelta::hours(hours);
        let due = zone.between(&line.cron, from, edge, usize::MAX);
        due.slots.last().copied()
    })
}

fn line_of(line: &Line) -> &CronLine {
    &line.cron
}

fn from(state: &State<'_>, line: &Line) -> DateTime<Utc> {
    state
        .handled
        .map_or(line.baseline, |h| h.max(line.baseline))
}

/// When to look again if nothing else happens. `None` = never, until something changes.
pub fn next_wake(state: &State<'_>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if state.suspended {
        return None;
    }
    let next = |line: &Line| state.zone.next_after(&line.cron, from(state, line));
    let slot = state.lines.iter().filter_map(next).min()?;
    let due = slot + jitter(state.environment, slot, state.jitter);
    if due > now {
        return Some(due);
    }
    Some(slot + state.deadline + TimeDelta::milliseconds(1))
}

/// The next slot of a line that is still to come, as people read it.
pub fn next_slot(state: &State<'_>, line: &Line, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    state
        .zone
        .next_after(&line.cron, from(state, line).max(now))
}

/// The longest time between two slots of the coming year, seconds. Counted without the zone, so that a clock change does
/// not alter it. `None` = fewer than two slots.
pub fn longest_interval(lines: &[Line], now: DateTime<Utc>) -> Option<i64> {
    let until = now + TimeDelta::days(370);
    let slots: BTreeSet<DateTime<Utc>> = lines
        .iter()
        .flat_map(|line| Zone::UTC.between(&line.cron, now, until, LOOKED_AT).slots)
        .collect();
    let gaps = slots.iter().zip(slots.iter().skip(1));
    let shortest_list = gaps.map(|(a, b)| (*b - *a).num_seconds()).max();
    // Rarer than twice a year: the distance of the next two, whenever they are.
    shortest_list.or_else(|| {
        let first = |after| {
            let next = |line: &Line| Zone::UTC.next_after(&line.cron, after);
            lines.iter().filter_map(next).min()
        };
        let one = first(now)?;
        Some((first(one)? - one).num_seconds())
    })
}

/// What is remembered of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRecord {
    /// The line as written.
    pub cron: String,
    /// Name of the zone it was read in.
    pub zone: String,
    /// Nothing fires at or before this.
    pub baseline: DateTime<Utc>,
    /// Its newest slot that has a run.
    pub last_slot: Option<DateTime<Utc>>,
}

/// The records of the lines as they are written now: a line of the same text and zone keeps its record, any other begins
/// at `base`. `known` is empty when the environment is new or was suspended. A line written twice counts once.
pub fn settle(
    cron: &[String],
    zone: &str,
    known: &[LineRecord],
    base: DateTime<Utc>,
) -> Vec<LineRecord> {
    let mut records: Vec<LineRecord> = Vec::new();
    for text in cron {
        if records.iter().any(|r| r.cron == *text) {
            continue;
        }
        let kept = known.iter().find(|r| r.cron == *text && r.zone == zone);
        records.push(kept.cloned().unwrap_or_else(|| LineRecord {
            cron: text.clone(),
            zone: zone.to_owned(),
            baseline: base,
            last_slot: None,
        }));
    }
    records
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "decide_tests.rs"]
mod tests;
