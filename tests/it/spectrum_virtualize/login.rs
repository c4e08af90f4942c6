//! Passwords, roles, tokens and certificates.

use super::{Bench, file};
use ibmi_clone_operator::drivers::storage::spectrum_virtualize::{
    ArrayOptions, SpectrumVirtualize,
};
use ibmi_clone_operator::drivers::transport::tls::TlsOptions;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::site::{CopyPhase, CopyServices};

fn open(options: ArrayOptions) -> SpectrumVirtualize {
    SpectrumVirtualize::open(options, "CLONE1").unwrap()
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_never_again() {
    let bench = Bench::small();
    let copy = open(ArrayOptions {
        password: "wrong".to_owned().into(),
        ..bench.options()
    });
    for _ in 0..3 {
        let error = copy.observe().await.unwrap_err();
        assert_eq!(error.code(), Some("LoginFailed"));
        let text = error.to_string();
        assert!(text.contains("user cloneop"), "{text}");
        assert!(text.contains("kubernetes.io/basic-auth Secret"), "{text}");
        assert!(!text.contains("wrong"), "{text}");
        assert!(copy.start().await.is_err());
    }
    assert_eq!(bench.effects("array.auth-failed"), 1);
    assert_eq!(bench.requests(), vec![]);
}

#[tokio::test]
async fn neither_password_nor_token_is_in_transcript_or_debug() {
    let bench = Bench::small();
    let options = bench.options();
    assert!(!format!("{options:?}").contains("right"));
    let transcript = options.transcript.clone();
    open(options).observe().await.unwrap();
    let said: Vec<_> = transcript.since(chrono::DateTime::UNIX_EPOCH).collect();
    assert_eq!(said.len(), 2);
    let token = bench.shared.now().array.tokens.keys().next().cloned();
    let token = token.unwrap();
    for exchange in said {
        let shown = format!("{exchange:?}");
        assert!(!shown.contains("right") && !shown.contains(&token));
    }
}

#[tokio::test]
async fn a_token_that_expires_midway_costs_one_login_and_no_effect_twice() {
    for is_401 in [true, false] {
        let mut file = file();
        file.knobs.array_expired_is_401 = is_401;
        let bench = Bench::start(&file);
        let copy = bench.copy();
        copy.prepare().await.unwrap();
        bench.pass(61 * 60);
        copy.start().await.unwrap();
        assert!(copy.observe().await.unwrap().exists());
        assert_eq!(bench.effects("array.auth"), 2);
        assert_eq!(bench.effects("array.startfcconsistgrp"), 1);
    }
}

#[tokio::test]
async fn a_role_that_may_not_do_it_is_no_expired_token() {
    for json in [false, true] {
        let mut file = file();
        file.knobs.array_errors_as_json = json;
        let bench = Bench::start(&file);
        let copy = open(ArrayOptions {
            username: "watcher".to_owned(),
            ..bench.options()
        });
        copy.observe().await.unwrap();
        let error = copy.prepare().await.unwrap_err();
        assert_eq!(error.code(), Some("CMMVC6253E"));
        assert!(error.to_string().contains("CopyOperator"), "{error}");
        assert_eq!(bench.effects("array.auth"), 1);
    }
}

#[tokio::test]
async fn an_untrusted_certificate_is_refused_with_its_fingerprint_and_the_pin_then_works() {
    let bench = Bench::small();
    let copy = open(ArrayOptions {
        tls: TlsOptions::default(),
        ..bench.options()
    });
    let error = copy.observe().await.unwrap_err();
    assert_eq!(error.code(), Some("CertificateNotTrusted"));
    let text = error.to_string();
    assert!(text.contains("tls.caBundle") && text.contains("tls.fingerprints"));
    let pin = text.split('"').nth(1).unwrap().to_owned();
    assert!(pin.starts_with("SHA256:"), "{text}");
    assert_eq!(bench.effects("array.auth"), 0, "no password was sent");

    let pinned = open(ArrayOptions {
        tls: TlsOptions {
            fingerprints: vec![pin],
            ..TlsOptions::default()
        },
        ..bench.options()
    });
    assert_eq!(pinned.observe().await.unwrap().phase, CopyPhase::Idle);
}

#[tokio::test]
async fn a_login_that_is_told_to_wait_waits() {
    let bench = Bench::small();
    bench.fault("auth", FaultKind::Busy);
    assert_eq!(bench.copy().observe().await.unwrap().phase, CopyPhase::Idle);
    assert_eq!(bench.effects("array.auth"), 1);
}

#[tokio::test]
async fn two_requests_at_once_log_in_once() {
    let bench = Bench::small();
    let copy = bench.copy();
    let (one, two) = tokio::join!(copy.observe(), copy.observe());
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(bench.effects("array.auth"), 1);
}
