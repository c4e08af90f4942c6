//! Commands, queries, jobs, logs and stream files over the wire.

use super::Bench;
use super::work::{bench, submit};
use ibmi_clone_operator::drivers::ibmi::IbmIDriver;
use ibmi_clone_operator::recipe::queries::since_ipl;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::simulators::ibmi::file::ProgramResult;
use ibmi_clone_operator::site::{ClCommand, IbmI, JobState, LogSource, Message, Session, cl_quote};
use std::time::Duration;

/// A whole log.
async fn log_of(system: &IbmIDriver, session: &Session, source: &LogSource) -> Vec<Message> {
    let mut all = Vec::new();
    let mut each = |m| all.push(m);
    system.messages(session, source, &mut each).await.unwrap();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_the_commands_own_status() {
    let bench = Bench::new().await;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    let text = cl_quote("it's $HOME; `rm -rf /` \"x\" \\");
    let good = ClCommand::new(format!("SNDMSG MSG({text}) TOUSR(*SYSOPR)"));
    assert!(system.run(&session, &good).await.unwrap().succeeded);
    let bad = system
        .run(&session, &ClCommand::new("MAKECOFFEE"))
        .await
        .unwrap();
    assert!(!bad.succeeded);
    let ids: Vec<&str> = bad.messages.iter().map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["CPD0030", "CPF0006"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_14_bytes_that_are_no_utf8_do_not_stop_a_run() {
    let bench = Bench::new().await;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    bench.fault("SNDMSG", FaultKind::Special("non-utf8".to_owned()));
    let command = ClCommand::new("SNDMSG MSG('x') TOUSR(*SYSOPR)");
    let done = system.run(&session, &command).await.unwrap();
    assert!(done.succeeded);
    assert!(done.text.contains('\u{FFFD}'), "{:?}", done.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_query_has_the_state_of_the_database() {
    let bench = Bench::new().await;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    for (sql, code) in [
        ("SELECT A FROM QSYS2.NOTHING", "42704"),
        ("SELECT NOTHING FROM QSYS2.PTF_INFO", "42703"),
        ("SELECT * FROM QSYS2.PTF_INFO", "SqlForm"),
    ] {
        let error = system.query(&session, sql).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{sql}");
    }
    let none = system
        .query(&session, "SELECT PTF_IDENTIFIER FROM QSYS2.PTF_INFO")
        .await;
    assert_eq!(none, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_written_whole_or_not_at_all() {
    let bench = Bench::new().await;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    let path = "/ibmiclone/run.parm";
    assert_eq!(system.get(&session, path).await, Ok(None));
    let content: Vec<u8> = (0..30_000_u32).map(|n| (n % 251) as u8).collect();
    system.put(&session, path, &content).await.unwrap();
    assert_eq!(system.get(&session, path).await, Ok(Some(content)));
    bench.fault("PUT /ibmiclone/run.parm", FaultKind::AnswerLost);
    assert_eq!(
        system
            .put(&session, path, b"new")
            .await
            .unwrap_err()
            .reason(),
        "Indeterminate"
    );
    let session = system.connect().await.unwrap();
    let kept = system.get(&session, path).await.unwrap().unwrap();
    assert_eq!(kept.len(), 30_000);
    system.remove(&session, path).await.unwrap();
    system.remove(&session, path).await.unwrap();
    assert_eq!(system.get(&session, path).await, Ok(None));
    assert_eq!(
        system.get(&session, "/no/such/file").await,
        Ok(None),
        "a directory that does not exist"
    );
    let error = system.put(&session, "/a b; reboot", b"").await.unwrap_err();
    assert_eq!(error.code(), Some("PathNotValid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_followed_from_its_start_to_its_log() {
    let bench = bench(ProgramResult::Abnormal, Vec::new()).await;
    let (system, session, _) = submit(&bench).await;
    let found = system.job(&session, "RUN0042").await.unwrap().unwrap();
    assert_eq!(found.state, JobState::Active);
    let live = LogSource::JobLog(found.name.clone());
    let log = log_of(&system, &session, &live).await;
    assert_eq!(log[0].id, "CPF1124");
    bench.advance(Duration::from_secs(601));
    let found = system.job(&session, "RUN0042").await.unwrap().unwrap();
    let failed = JobState::Ended {
        normal: false,
        severity: 40,
    };
    assert_eq!(found.state, failed);
    let log = log_of(&system, &session, &live).await;
    let escape = log.iter().find(|m| m.id == "CEE9901").unwrap();
    assert_eq!((escape.severity, escape.kind.as_str()), (40, "ESCAPE"));
    assert!(!escape.second_level.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_shows_what_must_be_answered() {
    let bench = bench(ProgramResult::Msgw, Vec::new()).await;
    let (system, session, _) = submit(&bench).await;
    bench.advance(Duration::from_secs(601));
    let found = system.job(&session, "RUN0042").await.unwrap().unwrap();
    assert!(
        matches!(&found.state, JobState::MessageWait(asked) if asked.text.contains("CPA4278")),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_gone_is_found_in_the_history_log() {
    let bench = bench(ProgramResult::Vanish, Vec::new()).await;
    let (system, session, _) = submit(&bench).await;
    bench.advance(Duration::from_secs(601));
    let found = system.job(&session, "RUN0042").await.unwrap().unwrap();
    let ended = JobState::Ended {
        normal: true,
        severity: 0,
    };
    assert_eq!(found.state, ended);
    for since in [
        "2026-11-23-20.00.00.000000".to_owned(),
        since_ipl(&session.system),
    ] {
        let log = log_of(&system, &session, &LogSource::History { since }).await;
        assert!(log.iter().any(|m| m.id == "CPF1164"), "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_appears_during_the_look_is_read_and_one_that_stays_closed_is_refused() {
    let bench = Bench::new().await;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    let path = "/ibmiclone/ready";
    system.put(&session, path, b"version=1\n").await.unwrap();
    let closed = || FaultKind::Refuse {
        code: "cat".to_owned(),
        text: "cannot open".to_owned(),
    };
    // What `cat` says of a file that is not there yet; the listing after it shows the file.
    bench.fault(&format!("GET {path}"), closed());
    let found = system.get(&session, path).await.unwrap();
    assert_eq!(found.as_deref(), Some(b"version=1\n".as_slice()));
    for _ in 0..2 {
        bench.fault(&format!("GET {path}"), closed());
    }
    let error = system.get(&session, path).await.unwrap_err();
    assert_eq!(error.code(), Some("FileNotReadable"));
}
