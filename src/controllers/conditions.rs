//! Standard conditions: the transition time changes only with the status value.

use crate::engine::time::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff;

/// Status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

impl Truth {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Truth::True => "True",
            Truth::False => "False",
            Truth::Unknown => "Unknown",
        }
    }
    /// From a Boolean of ours.
    pub fn of(value: bool) -> Self {
        if value { Truth::True } else { Truth::False }
    }
}

/// Sets a condition in place; the list stays in the order in which types first appeared.
pub fn set(
    list: &mut Vec<Condition>,
    kind: &str,
    truth: Truth,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) {
    let mut new = Condition {
        type_: kind.to_owned(),
        status: truth.as_str().to_owned(),
        // The API requires a reason that begins with a letter.
        reason: if reason.is_empty() { "Unknown" } else { reason }.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: time(now),
    };
    match list.iter_mut().find(|c| c.type_ == kind) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => list.push(new),
    }
}

/// Removes a condition: `Reconciling` and `Stalled` are abnormal when true and absent otherwise (kstatus).
pub fn clear(list: &mut Vec<Condition>, kind: &str) {
    list.retain(|c| c.type_ != kind);
}

/// A condition by type.
pub fn get<'c>(list: &'c [Condition], kind: &str) -> Option<&'c Condition> {
    list.iter().find(|c| c.type_ == kind)
}

/// Whether a condition is there and `True`.
pub fn is_true(list: &[Condition], kind: &str) -> bool {
    get(list, kind).is_some_and(|c| c.status == "True")
}

/// Kubernetes' time (whole seconds) from ours.
pub fn time(at: Timestamp) -> Time {
    let seconds = at.utc().timestamp();
    Time(jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeDelta, Utc};

    #[test]
    fn the_transition_time_changes_only_with_the_status_value() {
        let first = Timestamp::new(Utc::now());
        let later = Timestamp::new(first.utc() + TimeDelta::seconds(90));
        let mut list = Vec::new();
        set(&mut list, "Ready", Truth::False, "A", "a", Some(1), first);
        set(&mut list, "Ready", Truth::False, "B", "b", Some(2), later);
        assert_eq!(list[0].last_transition_time, time(first));
        assert_eq!(
            (list[0].reason.as_str(), list[0].observed_generation),
            ("B", Some(2))
        );
        set(&mut list, "Ready", Truth::True, "C", "", Some(2), later);
        assert_eq!(list[0].last_transition_time, time(later));
        assert_eq!(list.len(), 1);
    }
}
