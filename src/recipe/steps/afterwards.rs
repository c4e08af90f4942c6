//! What `after` does with clone and image when the run is over: the same steps that make way for a new copy, taken once
//! more under names of their own. After a failure they are taken only where `after.onFailure` says so, and never while a
//! job on the clone may still run.

use super::gate::{self, Stop};
use super::{end_image, map_volumes, start_clone, start_copy, stop_clone};
use crate::api::surroundings::{AfterClone, OnFailure};
use crate::engine::journal::{EntryState, Facts, Journal, Phase};
use crate::engine::step::{LockKind, NOTE_FACT, Observation, Step, StepContext};
use crate::recipe::history_is_missing;
use crate::recipe::plan::Plan;
use crate::recipe::surroundings::{END_OF_IMAGE as END_COPY, END_OF_PARTITION as POWER_OFF};
use crate::site::{CopyPhase, DeviceError};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

const UNMAP: &str = "unmap-after";

/// A step of the recipe taken once more.
pub(super) struct OnceMore {
    pub(super) plan: Arc<Plan>,
    /// Name in this run's list.
    pub(super) id: &'static str,
    /// The step that does it.
    pub(super) inner: Box<dyn Step>,
}

impl OnceMore {
    /// The journal as the inner step has to see it: the entry of its own name is ours.
    fn seen(&self, journal: &Journal) -> Journal {
        let mut seen = journal.clone();
        let ours = seen.entry(self.id).cloned().unwrap_or_default();
        if let Some(entry) = seen.entry_mut(self.inner.id()) {
            let name = std::mem::take(&mut entry.name);
            *entry = ours;
            entry.name = name;
        }
        seen
    }

    fn over(&self, journal: &Journal, step: &str) -> bool {
        journal
            .entry(step)
            .is_none_or(|e| matches!(e.state, EntryState::Done | EntryState::Skipped))
    }

    /// What this run has done that this step takes back; the one before it must have been taken.
    fn in_turn(&self, journal: &Journal) -> bool {
        let sent = |step: &str| journal.entry(step).is_some_and(|e| !gate::unsent(e));
        match self.id {
            POWER_OFF => sent(start_clone::ID),
            UNMAP => {
                sent(map_volumes::ID) && (!sent(start_clone::ID) || self.over(journal, POWER_OFF))
            }
            // A full copy of a clone that keeps running becomes independent by itself.
            _ if self.plan.after.clone == AfterClone::KeepRunning => false,
            _ => {
                let taken = journal.output(start_copy::ID, start_copy::MARK).is_some();
                let off = !sent(start_clone::ID) || self.over(journal, POWER_OFF);
                taken && off && (!sent(map_volumes::ID) || self.over(journal, UNMAP))
            }
        }
    }

    /// The copy that is ended is this run's own, or nothing is.
    async fn own_copy(&self, context: &StepContext<'_>) -> Result<Option<Observation>, Stop> {
        if self.id != END_COPY {
            return Ok(None);
        }
        let state = context.site.copy.observe().await?;
        if !gate::unsent(&context.entry(self.id)) {
            // Cleaning for dependants can take hours: whoever needs the group next waits for it.
            return Ok((state.phase == CopyPhase::Stopping).then(|| self.stopping()));
        }
        let taken = context.journal.output(start_copy::ID, start_copy::MARK);
        let another = state.exists() && taken != Some(state.mark().as_str());
        let armed = matches!(state.phase, CopyPhase::Prepared | CopyPhase::Preparing);
        if another || armed {
            return Ok(Some(Observation::NotNeeded(format!(
                "the copy of consistency group {} is not the one this run took; it was left alone",
                self.plan.copy_group
            ))));
        }
        Ok(match self.plan.after.clone {
            AfterClone::PowerOff => None,
            AfterClone::KeepRunning => Some(end_image::full_copy(&self.plan, &state)),
        })
    }

    fn stopping(&self) -> Observation {
        let note = format!(
            "consistency group {} was stopped and cleans up; the next run waits for it if need be",
            self.plan.copy_group
        );
        Observation::Done(gate::facts([(&format!("{NOTE_FACT}stopping"), note)]))
    }
}

#[async_trait]
impl Step for OnceMore {
    fn id(&self) -> &'static str {
        self.id
    }
    fn limit(&self) -> Duration {
        match (self.id, self.plan.after.clone) {
            // Only the run's own limit bounds the background copy.
            (END_COPY, AfterClone::KeepRunning) => self.plan.run_limit(),
            _ => self.plan.pace.seconds(30 * 60),
        }
    }
    /// The function has ended and its logs are kept: what is left standing is for a person to read.
    fn failure_means(&self) -> Phase {
        Phase::Warning
    }
    fn locks(&self) -> &'static [LockKind] {
        self.inner.locks()
    }
    fn after_failure(&self, journal: &Journal) -> bool {
        let failed = journal
            .verdict
            .as_ref()
            .is_some_and(|v| v.phase == Phase::Failed);
        let needed = super::job_may_run(journal) || history_is_missing(journal);
        self.plan.after.on_failure == OnFailure::Apply && failed && !needed && self.in_turn(journal)
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        match self.own_copy(context).await {
            Ok(Some(settled)) => return settled,
            Ok(None) => {}
            Err(stop) => return stop.observed(self.plan.pace.array()),
        }
        let journal = self.seen(context.journal);
        let inner = StepContext {
            site: context.site,
            journal: &journal,
            now: context.now,
            release_backups: context.release_backups,
        };
        self.inner.observe(&inner).await
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        self.inner.baseline(context).await
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        let journal = self.seen(context.journal);
        let inner = StepContext {
            site: context.site,
            journal: &journal,
            now: context.now,
            release_backups: context.release_backups,
        };
        self.inner.act(&inner).await
    }
}

/// The step of this name.
pub(super) fn step(name: &str, plan: &Arc<Plan>) -> Option<OnceMore> {
    let plan = || Arc::clone(plan);
    let (id, inner): (&'static str, Box<dyn Step>) = match name {
        POWER_OFF => (POWER_OFF, Box::new(stop_clone::StopClone { plan: plan() })),
        UNMAP => (
            UNMAP,
            Box::new(super::unmap_volumes::UnmapVolumes { plan: plan() }),
        ),
        END_COPY => (END_COPY, Box::new(end_image::EndImage { plan: plan() })),
        _ => return None,
    };
    Some(OnceMore {
        plan: plan(),
        id,
        inner,
    })
}
