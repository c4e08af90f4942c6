//! The newest lines of the job log of a function that runs, for the live tail. News, not evidence: what cannot be read now
//! is not told, and the whole log is collected when the job has ended.

use crate::engine::step::StepContext;
use crate::recipe::log_sink::{LogLine, LogSink};
use crate::recipe::queries::column;
use crate::site::{JobName, ProvenClone, Row};

/// Messages asked for per look.
const NEWEST: usize = 20;

/// Asks for the newest messages and hands over those that were not told before. One cheap statement per look.
pub(super) async fn tell(
    context: &StepContext<'_>,
    proof: &ProvenClone,
    job: &JobName,
    sink: &dyn LogSink,
) {
    if job.as_str().contains('\'') {
        return;
    }
    let sql = format!(
        "SELECT ORDINAL_POSITION, MESSAGE_ID, MESSAGE_TYPE, SEVERITY, MESSAGE_TIMESTAMP, MESSAGE_TEXT \
         FROM TABLE(QSYS2.JOBLOG_INFO('{job}')) X ORDER BY ORDINAL_POSITION DESC FETCH FIRST {NEWEST} ROWS ONLY"
    );
    let system = &context.site.clone.0;
    if let Ok(rows) = system.query(proof.session(), &sql).await {
        let lines = rows.iter().rev().filter_map(|row| line(row, job));
        sink.live(job, lines.collect());
    }
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
