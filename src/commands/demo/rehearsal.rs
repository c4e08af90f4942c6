//! The files of the demo without sockets and without Kubernetes: the real engine and recipes, over the simulated roles in
//! process. What fails here would fail in `make demo` after minutes.

use super::tests::the_week;
use super::{ACTS, week};
use crate::api::CloneEnvironmentSpec;
use crate::api::run::RunMode;
use crate::commands::simulated_site::parse_world;
use crate::engine::clock::SingleReplica;
use crate::engine::drive::{Cancel, Engine, Pass};
use crate::engine::journal::{Journal, Phase};
use crate::engine::ports::{Clock, StoreError};
use crate::matrix::controls::Controls;
use crate::matrix::memory::{MatrixClock, MemoryLocks, MemoryStore};
use crate::recipe::{
    Gathered, LogKind, LogLine, LogSink, LogSummary, LogWriter, Pace, Pins, Plan, ResolvedFacts,
    build,
};
use crate::simulators::Shared;
use crate::simulators::clock::SimulatedClock;
use crate::simulators::hmc::{ControlRole, ViewRole};
use crate::simulators::ibmi::role::{freeze, ibmi};
use crate::simulators::storage::spectrum_virtualize::ArrayRole;
use crate::simulators::vios::VirtualIoRole;
use crate::simulators::world::World;
use crate::site::{CloneSystem, Identity, Site, SourceSystem};
use async_trait::async_trait;
use kube::ResourceExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps logs in memory.
#[derive(Default)]
struct MemoryLogs(Mutex<BTreeMap<LogKind, LogSummary>>);

#[async_trait]
impl LogSink for MemoryLogs {
    fn begin(&self, kind: LogKind) -> Box<dyn LogWriter + '_> {
        Box::new(Gathered::new(move |lines: Vec<LogLine>| {
            let summary = LogSummary {
                config_map: kind.as_str().to_owned(),
                parts: 1,
                lines: i64::try_from(lines.len()).unwrap_or_default(),
                ..LogSummary::default()
            };
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.insert(kind, summary.clone());
            summary
        }))
    }
    async fn has(&self, kind: LogKind) -> Result<Option<LogSummary>, StoreError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.get(&kind).cloned())
    }
}

/// The roles of an environment; `address` is the clone's in the simulated network.
fn site(shared: &Shared, spec: &CloneEnvironmentSpec, address: &str) -> Site {
    let user = ("CLONEOP", "simulated-prod");
    let production = Identity::new("78ABCD0", 3);
    let vscsi = spec.virtual_io.vscsi.as_ref().expect("the demo uses vSCSI");
    let adapters: Vec<(&str, &str)> = vscsi
        .adapters
        .iter()
        .map(|a| (a.server.as_str(), a.vhost.as_str()))
        .collect();
    let array = spec.storage.spectrum_virtualize.as_ref();
    let group = &array.expect("the demo has an array").consistency_groups[0];
    Site {
        clone_partition: Arc::new(ControlRole::new(shared.clone(), &spec.clone.partition.name)),
        source_partition: Arc::new(ViewRole::new(shared.clone(), &spec.source.partition.name)),
        virtual_io: Arc::new(VirtualIoRole::new(shared.clone(), &adapters)),
        copy: Arc::new(ArrayRole::new(shared.clone(), group)),
        source: SourceSystem(ibmi(shared, "10.0.8.20", user.0, user.1)),
        clone: CloneSystem(ibmi(shared, address, user.0, user.1)),
        freeze: Arc::new(freeze(shared, "10.0.8.20", user, vec![production])),
        transcript: Default::default(),
    }
}

async fn run(
    site: &Site,
    name: &str,
    spec: &CloneEnvironmentSpec,
    clock: &MatrixClock,
    number: i64,
) -> Journal {
    let facts = ResolvedFacts {
        namespace: "ibmi".into(),
        environment: name.to_owned(),
        run: format!("{name}-{number}"),
        mode: RunMode::Clone,
        run_token: format!("DEMO000{number}"),
        run_number: 1,
        device_number: number,
        pins: Pins {
            source_identity: Some(Identity::new("78ABCD0", 3)),
            ..Pins::default()
        },
        operator_id: "rehearsal".into(),
        pace: Pace::default(),
        ..ResolvedFacts::default()
    };
    let plan =
        Plan::new(spec, facts).expect("the demo's environment is one the operator can drive");
    let recipe = build(&plan, Arc::new(MemoryLogs::default()));
    let steps: Vec<&str> = recipe.steps.iter().map(|s| s.id()).collect();
    let journal = Journal::open(&recipe.name, &plan.run_token, &steps);
    let store = MemoryStore::new(journal, clock.controls.clone());
    let engine = Engine {
        recipe: &recipe,
        site,
        store: &store,
        locks: &MemoryLocks::default(),
        clock,
        fence: &SingleReplica,
        writer: "rehearsal",
    };
    for _ in 0..5000 {
        match engine.pass(Cancel::No).await {
            Pass::Again(wait, _) => clock.sleep(wait).await,
            Pass::Final(journal) => return *journal,
            Pass::Stale | Pass::Lost(_) | Pass::Forbidden(_) => {
                panic!("nobody else writes: {:?}", store.get())
            }
        }
    }
    panic!("the run does not end: {:#?}", store.get());
}

#[tokio::test]
async fn all_runs_of_the_demo_succeed_and_the_world_sees_nothing_wrong() {
    let file = parse_world(week::WORLD).expect("parses");
    let world = World::from_file(&file).expect("contradicts nothing");
    let start = world.now;
    let clock = MatrixClock {
        clock: SimulatedClock::manual(start),
        start,
        controls: Controls::default(),
    };
    let shared = Shared::new(world, clock.clock.clone());
    let week = the_week();
    let order = ACTS.iter().flat_map(|act| act.environments);
    for (number, name) in (1..).zip(order) {
        let found = week.iter().find(|e| e.name_any() == *name);
        let spec = &found.expect("is an example").spec;
        let address = &spec.clone.personality.interfaces[0].address;
        let site = site(&shared, spec, address);
        let journal = run(&site, name, spec, &clock, number).await;
        assert_eq!(journal.phase, Phase::Succeeded, "{name}: {journal:#?}");
        assert!(journal.image_clean(), "{name}: {:?}", journal.window);
    }
    let minutes = (clock.now() - start).num_minutes();
    assert!(
        minutes < 170,
        "the demo would take long: {minutes} minutes of the devices"
    );
    let mut world = shared.now();
    world.check_left_behind();
    assert!(
        world.ledger.violations.is_empty(),
        "{:#?}",
        world.ledger.violations
    );
}
