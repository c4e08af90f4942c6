//! Store, locks and clock of the matrix: in memory, at the mercy of the fault controls.

use super::controls::{Controls, Injected, Point};
use crate::engine::journal::{Journal, ObligationKind, ReplyState};
use crate::engine::ports::{Acquired, Answer, Clock, JournalStore, Locks, StoreError, Wishes};
use crate::engine::rules::{Rule, kept};
use crate::engine::step::LockKind;
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The API server's copy of the journal, shared by every leader.
#[derive(Clone)]
pub struct MemoryStore {
    pub journal: Arc<Mutex<Journal>>,
    pub controls: Controls,
    /// What a person wishes, seen from this revision of the journal on.
    pub wishes: Arc<Mutex<(i64, Wishes)>>,
    /// Answers of a person who answers every message as soon as it is shown, and once more what was refused.
    pub answers: Option<Arc<Mutex<Vec<Answer>>>>,
    /// Where it is looked whether production runs when the journal says so.
    pub world: Option<Shared>,
    /// Writes that said it while it did not.
    pub untrue: Arc<Mutex<Vec<String>>>,
}

impl MemoryStore {
    pub fn new(journal: Journal, controls: Controls) -> Self {
        Self {
            journal: Arc::new(Mutex::new(journal)),
            controls,
            wishes: Arc::default(),
            answers: None,
            world: None,
            untrue: Arc::default(),
        }
    }
    /// A resume counts as met only by the proof that production runs, whatever resumes it a moment later.
    fn check_resume(&self, stored: &Journal, next: &Journal) {
        let owed = |journal: &Journal| journal.owes(ObligationKind::ResumeSource);
        if !owed(stored) || owed(next) || self.wishes().resumed_by_hand {
            return;
        }
        let world = self.world.as_ref().map(Shared::now);
        let production = world.as_ref().and_then(|w| w.systems.get("PROD"));
        let suspended = production.map(|s| s.suspended()).unwrap_or_default();
        if !suspended.is_empty() {
            let text = format!("the resume is said to be met while {suspended:?} is suspended");
            let mut untrue = self.untrue.lock().unwrap_or_else(PoisonError::into_inner);
            untrue.push(text);
        }
    }
    /// Makes a wish at a revision of the journal.
    pub fn wish(&self, revision: i64, wishes: Wishes) {
        *self.wishes.lock().unwrap_or_else(PoisonError::into_inner) = (revision, wishes);
    }
    pub fn get(&self) -> Journal {
        self.journal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl JournalStore for MemoryStore {
    async fn load(&self) -> Result<Journal, StoreError> {
        self.controls.api_call();
        if self.controls.api_is_down() {
            return Err(StoreError::Lost("connection refused".into()));
        }
        let journal = self.get();
        self.controls.loaded();
        Ok(journal)
    }

    fn wishes(&self) -> Wishes {
        let (from, wishes) = self
            .wishes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let journal = self.get();
        let wishes = if journal.revision >= from {
            wishes
        } else {
            Wishes::default()
        };
        match &self.answers {
            Some(answers) => Wishes {
                replies: answered(answers, &journal),
                ..wishes
            },
            None => wishes,
        }
    }

    async fn replace(&self, previous: &Journal, next: &Journal) -> Result<(), StoreError> {
        self.controls.api_call();
        let injected = self.controls.before(Point::Write, "write").await;
        if self.controls.api_is_down() || injected == Some(Injected::NotSent) {
            return Err(StoreError::Lost("connection refused".into()));
        }
        self.check_resume(&self.get(), next);
        {
            let mut stored = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
            let ours = stored.revision == previous.revision && stored.writer == previous.writer;
            if !ours && kept(Rule::ConditionalWrite) {
                return Err(StoreError::Conflict);
            }
            *stored = next.clone();
        }
        self.controls.after(injected).await;
        if injected == Some(Injected::AnswerLost) {
            return Err(StoreError::Lost("connection reset".into()));
        }
        Ok(())
    }
}

fn answered(answers: &Mutex<Vec<Answer>>, journal: &Journal) -> Vec<Answer> {
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(question) = &journal.question {
        let last = answers.iter().rposition(|a| a.key == question.key);
        let refused = |at: usize| {
            let record = journal.replies.get(at);
            record.is_some_and(|r| r.state == ReplyState::Refused)
        };
        if last.is_none_or(refused) {
            answers.push(Answer {
                key: question.key.clone(),
                text: "G".into(),
            });
        }
    }
    answers.clone()
}

/// Lock Leases of one run; nobody else wants them here.
#[derive(Clone, Default)]
pub struct MemoryLocks {
    pub held: Arc<Mutex<Vec<LockKind>>>,
    pub denied: Arc<Mutex<bool>>,
    pub owned: Arc<Mutex<bool>>,
    pub pinned: Arc<Mutex<bool>>,
    pub closed: Arc<Mutex<bool>>,
}

#[async_trait]
impl Locks for MemoryLocks {
    async fn acquire(&self, kinds: &[LockKind]) -> Result<Acquired, StoreError> {
        if *self.denied.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Acquired::Queued {
                position: 1,
                blocked_by: "other/run (target set)".into(),
            });
        }
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = kinds.to_vec();
        Ok(Acquired::All)
    }
    async fn holds(&self, kind: LockKind) -> Result<bool, StoreError> {
        Ok(self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&kind))
    }
    async fn lost(&self, _: LockKind) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn borrow(&self, kind: LockKind) -> Result<bool, StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.contains(&kind) {
            held.push(kind);
        }
        Ok(true)
    }
    async fn release(&self, kind: LockKind) -> Result<(), StoreError> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|k| *k != kind);
        Ok(())
    }
    async fn own_image(&self) -> Result<Option<String>, StoreError> {
        *self.owned.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(None)
    }
    async fn close_image(&self) -> Result<(), StoreError> {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }
    async fn disown_image(&self) -> Result<(), StoreError> {
        *self.owned.lock().unwrap_or_else(PoisonError::into_inner) = false;
        Ok(())
    }
    async fn pin_image(&self) -> Result<(), StoreError> {
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }
    async fn unpin_image(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn own_partition(&self, _: &Journal) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The operator's clock is the world's: a wait moves the world on. A crashed process waits for ever.
#[derive(Clone)]
pub struct MatrixClock {
    pub clock: SimulatedClock,
    pub start: DateTime<Utc>,
    pub controls: Controls,
}

#[async_trait]
impl Clock for MatrixClock {
    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
    fn boot(&self) -> Duration {
        (self.clock.now() - self.start).to_std().unwrap_or_default()
    }
    async fn sleep(&self, duration: Duration) {
        if self.controls.crashed() {
            std::future::pending::<()>().await;
        }
        self.clock.advance(duration);
    }
}
