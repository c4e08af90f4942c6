//! One combination: a recipe, a proof, faults at numbered points. Runs to the end and checks what must hold.

use super::controls::{Controls, Injected, Point};
use super::faulty::{faulty, host_mappings};
use super::memory::{MatrixClock, MemoryLocks, MemoryStore};
use super::stage::{Stage, plan};
use crate::drivers::npiv::NpivVirtualIo;
use crate::engine::clock::SingleReplica;
use crate::engine::drive::{Cancel, Engine, Pass};
use crate::engine::journal::{Journal, Phase};
use crate::engine::ports::{Clock, JournalStore, Locks, Recipe, StoreError};
use crate::recipe::{Gathered, LogKind, LogLine, LogSink, LogSummary, LogWriter, Plan};
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::hmc::{ControlRole, ViewRole, start_by_hand};
use crate::simulators::ibmi::file::ProgramResult;
use crate::simulators::ibmi::role as ibmi_role;
use crate::simulators::storage::spectrum_virtualize::ArrayRole;
use crate::simulators::vios::VirtualIoRole;
use crate::site::{CloneSystem, Identity, Site, SourceSystem, VirtualIo};
use async_trait::async_trait;
use futures::FutureExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) const SOURCE: &str = "10.0.8.20";
const CLONE: &str = "10.0.8.21";
const USER: (&str, &str) = ("CLONEOP", "cloneop-secret");

/// Which recipe and which proof. `USER+hooks`: two programs and a hook at every point; `USER+end`: clone and image are
/// ended, after a failure too; `USER+asks`: the program waits for an answer, which a person gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub function: &'static str,
    pub canary: bool,
    /// The clone's volumes reach it by host mappings that the run swaps.
    pub npiv: bool,
    /// The network swallows everything when the operator dies: no end of file reaches the helper.
    pub silent: bool,
}

impl Setting {
    /// The function, and what surrounds it.
    pub(super) fn parts(&self) -> (&'static str, &'static str) {
        self.function.split_once('+').unwrap_or((self.function, ""))
    }
}

/// Logs in memory.
#[derive(Default)]
struct MemoryLogs(Mutex<Vec<(LogKind, LogSummary)>>);

#[async_trait]
impl LogSink for MemoryLogs {
    fn begin(&self, kind: LogKind) -> Box<dyn LogWriter + '_> {
        Box::new(Gathered::new(move |lines: Vec<LogLine>| {
            let summary = LogSummary {
                lines: i64::try_from(lines.len()).unwrap(),
                ..LogSummary::default()
            };
            let mut logs = self.0.lock().unwrap();
            logs.retain(|(k, _)| *k != kind);
            logs.push((kind, summary.clone()));
            summary
        }))
    }
    async fn has(&self, kind: LogKind) -> Result<Option<LogSummary>, StoreError> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .iter()
            .find(|(k, _)| *k == kind)
            .map(|(_, s)| s.clone()))
    }
}

/// One run with its leaders.
pub struct RunUnderTest {
    pub shared: Shared,
    pub controls: Controls,
    pub store: MemoryStore,
    pub(super) locks: MemoryLocks,
    logs: Arc<MemoryLogs>,
    pub(super) plan: Plan,
    clock: MatrixClock,
    pub(super) setting: Setting,
    pub(super) images_before: usize,
}

impl RunUnderTest {
    pub fn new(stage: &Stage, setting: Setting, number: i64, faults: &[(usize, Injected)]) -> Self {
        Self::of(stage, setting, plan(setting, number), faults)
    }

    /// A run by a plan of its own.
    pub fn of(stage: &Stage, setting: Setting, plan: Plan, faults: &[(usize, Injected)]) -> Self {
        let clock = SimulatedClock::manual(stage.at);
        let mut world = stage.world.clone();
        world.ledger = Default::default();
        if setting.silent {
            world.faults.add(Fault {
                device: Device::IbmI,
                name: String::new(),
                operation: "EOF".into(),
                kind: FaultKind::Special("silent-loss".into()),
                times: 1_000_000,
            });
        }
        let asks = setting.parts().1 == "asks";
        if asks {
            let disks = world.images.values_mut().map(|i| &mut i.disk);
            for program in disks.filter_map(|d| d.programs.get_mut("CLNLIB/MYSAVE")) {
                program.result = ProgramResult::Msgw;
            }
        }
        let images_before = world.images.len();
        let shared = Shared::new(world, clock.clone());
        let controls = Controls::planned(faults);
        let logs = Arc::new(MemoryLogs::default());
        let recipe = crate::recipe::build(&plan, logs.clone());
        let names: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
        let journal = Journal::open(&recipe.name, &plan.run_token, &names);
        let mut store = MemoryStore::new(journal, controls.clone());
        store.answers = asks.then(Arc::default);
        store.world = Some(shared.clone());
        Self {
            store,
            clock: MatrixClock {
                clock,
                start: stage.at,
                controls: controls.clone(),
            },
            locks: MemoryLocks::default(),
            shared,
            controls,
            logs,
            plan,
            setting,
            images_before,
        }
    }

    fn recipe(&self) -> Recipe {
        crate::recipe::build(&self.plan, self.logs.clone())
    }

    pub(super) fn site(&self) -> Site {
        let shared = || self.shared.clone();
        let sources = vec![Identity::new("78ABCD0", 3)];
        let virtual_io: Arc<dyn VirtualIo> = if self.setting.npiv {
            Arc::new(NpivVirtualIo::new(
                Arc::new(ViewRole::new(shared(), "CLONE1")),
                Arc::new(ViewRole::new(shared(), "PROD")),
                host_mappings(Arc::new(ArrayRole::new(shared(), "CLONE1")), &self.controls),
                true,
            ))
        } else {
            Arc::new(VirtualIoRole::new(
                shared(),
                &[("VIOS1", "vhost3"), ("VIOS2", "vhost3")],
            ))
        };
        Site {
            clone_partition: Arc::new(ControlRole::new(shared(), "CLONE1")),
            source_partition: Arc::new(ViewRole::new(shared(), "PROD")),
            virtual_io,
            copy: Arc::new(ArrayRole::new(shared(), "CLONE1")),
            source: SourceSystem(ibmi_role::ibmi(&self.shared, SOURCE, USER.0, USER.1)),
            clone: CloneSystem(ibmi_role::ibmi(&self.shared, CLONE, USER.0, USER.1)),
            freeze: Arc::new(ibmi_role::freeze(&self.shared, SOURCE, USER, sources)),
            transcript: Default::default(),
        }
    }

    /// Sets what happens at the points that need a hand from outside.
    pub fn arm(&self) {
        let shared = self.shared.clone();
        self.controls.on_self_resume(Box::new(move || {
            shared.now().knobs.self_resume_milliseconds = 1;
            shared.clock().advance(Duration::from_millis(5));
            drop(shared.now());
            shared.now().knobs.self_resume_milliseconds = 0;
        }));
        let shared = self.shared.clone();
        self.controls
            .on_clone_started(Box::new(move || start_by_hand(&mut shared.now(), "CLONE1")));
        let other = self.other_leader();
        self.controls.on_stall(Box::new(move || {
            other.to_end();
        }));
    }

    /// Another process on the same world and journal, undisturbed.
    fn other_leader(&self) -> RunUnderTest {
        let controls = Controls::default();
        RunUnderTest {
            shared: self.shared.clone(),
            store: MemoryStore {
                journal: self.store.journal.clone(),
                controls: controls.clone(),
                wishes: self.store.wishes.clone(),
                answers: self.store.answers.clone(),
                world: self.store.world.clone(),
                untrue: self.store.untrue.clone(),
            },
            clock: MatrixClock {
                controls: controls.clone(),
                ..self.clock.clone()
            },
            controls,
            locks: self.locks.clone(),
            logs: self.logs.clone(),
            plan: self.plan.clone(),
            setting: self.setting,
            images_before: self.images_before,
        }
    }

    /// Passes until the phase is final. A crashed process is replaced by one with another name.
    pub fn to_end(&self) -> Journal {
        let recipe = self.recipe();
        let mut site = faulty(&self.site(), &self.controls);
        let mut process = 0;
        // A clone in error on the console is looked at every two seconds until the limit of the whole run.
        for _ in 0..40_000 {
            let writer = format!("process-{process}-{:p}", self);
            let engine = Engine {
                recipe: &recipe,
                site: &site,
                store: &self.store as &dyn JournalStore,
                locks: &self.locks as &dyn Locks,
                clock: &self.clock as &dyn Clock,
                fence: &SingleReplica,
                writer: &writer,
            };
            let pass = engine.pass(Cancel::No).now_or_never();
            self.controls.pass_ended();
            self.controls.set_frozen(false);
            match pass {
                Some(Pass::Final(journal)) => {
                    site.source.0.disconnect().now_or_never();
                    site.clone.0.disconnect().now_or_never();
                    return *journal;
                }
                Some(Pass::Again(wait, _)) => {
                    self.clock.clock.advance(wait.max(Duration::from_millis(1)))
                }
                Some(Pass::Stale | Pass::Lost(_) | Pass::Forbidden(_)) => {
                    self.clock.clock.advance(Duration::from_secs(1))
                }
                None => {
                    assert!(
                        self.controls.crashed(),
                        "a pass hangs without a crash: {:#?}",
                        self.store.get()
                    );
                    self.controls.restart();
                    process += 1;
                    site = faulty(&self.site(), &self.controls);
                    self.clock.clock.advance(Duration::from_secs(5));
                }
            }
        }
        panic!("the run does not end: {:#?}", self.store.get());
    }

    /// Passes until the process dies at a planned point.
    pub fn until_crash(&self) {
        for _ in 0..1000 {
            match self.one_pass() {
                Some(Pass::Again(wait, _)) => {
                    self.clock.clock.advance(wait.max(Duration::from_millis(1)))
                }
                Some(Pass::Stale | Pass::Lost(_) | Pass::Forbidden(_)) => {
                    self.clock.clock.advance(Duration::from_secs(1))
                }
                Some(Pass::Final(journal)) => {
                    panic!("the run ended before the planned crash: {journal:#?}")
                }
                None => {
                    self.controls.restart();
                    return;
                }
            }
        }
        panic!("no crash");
    }

    /// One pass of a fresh process; `None` = it died.
    pub fn one_pass(&self) -> Option<Pass> {
        let recipe = self.recipe();
        let site = faulty(&self.site(), &self.controls);
        let engine = Engine {
            recipe: &recipe,
            site: &site,
            store: &self.store as &dyn JournalStore,
            locks: &self.locks as &dyn Locks,
            clock: &self.clock as &dyn Clock,
            fence: &SingleReplica,
            writer: "one",
        };
        engine.pass(Cancel::No).now_or_never()
    }

    /// Whether the target set's lock names this run as the image's owner.
    pub fn owns_image(&self) -> bool {
        *self.locks.owned.lock().unwrap()
    }

    /// Whether production is suspended now.
    pub fn source_is_suspended(&self) -> bool {
        self.shared
            .now()
            .systems
            .get("PROD")
            .is_some_and(|s| !s.suspended().is_empty())
    }

    /// Ends what the operator holds open, so that the world's own end check counts only what was really left.
    pub fn leave_off(&self) {
        // A silently lost helper is found dead by the system in the end (`TCP keep-alive`); its watchdog is proved ended.
        self.clock.clock.advance(Duration::from_secs(1));
        drop(self.shared.now());
    }
}

/// Points of an undisturbed run.
pub fn points(stage: &Stage, setting: Setting) -> Vec<(Point, String)> {
    let run = RunUnderTest::new(stage, setting, 2, &[]);
    let journal = run.to_end();
    assert_eq!(journal.phase, Phase::Succeeded, "{:#?}", journal.verdict);
    assert_eq!(run.broken(&journal), Vec::<String>::new());
    run.controls.points()
}
