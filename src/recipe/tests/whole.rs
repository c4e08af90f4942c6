//! Whole runs of the real engine over a living fake site: do list, engine and steps agree with each other?

use super::super::fakes::*;
use super::super::{Plan, build};
use crate::engine::drive::{Cancel, Engine, Pass};
use crate::engine::journal::{EntryState, Journal, Phase};
use crate::engine::ports::{Acquired, Clock, Fence, JournalStore, Locks, StoreError, Wishes};
use crate::engine::rules::{Rule, break_rule};
use crate::engine::step::LockKind;
use crate::recipe::LogKind;
use crate::recipe::records::READY_PATH;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Mutex;
use std::time::Duration;

/// Store, locks, clock and fence of one leader whom nothing disturbs.
struct Calm<'w> {
    journal: Mutex<Journal>,
    now: Mutex<DateTime<Utc>>,
    /// The Leases cannot be pinned.
    no_pins: bool,
    /// Another run has production.
    source_is_busy: bool,
    /// Locks given back, with the step the run was at.
    released: Mutex<Vec<(LockKind, String)>>,
    /// What a person asks of the run, told from the journal at every turn.
    wish: &'w (dyn Fn(&Journal) -> Wishes + Send + Sync),
}

#[async_trait]
impl JournalStore for Calm<'_> {
    async fn load(&self) -> Result<Journal, StoreError> {
        Ok(self.journal.lock().expect("held shortly").clone())
    }
    async fn replace(&self, _previous: &Journal, next: &Journal) -> Result<(), StoreError> {
        *self.journal.lock().expect("held shortly") = next.clone();
        Ok(())
    }
    fn wishes(&self) -> Wishes {
        let journal = self.journal.lock().expect("held shortly").clone();
        (self.wish)(&journal)
    }
}

#[async_trait]
impl Locks for Calm<'_> {
    async fn acquire(&self, _kinds: &[LockKind]) -> Result<Acquired, StoreError> {
        Ok(Acquired::All)
    }
    async fn holds(&self, _kind: LockKind) -> Result<bool, StoreError> {
        Ok(true)
    }
    async fn lost(&self, _kind: LockKind) -> Result<bool, StoreError> {
        Ok(false)
    }
    async fn borrow(&self, _kind: LockKind) -> Result<bool, StoreError> {
        Ok(!self.source_is_busy)
    }
    async fn release(&self, kind: LockKind) -> Result<(), StoreError> {
        let journal = self.load().await?;
        let at = journal.current().and_then(|at| journal.steps.get(at));
        let at = at.map_or_else(|| "end".to_owned(), |e| e.name.clone());
        self.released.lock().expect("held shortly").push((kind, at));
        Ok(())
    }
    async fn own_image(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
    async fn close_image(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn disown_image(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn pin_image(&self) -> Result<(), StoreError> {
        match self.no_pins {
            true => Err(StoreError::Lost("no API server".into())),
            false => Ok(()),
        }
    }
    async fn unpin_image(&self) -> Result<(), StoreError> {
        Ok(())
    }
    async fn own_partition(&self, _: &Journal) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Clock for Calm<'_> {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().expect("held shortly")
    }
    fn boot(&self) -> Duration {
        (self.now() - start()).to_std().unwrap_or_default()
    }
    async fn sleep(&self, duration: Duration) {
        let step = TimeDelta::from_std(duration).expect("a short wait");
        *self.now.lock().expect("held shortly") += step;
    }
}

impl Fence for Calm<'_> {
    fn valid_until(&self) -> Option<Duration> {
        Some(self.boot() + Duration::from_secs(60))
    }
}

/// Runs the recipe to its end; the clone's ready record appears while it is waited for.
pub(super) async fn run(world: &World, plan: &Plan) -> Journal {
    run_watching_locks(world, plan).await.0
}

/// As [`run`], with the locks that were given back and where.
pub(super) async fn run_watching_locks(
    world: &World,
    plan: &Plan,
) -> (Journal, Vec<(LockKind, String)>) {
    run_wishing(world, plan, |_| Cancel::No).await
}

/// As [`run_watching_locks`], with a person's wish, told from the journal.
pub(super) async fn run_wishing(
    world: &World,
    plan: &Plan,
    wish: impl Fn(&Journal) -> Cancel + Send + Sync,
) -> (Journal, Vec<(LockKind, String)>) {
    let wish = |journal: &Journal| Wishes {
        cancel: wish(journal),
        ..Wishes::default()
    };
    match watched(world, plan, false, wish).await {
        (Pass::Final(journal), released) => (*journal, released),
        (other, _) => panic!("{other:?}"),
    }
}

/// As [`run`], with a person who releases production's BRMS.
pub(super) async fn run_releasing(
    world: &World,
    plan: &Plan,
    releases: impl Fn(&Journal) -> bool + Send + Sync,
) -> Journal {
    let wish = |journal: &Journal| Wishes {
        release_backups: releases(journal),
        ..Wishes::default()
    };
    match watched(world, plan, false, wish).await {
        (Pass::Final(journal), _) => *journal,
        (other, _) => panic!("{other:?}"),
    }
}

/// As [`run`], to the first pass that cannot go on.
pub(super) async fn run_until(world: &World, plan: &Plan, no_pins: bool) -> Pass {
    watched(world, plan, no_pins, |_| Wishes::default()).await.0
}

async fn watched(
    world: &World,
    plan: &Plan,
    no_pins: bool,
    wish: impl Fn(&Journal) -> Wishes + Send + Sync,
) -> (Pass, Vec<(LockKind, String)>) {
    let recipe = build(plan, world.sink());
    let names: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
    let calm = Calm {
        journal: Mutex::new(Journal::open(&recipe.name, TOKEN, &names)),
        now: Mutex::new(start()),
        no_pins,
        source_is_busy: world.set().source_is_busy,
        released: Mutex::default(),
        wish: &wish,
    };
    let site = world.site();
    let engine = Engine {
        recipe: &recipe,
        site: &site,
        store: &calm,
        locks: &calm,
        clock: &calm,
        fence: &calm,
        writer: "test",
    };
    for _ in 0..5000 {
        match engine.pass(Cancel::No).await {
            Pass::Again(wait, journal) => {
                if journal
                    .entry("await-clone")
                    .is_some_and(|e| e.state == EntryState::Intended)
                {
                    become_ready(world);
                }
                calm.sleep(wait).await;
            }
            ended => {
                let released = calm.released.lock().expect("held shortly").clone();
                return (ended, released);
            }
        }
    }
    panic!("no end: {:#?}", calm.load().await);
}

fn become_ready(world: &World) {
    let ready = record(&[
        ("kind", "ready"),
        ("runToken", TOKEN),
        ("stage", "2"),
        ("scpf", "1261123050000"),
        ("serialNumber", "78ABCD0"),
        ("partitionId", "7"),
        ("jobsScheduled", "0"),
        ("js1", "Held"),
    ]);
    world.system("clone", |s| {
        s.files.insert(READY_PATH.into(), ready);
    });
}

/// Effects without the reading CHECK of the kit.
pub(super) fn effects(world: &World) -> Vec<String> {
    let sent = world.sent();
    sent.into_iter().filter(|s| !s.contains("CHECK")).collect()
}

const COPY: [&str; 14] = [
    "source: umask 077; cat > /ibmiclone/operator.lock.new",
    "source: ln /ibmiclone/operator.lock.new /ibmiclone/operator.lock; rm -f /ibmiclone/operator.lock.new; cat /ibmiclone/operator.lock",
    "source: put /ibmiclone/run.parm",
    "power off",
    "unmap 2",
    "end copy",
    "source: CHGASPACT ASPDEV(IASP1) OPTION(*FRCWRT)",
    "source: CHGASPACT ASPDEV(*SYSBAS) OPTION(*FRCWRT)",
    "prepare",
    "suspend IASP1",
    "suspend *SYSBAS",
    "start copy",
    "resume *SYSBAS",
    "resume IASP1",
];

#[tokio::test]
async fn a_hold_run_sends_each_effect_once_and_in_order() {
    let world = world();
    world.set().alive = true;
    let journal = run(&world, &plan("HOLD")).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let mut expected = COPY.to_vec();
    expected.extend(["source: remove /ibmiclone/run.parm", "key Manual"]);
    assert_eq!(effects(&world), expected);
    assert_eq!(journal.output("settle", "diskUsedPercent"), Some("17"));
    assert_eq!(journal.open_obligations().count(), 0);
    assert!(
        journal.steps.iter().all(|e| e.attempts <= 1),
        "{:#?}",
        journal.steps
    );
}

#[tokio::test]
async fn a_user_run_sends_each_effect_once_and_in_order() {
    let world = world();
    world.set().alive = true;
    let journal = run(&world, &plan("USER")).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let mut expected = COPY.to_vec();
    expected.extend([
        "source: remove /ibmiclone/run.parm",
        "map C1_V00 C1_V01",
        r#"activate Some("CLONE_PRF") b Normal"#,
        "clone: submit C1_16 QSYS/QSYSNOMAX CALL PGM(CLNLIB/MYSAVE) PARM('it''s' 'B')",
    ]);
    assert_eq!(effects(&world), expected);
    assert_eq!(journal.output("collect-logs", "messages"), Some("0"));
    assert_eq!(
        journal.output("run-function", "saveMilliseconds"),
        Some("1000")
    );
    assert!(
        journal.steps.iter().all(|e| e.attempts <= 1),
        "{:#?}",
        journal.steps
    );
}

/// The second run on the same devices finds a running clone, a copy and maps of the first, and gets through.
#[tokio::test]
async fn a_run_after_a_run_gets_through() {
    let world = world();
    world.set().alive = true;
    run(&world, &plan("USER")).await;
    world.system("clone", |s| {
        s.job = None;
        s.files.clear();
    });
    let (spec, mut facts) = sample("USER");
    facts.run_number = 43;
    let second = Plan::new(&spec, facts).expect("a plan");
    let journal = run(&world, &second).await;
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    let sent = effects(&world);
    for twice in ["power off", "unmap 2", "end copy", "start copy"] {
        assert_eq!(sent.iter().filter(|s| *s == twice).count(), 2, "{twice}");
    }
}

/// An image of a run that could not read its own copy is no success: without a new start time the cap ends the window.
#[tokio::test]
async fn a_copy_that_shows_no_new_start_time_is_no_success_and_production_runs() {
    let world = world();
    world.set().alive = true;
    world.set().copy_start = "";
    let journal = run(&world, &plan("HOLD")).await;
    assert_eq!(journal.phase, Phase::Failed, "{:#?}", journal.verdict);
    assert_eq!(journal.open_obligations().count(), 0);
    assert!(effects(&world).contains(&"resume *SYSBAS".to_owned()));
}

/// Rule 4: done means "differs from the baseline". The group shows a whole copy, but it is the one from before the window.
#[tokio::test]
async fn an_earlier_copy_is_never_taken_for_the_one_whose_start_was_lost() {
    let outcome = || async {
        let world = world();
        world.set().alive = true;
        world.set().start_lost = true;
        let journal = run(&world, &plan("HOLD")).await;
        let resumed = effects(&world).contains(&"resume *SYSBAS".to_owned());
        assert!(resumed && journal.open_obligations().next().is_none());
        (journal.phase, journal.image_clean())
    };
    assert_eq!(outcome().await, (Phase::Failed, false));
    break_rule(Some(Rule::DoneDiffersFromBaseline));
    let broken = outcome().await;
    break_rule(None);
    assert_eq!(
        broken,
        (Phase::Succeeded, true),
        "the broken rule must be visible to this test"
    );
}

#[tokio::test]
async fn a_failed_function_fails_the_run_after_its_logs_are_kept() {
    let world = world();
    world.set().alive = true;
    world.set().function_ends_well = false;
    let journal = run(&world, &plan("USER")).await;
    let verdict = journal.verdict.expect("a verdict");
    assert_eq!(
        (verdict.phase, verdict.reason.as_str()),
        (Phase::Failed, "FunctionFailed")
    );
    assert!(world.set().logs.contains_key(&LogKind::JobLog));
}

#[tokio::test]
async fn a_function_that_overruns_fails_the_run_after_its_logs_are_kept_and_the_clone_stays_on() {
    let world = world();
    world.set().alive = true;
    world.set().function_hangs = true;
    let mut plan = plan("USER");
    plan.function_seconds = 300;
    let journal = run(&world, &plan).await;
    let verdict = journal.verdict.expect("a verdict");
    assert_eq!(
        (verdict.phase, verdict.reason.as_str()),
        (Phase::Failed, "FunctionOverrun")
    );
    let logs: Vec<LogKind> = world.set().logs.keys().copied().collect();
    assert_eq!(logs, [LogKind::Steps, LogKind::JobLog, LogKind::History]);
    let offs = effects(&world).iter().filter(|s| *s == "power off").count();
    assert_eq!(offs, 1, "only the one before the copy");
}

#[tokio::test]
async fn errors_in_the_functions_job_log_make_the_run_a_warning() {
    let world = world();
    world.set().alive = true;
    world.system("clone", |s| {
        s.job_log = Ok(vec![message(
            "CPF9801",
            40,
            "2026-11-23-06.00.01.000000",
            "1/A/B",
            "gone",
        )]);
    });
    let journal = run(&world, &plan("USER")).await;
    assert_eq!(journal.phase, Phase::Warning, "{:#?}", journal.verdict);
    assert_eq!(journal.output("collect-logs", "errors"), Some("1"));
}
