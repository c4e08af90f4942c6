//! Step 7: everything slow of the copy, outside the freeze: production's pages are forced to disk, then the group is
//! flushed and armed. From here on the targets' old content is gone, and production writes through until the start.

use super::end_image::{empty, suspended};
use super::gate::{self, Stop};
use crate::engine::journal::{Entry, Facts, ObligationKind};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::plan::Plan;
use crate::recipe::queries::{self, LOCAL_TIME};
use crate::site::{AspName, ClCommand, CopyPhase, DeviceError, ProvenSource, Site};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) const ID: &str = "prepare-copy";
/// Baseline: the source's local time as it prints it, just before the intent.
pub(super) const SOURCE_CLOCK: &str = "sourceClock";
/// A force write that took longer than this is followed by a new look and a new intent before the group is armed:
/// leadership may have changed meanwhile. The second force write finds little to do.
const LONG_FORCE_WRITE: Duration = Duration::from_secs(5);
/// After so many tries the pages of production have been forced often enough: the next one arms the group at once. A
/// force write only shortens the suspend, which writes again.
const FORCED_TRIES: i32 = 2;
const SENT: &str = "prepared";

pub(super) struct PrepareCopy {
    pub(super) plan: Arc<Plan>,
}

impl PrepareCopy {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(ID);
        let state = context.site.copy.observe().await?;
        let group = &self.plan.copy_group;
        let poll = self.plan.pace.array();
        if let Some(map) = state.deviating.iter().find(|m| m.contains("suspended")) {
            return Ok(suspended(group, &format!("map {map}")));
        }
        let nobodys = gate::unsent(&entry);
        Ok(match state.phase {
            CopyPhase::Empty => empty(group),
            CopyPhase::Suspended => suspended(group, "the group"),
            CopyPhase::Prepared | CopyPhase::Preparing | CopyPhase::Copying if nobodys => {
                self.used_by_others(state.phase)
            }
            CopyPhase::Copying => self.used_by_others(state.phase),
            CopyPhase::Prepared if state.deviating.is_empty() => Observation::done(),
            CopyPhase::Prepared | CopyPhase::Preparing => Observation::underway(
                poll,
                format!("the array flushes production's volumes for consistency group {group}"),
            ),
            CopyPhase::Stopping => {
                Observation::underway(poll, format!("consistency group {group} is stopping"))
            }
            CopyPhase::Stopped if gate::given(&entry) == Some(SENT) && entry.attempts >= 2 => {
                Observation::broken(
                    "FlushFailed",
                    format!(
                        "consistency group {group} went back to stopped while it was preparing, and another try is over: the array could not flush production's volumes; look at its event log"
                    ),
                )
            }
            CopyPhase::Idle | CopyPhase::Stopped => self.may_prepare(context, &entry).await?,
        })
    }

    fn used_by_others(&self, phase: CopyPhase) -> Observation {
        Observation::broken(
            "GroupUsedByOthers",
            format!(
                "consistency group {} is {} although this run has not done that: somebody else uses it; stop it there and run again",
                self.plan.copy_group,
                crate::recipe::settle::phase_word(phase)
            ),
        )
    }

    /// The group must still be the one that was verified, or a volume nobody looked at would be overwritten.
    async fn may_prepare(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
    ) -> Result<Observation, Stop> {
        if entry.attempts >= MOST_TRIES {
            return Ok(Observation::broken(
                "PrepareFailed",
                format!(
                    "consistency group {} could not be prepared in {} tries",
                    self.plan.copy_group, entry.attempts
                ),
            ));
        }
        self.same_group(context).await?;
        gate::clone_off(context.site, &self.plan, self.plan.keep_mappings).await?;
        let poll = self.plan.pace.array();
        Ok(gate::retry_gate(
            entry,
            context.now,
            self.plan.pace.short_retry(),
            poll,
            || {
                format!(
                    "consistency group {} has not begun to prepare",
                    self.plan.copy_group
                )
            },
        ))
    }

    async fn same_group(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        let mut verified = gate::targets(context)?;
        let mut now = context.site.copy.targets().await?;
        verified.sort();
        now.sort();
        if verified == now {
            return Ok(());
        }
        Err(Stop::Failure(Failure::new(
            "GroupChanged",
            format!(
                "consistency group {} has other targets now than when this run was verified: nothing was overwritten; run again",
                self.plan.copy_group
            ),
        )))
    }

    async fn prepare(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        if context.entry(ID).attempts <= FORCED_TRIES {
            self.force_all(context).await?;
        }
        gate::clone_off(context.site, &self.plan, self.plan.keep_mappings).await?;
        Ok(context.site.copy.prepare().await?)
    }

    async fn force_all(&self, context: &StepContext<'_>) -> Result<(), Stop> {
        let began = Instant::now();
        let proof = gate::prove_source(context.site, &self.plan).await?;
        for asp in context.site.freeze.asps().await? {
            force_write(context.site, &proof, &asp, &self.plan).await?;
        }
        if began.elapsed() <= LONG_FORCE_WRITE {
            return Ok(());
        }
        Err(Stop::Device(DeviceError::busy(
            format!("source {}", self.plan.source_label()),
            "the force write took long; the group is armed after another look",
        )))
    }
}

/// Bounds the tries of which none was seen to arm the group.
const MOST_TRIES: i32 = 6;

/// CHGASPACT *FRCWRT: writes what is in main storage, holds nothing, may be repeated (`ibmi.md` § 2.1).
pub(crate) async fn force_write(
    site: &Site,
    proof: &ProvenSource,
    asp: &AspName,
    plan: &Plan,
) -> Result<(), DeviceError> {
    let command = ClCommand::new(format!("CHGASPACT ASPDEV({asp}) OPTION(*FRCWRT)"));
    let output = site.source.0.run(proof.session(), &command).await?;
    if output.succeeded {
        return Ok(());
    }
    let worst = output.messages.iter().max_by_key(|m| m.severity);
    let (code, text) = worst.map_or(("CHGASPACT", ""), |m| (m.id.as_str(), m.text.as_str()));
    Err(DeviceError::refused(
        format!("source {}", plan.source_label()),
        code,
        format!(
            "CHGASPACT *FRCWRT of {asp} failed ({text}): the profile needs *JOBCTL and *USE on the ASP's device; the storage was not touched"
        ),
    ))
}

/// Baseline of a step whose traces are read in the history log of the source, or of the clone that inherits its clock:
/// when it was first sent, and the source's local time just before.
pub(super) async fn stamp_with_clock(
    context: &StepContext<'_>,
    plan: &Plan,
) -> Result<Facts, DeviceError> {
    let proof = gate::prove_source(context.site, plan)
        .await
        .map_err(Stop::refused)?;
    let rows = match context
        .site
        .source
        .0
        .query(proof.session(), LOCAL_TIME)
        .await
    {
        Ok(rows) => rows,
        // Without it the history log begins at the clone's last IPL; no reason to fail a run.
        Err(DeviceError::Refused { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let clock = rows.first().map(|row| queries::column(row, "LOCAL_TIME"));
    let mut baseline = gate::stamp(context.now);
    if let Some(text) = clock.filter(|text| queries::local_time(text).is_some()) {
        baseline.insert(SOURCE_CLOCK.to_owned(), text.to_owned());
    }
    Ok(baseline)
}

#[async_trait]
impl Step for PrepareCopy {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(60 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::TargetSet, LockKind::Source]
    }
    fn incurs(&self) -> &'static [ObligationKind] {
        &[ObligationKind::LeavePrepared]
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.array();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    /// The source's local time: the clone's history log is read from here on, by the clock the clone inherits.
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        stamp_with_clock(context, &self.plan).await
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.prepare(context)
            .await
            .map(|()| Some(gate::handle(SENT, context.now)))
            .map_err(Stop::refused)
    }
}
