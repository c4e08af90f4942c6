//! The SSH transport against a server that misbehaves (`rust-dependencies.md` § 3).

use super::rude::{Rude, old_algorithms};
use crate::support::wait;
use ibmi_clone_operator::drivers::transport::ssh::{Credential, SshHost, SshTarget};
use ibmi_clone_operator::site::transcript::Transcript;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);

fn host(rude: &Rude) -> Arc<SshHost> {
    let target = SshTarget {
        device: "IBM i test".to_owned(),
        address: rude.address.ip().to_string(),
        port: rude.address.port(),
        username: "CLONEOP".to_owned(),
        credential: Credential::Password("x".to_owned().into()),
        host_keys: vec![rude.host_key.clone()],
        host_keys_field: "source.host.hostKeys".to_owned(),
        connect_limit: Duration::from_secs(2),
    };
    SshHost::new(target, Transcript::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_21_only_an_orderly_end_is_an_end() {
    let rude = Rude::start(None).await;
    let host = host(&rude);
    for command in ["killed", "drop", "hang", "drip"] {
        let session = host.connect().await.unwrap();
        let started = Instant::now();
        let error = session
            .exec(command, b"", Duration::from_millis(400))
            .await
            .unwrap_err();
        assert_eq!(error.reason(), "Indeterminate", "{command}: {error}");
        assert!(started.elapsed() < Duration::from_secs(3), "{command}");
        assert!(session.is_broken(), "{command}");
        let later = session.exec("0", b"", LIMIT).await.unwrap_err();
        assert_eq!(later.reason(), "Unreachable", "{command}");
    }
    let session = host.connect().await.unwrap();
    assert_eq!(session.exec("0", b"", LIMIT).await.unwrap().status, 0);
    assert_eq!(session.exec("3", b"", LIMIT).await.unwrap().status, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_21_libssh2_says_0_when_no_status_came_so_the_mark_must_decide() {
    let rude = Rude::start(None).await;
    let session = host(&rude).connect().await.unwrap();
    let done = session.exec("no-status", b"", LIMIT).await.unwrap();
    assert_eq!(done.status, 0);
    let end = ibmi_clone_operator::wire::ibmi::between(&done.stdout, "M1");
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_exec_was_not_sent() {
    let rude = Rude::start(None).await;
    let session = host(&rude).connect().await.unwrap();
    let error = session.exec("refuse", b"", LIMIT).await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_streams_are_drained_beyond_their_windows() {
    let rude = Rude::start(None).await;
    let session = host(&rude).connect().await.unwrap();
    let done = session.exec("both", b"", LIMIT).await.unwrap();
    assert_eq!((done.stdout.len(), done.stderr.len()), (5 << 20, 5 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_stops_waiting_cuts_the_connection() {
    let rude = Rude::start(None).await;
    let session = host(&rude).connect().await.unwrap();
    let waiting = session.exec("hang", b"", Duration::from_secs(600));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), waiting)
            .await
            .is_err()
    );
    assert!(session.is_broken());
    // The thread behind it has ended as well: the session's turn is free again.
    let started = Instant::now();
    let later = session.exec("0", b"", LIMIT).await.unwrap_err();
    assert!(later.to_string().contains("ended"), "{later}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_common_algorithm_names_ours() {
    let rude = Rude::start(Some(old_algorithms())).await;
    let error = host(&rude).connect().await.unwrap_err();
    assert_eq!(error.code(), Some("NoCommonAlgorithm"), "{error}");
    assert!(error.to_string().contains("curve25519-sha256"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_unreachable_within_the_limit() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rude = Rude {
        address: silent.local_addr().unwrap(),
        host_key: "SHA256:x".to_owned(),
    };
    let started = Instant::now();
    let error = host(&rude).connect().await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    assert!(started.elapsed() < Duration::from_secs(8));
    drop(silent);
    assert_eq!(
        host(&rude).connect().await.unwrap_err().reason(),
        "Unreachable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_logs_off_and_a_busy_one_stays() {
    let rude = Rude::start(None).await;
    let session = host(&rude).connect().await.unwrap();
    session.close_when_idle(Duration::from_millis(200));
    let busy = session.exec("drip", b"", Duration::from_millis(600)).await;
    assert!(busy.unwrap_err().to_string().contains("in time"), "not cut");
    let session = host(&rude).connect().await.unwrap();
    session.close_when_idle(Duration::from_millis(200));
    let started = Instant::now();
    wait::found_within(LIMIT, "the log-off", async || {
        session.is_broken().then_some(()).ok_or("it stays")
    })
    .await;
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_one_host_are_bounded_but_a_resume_is_not() {
    let rude = Rude::start(None).await;
    let host = host(&rude);
    let mut open = Vec::new();
    let refused = loop {
        match host.connect().await {
            Ok(session) => open.push(session),
            Err(error) => break error,
        }
        assert!(open.len() < 50);
    };
    assert_eq!(refused.reason(), "Busy");
    assert!(host.connect_at_once().await.is_ok());
    open.pop();
    assert!(host.connect().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_answered_by_their_first_word() {
    let rude = Rude::start(None).await;
    let session = host(&rude).connect().await.unwrap();
    let lines = session.lines("lines", LIMIT).await.unwrap();
    let ask = |text: &[&str], limit| {
        let all: Vec<String> = text.iter().map(|t| (*t).to_owned()).collect();
        let lines = &lines;
        async move { lines.ask(&all, limit).await }
    };
    assert_eq!(ask(&["A1 noise"], LIMIT).await.unwrap(), ["A1 OK"]);
    assert_eq!(
        ask(&["A2 x", "A3 y"], LIMIT).await.unwrap(),
        ["A2 x", "A3 y"]
    );
    let lost = ask(&["A4 silence"], Duration::from_millis(60)).await;
    assert_eq!(lost.unwrap_err().reason(), "Indeterminate");
    let hung = ask(&["A5 silence"], Duration::from_secs(600));
    assert!(
        tokio::time::timeout(Duration::from_millis(60), hung)
            .await
            .is_err()
    );
    // A request behind one that hangs does not wait for it.
    let sent = Instant::now();
    assert_eq!(ask(&["A6 z"], LIMIT).await.unwrap(), ["A6 z"]);
    assert!(sent.elapsed() < Duration::from_millis(500));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_has_ended_sends_nothing() {
    let rude = Rude::start(None).await;
    let session = host(&rude).connect().await.unwrap();
    let lines = session.lines("0", LIMIT).await.unwrap();
    let asked = ["A1 silence".to_owned()];
    // Wherever the end is noticed, the answer is never a success.
    let started = Instant::now();
    loop {
        let error = lines
            .ask(&asked, Duration::from_millis(200))
            .await
            .unwrap_err();
        if error.reason() == "Unreachable" {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{error}");
    }
}
