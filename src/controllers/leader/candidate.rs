//! What a candidate makes of a Lease: pure, its clock is the caller's.
//!
//! Clocks of two machines are never compared: a Lease is taken when this process has seen it *unchanged* for its duration
//! on its own clock, as client-go does. The leader counts from the moment it *sent* its last accepted renewal, the
//! candidate from the moment it *saw* it, which is later; so the leader stops first, whatever network and clocks do, as
//! long as both count seconds alike.

use super::Election;
use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use std::time::Duration;

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It may be taken: with a create, or conditionally on the version that was seen.
    Take,
    /// It is ours: renew it.
    Ours,
    /// It is another's.
    Held {
        /// Identity of the holder.
        by: String,
        /// How long it must be seen unchanged from now on.
        rest: Duration,
    },
}

/// Remembers the last change that this process has seen.
#[derive(Debug, Clone)]
pub struct Candidate {
    identity: String,
    duration: Duration,
    /// The Lease, and this process's boot time when it was first seen so.
    seen: Option<(LeaseSpec, Duration)>,
}

impl Candidate {
    /// Knows nothing yet. `identity` is unique per process.
    pub fn new(identity: impl Into<String>, election: &Election) -> Self {
        Self {
            identity: identity.into(),
            duration: election.duration,
            seen: None,
        }
    }

    /// What the API server has now; `now` is the boot time after its answer.
    pub fn saw(&mut self, found: Option<&LeaseSpec>, now: Duration) -> Look {
        match found {
            Some(spec) if self.seen.as_ref().is_some_and(|(seen, _)| seen == spec) => {}
            Some(spec) => self.seen = Some((spec.clone(), now)),
            // Deleted by somebody: its holder may not know it yet, so what was seen last counts.
            None => {}
        }
        let Some((seen, since)) = &self.seen else {
            return Look::Take;
        };
        let by = holder(seen);
        if by.is_empty() {
            return Look::Take;
        }
        if by == self.identity {
            // Nobody else writes our name: the deleted one is made again.
            return found.map_or(Look::Take, |_| Look::Ours);
        }
        let rest = (*since + self.duration_of(seen)).saturating_sub(now);
        if rest.is_zero() {
            return Look::Take;
        }
        Look::Held {
            by: by.to_owned(),
            rest,
        }
    }

    /// What to write to take it or to renew it. The times in it are for people: nobody decides by them.
    pub fn mine(&self, found: Option<&LeaseSpec>, wall: DateTime<Utc>) -> LeaseSpec {
        let now = micro_time(wall);
        let ours = found.filter(|spec| holder(spec) == self.identity);
        let changes = found.map_or(0, |spec| {
            let changes = spec.lease_transitions.unwrap_or_default();
            changes.saturating_add(i32::from(ours.is_none()))
        });
        let seconds = self.duration.as_secs_f64().ceil() as i32;
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(seconds.max(1)),
            acquire_time: ours.and_then(|s| s.acquire_time.clone()).or(now.clone()),
            renew_time: now,
            lease_transitions: Some(changes),
            ..LeaseSpec::default()
        }
    }

    /// What to write to give it up: the next one need not wait.
    pub fn released(&self, ours: &LeaseSpec, wall: DateTime<Utc>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: micro_time(wall),
            ..ours.clone()
        }
    }

    /// The holder's own word counts: it may run with other settings than we.
    fn duration_of(&self, spec: &LeaseSpec) -> Duration {
        let seconds = spec.lease_duration_seconds.unwrap_or_default();
        match u64::try_from(seconds) {
            Ok(seconds) if seconds > 0 => Duration::from_secs(seconds),
            Ok(_) | Err(_) => self.duration,
        }
    }
}

/// Identity of the holder; empty = given up.
pub fn holder(spec: &LeaseSpec) -> &str {
    spec.holder_identity.as_deref().unwrap_or_default()
}

/// As Leases keep a time.
pub fn micro_time(wall: DateTime<Utc>) -> Option<MicroTime> {
    let at = jiff::Timestamp::from_microsecond(wall.timestamp_micros()).ok()?;
    Some(MicroTime(at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "candidate_tests.rs"]
mod tests;
