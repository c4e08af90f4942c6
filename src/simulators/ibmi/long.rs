//! Logs of many messages. A repeated message is kept once with its count and made when it is asked for, and the answer to
//! a statement about a long log is made slice by slice while it is sent: a job log of gigabytes needs no memory here.

use super::disk::LogMessage;
use super::shell::{self, Login, Outcome};
use super::sql;
use crate::simulators::Shared;
use std::ops::Range;

/// Messages evaluated at once; a log of more is answered in slices.
const SLICE: usize = 4_000;

fn times(message: &LogMessage) -> usize {
    usize::try_from(message.times.max(1)).unwrap_or(usize::MAX)
}

/// Which messages of a log a statement can be answered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those at these places, counting from 0.
    Places(Range<usize>),
    /// So many at the end.
    Newest(usize),
}

impl Wanted {
    /// Of a statement that is answered as a whole. One that asks for the newest rows only must not make the others first.
    pub(super) fn of(statement: &str) -> Self {
        const NEWEST_FIRST: &str = " ORDER BY ORDINAL_POSITION DESC FETCH FIRST ";
        let upper = statement.to_ascii_uppercase();
        let count = upper
            .split_once(NEWEST_FIRST)
            .filter(|(before, _)| {
                before.contains("QSYS2.JOBLOG_INFO(") && !before.contains(" WHERE ")
            })
            .and_then(|(_, behind)| behind.split(' ').next()?.parse().ok());
        match count {
            Some(count) => Self::Newest(count),
            None => Self::Places(0..usize::MAX),
        }
    }

    /// The places in this log.
    pub(super) fn places(&self, log: &[LogMessage]) -> Range<usize> {
        match self {
            Self::Places(places) => places.clone(),
            Self::Newest(count) => {
                let all: usize = log.iter().map(times).sum();
                all.saturating_sub(*count)..all
            }
        }
    }
}

/// The messages at these places, with their place in the whole log counting from 0.
pub(super) fn messages(log: &[LogMessage], wanted: &Range<usize>) -> Vec<(usize, LogMessage)> {
    let mut found = Vec::new();
    let mut begin = 0;
    for message in log {
        let end = begin + times(message);
        for place in begin.max(wanted.start)..end.min(wanted.end) {
            let mut one = message.clone();
            if message.times > 1 {
                one.text = message
                    .text
                    .replace("{n}", &(place - begin + 1).to_string());
            }
            found.push((place, one));
        }
        begin = end;
    }
    found
}

/// An answer that is made while it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Long {
    /// Where in standard output it stands.
    at: usize,
    statement: String,
    next: usize,
    rows: usize,
    over: bool,
}

/// Whether the rows of a statement can be made slice by slice: each depends on one message alone.
fn sliceable(statement: &str) -> bool {
    let upper = statement.to_ascii_uppercase();
    let of_log = ["QSYS2.JOBLOG_INFO(", "SYSTOOLS.SPOOLED_FILE_DATA("]
        .iter()
        .any(|f| upper.contains(f));
    of_log
        && ![" FETCH ", "COUNT(", "MAX(", "MIN(", " DESC"]
            .iter()
            .any(|w| upper.contains(w))
}

/// Begins the answer to a statement about a long log; `None` = it is answered as a whole.
pub(super) fn begin(
    world: &crate::simulators::world::World,
    login: &Login,
    statement: &str,
    outcome: &mut Outcome,
) -> Option<()> {
    if !sliceable(statement) {
        return None;
    }
    // A whole slice: there is probably more, and the end is found by asking for the next one.
    let probe = SLICE - 1..SLICE;
    let (columns, rows) =
        sql::slice(world, &login.partition, &login.user, statement, probe).ok()?;
    if rows.is_empty() {
        return None;
    }
    let heading = format!("\n{}\n----------\n", columns.join(" "));
    outcome.stdout.extend(heading.as_bytes());
    outcome.long = Some(Long {
        at: outcome.stdout.len(),
        statement: statement.to_owned(),
        next: 0,
        rows: 0,
        over: false,
    });
    Some(())
}

impl Outcome {
    /// Standard output before what is made while it is sent, and the rest behind it.
    pub fn halves(&mut self) -> (Vec<u8>, Option<Long>, Vec<u8>) {
        let long = self.long.take();
        let mut before = std::mem::take(&mut self.stdout);
        let behind = match &long {
            Some(long) => before.split_off(long.at.min(before.len())),
            None => Vec::new(),
        };
        (before, long, behind)
    }

    /// The whole of standard output, made at once.
    pub fn whole(mut self, shared: &Shared, login: &Login) -> Self {
        let (mut all, long, behind) = self.halves();
        if let Some(mut long) = long {
            while let Some(more) = long.more(shared, login) {
                all.extend(more);
            }
            self.dropped |= !long.is_over();
        }
        all.extend(behind);
        self.stdout = all;
        self
    }
}

impl Long {
    /// Whether all of it was made. Otherwise the system is gone in the middle of it.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The next piece; `None` = that was all, or the system is gone.
    pub fn more(&mut self, shared: &Shared, login: &Login) -> Option<Vec<u8>> {
        if self.over {
            return None;
        }
        let world = shared.now();
        if !shell::alive(&world, login) {
            return None;
        }
        let wanted = self.next..self.next + SLICE;
        self.next = wanted.end;
        let (columns, rows) = sql::slice(
            &world,
            &login.partition,
            &login.user,
            &self.statement,
            wanted,
        )
        .ok()?;
        drop(world);
        self.rows += rows.len();
        let mut text = String::new();
        shell::print_rows(&mut text, &columns, &rows);
        if rows.is_empty() {
            self.over = true;
            text = format!("\n  {} RECORD(S) SELECTED.\n", self.rows);
        }
        Some(text.into_bytes())
    }
}
