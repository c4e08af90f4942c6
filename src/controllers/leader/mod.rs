//! One leader by Lease (`architecture.md` § 8): of several operators one acts, the others keep their caches and wait.
//!
//! The Lease is comfort. What keeps production safe when two believe they lead are the conditional write of the journal
//! and the lock Leases. On a lost Lease nothing new is started: passes under way end by the engine's rules (an open window
//! is finished and the source resumed), then this process stands by again with new caches.

pub mod candidate;
pub mod elector;
pub mod presence;
pub mod term;

pub use candidate::{Candidate, Look};
pub use term::Term;

use std::time::Duration;

/// Default of [`Election::lease`].
pub const LEASE: &str = "ibmi-clone-operator-leader";

/// Label of the Leases that show an operator at work: `leader`, or `alone` without election.
pub const OPERATOR_LABEL: &str = "ibmiclone.dev/operator";

/// How the leader is elected. Times are real seconds on the machine's clock, whatever the pace of simulated devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Election {
    /// Name of the Lease, in the namespace of the lock Leases.
    pub lease: String,
    /// A stand-by takes a Lease that it has seen unchanged for this long. Written in whole seconds.
    pub duration: Duration,
    /// A leader whose last accepted renewal was sent longer ago starts nothing any more. Shorter than `duration`: what it
    /// has sent just before has that long to come to an end.
    pub renew_deadline: Duration,
    /// Between two renewals.
    pub renew_every: Duration,
}

impl Default for Election {
    fn default() -> Self {
        Self {
            lease: LEASE.to_owned(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            renew_every: Duration::from_secs(2),
        }
    }
}

/// Times of an election that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElectionError {
    /// A leader would be replaced while it still acts.
    #[error(
        "the renew deadline ({renew_deadline:?}) must be shorter than the lease duration ({duration:?}): a leader would be replaced while it still acts"
    )]
    DeadlineTooLong {
        /// Deadline.
        renew_deadline: Duration,
        /// Duration.
        duration: Duration,
    },
    /// One late answer would end the leadership.
    #[error(
        "the time between renewals ({renew_every:?}) must be above 0 and at most half the renew deadline ({renew_deadline:?}): one late answer would end the leadership"
    )]
    RenewedTooSeldom {
        /// Between renewals.
        renew_every: Duration,
        /// Deadline.
        renew_deadline: Duration,
    },
}

impl Election {
    /// Checks the times against each other.
    ///
    /// # Errors
    /// When a leader would be replaced while it still acts, or lost with one late answer.
    pub fn check(&self) -> Result<(), ElectionError> {
        let (duration, renew_deadline) = (self.duration, self.renew_deadline);
        if renew_deadline >= duration {
            return Err(ElectionError::DeadlineTooLong {
                renew_deadline,
                duration,
            });
        }
        let renew_every = self.renew_every;
        if renew_every.is_zero() || renew_every * 2 > renew_deadline {
            return Err(ElectionError::RenewedTooSeldom {
                renew_every,
                renew_deadline,
            });
        }
        Ok(())
    }
    /// How often a stand-by looks. It must see a renewal soon after it was written: from then on it counts.
    pub(super) fn look_every(&self) -> Duration {
        self.renew_every / 4
    }
    /// Longest wait for one answer: two tries fit into the deadline.
    pub(super) fn call(&self) -> Duration {
        (self.renew_deadline.saturating_sub(self.renew_every)) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_would_let_two_act_or_lose_a_leader_by_one_answer_are_refused() {
        assert_eq!(Election::default().check(), Ok(()));
        let of = |duration, deadline, every| {
            let election = Election {
                duration: Duration::from_secs(duration),
                renew_deadline: Duration::from_secs(deadline),
                renew_every: Duration::from_secs(every),
                ..Election::default()
            };
            election.check().map_err(|e| e.to_string())
        };
        for (duration, deadline, every, word) in [
            (10, 10, 2, "still acts"),
            (15, 10, 6, "late answer"),
            (15, 10, 0, "above 0"),
        ] {
            let said = of(duration, deadline, every).err().unwrap_or_default();
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(of(15, 10, 5), Ok(()));
    }
}
