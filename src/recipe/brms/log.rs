//! The BRMS log as SQL shows it (`ibmi.md` § 4.5): what a save did is told by it and by the job's end together, never by
//! an exit status alone. The spelling of the severity's column varies by release and is read from the catalog.

use super::errand::There;
use crate::api::saves::Brms;
use crate::recipe::queries::column;
use crate::site::{DeviceError, Message, Row};

/// Media unavailable (`ibmi.md` § 4.5).
pub(in crate::recipe) const NO_MEDIA: &str = "BRM415A";
/// The view.
pub(in crate::recipe) const LOG_VIEW: &str = "QUSRBRM.BRMS_LOG_INFO";
const COLUMNS: &str = "SELECT COLUMN_NAME FROM QSYS2.SYSCOLUMNS WHERE TABLE_SCHEMA = 'QUSRBRM' AND TABLE_NAME = 'BRMS_LOG_INFO'";
/// Most rows of one question: a night leaves some hundreds.
pub(in crate::recipe) const MOST: usize = 20_000;

/// The log's view of one system.
pub(in crate::recipe) struct Log {
    severity: &'static str,
}

impl Log {
    /// Looks the view up; `None` = it was not created there.
    ///
    /// # Errors
    /// As every question.
    pub(in crate::recipe) async fn open(there: There<'_>) -> Result<Option<Self>, DeviceError> {
        let rows = there.system.query(there.session, COLUMNS).await?;
        let has = |name: &str| rows.iter().any(|row| column(row, "COLUMN_NAME") == name);
        Ok(["MESSAGE_SEVERITY", "SEVERITY"]
            .into_iter()
            .find(|name| has(name))
            .map(|severity| Self { severity }))
    }

    fn select(&self, condition: &str) -> String {
        format!(
            "SELECT MESSAGE_ID, {} AS LOG_SEVERITY, VARCHAR(MESSAGE_TIMESTAMP) AS LOG_TIME, QUALIFIED_JOB_NAME AS LOG_JOB, MESSAGE_TEXT FROM {LOG_VIEW} WHERE {condition} ORDER BY MESSAGE_TIMESTAMP FETCH FIRST {MOST} ROWS ONLY",
            self.severity
        )
    }

    /// Messages of a job, oldest first.
    ///
    /// # Errors
    /// As every question.
    pub(in crate::recipe) async fn of_job(
        &self,
        there: There<'_>,
        job: &str,
    ) -> Result<Vec<Message>, DeviceError> {
        let sql = self.select(&format!("QUALIFIED_JOB_NAME = '{}'", quoted(job)));
        let rows = there.system.query(there.session, &sql).await?;
        Ok(rows.iter().map(message).collect())
    }

    /// Messages since a time of the system's own clock.
    ///
    /// # Errors
    /// As every question.
    pub(in crate::recipe) async fn since(
        &self,
        there: There<'_>,
        since: &str,
    ) -> Result<Vec<Message>, DeviceError> {
        let sql = self.select(&format!(
            "MESSAGE_TIMESTAMP >= TIMESTAMP('{}')",
            quoted(since)
        ));
        let rows = there.system.query(there.session, &sql).await?;
        Ok(rows.iter().map(message).collect())
    }

    /// The job that has begun a control group since a time of the system's own clock, the newest.
    ///
    /// # Errors
    /// As every question.
    pub(in crate::recipe) async fn job_of_group(
        &self,
        there: There<'_>,
        group: &str,
        since: &str,
    ) -> Result<Option<String>, DeviceError> {
        let sql = self.select(&format!(
            "CONTROL_GROUP = '{}' AND MESSAGE_TIMESTAMP >= TIMESTAMP('{}')",
            quoted(group),
            quoted(since)
        ));
        let rows = there.system.query(there.session, &sql).await?;
        let mut jobs = rows.iter().map(|row| column(row, "LOG_JOB").to_owned());
        Ok(jobs.rfind(|job| !job.is_empty()))
    }
}

/// Creates the view; may be repeated.
pub(in crate::recipe) fn create_view() -> &'static str {
    "INZBRM OPTION(*SQLSRVINZ)"
}

/// Severity at or above the limit, and not ignored.
pub(in crate::recipe) fn is_error(brms: &Brms, message: &Message) -> bool {
    i32::from(message.severity) >= brms.error_severity && !brms.ignore.contains(&message.id)
}

/// Volumes written since a day (`CYYMMDD`), as the media inventory of this system knows them. Names of file and columns
/// are those of public programs, their meaning is [I]: the list is for people.
///
/// # Errors
/// As every question.
pub(in crate::recipe) async fn volumes(
    there: There<'_>,
    since: &str,
) -> Result<Vec<String>, DeviceError> {
    let sql = format!(
        "SELECT TMCVSR AS VOLUME FROM QUSRBRM.QA1AMM WHERE TMCCRT >= {} ORDER BY TMCVSR",
        digits(since)
    );
    let rows = there.system.query(there.session, &sql).await?;
    let names = rows.iter().map(|row| column(row, "VOLUME").to_owned());
    Ok(names.filter(|name| !name.is_empty()).collect())
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

fn message(row: &Row) -> Message {
    Message {
        id: column(row, "MESSAGE_ID").to_owned(),
        severity: column(row, "LOG_SEVERITY").parse().unwrap_or(0),
        kind: String::new(),
        subtype: String::new(),
        timestamp: column(row, "LOG_TIME").to_owned(),
        text: column(row, "MESSAGE_TEXT").to_owned(),
        second_level: String::new(),
        job: column(row, "LOG_JOB").to_owned(),
    }
}
