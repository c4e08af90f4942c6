//! Connections for a burst are opened before its slot: to open one costs the API server more than a create, and the first
//! of a hundred runs would wait for all of them.

use chrono::{DateTime, TimeDelta, Utc};
use kube::Client;
use std::time::Duration;

/// So long before the slot, real seconds.
pub const LEAD_SECONDS: u32 = 1;
/// Longest wait for an answer; nobody needs it.
const CALL: Duration = Duration::from_secs(5);

/// The slot for which connections were opened last.
#[derive(Debug, Default)]
pub struct Warm(Option<DateTime<Utc>>);

impl Warm {
    /// Whether connections are to be opened now, and how long to wait for what comes next. `together` environments are due
    /// at `wake`.
    pub fn before(
        &mut self,
        wake: DateTime<Utc>,
        together: usize,
        now: DateTime<Utc>,
        lead: TimeDelta,
    ) -> (bool, Duration) {
        let left = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
        if together < 2 || self.0 == Some(wake) || now >= wake {
            return (false, left(wake));
        }
        if now < wake - lead {
            return (false, left(wake - lead));
        }
        self.0 = Some(wake);
        (true, left(wake))
    }
}

/// Asks something that costs nothing, so many times at once. A connection that cannot be opened is the create's to tell.
pub async fn open(client: Client, connections: usize) {
    let asks = (0..connections).map(|_| client.apiserver_version());
    let _ = tokio::time::timeout(CALL, futures::future::join_all(asks)).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_opened_once_before_a_slot_of_several_and_never_late() {
        let slot: DateTime<Utc> = "2026-11-30T00:00:00Z".parse().unwrap();
        let lead = TimeDelta::seconds(1);
        let ms = TimeDelta::milliseconds;
        let mut warm = Warm::default();
        let mut at = |before: i64, together: usize| {
            let (open, wait) = warm.before(slot, together, slot - ms(before), lead);
            (open, wait.as_millis())
        };
        assert_eq!(at(5000, 1), (false, 5000), "one needs no burst");
        assert_eq!(at(5000, 2), (false, 4000));
        assert_eq!(at(900, 2), (true, 900));
        assert_eq!(at(800, 2), (false, 800), "once");
        let mut late = Warm::default();
        let (open, wait) = late.before(slot, 2, slot + ms(1), lead);
        assert_eq!((open, wait), (false, Duration::ZERO));
    }
}
