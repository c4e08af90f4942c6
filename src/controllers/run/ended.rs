//! The row of a run that is over: what it keeps, and how its image and its partition stop counting later.

use crate::api::run::CloneRunStatus;
use crate::controllers::text::{cut, duration, stable};
use crate::engine::journal::{Entry, EntryState, Phase};
use crate::engine::time::Timestamp;

/// The image of this row's run is gone.
pub const IMAGE_ENDED: &str = "END_FC";

/// More steps than a recipe has without hooks and further programs.
const MANY: usize = 24;

/// Of a row with many steps: those whose times the row's lengths are made of, and those that did not end well.
fn is_timed(entry: &Entry) -> bool {
    let lengths = ["resume-source", "start-copy", "start-clone", "await-clone"];
    lengths.contains(&entry.name.as_str()) || !ended_well(entry)
}

fn ended_well(entry: &Entry) -> bool {
    matches!(entry.state, EntryState::Done | EntryState::Skipped)
}

/// Of a further program or hook: `NAME-2` and so on.
fn is_further(entry: &Entry) -> bool {
    let number = entry.name.rsplit_once('-').map(|(_, number)| number);
    number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// What a finished row keeps: 10,000 of them live in etcd and in the API server's memory (`product.md` § 3). The whole
/// record is the `steps` log.
pub(super) fn slim(status: &mut CloneRunStatus) {
    let wide = status.steps.len() > MANY;
    for entry in &mut status.steps {
        let timed = !wide || is_timed(entry);
        *entry = Entry {
            name: std::mem::take(&mut entry.name),
            state: entry.state,
            attempts: if timed { entry.attempts } else { 0 },
            start: entry.start.filter(|_| timed),
            end: entry.end.filter(|_| timed),
            ..Entry::default()
        };
    }
    if wide {
        status.steps.retain(|e| !is_further(e) || !ended_well(e));
        // The conditions say what became of them.
        status.obligations.retain(|owed| owed.met.is_none());
        // Those of further programs are named after the first one's.
        status.logs.retain(|log| !log.kind.starts_with("joblog-"));
    }
    status.message = status.message.as_deref().map(|m| cut(m, 400));
    for line in &mut status.failure_tail {
        *line = cut(line, 60);
    }
    for owed in &mut status.obligations {
        owed.message = None;
    }
    if let Some(resolved) = &mut status.resolved {
        resolved.spec = None;
        resolved.pins.clear();
    }
    if let Some(journal) = &mut status.journal {
        journal.window = None;
        journal.notes.clear();
        journal.question = None;
        journal.replies.clear();
        let mut room = 300_usize;
        journal.warnings.retain_mut(|warning| {
            *warning = stable(warning, 150);
            let fits = warning.len() <= room;
            room = room.saturating_sub(warning.len());
            fits
        });
        if let Some(verdict) = &mut journal.verdict {
            // The row's own message says the same.
            verdict.message = String::new();
        }
    }
    for condition in &mut status.conditions {
        // The row's own message says it once.
        condition.message = String::new();
    }
}

/// Closes the row of a run whose image is gone: by the run that takes its target set, whatever environment it is of.
/// ERROR and CANCELLED keep their word but stop counting too.
pub fn end_image(status: &mut CloneRunStatus, now: Timestamp) {
    if matches!(status.phase, Phase::Succeeded | Phase::Warning)
        && status.state.as_deref() != Some("PREFLIGHT")
    {
        status.state = Some(IMAGE_ENDED.to_owned());
    }
    status.image = None;
    leave_partition(status, now);
    let copied = end_of(status, "start-copy");
    stop_counting(&mut status.flash_copy_active, copied, now);
}

/// The run's volumes are off the clone partition: its partition stops counting, its image lives on.
pub fn leave_partition(status: &mut CloneRunStatus, now: Timestamp) {
    let started = end_of(status, "start-clone");
    stop_counting(&mut status.partition_active, started, now);
}

fn end_of(status: &CloneRunStatus, step: &str) -> Option<Timestamp> {
    let entry = status.steps.iter().find(|e| e.name == step)?;
    entry.end.filter(|_| entry.state == EntryState::Done)
}

fn stop_counting(field: &mut Option<String>, from: Option<Timestamp>, now: Timestamp) {
    if let (Some(text), Some(from)) = (field.as_mut(), from)
        && text.starts_with("since")
    {
        *text = duration(now.since(from));
    }
}
