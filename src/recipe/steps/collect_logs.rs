//! Step 15: logs leave the clone before it can vanish: our own steps, the function's job log, the history log since the
//! flash. Counting follows `ibmi.md` § 8.3.

use super::gate::{self, Stop, facts};
use super::prepare_copy;
use super::seen::{Judged, Seen};
use super::{run_function, run_group};
use crate::api::options::JobLogs;
use crate::api::saves::Brms;
use crate::engine::journal::{EntryState, Facts, Journal};
use crate::engine::ports::StoreError;
use crate::engine::step::{LockKind, NOTE_FACT, Observation, Step, StepContext, WARNING_FACT};
use crate::recipe::brms::{Log, MOST, There, is_error};
use crate::recipe::log_sink::{LogKind, LogLine, LogSink, LogWriter};
use crate::recipe::plan::Plan;
use crate::recipe::queries::{local_text, local_time, since_ipl};
use crate::site::{DeviceError, JobName, LogSource, Message, ProvenClone};
use async_trait::async_trait;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

pub(super) const ID: &str = "collect-logs";
/// Output: messages recorded, the MSG column.
pub(super) const MESSAGES: &str = "messages";
/// Output: errors among them, the ERR column.
pub(super) const ERRORS: &str = "errors";
/// Output: errors in the job logs of the function's programs.
pub(super) const JOB_ERRORS: &str = "jobErrors";
/// Output: last error messages of the function's job, one per line.
pub(super) const FAILURE_TAIL: &str = "failureTail";
/// Output: what the log store said when it took a log no more; a log that is not stored fails no run.
pub const NOT_STORED: &str = "notStored";
/// Whose logs these are, in each line.
const PART: &str = "clone";
/// No message has a severity like this.
const NEVER: i32 = 100;

pub(super) struct CollectLogs {
    pub(super) plan: Arc<Plan>,
    pub(super) sink: Arc<dyn LogSink>,
}

/// What one collection counted; it is the step's handle, so that a restarted operator need not read the logs again.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    messages: i64,
    errors: i64,
    job_errors: i64,
    tail: Vec<String>,
    notes: Vec<String>,
    /// What the log store said when it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl CollectLogs {
    fn kinds(&self, context: &StepContext<'_>) -> Vec<LogKind> {
        let mut kinds = vec![LogKind::Steps, LogKind::History];
        kinds.extend(self.plan.brms.as_ref().map(|_| LogKind::Brms));
        let wanted = self.wanted_job_logs(context.journal);
        kinds.extend(wanted.into_iter().map(|(kind, _, _)| kind));
        kinds
    }

    /// Job logs that are kept: kind, step, and from which severity on a message is an error. A program that was never called
    /// has none.
    fn wanted_job_logs(&self, journal: &Journal) -> Vec<(LogKind, &'static str, i32)> {
        let jobs = run_function::jobs(&self.plan);
        // What a save did is told by the BRMS log; the same messages in its job's log are not counted again.
        let groups = run_group::groups(&self.plan).map(|(step, _)| (step, NEVER));
        let jobs = jobs.into_iter().chain(groups).enumerate();
        jobs.filter(|(place, (step, _))| {
            let called = *place == 0 || journal.output(step, run_function::JOB).is_some();
            let ended_well = journal.output(step, run_function::RESULT) == Some(run_function::OK);
            match self.plan.logs.job_logs {
                JobLogs::All => called,
                JobLogs::Failed => called && !ended_well,
            }
        })
        .map(|(place, (step, limit))| (LogKind::of_program(place), step, limit))
        .collect()
    }

    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(ID);
        let counts: Option<Counts> = entry
            .handle
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        let mut stored = !gate::unsent(&entry);
        for kind in self.kinds(context) {
            stored &= self.sink.has(kind).await.map_err(store_error)?.is_some();
        }
        // What was refused is not asked for again: a person must make room first, and the run does not wait for that.
        if let Some(counts) = counts
            && (stored || (counts.refused.is_some() && !gate::unsent(&entry)))
        {
            return Ok(Observation::Done(output(&counts)));
        }
        Ok(gate::retry_gate(
            &entry,
            context.now,
            self.plan.pace.short_retry(),
            self.plan.pace.short_retry(),
            || "the logs are being fetched from the clone".to_owned(),
        ))
    }

    async fn collect(&self, context: &StepContext<'_>) -> Result<Counts, Stop> {
        let mut counts = Counts::default();
        let steps = step_lines(context.journal);
        self.put(LogKind::Steps, steps, &mut counts).await?;
        let status = context.site.clone_partition.status().await?;
        let proof = gate::prove_clone(context.site, &self.plan, &status.identity).await?;
        for log in self.wanted_job_logs(context.journal) {
            self.job_log(context, &proof, log, &mut counts).await?;
        }
        if let Some(brms) = &self.plan.brms {
            self.brms_log(context, &proof, brms, &mut counts).await?;
        }
        self.history(context, &proof, &mut counts).await?;
        Ok(counts)
    }

    async fn job_log(
        &self,
        context: &StepContext<'_>,
        proof: &ProvenClone,
        (kind, step, limit): (LogKind, &str, i32),
        counts: &mut Counts,
    ) -> Result<(), Stop> {
        let job = context.journal.output(step, run_function::JOB);
        let result = context.journal.output(step, run_function::RESULT);
        let Some(job) = job.filter(|_| result != Some(run_function::NOT_STARTED)) else {
            return self.put(kind, Vec::new(), counts).await;
        };
        let source = LogSource::JobLog(JobName::new(job));
        let system = &context.site.clone.0;
        let mut writer = self.sink.begin(kind);
        let mut seen = Seen::default();
        let mut each = |message: Message| {
            let part = (&message, PART);
            seen.take(&self.plan.logs, part, Judged::From(limit), writer.as_mut());
        };
        match system.messages(proof.session(), &source, &mut each).await {
            Ok(()) => {}
            // A job that is gone with its spooled files has no log any more; the run does not fail for it.
            Err(error @ DeviceError::Refused { .. }) => {
                counts
                    .notes
                    .push(format!("the job log of {job} could not be read: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        counts.job_errors += seen.errors;
        // The tail is of the program that failed, if one did.
        if counts.tail.is_empty() || result != Some(run_function::OK) {
            counts.tail = seen.tail.iter().cloned().collect();
        }
        counts.add(&seen);
        self.store(kind, writer, counts).await
    }

    /// The BRMS log since the flash: what was there before is production's.
    async fn brms_log(
        &self,
        context: &StepContext<'_>,
        proof: &ProvenClone,
        brms: &Brms,
        counts: &mut Counts,
    ) -> Result<(), Stop> {
        let there = There {
            system: context.site.clone.0.as_ref(),
            session: proof.session(),
        };
        let since = history_since(context);
        let messages = match (Log::open(there).await?, since) {
            (Some(log), Some(since)) => log.since(there, &since).await?,
            (None, _) | (_, None) => {
                counts.notes.push(
                    "the BRMS log was not read: the clone has no view QUSRBRM.BRMS_LOG_INFO (INZBRM OPTION(*SQLSRVINZ) creates it), or the time of the flash is not known".to_owned(),
                );
                Vec::new()
            }
        };
        let mut writer = self.sink.begin(LogKind::Brms);
        let mut seen = Seen::default();
        for message in &messages {
            let judged = match is_error(brms, message) {
                true => Judged::Error,
                false => Judged::Fine,
            };
            seen.take(&self.plan.logs, (message, PART), judged, writer.as_mut());
        }
        if messages.len() >= MOST {
            let last = messages.last().map_or("", |m| &m.timestamp);
            let text = format!(
                "the BRMS log has {MOST} messages since the copy until {last}: what came later is neither kept nor counted, DSPLOGBRM on the clone shows it"
            );
            writer.line(&LogLine {
                ts: last.to_owned(),
                part: "operator".into(),
                sev: 20,
                text: text.clone(),
                ..LogLine::default()
            });
            counts.notes.push(text);
        }
        counts.add(&seen);
        counts.tail = seen.tail.into_iter().collect();
        self.store(LogKind::Brms, writer, counts).await
    }

    async fn history(
        &self,
        context: &StepContext<'_>,
        proof: &ProvenClone,
        counts: &mut Counts,
    ) -> Result<(), Stop> {
        let since = history_since(context).unwrap_or_else(|| {
            counts.notes.push(
                "the source's clock was not readable before the flash: the history log begins at the clone's last IPL".to_owned(),
            );
            since_ipl(&proof.session().system)
        });
        // Before the flash the clone's history log is production's: the disks are the same.
        let from = local_time(&since);
        let source = LogSource::History { since };
        let system = &context.site.clone.0;
        let limit = self.plan.logs.error_severity;
        let mut writer = self.sink.begin(LogKind::History);
        let mut seen = Seen::default();
        let mut each = |message: Message| {
            let ours = match (from, local_time(&message.timestamp)) {
                (Some(from), Some(at)) => at >= from,
                (Some(_) | None, Some(_) | None) => true,
            };
            if ours {
                let part = (&message, PART);
                seen.take(&self.plan.logs, part, Judged::From(limit), writer.as_mut());
            }
        };
        let session = proof.session();
        system.messages(session, &source, &mut each).await?;
        counts.add(&seen);
        self.store(LogKind::History, writer, counts).await
    }

    async fn put(
        &self,
        kind: LogKind,
        lines: Vec<LogLine>,
        counts: &mut Counts,
    ) -> Result<(), Stop> {
        let mut writer = self.sink.begin(kind);
        lines.iter().for_each(|line| writer.line(line));
        self.store(kind, writer, counts).await
    }

    /// A refusal counts: the messages are counted all the same, and the row says what is missing.
    async fn store(
        &self,
        kind: LogKind,
        writer: Box<dyn LogWriter + '_>,
        counts: &mut Counts,
    ) -> Result<(), Stop> {
        let stored = writer.finish().await.map_err(store_error)?;
        if let Some(why) = stored.refused {
            let why = format!("log {} could not be stored: {why}", kind.as_str());
            counts.refused.get_or_insert(why);
        }
        Ok(())
    }
}

impl Counts {
    fn add(&mut self, seen: &Seen) {
        self.messages += seen.messages;
        self.errors += seen.errors;
    }
}

/// From when on the clone's history log is of this run, by the clock the clone inherited: the source's local time read
/// just before prepare-copy, plus what passed on our clock until the window opened. Only a length is added; the two
/// clocks are never compared.
pub(in crate::recipe) fn history_since(context: &StepContext<'_>) -> Option<String> {
    let prepare = context.journal.entry("prepare-copy")?;
    let clock = prepare.baseline.get(prepare_copy::SOURCE_CLOCK)?;
    let read = gate::first_sent(prepare)?;
    let window = context.journal.window.as_ref();
    let passed = window
        .and_then(|w| w.started_at)
        .map_or(0, |opened| (opened.utc() - read).num_milliseconds().max(0));
    let time = local_time(clock)?.checked_add_signed(TimeDelta::milliseconds(passed))?;
    Some(local_text(time))
}

/// Our own log of the steps: the full record of a run whose object is slimmed in its last write. Also used by whoever
/// stores the log once more at the very end.
pub fn step_lines(journal: &Journal) -> Vec<LogLine> {
    let operator = |ts: String, job: &str, id: &str, sev: u8, text: String| LogLine {
        ts,
        part: "operator".into(),
        job: job.into(),
        id: id.into(),
        sev,
        text,
        ..LogLine::default()
    };
    let mut lines = Vec::new();
    for entry in &journal.steps {
        let time = |t: Option<crate::engine::time::Timestamp>| {
            t.map(|t| t.to_string()).unwrap_or_default()
        };
        if entry.state == EntryState::Pending {
            continue;
        }
        let sev = if entry.state == EntryState::Failed {
            40
        } else {
            0
        };
        let text = serde_json::to_string(entry).unwrap_or_default();
        lines.push(operator(
            time(entry.end.or(entry.start)),
            &entry.name,
            "STEP",
            sev,
            text,
        ));
    }
    for owed in &journal.obligations {
        let at = owed.met.unwrap_or(owed.since).to_string();
        let sev = if owed.met.is_some() { 0 } else { 40 };
        let text = serde_json::to_string(owed).unwrap_or_default();
        lines.push(operator(at, &owed.step, "OBLIGATION", sev, text));
    }
    for reply in &journal.replies {
        let text = serde_json::to_string(reply).unwrap_or_default();
        lines.push(operator(reply.at.to_string(), "", "REPLY", 0, text));
    }
    if let Some(window) = &journal.window {
        let at = window.opened.map(|t| t.to_string()).unwrap_or_default();
        let text = serde_json::to_string(window).unwrap_or_default();
        lines.push(operator(at, "suspend-source", "WINDOW", 0, text));
    }
    for text in &journal.warnings {
        lines.push(operator(String::new(), "", "WARNING", 20, text.clone()));
    }
    for text in &journal.notes {
        lines.push(operator(String::new(), "", "NOTE", 0, text.clone()));
    }
    lines
}

fn output(counts: &Counts) -> Facts {
    let mut out = facts([
        (MESSAGES, counts.messages.to_string()),
        (ERRORS, counts.errors.to_string()),
        (JOB_ERRORS, counts.job_errors.to_string()),
        (FAILURE_TAIL, counts.tail.join("\n")),
    ]);
    for (n, note) in counts.notes.iter().enumerate() {
        out.insert(format!("{NOTE_FACT}logs{n}"), note.clone());
    }
    if let Some(why) = &counts.refused {
        out.insert(NOT_STORED.to_owned(), why.clone());
        out.insert(format!("{WARNING_FACT}logs"), why.clone());
    }
    out
}

/// A store that cannot be reached is asked again; a run that is gone needs no logs.
pub(super) fn store_error(error: StoreError) -> Stop {
    let device = "the log store";
    Stop::Device(match error {
        StoreError::Lost(text) | StoreError::Forbidden(text) => {
            DeviceError::unreachable(device, text)
        }
        StoreError::Conflict => DeviceError::busy(device, error),
        StoreError::Gone => DeviceError::refused(device, "Gone", error),
    })
}

#[async_trait]
impl Step for CollectLogs {
    fn id(&self) -> &'static str {
        ID
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(30 * 60)
    }
    fn locks(&self) -> &'static [LockKind] {
        &[LockKind::Clone]
    }
    fn gathers(&self) -> bool {
        true
    }
    async fn observe(&self, context: &StepContext<'_>) -> Observation {
        let again = self.plan.pace.short_retry();
        self.look(context)
            .await
            .unwrap_or_else(|stop| stop.observed(again))
    }
    async fn baseline(&self, context: &StepContext<'_>) -> Result<Facts, DeviceError> {
        Ok(gate::stamp(context.now))
    }
    async fn act(&self, context: &StepContext<'_>) -> Result<Option<String>, DeviceError> {
        let counts = self.collect(context).await.map_err(Stop::refused)?;
        Ok(serde_json::to_string(&counts).ok())
    }
}
