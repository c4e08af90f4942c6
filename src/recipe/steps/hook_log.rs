//! Job logs of hooks, kept when their jobs end: a run whose hook failed never comes to `collect-logs`, and a HOLD has none.

use super::collect_logs::{is_error, kept, line};
use super::job::{OK, RESULT};
use crate::api::options::JobLogs;
use crate::engine::journal::Facts;
use crate::engine::step::NOTE_FACT;
use crate::recipe::log_sink::{LogKind, LogSink};
use crate::recipe::plan::Plan;
use crate::site::{DeviceError, IbmI, JobName, LogSource, Message, Session};

/// Output: messages kept, for the MSG column.
const MESSAGES: &str = "logMessages";
/// Output: errors among them, for the ERR column.
const ERRORS: &str = "logErrors";

/// Whether a log that cannot be had now is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    TryAgain,
    /// The hook's time is over: what it left is not waited for.
    GoOn,
}

/// Reads the log of an ended job and stores it, unless only the logs of failed ones are wanted. What is missing becomes a
/// note: no hook fails for its log. Storing the same lines again changes nothing, so that a repeated look is harmless.
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
) -> Result<Vec<Message>, DeviceError> {
    let source = LogSource::JobLog(JobName::new(job));
    let messages = match system.messages(session, &source).await {
        Ok(messages) => messages,
        Err(error @ DeviceError::Refused { .. }) => return Ok(missing(job, &error, out)),
        Err(error) if patience == Patience::GoOn => return Ok(missing(job, &error, out)),
        Err(error) => return Err(error),
    };
    let ended_well = out.get(RESULT).map(String::as_str) == Some(OK);
    match plan.logs.job_logs {
        JobLogs::Failed if ended_well => return Ok(messages),
        JobLogs::All | JobLogs::Failed => {}
    }
    let lines = kept(plan, messages.clone());
    let limit = plan.logs.error_severity;
    let errors = lines.iter().filter(|m| is_error(plan, m, limit)).count();
    let count = lines.len();
    let lines = lines.iter().map(|m| line(m, part)).collect();
    match sink.put(LogKind::of_hook(place), lines).await {
        Ok(stored) => {
            if let Some(why) = stored.refused {
                return Ok(missing(job, &why, out));
            }
        }
        Err(error) if patience == Patience::GoOn => return Ok(missing(job, &error, out)),
        Err(error) => return Err(DeviceError::unreachable("the log store", error)),
    }
    out.insert(MESSAGES.to_owned(), count.to_string());
    out.insert(ERRORS.to_owned(), errors.to_string());
    Ok(messages)
}

fn missing(job: &str, why: &dyn std::fmt::Display, out: &mut Facts) -> Vec<Message> {
    let note = format!("the job log of {job} is not kept: {why}");
    out.insert(format!("{NOTE_FACT}log"), note);
    Vec::new()
}
