//! The freeze window's helper over the wire.

use super::{Bench, TOKEN, plan, production, sysbas};
use ibmi_clone_operator::drivers::ibmi::SshLink;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::site::{
    AspName, Canary, DeviceError, FreezePlan, FreezeSession, Identity, OnBoundaryTimeout,
    SourceFreeze, Watchdog,
};
use std::time::{Duration, Instant};

pub async fn suspend(session: &mut Box<dyn FreezeSession>) -> Result<(), DeviceError> {
    session
        .suspend(&sysbas(), 30, OnBoundaryTimeout::Abort)
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_opens_proves_its_suspension_and_leaves_nothing() {
    let bench = Bench::with(|f| f.profile_banner = "Welcome\n".to_owned()).await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    assert_eq!(
        session.state().await.unwrap().watchdog,
        Watchdog::Armed,
        "before anything is suspended"
    );
    suspend(&mut session).await.unwrap();
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    session.start_canary().await.unwrap();
    bench.advance(Duration::from_secs(1));
    let state = session.state().await.unwrap();
    assert_eq!(
        (state.canary, state.watchdog),
        (Canary::Pending, Watchdog::Armed)
    );
    let time = session.resume(&sysbas()).await.unwrap();
    assert_eq!(time.milliseconds, 500, "by the device's own clock");
    assert_eq!(session.state().await.unwrap().canary, Canary::Completed);
    assert_eq!(session.close().await.unwrap(), Watchdog::Ended);
    drop(session);
    bench.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_there_and_back_takes_less_than_a_window_notices() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let without_canary = FreezePlan {
        canary: false,
        ..plan()
    };
    let mut session = freeze.open(&without_canary).await.unwrap();
    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..100 {
        let sent = Instant::now();
        session.state().await.unwrap();
        took.push(sent.elapsed());
    }
    took.sort();
    // A poll with a sleep, or an answer that waits for an acknowledgement, would show as 10 or 40 ms.
    assert!(took[50] < Duration::from_millis(8), "median {:?}", took[50]);
    session.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_suspend_is_refused_and_suspends_nothing() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    let no = FaultKind::Refuse {
        code: "CPF9802".to_owned(),
        text: "Not authorized to object".to_owned(),
    };
    bench.fault("CHGASPACT SUSPEND", no);
    let error = suspend(&mut session).await.unwrap_err();
    assert_eq!(error.code(), Some("CPF9802"));
    assert_eq!(bench.suspended(), Vec::<String>::new());
    assert_eq!(session.close().await.unwrap(), Watchdog::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_ends_the_suspend_or_is_left_behind() {
    let bench = Bench::with(|f| f.long_transaction_seconds = 45).await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    let error = suspend(&mut session).await.unwrap_err();
    assert_eq!(error.reason(), "Refused");
    assert_eq!(bench.suspended(), Vec::<String>::new());
    let kept = session
        .suspend(&sysbas(), 30, OnBoundaryTimeout::KeepSuspended)
        .await
        .unwrap();
    assert_eq!(kept.milliseconds, 30_000);
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    session.resume(&sysbas()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_that_fired_is_told_in_the_window_and_at_its_end() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    bench.advance(Duration::from_secs(91));
    bench
        .until("resumed", |w| w.systems["PROD"].suspended().is_empty())
        .await;
    assert_eq!(session.state().await.unwrap().watchdog, Watchdog::Fired);
    session.resume(&sysbas()).await.unwrap();
    assert_eq!(session.close().await.unwrap(), Watchdog::Fired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_watchdog_of_a_slow_helper_is_not_taken_for_dead() {
    for slow in ["HELLO", "WATCHDOG ARM"] {
        let bench = Bench::new().await;
        let delay = FaultKind::Delay {
            milliseconds: 10_000,
        };
        bench.fault(slow, delay);
        let mut session = bench.freeze().open(&plan()).await.unwrap();
        // In the second of its first beat.
        let state = session.state().await.unwrap();
        assert_eq!(state.watchdog, Watchdog::Armed, "slow {slow}");
        assert_eq!(session.close().await.unwrap(), Watchdog::Ended);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_dies_while_suspended_has_resumed_and_is_no_success() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    bench.fault("WATCHDOG STATE", FaultKind::Special("dies".to_owned()));
    let error = session.state().await.unwrap_err();
    assert_eq!(error.reason(), "Indeterminate", "{error}");
    assert_eq!(bench.suspended(), Vec::<String>::new());
    // The watchdog is still counting: the spare disarms it.
    assert_eq!(session.close().await.unwrap(), Watchdog::Ended);
    drop(session);
    bench.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_vanishes_while_suspended_leaves_a_running_source() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    drop(session);
    bench
        .until("resumed", |w| w.systems["PROD"].suspended().is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_waits_for_any_more_is_not_taken_for_another() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    bench.fault("CHGASPACT SUSPEND", FaultKind::Special("silent".to_owned()));
    let given_up = tokio::time::timeout(Duration::from_millis(100), suspend(&mut session)).await;
    assert!(given_up.is_err());
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    let time = session.resume(&sysbas()).await.unwrap();
    assert_eq!(time.milliseconds, 500);
    assert_eq!(bench.suspended(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_opened_on_another_system() {
    let bench = Bench::new().await;
    let link = bench.link();
    for (identities, code) in [
        (vec![Identity::new("7812345", 9)], "IdentityUnexpected"),
        (Vec::new(), "IdentityUnknown"),
    ] {
        let freeze = link.freeze(link.system(), identities);
        let error = freeze.open(&plan()).await.err().unwrap();
        assert_eq!(error.code(), Some(code));
    }
    assert_eq!(bench.asked("WATCHDOG ARM"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_kit_no_window_opens() {
    let bench = Bench::with(|f| f.kit_installed = false).await;
    let started = Instant::now();
    let error = bench.freeze().open(&plan()).await.err().unwrap();
    assert!(error.to_string().contains("HELPER"), "{error}");
    // The end of the channel is seen, not waited for.
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(bench.suspended(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_left_by_an_attempt_of_ours_is_replaced() {
    let bench = Bench::new().await;
    let first = bench.freeze();
    let session = first.open(&plan()).await.unwrap();
    drop(session);
    let second = bench.freeze();
    let mut session = second.open(&plan()).await.unwrap();
    assert_eq!(session.state().await.unwrap().watchdog, Watchdog::Armed);
    assert_eq!(session.close().await.unwrap(), Watchdog::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_asps_come_before_sysbas() {
    let bench = Bench::with(|f| {
        f.asps = serde_json::from_value(serde_json::json!([{"name": "IASP1"}])).unwrap();
    })
    .await;
    let order = bench.freeze().asps().await.unwrap();
    assert_eq!(order, [AspName::new("IASP1"), sysbas()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disarm_proves_the_end_of_the_watchdog() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let session = freeze.open(&plan()).await.unwrap();
    drop(session);
    drop(freeze);
    let mut options = bench.options();
    options.host_keys_field = "other".to_owned();
    let link = SshLink::new(options);
    let again = link.freeze(link.system(), vec![production()]);
    assert_eq!(again.disarm_watchdog(TOKEN).await.unwrap(), Watchdog::Ended);
    bench
        .until("helpers ended", |w| w.systems["PROD"].connections() == 0)
        .await;
    bench.nothing_is_left().await;
}
