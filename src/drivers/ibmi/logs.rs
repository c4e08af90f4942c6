//! Job logs and the history log (`ibmi.md` § 8), handed over message by message while they arrive: a log may be larger
//! than memory.
//!
//! One statement reads a whole log. Pages would ask for the same log again and again: each call of JOBLOG_INFO or
//! SPOOLED_FILE_DATA begins by making the whole log anew, and between two pages a job log that wraps changes its places.

use super::jobs::{cell, is_qualified, last_error};
use super::marked::{LONGEST, Line};
use super::messages::{JobLogReader, parse_messages};
use super::sql::{RowReader, command, select_columns, sql_state};
use super::system::IbmIDriver;
use super::{exec, marked};
use crate::site::{DeviceError, EachMessage, JobName, LogSource, Message, Row, Session};
use crate::wire;
use tokio::sync::mpsc;

/// Second-level text is read for this severity and above only (`ibmi.md` § 8.2): it is most of a log's size.
const SECOND_LEVEL_FROM: u8 = 30;
/// Pieces of output that wait to be read, 64 KiB at most each.
const PIECES: usize = 8;

/// What a statement gives.
enum Found {
    Row(Row),
    /// A row of so many bytes that was not kept.
    TooLong(usize),
}

pub(super) async fn messages(
    driver: &IbmIDriver,
    session: &Session,
    source: &LogSource,
    each: EachMessage<'_>,
) -> Result<(), DeviceError> {
    match source {
        LogSource::History { since } => {
            let fine = !since.is_empty()
                && since
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b"-:. T".contains(&b));
            if !fine {
                return Err(DeviceError::refused(
                    driver.device(),
                    "TimeNotValid",
                    format!("{since} is no time stamp of the system"),
                ));
            }
            let table = format!("QSYS2.HISTORY_LOG_INFO(START_TIME => TIMESTAMP('{since}'))");
            let sql = log_sql("FROM_JOB", &table);
            each_row(driver, session, &sql, &mut |found| each(message(found))).await
        }
        LogSource::JobLog(job) => {
            if !is_qualified(job.as_str()) {
                return Err(DeviceError::refused(
                    driver.device(),
                    "NameNotValid",
                    format!("{job} is no qualified job name"),
                ));
            }
            let sql = log_sql("QUALIFIED_JOB_NAME", &format!("QSYS2.JOBLOG_INFO('{job}')"));
            let mut any = false;
            let live = each_row(driver, session, &sql, &mut |found| {
                any = true;
                each(message(found));
            })
            .await;
            match live {
                // The job has ended: its log is a spooled file now.
                Err(DeviceError::Refused { .. }) if !any => ended(driver, session, job, each).await,
                other => other,
            }
        }
    }
}

fn log_sql(job_column: &str, table: &str) -> String {
    format!(
        "SELECT MESSAGE_ID, MESSAGE_TYPE, MESSAGE_SUBTYPE, SEVERITY, MESSAGE_TIMESTAMP, MESSAGE_TEXT, \
         CASE WHEN SEVERITY >= {SECOND_LEVEL_FROM} THEN MESSAGE_SECOND_LEVEL_TEXT END AS SECOND_LEVEL, \
         {job_column} AS LOG_JOB FROM TABLE({table}) X ORDER BY ORDINAL_POSITION"
    )
}

/// The log of a job that has ended: a spooled file, or pending (LOGOUTPUT(*PND)) until somebody asks for it.
async fn ended(
    driver: &IbmIDriver,
    session: &Session,
    job: &JobName,
    each: EachMessage<'_>,
) -> Result<(), DeviceError> {
    let mut any = false;
    let read = spooled(driver, session, job, &mut |message| {
        any = true;
        each(message);
    })
    .await;
    match read {
        Ok(()) | Err(DeviceError::Refused { .. }) if !any => {
            pending(driver, session, job, each).await
        }
        other => other,
    }
}

async fn spooled(
    driver: &IbmIDriver,
    session: &Session,
    job: &JobName,
    each: EachMessage<'_>,
) -> Result<(), DeviceError> {
    let sql = format!(
        "SELECT SPOOLED_DATA FROM TABLE(SYSTOOLS.SPOOLED_FILE_DATA(JOB_NAME => '{job}', SPOOLED_FILE_NAME => 'QPJOBLOG')) X ORDER BY ORDINAL_POSITION"
    );
    let mut reader = JobLogReader::new(job.as_str());
    each_row(driver, session, &sql, &mut |found| match found {
        Found::Row(row) => {
            let line = row.get("SPOOLED_DATA").and_then(|v| v.as_deref());
            if let Some(message) = reader.line(line.unwrap_or_default()) {
                each(message);
            }
        }
        Found::TooLong(bytes) => each(left_out(bytes)),
    })
    .await?;
    if let Some(last) = reader.end() {
        each(last);
    }
    Ok(())
}

/// `DSPJOBLOG` writes a pending log; its print file comes back as output and goes (`ibmi.md` §§ 1.3, 8.1).
async fn pending(
    driver: &IbmIDriver,
    session: &Session,
    job: &JobName,
    each: EachMessage<'_>,
) -> Result<(), DeviceError> {
    let line = wire::ibmi::cl(&format!("DSPJOBLOG JOB({job}) OUTPUT(*PRINT)"));
    let mut reader = JobLogReader::new(job.as_str());
    let mut said = Vec::new();
    let (status, stderr) = each_line(driver, session.number, &line, &mut |line| match line {
        Line::Text(text) => {
            // A log's own lines stand to the right; a message of the command begins its line.
            let (mut messages, _) = parse_messages(&text);
            said.append(&mut messages);
            if let Some(message) = reader.line(&text) {
                each(message);
            }
        }
        Line::TooLong(bytes) => each(left_out(bytes)),
    })
    .await?;
    if status != 0 {
        said.extend(parse_messages(&stderr).0);
        let (code, text) = last_error(&said);
        return Err(DeviceError::refused(driver.device(), code, text));
    }
    if let Some(last) = reader.end() {
        each(last);
    }
    Ok(())
}

/// Runs a statement and hands its rows over as they arrive.
async fn each_row(
    driver: &IbmIDriver,
    session: &Session,
    text: &str,
    each: &mut (dyn FnMut(Found) + Send),
) -> Result<(), DeviceError> {
    let columns = select_columns(text)
        .map_err(|why| DeviceError::refused(driver.device(), "SqlForm", why))?;
    let mark = exec::new_mark();
    let mut rows = RowReader::new(&mark);
    let line = command(text, &columns, &mark);
    let (status, _) = each_line(driver, session.number, &line, &mut |line| match line {
        Line::Text(text) => {
            if let Some(row) = rows.line(&text) {
                each(Found::Row(row));
            }
        }
        Line::TooLong(bytes) => each(Found::TooLong(bytes)),
    })
    .await?;
    let state = sql_state(rows.other());
    if status != 0 || state.is_some() {
        let code = state.unwrap_or_else(|| "SqlFailed".to_owned());
        let words: Vec<&str> = rows.other().split_whitespace().collect();
        return Err(DeviceError::refused(driver.device(), code, words.join(" ")));
    }
    rows.end()
        .map_err(|why| DeviceError::indeterminate(driver.device(), why))
}

/// Runs a shell line on the session's connection and hands its output over line by line; gives the exit status and the
/// beginning of what stands on standard error.
async fn each_line(
    driver: &IbmIDriver,
    number: u64,
    line: &str,
    each: &mut (dyn FnMut(Line<'_>) + Send),
) -> Result<(i32, String), DeviceError> {
    let connection = driver.connection(number).await?;
    let mark = exec::new_mark();
    let whole = wire::ibmi::marked(&mark, line);
    let (chunks, mut arriving) = mpsc::channel::<Vec<u8>>(PIECES);
    // Before its first byte the system makes the whole log: as slow as a command may be.
    let running = connection.stream(&whole, driver.limits().command, chunks);
    let mut lines = marked::MarkedLines::new(&mark);
    let reading = async {
        while let Some(piece) = arriving.recv().await {
            lines.take(&piece, each);
        }
    };
    let (ended, ()) = tokio::join!(running, reading);
    let status = ended.and_then(|output| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let stderr: String = stderr.trim().chars().take(200).collect();
        let status = lines.end().map_err(|why| match stderr.as_str() {
            "" => why.to_owned(),
            said => format!("{why}; it said: {said}"),
        });
        match status {
            Ok(status) if status == output.status => Ok((status, stderr)),
            Ok(status) => Err(format!(
                "exit status {} of the channel differs from {status} of the command",
                output.status
            )),
            Err(why) => Err(why),
        }
        .map_err(|why| DeviceError::indeterminate(driver.device(), why))
    });
    if status.is_err() {
        driver.drop_connection(number).await;
    }
    status
}

fn message(found: Found) -> Message {
    let row = match found {
        Found::Row(row) => row,
        Found::TooLong(bytes) => return left_out(bytes),
    };
    Message {
        id: cell(&row, "MESSAGE_ID").to_owned(),
        severity: cell(&row, "SEVERITY").parse().unwrap_or(0),
        kind: cell(&row, "MESSAGE_TYPE").to_owned(),
        subtype: cell(&row, "MESSAGE_SUBTYPE").to_owned(),
        timestamp: cell(&row, "MESSAGE_TIMESTAMP").to_owned(),
        text: cell(&row, "MESSAGE_TEXT").to_owned(),
        second_level: cell(&row, "SECOND_LEVEL").to_owned(),
        job: cell(&row, "LOG_JOB").to_owned(),
    }
}

/// Stands for a message that is too long to be taken. Its severity is not known: whoever reads it must look.
fn left_out(bytes: usize) -> Message {
    Message {
        id: String::new(),
        severity: 0,
        kind: String::new(),
        subtype: String::new(),
        timestamp: String::new(),
        text: format!(
            "a message of {bytes} bytes is left out here: more than {LONGEST} are not taken; read it on the system itself"
        ),
        second_level: String::new(),
        job: String::new(),
    }
}
