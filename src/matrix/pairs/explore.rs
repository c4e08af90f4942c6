//! Goes through all states that two runs can reach together. A state is reached again by doing the same choices from the
//! start; one that was seen before, whatever way led to it, is not gone through a second time.

use super::line::{opened, process};
use super::shared::{KINDS, MemoryLease, Mutation, Shared, State};
use crate::engine::journal::Phase;
use crate::engine::step::LockKind;
use crate::recipe::fakes;
use crate::site::Site;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

/// Who does what next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The process does its next call, and all that follows it up to the one after.
    Move(usize),
    /// The process dies before that call; another one takes its place.
    Die(usize),
    /// The process does its next call and dies at the effect that follows it.
    DieAtEffect(usize),
}

/// What is gone through.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Which run each process moves; a run twice = an old leader that does not know of the new one.
    pub processes: &'static [usize],
    /// In every state each process also dies. What follows is not all interleavings again, but three orders: in turn,
    /// and either one first.
    pub deaths: bool,
    /// Longest history; a run that waits writes its place in the queue without end.
    pub longest: usize,
    /// The target set is pinned, until a person releases it.
    pub pinned: bool,
    /// The device refuses the first run's `arm` after all: it fails and still owes.
    pub refused: bool,
    /// Both runs save with production's BRMS.
    pub backups: bool,
    pub mutation: Mutation,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub states: usize,
    pub histories: usize,
    /// Ends that were gone through after a death.
    pub deaths: usize,
    /// The first few, each with the choices that led there.
    pub violations: Vec<String>,
}

/// Longest fair end of a history, turns of all processes together.
const PATIENCE: usize = 3000;
/// After so many of them a person releases what is pinned.
const UNTIL_RELEASED: usize = 60;

type Running = Pin<Box<dyn Future<Output = ()>>>;

struct Bench {
    state: Arc<Mutex<State>>,
    site: Site,
    processes: Vec<(usize, u32, Option<Running>)>,
}

impl Bench {
    fn new(setting: Setting, site: &Site) -> Self {
        let lease = |kind| MemoryLease {
            pinned: setting.pinned && kind == LockKind::TargetSet,
            ..MemoryLease::default()
        };
        let state = State {
            journals: [opened(0, setting.backups), opened(1, setting.backups)],
            leases: KINDS.into_iter().map(|k| (k, lease(k))).collect(),
            done: Default::default(),
            armed: None,
            violations: Vec::new(),
            dies: false,
            refused: setting.refused,
            backups: setting.backups,
            seen: vec![0; setting.processes.len()],
            mutation: setting.mutation,
        };
        let mut bench = Self {
            state: Arc::new(Mutex::new(state)),
            site: site.clone(),
            processes: setting
                .processes
                .iter()
                .map(|run| (*run, 0, None))
                .collect(),
        };
        for at in 0..bench.processes.len() {
            bench.start(at);
        }
        bench
    }

    fn start(&mut self, at: usize) {
        let Some((run, generation, running)) = self.processes.get_mut(at) else {
            return;
        };
        *generation += 1;
        let writer = format!("process-{at}-{generation}");
        let shared = Shared {
            state: self.state.clone(),
            process: at,
            run: *run,
        };
        let mut future: Running = Box::pin(process(shared, self.site.clone(), writer));
        // Up to its first call.
        *running = poll(&mut future).then_some(future);
    }

    /// `false` = the choice makes no sense here.
    fn choose(&mut self, choice: Choice) -> bool {
        match choice {
            Choice::Move(at) => self.advance(at),
            Choice::Die(at) => {
                let alive = self.alive(at);
                if alive {
                    self.start(at);
                }
                alive
            }
            Choice::DieAtEffect(at) => {
                self.lock().dies = true;
                let moved = self.advance(at);
                let survived = std::mem::take(&mut self.lock().dies);
                if moved && !survived {
                    self.start(at);
                }
                moved && !survived
            }
        }
    }

    fn advance(&mut self, at: usize) -> bool {
        let Some((_, _, running)) = self.processes.get_mut(at) else {
            return false;
        };
        let Some(future) = running else {
            return false;
        };
        if !poll(future) {
            *running = None;
        }
        true
    }

    /// Whether the process is still in the pass it was in: a new one reads everything anew, as any leader does.
    fn goes_on(&self, at: usize) -> bool {
        self.lock().seen.get(at).is_some_and(|seen| *seen != 1)
    }

    fn alive(&self, at: usize) -> bool {
        self.processes.get(at).is_some_and(|(.., r)| r.is_some())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Two histories with this in common go on in the same ways.
    fn key(&self) -> u64 {
        let state = self.lock();
        let mut hasher = DefaultHasher::new();
        format!("{:?}", state.journals).hash(&mut hasher);
        state.leases.hash(&mut hasher);
        state.done.hash(&mut hasher);
        state.armed.hash(&mut hasher);
        state.seen.hash(&mut hasher);
        for (run, generation, running) in &self.processes {
            (run, generation, running.is_some()).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Everybody in turn until all have ended, or one of them first for as long as it gets on.
    fn run_out(&mut self, first: Option<usize>) {
        if let Some(first) = first {
            let _ = (0..PATIENCE / 10).all(|_| self.advance(first));
        }
        for round in 0..PATIENCE {
            if round == UNTIL_RELEASED {
                for lease in self.lock().leases.values_mut().filter(|l| l.pinned) {
                    lease.pinned = false;
                    lease.version += 1;
                }
            }
            let mut moved = false;
            for at in 0..self.processes.len() {
                moved |= self.advance(at);
            }
            if !moved {
                break;
            }
        }
    }

    fn judge(&self, ended: bool) -> Vec<String> {
        let state = self.lock();
        let mut found = state.violations.clone();
        if !ended {
            return found;
        }
        for (run, journal) in state.journals.iter().enumerate() {
            let wanted = match state.refused && run == 0 {
                true => Phase::Failed,
                false => Phase::Succeeded,
            };
            if journal.phase != wanted {
                found.push(format!("run {run} does not end: {:?}", journal.phase));
            }
        }
        let noted = state.leases.get(&LockKind::TargetSet).and_then(|l| l.image);
        let refused = state.refused && state.armed == Some(0);
        if noted != state.armed && !refused {
            let text = format!("the copy is of run {:?}, noted is {noted:?}", state.armed);
            found.push(text);
        }
        found
    }
}

/// Whether the process has more to do.
fn poll(future: &mut Running) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    future.as_mut().poll(&mut context).is_pending()
}

/// An old leader of the first run stops after any of its calls, a new one moves the run on, then the second run has its
/// turn; after any of their calls the old one wakes and goes on as if nothing had happened.
pub fn old_leader_wakes(mutation: Mutation, backups: bool, first_only: bool) -> Found {
    let setting = Setting {
        processes: &[0, 0, 1],
        deaths: false,
        longest: usize::MAX,
        pinned: false,
        refused: false,
        backups,
        mutation,
    };
    let site = fakes::world().site();
    let mut found = Found::default();
    let mut seen: HashSet<u64> = HashSet::new();
    for stops_after in 0.. {
        for wakes_after in 0.. {
            let mut bench = Bench::new(setting, &site);
            if !(0..stops_after).all(|_| bench.advance(0)) {
                found.states = seen.len();
                return found;
            }
            if !(0..wakes_after).all(|_| bench.advance(1) || bench.advance(2)) {
                break;
            }
            found.histories += 1;
            if !seen.insert(bench.key()) {
                continue;
            }
            while bench.advance(0) && bench.lock().violations.is_empty() && bench.goes_on(0) {}
            bench.run_out(None);
            let broken = bench.judge(true).into_iter();
            let told = broken.map(|text| {
                format!("{text}\n  stops after {stops_after}, wakes after {wakes_after}")
            });
            found.violations.extend(told);
            if !found.violations.is_empty() && (first_only || found.violations.len() > 20) {
                found.states = seen.len();
                return found;
            }
        }
    }
    found
}

/// All states; with `first_only` the search ends with the first violation.
pub fn explore(setting: Setting, first_only: bool) -> Found {
    let site = fakes::world().site();
    let mut found = Found::default();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut todo: Vec<Vec<Choice>> = vec![Vec::new()];
    while let Some(history) = todo.pop() {
        let Some(mut bench) = after(setting, &site, &history) else {
            continue;
        };
        found.histories += 1;
        if !seen.insert(bench.key()) {
            continue;
        }
        let alive: Vec<usize> = (0..setting.processes.len())
            .filter(|at| bench.alive(*at))
            .collect();
        let mut broken = bench.judge(false);
        if broken.is_empty() {
            bench.run_out(None);
            broken = bench.judge(true);
        }
        found.note(broken, &history);
        for at in alive.iter().copied().filter(|_| setting.deaths) {
            for death in [Choice::Die(at), Choice::DieAtEffect(at)] {
                let mut history = history.clone();
                history.push(death);
                for first in [None, Some(0), Some(1)] {
                    let Some(mut bench) = after(setting, &site, &history) else {
                        continue;
                    };
                    found.deaths += 1;
                    bench.run_out(first);
                    found.note(bench.judge(true), &history);
                }
            }
        }
        if !found.violations.is_empty() && (first_only || found.violations.len() > 20) {
            break;
        }
        for at in alive
            .into_iter()
            .filter(|_| history.len() < setting.longest)
        {
            let mut longer = history.clone();
            longer.push(Choice::Move(at));
            todo.push(longer);
        }
    }
    found.states = seen.len();
    found
}

/// `None` = the last choice makes no sense after the others.
fn after(setting: Setting, site: &Site, history: &[Choice]) -> Option<Bench> {
    let mut bench = Bench::new(setting, site);
    let possible = history.iter().all(|choice| bench.choose(*choice));
    possible.then_some(bench)
}

impl Found {
    fn note(&mut self, broken: Vec<String>, history: &[Choice]) {
        let history = shortly(history);
        let told = broken
            .into_iter()
            .map(|text| format!("{text}\n  after {history}"));
        self.violations.extend(told.take(5));
    }
}

/// `3x Move(1), 2x Move(0), Die(0)`.
fn shortly(history: &[Choice]) -> String {
    let runs = history.chunk_by(|a, b| a == b);
    let words = runs.map(|run| format!("{}x {:?}", run.len(), run.first()));
    words.collect::<Vec<_>>().join(", ")
}
