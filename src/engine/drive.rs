//! One pass over one run: as many steps as can be taken without waiting.

use super::journal::Journal;
use super::ports::{Clock, Fence, JournalStore, Locks, Recipe};
use crate::site::Site;
use std::time::Duration;

/// Everything a pass works with. Built anew for each pass; nothing survives between passes but the journal.
pub struct Engine<'a> {
    /// The frozen line of steps.
    pub recipe: &'a Recipe,
    /// The devices.
    pub site: &'a Site,
    /// The journal's store.
    pub store: &'a dyn JournalStore,
    /// The run's locks.
    pub locks: &'a dyn Locks,
    /// Clocks.
    pub clock: &'a dyn Clock,
    /// Leadership.
    pub fence: &'a dyn Fence,
    /// Unique per process; written into the journal.
    pub writer: &'a str,
}

/// A person's wish to end the run, seen in the run object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cancel {
    /// No wish.
    #[default]
    No,
    /// Interrupt a function or a wait, never the window (deletion of a run works like this).
    Abort,
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pass {
    /// Call again after this long; the journal as it stands.
    Again(Duration, Box<Journal>),
    /// The phase is final; the journal as it stands.
    Final(Box<Journal>),
    /// Another writer has the run; read again later.
    Stale,
    /// The store cannot be reached or the run is gone; obligations that do not need the store were met.
    Lost(String),
}

impl Engine<'_> {
    /// Moves the run on. Never panics, never returns an error: whatever happens becomes journal or [`Pass`].
    pub async fn pass(&self, _cancel: Cancel) -> Pass {
        Pass::Lost("the engine is not built yet".to_owned())
    }
}
