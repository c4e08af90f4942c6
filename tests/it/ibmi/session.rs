//! Connecting: host keys, logins, identity, sessions that are replaced.

use super::{Bench, production};
use ibmi_clone_operator::drivers::ibmi::SshLink;
use ibmi_clone_operator::drivers::transport::ssh::Credential;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::simulators::ibmi::power_lost;
use ibmi_clone_operator::site::{ClCommand, DeviceError, IbmI, SourceSystem};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_host_key_is_refused_with_the_key_to_write() {
    let bench = Bench::new().await;
    let mut options = bench.options();
    let right = options.host_keys.remove(0);
    let error = SshLink::new(options).system().connect().await.unwrap_err();
    assert_eq!(error.code(), Some("HostKeyNotPinned"));
    let text = error.to_string();
    assert!(
        text.contains(&right) && text.contains("source.host.hostKeys"),
        "{text}"
    );
    assert_eq!(bench.asked("LOGIN"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_key_is_refused_before_the_login() {
    let bench = Bench::new().await;
    bench.fault("LOGIN", FaultKind::Special("wrong-host-key".to_owned()));
    let pinned = bench.options().host_keys[0].clone();
    let error = bench.system().connect().await.unwrap_err();
    assert_eq!(error.code(), Some("HostKeyChanged"));
    let text = error.to_string();
    assert!(text.contains(&pinned), "{text}");
    assert_eq!(text.matches("SHA256:").count(), 2, "{text}");
    assert_eq!(bench.asked("LOGIN"), 0);
    // The next connection shows the right key again: nothing was latched.
    assert!(bench.system().connect().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_and_never_shown() {
    let bench = Bench::new().await;
    let mut options = bench.options();
    options.credential = Credential::Password("not-the-password".to_owned().into());
    assert!(!format!("{options:?}").contains("not-the-password"));
    let link = SshLink::new(options.clone());
    let roles = [link.system(), link.system(), link.system()];
    let (a, b, c) = tokio::join!(roles[0].connect(), roles[1].connect(), roles[2].connect());
    for outcome in [a, b, c, link.system().connect().await] {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), Some("LoginFailed"));
        assert!(!error.to_string().contains("not-the-password"));
    }
    let world = bench.shared.now();
    assert_eq!(world.ledger.effect_count("ibmi.PROD.LOGIN-REJECTED"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_login_is_no_wrong_password() {
    let bench = Bench::new().await;
    bench.fault("LOGIN", FaultKind::Refused);
    let system = bench.system();
    assert_eq!(system.connect().await.unwrap_err().reason(), "Unreachable");
    assert!(system.connect().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_13_the_probe_tells_who_answers_through_a_banner() {
    let bench = Bench::with(|f| f.profile_banner = "Welcome CPF9999: to PROD\n".to_owned()).await;
    let session = bench.system().connect().await.unwrap();
    assert_eq!(session.system.identity, production());
    assert_eq!(session.system.now.to_rfc3339(), "2026-11-23T20:00:00+00:00");
    assert_eq!(session.system.scpf_entry_time, "1261024200000");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_20_hidden_partition_columns_say_what_to_grant() {
    let bench = Bench::with(|f| f.users[0].qpmlpmgt = false).await;
    let error = bench.system().connect().await.unwrap_err();
    assert_eq!(error.reason(), "Refused");
    assert!(
        error.to_string().contains("*USE on QSYS/QPMLPMGT"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_not_taken_for_another() {
    let bench = Bench::new().await;
    let source = SourceSystem(bench.system());
    assert!(source.prove(&[production()]).await.is_ok());
    let other = ibmi_clone_operator::site::Identity::new("7812345", 9);
    assert!(source.prove(&[other]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_connection_is_used_again_and_its_end_is_polite() {
    let bench = Bench::new().await;
    let system = bench.system();
    let first = system.connect().await.unwrap();
    let second = system.connect().await.unwrap();
    assert_eq!(first.number, second.number);
    assert_eq!(bench.asked("LOGIN"), 1);
    system.disconnect().await;
    bench.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_connection_must_be_proved_again() {
    let bench = Bench::new().await;
    let system = bench.system();
    let old = system.connect().await.unwrap();
    system.disconnect().await;
    let new = system.connect().await.unwrap();
    assert_ne!(old.number, new.number);
    let command = ClCommand::new("DSPASPSTS");
    let sent = bench.asked("system");
    let error = system.run(&old, &command).await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    assert!(error.to_string().contains("identity"), "{error}");
    assert_eq!(bench.asked("system"), sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_is_indeterminate_and_the_next_connect_is_new() {
    let bench = Bench::new().await;
    let system = bench.system();
    let old = system.connect().await.unwrap();
    for kind in [
        FaultKind::AnswerLost,
        FaultKind::Special("no-status".to_owned()),
    ] {
        let session = system.connect().await.unwrap();
        bench.fault("SNDMSG", kind.clone());
        let command = ClCommand::new("SNDMSG MSG('x') TOUSR(*SYSOPR)");
        let error = system.run(&session, &command).await.unwrap_err();
        assert_eq!(error.reason(), "Indeterminate", "{kind:?}: {error}");
    }
    let new = system.connect().await.unwrap();
    assert!(new.number > old.number);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_ends_at_its_limit() {
    let bench = Bench::new().await;
    let mut options = bench.options();
    options.limits.command = Duration::from_millis(300);
    let system = SshLink::new(options).system();
    let session = system.connect().await.unwrap();
    bench.fault("SNDMSG", FaultKind::NoAnswer);
    let command = ClCommand::new("SNDMSG MSG('x') TOUSR(*SYSOPR)");
    let error = system.run(&session, &command).await.unwrap_err();
    assert_eq!(error.reason(), "Indeterminate");
    assert!(system.connect().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_went_down_is_unreachable() {
    let bench = Bench::new().await;
    let mut options = bench.options();
    options.connect_limit = Duration::from_millis(300);
    let system = SshLink::new(options).system();
    system.connect().await.unwrap();
    power_lost(&mut bench.shared.now(), "PROD");
    let error = system.connect().await.unwrap_err();
    assert!(matches!(error, DeviceError::Unreachable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_logs_in_and_one_that_cannot_be_read_is_tried_once() {
    let mut rng = russh::keys::key::safe_rng();
    let key = PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap();
    let public = key.public_key().to_openssh().unwrap();
    let text = key.to_openssh(LineEnding::LF).unwrap();
    let bench = Bench::with(|f| f.users[0].public_keys.push(public)).await;
    let with_key = |text: &str| {
        let mut options = bench.options();
        options.credential = Credential::Key {
            text: text.to_owned().into(),
            passphrase: None,
        };
        SshLink::new(options).system()
    };
    assert!(with_key(text.as_str()).connect().await.is_ok());
    let broken = with_key("no key at all");
    for _ in 0..2 {
        let error = broken.connect().await.unwrap_err();
        assert_eq!(error.code(), Some("KeyNotReadable"), "{error}");
    }
    assert_eq!(bench.asked("LOGIN"), 1);
}
