//! The array's own limit is 10 commands a second for all its clients together (`storage-virtualize.md` § 1.4). Reads
//! wait for their turn below it, so that a start inside the freeze is never told to wait because of an inventory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Reads of any one second; the rest of the array's ten is for effects and for other clients.
const READS: usize = 7;

/// Commands of the last second.
#[derive(Debug)]
pub(super) struct Pace {
    window: Duration,
    sent: Mutex<VecDeque<Instant>>,
}

impl Pace {
    /// `faster` divides the second: a simulated array on a clock that runs 60 times as fast has no such limit.
    pub(super) fn new(faster: f64) -> Self {
        Self {
            window: Duration::from_secs(1).div_f64(faster.max(1.0)),
            sent: Mutex::default(),
        }
    }

    /// Waits until one more read fits in.
    pub(super) async fn turn(&self) {
        while let Some(wait) = self.try_turn(Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }

    /// Counts a command that must not wait.
    pub(super) fn count(&self) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.push_back(Instant::now());
    }

    /// Takes the turn, or says how long to wait before asking again.
    fn try_turn(&self, now: Instant) -> Option<Duration> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        while sent
            .front()
            .is_some_and(|t| now.duration_since(*t) >= self.window)
        {
            sent.pop_front();
        }
        if sent.len() < READS {
            sent.push_back(now);
            return None;
        }
        // Enough of the oldest must have left the window for one place to be free.
        let leaving = sent.get(sent.len() - READS)?;
        Some(
            self.window
                .saturating_sub(now.duration_since(*leaving))
                .max(Duration::from_micros(100)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_of_any_second_stay_below_the_limit_of_the_array() {
        let pace = Pace::new(1.0);
        let begun = Instant::now();
        let mut now = begun;
        let mut taken = Vec::new();
        while taken.len() < 40 {
            match pace.try_turn(now) {
                None => taken.push(now),
                Some(wait) => now += wait,
            }
        }
        for at in &taken {
            let near = taken
                .iter()
                .filter(|t| **t <= *at && at.duration_since(**t) < Duration::from_secs(1));
            assert!(near.count() <= READS);
        }
        let spent = taken.last().unwrap().duration_since(begun);
        assert!(
            spent < Duration::from_secs(6),
            "40 reads took {spent:?}: slower than the limit asks for"
        );
    }

    #[test]
    fn effects_never_wait_and_make_later_reads_wait() {
        let pace = Pace::new(1.0);
        for _ in 0..20 {
            pace.count();
        }
        assert!(pace.try_turn(Instant::now()).is_some());
    }
}
