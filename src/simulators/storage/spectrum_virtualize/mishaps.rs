//! Things that happen to the array itself, as fault controls: `Special` with one of the words of [`Mishap`], on any verb.
//! It happens just before that command runs, and lasts.

use super::model::{Array, MapState, Named, find};
use crate::simulators::faults::Device;
use crate::simulators::world::World;
use std::collections::BTreeMap;

/// The words, for messages.
pub const WORDS: &str =
    "offline:VOLUME, online:VOLUME, suspend:MAPPING, fill:POOL:PERCENT, io:VOLUME";

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mishap {
    /// `offline:VOLUME`: it loses its storage.
    Offline(String),
    /// `online:VOLUME`: the storage is back, and with it the suspended mappings whose source it is.
    Online(String),
    /// `suspend:MAPPING`: it loses access to its bitmap.
    Suspend(String),
    /// `fill:POOL:PERCENT`: others fill the pool, or free it, to so many percent.
    Fill(String, u64),
    /// `io:VOLUME`: a host has just used it.
    Io(String),
}

impl Mishap {
    /// From its word; `None` when it is no word of this list.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let (kind, name) = word.split_once(':')?;
        match kind {
            "offline" => Some(Self::Offline(name.to_owned())),
            "online" => Some(Self::Online(name.to_owned())),
            "suspend" => Some(Self::Suspend(name.to_owned())),
            "io" => Some(Self::Io(name.to_owned())),
            "fill" => {
                let (pool, percent) = name.rsplit_once(':')?;
                let percent = percent.parse().ok().filter(|p| *p <= 100)?;
                Some(Self::Fill(pool.to_owned(), percent))
            }
            _ => None,
        }
    }

    /// What it names and the array does not have.
    pub(super) fn missing(&self, array: &Array) -> Option<String> {
        let lacks = |found: bool, kind: &str, name: &str| {
            (!found).then(|| format!("the array has no {kind} {name}"))
        };
        match self {
            Self::Offline(name) | Self::Online(name) | Self::Io(name) => {
                lacks(find(&array.vdisks, name).is_some(), "volume", name)
            }
            Self::Suspend(name) => lacks(find(&array.maps, name).is_some(), "mapping", name),
            Self::Fill(name, _) => lacks(find(&array.pools, name).is_some(), "pool", name),
        }
    }
}

fn with<T: Named>(objects: &mut BTreeMap<u32, T>, name: &str, change: impl FnOnce(&mut T)) {
    let id = find(objects, name).map(Named::id);
    if let Some(object) = id.and_then(|id| objects.get_mut(&id)) {
        change(object);
    }
}

/// Lets everything happen that waits for this command.
pub(super) fn happen(world: &mut World, verb: &str) {
    let name = world.array.name.clone();
    let faults = |world: &mut World| {
        world
            .faults
            .take_word(Device::Array, &name, verb, Mishap::parse)
    };
    while let Some((word, mishap)) = faults(world) {
        match mishap.missing(&world.array) {
            Some(why) => tracing::warn!(word, why, "a fault of the simulated array does nothing"),
            None => apply(world, &mishap),
        }
    }
}

fn apply(world: &mut World, mishap: &Mishap) {
    let now = world.now;
    let array = &mut world.array;
    match mishap {
        Mishap::Offline(name) => with(&mut array.vdisks, name, |v| v.offline = true),
        Mishap::Online(name) => {
            let mut back = None;
            with(&mut array.vdisks, name, |v| {
                v.offline = false;
                back = Some(v.id);
            });
            // A copy that was there goes on; one that was never started stays suspended.
            let suspended = array.maps.values_mut().filter(|m| {
                Some(m.source) == back && m.state == MapState::Suspended && m.started.is_some()
            });
            suspended.for_each(|m| m.state = MapState::Copying);
        }
        Mishap::Suspend(name) => with(&mut array.maps, name, |m| {
            m.state = MapState::Suspended;
            m.until = None;
        }),
        Mishap::Io(name) => with(&mut array.vdisks, name, |v| v.last_io = Some(now)),
        Mishap::Fill(name, percent) => with(&mut array.pools, name, |p| {
            p.used = p.capacity / 100 * percent;
            if *percent == 100 {
                p.used = p.capacity;
            }
        }),
    }
    super::capacity::lose_mappings(world);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_words_of_the_list_are_mishaps() {
        for word in ["offline:V", "online:V", "suspend:M", "fill:P:100", "io:V"] {
            assert!(Mishap::parse(word).is_some(), "{word}");
            let kind = word.split(':').next().unwrap();
            assert!(WORDS.contains(&format!("{kind}:")), "{word} is not listed");
        }
        for word in [
            "offline",
            "fill:P",
            "fill:P:101",
            "fill:P:x",
            "flush-failed",
        ] {
            assert_eq!(Mishap::parse(word), None, "{word}");
        }
    }
}
