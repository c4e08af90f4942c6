//! Inquiry messages that jobs wait for, and their replies (`ibmi.md` § 6).
//!
//! `SNDRPY` is allowed in every environment and takes the message reference key as `X'…'` (CL reference); MESSAGE_QUEUE_INFO
//! gives the key as BINARY(4), hence `HEX`. What becomes of an answered inquiry that is kept has been seen both ways: it stays
//! an INQUIRY beside a REPLY with its key, or becomes a REPLY itself [I]. Both count as answered.

use super::jobs::{cell, is_name, last_error};
use super::system::IbmIDriver;
use crate::site::{
    ClCommand, DeviceError, IbmI, Inquiry, InquiryPlace, JobName, Row, Session, cl_quote,
};

/// What `SNDRPY RPY` takes, characters.
const LONGEST_REPLY: usize = 132;
/// A job waits for one message at a time; its older ones have been answered.
const NEWEST: &str = "ORDER BY MESSAGE_TIMESTAMP DESC FETCH FIRST 1 ROW ONLY";
const COLUMNS: &str = "MESSAGE_ID, MESSAGE_TEXT, MESSAGE_QUEUE_LIBRARY, MESSAGE_QUEUE_NAME, HEX(MESSAGE_KEY) AS KEY_HEX, MESSAGE_TIMESTAMP";

/// The message an active job waits for.
pub(super) async fn of_job(
    driver: &IbmIDriver,
    session: &Session,
    job: &JobName,
) -> Result<Inquiry, DeviceError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM QSYS2.MESSAGE_QUEUE_INFO WHERE MESSAGE_TYPE = 'INQUIRY' AND FROM_JOB = '{job}' {NEWEST}"
    );
    if let Some(row) = driver.query(session, &sql).await?.first() {
        let place = place_of(row);
        let open = match &place {
            Some(place) => !answered(driver, session, place).await?,
            None => true,
        };
        return Ok(Inquiry {
            text: text_of(row),
            // Answered, and the job has not woken up yet: nobody has to answer it once more.
            place: place.filter(|_| open),
        });
    }
    let sql = format!(
        "SELECT MESSAGE_ID, MESSAGE_TEXT FROM TABLE(QSYS2.JOBLOG_INFO('{job}')) X WHERE MESSAGE_TYPE = 'INQUIRY' \
         ORDER BY ORDINAL_POSITION DESC FETCH FIRST 1 ROW ONLY"
    );
    let rows = driver.query(session, &sql).await?;
    let unknown = || "a message (its text was not found)".to_owned();
    Ok(Inquiry {
        text: rows.first().map_or_else(unknown, text_of),
        place: None,
    })
}

fn text_of(row: &Row) -> String {
    format!("{} {}", cell(row, "MESSAGE_ID"), cell(row, "MESSAGE_TEXT"))
        .trim()
        .to_owned()
}

/// `None` where the name of the queue cannot be written into a command.
fn place_of(row: &Row) -> Option<InquiryPlace> {
    let place = InquiryPlace {
        queue: format!(
            "{}/{}",
            cell(row, "MESSAGE_QUEUE_LIBRARY"),
            cell(row, "MESSAGE_QUEUE_NAME")
        ),
        key: cell(row, "KEY_HEX").to_owned(),
        timestamp: cell(row, "MESSAGE_TIMESTAMP").to_owned(),
    };
    usable(&place).then_some(place)
}

fn usable(place: &InquiryPlace) -> bool {
    let queue = place
        .queue
        .split_once('/')
        .is_some_and(|(library, queue)| is_name(library) && is_name(queue));
    let key = place.key.len() == 8 && place.key.bytes().all(|b| b.is_ascii_hexdigit());
    let time = place
        .timestamp
        .bytes()
        .all(|b| b.is_ascii_digit() || b"-:. ".contains(&b));
    queue && key && time && !place.timestamp.is_empty()
}

async fn answered(
    driver: &IbmIDriver,
    session: &Session,
    place: &InquiryPlace,
) -> Result<bool, DeviceError> {
    let here = here(place);
    let sql = format!(
        "SELECT MESSAGE_TIMESTAMP FROM QSYS2.MESSAGE_QUEUE_INFO WHERE {here} AND MESSAGE_TYPE = 'REPLY' \
         AND HEX(ASSOCIATED_MESSAGE_KEY) = '{}' AND MESSAGE_TIMESTAMP >= '{}' FETCH FIRST 1 ROW ONLY",
        place.key, place.timestamp
    );
    Ok(!driver.query(session, &sql).await?.is_empty())
}

fn here(place: &InquiryPlace) -> String {
    let (library, queue) = place.queue.split_once('/').unwrap_or_default();
    format!("MESSAGE_QUEUE_LIBRARY = '{library}' AND MESSAGE_QUEUE_NAME = '{queue}'")
}

/// Answers a message that still waits. The message is kept with its reply: who reads QSYSOPR the morning after finds both.
pub(super) async fn reply(
    driver: &IbmIDriver,
    session: &Session,
    place: &InquiryPlace,
    text: &str,
) -> Result<(), DeviceError> {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_REPLY;
    if !usable(place) || !fits || text.chars().any(char::is_control) {
        let why = format!(
            "a reply has 1 to {LONGEST_REPLY} characters, all printable, and goes to a message of a queue; this one is for {}",
            place.queue
        );
        return Err(DeviceError::refused(driver.device(), "ReplyNotValid", why));
    }
    // SNDRPY to a message that has its answer is an error of another kind, and keys are used again: looked at once more on
    // this very connection.
    let here = here(place);
    let sql = format!(
        "SELECT MESSAGE_TIMESTAMP FROM QSYS2.MESSAGE_QUEUE_INFO WHERE {here} AND MESSAGE_TYPE = 'INQUIRY' \
         AND HEX(MESSAGE_KEY) = '{}' AND MESSAGE_TIMESTAMP = '{}' FETCH FIRST 1 ROW ONLY",
        place.key, place.timestamp
    );
    let there = !driver.query(session, &sql).await?.is_empty();
    if !there || answered(driver, session, place).await? {
        return Err(DeviceError::refused(
            driver.device(),
            "NotWaiting",
            format!(
                "the message in {} has been answered, or is gone",
                place.queue
            ),
        ));
    }
    let command = ClCommand::new(format!(
        "SNDRPY MSGKEY(X'{}') MSGQ({}) RPY({}) RMV(*NO)",
        place.key,
        place.queue,
        cl_quote(text)
    ));
    let done = driver.cl(session, &command, driver.limits().read).await?;
    if done.succeeded {
        return Ok(());
    }
    let (code, text) = last_error(&done.messages);
    Err(DeviceError::refused(driver.device(), code, text))
}
