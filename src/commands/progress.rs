//! Live progress of runs on standard error: bars on a terminal, lines elsewhere.

use super::text::one_line;
use crate::api::CloneRun;
use crate::api::run::CloneRunStatus;
use crate::engine::journal::{Entry, EntryState, Phase};
use chrono::Utc;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Shows runs. Several may be shown at once.
pub struct Progress {
    display: Display,
}

enum Display {
    Bars {
        all: MultiProgress,
        bars: Mutex<BTreeMap<String, ProgressBar>>,
    },
    Lines(Mutex<BTreeMap<String, String>>),
}

impl Default for Progress {
    /// Bars when standard error is a terminal.
    fn default() -> Self {
        let display = if std::io::stderr().is_terminal() {
            Display::Bars {
                all: MultiProgress::new(),
                bars: Mutex::default(),
            }
        } else {
            Display::Lines(Mutex::default())
        };
        Self { display }
    }
}

impl Progress {
    /// Shows where a run stands now.
    pub fn show(&self, run: &CloneRun) {
        let name = run.name_any();
        let status = run.status.clone().unwrap_or_default();
        let (done, of) = place(&status);
        let doing = doing(&status);
        match &self.display {
            Display::Bars { all, bars } => {
                let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
                let bar = bars
                    .entry(name.clone())
                    .or_insert_with(|| new_bar(all, &name));
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(doing);
                if status.phase.is_final() {
                    bar.finish();
                }
            }
            Display::Lines(last) => {
                let line = format!("{name} {done}/{of} {doing}");
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.get(&name) != Some(&line) {
                    eprintln!("{} {line}", Utc::now().format("%H:%M:%SZ"));
                    last.insert(name, line);
                }
            }
        }
    }

    /// A line between the bars.
    pub fn say(&self, text: &str) {
        match &self.display {
            // The error is that there is no terminal any more.
            Display::Bars { all, .. } => drop(all.println(text)),
            Display::Lines(_) => eprintln!("{text}"),
        }
    }
}

fn new_bar(all: &MultiProgress, name: &str) -> ProgressBar {
    let bar = all.add(ProgressBar::new(1));
    // The template is ours and right; the plain bar would do too.
    let style =
        ProgressStyle::with_template("{prefix} [{bar:20}] {pos}/{len} {elapsed} {wide_msg}")
            .map(|style| style.progress_chars("=> "))
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style);
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Steps done and steps in all; 0 of 1 until the run has opened.
pub(super) fn place(status: &CloneRunStatus) -> (u64, u64) {
    if status.steps.is_empty() {
        return (u64::from(status.phase.is_final()), 1);
    }
    let count = |wanted: fn(&Entry) -> bool| {
        u64::try_from(status.steps.iter().filter(|e| wanted(e)).count()).unwrap_or_default()
    };
    let done = count(|e| matches!(e.state, EntryState::Done | EntryState::Skipped));
    (done, count(|_| true))
}

/// What the run is doing, in a few words.
pub(super) fn doing(status: &CloneRunStatus) -> String {
    match status.phase {
        Phase::Pending if !status.steps.is_empty() => "opens".to_owned(),
        Phase::Pending => "not opened yet: is the operator running?".to_owned(),
        Phase::Queued => match &status.queue {
            Some(queue) => format!(
                "waits as number {} for {}",
                queue.position, queue.blocked_by
            ),
            None => "waits for a device".to_owned(),
        },
        Phase::Running => current(status),
        Phase::Cancelling => format!("is being cancelled: {}", current(status)),
        Phase::Succeeded | Phase::Warning | Phase::Failed | Phase::Cancelled | Phase::Skipped => {
            let state = status.state.clone().unwrap_or_default();
            format!("{:?} {state}", status.phase).trim_end().to_owned()
        }
    }
}

fn current(status: &CloneRunStatus) -> String {
    // With a verdict only obligations are left, and they are what matters then.
    let verdict = status.journal.as_ref().and_then(|j| j.verdict.as_ref());
    let open: Vec<String> = status
        .obligations
        .iter()
        .filter(|o| o.met.is_none())
        .map(|o| format!("{:?}", o.kind))
        .collect();
    if verdict.is_some() && !open.is_empty() {
        return format!("still to be met: {}", open.join(", "));
    }
    let entry = status
        .steps
        .iter()
        .find(|e| !matches!(e.state, EntryState::Done | EntryState::Skipped));
    match entry {
        Some(Entry {
            name,
            message: Some(message),
            ..
        }) => format!("{name}: {}", one_line(message)),
        Some(entry) => entry.name.clone(),
        None => status.step.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::run::{JournalRest, Queue};
    use crate::engine::journal::{Obligation, ObligationKind, Verdict};
    use crate::engine::time::Timestamp;

    fn entry(name: &str, state: EntryState, message: Option<&str>) -> Entry {
        Entry {
            name: name.into(),
            state,
            message: message.map(Into::into),
            ..Entry::default()
        }
    }

    fn running() -> CloneRunStatus {
        CloneRunStatus {
            phase: Phase::Running,
            steps: vec![
                entry("verify-site", EntryState::Done, None),
                entry("stop-clone", EntryState::Intended, Some("shuts\ndown")),
                entry("settle", EntryState::Pending, None),
            ],
            ..CloneRunStatus::default()
        }
    }

    #[test]
    fn the_current_step_and_what_it_waits_for_are_shown() {
        assert_eq!(place(&running()), (1, 3));
        assert_eq!(doing(&running()), "stop-clone: shuts; down");
    }

    #[test]
    fn only_a_run_that_nobody_has_opened_asks_for_the_operator() {
        let mut status = CloneRunStatus::default();
        assert!(doing(&status).contains("is the operator running?"));
        status.steps = running().steps;
        assert_eq!(doing(&status), "opens");
    }

    #[test]
    fn a_queued_run_names_its_blocker() {
        let status = CloneRunStatus {
            phase: Phase::Queued,
            queue: Some(Queue {
                since: None,
                position: 2,
                blocked_by: "ibmi/nightly-1 (clone partition)".into(),
            }),
            ..running()
        };
        assert_eq!(
            doing(&status),
            "waits as number 2 for ibmi/nightly-1 (clone partition)"
        );
    }

    #[test]
    fn after_the_verdict_open_obligations_are_what_is_shown() {
        let at = Timestamp::new(Utc::now());
        let mut status = running();
        status.obligations = vec![Obligation {
            kind: ObligationKind::ResumeSource,
            step: "suspend-source".into(),
            since: at,
            met: None,
            message: None,
            attempts: 3,
        }];
        status.journal = Some(JournalRest {
            verdict: Some(Verdict {
                phase: Phase::Failed,
                reason: "StepFailed".into(),
                message: String::new(),
                at,
            }),
            ..JournalRest::default()
        });
        assert_eq!(doing(&status), "still to be met: ResumeSource");
    }
}
