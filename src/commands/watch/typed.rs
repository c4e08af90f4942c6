//! What Enter does: options of the list, the log that is asked for, the position and the search.

use super::keys::Action;
use super::list::{self, Line, RowId};
use super::logs::{Log, Want};
use super::pager;
use super::state::{LogsOf, Screen, State, Wish};
use crate::commands::logs::none_there;
use crate::commands::text::one_line;

impl State {
    pub(super) fn enter(&mut self) -> Vec<Wish> {
        match self.screens.last() {
            None => {
                let options = std::mem::take(&mut self.list.options);
                if options.is_empty() {
                    let row = self.list.selected.clone();
                    self.queue = row.map(|row| (row, '5')).into_iter().collect();
                } else {
                    // In the order of the rows, as a subfile is read.
                    let place = |id: &RowId| {
                        self.list.lines.iter().position(|line| match line {
                            Line::Row(row) => list::id_of(row) == *id,
                            Line::Heading(..)
                            | Line::Gone(_)
                            | Line::Progress(..)
                            | Line::Note(_) => false,
                        })
                    };
                    let mut all: Vec<(RowId, char)> = options.into_iter().collect();
                    all.sort_by_key(|(id, _)| place(id));
                    self.queue = all.into();
                }
                self.next_option()
            }
            Some(Screen::Choice(id, want, at)) => {
                let (id, want, at) = (id.clone(), *want, *at);
                let kind = match self.logs_of(&id) {
                    Some(Ok(logs)) => logs
                        .iter()
                        .filter(|log| want.takes(log.kind))
                        .nth(at)
                        .map(|log| log.kind),
                    Some(Err(_)) | None => None,
                };
                self.screens
                    .extend(kind.map(|kind| Screen::Log(id, kind, 0)));
                Vec::new()
            }
            Some(Screen::Details(..) | Screen::Log(..) | Screen::Help(_)) => {
                self.move_text(Action::PageDown);
                Vec::new()
            }
        }
    }

    /// Opens the screen of the next option that waits.
    pub(super) fn next_option(&mut self) -> Vec<Wish> {
        let Some((id, option)) = self.queue.pop_front() else {
            return Vec::new();
        };
        self.list.selected = Some(id.clone());
        let want = match option {
            '5' => {
                self.screens.push(Screen::Details(id, 0));
                return Vec::new();
            }
            '6' => Want::All,
            '8' => Want::JobLog,
            '9' => Want::System,
            other => {
                self.error(format!("Option {other} is not valid: type 5, 6, 8 or 9."));
                // What was typed after it can be mended and entered again.
                self.list.options.extend(self.queue.drain(..));
                self.list.options.insert(id, other);
                return Vec::new();
            }
        };
        if self.list.row(&id).is_some_and(|row| row.archived) {
            let number = id.1.map(|n| n.to_string()).unwrap_or(id.0);
            self.error(format!(
                "Run {number} is a row of the archive: its logs went with the object."
            ));
            return self.next_option();
        }
        let run = id.0.clone();
        self.screens.push(Screen::Choice(id, want, 0));
        self.logs = Some(LogsOf {
            run: run.clone(),
            read: None,
        });
        vec![Wish::Logs(run)]
    }

    /// Where there is nothing to choose, the log itself is shown; where there is none, it is said.
    pub(super) fn logs_read(&mut self, run: String, read: Result<Vec<Log>, String>) {
        let Some(logs) = self.logs.as_mut().filter(|logs| logs.run == run) else {
            return;
        };
        let first = logs.read.is_none();
        logs.read = Some(read);
        let Some(Screen::Choice(id, want, _)) = self.screens.last().cloned() else {
            return;
        };
        let kinds = match self.logs_of(&id) {
            Some(Ok(logs)) => {
                let kinds = logs.iter().map(|log| log.kind);
                Ok(kinds.filter(|kind| want.takes(kind)).collect::<Vec<_>>())
            }
            Some(Err(why)) => Err(one_line(why)),
            None => return,
        };
        let why = match kinds {
            Err(why) => why,
            Ok(kinds) => match (kinds.as_slice(), want) {
                ([], _) => {
                    let run = self.objects.runs.get(&id.0);
                    let why = run.map(|run| none_there(run, want.name()).to_string());
                    why.unwrap_or_else(|| format!("run {} does not exist any more", id.0))
                }
                ([kind], Want::JobLog | Want::System) if first => {
                    self.screens.pop();
                    self.screens.push(Screen::Log(id, kind, 0));
                    return;
                }
                ([_, ..], _) => return,
            },
        };
        self.screens.pop();
        self.error(why);
    }

    pub(super) fn search(&mut self, text: String) {
        if text.trim().is_empty() {
            return;
        }
        let found = match self.screens.last() {
            None => {
                let height = self.list_height();
                self.list.position(&text, height)
            }
            Some(_) => self.find(&text),
        };
        if !found {
            self.error(format!("`{text}` is not there."));
        }
        self.found = text;
    }

    pub(super) fn find(&mut self, text: &str) -> bool {
        let lines = self.text();
        match self.screens.last_mut() {
            Some(Screen::Details(_, top) | Screen::Log(_, _, top) | Screen::Help(top)) => {
                let Some(at) = pager::find(&lines, *top, text) else {
                    return false;
                };
                *top = at;
                true
            }
            Some(Screen::Choice(..)) | None => false,
        }
    }
}
