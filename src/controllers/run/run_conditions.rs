//! The conditions of a run, from its journal.

use super::status::{NOTE, RowFacts, last, obligation_words, phase_word};
use crate::api::run::CloneRunStatus;
use crate::controllers::conditions::{self, Truth};
use crate::controllers::text::{cut, stable};
use crate::engine::journal::{EntryState, Journal, ObligationKind, Phase, Question};
use crate::recipe::steps::{self, NOT_STORED};

pub(super) fn put_conditions(status: &mut CloneRunStatus, journal: &Journal, facts: &RowFacts) {
    let mut list = std::mem::take(&mut status.conditions);
    let not_stored =
        conditions::get(&list, "LogsCollected").is_some_and(|c| c.reason == "NotStored");
    let message = status.message.clone().unwrap_or_default();
    let reason = status.reason.clone().unwrap_or_default();
    let phase = phase_word(journal.phase);
    let mut set = |kind: &str, truth, reason: &str, message: &str| {
        conditions::set(
            &mut list,
            kind,
            truth,
            reason,
            &cut(message, NOTE),
            facts.generation,
            facts.now,
        );
    };
    let outcome = match journal.phase {
        Phase::Pending | Phase::Queued | Phase::Running | Phase::Cancelling => Truth::Unknown,
        Phase::Succeeded | Phase::Warning => Truth::True,
        Phase::Failed | Phase::Cancelled | Phase::Skipped => Truth::False,
    };
    let why = if reason.is_empty() { phase } else { &reason };
    set("Succeeded", outcome, why, &message);
    if let Some(resume) = last(&journal.obligations, ObligationKind::ResumeSource) {
        let how = resume.message.as_deref().unwrap_or_default();
        match resume.met {
            Some(_) => set("SourceResumed", Truth::True, "Resumed", how),
            None => set("SourceResumed", Truth::False, "MayBeSuspended", how),
        }
    }
    if let Some(logs) = journal.entry("collect-logs") {
        let (truth, why) = match (logs.state, journal.phase.is_final()) {
            (EntryState::Done, _) => (Truth::True, "Collected"),
            (EntryState::Failed, _) | (_, true) => (Truth::False, "NotCollected"),
            (EntryState::Pending | EntryState::Intended | EntryState::Skipped, false) => {
                (Truth::Unknown, "NotYet")
            }
        };
        match logs.output.get(NOT_STORED) {
            Some(text) => set("LogsCollected", Truth::False, "NotStored", text),
            // A final row has dropped the outputs of its steps.
            None if not_stored => set("LogsCollected", Truth::False, "NotStored", ""),
            None => set("LogsCollected", truth, why, ""),
        }
    }
    match attention(journal) {
        Some((why, text)) => set("NeedsAttention", Truth::True, &why, &text),
        None if journal.phase.is_final() => conditions::clear(&mut list, "NeedsAttention"),
        None => set("NeedsAttention", Truth::False, "NothingToDo", ""),
    }
    kstatus(&mut list, journal, why, &message, facts);
    status.conditions = list;
}

/// kstatus: `Reconciling` while open, `Stalled` when failed; absent otherwise.
fn kstatus(
    list: &mut Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
    journal: &Journal,
    why: &str,
    message: &str,
    facts: &RowFacts,
) {
    let text = cut(message, NOTE);
    let wanted = [
        ("Reconciling", !journal.phase.is_final()),
        ("Stalled", journal.phase == Phase::Failed),
    ];
    for (kind, holds) in wanted {
        if holds {
            let (generation, now) = (facts.generation, facts.now);
            conditions::set(list, kind, Truth::True, why, &text, generation, now);
        } else {
            conditions::clear(list, kind);
        }
    }
}

/// What a person has to do, if anything: an obligation that is not met at the first try, or a step that waits for a
/// person (`recipe::steps::ATTENTION`). A message of either tells by a word of its own which it is, where it is more.
fn attention(journal: &Journal) -> Option<(String, String)> {
    if let Some(owed) = journal.open_obligations().find(|o| o.attempts > 0) {
        let text = owed.message.clone().unwrap_or_default();
        let word = steps::attention(&text).unwrap_or("ObligationUnmet");
        let text = stable(&format!("{}: {text}", obligation_words(owed.kind)), NOTE);
        return Some((word.to_owned(), text));
    }
    if journal.phase.is_final() {
        return None;
    }
    let entry = journal.steps.get(journal.current()?)?;
    let message = entry.message.as_deref()?;
    let word = steps::attention(message)?;
    Some((word.to_owned(), stable(message, NOTE)))
}

/// The question of the last look, as long as what was said last says that it waits. A device that does not answer leaves
/// the question in the journal, but nobody is told then that it waits.
pub(super) fn waiting(journal: &Journal) -> Option<Question> {
    let question = journal.question.as_ref()?;
    let steps = journal.steps.iter().filter_map(|e| e.message.as_deref());
    let owed = journal
        .open_obligations()
        .filter_map(|o| o.message.as_deref());
    let asked = steps.chain(owed).any(|said| said.contains(&question.key));
    (asked && !journal.phase.is_final()).then(|| question.clone())
}
