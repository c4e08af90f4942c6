//! One combination: a recipe, a proof, faults at numbered points. Runs to the end and checks what must hold.

use super::controls::{Controls, Injected, Point};
use super::faulty::faulty;
use super::memory::{MatrixClock, MemoryLocks, MemoryStore};
use crate::engine::clock::SingleReplica;
use crate::engine::drive::{Cancel, Engine, Pass};
use crate::engine::journal::{Journal, Phase};
use crate::engine::ports::{Clock, JournalStore, Locks, Recipe, StoreError};
use crate::recipe::{LogKind, LogLine, LogSink, LogSummary, Plan, fakes};
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use crate::simulators::faults::{Device, Fault, FaultKind};
use crate::simulators::hmc::{ControlRole, ViewRole, start_by_hand};
use crate::simulators::ibmi::file::{ProgramFile, ProgramResult, SystemFile};
use crate::simulators::ibmi::role as ibmi_role;
use crate::simulators::ledger::ViolationKind;
use crate::simulators::storage::spectrum_virtualize::{self, ArrayRole};
use crate::simulators::vios::VirtualIoRole;
use crate::simulators::world::file::WorldFile;
use crate::simulators::world::{Content, Quality, World};
use crate::site::{CloneSystem, Identity, Site, SourceSystem};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOURCE: &str = "10.0.8.20";
const CLONE: &str = "10.0.8.21";
const USER: (&str, &str) = ("CLONEOP", "cloneop-secret");

/// Which recipe and which proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub function: &'static str,
    pub canary: bool,
    /// The network swallows everything when the operator dies: no end of file reaches the helper.
    pub silent: bool,
}

/// Logs in memory.
#[derive(Default)]
struct MemoryLogs(Mutex<Vec<(LogKind, LogSummary)>>);

#[async_trait]
impl LogSink for MemoryLogs {
    async fn put(&self, kind: LogKind, lines: Vec<LogLine>) -> Result<LogSummary, StoreError> {
        let summary = LogSummary {
            lines: i64::try_from(lines.len()).unwrap(),
            ..LogSummary::default()
        };
        let mut logs = self.0.lock().unwrap();
        logs.retain(|(k, _)| *k != kind);
        logs.push((kind, summary.clone()));
        Ok(summary)
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

/// A healthy small site: PROD with two volumes behind two VIOSes, its clone, one consistency group.
fn world() -> World {
    let yaml = r#"
start: 2026-11-23T00:00:00Z
sources: [PROD]
console:
  name: hmc1
  listen: ["127.0.0.1:0"]
  users: [{ name: cloneop, password: x }]
  systems: [{ name: P10-PARIS, typeModel: 9105-42A, serial: 78ABCD0 }]
  partitions:
    - { name: VIOS1, system: P10-PARIS, id: 1, kind: Virtual IO Server, running: true }
    - { name: VIOS2, system: P10-PARIS, id: 2, kind: Virtual IO Server, running: true }
    - name: PROD
      system: P10-PARIS
      id: 3
      kind: OS400
      running: true
      scsi: [{ slot: 4, vios: VIOS1, vhost: vhost0, serverSlot: 10 }, { slot: 5, vios: VIOS2, vhost: vhost0, serverSlot: 10 }]
    - name: CLONE1
      system: P10-PARIS
      id: 21
      kind: OS400
      profiles: [CLONE_PRF]
      scsi: [{ slot: 4, vios: VIOS1, vhost: vhost3, serverSlot: 13 }, { slot: 5, vios: VIOS2, vhost: vhost3, serverSlot: 13 }]
vioses:
  - { name: VIOS1, arrayHost: VIOS1, vtds: [{ vhost: vhost0, vtd: prod_0, volume: PROD_0 }, { vhost: vhost0, vtd: prod_1, volume: PROD_1 }] }
  - { name: VIOS2, arrayHost: VIOS2, vtds: [{ vhost: vhost0, vtd: prod_0, volume: PROD_0 }, { vhost: vhost0, vtd: prod_1, volume: PROD_1 }] }
array:
  name: svc
  users: [{ name: cloneop, password: x }]
  pools: [{ name: P0, gib: 2000 }]
  volumes:
    - { name: PROD_0, gib: 100, pool: P0 }
    - { name: PROD_1, gib: 100, pool: P0 }
    - { name: CLN_0, gib: 100, pool: P0, thin: true }
    - { name: CLN_1, gib: 100, pool: P0, thin: true }
  hosts:
    - { name: VIOS1, wwpns: [c050760000000001], volumes: [PROD_0, PROD_1, CLN_0, CLN_1] }
    - { name: VIOS2, wwpns: [c050760000000002], volumes: [PROD_0, PROD_1, CLN_0, CLN_1] }
  groups:
    - name: CLONE1
      maps: [{ name: m0, source: PROD_0, target: CLN_0 }, { name: m1, source: PROD_1, target: CLN_1 }]
systems: []
network: []
knobs:
  prepareMilliseconds: 3000
  powerOffMilliseconds: 3000
  activationMilliseconds: 2000
  iplMilliseconds: 15000
  personalityMilliseconds: 5000
  forceWriteMilliseconds: 500
  stoppingMilliseconds: 3000
"#;
    let mut file: WorldFile = serde_saphyr::from_str(yaml).unwrap();
    let mut prod = SystemFile::simple("PROD", &["PROD_0", "PROD_1"], SOURCE);
    prod.programs = vec![ProgramFile {
        program: "CLNLIB/MYSAVE".into(),
        seconds: Some(20),
        result: ProgramResult::Normal,
        messages: Vec::new(),
    }];
    file.systems.push(prod);
    World::from_file(&file).unwrap()
}

fn plan(setting: Setting, run: i64) -> Plan {
    let (mut spec, mut facts) = fakes::sample(setting.function);
    if setting.canary {
        spec.freeze.proof = crate::api::options::Proof::Canary;
    }
    facts.run_token = format!("RUN{run:08}");
    facts.run_number = run;
    facts.run = format!("nightly-{run}");
    Plan::new(&spec, facts).unwrap()
}

/// What the first, undisturbed run leaves behind: the world every combination starts from.
#[derive(Clone)]
pub struct Stage {
    world: World,
    at: DateTime<Utc>,
}

impl Stage {
    /// A site on which one USER run has succeeded: the clone runs on its image, so that the next run has to stop,
    /// unmap and end.
    pub fn prepared() -> Self {
        let world = world();
        let at = world.now;
        let setting = Setting {
            function: "USER",
            canary: false,
            silent: false,
        };
        let run = RunUnderTest::new(&Self { world, at }, setting, 1, &[]);
        let end = run.to_end();
        assert_eq!(end.phase, Phase::Succeeded, "{:#?}", end.verdict);
        run.leave_off();
        let world = run.shared.now().clone();
        let at = world.now;
        Self { world, at }
    }
}

/// One run with its leaders.
pub struct RunUnderTest {
    pub shared: Shared,
    pub controls: Controls,
    pub store: MemoryStore,
    locks: MemoryLocks,
    logs: Arc<MemoryLogs>,
    plan: Plan,
    clock: MatrixClock,
    setting: Setting,
    images_before: usize,
}

impl RunUnderTest {
    pub fn new(stage: &Stage, setting: Setting, number: i64, faults: &[(usize, Injected)]) -> Self {
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
        let images_before = world.images.len();
        let shared = Shared::new(world, clock.clone());
        let controls = Controls::planned(faults);
        let plan = plan(setting, number);
        let logs = Arc::new(MemoryLogs::default());
        let recipe = crate::recipe::build(&plan, logs.clone());
        let names: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
        let journal = Journal::open(&recipe.name, &format!("RUN{number:08}"), &names);
        Self {
            store: MemoryStore::new(journal, controls.clone()),
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

    fn site(&self) -> Site {
        let shared = || self.shared.clone();
        let sources = vec![Identity::new("78ABCD0", 3)];
        Site {
            clone_partition: Arc::new(ControlRole::new(shared(), "CLONE1")),
            source_partition: Arc::new(ViewRole::new(shared(), "PROD")),
            virtual_io: Arc::new(VirtualIoRole::new(
                shared(),
                &[("VIOS1", "vhost3"), ("VIOS2", "vhost3")],
            )),
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
        for _ in 0..3000 {
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
                Some(Pass::Stale | Pass::Lost(_)) => {
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
                Some(Pass::Stale | Pass::Lost(_)) => {
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

    /// Everything that must hold at the end, whatever went wrong. Returns what does not.
    pub fn broken(&self, journal: &Journal) -> Vec<String> {
        self.leave_off();
        let mut found = Vec::new();
        let mut world = self.shared.now();
        if self.setting.silent || self.controls.points().is_empty() {
            // Sessions of dead processes stay open for a while on the far side when the network swallows everything.
            world.ledger.violations.clear();
        }
        let suspended = world
            .systems
            .get("PROD")
            .map(|s| s.suspended())
            .unwrap_or_default();
        if !suspended.is_empty() {
            found.push(format!("production is left suspended: {suspended:?}"));
        }
        spectrum_virtualize::check_left_behind(&mut world);
        let failed = !matches!(journal.phase, Phase::Succeeded | Phase::Warning);
        for violation in &world.ledger.violations {
            // The world resumed by itself in the instant of the copy: noticed, and the run has failed.
            if failed && violation.kind == ViolationKind::CopyWithoutSuspension {
                continue;
            }
            found.push(format!(
                "violation {:?}: {}",
                violation.kind, violation.text
            ));
        }
        if world
            .systems
            .get("PROD")
            .is_none_or(|s| s.image().is_none())
        {
            found.push("production does not run".into());
        }
        if !journal.phase.is_final() {
            found.push(format!("phase {:?} is not final", journal.phase));
        }
        if journal.open_obligations().next().is_some() {
            found.push("an obligation is open although the phase is final".into());
        }
        if matches!(journal.phase, Phase::Succeeded | Phase::Warning) {
            self.check_success(&world, journal, &mut found);
        }
        if self.controls.api_calls_in_freeze() > 0 {
            found.push("the API was called inside the freeze".into());
        }
        if let Some(ms) = journal.window.as_ref().and_then(|w| w.milliseconds)
            && ms > 130_000
        {
            found.push(format!("the freeze took {ms} ms"));
        }
        found
    }

    fn check_success(&self, world: &World, journal: &Journal, found: &mut Vec<String>) {
        let copies = world.ledger.effect_count("array.startfcconsistgrp");
        if copies != 1 {
            found.push(format!("a success with {copies} copies"));
        }
        let images: Vec<_> = ["CLN_0", "CLN_1"]
            .iter()
            .map(|v| {
                spectrum_virtualize::uid_of(world, v)
                    .and_then(|uid| world.contents.get(&uid).copied())
            })
            .collect();
        let [
            Some(Content::Part { image: a, index: 0 }),
            Some(Content::Part { image: b, index: 1 }),
        ] = images[..]
        else {
            found.push(format!("a success whose targets hold {images:?}"));
            return;
        };
        let origin = world.images.get(&a).and_then(|i| i.origin.clone());
        let clean = origin
            .as_ref()
            .is_some_and(|o| o.quality == Quality::Suspended && o.source == "PROD");
        if a != b || !clean || usize::try_from(a.0).unwrap() <= self.images_before {
            found.push(format!("a success with an image that is not of this run or not clean: {a:?} {b:?} {origin:?}"));
        }
        if self.setting.function == "USER" {
            let runs_it = world.systems.get("CLONE1").and_then(|s| s.image()) == Some(a);
            if !runs_it {
                found.push("a success whose clone does not run on this run's image".into());
            }
            let jobs: Vec<_> = world
                .ledger
                .effects
                .iter()
                .filter(|(k, _)| k.starts_with("ibmi.CLONE1.job."))
                .collect();
            if jobs.iter().map(|(_, n)| **n).sum::<u64>() != 1 {
                found.push(format!(
                    "the function was not submitted exactly once: {jobs:?}"
                ));
            }
        }
        if journal
            .entry("start-copy")
            .is_some_and(|e| e.output.is_empty())
        {
            found.push("a success without a recorded copy".into());
        }
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
