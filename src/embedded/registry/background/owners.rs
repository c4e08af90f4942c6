//! Who names whom as its owner: the whole of it in memory, because the store can be asked for objects alone.

use std::collections::{HashMap, HashSet};

use crate::embedded::store::Key;

/// An owner as a dependent names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its uid.
    pub uid: String,
    /// Where it would be; none for a kind that is not served.
    pub key: Option<Key>,
    /// It may not go before this dependent when it is deleted in the foreground.
    pub blocks: bool,
}

/// The graph.
#[derive(Debug, Default)]
pub struct Owners {
    /// Only of what names owners.
    named: HashMap<Key, Vec<Named>>,
    dependents: HashMap<String, HashSet<Key>>,
}

impl Owners {
    /// Takes over whom an object names now. None when that is as before; else the owners that it named before.
    pub fn learn(&mut self, key: &Key, named: Vec<Named>) -> Option<Vec<Key>> {
        if self.named(key) == named.as_slice() {
            return None;
        }
        let before = self.forget(key);
        for owner in &named {
            self.dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(key.clone());
        }
        if !named.is_empty() {
            self.named.insert(key.clone(), named);
        }
        Some(before)
    }

    /// Whom an object names.
    pub fn named(&self, key: &Key) -> &[Named] {
        self.named.get(key).map_or(&[], Vec::as_slice)
    }

    /// An object is gone; the owners that it named.
    pub fn forget(&mut self, key: &Key) -> Vec<Key> {
        let named = self.named.remove(key).unwrap_or_default();
        for owner in &named {
            if let Some(keys) = self.dependents.get_mut(&owner.uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        named.into_iter().filter_map(|owner| owner.key).collect()
    }

    /// Who names this uid.
    pub fn dependents(&self, uid: &str) -> Vec<Key> {
        let mut keys: Vec<Key> = self
            .dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        keys.sort();
        keys
    }

    /// Whether somebody who names this uid keeps it there.
    pub fn is_blocked(&self, uid: &str) -> bool {
        let keys = self.dependents.get(uid).into_iter().flatten();
        let mut named = keys.filter_map(|key| self.named.get(key)).flatten();
        named.any(|owner| owner.uid == uid && owner.blocks)
    }
}
