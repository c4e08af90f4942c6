//! Submitted jobs (`ibmi.md` § 6).

use super::command;
use super::query::{column, literal, rows};
use crate::drivers::transport::ssh::SshSession;
use crate::site::{
    ClCommand, CommandOutput, DeviceError, JobName, JobState, JobStatus, Row, Submission,
};
use chrono::NaiveDateTime;
use std::time::Duration;

/// "Job … submitted to job queue …".
const SUBMITTED: &str = "CPC1221";

/// Submits.
///
/// # Errors
/// `Refused` with the escape message's id. When the job was submitted but its name cannot be read: `Indeterminate`, look
/// for it by name.
pub(super) async fn submit(
    session: &SshSession,
    device: &str,
    job: &Submission,
    limit: Duration,
) -> Result<JobName, DeviceError> {
    let command = submit_command(device, job)?;
    let output = command::run(session, &command, limit).await?;
    if !output.succeeded {
        return Err(command::refusal(device, "SBMJOB", &output));
    }
    submitted_name(&output).ok_or_else(|| {
        let text = format!(
            "SBMJOB of {} succeeded, but no message names the job",
            job.name
        );
        DeviceError::indeterminate(device, text)
    })
}

fn submit_command(device: &str, job: &Submission) -> Result<ClCommand, DeviceError> {
    let (library, queue) = job
        .job_queue
        .split_once('/')
        .unwrap_or(("", &job.job_queue));
    let user = job.user.as_deref();
    let names = [Some(job.name.as_str()), Some(queue), user];
    let wrong = names.into_iter().flatten().find(|n| !is_name(n));
    let library_wrong = !library.is_empty() && !is_name(library.trim_start_matches('*'));
    if let Some(wrong) = wrong.or(library_wrong.then_some(library)) {
        let text = format!("{wrong:?} is no name of IBM i; nothing was submitted");
        return Err(DeviceError::refused(device, "NameNotValid", text));
    }
    let user = user.map(|u| format!(" USER({u})")).unwrap_or_default();
    Ok(ClCommand::new(format!(
        "SBMJOB CMD({}) JOB({}) JOBQ({}){user} LOG(4 00 *SECLVL) LOGOUTPUT(*JOBEND) MSGQ(*NONE)",
        job.command.as_str(),
        job.name,
        job.job_queue
    )))
}

/// `[A-Z$#@][A-Z0-9$#@_.]{0,9}` (`ibmi.md` § 1.3).
fn is_name(text: &str) -> bool {
    let variant = |c: char| "$#@".contains(c);
    let mut chars = text.chars();
    text.len() <= 10
        && chars
            .next()
            .is_some_and(|c| c.is_ascii_uppercase() || variant(c))
        && chars.all(|c| {
            c.is_ascii_uppercase() || c.is_ascii_digit() || variant(c) || c == '_' || c == '.'
        })
}

fn submitted_name(output: &CommandOutput) -> Option<JobName> {
    let message = output.messages.iter().rfind(|m| m.id == SUBMITTED)?;
    job_name(&message.text)
}

/// The first `\d{6}/[^/ ]{1,10}/[^/ ]{1,10}` of a text. Its place in the sentence depends on the language, and `# @ $`
/// may come as other letters (`ibmi.md` § 1.6).
pub(super) fn job_name(text: &str) -> Option<JobName> {
    text.split_whitespace().find_map(|word| {
        let start = word.find(|c: char| c.is_ascii_digit())?;
        let word = word[start..].trim_end_matches(['.', ',', ';', ':', ')', '"', '\'']);
        let mut parts = word.split('/');
        let (number, user, name) = (parts.next()?, parts.next()?, parts.next()?);
        let good = |t: &str| (1..=10).contains(&t.chars().count());
        (parts.next().is_none()
            && number.len() == 6
            && number.bytes().all(|b| b.is_ascii_digit())
            && good(user)
            && good(name))
        .then(|| JobName::new(word))
    })
}

/// The newest job of this name.
///
/// # Errors
/// As a query; never `None` when the system was not able to say.
pub(super) async fn find(
    session: &SshSession,
    device: &str,
    name: &str,
    limit: Duration,
) -> Result<Option<JobStatus>, DeviceError> {
    let sql = format!(
        "SELECT JOB_NAME, JOB_STATUS, COMPLETION_STATUS, JOB_END_SEVERITY, JOB_ENTERED_SYSTEM_TIME, JOB_ACTIVE_TIME, JOB_END_TIME FROM TABLE(QSYS2.JOB_INFO(JOB_USER_FILTER => '*ALL')) WHERE JOB_NAME LIKE {} ORDER BY JOB_ENTERED_SYSTEM_TIME",
        literal(&format!("%/{name}"))
    );
    let found = rows(session, device, &sql, limit).await?;
    // LIKE takes `_` for any character: compare again.
    let same = |row: &&Row| column(row, "JOB_NAME").rsplit('/').next() == Some(name);
    let Some(row) = found.iter().rfind(same) else {
        return Ok(None);
    };
    let mut status = read(device, row)?;
    if status.state == JobState::Active
        && let Some(text) = waits_for_reply(session, device, &status.name, limit).await?
    {
        status.state = JobState::MessageWait(text);
    }
    Ok(Some(status))
}

fn read(device: &str, row: &Row) -> Result<JobStatus, DeviceError> {
    let state = match column(row, "JOB_STATUS").trim_start_matches('*') {
        "JOBQ" => JobState::Queued,
        "ACTIVE" => JobState::Active,
        "OUTQ" | "COMPLETE" => JobState::Ended {
            normal: column(row, "COMPLETION_STATUS") == "NORMAL",
            severity: column(row, "JOB_END_SEVERITY").parse().unwrap_or(0),
        },
        other => {
            let text = format!("JOB_INFO shows the unknown status {other:?}");
            return Err(DeviceError::refused(device, "JobStatusUnknown", text));
        }
    };
    let time = |name: &str| {
        let text = column(row, name).replace(' ', "-").replace(':', ".");
        NaiveDateTime::parse_from_str(&text, "%Y-%m-%d-%H.%M.%S%.f").ok()
    };
    let active_milliseconds = time("JOB_ACTIVE_TIME")
        .zip(time("JOB_END_TIME"))
        .map(|(from, to)| (to - from).num_milliseconds());
    Ok(JobStatus {
        name: JobName::new(column(row, "JOB_NAME")),
        state,
        entered: column(row, "JOB_ENTERED_SYSTEM_TIME").to_owned(),
        active_milliseconds,
    })
}

/// Text of the message an active job waits on, when it does.
async fn waits_for_reply(
    session: &SshSession,
    device: &str,
    job: &JobName,
    limit: Duration,
) -> Result<Option<String>, DeviceError> {
    let sql = format!(
        "SELECT JOB_STATUS FROM TABLE(QSYS2.ACTIVE_JOB_INFO()) WHERE JOB_NAME = {}",
        literal(job.as_str())
    );
    let active = rows(session, device, &sql, limit).await?;
    if !active.iter().any(|r| column(r, "JOB_STATUS") == "MSGW") {
        return Ok(None);
    }
    let sql = format!(
        "SELECT MESSAGE_ID, MESSAGE_TEXT FROM QSYS2.MESSAGE_QUEUE_INFO WHERE MESSAGE_QUEUE_NAME = 'QSYSOPR' AND MESSAGE_TYPE = 'INQUIRY' AND FROM_JOB = {} ORDER BY MESSAGE_TIMESTAMP",
        literal(job.as_str())
    );
    let inquiries = rows(session, device, &sql, limit).await?;
    let text = inquiries.last().map_or_else(
        || format!("{job} waits for a reply to a message that is not on QSYSOPR"),
        |row| {
            format!(
                "{} {}",
                column(row, "MESSAGE_ID"),
                column(row, "MESSAGE_TEXT")
            )
        },
    );
    Ok(Some(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_name_is_found_anywhere_and_with_variant_characters() {
        for (text, wanted) in [
            (
                "Job 123456/FLASH/SAVE21 submitted to job queue QCTL in library QSYS.",
                "123456/FLASH/SAVE21",
            ),
            (
                "Le travail 004711/PROD£/À1 a été soumis.",
                "004711/PROD£/À1",
            ),
            ("Auftrag (000001/A/B).", "000001/A/B"),
        ] {
            assert_eq!(
                job_name(text).map(|j| j.as_str().to_owned()).as_deref(),
                Some(wanted)
            );
        }
        for text in [
            "on 11/23/26 at",
            "12345/A/B",
            "1234567/A/B",
            "123456/A/B/C",
            "",
        ] {
            assert_eq!(job_name(text), None, "{text}");
        }
    }

    #[test]
    fn names_that_are_none_are_not_sent() {
        let mut job = Submission {
            name: "RUN0042".to_owned(),
            command: ClCommand::new("CALL PGM(A/B)"),
            job_queue: "QSYS/QCTL".to_owned(),
            user: Some("FLASH".to_owned()),
        };
        let command = submit_command("d", &job).expect("command");
        assert_eq!(
            command.as_str(),
            "SBMJOB CMD(CALL PGM(A/B)) JOB(RUN0042) JOBQ(QSYS/QCTL) USER(FLASH) LOG(4 00 *SECLVL) LOGOUTPUT(*JOBEND) MSGQ(*NONE)"
        );
        job.user = Some("X) CMD(PWRDWNSYS".to_owned());
        assert_eq!(
            submit_command("d", &job).expect_err("name").code(),
            Some("NameNotValid")
        );
    }
}
