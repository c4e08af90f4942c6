//! The obligation: production is resumed by whatever way works.

use super::freeze::suspend;
use super::{Bench, TOKEN, plan, sysbas};
use ibmi_clone_operator::drivers::ibmi::SshLink;
use ibmi_clone_operator::simulators::faults::FaultKind;
use ibmi_clone_operator::site::{ClCommand, IbmI, Identity, SourceFreeze, Watchdog};
use std::time::Duration;

/// A network that swallows everything: the helper does not learn that its channel ended.
fn swallow(bench: &Bench) {
    for _ in 0..4 {
        bench.fault("EOF", FaultKind::Special("silent-loss".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_work_hangs_while_suspended_and_the_spare_resumes_all_the_same() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let mut options = bench.options();
    options.limits.read = Duration::from_millis(300);
    let system = SshLink::new(options).system();
    let proved = system.connect().await.unwrap();
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    let hangs = system
        .query(&proved, "SELECT HOST_NAME FROM QSYS2.SYSTEM_STATUS_INFO")
        .await;
    assert_eq!(hangs.unwrap_err().reason(), "Indeterminate");
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    bench.fault("CHGASPACT RESUME", FaultKind::NoAnswer);
    let asp = sysbas();
    let unanswered = tokio::time::timeout(Duration::from_millis(200), session.resume(&asp));
    assert!(unanswered.await.is_err(), "the main helper is mute");
    let logins = bench.asked("LOGIN");
    freeze.resume_anyway(&[sysbas()]).await.unwrap();
    assert_eq!(bench.suspended(), Vec::<String>::new());
    assert_eq!(bench.asked("LOGIN"), logins, "without a new login");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_operator_resumes_through_a_fresh_helper() {
    let bench = Bench::new().await;
    bench.shared.now().knobs.exec_hangs_while_suspended = false;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    swallow(&bench);
    drop(session);
    drop(freeze);
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    let again = bench.freeze();
    again.resume_anyway(&[sysbas()]).await.unwrap();
    assert_eq!(bench.suspended(), Vec::<String>::new());
    assert_eq!(again.disarm_watchdog(TOKEN).await.unwrap(), Watchdog::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_helper_a_plain_command_resumes() {
    let bench = Bench::with(|f| f.kit_installed = false).await;
    bench.shared.now().knobs.exec_hangs_while_suspended = false;
    let system = bench.system();
    let session = system.connect().await.unwrap();
    let by_hand =
        ClCommand::new("CHGASPACT ASPDEV(*SYSBAS) OPTION(*SUSPEND) SSPTIMO(30) SSPTIMOACN(*END)");
    assert!(system.run(&session, &by_hand).await.unwrap().succeeded);
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    bench.freeze().resume_anyway(&[sysbas()]).await.unwrap();
    assert_eq!(bench.suspended(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_way_does_not_ask_who_answers_before_it_resumes() {
    let bench = Bench::with(|f| f.kit_installed = false).await;
    bench.shared.now().knobs.exec_hangs_while_suspended = false;
    bench.freeze().resume_anyway(&[sysbas()]).await.unwrap();
    let world = bench.shared.now();
    let operations: Vec<String> = world
        .ledger
        .requests
        .iter()
        .map(|r| r.operation.clone())
        .collect();
    let resumed = operations.iter().position(|o| o.contains("*RESUME"));
    let asked = operations.iter().position(|o| o.contains("SYSTEM_STATUS"));
    assert!(resumed < asked, "{operations:?}");
    assert!(resumed.is_some() && asked.is_some(), "{operations:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_on_another_system_does_not_count() {
    let bench = Bench::with(|f| f.kit_installed = false).await;
    let link = bench.link();
    let freeze = link.freeze(link.system(), vec![Identity::new("7812345", 9)]);
    let error = freeze.resume_anyway(&[sysbas()]).await.unwrap_err();
    assert_eq!(error.code(), Some("IdentityUnexpected"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_resume_is_no_resume() {
    let bench = Bench::new().await;
    let freeze = bench.freeze();
    let mut session = freeze.open(&plan()).await.unwrap();
    suspend(&mut session).await.unwrap();
    let no = FaultKind::Refuse {
        code: "CPFB717".to_owned(),
        text: "cannot resume".to_owned(),
    };
    bench.fault("CHGASPACT RESUME", no);
    let error = session.resume(&sysbas()).await.unwrap_err();
    assert_eq!(error.code(), Some("CPFB717"));
    assert_eq!(bench.suspended(), ["*SYSBAS"]);
    session.resume(&sysbas()).await.unwrap();
    assert_eq!(bench.suspended(), Vec::<String>::new());
    assert_eq!(
        bench.freeze().resume_anyway(&[sysbas()]).await,
        Ok(()),
        "twice is harmless"
    );
}
