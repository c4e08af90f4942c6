//! Which partitions are sources and which are clones, over all environments: no clone may be anybody's source
//! (`product.md` § 7.2). Asked by every look and every pass, so it is built anew only when a watch told of another partition.

use super::known::Known;
use super::pins;
use crate::api::CloneEnvironment;
use crate::site::PartitionUuid;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// (managed system, partition), for environments that were never verified.
type Named = (String, String);

/// Partitions of all environments, each with the number of environments that name it.
#[derive(Debug, Default)]
pub struct Partitions {
    /// Pinned source partitions.
    pub sources: Arc<BTreeSet<PartitionUuid>>,
    source_uuids: BTreeMap<PartitionUuid, usize>,
    clone_uuids: BTreeMap<PartitionUuid, usize>,
    source_names: BTreeMap<Named, usize>,
    clone_names: BTreeMap<Named, usize>,
}

/// What one environment adds.
#[derive(PartialEq, Eq)]
struct Part {
    source: Named,
    clone: Named,
    source_uuid: Option<PartitionUuid>,
    clone_uuid: Option<PartitionUuid>,
}

impl Part {
    fn of(environment: &CloneEnvironment) -> Self {
        let pins = pins::of(environment);
        let (source, clone) = (
            &environment.spec.source.partition,
            &environment.spec.clone.partition,
        );
        Self {
            source: (source.managed_system.clone(), source.name.clone()),
            clone: (clone.managed_system.clone(), clone.name.clone()),
            source_uuid: pins.source_partition,
            clone_uuid: pins.clone_partition,
        }
    }
}

/// Whether others than the one that asks name it; `own` = the one that asks does too.
fn of_others<K: Ord>(counts: &BTreeMap<K, usize>, key: &K, own: bool) -> bool {
    counts.get(key).copied().unwrap_or_default() > usize::from(own)
}

impl Partitions {
    /// Counts these environments.
    pub fn of<'e>(environments: impl Iterator<Item = &'e CloneEnvironment>) -> Self {
        let mut all = Self::default();
        for part in environments.map(Part::of) {
            if let Some(uuid) = part.source_uuid {
                *all.source_uuids.entry(uuid).or_default() += 1;
            }
            if let Some(uuid) = part.clone_uuid {
                *all.clone_uuids.entry(uuid).or_default() += 1;
            }
            *all.source_names.entry(part.source).or_default() += 1;
            *all.clone_names.entry(part.clone).or_default() += 1;
        }
        all.sources = Arc::new(all.source_uuids.keys().cloned().collect());
        all
    }

    /// Why this environment may not clone, if its clone is another one's source or its source another one's clone.
    pub fn forbids(&self, environment: &CloneEnvironment) -> Option<String> {
        let own = Part::of(environment);
        let same_uuid = own.source_uuid.is_some() && own.source_uuid == own.clone_uuid;
        let same_name = own.source == own.clone;
        let named = |uuid: &Option<PartitionUuid>, counts| {
            let uuid = uuid.as_ref();
            uuid.is_some_and(|uuid| of_others(counts, uuid, same_uuid))
        };
        if named(&own.clone_uuid, &self.source_uuids)
            || of_others(&self.source_names, &own.clone, same_name)
        {
            return Some(format!(
                "clone partition {} on {} is the source of another environment: a run would overwrite it; name another clone partition",
                own.clone.1, own.clone.0
            ));
        }
        if named(&own.source_uuid, &self.clone_uuids)
            || of_others(&self.clone_names, &own.source, same_name)
        {
            return Some(format!(
                "source partition {} on {} is the clone of another environment, which overwrites it; one of the two must go",
                own.source.1, own.source.0
            ));
        }
        None
    }
}

/// The partitions as of the last change.
#[derive(Default)]
pub struct PartitionIndex(Mutex<State>);

#[derive(Default)]
struct State {
    /// What each environment adds, by UID.
    parts: HashMap<String, Part>,
    built: Option<Arc<Partitions>>,
}

impl PartitionIndex {
    /// Enters an event that the store of the watch holds already.
    pub fn saw(&self, event: &Event<DeserializeGuard<CloneEnvironment>>) {
        let mut state = self.lock();
        match event {
            Event::Init => {}
            Event::InitApply(object) | Event::Apply(object) => {
                let Some(uid) = object.uid() else { return };
                let part = object.0.as_ref().ok().map(Part::of);
                if part.as_ref() == state.parts.get(&uid) {
                    return;
                }
                match part {
                    Some(part) => drop(state.parts.insert(uid, part)),
                    None => drop(state.parts.remove(&uid)),
                }
                state.built = None;
            }
            Event::Delete(object) => {
                state.parts.remove(&object.uid().unwrap_or_default());
                state.built = None;
            }
            // The store has now what was listed; what was not is gone.
            Event::InitDone => state.built = None,
        }
    }

    /// The partitions of all environments, or `None` while a watch has not listed all of its own yet.
    pub fn get(&self, known: &Known<CloneEnvironment>) -> Option<Arc<Partitions>> {
        let mut state = self.lock();
        if let Some(built) = &state.built {
            return Some(built.clone());
        }
        let all = known.all()?;
        let readable = all.iter().filter_map(|guard| guard.0.as_ref().ok());
        let built = Arc::new(Partitions::of(readable));
        state.built = Some(built.clone());
        Some(built)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use kube::runtime::reflector;

    fn environment(name: &str, source: &str, clone: &str) -> CloneEnvironment {
        let yaml = include_str!("../testdata/environment.yaml");
        let mut environment = CloneEnvironment::new(name, serde_saphyr::from_str(yaml).unwrap());
        environment.metadata.namespace = Some("ibmi".to_owned());
        environment.metadata.uid = Some(format!("uid-{name}"));
        environment.spec.source.partition.name = source.to_owned();
        environment.spec.clone.partition.name = clone.to_owned();
        environment
    }

    #[test]
    fn a_clone_that_is_somebodys_source_is_forbidden_and_its_own_pair_is_not() {
        let nightly = environment("nightly", "PROD", "CLONE");
        let midday = environment("midday", "PROD", "CLONE");
        let wrong = environment("wrong", "OTHER", "PROD");
        let chained = environment("chained", "CLONE", "THIRD");
        let all = Partitions::of([&nightly, &midday].into_iter());
        assert_eq!(all.forbids(&nightly), None);
        let text = all.forbids(&wrong).unwrap();
        assert!(text.contains("source of another environment"), "{text}");
        let text = all.forbids(&chained).unwrap();
        assert!(text.contains("clone of another environment"), "{text}");
    }

    #[test]
    fn a_change_of_a_partition_is_known_at_once_and_nothing_else_builds_it_anew() {
        let (known, index) = (Known::default(), PartitionIndex::default());
        known.expect(1);
        let (reader, mut writer) = reflector::store();
        known.add(reader);
        let mut enter = |event: Event<DeserializeGuard<CloneEnvironment>>| {
            writer.apply_watcher_event(&event);
            index.saw(&event);
        };
        let guard = |e: &CloneEnvironment| DeserializeGuard(Ok(e.clone()));
        let mut nightly = environment("nightly", "PROD", "CLONE");
        let wrong = environment("wrong", "OTHER", "NEWPROD");
        enter(Event::Init);
        enter(Event::InitApply(guard(&nightly)));
        assert!(index.get(&known).is_none(), "a list is under way");
        enter(Event::InitDone);
        let first = index.get(&known).unwrap();
        assert_eq!(first.forbids(&wrong), None);
        nightly.metadata.resource_version = Some("2".to_owned());
        enter(Event::Apply(guard(&nightly)));
        assert!(Arc::ptr_eq(&first, &index.get(&known).unwrap()));
        nightly.spec.source.partition.name = "NEWPROD".to_owned();
        enter(Event::Apply(guard(&nightly)));
        assert!(index.get(&known).unwrap().forbids(&wrong).is_some());
        enter(Event::Delete(guard(&nightly)));
        assert_eq!(index.get(&known).unwrap().forbids(&wrong), None);
    }
}
