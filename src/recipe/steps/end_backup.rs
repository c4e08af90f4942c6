//! Behind the control groups: maintenance, which prints production's recovery reports and belongs to the history that goes
//! home, then ENDBKU, which says that the saves are complete (`ibmi.md` § 4.4).
//!
//! Neither fails the run here: the logs come next, and what ENDBKU did not do is tried again on the history's way home.

use super::doing::Doing;
use super::gate::{self, Stop};
use super::run_group::SAID;
use super::{job, run_function};
use crate::engine::journal::{Entry, Facts};
use crate::engine::step::{LockKind, NOTE_FACT, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::brms::{BrmsJob, END, Errand, Stands, There, VOLUMES, read_volumes, settings};
use crate::recipe::plan::Plan;
use crate::site::DeviceError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct EndBackup {
    pub(super) plan: Arc<Plan>,
}

/// Where maintenance and ENDBKU stand.
enum Stage {
    Waits(Doing),
    Send(BrmsJob),
    /// Both are over; what went wrong with each.
    Over(Option<String>, Option<String>),
}

impl EndBackup {
    async fn stage(&self, there: There<'_>) -> Result<Stage, Stop> {
        let mut maintenance = None;
        if settings(&self.plan)?.maintenance {
            match Errand::of(&self.plan, BrmsJob::Maintain)?
                .look(there)
                .await?
            {
                Stands::NotSeen => return Ok(Stage::Send(BrmsJob::Maintain)),
                Stands::There(doing) => return Ok(Stage::Waits(doing)),
                Stands::Badly(why) => maintenance = Some(why),
                Stands::Well => {}
            }
        }
        Ok(
            match Errand::of(&self.plan, BrmsJob::End)?.look(there).await? {
                Stands::NotSeen => Stage::Send(BrmsJob::End),
                Stands::There(doing) => Stage::Waits(doing),
                Stands::Badly(why) => Stage::Over(maintenance, Some(why)),
                Stands::Well => Stage::Over(maintenance, None),
            },
        )
    }

    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(END);
        if gate::unsent(&entry) && run_function::may_run(context.journal) {
            return Ok(Observation::NotNeeded(
                "a save may still run: maintenance and ENDBKU would disturb it".to_owned(),
            ));
        }
        let proof = job::watch_clone(context, &self.plan).await?;
        let there = There {
            system: context.site.clone.0.as_ref(),
            session: proof.session(),
        };
        Ok(match self.stage(there).await? {
            Stage::Waits(doing) => {
                doing.observed(self.plan.pace.job(gate::elapsed(&entry, context.now)))
            }
            Stage::Send(job) => self.gate(&entry, job, context),
            Stage::Over(maintenance, end) => {
                Observation::Done(self.output(context, maintenance, end).await?)
            }
        })
    }

    /// The first job's end does not hold the second one up.
    fn gate(&self, entry: &Entry, job: BrmsJob, context: &StepContext<'_>) -> Observation {
        let name = self.plan.brms_job(job);
        let sent = gate::given(entry).and_then(|given| given.rsplit('/').next());
        if sent.is_some_and(|sent| sent != name) {
            return Observation::Absent;
        }
        let wait = self.plan.pace.short_retry();
        gate::retry_gate(entry, context.now, wait, wait, || {
            format!("job {name} was submitted and is not to be seen yet")
        })
    }

    async fn output(
        &self,
        context: &StepContext<'_>,
        maintenance: Option<String>,
        end: Option<String>,
    ) -> Result<Facts, Stop> {
        let mut out = Facts::new();
        if let Some(why) = maintenance {
            let text = format!("BRMS maintenance on the clone: {why}; read log brms of this run");
            out.insert(format!("{WARNING_FACT}maintenance"), text);
        }
        if let Some(why) = end {
            out.insert(SAID.to_owned(), why);
        }
        match read_volumes(&self.plan, context).await {
            Ok(Some(volumes)) => drop(out.insert(VOLUMES.to_owned(), volumes)),
            Ok(None) => {}
            Err(Stop::Device(DeviceError::Refused { code, .. })) => drop(out.insert(
                format!("{NOTE_FACT}volumes"),
                format!("the clone's media inventory cannot be read ({code}): which volumes were written is not known here"),
            )),
            Err(stop) => return Err(stop),
        }
        Ok(out)
    }

    async fn send(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let status = context.site.clone_partition.status().await?;
        let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
        let there = There {
            system: context.site.clone.0.as_ref(),
            session: proof.session(),
        };
        let Stage::Send(job) = self.stage(there).await? else {
            return Ok(None);
        };
        let job = Errand::of(&self.plan, job)?.send(there).await?;
        Ok(Some(gate::handle(job.as_str(), context.now)))
    }
}

#[async_trait]
impl Step for EndBackup {
    fn id(&self) -> &'static str {
        END
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(2 * 60 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
    }
    /// The logs of the saves are worth keeping.
    fn forgone(&self) -> bool {
        true
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        self.send(context).await.map_err(Stop::refused)
    }
}
