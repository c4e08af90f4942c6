//! Step 13: first IPL, personality, re-IPL, ready. Watched through the console until the clone answers, then proved by the
//! guest kit's ready record of this very run. Sends nothing.

use super::gate::{self, Stop, facts, state_word};
use crate::api::clone_side::ScheduledJobs;
use crate::api::options::Function;
use crate::engine::journal::{Entry, Facts};
use crate::engine::step::{Failure, NOTE_FACT, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::plan::Plan;
use crate::recipe::queries::scpf_key;
use crate::recipe::records::{MARKER_PATH, READY_PATH, Record};
use crate::site::{DeviceError, PartitionState, PartitionStatus, ProofError, ProvenClone};
use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, Utc};
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "await-clone";
/// The console may show `not activated` that long in a re-IPL, seconds (`product.md` § 4 row 13).
pub(super) const OFF_SECONDS: u64 = 300;
/// Up without an answer for that long is shown to a person, seconds.
pub(super) const SILENT_SECONDS: u64 = 900;
/// No load source found (`ibmi.md` § 9): outside the B class, and as final.
pub(super) const NO_LOAD_SOURCE: &str = "C2004130";

pub(super) struct AwaitClone {
    pub(super) plan: Arc<Plan>,
}

impl AwaitClone {
    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let status = context.site.clone_partition.status().await?;
        let entry = context.entry(ID);
        let seen = self.by_state(context, &entry, &status).await?;
        Ok(self.within_limit(context, &entry, &status, seen))
    }

    /// At `iplSeconds` after the activation a clone that is not ready has failed; it is left as it is.
    fn within_limit(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        status: &PartitionStatus,
        seen: Observation,
    ) -> Observation {
        let activated = context.entry("start-clone");
        let (began, what) = match self.plan.function {
            // The save lies between: its hours are not the IPL's.
            Function::Save21 => (entry, "the save"),
            Function::Hold | Function::Brms | Function::User if activated.start.is_some() => {
                (&activated, "its activation")
            }
            Function::Hold | Function::Brms | Function::User => (entry, "its activation"),
        };
        let waited = gate::elapsed(began, context.now);
        match seen {
            Observation::Underway { message, .. }
                if waited >= self.plan.pace.seconds(self.plan.ipl_seconds) =>
            {
                Observation::broken(
                    "CloneNeverReady",
                    format!(
                        "clone {} was not ready {} s after {} (timeouts.iplSeconds); last: {}, code {}, {message}; clone and image are left as they are, look at its console",
                        self.plan.clone_label(),
                        self.plan.ipl_seconds,
                        what,
                        state_word(&status.state),
                        status.reference_code,
                    ),
                )
            }
            other => other,
        }
    }

    async fn by_state(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        status: &PartitionStatus,
    ) -> Result<Observation, Stop> {
        let clone = self.plan.clone_label();
        let code = status.reference_code.trim();
        let again = self.plan.pace.ipl(gate::elapsed(entry, context.now));
        if code.starts_with('B') || code == NO_LOAD_SOURCE {
            return Ok(Observation::broken(
                "CloneError",
                format!(
                    "clone {clone} stopped with code {code}: look it up at the console; clone and image are left as they are"
                ),
            ));
        }
        match &status.state {
            PartitionState::NotActivated => Ok(self.off(context, entry, again)),
            PartitionState::Running if code.starts_with('A') => Ok(Observation::underway(
                again,
                format!(
                    "CloneNeedsAttention: clone {clone} shows {code}: it waits for a person at its console"
                ),
            )),
            PartitionState::Running if code.is_empty() || code == "00000000" => {
                self.answers(context, entry, status, again).await
            }
            state @ (PartitionState::Running
            | PartitionState::Starting
            | PartitionState::ShuttingDown
            | PartitionState::Error
            | PartitionState::NotAvailable
            | PartitionState::Other(_)) => Ok(Observation::underway(
                again,
                format!("IPL of clone {clone}: {}, code {code}", state_word(state)),
            )),
        }
    }

    /// Some consoles show `not activated` for a while in the middle of a re-IPL.
    fn off(&self, context: &StepContext<'_>, entry: &Entry, again: Duration) -> Observation {
        let clone = self.plan.clone_label();
        let (since, age) = since(entry, "not activated", context.now);
        if age >= self.plan.pace.seconds(OFF_SECONDS) {
            return Observation::broken(
                "CloneWentDown",
                format!(
                    "clone {clone} is not activated for more than {OFF_SECONDS} s: somebody switched it off, or its IPL failed; look at its console and run again"
                ),
            );
        }
        Observation::underway(
            again,
            format!(
                "clone {clone} is not activated since {since}: a re-IPL may look like that for {OFF_SECONDS} s"
            ),
        )
    }

    async fn answers(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        status: &PartitionStatus,
        again: Duration,
    ) -> Result<Observation, Stop> {
        match gate::prove_clone(context.site, &self.plan, &status.identity).await {
            Ok(proof) => self.read_ready(context, &proof, again).await,
            Err(ProofError::Device(
                error @ (DeviceError::Unreachable { .. }
                | DeviceError::Busy { .. }
                | DeviceError::Indeterminate { .. }),
            )) => Ok(self.silent(context, entry, &status.reference_code, &error, again)),
            Err(other) => Err(other.into()),
        }
    }

    fn silent(
        &self,
        context: &StepContext<'_>,
        entry: &Entry,
        code: &str,
        error: &DeviceError,
        again: Duration,
    ) -> Observation {
        let clone = self.plan.clone_label();
        let address = context.site.clone.0.address();
        let (since, age) = since(entry, "does not answer", context.now);
        if age < self.plan.pace.seconds(SILENT_SECONDS) {
            return Observation::underway(
                again,
                format!(
                    "clone {clone} is up (code {code}) and does not answer since {since} at {address}"
                ),
            );
        }
        let lines: Vec<String> = self
            .plan
            .personality
            .interfaces
            .iter()
            .map(|i| {
                let resource = i.resource.as_deref().unwrap_or("the line's own resource");
                format!("{} on line {} ({resource})", i.address, i.line_description)
            })
            .collect();
        Observation::underway(
            again,
            format!(
                "CloneUpButSilent: clone {clone} is up, last code {code}, and does not answer since {since} at {address} ({}); check {} at its console: WRKCFGSTS *LIN, CFGTCP, and message CLN02xx in QSYSOPR",
                error.reason(),
                lines.join(", ")
            ),
        )
    }

    async fn read_ready(
        &self,
        context: &StepContext<'_>,
        proof: &ProvenClone,
        again: Duration,
    ) -> Result<Observation, Stop> {
        let clone = &context.site.clone.0;
        if let Some(marker) = clone.get(proof.session(), MARKER_PATH).await? {
            self.personality_failed(&marker)?;
        }
        let record = match clone.get(proof.session(), READY_PATH).await? {
            Some(bytes) => Record::parse(&bytes).ok(),
            None => None,
        };
        let waits = |why: &str| {
            Ok(Observation::underway(
                again,
                format!("clone {} answers, {why}", self.plan.clone_label()),
            ))
        };
        let Some(record) = record else {
            return waits("its ready record is not written yet");
        };
        if record.text("runToken") != self.plan.run_token {
            return waits("its ready record is of another run: the guard has not got to its end");
        }
        if !matches!(record.text("stage"), "2" | "3") {
            return waits("the personality is not applied yet");
        }
        let source = context
            .journal
            .output("write-parameters", "sourceScpf")
            .map(str::to_owned)
            .unwrap_or_else(|| record.text("sourceScpf").to_owned());
        let live = scpf_key(&proof.session().system.scpf_entry_time);
        if record.text("scpf") == source || live.as_deref().is_none_or(|scpf| scpf == source) {
            return waits(
                "its SCPF entry time is still the source's: it has not gone through an IPL of its own",
            );
        }
        self.judge_record(&record, proof)
    }

    fn personality_failed(&self, marker: &[u8]) -> Result<(), Stop> {
        let Ok(marker) = Record::parse(marker) else {
            return Ok(());
        };
        if marker.text("runToken") != self.plan.run_token || marker.text("state") != "FAILED" {
            return Ok(());
        }
        Err(Stop::Failure(Failure::new(
            "PersonalityFailed",
            format!(
                "the guest kit could not apply the personality on clone {}: action {} ended with {}; {}",
                self.plan.clone_label(),
                marker.text("failed"),
                marker.text("failedId"),
                advice(marker.text("failedId"))
            ),
        )))
    }

    fn judge_record(&self, record: &Record, proof: &ProvenClone) -> Result<Observation, Stop> {
        let found = &proof.session().system.identity;
        let said = (record.text("serialNumber"), record.text("partitionId"));
        if said != (&found.serial_number, &found.partition_id.to_string()) {
            return Err(Stop::Failure(Failure::new(
                "IdentityUnexpected",
                format!(
                    "the ready record names serial {} partition {}, but {found} answers: the record is not of this partition",
                    said.0, said.1
                ),
            )));
        }
        let must_hold = match self.plan.personality.scheduled_jobs {
            ScheduledJobs::Hold => true,
            ScheduledJobs::Keep => false,
        };
        if must_hold {
            self.schedules_held(record)?;
        }
        Ok(Observation::Done(output(record)))
    }

    /// What the kit read back of the job schedule and of the Advanced Job Scheduler.
    fn schedules_held(&self, record: &Record) -> Result<(), Stop> {
        let clone = self.plan.clone_label();
        let not_held = |text: String| {
            Err(Stop::Failure(Failure::new(
                "SchedulesNotHeld",
                format!("{text}; find out who released them"),
            )))
        };
        let scheduled = record.text("jobsScheduled");
        if !matches!(scheduled, "0" | "") {
            return not_held(format!(
                "{scheduled} job schedule entries are not held on clone {clone}: production's jobs would run there; hold them with HLDJOBSCDE"
            ));
        }
        let monitors = record.text("js1Monitors");
        match record.text("js1") {
            "Absent" | "Held" if matches!(monitors, "0" | "") => Ok(()),
            state => not_held(format!(
                "the Advanced Job Scheduler on clone {clone} is not held ({state:?}, monitors active: {monitors:?}): production's jobs would run there; end it with ENDJS OPTION(*MONITOR) DTALIB(*ALL)"
            )),
        }
    }
}

/// What a person does about an action that failed, by its message (`ibmi/CONTRACT.md` § 9).
fn advice(id: &str) -> &'static str {
    match id {
        "CLN0215" => {
            "a monitor of the Advanced Job Scheduler was active on the clone before the guard ran, so production's jobs may have run there: on production, CHGDLJS DTALIB(...) AUTOSTART(*NO) and let the start-up program start it (STRJS), then run again"
        }
        "CLN0216" => {
            "the Advanced Job Scheduler is installed, but none of its data libraries was found: name them in clone.personality.jobScheduler.dataLibraries, then run again"
        }
        _ => "see /ibmiclone/kit.log there",
    }
}

fn output(record: &Record) -> Facts {
    let mut out = facts([
        ("readyAt", record.text("readyAt").to_owned()),
        ("scpf", record.text("scpf").to_owned()),
        ("reIpls", record.text("reIpls").to_owned()),
        ("systemName", record.text("systemName").to_owned()),
    ]);
    let warnings = record.text("warnings");
    if !warnings.is_empty() {
        out.insert(
            format!("{WARNING_FACT}kit"),
            format!("the guest kit on the clone reports {warnings}: see /ibmiclone/kit.log there"),
        );
    }
    if record.text("stage") == "3" {
        out.insert(
            format!("{NOTE_FACT}stage"),
            "the clone's controlling subsystem was started again since it was ready".to_owned(),
        );
    }
    out
}

/// Since when a wait of this kind lasts. The only memory between two looks is the step's own message, so the time is
/// written into it and found there again.
pub(super) fn since(entry: &Entry, kind: &str, now: DateTime<Utc>) -> (String, Duration) {
    let marker = format!("{kind} since ");
    let known = entry
        .message
        .as_deref()
        .and_then(|m| m.split_once(&marker))
        .map(|(_, rest)| rest.chars().take(20).collect::<String>())
        .filter(|text| DateTime::parse_from_rfc3339(text).is_ok());
    let text = known.unwrap_or_else(|| now.to_rfc3339_opts(SecondsFormat::Secs, true));
    let age = DateTime::parse_from_rfc3339(&text)
        .ok()
        .and_then(|then| (now - then.with_timezone(&Utc)).to_std().ok())
        .unwrap_or_default();
    (text, age)
}

#[async_trait]
impl Step for AwaitClone {
    fn id(&self) -> &'static str {
        ID
    }
    /// A little more than `iplSeconds`, so that the step itself says why.
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(self.plan.ipl_seconds + 300)
    }
    /// With SAVE21 the save is over before this step: its logs are worth keeping without it.
    fn forgone(&self) -> bool {
        self.plan.function == Function::Save21
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.silence();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn act(&self, _context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        Ok(None)
    }
}
