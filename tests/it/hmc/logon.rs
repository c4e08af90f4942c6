//! Logging on, being refused, losing and finding the console again.

use crate::support::console::{ConsoleSite, clone1, until};
use ibmi_clone_operator::drivers::hmc::HmcConsole;
use ibmi_clone_operator::simulators::faults::{Device, FaultKind};
use ibmi_clone_operator::site::{PartitionState, PartitionView};
use std::net::TcpListener;
use std::time::Duration;

#[tokio::test]
async fn a_wrong_password_reaches_the_console_once() {
    let site = ConsoleSite::usual();
    let mut options = site.options(&[site.url(0), site.url(1)]);
    options.password = "wrong".to_owned().into();
    let console = HmcConsole::open(options).unwrap();
    for _ in 0..6 {
        let error = clone1(&console).status().await.unwrap_err();
        assert_eq!(error.code(), Some("LoginFailed"));
    }
    assert_eq!(site.effects("hmc.logon-failed"), 1);
    // The account is not locked: the right password works at once.
    clone1(&site.console()).status().await.unwrap();
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_with_the_fingerprint_that_then_works() {
    let site = ConsoleSite::usual();
    let mut options = site.options(&[site.url(0)]);
    options.tls.ca_pem = None;
    let console = HmcConsole::open(options.clone()).unwrap();
    let error = clone1(&console).status().await.unwrap_err().to_string();
    assert!(error.contains("not trusted"), "{error}");
    assert_eq!(site.requests("PUT"), 0, "no password was sent");
    let seen = error.split('"').find(|t| t.starts_with("SHA256:"));
    options.tls.fingerprints = vec![seen.expect("the fingerprint is told").to_owned()];
    let console = HmcConsole::open(options).unwrap();
    clone1(&console).status().await.unwrap();
}

#[tokio::test]
async fn a_refused_port_is_named_and_the_second_endpoint_is_used() {
    let site = ConsoleSite::usual();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("https://{}", free.local_addr().unwrap());
    drop(free);
    let console = HmcConsole::open(site.options(std::slice::from_ref(&closed))).unwrap();
    let error = clone1(&console).status().await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    let address = closed.trim_start_matches("https://");
    assert!(error.to_string().contains(address), "{error}");

    let console = HmcConsole::open(site.options(&[closed, site.url(1)])).unwrap();
    clone1(&console).status().await.unwrap();
    console.close().await;
    assert_eq!(site.sessions(), 0);
}

#[tokio::test]
async fn a_console_that_goes_down_is_unreachable_and_works_again_when_it_is_back() {
    let mut site = ConsoleSite::usual();
    let console = site.console();
    let control = clone1(&console);
    control.status().await.unwrap();
    site.down(0).await;
    for _ in 0..3 {
        let error = control.status().await.unwrap_err();
        assert_eq!(error.reason(), "Unreachable", "{error}");
    }
    site.back(0).await;
    control.status().await.unwrap();
    assert_eq!(site.effects("hmc.logon"), 1, "the session was kept");
    console.close().await;
    assert_eq!(site.sessions(), 0);
}

#[tokio::test]
async fn the_second_console_takes_over_and_both_sessions_end() {
    let mut site = ConsoleSite::usual();
    let console = site.both();
    let control = clone1(&console);
    control.status().await.unwrap();
    site.down(0).await;
    control.status().await.unwrap();
    assert_eq!(site.sessions(), 2);
    site.back(0).await;
    console.close().await;
    assert_eq!(site.sessions(), 0);
}

#[tokio::test]
async fn an_expired_session_is_renewed_without_notice() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let control = clone1(&console);
    control.status().await.unwrap();
    site.fault(
        Device::Hmc,
        "GET /rest/api/uom/LogicalPartition",
        FaultKind::Special("expire".into()),
    );
    control.status().await.unwrap();
    assert_eq!(site.effects("hmc.logon"), 2);
    console.close().await;
    assert_eq!(site.sessions(), 0);
}

#[tokio::test]
async fn an_idle_session_is_logged_off_and_a_dropped_console_too() {
    let site = ConsoleSite::usual();
    let mut options = site.options(&[site.url(0)]);
    options.idle = Duration::from_millis(30);
    let idle = HmcConsole::open(options).unwrap();
    clone1(&idle).status().await.unwrap();
    until("the logoff", || async { site.sessions() == 0 }).await;
    clone1(&idle).status().await.unwrap();
    drop(idle);
    until("the second logoff", || async { site.sessions() == 0 }).await;
}

#[tokio::test]
async fn names_that_do_not_exist_are_answered_with_those_that_do() {
    let site = ConsoleSite::usual();
    let console = site.console();
    let error = console.view("P10-PARIS", "CLONE9").status().await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Some("PartitionUnknown"));
    assert!(
        error.to_string().contains("CLONE1, CLONE2, PROD"),
        "{error}"
    );
    let error = console.view("P9-LYON", "CLONE1").status().await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), Some("SystemUnknown"));
    assert!(error.to_string().contains("P10-PARIS"), "{error}");
}

#[tokio::test]
async fn a_system_that_is_not_operating_tells_nothing_of_its_partitions() {
    let site = ConsoleSite::start(|w| w.console.systems[0].state = "no connection".into());
    let error = clone1(&site.console()).status().await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    assert!(error.to_string().contains("no connection"), "{error}");
}

#[tokio::test]
async fn a_busy_console_is_busy_and_a_slow_one_is_waited_for() {
    let site = ConsoleSite::usual();
    let control = clone1(&site.console());
    control.status().await.unwrap();
    let path = "GET /rest/api/uom/LogicalPartition";
    site.fault(Device::Hmc, path, FaultKind::Busy);
    assert_eq!(control.status().await.unwrap_err().reason(), "Busy");
    let milliseconds = 5_000;
    site.fault(Device::Hmc, path, FaultKind::Delay { milliseconds });
    let status = control.status().await.unwrap();
    assert_eq!(status.state, PartitionState::NotActivated);
}
