//! One function builds everything a person sees of a run from its journal; nothing else writes these fields.

use super::ended::{IMAGE_ENDED, slim};
use super::order;
use super::run_conditions::{put_conditions, waiting};
use crate::api::options::Function;
use crate::api::run::{
    BackupHistory, CloneRunStatus, Frozen, JournalRest, Queue, RunImage, RunMode,
};
use crate::api::surroundings::OnFailure;
use crate::controllers::text::{cut, duration, since, stable};
use crate::engine::journal::{
    Entry, EntryState, Facts, Journal, Obligation, ObligationKind, Phase, WindowRecord,
};
use crate::engine::time::Timestamp;
use crate::recipe::image_mark;
use crate::recipe::steps::{counted, job_may_run};
use crate::recipe::{
    END_OF_IMAGE, END_OF_PARTITION, history_is_missing, program_at, volumes_to_protect,
};

/// Longest message of a row, bytes.
const MESSAGE: usize = 900;
/// Longest message of a step or an obligation while the run is open, bytes.
pub(super) const NOTE: usize = 400;

/// What the status says besides the journal.
#[derive(Debug, Clone, Copy)]
pub struct RowFacts {
    /// Generation of the run object.
    pub generation: Option<i64>,
    /// What the run does.
    pub mode: RunMode,
    /// Now.
    pub now: Timestamp,
}

/// The journal inside a status.
pub fn journal_of(status: &CloneRunStatus) -> Journal {
    let rest = status.journal.clone().unwrap_or_default();
    Journal {
        phase: status.phase,
        recipe: rest.recipe,
        run_token: rest.run_token,
        steps: status.steps.clone(),
        obligations: status.obligations.clone(),
        window: rest.window,
        verdict: rest.verdict,
        warnings: rest.warnings,
        notes: rest.notes,
        question: rest.question,
        replies: rest.replies,
        started_at: status.started_at,
        finished_at: status.finished_at,
        revision: rest.revision,
        writer: rest.writer,
    }
}

/// The whole status: journal and what people read of it. `previous` keeps what no journal holds (number, function,
/// environment, logs, transition times) and what a final row has dropped.
pub fn build(previous: &CloneRunStatus, journal: &Journal, facts: &RowFacts) -> CloneRunStatus {
    let mut status = previous.clone();
    put_journal(&mut status, journal);
    status.observed_generation = facts.generation;
    status.state = Some(state_word(previous, journal, facts.mode).to_owned());
    put_progress(&mut status, journal, previous.phase);
    put_times(&mut status, journal);
    put_image(&mut status, journal);
    put_results(&mut status, journal);
    put_words(&mut status, journal, facts.now);
    status.waiting = waiting(journal);
    put_conditions(&mut status, journal, facts);
    if journal.phase.is_final() {
        slim(&mut status);
    }
    status
}

fn put_journal(status: &mut CloneRunStatus, journal: &Journal) {
    status.phase = journal.phase;
    status.steps = journal.steps.clone();
    status.obligations = journal.obligations.clone();
    status.started_at = journal.started_at;
    status.finished_at = journal.finished_at;
    status.journal = Some(JournalRest {
        recipe: journal.recipe.clone(),
        run_token: journal.run_token.clone(),
        window: journal.window.clone(),
        verdict: journal.verdict.clone(),
        warnings: journal.warnings.clone(),
        notes: journal.notes.clone(),
        question: journal.question.clone(),
        replies: journal.replies.clone(),
        revision: journal.revision,
        writer: journal.writer.clone(),
    });
}

/// Word of the history display (`product.md` § 3).
fn state_word(previous: &CloneRunStatus, journal: &Journal, mode: RunMode) -> &'static str {
    match journal.phase {
        Phase::Pending | Phase::Queued | Phase::Running | Phase::Cancelling => "RUNNING",
        Phase::Failed => "ERROR",
        Phase::Cancelled => "CANCELLED",
        Phase::Skipped => "SKIPPED",
        Phase::Succeeded | Phase::Warning => {
            if previous.state.as_deref() == Some(IMAGE_ENDED) || ended_its_image(journal) {
                return IMAGE_ENDED;
            }
            match mode {
                RunMode::Preflight => "PREFLIGHT",
                RunMode::StartHeld => "START_HELD",
                RunMode::ReleaseHeld => "RELEASE_HELD",
                RunMode::End => "END",
                RunMode::Clone => {
                    let function = previous.function.as_deref().and_then(Function::named);
                    function.unwrap_or(Function::Hold).end_word()
                }
            }
        }
    }
}

fn put_progress(status: &mut CloneRunStatus, journal: &Journal, before: Phase) {
    let total = journal.steps.len();
    // A final row may have dropped steps.
    if total == 0 || before.is_final() {
        return;
    }
    let failed = journal
        .steps
        .iter()
        .position(|e| e.state == EntryState::Failed);
    let at = failed.or(journal.current()).unwrap_or(total - 1);
    status.step = journal.steps.get(at).map(|e| e.name.clone());
    status.progress = Some(format!("{}/{total}", at + 1));
}

fn put_times(status: &mut CloneRunStatus, journal: &Journal) {
    status.started = journal.started_at.map(Timestamp::to_seconds_text);
    if let (Some(start), Some(end)) = (journal.started_at, journal.finished_at) {
        let length = end.since(start);
        status.duration_seconds = Some(length.max(0) / 1000);
        status.duration = Some(duration(length));
    }
    if let Some(window) = &journal.window {
        status.frozen = Some(frozen(window));
    }
    let done = |step| journal.entry(step).filter(|e| e.state == EntryState::Done);
    let span = |from: Option<Timestamp>, to: Option<Timestamp>| {
        from.zip(to).map(|(from, to)| duration(to.since(from)))
    };
    if let Some(resumed) = done("resume-source") {
        status.prepare_on_source = span(journal.started_at, resumed.end);
    }
    let started = done("start-clone");
    if let (Some(started), Some(ready)) = (started, done("await-clone")) {
        status.prepare_on_clone = match saved_in_between(journal) {
            Some(saved) => started
                .start
                .zip(ready.end)
                .map(|(from, to)| duration((to.since(from) - saved).max(0))),
            // A final row has dropped the length of the save.
            None => status
                .prepare_on_clone
                .take()
                .or(span(started.start, ready.end)),
        };
    }
    if let Some(save) = saved(journal) {
        status.save = save.reported.or(status.save.take()).or(save.seen);
    }
    let copied = done("start-copy").and_then(|e| e.end);
    let started = started.and_then(|e| e.end);
    for (field, from, ends) in [
        (&mut status.partition_active, started, END_OF_PARTITION),
        (&mut status.flash_copy_active, copied, END_OF_IMAGE),
    ] {
        keep_counting(field, from);
        // The run itself has ended it.
        if let (Some(from), Some(end)) = (from, done(ends).and_then(|e| e.end)) {
            *field = Some(duration(end.since(from)));
        }
    }
}

/// Milliseconds that SAVE21 saved between the clone's start and its being ready: they are no preparation.
fn saved_in_between(journal: &Journal) -> Option<i64> {
    let place = |step: &str| journal.steps.iter().position(|e| e.name == step);
    let saved = journal.entry("run-function")?;
    (place("run-function") < place("await-clone"))
        .then(|| number(&saved.output, "saveMilliseconds"))
        .flatten()
}

/// The SAVE column: first job active → last job ended.
struct Saved {
    /// From the time the first job's system reports for it, and what passed on our clock until the last one ended.
    reported: Option<String>,
    /// From our own looks alone.
    seen: Option<String>,
}

/// `None` until the last program is over.
fn saved(journal: &Journal) -> Option<Saved> {
    let programs = || {
        journal
            .steps
            .iter()
            .filter(|e| program_at(&e.name).is_some())
    };
    let open = |e: &Entry| matches!(e.state, EntryState::Pending | EntryState::Intended);
    if !journal.phase.is_final() && programs().any(open) {
        return None;
    }
    let called = |e: &&Entry| {
        let result = e.output.get("result").map(String::as_str);
        e.state == EntryState::Done && result != Some("notStarted")
    };
    if journal.entry("begin-backup").is_some() {
        return Some(groups_saved(programs().filter(called)));
    }
    let (first, last) = (programs().find(called)?, programs().rfind(called)?);
    let (first_end, last_end) = (first.end?, last.end?);
    let reported = number(&first.output, "saveMilliseconds");
    Some(Saved {
        reported: reported.map(|ms| duration(ms + last_end.since(first_end))),
        seen: first.start.map(|start| duration(last_end.since(start))),
    })
}

/// Of function BRMS: the sum of its control groups, without what lies between them.
fn groups_saved<'e>(groups: impl Iterator<Item = &'e Entry>) -> Saved {
    let (mut reported, mut seen) = (Some(0), Some(0));
    for group in groups {
        let looked = group.start.zip(group.end).map(|(from, to)| to.since(from));
        let told = number(&group.output, "saveMilliseconds");
        reported = reported.zip(told).map(|(sum, ms)| sum + ms);
        seen = seen.zip(looked).map(|(sum, ms)| sum + ms);
    }
    Saved {
        reported: reported.map(duration),
        seen: seen.map(duration),
    }
}

/// Whether the run has ended its own image (`after.image: End`).
fn ended_its_image(journal: &Journal) -> bool {
    let ended = journal.entry(END_OF_IMAGE);
    ended.is_some_and(|e| e.state == EntryState::Done)
}

/// `since …` until something closed it: a length that has stopped never starts again.
fn keep_counting(field: &mut Option<String>, from: Option<Timestamp>) {
    let closed = field.as_ref().is_some_and(|t| !t.starts_with("since"));
    if let (false, Some(from)) = (closed, from) {
        *field = Some(since(from));
    }
}

/// Only a clean image is worth a name. A final row has dropped what proves it, and keeps what was written with it.
fn put_image(status: &mut CloneRunStatus, journal: &Journal) {
    let copied = journal
        .entry("start-copy")
        .filter(|e| e.state == EntryState::Done);
    if ended_its_image(journal) {
        status.image = None;
        return;
    }
    let (true, Some(entry)) = (journal.image_clean(), copied) else {
        return;
    };
    let Some(mark) = entry.output.get("started") else {
        return;
    };
    status.image = Some(RunImage {
        target_set: target_set(status),
        mark: image_mark(mark),
        taken_at: entry.end,
        copied_percent: None,
        end_after_seconds: end_after(status, journal),
        backups_frozen_by: frozen_backups(journal),
    });
}

/// When the operator ends the image of a run that is over: after a success, and after a failure where `onFailure` says
/// so, unless a job on the clone may still be running.
fn end_after(status: &CloneRunStatus, journal: &Journal) -> Option<i64> {
    let after = &order::frozen(status)?.after;
    let ends = match (journal.phase, after.on_failure) {
        (Phase::Succeeded | Phase::Warning, _) => true,
        (Phase::Failed, OnFailure::Apply) => !job_may_run(journal) && !history_is_missing(journal),
        (Phase::Failed, OnFailure::Keep)
        | (
            Phase::Pending
            | Phase::Queued
            | Phase::Running
            | Phase::Cancelling
            | Phase::Cancelled
            | Phase::Skipped,
            _,
        ) => false,
    };
    (ends && after.end_after_seconds > 0).then(|| i64::from(after.end_after_seconds))
}

/// Who had production's BRMS in its FlashCopy process when the image was taken: another run, or this one.
fn frozen_backups(journal: &Journal) -> Option<String> {
    let window = journal.window.as_ref();
    let other = window.and_then(|w| w.backups_held_by.clone());
    let ours = last(&journal.obligations, ObligationKind::ReleaseBackups);
    other.or_else(|| ours.map(|_| "this run".to_owned()))
}

/// `ARRAY/GROUP` of the frozen environment.
fn target_set(status: &CloneRunStatus) -> String {
    let storage = order::frozen(status).map(|spec| &spec.storage);
    let groups = storage.and_then(|s| Some(&s.spectrum_virtualize.as_ref()?.consistency_groups));
    let Some(groups) = groups else {
        return String::new();
    };
    let array = order::pins(status).array.unwrap_or_default();
    let group = groups.first().cloned().unwrap_or_default();
    format!("{array}/{group}")
}

fn frozen(window: &WindowRecord) -> Frozen {
    Frozen {
        started_at: window.started_at,
        ended_at: window.ended_at,
        milliseconds: window.milliseconds,
        suspension_proof: window.suspension_proof.clone(),
    }
}

fn put_results(status: &mut CloneRunStatus, journal: &Journal) {
    let fact = |key: &str| {
        let outputs = journal.steps.iter().map(|e| &e.output);
        outputs.filter_map(|o| number(o, key)).next_back()
    };
    let (messages, errors) = counted(journal);
    status.messages = messages.or(status.messages);
    status.errors = errors.or(status.errors);
    if let Some(mut history) = backup_history(journal) {
        // A slim row knows only what it was left.
        let before = status.backup_history.take();
        let before = before.filter(|b| b.state == history.state);
        let (file, protect) = before.map_or((None, None), |b| (b.save_file, b.protect));
        history.save_file = history.save_file.or(file);
        history.protect = history.protect.or(protect);
        status.backup_history = Some(history);
    }
    let disk = fact("diskUsedPercent").and_then(|n| i32::try_from(n).ok());
    status.disk_used_percent = disk.or(status.disk_used_percent);
    if let Some(tail) = journal.output("collect-logs", "failureTail") {
        status.failure_tail = tail.lines().take(5).map(|l| cut(l, 200)).collect();
    }
}

/// What became of the history of a BRMS run's saves, as far as it is known.
fn backup_history(journal: &Journal) -> Option<BackupHistory> {
    let of_step = |key: &str| journal.output("return-history", key).map(str::to_owned);
    let state = match history_is_missing(journal) {
        true => "missing".to_owned(),
        false => of_step("history")?,
    };
    let known = ["restored", "merged"].contains(&state.as_str());
    Some(BackupHistory {
        save_file: of_step("saveFile"),
        protect: volumes_to_protect(journal).filter(|_| !known),
        state,
    })
}

fn number(facts: &Facts, key: &str) -> Option<i64> {
    facts.get(key)?.parse().ok()
}

/// Reason, message and place in the queue.
fn put_words(status: &mut CloneRunStatus, journal: &Journal, now: Timestamp) {
    let waited = status.queue.take();
    let unmet = journal
        .open_obligations()
        .find(|o| o.attempts > 0 && o.message.is_some());
    let (reason, message) = if let Some(verdict) = &journal.verdict {
        (verdict.reason.clone(), verdict.message.clone())
    } else if journal.phase == Phase::Queued {
        status.queue = queue(journal, waited.and_then(|q| q.since).unwrap_or(now));
        let text = status.queue.as_ref().map(|q| {
            format!(
                "waits as number {} for {}; it goes on by itself",
                q.position, q.blocked_by
            )
        });
        ("Queued".to_owned(), text.unwrap_or_default())
    } else if journal.phase == Phase::Cancelling {
        ("Stopping".to_owned(), stopping(journal))
    } else {
        let at = journal.current().and_then(|at| journal.steps.get(at));
        let text = at.and_then(|e| e.message.clone()).unwrap_or_default();
        (String::new(), text)
    };
    let message = match unmet {
        Some(o) => format!(
            "{} is still owed and tried again: {}. {message}",
            obligation_words(o.kind),
            o.message.as_deref().unwrap_or_default()
        ),
        None => message,
    };
    let kept = |text: String, old: Option<String>| match (text.is_empty(), journal.phase) {
        // A final row's verdict is slim; the words written with it stay.
        (true, phase) if phase.is_final() => old,
        (true, _) => None,
        (false, _) => Some(text),
    };
    status.reason = kept(reason, status.reason.take());
    status.message = kept(stable(&message, MESSAGE), status.message.take());
}

/// A stop was seen and the step under way is waited for.
fn stopping(journal: &Journal) -> String {
    let Some(entry) = journal.current().and_then(|at| journal.steps.get(at)) else {
        return String::new();
    };
    let ends = format!("ends after {}", entry.name);
    match &entry.message {
        Some(waits) => format!("{ends}: {waits}"),
        None => ends,
    }
}

fn queue(journal: &Journal, since: Timestamp) -> Option<Queue> {
    let notes = journal.steps.iter().filter_map(|e| e.message.as_deref());
    notes
        .filter_map(|note| note.split_once('|'))
        .find_map(|(position, by)| {
            Some(Queue {
                position: position.parse().ok()?,
                blocked_by: by.to_owned(),
                since: Some(since),
            })
        })
}

/// What is owed, in words.
pub fn obligation_words(kind: ObligationKind) -> &'static str {
    match kind {
        ObligationKind::ResumeSource => "resuming production",
        ObligationKind::StopWatchdog => "ending the watchdog on production",
        ObligationKind::LeavePrepared => "disarming the prepared copy",
        ObligationKind::RemoveParameters => "removing the parameter file from production",
        ObligationKind::RunAfterResume => "running the AfterResume hooks on production",
        ObligationKind::ReleaseBackups => "releasing BRMS of production",
    }
}

pub(super) fn last(obligations: &[Obligation], kind: ObligationKind) -> Option<&Obligation> {
    obligations.iter().rev().find(|o| o.kind == kind)
}

/// The phase as written.
pub fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Queued => "Queued",
        Phase::Running => "Running",
        Phase::Cancelling => "Cancelling",
        Phase::Succeeded => "Succeeded",
        Phase::Warning => "Warning",
        Phase::Failed => "Failed",
        Phase::Cancelled => "Cancelled",
        Phase::Skipped => "Skipped",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "status_tests.rs"]
mod tests;
