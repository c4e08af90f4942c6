//! Slots: the instants at which an environment is due. A slot decides the name of its run, so that a crash between
//! "create" and "remember" cannot make two (`product.md` § 8).

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

const STAMP: &str = "%Y%m%dt%H%Mz";
/// `20261123t0000z`.
const STAMP_LENGTH: usize = 14;

/// Name of a slot's run: `<environment>-<UTC yyyymmdd>t<hhmm>z`.
pub fn slot_name(environment: &str, slot: DateTime<Utc>) -> String {
    format!("{environment}-{}", slot.format(STAMP))
}

/// The slot in the name of a run of this environment; `None` when a person named it.
pub fn slot_of_name(environment: &str, name: &str) -> Option<DateTime<Utc>> {
    let stamp = name.strip_prefix(environment)?.strip_prefix('-')?;
    if stamp.len() != STAMP_LENGTH {
        return None;
    }
    NaiveDateTime::parse_from_str(stamp, STAMP)
        .ok()
        .map(|local| local.and_utc())
}

/// How long after its slot a run is created, 0 to `limit` seconds: the same for one environment and slot, so that a
/// restart does not draw again.
pub fn jitter(environment: &str, slot: DateTime<Utc>, limit: u32) -> TimeDelta {
    if limit == 0 {
        return TimeDelta::zero();
    }
    let digest = Sha256::digest(slot_name(environment, slot));
    let drawn = digest
        .iter()
        .take(8)
        .fold(0_u64, |n, b| n << 8 | u64::from(*b));
    let seconds = drawn % (u64::from(limit) + 1);
    TimeDelta::seconds(i64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn the_name_is_the_slot_in_utc_and_back() {
        let slot = Utc.with_ymd_and_hms(2026, 11, 23, 23, 5, 0).unwrap();
        let name = slot_name("nightly-brms", slot);
        assert_eq!(name, "nightly-brms-20261123t2305z");
        assert_eq!(slot_of_name("nightly-brms", &name), Some(slot));
        assert_eq!(slot_of_name("nightly", &name), None);
        assert_eq!(slot_of_name("nightly-brms", "nightly-brms-x7k2p"), None);
        assert_eq!(slot_of_name("n", "n-20261323t2305z"), None);
    }

    #[test]
    fn jitter_is_bounded_spread_and_never_drawn_again() {
        let slot = Utc.with_ymd_and_hms(2026, 11, 23, 0, 0, 0).unwrap();
        let drawn: Vec<i64> = (0..200)
            .map(|n| jitter(&format!("env-{n}"), slot, 60).num_seconds())
            .collect();
        assert!(drawn.iter().all(|s| (0..=60).contains(s)));
        let different: std::collections::BTreeSet<_> = drawn.iter().collect();
        assert!(different.len() > 30, "{different:?}");
        assert_eq!(jitter("env-7", slot, 60).num_seconds(), drawn[7]);
        assert_eq!(jitter("env-7", slot, 0), TimeDelta::zero());
    }
}
