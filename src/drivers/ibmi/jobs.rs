//! Submitted jobs (`ibmi.md` § 6).

use super::inquiries;
use super::system::IbmIDriver;
use crate::site::{
    ClCommand, DeviceError, IbmI, JobName, JobState, JobStatus, Message, Row, Session, Submission,
};
use chrono::NaiveDateTime;

pub(super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_uppercase() || "$#@".contains(c))
        && text.len() <= 10
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "$#@_.".contains(c))
}

fn need_name(driver: &IbmIDriver, what: &str, text: &str) -> Result<(), DeviceError> {
    if is_name(text) {
        return Ok(());
    }
    Err(DeviceError::refused(
        driver.device(),
        "NameNotValid",
        format!(
            "{what} {text}: a name of IBM i has 1 to 10 of A-Z 0-9 $ # @ _ . and begins with a letter"
        ),
    ))
}

pub(super) fn is_qualified(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.as_slice(), [n, u, j]
        if n.len() == 6 && n.bytes().all(|b| b.is_ascii_digit())
        && [u, j].iter().all(|p| (1..=10).contains(&p.chars().count()) && !p.contains(['\'', ' '])))
}

pub(super) async fn submit(
    driver: &IbmIDriver,
    session: &Session,
    job: &Submission,
) -> Result<JobName, DeviceError> {
    need_name(driver, "job", &job.name)?;
    let (library, queue) = job.job_queue.split_once('/').unwrap_or(("", ""));
    need_name(driver, "job queue's library", library)?;
    need_name(driver, "job queue", queue)?;
    let user = match &job.user {
        Some(u) => {
            need_name(driver, "user profile", u)?;
            format!(" USER({u})")
        }
        None => String::new(),
    };
    // LOGOUTPUT(*JOBEND): with *PND nothing is written until somebody asks, and nobody can after the clone is gone.
    let command = ClCommand::new(format!(
        "SBMJOB CMD({}) JOB({}) JOBQ({library}/{queue}){user} LOG(4 00 *SECLVL) LOGOUTPUT(*JOBEND) MSGQ(*NONE)",
        job.command.as_str(),
        job.name
    ));
    let done = driver.cl(session, &command, driver.limits().read).await?;
    if !done.succeeded {
        let (code, text) = last_error(&done.messages);
        return Err(DeviceError::refused(driver.device(), code, text));
    }
    let suffix = format!("/{}", job.name);
    done.messages
        .iter()
        .flat_map(|m| m.text.split([' ', ',', ';']))
        .map(|w| w.trim_end_matches('.'))
        .find(|w| is_qualified(w) && w.ends_with(&suffix))
        .map(JobName::new)
        .ok_or_else(|| {
            DeviceError::indeterminate(
                driver.device(),
                format!(
                    "SBMJOB ended well, but its messages do not name the job {}",
                    job.name
                ),
            )
        })
}

/// Id and text of what failed: every message, so that the diagnostic that explains the escape is not lost.
pub(super) fn last_error(messages: &[Message]) -> (String, String) {
    let code = messages
        .last()
        .map_or_else(|| "CommandFailed".to_owned(), |m| m.id.clone());
    let text: Vec<String> = messages
        .iter()
        .map(|m| format!("{} {}", m.id, m.text))
        .collect();
    (code, text.join("; "))
}

pub(super) fn cell<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name)
        .and_then(|v| v.as_deref())
        .unwrap_or_default()
        .trim()
}

pub(super) async fn find(
    driver: &IbmIDriver,
    session: &Session,
    name: &str,
) -> Result<Option<JobStatus>, DeviceError> {
    need_name(driver, "job", name)?;
    if let Some(active) = active(driver, session, name).await? {
        return Ok(Some(active));
    }
    let sql = format!(
        "SELECT JOB_NAME, JOB_STATUS, COMPLETION_STATUS, JOB_END_SEVERITY, JOB_ENTERED_SYSTEM_TIME, JOB_ACTIVE_TIME, JOB_END_TIME \
         FROM TABLE(QSYS2.JOB_INFO(JOB_STATUS_FILTER => '*ALL', JOB_USER_FILTER => '*ALL')) X \
         WHERE JOB_NAME_SHORT = '{name}' ORDER BY JOB_ENTERED_SYSTEM_TIME DESC FETCH FIRST 1 ROW ONLY"
    );
    let rows = driver.query(session, &sql).await?;
    let Some(row) = rows.first() else {
        return from_history(driver, session, name).await;
    };
    let qualified = JobName::new(cell(row, "JOB_NAME"));
    let state = match cell(row, "JOB_STATUS") {
        "JOBQ" => JobState::Queued,
        // Became active between the two questions.
        "ACTIVE" => JobState::Active,
        _ => JobState::Ended {
            normal: cell(row, "COMPLETION_STATUS") == "NORMAL",
            severity: cell(row, "JOB_END_SEVERITY").parse().unwrap_or(0),
        },
    };
    Ok(Some(JobStatus {
        name: qualified,
        state,
        active_milliseconds: between(cell(row, "JOB_ACTIVE_TIME"), cell(row, "JOB_END_TIME")),
    }))
}

/// The newest active job of this name. One cheap question: a job is active in nearly every look, and JOB_INFO walks all
/// jobs of the system.
async fn active(
    driver: &IbmIDriver,
    session: &Session,
    name: &str,
) -> Result<Option<JobStatus>, DeviceError> {
    let sql = format!(
        "SELECT JOB_NAME, JOB_STATUS FROM TABLE(QSYS2.ACTIVE_JOB_INFO(JOB_NAME_FILTER => '{name}')) X \
         WHERE JOB_NAME LIKE '%/{name}' ORDER BY JOB_NAME DESC FETCH FIRST 1 ROW ONLY"
    );
    let rows = driver.query(session, &sql).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let qualified = JobName::new(cell(row, "JOB_NAME"));
    let state = match cell(row, "JOB_STATUS") {
        "MSGW" => JobState::MessageWait(inquiries::of_job(driver, session, &qualified).await?),
        _ => JobState::Active,
    };
    Ok(Some(JobStatus {
        name: qualified,
        state,
        active_milliseconds: None,
    }))
}

fn time(text: &str) -> Option<NaiveDateTime> {
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d-%H.%M.%S%.f"]
        .iter()
        .find_map(|f| NaiveDateTime::parse_from_str(text, f).ok())
}

fn between(from: &str, to: &str) -> Option<i64> {
    Some((time(to)? - time(from)?).num_milliseconds())
}

/// A job that is in no job table any more: the history log has its end (CPF1164), or its start (CPF1124).
async fn from_history(
    driver: &IbmIDriver,
    session: &Session,
    name: &str,
) -> Result<Option<JobStatus>, DeviceError> {
    let sql = format!(
        "SELECT MESSAGE_ID, MESSAGE_TEXT, MESSAGE_TIMESTAMP, FROM_JOB FROM TABLE(QSYS2.HISTORY_LOG_INFO(START_TIME => CURRENT TIMESTAMP - 7 DAYS)) X \
         WHERE MESSAGE_ID IN ('CPF1164', 'CPF1124') AND FROM_JOB LIKE '%/{name}' ORDER BY ORDINAL_POSITION"
    );
    let rows = driver.query(session, &sql).await?;
    let Some(last) = rows.last() else {
        return Ok(None);
    };
    let job = cell(last, "FROM_JOB").to_owned();
    let of = |id: &str| {
        rows.iter()
            .rfind(|r| cell(r, "MESSAGE_ID") == id && cell(r, "FROM_JOB") == job)
    };
    let started = of("CPF1124").map_or("", |r| cell(r, "MESSAGE_TIMESTAMP"));
    let Some(end) = of("CPF1164") else {
        return Ok(Some(JobStatus {
            name: JobName::new(&job),
            state: JobState::Vanished,
            active_milliseconds: None,
        }));
    };
    // The end code is the last number of the text in every language; a text without one is not taken for success.
    let code: Option<u32> = cell(end, "MESSAGE_TEXT")
        .split(|c: char| !c.is_ascii_digit())
        .rfind(|w| !w.is_empty())
        .and_then(|w| w.parse().ok());
    Ok(Some(JobStatus {
        name: JobName::new(&job),
        state: JobState::Ended {
            normal: code == Some(0),
            severity: u8::try_from(code.unwrap_or(99)).unwrap_or(99),
        },
        active_milliseconds: between(started, cell(end, "MESSAGE_TIMESTAMP")),
    }))
}
