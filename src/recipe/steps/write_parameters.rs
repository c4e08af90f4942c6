//! Step 2: the guest kit's parameter file on the source, before the flash, so that it is on the clone.

use super::gate::{self, Stop, facts};
use crate::engine::journal::{Entry, Facts, ObligationKind};
use crate::engine::step::{Failure, LockKind, Observation, Step, StepContext};
use crate::recipe::operator_lock::{Lock, read_lock, take_lock};
use crate::recipe::parameters::{SourceFacts, parameter_file};
use crate::recipe::plan::Plan;
use crate::recipe::queries::{self, INTERFACES, ROUTES};
use crate::recipe::records::{LOCK_PATH, PARAMETERS_PATH, Record, digest};
use crate::site::{AspName, DeviceError, ProvenSource};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "write-parameters";

pub(super) struct WriteParameters {
    pub(super) plan: Arc<Plan>,
}

impl WriteParameters {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let proof = gate::prove_source(context.site, &self.plan).await?;
        let source = &context.site.source.0;
        let lock = read_lock(source.as_ref(), proof.session()).await?;
        self.not_anothers(&lock)?;
        let found = source.get(proof.session(), PARAMETERS_PATH).await?;
        let entry = context.entry(ID);
        match found
            .as_deref()
            .map(|bytes| self.read(bytes, &entry))
            .transpose()?
        {
            Some(Some(facts)) if lock != Lock::Free => Ok(Observation::Done(facts)),
            // Absent, damaged, of a run that is over, or written without our lock, which is taken then: under the source lock only this run may write it.
            Some(Some(_) | None) | None => Ok(gate::retry_gate(
                &entry,
                context.now,
                self.plan.pace.short_retry(),
                self.plan.pace.silence(),
                || format!("{PARAMETERS_PATH} on the source is not this run's yet"),
            )),
        }
    }

    /// Two operators on one source would each undo what the other does there.
    fn not_anothers(&self, lock: &Lock) -> Result<(), Stop> {
        match lock.other_than(&self.plan.operator_id) {
            None => Ok(()),
            Some(owner) => Err(Stop::Failure(Failure::new(
                "OtherOperator",
                format!(
                    "source {} is used by operator {owner} ({LOCK_PATH}), this is {}: two operators must not use one source; if the other one is gone, run ibmi-clone guest install {} --take-over",
                    self.plan.source_label(),
                    self.plan.operator_id,
                    self.plan.environment
                ),
            ))),
        }
    }

    /// The facts of this run's file; `None` when it is another one's or damaged.
    fn read(&self, bytes: &[u8], entry: &Entry) -> Result<Option<Facts>, Stop> {
        let Ok(record) = Record::parse(bytes) else {
            return Ok(None);
        };
        let operator = record.text("operator");
        if operator != self.plan.operator_id {
            return Err(Stop::Failure(Failure::new(
                "OtherOperator",
                format!(
                    "{PARAMETERS_PATH} on the source belongs to operator {operator}, this is {}: two operators must not use one source; if the other one is gone, remove the file and take over with guest install --take-over",
                    self.plan.operator_id
                ),
            )));
        }
        let sum = digest(bytes);
        let ours = record.text("runToken") == self.plan.run_token;
        let as_sent = gate::given(entry).is_none_or(|sent| sent == sum);
        Ok((ours && as_sent).then(|| {
            facts([
                ("sha256", sum),
                ("writtenAt", record.text("writtenAt").to_owned()),
                ("notAfter", record.text("notAfter").to_owned()),
                ("sourceScpf", record.text("sourceScpf").to_owned()),
            ])
        }))
    }

    async fn gather(
        &self,
        context: &StepContext<'_>,
        proof: &ProvenSource,
    ) -> Result<SourceFacts, Stop> {
        let system = &proof.session().system;
        let source = &context.site.source.0;
        let scpf = queries::scpf_key(&system.scpf_entry_time).ok_or_else(|| {
            Stop::Failure(Failure::new(
                "SourceClockUnreadable",
                format!(
                    "source {} prints its SCPF entry time as {:?}, which is no time: the clone could not tell its IPLs apart",
                    self.plan.source_label(), system.scpf_entry_time
                ),
            ))
        })?;
        let clone = gate::clone_for_power(context.site, &self.plan).await?;
        let interfaces = source.query(proof.session(), INTERFACES).await?;
        let routes = source.query(proof.session(), ROUTES).await?;
        let asps = context.site.freeze.asps().await?;
        Ok(SourceFacts {
            now: system.now,
            scpf,
            clone: clone.identity,
            interfaces: queries::addresses(&interfaces),
            routes: queries::routes(&routes),
            asps: asps
                .iter()
                .map(AspName::as_str)
                .filter(|name| *name != "*SYSBAS")
                .map(str::to_owned)
                .collect(),
        })
    }

    async fn write(&self, context: &StepContext<'_>) -> Result<String, Stop> {
        let proof = gate::prove_source(context.site, &self.plan).await?;
        let read = self.gather(context, &proof).await?;
        let text = parameter_file(&self.plan, &read).map_err(|why| {
            Stop::Failure(Failure::new(
                "ParametersRefused",
                format!("the parameter file cannot be written: {why}; change that value in the environment"),
            ))
        })?;
        let source = &context.site.source.0;
        // Before the first effect on the source. Of two operators at once the second one finds the other's id, and the
        // next look says so.
        let lock = take_lock(source.as_ref(), proof.session(), &self.plan.operator_id).await?;
        if let Some(owner) = lock.other_than(&self.plan.operator_id) {
            let text = format!("operator {owner} was faster to take {LOCK_PATH}");
            return Err(DeviceError::busy(source.address(), text).into());
        }
        source
            .put(proof.session(), PARAMETERS_PATH, text.as_bytes())
            .await?;
        Ok(digest(text.as_bytes()))
    }
}

#[async_trait]
impl Step for WriteParameters {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Source]
    }
    fn incurs(&self) -> &'static [ObligationKind] {
        &[ObligationKind::RemoveParameters]
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
        let sum = self.write(context).await.map_err(Stop::refused)?;
        Ok(Some(gate::handle(&sum, context.now)))
    }
}
