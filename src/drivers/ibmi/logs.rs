//! Job logs and the history log (`ibmi.md` § 8.1).

use super::query::{column, literal, rows};
use super::spool;
use crate::drivers::transport::ssh::SshSession;
use crate::site::{DeviceError, JobName, LogSource, Message, Row};
use std::collections::BTreeMap;
use std::time::Duration;

const COLUMNS: &str = "ORDINAL_POSITION, MESSAGE_ID, MESSAGE_TYPE, MESSAGE_SUBTYPE, SEVERITY, MESSAGE_TIMESTAMP, MESSAGE_TEXT";
/// Second-level texts are long: only those that matter are fetched.
const SECOND_LEVEL: &str = "ORDINAL_POSITION, MESSAGE_SECOND_LEVEL_TEXT";

/// Reads a log, oldest message first.
///
/// # Errors
/// As a query; a job without any log is `Refused`.
pub(super) async fn read(
    session: &SshSession,
    device: &str,
    source: &LogSource,
    limit: Duration,
) -> Result<Vec<Message>, DeviceError> {
    match source {
        LogSource::History { since } => {
            let digits = |c: char| c.is_ascii_digit() || "-.: ".contains(c);
            if since.is_empty() || !since.chars().all(digits) {
                let text = format!("{since:?} is no time stamp; the history log was not read");
                return Err(DeviceError::refused(device, "TimeNotValid", text));
            }
            let table =
                format!("TABLE(QSYS2.HISTORY_LOG_INFO(START_TIME => TIMESTAMP('{since}')))");
            log(session, device, &table, "FROM_JOB", limit).await
        }
        LogSource::JobLog(job) => job_log(session, device, job, limit).await,
    }
}

async fn job_log(
    session: &SshSession,
    device: &str,
    job: &JobName,
    limit: Duration,
) -> Result<Vec<Message>, DeviceError> {
    let name = literal(job.as_str());
    let live = format!("TABLE(QSYS2.JOBLOG_INFO({name}))");
    let live = match log(session, device, &live, "", limit).await {
        Ok(mut messages) => {
            for m in &mut messages {
                m.job = job.to_string();
            }
            return Ok(messages);
        }
        // An ended job has no job log any more, but a spooled file.
        Err(refused @ DeviceError::Refused { .. }) => refused,
        Err(other) => return Err(other),
    };
    let sql = format!(
        "SELECT ORDINAL_POSITION, SPOOLED_DATA FROM TABLE(SYSTOOLS.SPOOLED_FILE_DATA(JOB_NAME => {name}, SPOOLED_FILE_NAME => 'QPJOBLOG')) ORDER BY ORDINAL_POSITION"
    );
    match rows(session, device, &sql, limit).await {
        Ok(lines) => {
            let text = lines.iter().map(|r| {
                r.get("SPOOLED_DATA")
                    .and_then(|v| v.as_deref())
                    .unwrap_or_default()
            });
            Ok(spool::messages(text, job.as_str()))
        }
        Err(DeviceError::Refused { code, text, .. }) => Err(DeviceError::refused(
            device,
            code,
            format!("{job} has neither a job log ({live}) nor a spooled QPJOBLOG ({text})"),
        )),
        Err(other) => Err(other),
    }
}

async fn log(
    session: &SshSession,
    device: &str,
    table: &str,
    job_column: &str,
    limit: Duration,
) -> Result<Vec<Message>, DeviceError> {
    let comma = if job_column.is_empty() { "" } else { ", " };
    let sql = format!("SELECT {COLUMNS}{comma}{job_column} FROM {table} ORDER BY ORDINAL_POSITION");
    let found = rows(session, device, &sql, limit).await?;
    let sql = format!(
        "SELECT {SECOND_LEVEL} FROM {table} WHERE SEVERITY >= 30 ORDER BY ORDINAL_POSITION"
    );
    let severe = found.iter().any(|r| severity(r) >= 30);
    let texts: BTreeMap<String, String> = if severe {
        rows(session, device, &sql, limit)
            .await?
            .iter()
            .map(|r| {
                (
                    column(r, "ORDINAL_POSITION").to_owned(),
                    column(r, "MESSAGE_SECOND_LEVEL_TEXT").to_owned(),
                )
            })
            .collect()
    } else {
        BTreeMap::new()
    };
    Ok(found
        .iter()
        .map(|row| message(row, &texts, job_column))
        .collect())
}

fn severity(row: &Row) -> u8 {
    column(row, "SEVERITY").parse().unwrap_or(0)
}

fn message(row: &Row, texts: &BTreeMap<String, String>, job_column: &str) -> Message {
    let severity = severity(row);
    let second_level = texts
        .get(column(row, "ORDINAL_POSITION"))
        // The log may have grown between the two queries; a text never goes to a harmless message.
        .filter(|_| severity >= 30)
        .cloned()
        .unwrap_or_default();
    Message {
        id: column(row, "MESSAGE_ID").to_owned(),
        severity,
        kind: column(row, "MESSAGE_TYPE").to_owned(),
        subtype: column(row, "MESSAGE_SUBTYPE").to_owned(),
        timestamp: column(row, "MESSAGE_TIMESTAMP").to_owned(),
        text: column(row, "MESSAGE_TEXT").to_owned(),
        second_level,
        job: column(row, job_column).to_owned(),
    }
}
