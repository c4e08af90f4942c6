//! A person's answers to messages that jobs wait for: an effect like any other. The intent is written first; an answer whose
//! fate is not known is sent again only while its message is seen waiting (`architecture.md` § 4 rules 1 and 3).
//!
//! `spec.replies` only grows, so an element is known by its place. Each is handled once, in order: sent, refused by the
//! system, or found to answer nothing.

use super::drive::{Engine, Flow};
use super::journal::{Journal, Question, ReplyRecord, ReplyState};
use super::ports::{Answer, StoreError};
use super::step::{LockKind, Observation};
use crate::site::DeviceError;
use std::time::Duration;

/// An answer that may have been sent is sent again no earlier: the job it woke needs a moment to show that. In the devices'
/// time.
const SPACING: Duration = Duration::from_secs(10);
/// After an answer was sent: how soon its effect is looked for. In the devices' time.
const LOOK: Duration = Duration::from_secs(2);

/// What the last look said about waiting messages.
pub(super) enum Seen {
    /// This one waits, and no other.
    Asking(Box<Question>),
    /// A device may not have been asked: what waited may wait still.
    Undecided,
    /// Proved: nothing waits.
    Nothing,
}

impl Seen {
    pub(super) fn of(observation: &Observation) -> Self {
        match observation {
            Observation::Asking { question, .. } => Self::Asking(question.clone()),
            Observation::Underway { .. } => Self::Undecided,
            Observation::Absent
            | Observation::Done(_)
            | Observation::NotNeeded(_)
            | Observation::Broken(_)
            | Observation::Unknown(_) => Self::Nothing,
        }
    }
}

fn begun(journal: &Journal, place: usize) -> bool {
    journal
        .replies
        .get(place)
        .is_none_or(|r| r.state == ReplyState::Intended)
}

impl Engine<'_> {
    /// Takes note of what is asked, and handles the answers that nobody has handled yet. `locks` are those under which whoever
    /// asks may change anything. `None` = the pass goes on.
    pub(super) async fn answer(
        &self,
        journal: &mut Journal,
        locks: &[LockKind],
        seen: Seen,
    ) -> Result<Option<Flow>, StoreError> {
        if let Seen::Asking(question) = &seen
            && journal.question.as_ref() != Some(question.as_ref())
        {
            let mut next = journal.clone();
            next.question = Some(question.as_ref().clone());
            self.write(journal, next).await?;
        }
        let wished = self.store.wishes().replies;
        for (place, answer) in wished.iter().enumerate() {
            if !begun(journal, place) {
                continue;
            }
            let known = journal.question.as_ref().map(|q| q.key.as_str());
            match &seen {
                Seen::Asking(question) if question.key == answer.key => {
                    return self.send(journal, locks, place, question, answer).await;
                }
                Seen::Undecided if known == Some(answer.key.as_str()) => return Ok(None),
                Seen::Asking(_) | Seen::Undecided | Seen::Nothing => {
                    let mut next = journal.clone();
                    not_waiting(&mut next, place, answer, self.timestamp());
                    self.write(journal, next).await?;
                }
            }
        }
        Ok(None)
    }

    /// The run ends: whatever was not handled answers nothing any more.
    pub(super) fn leave_unanswered(&self, next: &mut Journal) {
        next.question = None;
        for (place, answer) in self.store.wishes().replies.iter().enumerate() {
            if begun(next, place) {
                not_waiting(next, place, answer, self.timestamp());
            }
        }
    }

    async fn send(
        &self,
        journal: &mut Journal,
        locks: &[LockKind],
        place: usize,
        question: &Question,
        answer: &Answer,
    ) -> Result<Option<Flow>, StoreError> {
        if let Some(wait) = self.may_act(journal, locks).await? {
            return Ok(Some(wait));
        }
        let now = self.timestamp();
        let spacing = self.recipe.paced(SPACING);
        let tried = journal.replies.get(place);
        let since = tried.map(|r| Duration::from_millis(now.since(r.at).unsigned_abs()));
        if let Some(rest) = since.and_then(|since| spacing.checked_sub(since)) {
            return Ok(Some(Flow::Wait(rest)));
        }
        let mut next = journal.clone();
        let record = ReplyRecord {
            key: answer.key.clone(),
            state: ReplyState::Intended,
            attempts: tried.map_or(0, |r| r.attempts) + 1,
            at: now,
            message: None,
        };
        let intended = self.clock.boot();
        put(&mut next, place, record.clone());
        self.write(journal, next).await?;
        if self.stale_since(intended) {
            return Ok(Some(Flow::Wait(self.recipe.paced(LOOK))));
        }
        let context = self.context(journal);
        let sent = self
            .recipe
            .settle
            .reply(&context, question, &answer.text)
            .await;
        let (state, words) = outcome(&sent, question, answer, record.attempts);
        let mut next = journal.clone();
        if state != ReplyState::Intended {
            next.notes.push(words.clone());
        }
        let record = ReplyRecord {
            state,
            message: Some(words),
            ..record
        };
        put(&mut next, place, record);
        self.write(journal, next).await?;
        Ok(Some(Flow::Wait(self.recipe.paced(LOOK))))
    }
}

/// State and words of an answer that was sent, or tried to be, for the so-manieth time.
fn outcome(
    sent: &Result<(), DeviceError>,
    question: &Question,
    answer: &Answer,
    attempts: i32,
) -> (ReplyState, String) {
    let what = format!(
        "reply '{}' to {} of job {} on {}",
        answer.text, question.message, question.job, question.system
    );
    match sent {
        Ok(()) => (ReplyState::Sent, format!("{what} was sent")),
        Err(DeviceError::Refused { code, .. }) if code == "NotWaiting" && attempts > 1 => {
            (ReplyState::NotWaiting, nobody_knows(&answer.key))
        }
        Err(DeviceError::Refused { code, .. }) if code == "NotWaiting" => (
            ReplyState::NotWaiting,
            format!("{what} was not sent: somebody has answered the message meanwhile"),
        ),
        Err(error @ DeviceError::Refused { .. }) => (
            ReplyState::Refused,
            format!(
                "{what} was refused ({error}); if the message still waits, add another reply to its key"
            ),
        ),
        Err(
            error @ (DeviceError::Unreachable { .. }
            | DeviceError::Busy { .. }
            | DeviceError::Indeterminate { .. }),
        ) => (
            ReplyState::Intended,
            format!("{what} may not have arrived: {error}"),
        ),
    }
}

fn not_waiting(next: &mut Journal, place: usize, answer: &Answer, at: super::time::Timestamp) {
    let tried = next.replies.get(place).map_or(0, |r| r.attempts);
    let key = &answer.key;
    let words = if tried > 0 {
        nobody_knows(key)
    } else {
        format!("the reply to {key} was not sent: no message of this key waits")
    };
    next.notes.push(words.clone());
    let record = ReplyRecord {
        key: key.clone(),
        state: ReplyState::NotWaiting,
        attempts: tried,
        at,
        message: Some(words),
    };
    put(next, place, record);
}

fn nobody_knows(key: &str) -> String {
    format!(
        "whether the reply to {key} arrived is not known: its answer was lost, and the message does not wait any more"
    )
}

/// Places are handled in order, so that there is never a gap.
fn put(journal: &mut Journal, place: usize, record: ReplyRecord) {
    match journal.replies.get_mut(place) {
        Some(known) => *known = record,
        None => journal.replies.push(record),
    }
}
