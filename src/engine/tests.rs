//! Rules of a pass on toy steps: what the crash matrix cannot say as plainly.

use super::drive::{Cancel, Engine, Pass};
use super::journal::{EntryState, Facts, Journal, ObligationKind, Phase, Question};
use super::ports::{Clock, Fence, JournalStore, Locks, Met, Recipe, Settle, every_lock};
use super::rules::{Rule, break_rule};
use super::step::{LockKind, Observation, Step, StepContext};
use crate::matrix::controls::{Controls, Injected};
use crate::matrix::memory::{MatrixClock, MemoryLocks, MemoryStore};
use crate::recipe::fakes;
use crate::simulators::clock::SimulatedClock;
use crate::site::DeviceError;
use async_trait::async_trait;
use futures::FutureExt;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

mod cancel;
mod replies;

const AGAIN: Duration = Duration::from_secs(2);

/// What an effect answers.
type Effect = Result<Option<String>, DeviceError>;

/// A step that sees what the test says and counts its effects.
#[derive(Clone)]
struct Toy {
    id: &'static str,
    seen: Arc<Mutex<VecDeque<Observation>>>,
    effects: Arc<Mutex<Vec<Effect>>>,
    sent: Arc<Mutex<u32>>,
    owes: &'static [ObligationKind],
}

impl Toy {
    fn new(id: &'static str, seen: &[Observation]) -> Self {
        Self {
            id,
            seen: Arc::new(Mutex::new(seen.iter().cloned().collect())),
            effects: Arc::default(),
            sent: Arc::default(),
            owes: &[],
        }
    }
    fn sent(&self) -> u32 {
        *self.sent.lock().unwrap()
    }
}

#[async_trait]
impl Step for Toy {
    fn id(&self) -> &'static str {
        self.id
    }
    fn limit(&self) -> Duration {
        Duration::from_secs(60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
    }
    fn incurs(&self) -> &'static [ObligationKind] {
        self.owes
    }
    async fn observe(&self, _: &StepContext<'_>) -> Observation {
        let mut seen = self.seen.lock().unwrap();
        if seen.len() > 1 {
            seen.pop_front().unwrap()
        } else {
            seen.front().cloned().unwrap()
        }
    }
    async fn act(&self, _: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        *self.sent.lock().unwrap() += 1;
        self.effects.lock().unwrap().pop().unwrap_or(Ok(None))
    }
}

/// What becomes of what is owed, and the replies that were sent.
struct Owed(
    Mutex<VecDeque<Result<Met, DeviceError>>>,
    Arc<Mutex<Vec<String>>>,
);

#[async_trait]
impl Settle for Owed {
    async fn meet(&self, _: ObligationKind, _: &StepContext<'_>) -> Result<Met, DeviceError> {
        self.0
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Ok(Met::Yes("met".into())))
    }
    async fn reply(
        &self,
        _: &StepContext<'_>,
        question: &Question,
        text: &str,
    ) -> Result<(), DeviceError> {
        let sent = format!("{text} to {}", question.key);
        self.1.lock().unwrap().push(sent);
        Ok(())
    }
}

struct Always(Option<Duration>);
impl Fence for Always {
    fn valid_until(&self) -> Option<Duration> {
        self.0
    }
}

struct Bench {
    recipe: Recipe,
    store: MemoryStore,
    locks: MemoryLocks,
    clock: MatrixClock,
    fence: Always,
    /// Replies that were sent.
    answered: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    fn new(steps: &[Toy]) -> Self {
        Self::with(steps, &[], Vec::new())
    }
    fn with(
        steps: &[Toy],
        faults: &[(usize, Injected)],
        owed: Vec<Result<Met, DeviceError>>,
    ) -> Self {
        let controls = Controls::planned(faults);
        let names: Vec<&str> = steps.iter().map(|s| s.id).collect();
        let start = fakes::start();
        let answered: Arc<Mutex<Vec<String>>> = Arc::default();
        Self {
            recipe: Recipe {
                name: "toy-v1".into(),
                steps: steps
                    .iter()
                    .map(|s| Box::new(s.clone()) as Box<dyn Step>)
                    .collect(),
                window: None,
                settle: Arc::new(Owed(Mutex::new(owed.into()), answered.clone())),
                run_limit: Duration::from_secs(3600),
                locks_from: 0,
                lock_set: every_lock,
                refused_means: Phase::Failed,
                faster: 1.0,
            },
            store: MemoryStore::new(Journal::open("toy-v1", "T", &names), controls.clone()),
            locks: MemoryLocks::default(),
            clock: MatrixClock {
                clock: SimulatedClock::manual(start),
                start,
                controls,
            },
            fence: Always(Some(Duration::MAX)),
            answered,
        }
    }
    fn pass(&self, cancel: Cancel) -> Option<Pass> {
        let world = fakes::world();
        let site = world.site();
        let engine = Engine {
            recipe: &self.recipe,
            site: &site,
            store: &self.store as &dyn JournalStore,
            locks: &self.locks as &dyn Locks,
            clock: &self.clock as &dyn Clock,
            fence: &self.fence,
            writer: "A",
        };
        engine.pass(cancel).now_or_never()
    }
    fn to_end(&self) -> Journal {
        for _ in 0..100 {
            match self.pass(Cancel::No) {
                Some(Pass::Final(journal)) => return *journal,
                Some(Pass::Again(wait, _)) => self.clock.clock.advance(wait),
                Some(Pass::Stale | Pass::Lost(_) | Pass::Forbidden(_)) | None => {
                    self.clock.controls.restart()
                }
            }
        }
        panic!("the run does not end: {:?}", self.store.get());
    }
}

fn done() -> Observation {
    Observation::done()
}

#[test]
fn a_run_of_done_steps_succeeds_without_sending_anything() {
    let toy = Toy::new("one", &[done()]);
    let bench = Bench::new(std::slice::from_ref(&toy));
    assert_eq!(bench.to_end().phase, Phase::Succeeded);
    assert_eq!(toy.sent(), 0);
}

#[test]
fn the_intent_is_written_before_the_effect_and_before_each_retry() {
    let toy = Toy::new("one", &[Observation::Absent, Observation::Absent, done()]);
    // Points: 0 start of run, 1 first intent, 2 second intent. A lost second write must keep the second effect back.
    let bench = Bench::with(
        std::slice::from_ref(&toy),
        &[(2, Injected::NotSent)],
        Vec::new(),
    );
    assert!(matches!(bench.pass(Cancel::No), Some(Pass::Lost(_))));
    assert_eq!(
        toy.sent(),
        1,
        "the retry was sent although its write failed"
    );
    break_rule(Some(Rule::WriteBeforeEffect));
    let toy = Toy::new("one", &[Observation::Absent, Observation::Absent, done()]);
    let bench = Bench::with(
        std::slice::from_ref(&toy),
        &[(2, Injected::NotSent)],
        Vec::new(),
    );
    let _ = bench.pass(Cancel::No);
    break_rule(None);
    assert_eq!(
        toy.sent(),
        2,
        "the broken rule must be visible to this test"
    );
}

#[test]
fn unknown_fails_the_run_and_is_never_retried() {
    let look = || {
        Observation::Unknown(super::step::Failure::new(
            "OutcomeUnknown",
            "cannot be told",
        ))
    };
    let toy = Toy::new("one", &[look()]);
    let journal = Bench::new(std::slice::from_ref(&toy)).to_end();
    assert_eq!((journal.phase, toy.sent()), (Phase::Failed, 0));
    assert_eq!(journal.verdict.unwrap().reason, "OutcomeUnknown");
    break_rule(Some(Rule::AbsentIsProved));
    let toy = Toy::new("one", &[look(), done()]);
    Bench::new(std::slice::from_ref(&toy)).to_end();
    break_rule(None);
    assert_eq!(
        toy.sent(),
        1,
        "the broken rule must be visible to this test"
    );
}

#[test]
fn no_effect_is_sent_without_the_lock() {
    let run = || {
        let toy = Toy::new("one", &[Observation::Absent, done()]);
        let bench = Bench::new(std::slice::from_ref(&toy));
        // The lock is lost after it was taken: the journal is past its first intent, nothing takes it again.
        let mut journal = bench.store.get();
        journal.started_at = Some(super::time::Timestamp::new(fakes::start()));
        journal.steps[0].state = EntryState::Intended;
        *bench.store.journal.lock().unwrap() = journal;
        let _ = bench.pass(Cancel::No);
        toy.sent()
    };
    assert_eq!(run(), 0);
    break_rule(Some(Rule::LockBeforeEffect));
    let sent = run();
    break_rule(None);
    assert_eq!(sent, 1, "the broken rule must be visible to this test");
}

#[test]
fn no_effect_is_sent_by_a_process_whose_fence_has_passed() {
    let toy = Toy::new("one", &[Observation::Absent, done()]);
    let mut bench = Bench::new(std::slice::from_ref(&toy));
    bench.fence = Always(None);
    let _ = bench.pass(Cancel::No);
    assert_eq!(toy.sent(), 0);
}

#[test]
fn a_run_is_only_moved_along_its_own_frozen_list() {
    let run = || {
        let toy = Toy::new("one", &[Observation::Absent, done()]);
        let bench = Bench::new(std::slice::from_ref(&toy));
        *bench.store.journal.lock().unwrap() = Journal::open("toy-v0", "T", &["other"]);
        let _ = bench.pass(Cancel::No);
        toy.sent()
    };
    assert_eq!(run(), 0);
    break_rule(Some(Rule::RecipeFrozen));
    let sent = run();
    break_rule(None);
    assert_eq!(sent, 1, "the broken rule must be visible to this test");
}

#[test]
fn obligations_are_met_before_the_phase_is_final_and_are_retried_for_ever() {
    let mut toy = Toy::new(
        "one",
        &[Observation::Absent, Observation::broken("Odd", "odd")],
    );
    toy.owes = &[ObligationKind::LeavePrepared];
    let refusals: Vec<_> = (0..20)
        .map(|_| Err(DeviceError::refused("svc", "CMMVC0000E", "no")))
        .collect();
    let bench = Bench::with(std::slice::from_ref(&toy), &[], refusals);
    let journal = bench.to_end();
    assert_eq!(journal.phase, Phase::Failed);
    assert_eq!(journal.open_obligations().count(), 0);
    assert_eq!(journal.obligations[0].attempts, 20);
}

#[test]
fn an_obligation_is_in_the_same_write_as_its_intent() {
    let owed = || {
        let mut toy = Toy::new(
            "one",
            &[Observation::Absent, Observation::broken("Odd", "odd")],
        );
        toy.owes = &[ObligationKind::LeavePrepared];
        Bench::new(std::slice::from_ref(&toy))
            .to_end()
            .obligations
            .len()
    };
    assert_eq!(owed(), 1);
    break_rule(Some(Rule::ObligationWithIntent));
    let forgotten = owed();
    break_rule(None);
    assert_eq!(forgotten, 0, "the broken rule must be visible to this test");
}

#[test]
fn a_refused_effect_fails_the_step_and_an_unknown_one_is_observed() {
    let toy = Toy::new("one", &[Observation::Absent]);
    toy.effects.lock().unwrap().push(Err(DeviceError::refused(
        "hmc",
        "HSCL3680",
        "needs a profile",
    )));
    let journal = Bench::new(std::slice::from_ref(&toy)).to_end();
    assert_eq!(journal.phase, Phase::Failed);
    assert!(journal.verdict.unwrap().message.contains("HSCL3680"));

    let toy = Toy::new("one", &[Observation::Absent, done()]);
    toy.effects
        .lock()
        .unwrap()
        .push(Err(DeviceError::indeterminate("hmc", "reset")));
    assert_eq!(
        Bench::new(std::slice::from_ref(&toy)).to_end().phase,
        Phase::Succeeded
    );
    assert_eq!(toy.sent(), 1);
}

#[test]
fn a_queued_run_verifies_again_and_counts_its_time_from_the_end_of_the_queue() {
    let check = Toy::new("check", &[done()]);
    let toy = Toy::new("one", &[Observation::Absent, done()]);
    let mut bench = Bench::new(&[check.clone(), toy.clone()]);
    bench.recipe.locks_from = 1;
    *bench.locks.denied.lock().unwrap() = true;
    let Some(Pass::Again(wait, journal)) = bench.pass(Cancel::No) else {
        panic!("must wait")
    };
    assert_eq!((journal.phase, toy.sent()), (Phase::Queued, 0));
    assert_eq!(
        journal.steps[1].message.as_deref(),
        Some("1|other/run (target set)")
    );
    bench.clock.clock.advance(wait);
    *bench.locks.denied.lock().unwrap() = false;
    let journal = bench.to_end();
    assert_eq!(journal.phase, Phase::Succeeded);
    assert!(journal.started_at.unwrap().utc() > fakes::start());
    assert_eq!(toy.sent(), 1);
}

#[test]
fn abort_ends_a_wait_and_nothing_more_is_sent() {
    let toy = Toy::new("one", &[Observation::underway(AGAIN, "waiting")]);
    let bench = Bench::new(std::slice::from_ref(&toy));
    assert!(matches!(bench.pass(Cancel::No), Some(Pass::Again(..))));
    let Some(Pass::Final(journal)) = bench.pass(Cancel::Abort) else {
        panic!("must end")
    };
    assert_eq!((journal.phase, toy.sent()), (Phase::Cancelled, 0));
}

#[test]
fn the_whole_run_has_a_limit_that_names_the_step() {
    let toy = Toy::new("one", &[Observation::underway(AGAIN, "waiting")]);
    let mut bench = Bench::new(std::slice::from_ref(&toy));
    bench.recipe.run_limit = Duration::from_secs(10);
    let journal = bench.to_end();
    let verdict = journal.verdict.unwrap();
    assert_eq!(verdict.reason, "RunTimedOut");
    assert!(verdict.message.contains("one"), "{}", verdict.message);
}

#[test]
fn a_warning_of_a_step_turns_success_into_warning() {
    let facts = Facts::from([
        ("warning.pool".into(), "pool P0 is 93 % full".into()),
        ("a".into(), "b".into()),
    ]);
    let journal = Bench::new(&[Toy::new("one", &[Observation::Done(facts)])]).to_end();
    assert_eq!(journal.phase, Phase::Warning);
    assert_eq!(journal.output("one", "a"), Some("b"));
    assert_eq!(journal.warnings, ["pool P0 is 93 % full"]);
}

#[test]
fn a_stale_writer_gets_a_conflict_and_sends_nothing() {
    let toy = Toy::new("one", &[Observation::Absent, done()]);
    let bench = Bench::with(
        std::slice::from_ref(&toy),
        &[(1, Injected::Stalled)],
        Vec::new(),
    );
    let store = bench.store.clone();
    bench.clock.controls.on_stall(Box::new(move || {
        let mut journal = store.get();
        journal.revision += 1;
        journal.writer = "B".into();
        *store.journal.lock().unwrap() = journal;
    }));
    assert_eq!(bench.pass(Cancel::No), Some(Pass::Stale));
    assert_eq!(toy.sent(), 0);
}
