//! The canary: one commit that waits while its ASP is suspended (`ibmi/CONTRACT.md` § 5).

use super::{CANARY_MILLISECONDS, CanaryState, Helper};
use crate::simulators::world::World;
use chrono::{DateTime, Duration, Utc};

pub(super) fn start_canary(world: &mut World, partition: &str, id: u64) {
    let now = world.now;
    let Some(system) = world.systems.get_mut(partition) else {
        return;
    };
    let blocked = system.suspended.contains_key("*SYSBAS");
    if let Some(h) = system.helpers.get_mut(&id) {
        h.canary = if blocked {
            CanaryState::Pending { began: now }
        } else {
            CanaryState::Done {
                began: now,
                ended: now + Duration::milliseconds(CANARY_MILLISECONDS),
            }
        };
    }
}

/// Called after every change of an ASP: waiting canaries go through when their ASP runs again.
pub(in crate::simulators::ibmi) fn asp_changed(world: &mut World, partition: &str) {
    let now = world.now;
    let Some(system) = world.systems.get_mut(partition) else {
        return;
    };
    if system.suspended.contains_key("*SYSBAS") {
        return;
    }
    for h in system.helpers.values_mut() {
        if let CanaryState::Pending { began } = h.canary {
            h.canary = CanaryState::Done {
                began,
                ended: now + Duration::milliseconds(CANARY_MILLISECONDS),
            };
        }
    }
}

pub(super) fn canary_state(now: DateTime<Utc>, me: &Helper) -> (&'static str, String) {
    let since = |at: DateTime<Utc>| (at - me.born).num_milliseconds();
    match me.canary {
        CanaryState::Idle => ("OK", " state=IDLE began=- ended=- age=-".to_owned()),
        CanaryState::Pending { began } => (
            "PENDING",
            format!(
                " state=PENDING began={} ended=- age={}",
                since(began),
                (now - began).num_milliseconds()
            ),
        ),
        CanaryState::Done { began, ended } => (
            "OK",
            format!(
                " state=DONE began={} ended={} age={}",
                since(began),
                since(ended),
                (now - began).num_milliseconds()
            ),
        ),
    }
}
