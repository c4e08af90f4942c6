//! What both runs share: journals and Leases on the API server, and the devices. Every call to the API server is a turn:
//! between two turns of a process anything may happen elsewhere.

use super::line::closes_window;
use crate::engine::journal::{Journal, Obligation, ObligationKind};
use crate::engine::ports::{JournalStore, StoreError};
use crate::engine::rules::{Rule, kept};
use crate::engine::step::LockKind;
use async_trait::async_trait;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// The devices, in the order in which their locks are taken.
pub const KINDS: [LockKind; 4] = [
    LockKind::Clone,
    LockKind::TargetSet,
    LockKind::Source,
    LockKind::Backups,
];

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing.
    None,
    /// The locks go back before the write that ends the run.
    ReleaseBeforeWrite,
    /// One run takes the locks the other way round and keeps what it has while it waits.
    NoOrder,
    /// A pinned lock is taken.
    PinIgnored,
    /// A Lease is replaced whatever happened to it since it was read.
    BlindSeize,
    /// The holder's run is taken for ended without looking at it.
    HolderNotAsked,
    /// The image is noted as one's own without looking whose the lock is.
    ImageWithoutLock,
    /// What is owed is met although another run has the device by now.
    OwedWithoutLock,
    /// A run leaves its locks as soon as it must wait for something it owes.
    FreedWhileOwing,
}

/// One lock Lease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MemoryLease {
    pub holder: Option<usize>,
    pub queue: Vec<usize>,
    pub pinned: bool,
    pub image: Option<usize>,
    pub version: u64,
}

/// Everything that outlives a process.
pub struct State {
    pub journals: [Journal; 2],
    pub leases: BTreeMap<LockKind, MemoryLease>,
    /// Effects that have happened: run and step.
    pub done: BTreeSet<(usize, &'static str)>,
    /// Whose copy is on the target set.
    pub armed: Option<usize>,
    /// What must not happen and did.
    pub violations: Vec<String>,
    /// The process that is moved next dies instead of sending an effect.
    pub dies: bool,
    /// The first run's `arm` happens and is answered with a refusal.
    pub refused: bool,
    /// Both runs save with production's BRMS.
    pub backups: bool,
    /// Per process: what it has seen in its present pass.
    pub seen: Vec<u64>,
    pub mutation: Mutation,
}

impl State {
    fn lease(&self, kind: LockKind) -> MemoryLease {
        self.leases.get(&kind).cloned().unwrap_or_default()
    }

    fn begun(&self, run: usize) -> bool {
        self.done.iter().any(|(r, _)| *r == run)
    }

    /// An effect of a run on devices: all locks are its own, and nobody has pinned them.
    pub fn effect(&mut self, run: usize, what: &str, kinds: &[LockKind]) {
        for kind in kinds {
            let lease = self.lease(*kind);
            if lease.holder != Some(run) {
                let text = format!(
                    "run {run} did {what} while {kind:?} was held by {:?}",
                    lease.holder
                );
                self.violations.push(text);
            }
            if lease.pinned {
                self.violations
                    .push(format!("run {run} did {what} on a pinned {kind:?}"));
            }
        }
    }

    /// What a run owes, met on a device: harmless while nobody else has it, however late it comes.
    pub fn owed(&mut self, run: usize, kind: LockKind) {
        let lease = self.lease(kind);
        if let Some(other) = lease.holder.filter(|holder| *holder != run) {
            let text = format!("run {run} met what it owes on {kind:?}, held by run {other}");
            self.violations.push(text);
        }
    }

    /// A Lease changes hands. While the old holder is at work or owes something, its devices are nobody else's.
    fn freed(&mut self, kind: LockKind, by: usize) {
        let Some(journal) = self.journals.get(by) else {
            return;
        };
        // BRMS of production has a lock of its own, beyond the source's.
        let here = |o: &&Obligation| match kind {
            LockKind::Clone | LockKind::TargetSet => true,
            LockKind::Source => o.kind != ObligationKind::ReleaseBackups,
            LockKind::Backups => o.kind == ObligationKind::ReleaseBackups,
        };
        let owes = journal.open_obligations().any(|o| here(&o));
        let met = journal.obligations.iter().any(|o| here(&o)) && !owes;
        let ends_early = matches!(kind, LockKind::Source | LockKind::Backups);
        let span_over = journal.phase.is_final() || (ends_early && met);
        if self.begun(by) && (owes || !span_over) {
            let text = format!(
                "{kind:?} of run {by} was freed while the run is {:?}, owes: {owes}",
                journal.phase
            );
            self.violations.push(text);
        }
    }
}

/// One process's way to what is shared.
#[derive(Clone)]
pub struct Shared {
    pub state: Arc<Mutex<State>>,
    pub process: usize,
    pub run: usize,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass begins: whatever the process knew before is forgotten.
    pub fn pass_begins(&self) {
        if let Some(seen) = self.lock().seen.get_mut(self.process) {
            *seen = 1;
        }
    }

    /// What the process has just learned.
    pub fn learn(&self, what: &impl Debug) {
        let mut state = self.lock();
        if let Some(seen) = state.seen.get_mut(self.process) {
            let mut hasher = DefaultHasher::new();
            seen.hash(&mut hasher);
            format!("{what:?}").hash(&mut hasher);
            *seen = hasher.finish();
        }
    }

    pub fn mutation(&self) -> Mutation {
        self.lock().mutation
    }

    pub async fn get(&self, kind: LockKind) -> MemoryLease {
        turn().await;
        let lease = self.lock().lease(kind);
        self.learn(&lease);
        lease
    }

    /// A conditional write; `false` = somebody else wrote in between.
    pub async fn put(&self, kind: LockKind, mut next: MemoryLease) -> bool {
        turn().await;
        let written = {
            let mut state = self.lock();
            let now = state.lease(kind);
            let blind = state.mutation == Mutation::BlindSeize;
            let ours = now.version == next.version || blind;
            if ours {
                if let Some(by) = now.holder.filter(|h| next.holder != Some(*h)) {
                    state.freed(kind, by);
                }
                next.version = now.version + 1;
                state.leases.insert(kind, next);
            }
            ours
        };
        self.learn(&written);
        written
    }

    /// Whether a run is over, read from the run itself.
    pub async fn is_over(&self, run: usize) -> bool {
        turn().await;
        let over = {
            let state = self.lock();
            let journal = state.journals.get(run);
            state.mutation == Mutation::HolderNotAsked || journal.is_none_or(|j| j.phase.is_final())
        };
        self.learn(&over);
        over
    }
}

#[async_trait]
impl JournalStore for Shared {
    async fn load(&self) -> Result<Journal, StoreError> {
        turn().await;
        let found = self.lock().journals.get(self.run).cloned();
        self.learn(&found);
        found.ok_or(StoreError::Gone)
    }

    async fn replace(&self, previous: &Journal, next: &Journal) -> Result<(), StoreError> {
        if self.mutation() == Mutation::ReleaseBeforeWrite && next.phase.is_final() {
            self.release_all().await;
        }
        turn().await;
        let result = {
            let mut state = self.lock();
            match state.journals.get_mut(self.run) {
                Some(stored)
                    if (stored.revision, &stored.writer)
                        == (previous.revision, &previous.writer)
                        || !kept(Rule::ConditionalWrite) =>
                {
                    let mut next = next.clone();
                    let closed = closes_window(stored, &mut next);
                    *stored = next;
                    if closed {
                        // The process learns of it by reading again, as after any lost answer.
                        Err(StoreError::Lost("connection reset".into()))
                    } else {
                        Ok(())
                    }
                }
                Some(_) => Err(StoreError::Conflict),
                None => Err(StoreError::Gone),
            }
        };
        self.learn(&result);
        let owes = next.open_obligations().next().is_some();
        if self.mutation() == Mutation::FreedWhileOwing && owes {
            self.release_all().await;
        }
        result
    }
}

impl Shared {
    async fn release_all(&self) {
        for kind in KINDS {
            super::locks::release(self, kind).await;
        }
    }
}

/// Gives the turn to whoever is chosen next.
pub fn turn() -> impl Future<Output = ()> {
    Turn(false)
}

struct Turn(bool);

impl Future for Turn {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
