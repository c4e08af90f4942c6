//! The newest messages of a job of the function that runs, for the live tail. News, not evidence: what cannot be read now
//! is not told, and the whole log is collected when the job has ended.

use crate::engine::step::StepContext;
use crate::recipe::log_sink::{LogLine, LogSink};
use crate::recipe::queries::column;
use crate::site::{JobName, JobState, JobStatus, Row, Session};
use std::time::Instant;

/// Messages asked for per look.
const NEWEST: usize = 20;

/// Asks for the newest messages and hands them over, where somebody wants them now. `session` = with the proved clone.
pub(super) async fn tell(
    context: &StepContext<'_>,
    session: &Session,
    job: &JobStatus,
    sink: &dyn LogSink,
) {
    let has_log = match job.state {
        JobState::Active | JobState::MessageWait(_) => true,
        JobState::Queued | JobState::Vanished | JobState::Ended { .. } => false,
    };
    if !has_log || !sink.wants_news() {
        return;
    }
    let asked = Instant::now();
    let system = &context.site.clone.0;
    let rows = system.query(session, &newest(&job.name)).await;
    let lines = rows.iter().flatten().rev();
    let lines = lines.filter_map(|row| line(row, &job.name)).collect();
    sink.news(&job.name, lines, asked.elapsed());
}

/// Newest first (`ibmi.md` § 8.1).
fn newest(job: &JobName) -> String {
    let job = job.as_str().replace('\'', "''");
    format!(
        "SELECT ORDINAL_POSITION, MESSAGE_ID, MESSAGE_TYPE, SEVERITY, MESSAGE_TIMESTAMP, MESSAGE_TEXT \
         FROM TABLE(QSYS2.JOBLOG_INFO('{job}')) X ORDER BY ORDINAL_POSITION DESC FETCH FIRST {NEWEST} ROWS ONLY"
    )
}

fn line(row: &Row, job: &JobName) -> Option<(u64, LogLine)> {
    let place = column(row, "ORDINAL_POSITION").parse().ok()?;
    let line = LogLine {
        ts: column(row, "MESSAGE_TIMESTAMP").to_owned(),
        part: "clone".to_owned(),
        job: job.as_str().to_owned(),
        id: column(row, "MESSAGE_ID").to_owned(),
        sev: column(row, "SEVERITY").parse().unwrap_or(0),
        kind: column(row, "MESSAGE_TYPE").to_owned(),
        text: column(row, "MESSAGE_TEXT").to_owned(),
        second: String::new(),
    };
    Some((place, line))
}
