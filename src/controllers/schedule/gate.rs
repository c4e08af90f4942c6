//! The gate: while slots are due, nothing else is sent to the API server that can wait. Opening a run and writing an
//! environment's status ask it first (`architecture.md` § 8).
//!
//! It is held only by the first try of each create: an API server that refuses one environment's runs for an hour keeps
//! nobody else waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Nobody waits longer: what waits is important too.
const LONGEST: Duration = Duration::from_secs(10);

/// Counts creates on their way.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    due: AtomicUsize,
    free: Notify,
}

/// One due slot; given back when dropped.
#[derive(Debug)]
pub struct Hold(Arc<Inner>);

impl Gate {
    /// A slot is due.
    pub fn hold(&self) -> Hold {
        self.0.due.fetch_add(1, Ordering::SeqCst);
        Hold(self.0.clone())
    }
    /// Whether slots are due.
    pub fn is_held(&self) -> bool {
        self.0.due.load(Ordering::SeqCst) > 0
    }
    /// Returns when no slot is due, or after 10 s.
    pub async fn wait(&self) {
        self.wait_at_most(LONGEST).await;
    }
    async fn wait_at_most(&self, longest: Duration) {
        let free = async {
            loop {
                let freed = self.0.free.notified();
                if !self.is_held() {
                    return;
                }
                freed.await;
            }
        };
        let _ = tokio::time::timeout(longest, free).await;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.0.due.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.free.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_opens_when_the_last_slot_is_created_and_never_keeps_anybody_for_ever() {
        let gate = Gate::default();
        gate.wait().await;
        let (one, two) = (gate.hold(), gate.hold());
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.wait().await }
        });
        tokio::task::yield_now().await;
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished() && gate.is_held());
        drop(two);
        assert!(waiting.await.is_ok());
        let _kept = gate.hold();
        gate.wait_at_most(Duration::from_millis(5)).await;
        assert!(gate.is_held(), "it stopped waiting, not the slot");
    }
}
