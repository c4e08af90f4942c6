//! The list: a heading for each environment, its rows newest first, below an open run how far it is. Pure.

use super::pager::Tone;
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun};
use crate::commands::history::heading::Heading;
use crate::commands::history::{Row, group};
use crate::commands::progress::{doing, place};
use crate::commands::status::alarms;
use crate::engine::journal::Phase;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of an environment's archive that are shown; `history` shows all.
const ARCHIVED: usize = 1000;

/// Which row: name of the run and its number, since a name may come again after years.
pub type RowId = (String, Option<i64>);

/// The id of a row.
pub fn id_of(row: &Row) -> RowId {
    (row.name.clone(), row.number)
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// An environment; the second is what needs a person.
    Heading(Box<Heading>, Vec<String>),
    /// An environment that does not exist any more.
    Gone(String),
    /// A run.
    Row(Box<Row>),
    /// How far the run above is: steps done, steps in all, words.
    Progress(u64, u64, String),
    /// Something about the rows above.
    Note(String),
}

/// How a row is meant, by its phase.
pub fn tone(row: &Row) -> Tone {
    match row.phase {
        Phase::Pending | Phase::Queued | Phase::Running | Phase::Cancelling => Tone::Good,
        Phase::Succeeded => Tone::Plain,
        Phase::Warning => Tone::Warning,
        Phase::Failed => Tone::Bad,
        Phase::Cancelled | Phase::Skipped => Tone::Dim,
    }
}

/// What the lines are made from.
#[derive(Debug, Default)]
pub struct Objects {
    /// Environments by name.
    pub environments: BTreeMap<String, CloneEnvironment>,
    /// Runs by name.
    pub runs: BTreeMap<String, CloneRun>,
    /// Archived rows by environment.
    pub archives: BTreeMap<String, Vec<Row>>,
    /// Whether environments were listed once.
    pub environments_listed: bool,
    /// Whether runs were listed once.
    pub runs_listed: bool,
}

/// The lines as they are at `now`.
pub fn lines(objects: &Objects, now: DateTime<Utc>) -> Vec<Line> {
    let mut rows: Vec<Row> = objects
        .runs
        .values()
        .map(|run| Row::new(run, now))
        .collect();
    let mut more: BTreeSet<&str> = BTreeSet::new();
    for (environment, archive) in &objects.archives {
        // Lines of an archive stand in the order in which they came. Between archive and delete a run is in both.
        let newest = archive.iter().rev().take(ARCHIVED);
        rows.extend(
            newest
                .filter(|r| !objects.runs.contains_key(&r.name))
                .cloned(),
        );
        if archive.len() > ARCHIVED {
            more.insert(environment);
        }
    }
    let mut lines = Vec::new();
    let mut shown = BTreeSet::new();
    for group in group(rows, None, None) {
        let Some(name) = group.first().map(|row| row.environment.clone()) else {
            continue;
        };
        lines.push(match objects.environments.get(&name) {
            Some(environment) => heading(environment, now),
            None => Line::Gone(name.clone()),
        });
        for row in group {
            let progress = objects.runs.get(&row.name).and_then(progress);
            lines.push(Line::Row(Box::new(row)));
            lines.extend(progress);
        }
        if more.contains(name.as_str()) {
            let text = format!("older rows: ibmi-clone history {name}");
            lines.push(Line::Note(text));
        }
        shown.insert(name);
    }
    // Before the runs were listed nobody knows of none.
    for (name, environment) in objects.environments.iter().filter(|_| objects.runs_listed) {
        if !shown.contains(name) {
            lines.push(heading(environment, now));
            lines.push(Line::Note(format!(
                "no runs yet; ibmi-clone run {name} starts one"
            )));
        }
    }
    lines
}

fn heading(environment: &CloneEnvironment, now: DateTime<Utc>) -> Line {
    let empty = CloneEnvironmentStatus::default();
    let alarms = alarms(environment.status.as_ref().unwrap_or(&empty));
    let alarms = alarms.into_iter().map(str::to_owned).collect();
    Line::Heading(Box::new(Heading::of(environment, now)), alarms)
}

/// Only of an open run.
fn progress(run: &CloneRun) -> Option<Line> {
    let empty = crate::api::run::CloneRunStatus::default();
    let status = run.status.as_ref().unwrap_or(&empty);
    if status.phase.is_final() {
        return None;
    }
    let (done, all) = place(status);
    let words = match &status.progress {
        Some(progress) => format!("{progress} {}", doing(status)),
        None => doing(status),
    };
    Some(Line::Progress(done, all, words))
}

/// The list on its screen.
#[derive(Debug, Default)]
pub struct List {
    /// All lines.
    pub lines: Vec<Line>,
    /// The row the cursor is on.
    pub selected: Option<RowId>,
    /// First line that is seen.
    pub top: usize,
    /// Options typed in front of rows.
    pub options: BTreeMap<RowId, char>,
}

impl List {
    /// Takes new lines; the cursor stays on its row, or goes to the first one.
    pub fn set(&mut self, lines: Vec<Line>, height: usize) {
        let before = self.cursor();
        self.lines = lines;
        if self.cursor().is_none() {
            // The row is gone: the cursor stays about where it was.
            let near = before.unwrap_or_default();
            let rows = self.rows();
            let next = rows.iter().find(|at| **at >= near).or(rows.last());
            self.selected = next.and_then(|at| self.id(*at));
        }
        let known: BTreeSet<RowId> = self.rows().iter().filter_map(|at| self.id(*at)).collect();
        self.options.retain(|id, _| known.contains(id));
        self.show_cursor(height);
    }

    fn rows(&self) -> Vec<usize> {
        let is_row = |at: &usize| matches!(self.lines[*at], Line::Row(_));
        (0..self.lines.len()).filter(is_row).collect()
    }

    fn id(&self, at: usize) -> Option<RowId> {
        match self.lines.get(at)? {
            Line::Row(row) => Some(id_of(row)),
            Line::Heading(..) | Line::Gone(_) | Line::Progress(..) | Line::Note(_) => None,
        }
    }

    /// The row with this id.
    pub fn row(&self, id: &RowId) -> Option<&Row> {
        self.lines.iter().find_map(|line| match line {
            Line::Row(row) if id_of(row) == *id => Some(row.as_ref()),
            Line::Row(_)
            | Line::Heading(..)
            | Line::Gone(_)
            | Line::Progress(..)
            | Line::Note(_) => None,
        })
    }

    /// Line of the cursor.
    pub fn cursor(&self) -> Option<usize> {
        let wanted = self.selected.as_ref()?;
        (0..self.lines.len()).find(|at| self.id(*at).as_ref() == Some(wanted))
    }

    /// Moves the cursor by rows.
    pub fn step(&mut self, by: isize, height: usize) {
        let rows = self.rows();
        let at = self
            .cursor()
            .and_then(|c| rows.iter().position(|r| *r == c));
        let last = rows.len().saturating_sub(1);
        let next = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
        self.selected = rows.get(next).and_then(|at| self.id(*at));
        self.show_cursor(height);
    }

    /// A screen down or up; the cursor goes to its first row.
    pub fn page(&mut self, down: bool, height: usize) {
        let most = self.lines.len().saturating_sub(height);
        let last = self.top >= most;
        self.top = match down {
            true => (self.top + height).min(most),
            false => self.top.saturating_sub(height),
        };
        let rows = self.rows();
        let first = rows.iter().find(|at| **at >= self.top);
        let chosen = if down && last { rows.last() } else { first };
        self.selected = chosen.or(rows.last()).and_then(|at| self.id(*at));
        self.show_cursor(height);
    }

    /// To the first or the last row.
    pub fn end(&mut self, bottom: bool, height: usize) {
        let rows = self.rows();
        let row = if bottom { rows.last() } else { rows.first() };
        self.selected = row.and_then(|at| self.id(*at));
        self.top = if bottom { self.top } else { 0 };
        self.show_cursor(height);
    }

    /// The cursor's row is seen, with the heading above it and the progress below.
    fn show_cursor(&mut self, height: usize) {
        self.top = self.top.min(self.lines.len().saturating_sub(height));
        let Some(at) = self.cursor() else { return };
        let heading = |at: usize| matches!(self.lines[at], Line::Heading(..) | Line::Gone(_));
        let upper = if at > 0 && heading(at - 1) {
            at - 1
        } else {
            at
        };
        let below = self.lines.get(at + 1);
        let lower = at + usize::from(matches!(below, Some(Line::Progress(..) | Line::Note(_))));
        if lower >= self.top + height {
            self.top = lower + 1 - height;
        }
        self.top = self.top.min(upper);
    }

    /// Puts the cursor on the row that a person means by a date, a number or the beginning of an environment's name.
    /// `false` = there is none.
    pub fn position(&mut self, text: &str, height: usize) -> bool {
        let text = text.trim();
        let Some(at) = self.meant(text) else {
            return false;
        };
        self.selected = self.id(at);
        let above = self.lines.get(at.wrapping_sub(1));
        let heading = matches!(above, Some(Line::Heading(..) | Line::Gone(_)));
        self.top = at - usize::from(heading);
        self.show_cursor(height);
        true
    }

    fn meant(&self, text: &str) -> Option<usize> {
        if text.is_empty() {
            return None;
        }
        let number = text.parse::<i64>().ok();
        let fits = |at: &usize| match &self.lines[*at] {
            Line::Row(row) => match number {
                Some(number) => row.number == Some(number),
                None => row.started.as_deref().is_some_and(|s| on_day(s, text)),
            },
            Line::Heading(..) | Line::Gone(_) | Line::Progress(..) | Line::Note(_) => false,
        };
        // The environment the cursor is in comes first.
        let here = self.environment_of(self.cursor().unwrap_or_default());
        let mut rows = here
            .clone()
            .chain(0..here.start)
            .chain(here.end..self.lines.len());
        if let Some(at) = rows.find(fits) {
            return Some(at);
        }
        let named = |line: &Line, how: fn(&str, &str) -> bool| match line {
            Line::Heading(heading, _) => how(&heading.name, text),
            Line::Gone(name) => how(name, text),
            Line::Row(_) | Line::Progress(..) | Line::Note(_) => false,
        };
        let mut headings = self.lines.iter();
        let begins = headings.position(|line| named(line, |name, text| name.starts_with(text)));
        let has = || {
            let mut headings = self.lines.iter();
            headings.position(|line| named(line, |name, text| name.contains(text)))
        };
        let heading = begins.or_else(has)?;
        self.rows().into_iter().find(|at| *at > heading)
    }

    /// Lines of the environment that a line belongs to.
    fn environment_of(&self, at: usize) -> std::ops::Range<usize> {
        let heading = |at: &usize| matches!(self.lines[*at], Line::Heading(..) | Line::Gone(_));
        let end = self.lines.len();
        let start = (0..=at.min(end.saturating_sub(1)))
            .filter(|at| *at < end)
            .rfind(heading);
        let next = (at + 1..end).find(heading);
        start.unwrap_or_default()..next.unwrap_or(end)
    }
}

/// `2026-11-24`, `2026-11-24T00`, `2026-11` or `11-24`.
fn on_day(started: &str, text: &str) -> bool {
    if !text.contains('-') || !text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let text = text.replace(' ', "T");
    started.starts_with(&text) || started.get(5..).is_some_and(|rest| rest.starts_with(&text))
}
