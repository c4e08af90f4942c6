//! A wrong password is tried once (`product.md` § 7.9): consoles, arrays and systems lock accounts. What releases the
//! latch is that a person has changed something, once per change.

use crate::site::DeviceError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An object whose change may make a refused login worth another attempt: a Secret with its resourceVersion, an
/// environment with its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Kind, namespace and name.
    pub object: String,
    /// Differs after every change.
    pub version: String,
}

/// Remembers that a login was refused.
#[derive(Debug, Default)]
pub struct LoginLatch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    refused: Option<DeviceError>,
    /// Versions that were seen, by object.
    seen: BTreeMap<String, BTreeSet<String>>,
}

impl LoginLatch {
    /// The refusal, while it holds: no login is sent.
    pub fn refused(&self) -> Option<DeviceError> {
        self.state().refused.clone()
    }

    /// A login was refused.
    pub fn close(&self, error: DeviceError) {
        self.state().refused = Some(error);
    }

    /// Looks at what the login is made from. A new version of an object that was seen before releases the latch; an
    /// object seen for the first time does not, for else every further environment with the same wrong password would
    /// be another attempt.
    pub fn look(&self, versions: &[Version]) {
        let mut state = self.state();
        for Version { object, version } in versions {
            let known = state.seen.contains_key(object);
            let versions = state.seen.entry(object.clone()).or_default();
            if versions.insert(version.clone()) && known {
                state.refused = None;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(object: &str, version: &str) -> Vec<Version> {
        let (object, version) = (object.to_owned(), version.to_owned());
        vec![Version { object, version }]
    }

    #[test]
    fn one_change_is_one_attempt_and_a_further_user_of_the_login_is_none() {
        let latch = LoginLatch::default();
        let refuse = || latch.close(DeviceError::refused("HMC", "LoginFailed", "no"));
        latch.look(&version("Secret a/hmc", "1"));
        assert_eq!(latch.refused(), None);
        refuse();
        for seen in [
            ("Secret a/hmc", "1"),
            ("Secret b/hmc", "7"),
            ("Secret c/hmc", "9"),
        ] {
            latch.look(&version(seen.0, seen.1));
            assert!(latch.refused().is_some(), "{seen:?}");
        }
        latch.look(&version("Secret a/hmc", "2"));
        assert_eq!(latch.refused(), None, "a label was enough");
        refuse();
        // The other environments of this Secret read the same change.
        latch.look(&version("Secret a/hmc", "2"));
        latch.look(&version("Secret a/hmc", "1"));
        assert!(latch.refused().is_some());
    }
}
