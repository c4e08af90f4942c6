//! Job logs of hooks, kept when their jobs end: a run whose hook failed never comes to `collect-logs`, and a HOLD has none.

use super::collect_logs;
use super::job::{OK, RESULT};
use super::seen::{Judged, Seen, cut};
use crate::api::options::JobLogs;
use crate::engine::journal::{Facts, Journal};
use crate::engine::step::NOTE_FACT;
use crate::recipe::log_sink::{LogKind, LogSink};
use crate::recipe::plan::Plan;
use crate::site::{DeviceError, IbmI, JobName, LogSource, Message, Session};

/// Output: messages kept, for the MSG column. There when the log is.
pub(super) const MESSAGES: &str = "logMessages";
/// Output: errors among them, for the ERR column.
const ERRORS: &str = "logErrors";
/// Messages of a job log from this severity on are told of a failed hook.
const TOLD_FROM: u8 = 30;

/// Whether a log that cannot be had now is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    TryAgain,
    /// The hook's time is over, or production waits: what it left is not waited for.
    GoOn,
}

/// Messages and errors of a run: of its collected logs and of its hooks' logs. `None` = no log was read.
pub fn counted(journal: &Journal) -> (Option<i64>, Option<i64>) {
    let sum = |keys: [&str; 2]| {
        let outputs = journal.steps.iter().map(|entry| &entry.output);
        let counts = outputs.flat_map(|out| keys.iter().filter_map(|key| out.get(*key)));
        counts
            .filter_map(|n| n.parse::<i64>().ok())
            .reduce(|a, b| a + b)
    };
    (
        sum([collect_logs::MESSAGES, MESSAGES]),
        sum([collect_logs::ERRORS, ERRORS]),
    )
}

/// Reads the log of an ended job and stores it, unless only the logs of failed ones are wanted; gives its last error. What
/// is missing becomes a note: no hook fails for its log. Storing the same lines again changes nothing, so that a repeated
/// look is harmless.
///
/// # Errors
/// The system or the log store cannot be asked now, and there is time.
pub(super) async fn keep(
    plan: &Plan,
    sink: &dyn LogSink,
    (place, part): (usize, &str),
    (system, session): (&dyn IbmI, &Session),
    (job, out): (&str, &mut Facts),
    patience: Patience,
) -> Result<Option<String>, DeviceError> {
    let ended_well = out.get(RESULT).map(String::as_str) == Some(OK);
    match plan.logs.job_logs {
        JobLogs::Failed if ended_well => return Ok(None),
        JobLogs::All | JobLogs::Failed => {}
    }
    let source = LogSource::JobLog(JobName::new(job));
    let limit = Judged::From(plan.logs.error_severity);
    let mut writer = sink.begin(LogKind::of_hook(place));
    let (mut seen, mut last_error) = (Seen::default(), None);
    let mut each = |message: Message| {
        if message.severity >= TOLD_FROM {
            last_error = Some(cut(&format!("{} {}", message.id, message.text)));
        }
        seen.take(&plan.logs, (&message, part), limit, writer.as_mut());
    };
    let give_up = |error: &DeviceError| match error {
        DeviceError::Refused { .. } => true,
        DeviceError::Unreachable { .. }
        | DeviceError::Busy { .. }
        | DeviceError::Indeterminate { .. } => patience == Patience::GoOn,
    };
    match system.messages(session, &source, &mut each).await {
        Ok(()) => {}
        Err(error) if give_up(&error) => {
            missing(job, &error, out);
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    match writer.finish().await {
        Ok(stored) => match stored.refused {
            None => {}
            Some(why) => {
                missing(job, &why, out);
                return Ok(last_error);
            }
        },
        Err(error) if patience == Patience::GoOn => {
            missing(job, &error, out);
            return Ok(last_error);
        }
        Err(error) => return Err(DeviceError::unreachable("the log store", error)),
    }
    out.insert(MESSAGES.to_owned(), seen.messages.to_string());
    out.insert(ERRORS.to_owned(), seen.errors.to_string());
    Ok(last_error)
}

fn missing(job: &str, why: &dyn std::fmt::Display, out: &mut Facts) {
    let note = format!("the job log of {job} is not kept: {why}");
    out.insert(format!("{NOTE_FACT}log"), note);
}
