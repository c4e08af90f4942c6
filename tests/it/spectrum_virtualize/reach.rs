//! Doors that stay closed, certificates of others, tokens lost to others.

use super::Bench;
use ibmi_clone_operator::drivers::storage::spectrum_virtualize::SpectrumVirtualize;
use ibmi_clone_operator::drivers::transport::tls::TlsOptions;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::site::{CopyPhase, CopyServices, DeviceError};

fn unreachable(error: &DeviceError, part: &str) {
    assert!(
        matches!(error, DeviceError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(part), "{part}: {error}");
}

#[tokio::test]
async fn a_connection_closed_at_the_door_means_that_nothing_was_sent() {
    let bench = Bench::small();
    bench.fault("connect", FaultKind::Refused);
    let copy = bench.copy();
    unreachable(&copy.prepare().await.unwrap_err(), "array 127.0.0.1");
    assert_eq!(bench.requests(), []);
    assert_eq!(bench.effects("array.auth"), 0);
    copy.prepare().await.unwrap();
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused() {
    let (bench, other) = (Bench::small(), Bench::small());
    let mut options = bench.options();
    options.tls = TlsOptions::default();
    let unpinned = SpectrumVirtualize::open(options.clone(), "CLONE1").unwrap();
    let error = unpinned.observe().await.unwrap_err().to_string();
    let at = error.find("SHA256:").unwrap();
    options.tls.fingerprints = vec![error[at..].chars().take_while(|c| *c != '"').collect()];
    let pinned = SpectrumVirtualize::open(options.clone(), "CLONE1").unwrap();
    pinned.observe().await.unwrap();
    options.endpoint = other.options().endpoint;
    let elsewhere = SpectrumVirtualize::open(options, "CLONE1").unwrap();
    let error = elsewhere.observe().await.unwrap_err();
    assert_eq!(error.code(), Some("CertificateNotTrusted"));
    assert!(error.to_string().contains("not trusted"), "{error}");
    assert_eq!(other.effects("array.auth"), 0, "the password was not shown");
}

#[tokio::test]
async fn a_token_pushed_out_by_other_clients_is_renewed() {
    let bench = Bench::small();
    let ours = bench.copy();
    ours.observe().await.unwrap();
    for _ in 0..4 {
        bench.pass(1);
        bench.copy().observe().await.unwrap();
    }
    assert_eq!(ours.observe().await.unwrap().phase, CopyPhase::Idle);
    assert_eq!(bench.effects("array.auth"), 6);
}

#[tokio::test]
async fn many_callers_at_once_try_a_wrong_password_once() {
    let bench = Bench::small();
    let mut options = bench.options();
    options.password = "wrong".into();
    let copy = SpectrumVirtualize::open(options, "CLONE1").unwrap();
    let all = futures::future::join_all((0..8).map(|_| copy.observe())).await;
    for outcome in all {
        assert_eq!(outcome.unwrap_err().code(), Some("LoginFailed"));
    }
    assert_eq!(bench.effects("array.auth-failed"), 1);
}

#[tokio::test]
async fn a_lost_answer_of_the_login_sends_no_command() {
    let bench = Bench::small();
    bench.fault("auth", FaultKind::AnswerLost);
    let copy = bench.copy();
    unreachable(&copy.prepare().await.unwrap_err(), "auth");
    assert_eq!(bench.effects("array.prestartfcconsistgrp"), 0);
    copy.prepare().await.unwrap();
}
