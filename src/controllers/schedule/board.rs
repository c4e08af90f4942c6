//! What the schedule knows: environments, their open runs, their newest slots, and the timer queue.
//!
//! It is filled by the watches of the other loops and answers "what is due now" without asking anybody. After a restart
//! the newest slot of an environment is the newer one of its status and of the names of its runs: a crash between
//! "create" and "remember" forgets nothing.

use super::CREATES;
use super::clock::ScheduleClock;
use super::create::{Created, Order};
use super::entry::Entry;
use crate::api::{CloneEnvironment, CloneRun, ENVIRONMENT_LABEL};
use crate::controllers::locks::lease::PINNED;
use crate::schedule::{Image, slot_of_name};
use chrono::{DateTime, Utc};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher::Event;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Watches that fill the board, per scope.
const WATCHES: usize = 3;

/// A watch by its number and scope.
type Watch = (usize, Option<String>);
/// (namespace, name) of listed objects.
type Names = HashSet<(String, String)>;

/// An environment by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// An event of one of the watches.
pub enum Watched<'e> {
    /// Environments.
    Environment(&'e Event<DeserializeGuard<CloneEnvironment>>),
    /// Runs that are not final.
    OpenRun(&'e Event<DeserializeGuard<CloneRun>>),
    /// Metadata of all runs.
    AnyRun(&'e Event<PartialObjectMeta<CloneRun>>),
}

/// What is to be done after a look.
#[derive(Default)]
pub struct Turn {
    /// Runs to create.
    pub orders: Vec<Order>,
    /// When to look again.
    pub wake: Option<DateTime<Utc>>,
    /// Environments that wait for that time, at most [`CREATES`].
    pub together: usize,
    /// Whether a status is to be written.
    pub unwritten: bool,
}

/// The board.
#[derive(Default)]
pub struct Board {
    entries: HashMap<Key, Entry>,
    /// Open runs of an environment: since when each exists.
    open: HashMap<Key, HashMap<String, DateTime<Utc>>>,
    /// Newest slot of an environment by its UID, from the names of its runs.
    newest: HashMap<String, DateTime<Utc>>,
    queue: BTreeSet<(DateTime<Utc>, Key)>,
    /// Wake of each environment in the queue.
    wakes: HashMap<Key, DateTime<Utc>>,
    touched: HashSet<Key>,
    unwritten: HashSet<Key>,
    retries: Vec<Order>,
    /// Lock Leases that a held image pins. What is not listed yet counts as free: a run that is created all the same
    /// asks the Leases when it opens.
    pinned: HashSet<String>,
    /// Environments and open runs named by a listing that has not ended: (watch, scope).
    listing: HashMap<Watch, Names>,
    listed: HashSet<Watch>,
    expected: usize,
    /// Another operator decides: what an environment's status remembers is its memory, and newer than ours.
    standing_by: bool,
}

impl Board {
    /// Nothing is decided before the watches of so many scopes were listed once.
    pub fn expect_scopes(&mut self, count: usize) {
        self.expected = count * WATCHES;
    }

    /// Until this is taken back, environments are read with their status, as at a start.
    pub fn stand_by(&mut self, standing_by: bool) {
        self.standing_by = standing_by;
    }

    /// Whether every watch has listed its objects once.
    pub fn is_complete(&self) -> bool {
        self.expected > 0 && self.listed.len() >= self.expected
    }

    /// Enters an event; tells whether the queue should look.
    pub fn saw(&mut self, scope: Option<&str>, event: Watched<'_>, clock: &ScheduleClock) -> bool {
        let scope = scope.map(ToOwned::to_owned);
        match event {
            Watched::Environment(event) => self.saw_environment((0, scope), event, clock),
            Watched::OpenRun(event) => self.saw_open_run((1, scope), event, clock),
            Watched::AnyRun(event) => self.saw_any_run((2, scope), event, clock),
        }
        self.is_complete() && !self.touched.is_empty()
    }

    fn saw_environment(
        &mut self,
        watch: Watch,
        event: &Event<DeserializeGuard<CloneEnvironment>>,
        clock: &ScheduleClock,
    ) {
        match event {
            Event::Init => drop(self.listing.insert(watch, HashSet::new())),
            Event::InitApply(object) | Event::Apply(object) => {
                let Some(key) = key_of(object) else { return };
                if let Some(seen) = self.listing.get_mut(&watch) {
                    seen.insert((key.namespace.clone(), key.name.clone()));
                }
                // One that cannot be read is reported by its own loop; what was known of it goes on.
                if let Ok(environment) = &object.0 {
                    self.enter(key, environment, clock);
                }
            }
            Event::Delete(object) => {
                if let Some(key) = key_of(object) {
                    self.forget(&key);
                }
            }
            Event::InitDone => {
                let seen = self.listing.remove(&watch).unwrap_or_default();
                let gone = |key: &&Key| {
                    in_scope(&watch.1, &key.namespace)
                        && !seen.contains(&(key.namespace.clone(), key.name.clone()))
                };
                let gone: Vec<Key> = self.entries.keys().filter(gone).cloned().collect();
                gone.iter().for_each(|key| self.forget(key));
                self.listed.insert(watch);
                self.touch_all();
            }
        }
    }

    fn enter(&mut self, key: Key, environment: &CloneEnvironment, clock: &ScheduleClock) {
        let uid = environment.uid().unwrap_or_default();
        let known = self.entries.get_mut(&key).filter(|entry| entry.uid == uid);
        match known.filter(|_| !self.standing_by) {
            Some(entry) => entry.see(environment, clock),
            None => {
                let mut entry = Entry::new(environment, clock);
                if let Some(slot) = self.newest.get(&uid) {
                    entry.handle(*slot);
                }
                self.entries.insert(key.clone(), entry);
            }
        }
        self.touched.insert(key);
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.newest.remove(&entry.uid);
        }
        self.unqueue(key);
    }

    fn saw_open_run(
        &mut self,
        watch: Watch,
        event: &Event<DeserializeGuard<CloneRun>>,
        clock: &ScheduleClock,
    ) {
        match event {
            Event::Init => drop(self.listing.insert(watch, HashSet::new())),
            Event::InitApply(object) | Event::Apply(object) => {
                // A run that cannot be read has no environment; its own loop reports it.
                let Ok(run) = &object.0 else { return };
                // It never opens: nothing waits for it.
                if run.spec.skip.is_some() || run.spec.imported.is_some() {
                    return;
                }
                let namespace = run.namespace().unwrap_or_default();
                let name = run.name_any();
                if let Some(seen) = self.listing.get_mut(&watch) {
                    seen.insert((namespace.clone(), name.clone()));
                }
                let since = since(run, clock);
                let environment = run.spec.environment.clone();
                let key = Key {
                    namespace,
                    name: environment,
                };
                let runs = self.open.entry(key).or_default();
                runs.entry(name).or_insert(since);
            }
            Event::Delete(object) => {
                let environment = match &object.0 {
                    Ok(run) => run.spec.environment.clone(),
                    Err(_) => object
                        .labels()
                        .get(ENVIRONMENT_LABEL)
                        .cloned()
                        .unwrap_or_default(),
                };
                let key = Key {
                    namespace: object.namespace().unwrap_or_default(),
                    name: environment,
                };
                self.close(&key, &object.name_any());
            }
            Event::InitDone => {
                let seen = self.listing.remove(&watch).unwrap_or_default();
                let mut gone = Vec::new();
                for (key, runs) in &self.open {
                    let namespace = &key.namespace;
                    let known = |run: &&String| seen.contains(&(namespace.clone(), (*run).clone()));
                    let runs = runs.keys().filter(|run| !known(run));
                    if in_scope(&watch.1, namespace) {
                        gone.extend(runs.map(|run| (key.clone(), run.clone())));
                    }
                }
                gone.iter().for_each(|(key, run)| self.close(key, run));
                self.listed.insert(watch);
                self.touch_all();
            }
        }
    }

    /// A run is final or gone: its environment may be waited for.
    fn close(&mut self, key: &Key, run: &str) {
        let Some(runs) = self.open.get_mut(key) else {
            return;
        };
        if runs.remove(run).is_some() {
            self.touched.insert(key.clone());
        }
        if runs.is_empty() {
            self.open.remove(key);
        }
    }

    fn saw_any_run(
        &mut self,
        watch: Watch,
        event: &Event<PartialObjectMeta<CloneRun>>,
        clock: &ScheduleClock,
    ) {
        match event {
            Event::Init | Event::Delete(_) => {}
            Event::InitApply(run) | Event::Apply(run) => self.saw_slot(run, clock),
            Event::InitDone => {
                self.listed.insert(watch);
                self.touch_all();
            }
        }
    }

    /// The slot in a run's name. Only a run that belongs to this very environment counts, and no slot of the future,
    /// which somebody typed.
    fn saw_slot(&mut self, run: &PartialObjectMeta<CloneRun>, clock: &ScheduleClock) {
        let Some(name) = run.labels().get(ENVIRONMENT_LABEL) else {
            return;
        };
        let owner = run
            .owner_references()
            .iter()
            .find(|o| o.controller == Some(true));
        let slot = slot_of_name(name, &run.name_any()).filter(|slot| *slot <= clock.now());
        let (Some(owner), Some(slot)) = (owner, slot) else {
            return;
        };
        let newest = self.newest.entry(owner.uid.clone()).or_insert(slot);
        *newest = (*newest).max(slot);
        let key = Key {
            namespace: run.namespace().unwrap_or_default(),
            name: name.clone(),
        };
        let entry = self.entries.get_mut(&key).filter(|e| e.uid == owner.uid);
        if entry.is_some_and(|entry| entry.handle(slot)) {
            self.touched.insert(key);
        }
    }

    /// Enters what a lock Lease says; its image is not asked about `keepUntil`, which is in the run's spec: a run of a kept
    /// image is skipped when it opens.
    pub fn saw_lock(&mut self, event: &Event<PartialObjectMeta<Lease>>) {
        match event {
            Event::Init => self.pinned.clear(),
            Event::InitDone => {}
            Event::InitApply(lease) | Event::Apply(lease) => {
                let name = lease.name_any();
                match lease.annotations().contains_key(PINNED) {
                    true => drop(self.pinned.insert(name)),
                    false => drop(self.pinned.remove(&name)),
                }
            }
            Event::Delete(lease) => drop(self.pinned.remove(&lease.name_any())),
        }
    }

    fn touch_all(&mut self) {
        if self.is_complete() {
            self.touched.extend(self.entries.keys().cloned());
        }
    }

    /// What is due now.
    pub fn turn(&mut self, now: DateTime<Utc>) -> Turn {
        if !self.is_complete() {
            return Turn::default();
        }
        let mut orders = std::mem::take(&mut self.retries);
        let mut keys = std::mem::take(&mut self.touched);
        while let Some((_, key)) = self.queue.first().filter(|(at, _)| *at <= now).cloned() {
            self.unqueue(&key);
            keys.insert(key);
        }
        for key in keys {
            self.unqueue(&key);
            let active = self
                .open
                .get(&key)
                .and_then(|runs| runs.values().min().copied());
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            let image = match entry.needed.is_pinned(&self.pinned) {
                true => Image::Pinned,
                false => Image::Free,
            };
            let (order, wake) = entry.turn(&key, active, image, now);
            orders.extend(order);
            if let Some(wake) = wake {
                self.wakes.insert(key.clone(), wake);
                self.queue.insert((wake, key.clone()));
            }
            self.unwritten.insert(key);
        }
        let wake = self.queue.first().map(|(at, _)| *at);
        let first = self.queue.iter().take_while(|(at, _)| Some(*at) == wake);
        Turn {
            orders,
            wake,
            together: first.take(CREATES).count(),
            unwritten: !self.unwritten.is_empty(),
        }
    }

    fn unqueue(&mut self, key: &Key) {
        if let Some(at) = self.wakes.remove(key) {
            self.queue.remove(&(at, key.clone()));
        }
    }

    /// Enters the answer to a create.
    pub fn answered(&mut self, order: &Order, outcome: &Created, now: DateTime<Utc>) {
        let entry = self.entries.get_mut(&order.key);
        let Some(entry) = entry.filter(|e| e.uid == order.uid) else {
            return;
        };
        // It is active from now on, also before the watch says so.
        if *outcome == Created::Ours && order.skip.is_none() {
            let object = crate::schedule::slot_name(&order.key.name, order.slot);
            let runs = self.open.entry(order.key.clone()).or_default();
            runs.entry(object).or_insert(order.slot);
        }
        self.retries.extend(entry.answered(order, outcome, now));
        self.touched.insert(order.key.clone());
    }

    /// Environments whose status may have changed.
    pub fn take_unwritten(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.unwritten).into_iter().collect()
    }

    /// The status could not be written.
    pub fn write_again(&mut self, key: &Key) {
        if self.entries.contains_key(key) {
            self.touched.insert(key.clone());
        }
    }

    /// What is known of an environment.
    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }
}

fn key_of(object: &DeserializeGuard<CloneEnvironment>) -> Option<Key> {
    Some(Key {
        namespace: object.namespace()?,
        name: object.name_any(),
    })
}

fn in_scope(scope: &Option<String>, namespace: &str) -> bool {
    scope.as_deref().is_none_or(|scope| scope == namespace)
}

/// Since when a run exists, on the schedule's clock.
fn since(run: &CloneRun, clock: &ScheduleClock) -> DateTime<Utc> {
    let time = |t: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| {
        DateTime::from_timestamp(t.0.as_second(), 0)
    };
    if let Some(slot) = run.spec.scheduled_time.as_ref().and_then(time) {
        return slot;
    }
    let created = run.creation_timestamp().and_then(|t| time(&t));
    created.map_or_else(|| clock.now(), |real| clock.from_real(real))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "board_tests.rs"]
mod tests;
