//! What has to be applied and what is pruned. Pure.

use super::Key;
use super::files::Manifest;
use kube::api::DynamicObject;
use std::collections::{BTreeMap, BTreeSet};

/// An object that was applied from a file before, as its annotation says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Applied {
    /// Which.
    pub key: Key,
    /// From which file.
    pub file: String,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// File and object, in the order of applying: namespaces before what is in them, Secrets and ConfigMaps before what
    /// names them.
    pub apply: Vec<(String, DynamicObject)>,
    /// What no file has any more, in the order of deletion: the reverse.
    pub prune: Vec<Key>,
    /// File and reason.
    pub refused: Vec<(String, String)>,
}

/// Kinds by their order of applying; all others come between them and the own ones.
fn rank(kind: &str) -> u8 {
    match kind {
        "Namespace" => 0,
        "Secret" | "ConfigMap" | "ServiceAccount" => 1,
        "CloneEnvironment" => 3,
        "CloneRun" => 4,
        _ => 2,
    }
}

/// A file that cannot be used keeps what it had: its objects are neither changed nor pruned. Without any file nothing is
/// pruned at all: an empty directory is more often one that was not mounted, and an environment takes its history with it.
pub fn plan(manifests: Vec<Manifest>, applied: &[Applied]) -> Plan {
    let mut plan = Plan::default();
    let mut owners: BTreeMap<Key, String> = BTreeMap::new();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let empty = manifests.is_empty();
    for manifest in manifests {
        let objects = manifest.objects.and_then(|objects| {
            let other = |o: &DynamicObject| {
                let key = super::key_of(o);
                owners
                    .get(&key)
                    .map(|file| format!("{key} is in {file} too"))
            };
            match objects.iter().find_map(other) {
                Some(why) => Err(why),
                None => Ok(objects),
            }
        });
        match objects {
            Err(why) => {
                kept.insert(manifest.name.clone());
                plan.refused.push((manifest.name, why));
            }
            Ok(objects) => {
                for object in objects {
                    owners.insert(super::key_of(&object), manifest.name.clone());
                    plan.apply.push((manifest.name.clone(), object));
                }
            }
        }
    }
    plan.apply
        .sort_by_key(|(_, object)| rank(&super::key_of(object).kind));
    if !empty {
        let gone = |a: &&Applied| !owners.contains_key(&a.key) && !kept.contains(&a.file);
        plan.prune = applied.iter().filter(gone).map(|a| a.key.clone()).collect();
        plan.prune
            .sort_by_key(|key| std::cmp::Reverse(rank(&key.kind)));
    }
    plan
}
