//! The log of a job while it grows.

use super::super::file::{ProgramFile, ProgramMessage, ProgramResult};
use super::*;

/// 6,003 messages in 600 seconds.
fn long() -> Shared {
    let said = |text: &str, repeat: u32| ProgramMessage {
        id: "CPC3722".to_owned(),
        severity: 0,
        kind: "COMPLETION".to_owned(),
        text: text.to_owned(),
        repeat,
    };
    site(|f| {
        f.programs.push(ProgramFile {
            program: "CLNLIB/MYSAVE".to_owned(),
            seconds: Some(600),
            result: ProgramResult::Normal,
            messages: vec![said("first", 1), said("object {n}", 6_001), said("last", 1)],
        });
    })
}

async fn submitted(i: &IbmIDriver, session: &Session) -> LogSource {
    let job = Submission {
        name: "MYSAVE".to_owned(),
        command: ClCommand::new("CALL PGM(CLNLIB/MYSAVE)"),
        job_queue: "QGPL/QBATCH".to_owned(),
        user: None,
    };
    LogSource::JobLog(i.submit(session, &job).await.unwrap())
}

#[tokio::test]
async fn messages_come_while_the_program_runs_and_none_is_lost_at_its_end() {
    let shared = long();
    let i = system(&shared);
    let session = i.connect().await.unwrap();
    let log = submitted(&i, &session).await;
    let mut counts = Vec::new();
    for _ in 0..4 {
        let messages = log_of(&i, &session, &log).await;
        counts.push(messages.iter().filter(|m| m.id == "CPC3722").count());
        shared.clock().advance(Duration::from_secs(151));
    }
    // Due after 150, 300 and 450 of the 600 seconds.
    assert_eq!(counts, [0, 1, 6_002, 6_003]);
    let messages = log_of(&i, &session, &log).await;
    let texts: Vec<&str> = messages.iter().map(|m| m.text.as_str()).collect();
    assert_eq!(texts[1..3], ["first", "object 1"]);
    assert_eq!(texts[6_002..6_004], ["object 6001", "last"]);
    let times: Vec<&String> = messages.iter().map(|m| &m.timestamp).collect();
    assert!(times.is_sorted(), "each at its own time");
}

#[tokio::test]
async fn the_newest_messages_of_a_long_log_are_its_last_ones() {
    let shared = long();
    let i = system(&shared);
    let session = i.connect().await.unwrap();
    let LogSource::JobLog(job) = submitted(&i, &session).await else {
        panic!("it is a job log");
    };
    shared.clock().advance(Duration::from_secs(310));
    let sql = format!(
        "SELECT ORDINAL_POSITION, MESSAGE_TEXT FROM TABLE(QSYS2.JOBLOG_INFO('{job}')) X ORDER BY ORDINAL_POSITION DESC FETCH FIRST 3 ROWS ONLY"
    );
    let rows = i.query(&session, &sql).await.unwrap();
    let cell = |row: &crate::site::Row, name: &str| row[name].clone().unwrap();
    let rows: Vec<(String, String)> = rows
        .iter()
        .map(|row| (cell(row, "ORDINAL_POSITION"), cell(row, "MESSAGE_TEXT")))
        .collect();
    // Before them stand the start of the job and the first message.
    let wanted = [(6_003, 6_001), (6_002, 6_000), (6_001, 5_999)];
    let wanted = wanted.map(|(place, n)| (place.to_string(), format!("object {n}")));
    assert_eq!(rows, wanted);
}
