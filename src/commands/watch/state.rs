//! What the screen knows and what a key, a piece of news or a second changes. Pure: what is to be done outside is given
//! back as wishes.

use super::details;
use super::feed::Feed;
use super::keys::{Action, TABLE, action};
use super::list::{self, List, Objects, RowId};
use super::logs::{Log, Want};
use super::pager::{self, Area, Shown, Tone};
use super::prompt::{Prompt, Typed};
use crate::commands::history::Row;
use crate::commands::history::layout::View;
use crate::commands::operator_state::OperatorState;
use crate::commands::text::one_line;
use chrono::{DateTime, Utc};
use crossterm::event::KeyEvent;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The smallest terminal, which is a 5250 display.
pub const SMALLEST: (u16, u16) = (80, 24);
/// Lines of the list's screen that are not rows.
pub const AROUND_LIST: u16 = 9;
/// Lines of the other screens that are not text.
pub const AROUND_TEXT: u16 = 5;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A key.
    Key(KeyEvent),
    /// The terminal has another size: columns and lines.
    Resize(u16, u16),
    /// A second has passed.
    Tick,
    /// News from the API.
    Feed(Feed),
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// End, as wanted.
    End,
    /// End, because of Ctrl-C.
    Interrupt,
    /// Read everything again.
    Refresh,
    /// Read the archive of an environment.
    Archive(String),
    /// Read the logs of a run.
    Logs(String),
    /// Draw the whole screen anew.
    Redraw,
}

/// A screen above the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// Option 5.
    Details(RowId, usize),
    /// Which log? `usize` = the one the cursor is on.
    Choice(RowId, Want, usize),
    /// A log, from a line on.
    Log(RowId, &'static str, usize),
    /// The keys.
    Help(usize),
}

/// Logs of one run.
#[derive(Debug)]
pub struct LogsOf {
    /// Name of the run.
    pub run: String,
    /// `None` = being read.
    pub read: Option<Result<Vec<Log>, String>>,
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// Namespace.
    pub namespace: String,
    /// Columns and lines.
    pub size: (u16, u16),
    /// Now.
    pub now: DateTime<Utc>,
    /// Environments, runs, archives.
    pub objects: Objects,
    /// The operator.
    pub operator: OperatorState,
    /// Durations or times.
    pub view: View,
    /// The list.
    pub list: List,
    /// Screens above it, the last one is seen.
    pub screens: Vec<Screen>,
    /// Options that wait for their turn.
    pub queue: VecDeque<(RowId, char)>,
    /// An input field that is open.
    pub prompt: Option<Prompt>,
    /// What was found last.
    pub found: String,
    /// The last line: what just happened, and whether it is an error.
    pub message: Option<(String, bool)>,
    /// Watches that hear nothing, why, and since when.
    pub silent: BTreeMap<&'static str, (String, DateTime<Utc>)>,
    /// Environments whose archive could not be read, and why; read again when the API is heard again.
    pub unread: BTreeMap<String, String>,
    /// Logs that were read last.
    pub logs: Option<LogsOf>,
    archives_asked: BTreeSet<String>,
}

impl State {
    /// Before anything was heard. `only`: the one environment that is shown; its archive is read even when it is gone.
    pub fn new(namespace: &str, only: Option<&str>, size: (u16, u16), now: DateTime<Utc>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            size,
            now,
            objects: Objects::default(),
            operator: OperatorState::default(),
            view: View::default(),
            list: List::default(),
            screens: Vec::new(),
            queue: VecDeque::new(),
            prompt: None,
            found: String::new(),
            message: None,
            silent: BTreeMap::new(),
            unread: BTreeMap::new(),
            logs: None,
            archives_asked: only.map(str::to_owned).into_iter().collect(),
        }
    }

    /// Whether there is too little room for anything.
    pub fn too_small(&self) -> bool {
        self.size.0 < SMALLEST.0 || self.size.1 < SMALLEST.1
    }

    /// Lines of the list that are seen.
    pub fn list_height(&self) -> usize {
        usize::from(self.size.1.saturating_sub(AROUND_LIST)).max(1)
    }

    /// Room for text on the other screens.
    pub fn area(&self) -> Area {
        Area {
            width: usize::from(self.size.0.saturating_sub(2)).max(1),
            height: usize::from(self.size.1.saturating_sub(AROUND_TEXT)).max(1),
        }
    }

    /// Takes what happened.
    pub fn apply(&mut self, event: Event, now: DateTime<Utc>) -> Vec<Wish> {
        self.now = now;
        let wishes = match event {
            Event::Key(key) => self.key(&key),
            Event::Resize(columns, lines) => {
                self.size = (columns, lines);
                Vec::new()
            }
            Event::Tick => Vec::new(),
            Event::Feed(feed) => self.heard(feed),
        };
        let height = self.list_height();
        self.list.set(list::lines(&self.objects, now), height);
        wishes
    }

    fn heard(&mut self, feed: Feed) -> Vec<Wish> {
        match feed {
            Feed::Environments(all) => {
                self.objects.environments_listed = true;
                let named = all.into_iter().map(|e| (e.name_any(), e));
                self.objects.environments = named.collect();
                self.missing_archives()
            }
            Feed::Environment(one) => {
                self.objects.environments.insert(one.name_any(), *one);
                self.missing_archives()
            }
            Feed::EnvironmentGone(name) => {
                self.objects.environments.remove(&name);
                Vec::new()
            }
            Feed::Runs(all) => {
                self.objects.runs_listed = true;
                self.objects.runs = all.into_iter().map(|r| (r.name_any(), r)).collect();
                self.missing_archives()
            }
            Feed::Run(one) => self.changed(*one),
            Feed::RunGone(gone) => {
                self.objects.runs.remove(&gone.name_any());
                vec![Wish::Archive(gone.spec.environment.clone())]
            }
            Feed::Operator(state) => {
                self.operator = state;
                Vec::new()
            }
            Feed::Archive(environment, read) => {
                self.unread.remove(&environment);
                match read {
                    Ok(rows) => drop(self.objects.archives.insert(environment, rows)),
                    Err(why) => drop(self.unread.insert(environment, one_line(&why))),
                }
                Vec::new()
            }
            Feed::Logs(run, read) => {
                self.logs_read(run, read);
                Vec::new()
            }
            Feed::Silent(what, why) => {
                if !why.is_empty() {
                    let since = self.silent.get(what).map_or(self.now, |(_, at)| *at);
                    self.silent.insert(what, (one_line(&why), since));
                    return Vec::new();
                }
                let back = self.silent.remove(what).is_some() && self.silent.is_empty();
                let again = self.unread.keys().filter(|_| back).cloned();
                again.map(Wish::Archive).collect()
            }
        }
    }

    /// New logs of the run that is looked at are read at once.
    fn changed(&mut self, run: crate::api::CloneRun) -> Vec<Wish> {
        let name = run.name_any();
        let logs = |run: &crate::api::CloneRun| run.status.as_ref().map(|s| s.logs.clone());
        let before = self.objects.runs.get(&name).and_then(logs);
        let more = before != logs(&run);
        self.objects.runs.insert(name.clone(), run);
        let mut wishes = self.missing_archives();
        if more && self.logs.as_ref().is_some_and(|l| l.run == name) {
            wishes.push(Wish::Logs(name));
        }
        wishes
    }

    /// Archives are read by name, once for each environment that is known of.
    fn missing_archives(&mut self) -> Vec<Wish> {
        let of_runs = self.objects.runs.values().map(|r| &r.spec.environment);
        let names = self.objects.environments.keys().chain(of_runs).cloned();
        let new: BTreeSet<String> = names
            .filter(|name| !self.archives_asked.contains(name))
            .collect();
        self.archives_asked.extend(new.iter().cloned());
        new.into_iter().map(Wish::Archive).collect()
    }

    pub(super) fn error(&mut self, text: String) {
        self.message = Some((text, true));
    }

    fn key(&mut self, key: &KeyEvent) -> Vec<Wish> {
        let meaning = action(key);
        if meaning == Some(Action::Interrupt) {
            return vec![Wish::Interrupt];
        }
        self.message = None;
        if let Some(prompt) = &mut self.prompt {
            match prompt.key(key) {
                Typed::More => {}
                Typed::Given(text) => {
                    self.prompt = None;
                    self.search(text);
                }
                Typed::Left => self.prompt = None,
            }
            return Vec::new();
        }
        match meaning {
            Some(action) => self.act(action),
            None => Vec::new(),
        }
    }

    fn act(&mut self, action: Action) -> Vec<Wish> {
        match action {
            Action::Interrupt => return vec![Wish::Interrupt],
            Action::Redraw => return vec![Wish::Redraw],
            Action::Refresh => return self.refresh(),
            Action::Times => {
                self.view = match self.view {
                    View::Durations => View::Times,
                    View::Times => View::Durations,
                };
            }
            Action::Help => {
                if !matches!(self.screens.last(), Some(Screen::Help(_))) {
                    self.screens.push(Screen::Help(0));
                }
            }
            Action::Exit => {
                if self.screens.is_empty() {
                    return vec![Wish::End];
                }
                self.screens.clear();
                self.queue.clear();
            }
            Action::Back => {
                if self.screens.pop().is_none() {
                    return vec![Wish::End];
                }
                if self.screens.is_empty() {
                    return self.next_option();
                }
            }
            Action::Search => self.prompt = Some(Prompt::new(&self.found, self.screens.is_empty())),
            Action::Next => self.search(self.found.clone()),
            Action::Up
            | Action::Down
            | Action::PageUp
            | Action::PageDown
            | Action::Top
            | Action::Bottom => self.move_by(action),
            Action::Enter => return self.enter(),
            Action::Option(digit) => {
                if let (true, Some(row)) = (self.screens.is_empty(), self.list.selected.clone()) {
                    self.list.options.insert(row, digit);
                }
            }
            Action::Clear => self.clear(),
        }
        Vec::new()
    }

    fn refresh(&mut self) -> Vec<Wish> {
        self.archives_asked.clear();
        let mut wishes = vec![Wish::Refresh];
        wishes.extend(self.missing_archives());
        if let Some(logs) = &self.logs
            && !self.screens.is_empty()
        {
            wishes.push(Wish::Logs(logs.run.clone()));
        }
        self.message = Some(("Read again.".to_owned(), false));
        wishes
    }

    fn clear(&mut self) {
        match (self.screens.is_empty(), self.list.selected.clone()) {
            (true, Some(row)) => drop(self.list.options.remove(&row)),
            // Space turns a page, as in every pager.
            (false, _) => self.move_by(Action::PageDown),
            (true, None) => {}
        }
    }

    fn move_by(&mut self, action: Action) {
        if !self.screens.is_empty() {
            return self.move_text(action);
        }
        let height = self.list_height();
        match action {
            Action::Up => self.list.step(-1, height),
            Action::Down => self.list.step(1, height),
            Action::PageUp => self.list.page(false, height),
            Action::PageDown => self.list.page(true, height),
            Action::Top => self.list.end(false, height),
            Action::Bottom => self.list.end(true, height),
            _ => {}
        }
    }

    pub(super) fn move_text(&mut self, action: Action) {
        let (lines, area) = (self.text(), self.area());
        let Some(screen) = self.screens.last_mut() else {
            return;
        };
        let last = lines.len().saturating_sub(1);
        match screen {
            Screen::Choice(_, _, at) => {
                *at = match action {
                    Action::Up => at.saturating_sub(1),
                    Action::Down => (*at + 1).min(last),
                    Action::Top | Action::PageUp => 0,
                    _ => last,
                }
            }
            Screen::Details(_, top) | Screen::Log(_, _, top) | Screen::Help(top) => {
                let bottom = pager::bottom(&lines, area);
                *top = match action {
                    Action::Up => top.saturating_sub(1),
                    Action::Down => (*top + 1).min(bottom),
                    Action::PageUp => pager::page_before(&lines, *top, area),
                    Action::PageDown => pager::next_page(&lines, *top, area),
                    Action::Top => 0,
                    _ => bottom,
                }
            }
        }
    }

    /// The text of the screen that is seen; empty for the list.
    pub fn text(&self) -> Vec<Shown> {
        match self.screens.last() {
            None => Vec::new(),
            Some(Screen::Help(_)) => TABLE
                .iter()
                .map(|(of_5250, of_terminal, what)| {
                    Shown::plain(format!("{of_5250:<14} {of_terminal:<16} {what}"))
                })
                .collect(),
            Some(Screen::Details(id, _)) => match self.list.row(id) {
                Some(row) => {
                    let run = self.objects.runs.get(&id.0).filter(|_| !row.archived);
                    details::lines(row, run, self.now, self.area().width)
                }
                None => vec![Shown::toned(
                    "This run does not exist any more.",
                    Tone::Warning,
                )],
            },
            Some(Screen::Choice(id, want, _)) => match self.logs_of(id) {
                Some(Ok(logs)) => logs
                    .iter()
                    .filter(|log| want.takes(log.kind))
                    .map(|log| {
                        Shown::plain(format!("{:<12} {:>9} lines", log.kind, log.lines.len()))
                    })
                    .collect(),
                Some(Err(_)) | None => Vec::new(),
            },
            Some(Screen::Log(id, kind, _)) => match self.logs_of(id) {
                Some(Ok(logs)) => logs
                    .iter()
                    .find(|log| log.kind == *kind)
                    .map(|log| log.lines.clone())
                    .unwrap_or_default(),
                Some(Err(_)) | None => Vec::new(),
            },
        }
    }

    pub(super) fn logs_of(&self, id: &RowId) -> Option<&Result<Vec<Log>, String>> {
        let logs = self.logs.as_ref().filter(|logs| logs.run == id.0)?;
        logs.read.as_ref()
    }

    /// The row a screen is about.
    pub fn row_of(&self, id: &RowId) -> Option<&Row> {
        self.list.row(id)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
pub(super) mod tests;
