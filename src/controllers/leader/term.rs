//! One term: from standing by over leading to its end. It is the fence that the engine asks before each effect.

use crate::engine::clock::SystemClock;
use crate::engine::ports::{Clock, Fence};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Whether this process may act. A term that is over never begins again: what was known in it may be old.
#[derive(Debug)]
pub struct Term {
    /// CLOCK_BOOTTIME in nanoseconds until which leadership is certain.
    until: AtomicU64,
    begun: CancellationToken,
    over: AtomicBool,
    ending: CancellationToken,
}

impl Term {
    /// Of a single replica that needs no leader: it has begun and its Lease never runs out. `ending` ends its loops.
    pub fn alone(ending: CancellationToken) -> Self {
        let term = Self::standing_by(ending);
        term.until.store(u64::MAX, Ordering::SeqCst);
        term.begun.cancel();
        term
    }
    /// Not begun.
    pub fn standing_by(ending: CancellationToken) -> Self {
        Self {
            until: AtomicU64::new(0),
            begun: CancellationToken::new(),
            over: AtomicBool::new(false),
            ending,
        }
    }
    /// Leadership is certain until this boot time; the first call begins the term. `false` = it ran out before: somebody
    /// may have asked meanwhile and gone away, so it is over even where no other has taken the Lease.
    pub fn extend(&self, until: Duration) -> bool {
        if self.has_begun() && !self.leads() {
            return false;
        }
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.until.store(until, Ordering::SeqCst);
        self.begun.cancel();
        true
    }
    /// The Lease is lost: nothing is started any more, and the loops end.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.ending.cancel();
    }
    /// Cancelled when the loops are to end: the Lease is lost, or the process is told to stop.
    pub fn ending(&self) -> &CancellationToken {
        &self.ending
    }
    /// Whether it has begun, and since then the Lease was not lost.
    pub fn leads(&self) -> bool {
        self.valid_until()
            .is_some_and(|until| SystemClock.boot() < until)
    }
    /// Returns when the term has begun or will never begin.
    pub async fn begun(&self) {
        tokio::select! {
            () = self.begun.cancelled() => {}
            () = self.ending.cancelled() => {}
        }
    }
    /// Whether it leads or led.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }
}

impl Fence for Term {
    fn valid_until(&self) -> Option<Duration> {
        if self.over.load(Ordering::SeqCst) || !self.begun.is_cancelled() {
            return None;
        }
        Some(Duration::from_nanos(self.until.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Duration {
        SystemClock.boot() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn a_term_acts_between_its_first_write_and_its_loss_and_never_again() {
        let ending = CancellationToken::new();
        let term = Term::standing_by(ending.clone());
        assert!(!term.leads() && !term.has_begun() && term.valid_until().is_none());
        assert!(term.extend(soon()));
        term.begun().await;
        assert!(term.leads() && term.extend(soon()));
        term.end();
        assert!(!term.leads() && ending.is_cancelled());
        assert!(!term.extend(soon()) && !term.leads());
    }

    #[test]
    fn a_lease_that_runs_out_on_the_boot_clock_ends_the_acting_without_anybodys_help() {
        let term = Term::standing_by(CancellationToken::new());
        assert!(term.extend(SystemClock.boot()));
        assert!(term.has_begun() && !term.leads());
        assert!(!term.extend(soon()), "who asked meanwhile was told no");
    }

    #[tokio::test]
    async fn told_to_stop_who_stands_by_waits_for_nothing_and_a_single_replica_leads_to_its_end() {
        let ending = CancellationToken::new();
        let (waits, alone) = (
            Term::standing_by(ending.clone()),
            Term::alone(ending.clone()),
        );
        ending.cancel();
        waits.begun().await;
        assert!(!waits.leads());
        assert!(alone.leads(), "an open window is still finished");
    }
}
