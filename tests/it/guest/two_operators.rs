//! Two operators, each with Leases that the other does not see, on one production.

use super::{guest, lock};
use crate::failures::stage::{HOLD, Stage, USER, as_it_is, condition, is, says_all};
use ibmi_clone_operator::engine::journal::Phase;

const SECOND: &str = "other-operator";
const SUSPENDS: &str = "ibmi.PROD.SUSPEND";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_operator_is_refused_with_both_ids_until_it_takes_over() {
    let Some(first) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    let second = first.beside(SECOND).await;
    first.ready(HOLD).await;
    second.ready(HOLD).await;
    let run = first.run(HOLD).await;
    first.ended(&run).await.succeeded();
    assert!(
        lock(&first).starts_with("operator=test-operator\n"),
        "it stays"
    );

    let before = first.effects(SUSPENDS);
    let run = second.run(HOLD).await;
    let end = second.ended(&run).await;
    assert_eq!(end.outcome(), (Phase::Failed, "OtherOperator"));
    let words = ["test-operator", SECOND, "--take-over"];
    says_all(end.message(), &words);
    second.look_again(HOLD).await;
    let status = second
        .environment_until(HOLD, |s| is(s, "GuestKitReady", "False"))
        .await;
    let (reason, text) = condition(&status, "GuestKitReady");
    assert_eq!(reason, "OtherOperator");
    says_all(&text, &words);
    assert_eq!(first.effects(SUSPENDS), before);

    let (code, text) = guest(&second, &["install", HOLD]).await;
    assert_ne!(code, Some(0), "{text}");
    says_all(&text, &["test-operator", "nothing was changed"]);
    let (code, text) = guest(&second, &["install", HOLD, "--take-over", "--yes"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(lock(&first), "", "taken away, and taken by the next run");
    let run = second.run(HOLD).await;
    second.ended(&run).await.succeeded();
    assert!(lock(&first).starts_with(&format!("operator={SECOND}\n")));
    let run = first.run(USER).await;
    let end = first.ended(&run).await;
    assert_eq!(end.outcome(), (Phase::Failed, "OtherOperator"));
    second.gone().await;
    first.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_that_begin_together_one_suspends_production() {
    let Some(first) = Stage::new(as_it_is, as_it_is).await else {
        return;
    };
    let second = first.beside(SECOND).await;
    first.ready(HOLD).await;
    second.ready(HOLD).await;
    let (one, two) = tokio::join!(first.run(HOLD), second.run(HOLD));
    let (one, two) = tokio::join!(first.ended(&one), second.ended(&two));
    let outcomes = [one.outcome(), two.outcome()];
    let won = |o: &&(Phase, &str)| o.0 == Phase::Succeeded;
    let lost = |o: &&(Phase, &str)| **o == (Phase::Failed, "OtherOperator");
    let told = [one.message(), two.message()];
    assert_eq!(outcomes.iter().filter(won).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(lost).count(), 1, "{told:?}");
    assert_eq!(first.effects(SUSPENDS), 1);
    second.gone().await;
    first.unharmed().await;
}
