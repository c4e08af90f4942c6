//! Meets the obligations of a run, and answers what its jobs ask. Every try is harmless when repeated, and none needs the
//! journal (rule 7).

use super::brms::meet_release;
use super::plan::{Plan, identity_text};
use super::records::PARAMETERS_PATH;
use super::steps::after_resume::meet_after_resume;
use super::steps::doing::answer;
use super::steps::gate::Stop;
use crate::engine::journal::{ObligationKind, Question};
use crate::engine::ports::{Met, Settle};
use crate::engine::step::StepContext;
use crate::site::{AspName, CopyPhase, DeviceError, ProofError, Watchdog};
use async_trait::async_trait;
use std::sync::Arc;

/// Meets the obligations of the recipes of this folder.
pub(super) struct SettleRun {
    plan: Arc<Plan>,
}

impl SettleRun {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self { plan }
    }

    /// The ASPs the window named; when it was never opened, all that exist now.
    async fn asps(&self, context: &StepContext<'_>) -> Result<Vec<AspName>, DeviceError> {
        match &context.journal.window {
            Some(window) if !window.asps.is_empty() => {
                Ok(window.asps.iter().map(AspName::new).collect())
            }
            Some(_) | None => context.site.freeze.asps().await,
        }
    }

    async fn resume(&self, context: &StepContext<'_>) -> Result<Met, DeviceError> {
        let asps = self.asps(context).await?;
        context.site.freeze.resume_anyway(&asps).await?;
        let names: Vec<&str> = asps.iter().map(AspName::as_str).collect();
        Ok(Met::Yes(format!("resumed {}", names.join(", "))))
    }

    async fn stop_watchdog(&self, context: &StepContext<'_>) -> Result<Met, DeviceError> {
        let watchdog = context
            .site
            .freeze
            .disarm_watchdog(&self.plan.run_token)
            .await?;
        Ok(match watchdog {
            Watchdog::Ended => Met::Yes("the watchdog has ended without firing".into()),
            Watchdog::Fired => Met::Yes(
                "the watchdog has fired and resumed the source by itself; an image taken meanwhile is not clean".into(),
            ),
            Watchdog::Armed => Met::NotYet(format!(
                "the watchdog of this run is still active on {}: end job CLNWDOG there if this stays",
                self.plan.source_label()
            )),
        })
    }

    /// `CopyServices::end` never forces. Prepared = production's volumes are in write-through.
    async fn leave_prepared(&self, context: &StepContext<'_>) -> Result<Met, DeviceError> {
        let copy = &context.site.copy;
        let armed = |phase| matches!(phase, CopyPhase::Prepared | CopyPhase::Preparing);
        let before = copy.observe().await?.phase;
        if !armed(before) {
            return Ok(Met::Yes(format!("the copy is {}", phase_word(before))));
        }
        match copy.end().await {
            Ok(()) => {}
            // Some levels refuse a stop while the flush runs (`storage-virtualize.md` § 3.4): it ends by itself.
            Err(DeviceError::Refused { .. }) if before == CopyPhase::Preparing => {}
            Err(error) => return Err(error),
        }
        let after = copy.observe().await?.phase;
        Ok(if armed(after) {
            Met::NotYet(format!(
                "consistency group {} is still {}: production writes through until it is stopped",
                self.plan.copy_group,
                phase_word(after)
            ))
        } else {
            Met::Yes(format!("disarmed, the copy is {}", phase_word(after)))
        })
    }

    async fn remove_parameters(&self, context: &StepContext<'_>) -> Result<Met, DeviceError> {
        let source = &context.site.source;
        let proof = match source.prove(&self.plan.source_identities).await {
            Ok(proof) => proof,
            Err(ProofError::Device(error)) => return Err(error),
            Err(other @ (ProofError::IsProduction { .. } | ProofError::Stranger { .. })) => {
                let known: Vec<String> = self
                    .plan
                    .source_identities
                    .iter()
                    .map(identity_text)
                    .collect();
                return Ok(Met::NotYet(format!(
                    "{other}; the parameter file stays on the source until one of {} answers",
                    known.join(", ")
                )));
            }
        };
        let session = proof.session();
        source.0.remove(session, PARAMETERS_PATH).await?;
        Ok(match source.0.get(session, PARAMETERS_PATH).await? {
            None => Met::Yes(format!("{PARAMETERS_PATH} is not on the source")),
            Some(_) => Met::NotYet(format!("{PARAMETERS_PATH} is still on the source")),
        })
    }
}

/// What forbids a try is shown, and it is tried again.
fn tried(outcome: Result<Met, Stop>) -> Result<Met, DeviceError> {
    match outcome {
        Ok(met) => Ok(met),
        Err(Stop::Device(error)) => Err(error),
        Err(Stop::Failure(failure)) => Ok(Met::NotYet(failure.message)),
    }
}

/// The array's word, for messages.
pub(super) fn phase_word(phase: CopyPhase) -> &'static str {
    match phase {
        CopyPhase::Empty => "empty",
        CopyPhase::Idle => "idle or copied",
        CopyPhase::Preparing => "preparing",
        CopyPhase::Prepared => "prepared",
        CopyPhase::Copying => "copying",
        CopyPhase::Stopping => "stopping",
        CopyPhase::Stopped => "stopped",
        CopyPhase::Suspended => "suspended",
    }
}

#[async_trait]
impl Settle for SettleRun {
    async fn meet(
        &self,
        kind: ObligationKind,
        context: &StepContext<'_>,
    ) -> Result<Met, DeviceError> {
        match kind {
            ObligationKind::ResumeSource => self.resume(context).await,
            ObligationKind::StopWatchdog => self.stop_watchdog(context).await,
            ObligationKind::LeavePrepared => self.leave_prepared(context).await,
            ObligationKind::RemoveParameters => self.remove_parameters(context).await,
            ObligationKind::RunAfterResume => tried(meet_after_resume(&self.plan, context).await),
            ObligationKind::ReleaseBackups => tried(meet_release(&self.plan, context).await),
        }
    }
    async fn reply(
        &self,
        context: &StepContext<'_>,
        question: &Question,
        text: &str,
    ) -> Result<(), DeviceError> {
        let sent = answer(&self.plan, context, question, text).await;
        sent.map_err(Stop::refused)
    }
}
