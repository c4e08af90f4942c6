//! The last step of an environment with `logs.onSource`: row and logs on production, for those who look there, and a
//! message to QSYSOPR.
//!
//! It comes hours after production was resumed, so another run may have production suspended by then: the source's lock is
//! borrowed for each turn, and without it nothing is asked there. What fails here is a Warning; it is no reason to doubt
//! the image.

use super::gate::{self, Stop, facts};
use super::{collect_logs, hook_log, start_copy};
use crate::api::options::{Function, OnSource};
use crate::engine::journal::{EntryState, Facts, Journal, Phase};
use crate::engine::step::{Failure, LockKind, NOTE_FACT, Observation, Step, StepContext};
use crate::recipe::log_sink::{LogKind, LogSink};
use crate::recipe::plan::Plan;
use crate::recipe::surroundings::{END_OF_IMAGE, TELL_SOURCE};
use crate::site::{ClCommand, DeviceError, IbmI, Session, cl_quote};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Longest file: the logs in ConfigMaps have the rest.
const LONGEST: usize = 4 << 20;
/// Most files of earlier runs removed by one run.
const MOST_REMOVED: usize = 200;
/// SNDMSG is sent again after a lost answer, but not for ever.
const TRIES: i32 = 3;
/// Kind of the file with the row.
const ROW: &str = "row";

pub(super) struct TellSource {
    pub(super) plan: Arc<Plan>,
    pub(super) sink: Arc<dyn LogSink>,
}

impl TellSource {
    fn wish(&self) -> Result<&OnSource, Stop> {
        self.plan.logs.on_source.as_ref().ok_or_else(|| {
            Stop::Failure(Failure::new(
                "RecipeUnknown",
                "logs.onSource is not in the environment as it was when the run opened",
            ))
        })
    }

    async fn look(&self, context: &StepContext<'_>) -> Result<Observation, Stop> {
        let entry = context.entry(TELL_SOURCE);
        let directory = &self.wish()?.directory;
        let done = || {
            let text = format!(
                "row and logs of this run are on source {} in {directory}",
                self.plan.source_label()
            );
            Ok(Observation::Done(facts([(
                &format!("{NOTE_FACT}onSource"),
                text,
            )])))
        };
        // The message is sent last: its own exit status says that all was done.
        if gate::given(&entry).is_some() {
            return done();
        }
        let proof = gate::prove_source(context.site, &self.plan).await?;
        if gate::unsent(&entry) {
            return Ok(Observation::Absent);
        }
        if self.was_told(context, proof.session()).await? {
            return done();
        }
        if entry.attempts >= TRIES {
            return Ok(Observation::broken(
                "SourceNotTold",
                format!(
                    "after {TRIES} tries it is not known whether QSYSOPR of source {} was told; look there and in {directory}",
                    self.plan.source_label()
                ),
            ));
        }
        let wait = self.plan.pace.short_retry();
        Ok(gate::retry_gate(&entry, context.now, wait, wait, || {
            "row and logs are being put on the source".to_owned()
        }))
    }

    /// Whether the message of this run stands in QSYSOPR.
    async fn was_told(
        &self,
        context: &StepContext<'_>,
        session: &Session,
    ) -> Result<bool, DeviceError> {
        let sql = format!(
            "SELECT MESSAGE_TEXT FROM QSYS2.MESSAGE_QUEUE_INFO WHERE MESSAGE_QUEUE_NAME = 'QSYSOPR' \
             AND MESSAGE_TEXT LIKE '%{}%' FETCH FIRST 1 ROW ONLY",
            self.plan.run_token
        );
        let rows = context.site.source.0.query(session, &sql).await?;
        Ok(!rows.is_empty())
    }

    async fn tell(&self, context: &StepContext<'_>) -> Result<Option<String>, Stop> {
        let wish = self.wish()?;
        let proof = gate::prove_source(context.site, &self.plan).await?;
        let system = context.site.source.0.as_ref();
        let there = There {
            system,
            session: proof.session(),
            directory: &wish.directory,
            environment: &self.plan.environment,
        };
        there.make_directory().await?;
        let row = format!("{}\n", self.row(context));
        let name = |kind: &str| {
            let day = started(context.journal, context.now).format("%Y%m%d");
            let number = self.plan.run_number;
            file_name(&self.plan.environment, number, &day.to_string(), kind)
        };
        there.put(&name(ROW), row.as_bytes()).await?;
        for kind in self.kinds() {
            let text = self.sink.text(kind, LONGEST).await;
            if let Some(text) = text.map_err(collect_logs::store_error)? {
                there.put(&name(kind.as_str()), text.as_bytes()).await?;
            }
        }
        let oldest = context.now - TimeDelta::days(i64::from(wish.retain_days));
        there.forget(oldest.date_naive()).await?;
        let message = cl_quote(&self.message(context));
        let command = ClCommand::new(format!(
            "SNDMSG MSG({message}) TOMSGQ(QSYS/QSYSOPR) MSGTYPE(*INFO)"
        ));
        let done = system.run(proof.session(), &command).await?;
        if !done.succeeded {
            let said: Vec<String> = done
                .messages
                .iter()
                .map(|m| format!("{} {}", m.id, m.text))
                .collect();
            let code = done.messages.last().map_or("CommandFailed", |m| &m.id);
            let error = DeviceError::refused(system.address(), code, said.join("; "));
            return Err(error.into());
        }
        Ok(Some(gate::handle("told", context.now)))
    }

    fn kinds(&self) -> Vec<LogKind> {
        let mut kinds = vec![LogKind::Steps];
        let jobs = self.plan.function_jobs().max(1);
        kinds.extend((0..jobs).map(LogKind::of_program));
        kinds.extend((0..self.plan.hooks.len()).map(LogKind::of_hook));
        kinds.extend([LogKind::History, LogKind::Brms]);
        kinds
    }

    /// The row as it will be, in one line of JSON.
    fn row(&self, context: &StepContext<'_>) -> String {
        let (journal, plan) = (context.journal, &self.plan);
        let verdict = journal.verdict.as_ref();
        let (messages, errors) = hook_log::counted(journal);
        json!({
            "environment": plan.environment,
            "namespace": plan.namespace,
            "run": plan.run,
            "number": plan.run_number,
            "function": plan.function.as_str(),
            "state": state_word(journal, plan),
            "started": journal.started_at.map(|t| t.to_string()),
            "written": crate::engine::time::Timestamp::new(context.now).to_string(),
            "imageTaken": journal.entry(start_copy::ID).and_then(|e| e.end).map(|t| t.to_string()),
            "frozenMilliseconds": journal.window.as_ref().and_then(|w| w.milliseconds),
            "messages": messages,
            "errors": errors,
            "reason": verdict.map(|v| v.reason.clone()),
            "message": verdict.map(|v| v.message.clone()),
            "warnings": journal.warnings,
            "token": plan.run_token,
        })
        .to_string()
    }

    /// One line for QSYSOPR. The token finds it again.
    fn message(&self, context: &StepContext<'_>) -> String {
        let (journal, plan) = (context.journal, &self.plan);
        let (messages, errors) = hook_log::counted(journal);
        let count = |n: Option<i64>| n.map_or("no".to_owned(), |n| n.to_string());
        let mut text = format!(
            "IBMICLONE {}/{} {}: {} messages, {} errors",
            plan.environment,
            plan.run_number,
            state_word(journal, plan),
            count(messages),
            count(errors),
        );
        if let Some(frozen) = journal.window.as_ref().and_then(|w| w.milliseconds) {
            text.push_str(&format!(", users held {frozen} ms"));
        }
        if let Some(verdict) = &journal.verdict {
            text.push_str(&format!(", {}", verdict.reason));
        }
        text.push_str(&format!(" (run {}, token {})", plan.run, plan.run_token));
        text
    }
}

/// The word of the history display that this run will end with.
fn state_word(journal: &Journal, plan: &Plan) -> String {
    let ended = journal.entry(END_OF_IMAGE);
    match journal.verdict.as_ref().map(|v| v.phase) {
        Some(Phase::Failed) => "ERROR".to_owned(),
        Some(Phase::Cancelled) => "CANCELLED".to_owned(),
        Some(
            Phase::Succeeded
            | Phase::Warning
            | Phase::Skipped
            | Phase::Pending
            | Phase::Queued
            | Phase::Running
            | Phase::Cancelling,
        )
        | None => match plan.function {
            _ if ended.is_some_and(|e| e.state == EntryState::Done) => "END_FC".to_owned(),
            Function::Hold => "HOLD".to_owned(),
            Function::Brms | Function::Save21 | Function::User => {
                format!("{}_END", plan.function.as_str())
            }
        },
    }
}

fn started(journal: &Journal, now: DateTime<Utc>) -> DateTime<Utc> {
    journal.started_at.map_or(now, |t| t.utc())
}

/// `ibmiclone-ENV-000012-20261123-steps.jsonl`: the day is that of the run's start, by our clock.
fn file_name(environment: &str, number: i64, day: &str, kind: &str) -> String {
    format!("ibmiclone-{environment}-{number:06}-{day}-{kind}.jsonl")
}

/// The day in the name of a file that this operator has written for this environment. Any other file is not ours.
fn day_of(name: &str, environment: &str) -> Option<NaiveDate> {
    let rest = name.strip_prefix(&format!("ibmiclone-{environment}-"))?;
    let (number, rest) = rest.split_once('-')?;
    let (day, kind) = rest.split_once('-')?;
    let kind = kind.strip_suffix(".jsonl")?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let job_log = |kind: &str| {
        let place = kind.strip_prefix("joblog-");
        let place = place.map(|p| p.strip_prefix("hook-").unwrap_or(p));
        place.is_some_and(|n| !n.is_empty() && digits(n))
    };
    let known = [ROW, "steps", "joblog", "history", "brms"].contains(&kind) || job_log(kind);
    let ours = known && number.len() >= 6 && digits(number) && day.len() == 8 && digits(day);
    ours.then(|| NaiveDate::parse_from_str(day, "%Y%m%d").ok())
        .flatten()
}

/// The directory on production.
struct There<'a> {
    system: &'a dyn IbmI,
    session: &'a Session,
    /// Only characters that need no escape inside single quotes: a rule of the schema.
    directory: &'a str,
    environment: &'a str,
}

impl There<'_> {
    async fn shell(&self, line: &str) -> Result<Vec<u8>, DeviceError> {
        let done = self.system.shell(self.session, line, b"").await?;
        if done.succeeded {
            return Ok(done.output);
        }
        Err(DeviceError::refused(
            self.system.address(),
            "FileRefused",
            format!(
                "{line}: {}; check logs.onSource.directory and what the profile may do there",
                done.error
            ),
        ))
    }

    async fn make_directory(&self) -> Result<(), DeviceError> {
        self.shell(&format!("mkdir -p '{}'", self.directory))
            .await
            .map(drop)
    }

    async fn put(&self, name: &str, content: &[u8]) -> Result<(), DeviceError> {
        let path = format!("{}/{name}", self.directory);
        self.system.put(self.session, &path, content).await
    }

    /// Removes files of this environment that are older. Only those whose name we would give.
    async fn forget(&self, oldest: NaiveDate) -> Result<(), DeviceError> {
        let listing = self.shell(&format!("ls -a '{}'", self.directory)).await?;
        let listing = String::from_utf8_lossy(&listing);
        let old = listing
            .lines()
            .map(str::trim)
            .filter(|name| day_of(name, self.environment).is_some_and(|day| day < oldest));
        for name in old.take(MOST_REMOVED) {
            let path = format!("{}/{name}", self.directory);
            self.system.remove(self.session, &path).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Step for TellSource {
    fn id(&self) -> &'static str {
        TELL_SOURCE
    }
    fn limit(&self) -> Duration {
        self.plan.pace.seconds(15 * 60)
    }
    fn borrows(&self) -> Option<LockKind> {
        Some(LockKind::Source)
    }
    fn failure_means(&self) -> Phase {
        Phase::Warning
    }
    /// A failed night is what people there want to read of most.
    fn after_failure(&self, journal: &Journal) -> bool {
        journal
            .entry("write-parameters")
            .is_some_and(|e| e.state != EntryState::Pending)
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
        self.tell(context).await.map_err(Stop::refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::fakes;

    #[test]
    fn the_job_log_of_every_control_group_is_put_there() {
        let mut plan = fakes::plan("BRMS");
        let brms = plan.brms.as_mut().expect("its block is there");
        brms.control_groups = ["*SYSGRP", "DAILY", "WEEKLY"].map(str::to_owned).to_vec();
        let step = TellSource {
            plan: Arc::new(plan),
            sink: fakes::world().sink(),
        };
        let names: Vec<&str> = step.kinds().into_iter().map(LogKind::as_str).collect();
        let wanted = ["steps", "joblog", "joblog-2", "joblog-3", "history", "brms"];
        assert_eq!(names, wanted);
    }

    #[test]
    fn only_files_of_this_environment_that_we_wrote_are_ours() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 23);
        let of = |name: &str| day_of(name, "nightly");
        for kind in [
            "row",
            "steps",
            "joblog",
            "joblog-16",
            "joblog-hook-16",
            "history",
            "brms",
        ] {
            let name = file_name("nightly", 12, "20261123", kind);
            assert_eq!(of(&name), day, "{name}");
        }
        assert_eq!(of(&file_name("nightly", 1_234_567, "20261123", "row")), day);
        for foreign in [
            "ibmiclone-nightly-2-000012-20261123-steps.jsonl",
            "ibmiclone-nightly-000012-20261123-000001-20261123-steps.jsonl",
            "ibmiclone-nightly-000012-20261123-notes.jsonl",
            "ibmiclone-nightly-000012-20261123-steps.txt",
            "ibmiclone-nightly-000012-20261399-steps.jsonl",
            "ibmiclone-nightly-12-20261123-steps.jsonl",
            "nightly-000012-20261123-steps.jsonl",
            "..",
        ] {
            assert_eq!(of(foreign), None, "{foreign}");
        }
    }
}
