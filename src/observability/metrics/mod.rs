//! `/metrics`: what the process counted, and what the caches of the leader show at the moment of the scrape
//! (`architecture.md` § 8, "Metrics"; names: docs/metrics.md).
//!
//! Families that describe objects are encoded at scrape time and never stored: they are right after a restart, and an
//! environment that is gone is gone here too. Counters and histograms move only after a write was accepted. No label is
//! the name of a run.

pub mod counted;
pub mod last_steps;
pub mod objects;

pub use counted::{Counted, ReconcileLabels, RunLabels, StepLabels};
pub use objects::Objects;

use crate::site::transcript::Listener;
use chrono::Utc;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Content type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the objects come from: the caches of the term that is under way.
pub trait Caches: Send + Sync {
    /// Whether this process acts.
    fn leads(&self) -> bool;
    /// All environments and open runs; `None` before every watch has listed its own.
    fn objects(&self) -> Option<Objects>;
}

/// The metrics of a process. They live longer than a term.
pub struct Metrics {
    /// What is counted where it happens.
    pub counted: Counted,
    registry: Registry,
    caches: Mutex<Option<Weak<dyn Caches>>>,
}

/// Why there is nothing to tell now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// This process acts, and its caches are not full: alerts would see environments come and go.
    #[error("the leader's watches have not listed everything yet")]
    Seeding,
    /// The text could not be written.
    #[error("the metrics could not be encoded")]
    Encoding,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ibmiclone");
        let counted = Counted::register(&mut registry);
        Self {
            counted,
            registry,
            caches: Mutex::default(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// The objects are those of this term from now on.
    pub fn follow(&self, caches: Weak<dyn Caches>) {
        *self.caches.lock().unwrap_or_else(PoisonError::into_inner) = Some(caches);
    }

    fn followed(&self) -> Option<Arc<dyn Caches>> {
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        caches.as_ref().and_then(Weak::upgrade)
    }

    /// Tells how long each step of each environment took last: off by default, it is a series per step.
    pub fn tell_steps(&self) {
        self.counted.last_steps.want();
    }

    /// The timer queue of the schedule was looked at.
    pub fn scheduler_ticked(&self) {
        let now = Utc::now().timestamp_millis() as f64 / 1000.0;
        self.counted.last_tick.set(now);
    }

    /// The text of a scrape, in the format of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Before the leader knows all objects.
    pub fn encode(&self) -> Result<String, NotYet> {
        let caches = self.followed();
        let leads = caches.as_ref().is_some_and(|c| c.leads());
        // A stand-by would tell the same as the leader a second time.
        let objects = match caches.filter(|_| leads) {
            Some(caches) => Some(caches.objects().ok_or(NotYet::Seeding)?),
            None => None,
        };
        self.counted.leader.set(f64::from(u8::from(leads)));
        let mut out = String::new();
        text::encode_registry(&mut out, &self.registry).map_err(|_| NotYet::Encoding)?;
        if let Some(mut objects) = objects {
            let there = objects.names();
            objects.last_steps = self.counted.last_steps.of(|key| there.contains(key));
            let mut own = Registry::default();
            own.register_collector(Box::new(objects));
            text::encode_registry(&mut out, &own).map_err(|_| NotYet::Encoding)?;
        }
        text::encode_eof(&mut out).map_err(|_| NotYet::Encoding)?;
        Ok(out)
    }
}

impl Listener for Metrics {
    fn exchanged(&self, kind: &'static str, microseconds: u64) {
        self.counted
            .asked(kind, Duration::from_micros(microseconds));
    }
}

#[cfg(test)]
pub(crate) mod parse;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
