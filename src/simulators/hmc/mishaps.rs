//! Things that happen beside the console's requests, as fault controls: `Special` with one of the words of [`Mishap`], on
//! any request. It happens just before that request, and lasts.

use super::power::start_by_hand;
use crate::simulators::faults::Device;
use crate::simulators::world::World;
use chrono::TimeDelta;

/// The words, for messages.
pub const WORDS: &str = "start:PARTITION, state:SYSTEM:STATE, rmc-off:VIOS, rmc-on:VIOS, lock:USER, blank-src:PARTITION, show-src:PARTITION";

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// `start:PARTITION`: an operator starts it.
    Start(String),
    /// `state:SYSTEM:no connection`: the managed system goes to this state.
    State(String, String),
    /// `rmc-off:VIOS` and `rmc-on:VIOS`: its RMC session.
    Rmc(String, bool),
    /// `lock:USER`: somebody else's wrong passwords have locked the account.
    Lock(String),
    /// `blank-src:PARTITION` and `show-src:PARTITION`: the reference code is blank, or shown again.
    BlankCode(String, bool),
}

impl Mishap {
    /// From its word; `None` when it is no word of this list.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let (kind, name) = word.split_once(':')?;
        let owned = name.to_owned();
        match kind {
            "start" => Some(Self::Start(owned)),
            "rmc-off" => Some(Self::Rmc(owned, false)),
            "rmc-on" => Some(Self::Rmc(owned, true)),
            "lock" => Some(Self::Lock(owned)),
            "blank-src" => Some(Self::BlankCode(owned, true)),
            "show-src" => Some(Self::BlankCode(owned, false)),
            "state" => {
                let (system, state) = name.rsplit_once(':')?;
                Some(Self::State(system.to_owned(), state.to_owned()))
            }
            _ => None,
        }
    }

    /// What it names and the world does not have.
    pub(crate) fn missing(&self, world: &World) -> Option<String> {
        let console = &world.console;
        let (found, kind, name) = match self {
            Self::Start(name) | Self::BlankCode(name, _) => {
                (console.partitions.contains_key(name), "partition", name)
            }
            Self::State(name, _) => (console.system(name).is_some(), "managed system", name),
            Self::Rmc(name, _) => (world.vioses.contains_key(name), "VIOS", name),
            Self::Lock(name) => {
                let known = console.users.iter().any(|u| u.name == *name);
                (known, "user", name)
            }
        };
        (!found).then(|| format!("the console has no {kind} {name}"))
    }
}

/// Lets everything happen that waits for this request (`METHOD path`).
pub(super) fn happen(world: &mut World, operation: &str) {
    let name = world.console.name.clone();
    let faults = |world: &mut World| {
        world
            .faults
            .take_word(Device::Hmc, &name, operation, Mishap::parse)
    };
    while let Some((word, mishap)) = faults(world) {
        match mishap.missing(world) {
            Some(why) => tracing::warn!(word, why, "a fault of the simulated HMC does nothing"),
            None => apply(world, mishap),
        }
    }
}

fn apply(world: &mut World, mishap: Mishap) {
    let now = world.now;
    match mishap {
        Mishap::Start(name) => start_by_hand(world, &name),
        Mishap::State(name, state) => {
            let mut systems = world.console.systems.iter_mut();
            if let Some(system) = systems.find(|s| s.name == name) {
                system.state = state;
            }
        }
        Mishap::Rmc(name, active) => {
            if let Some(vios) = world.vioses.get_mut(&name) {
                vios.rmc = active;
            }
        }
        Mishap::Lock(user) => {
            let until = Some(now + TimeDelta::minutes(super::LOCK_MINUTES));
            let failures = &mut world.console.failures;
            failures.insert(user, (super::FAILURES, until));
        }
        Mishap::BlankCode(name, blank) => {
            if let Some(p) = world.console.partitions.get_mut(&name) {
                p.blank_code = blank;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_of_the_list_are_mishaps() {
        let words = [
            "start:P",
            "state:S:no connection",
            "rmc-off:V",
            "rmc-on:V",
            "lock:U",
            "blank-src:P",
            "show-src:P",
        ];
        for word in words {
            assert!(Mishap::parse(word).is_some(), "{word}");
            let kind = word.split(':').next().unwrap();
            assert!(WORDS.contains(&format!("{kind}:")), "{word} is not listed");
        }
        for word in ["start", "state:S", "html", "expire", "stuck-job"] {
            assert_eq!(Mishap::parse(word), None, "{word}");
        }
    }
}
