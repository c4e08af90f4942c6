//! A short line of steps with an effect on every device and something owed in the middle: what a recipe looks like to locks
//! and journal.

use super::shared::Shared;
use crate::engine::clock::SingleReplica;
use crate::engine::drive::{Cancel, Engine, Pass};
use crate::engine::journal::{EntryState, Journal, ObligationKind, Phase, WindowRecord};
use crate::engine::ports::{Clock, Met, Recipe, Settle, every_lock, locks_and_backups};
use crate::engine::step::{LockKind, Observation, Step, StepContext};
use crate::engine::time::Timestamp;
use crate::recipe::fakes;
use crate::site::{DeviceError, Site};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "pair-v1";
/// Name, locks, what it incurs.
type Line = [(&'static str, &'static [LockKind], &'static [ObligationKind])];

fn steps(backups: bool) -> &'static Line {
    if backups { &WITH_BACKUPS } else { &STEPS }
}

const STEPS: [(&str, &[LockKind], &[ObligationKind]); 4] = [
    ("verify-site", &[], &[]),
    ("end-image", &[LockKind::TargetSet], &[]),
    (
        "arm",
        &[LockKind::TargetSet, LockKind::Source],
        &[
            ObligationKind::LeavePrepared,
            ObligationKind::RemoveParameters,
        ],
    ),
    ("use", &[LockKind::Clone, LockKind::TargetSet], &[]),
];

/// The same with production's BRMS frozen before the copy and released behind it.
const WITH_BACKUPS: [(&str, &[LockKind], &[ObligationKind]); 4] = [
    ("verify-site", &[], &[]),
    (
        "freeze-backups",
        &[LockKind::Source, LockKind::Backups],
        &[ObligationKind::ReleaseBackups],
    ),
    (
        "arm",
        &[LockKind::TargetSet, LockKind::Source],
        &[ObligationKind::LeavePrepared],
    ),
    (RETURN, &[LockKind::Clone, LockKind::Backups], &[]),
];
const RETURN: &str = "return-history";

/// The journal of a run that was opened.
pub fn opened(run: usize, backups: bool) -> Journal {
    let names: Vec<&str> = steps(backups).iter().map(|(name, ..)| *name).collect();
    Journal::open(NAME, &format!("RUN{run:08}"), &names)
}

/// The copy is taken with step `arm`: the write that records it closes the window, which is the first matrix's subject.
pub fn closes_window(stored: &Journal, next: &mut Journal) -> bool {
    let taken = next
        .entry("arm")
        .is_some_and(|e| e.state == EntryState::Done);
    if !taken || stored.window.is_some() {
        return false;
    }
    let at = Some(Timestamp::new(fakes::start()));
    next.window = Some(WindowRecord {
        opened: at,
        closed: at,
        ..WindowRecord::default()
    });
    true
}

struct PairStep {
    id: &'static str,
    locks: &'static [LockKind],
    incurs: &'static [ObligationKind],
    shared: Shared,
}

#[async_trait]
impl Step for PairStep {
    fn id(&self) -> &'static str {
        self.id
    }
    fn limit(&self) -> Duration {
        Duration::from_secs(3600)
    }
    fn locks(&self) -> &'static [LockKind] {
        self.locks
    }
    fn incurs(&self) -> &'static [ObligationKind] {
        self.incurs
    }
    fn discharges(&self) -> &'static [ObligationKind] {
        if self.id == RETURN {
            &[ObligationKind::ReleaseBackups]
        } else {
            &[]
        }
    }
    async fn observe(&self, _: &StepContext<'_>) -> Observation {
        let (run, id) = (self.shared.run, self.id);
        let done = self.locks.is_empty() || self.shared.lock().done.contains(&(run, id));
        self.shared.learn(&done);
        if done {
            Observation::done()
        } else {
            Observation::Absent
        }
    }
    async fn act(&self, _: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        if std::mem::take(&mut self.shared.lock().dies) {
            std::future::pending::<()>().await;
        }
        let mut state = self.shared.lock();
        let run = self.shared.run;
        state.effect(run, self.id, self.locks);
        state.done.insert((run, self.id));
        if self.id == "arm" {
            state.armed = Some(run);
            if state.refused && run == 0 {
                return Err(DeviceError::refused("the array", "CMMVC", "it was armed"));
            }
        }
        Ok(None)
    }
}

/// What is owed is on the target set and on the source.
struct PairOwed(Shared);

#[async_trait]
impl Settle for PairOwed {
    async fn meet(&self, kind: ObligationKind, _: &StepContext<'_>) -> Result<Met, DeviceError> {
        let lock = match kind {
            ObligationKind::LeavePrepared => LockKind::TargetSet,
            ObligationKind::ReleaseBackups => LockKind::Backups,
            ObligationKind::ResumeSource
            | ObligationKind::StopWatchdog
            | ObligationKind::RemoveParameters
            | ObligationKind::RunAfterResume => LockKind::Source,
        };
        let run = self.0.run;
        self.0.lock().owed(run, lock);
        Ok(Met::Yes("met".into()))
    }
}

/// Time stands still: no interleaving is forbidden by a clock.
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        fakes::start()
    }
    fn boot(&self) -> Duration {
        Duration::ZERO
    }
    async fn sleep(&self, _: Duration) {}
}

/// A process that moves one run until it is final.
pub async fn process(shared: Shared, site: Site, writer: String) {
    let backups = shared.lock().backups;
    let steps = steps(backups).iter().map(|(id, locks, incurs)| {
        let shared = shared.clone();
        Box::new(PairStep {
            id,
            locks,
            incurs,
            shared,
        }) as Box<dyn Step>
    });
    let recipe = Recipe {
        name: NAME.into(),
        steps: steps.collect(),
        window: None,
        settle: Arc::new(PairOwed(shared.clone())),
        run_limit: Duration::from_secs(3600),
        locks_from: 1,
        lock_set: if backups {
            locks_and_backups
        } else {
            every_lock
        },
        refused_means: Phase::Failed,
        faster: 1.0,
    };
    loop {
        shared.pass_begins();
        let engine = Engine {
            recipe: &recipe,
            site: &site,
            store: &shared,
            locks: &shared,
            clock: &Still,
            fence: &SingleReplica,
            writer: &writer,
        };
        if let Pass::Final(_) = engine.pass(Cancel::No).await {
            return;
        }
    }
}
