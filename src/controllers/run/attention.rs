//! What a person should look at: what is owed and not met, a step that waits for a person, a message that waits for an answer.

use super::status::{NOTE, obligation_words};
use crate::controllers::text::stable;
use crate::engine::journal::{Journal, Question};
use crate::recipe::steps;

/// What a person has to do, if anything: an obligation that is not met at the first try, or a step that waits for a
/// person. Steps begin such a message with one CamelCase word and a colon.
pub(super) fn attention(journal: &Journal) -> Option<(String, String)> {
    if let Some(owed) = journal.open_obligations().find(|o| o.attempts > 0) {
        let text = owed.message.clone().unwrap_or_default();
        let text = stable(&format!("{}: {text}", obligation_words(owed.kind)), NOTE);
        return Some(("ObligationUnmet".to_owned(), text));
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
