//! SQL queries through Qshell's `db2`, one JSON object per row (`wire::db2`).

use super::host::{nonce, send};
use crate::drivers::transport::ssh::{Completed, SshSession};
use crate::site::{DeviceError, Row};
use crate::wire::db2;
use crate::wire::ibmi::{Exec, HEADING};
use serde_json::{Map, Value};
use std::time::Duration;

/// Runs one query.
///
/// # Errors
/// `Refused` with the SQLSTATE as code; `StatementForm` when the result columns cannot be told from the statement.
pub(super) async fn rows(
    session: &SshSession,
    device: &str,
    statement: &str,
    limit: Duration,
) -> Result<Vec<Row>, DeviceError> {
    let statement: String = statement
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let Some(columns) = db2::columns(&statement) else {
        let text = format!("a query must name every result column, this one does not: {statement}");
        return Err(DeviceError::refused(device, "StatementForm", text));
    };
    let mark = nonce();
    let text = db2::wrap(&mark, &columns, &statement);
    let done = send(session, &Exec::Sql(text), &statement, &[], limit).await?;
    read(device, &mark, &statement, &done)
}

fn read(
    device: &str,
    mark: &str,
    statement: &str,
    done: &Completed,
) -> Result<Vec<Row>, DeviceError> {
    let text = done.text();
    if let Some(state) = sql_state(&text).or_else(|| sql_state(&done.error_text())) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let told = format!("{} (statement: {statement})", words.join(" "));
        return Err(DeviceError::refused(device, state, told));
    }
    let said = || format!("{} {}", text.trim(), done.error_text().trim());
    if done.status != 0 {
        let told = format!("db2 ended with status {}: {}", done.status, said());
        return Err(DeviceError::refused(device, "QueryFailed", told));
    }
    // No row is only believed from a query that printed its heading: then it ran.
    if !text.lines().any(|l| l.trim() == HEADING) {
        let told = format!("db2 printed no result: {}", said());
        return Err(DeviceError::refused(device, "QueryFailed", told));
    }
    text.lines()
        .filter_map(|l| l.trim().strip_prefix(mark))
        .map(|json| {
            let object: Map<String, Value> = serde_json::from_str(json.trim()).map_err(|e| {
                let told = format!("a row cannot be read ({e}): {json}");
                DeviceError::refused(device, "RowNotReadable", told)
            })?;
            Ok(object.into_iter().map(|(k, v)| (k, cell(v))).collect())
        })
        .collect()
}

fn cell(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(value.to_string())
        }
    }
}

/// `SQLSTATE: 42704` of db2's error block, which is English on every system.
fn sql_state(text: &str) -> Option<String> {
    let rest = text
        .lines()
        .find_map(|l| l.trim().strip_prefix("SQLSTATE:"))?;
    Some(rest.trim().to_owned())
}

/// A value inside an SQL literal.
pub(super) fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// Text of a column, trimmed; empty for NULL.
pub(super) fn column<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name)
        .and_then(|v| v.as_deref())
        .unwrap_or_default()
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(status: i32, stdout: &str) -> Completed {
        Completed {
            status,
            stdout: stdout.as_bytes().to_vec(),
            stderr: Vec::new(),
        }
    }

    #[test]
    fn null_stays_apart_from_empty() {
        let text = "\nLINE\n------\nM1{\"A\":null,\"B\":\"\",\"C\":\" x\\ny\"}\n\n  1 RECORD(S) SELECTED.\n";
        let rows = read("d", "M1", "s", &done(0, text)).expect("rows");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0]["A"], None);
        assert_eq!(rows[0]["B"].as_deref(), Some(""));
        assert_eq!(rows[0]["C"].as_deref(), Some(" x\ny"));
    }

    #[test]
    fn no_row_needs_the_heading() {
        assert_eq!(
            read("d", "M1", "s", &done(0, "\nLINE\n----\n\n 0 RECORD(S)\n")),
            Ok(Vec::new())
        );
        assert!(read("d", "M1", "s", &done(0, "")).is_err());
    }

    #[test]
    fn an_sql_error_is_a_refusal_whatever_the_status() {
        let text = "  **** CLI ERROR *****\n         SQLSTATE: 42704\nNATIVE ERROR CODE: -204\nX not found.";
        for status in [0, 1] {
            let error = read("d", "M1", "s", &done(status, text)).expect_err("refused");
            assert_eq!(error.code(), Some("42704"));
        }
    }

    #[test]
    fn a_row_that_was_cut_is_no_row() {
        let text = "LINE\n----\nM1{\"A\":\"x";
        let error = read("d", "M1", "s", &done(0, text)).expect_err("cut");
        assert_eq!(error.code(), Some("RowNotReadable"));
    }
}
