//! Secrets: missing, unlabelled, of another type, wrong. A wrong password is tried once, then a person has to change it.

use super::stage::{HOLD, Stage, as_it_is, condition, says_all};
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::{Value, json};

/// Changes one Secret before it is created.
fn secret(name: &str, change: impl Fn(&mut Value)) -> impl Fn(&mut Value) {
    move |object| {
        if object["kind"] == "Secret" && object["metadata"]["name"] == name {
            change(object);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_secret_is_named() {
    let Some(stage) = Stage::new(as_it_is, secret("svc", |s| *s = Value::Null)).await else {
        return;
    };
    let words = ["Secret svc", "create it"];
    stage.refuses(HOLD, "SecretMissing", &words).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unlabelled_secret_is_not_used_and_the_label_is_said() {
    let unlabelled = |s: &mut Value| s["metadata"]["labels"] = json!({});
    let Some(stage) = Stage::new(as_it_is, secret("hmc", unlabelled)).await else {
        return;
    };
    let words = ["Secret hmc", "kubectl label secret hmc"];
    stage.refuses(HOLD, "SecretUnlabelled", &words).await;
    // Not even a logon was tried with it.
    assert_eq!(stage.effects("hmc.logon"), 0);
    stage
        .change_secret(
            "hmc",
            json!({"metadata": {"labels": {"ibmiclone.dev/credentials": "true"}}}),
        )
        .await;
    stage.ready(HOLD).await;
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_of_another_type_is_refused() {
    let opaque = |s: &mut Value| s["type"] = json!("Opaque");
    let Some(stage) = Stage::new(as_it_is, secret("prod-ssh", opaque)).await else {
        return;
    };
    let words = ["Secret prod-ssh", "Opaque", "kubernetes.io/basic-auth"];
    stage.refuses(HOLD, "SecretWrongType", &words).await;
    stage.unharmed().await;
}

/// One attempt, however often is looked; a changed Secret is used within a minute of the operator's clock.
async fn wrong_password_is_tried_once(
    name: &'static str,
    right: &str,
    attempts: impl Fn(&Stage) -> u64,
    words: &[&str],
) {
    let wrong = |s: &mut Value| s["stringData"]["password"] = json!("WrongWord1");
    let Some(stage) = Stage::new(as_it_is, secret(name, wrong)).await else {
        return;
    };
    let found = stage
        .environment_until(HOLD, |s| {
            s.conditions
                .iter()
                .any(|c| c.type_ == "Ready" && c.status == "False")
        })
        .await;
    let (reason, message) = condition(&found, "Ready");
    assert!(
        ["LoginFailed", "DeviceRefused"].contains(&reason.as_str()),
        "{reason}"
    );
    says_all(&message, &["LoginFailed", "Secret"]);
    says_all(&message, words);
    assert!(!message.contains("WrongWord1"));
    let run = stage.run(HOLD).await;
    let end = stage.ended(&run).await;
    assert_eq!(end.outcome().0, Phase::Failed);
    says_all(end.message(), words);
    stage.verified_again(HOLD, 3).await;
    assert_eq!(attempts(&stage), 1, "an account must not be locked");
    stage.untouched();

    stage
        .change_secret(name, json!({"stringData": {"password": right}}))
        .await;
    stage.ready(HOLD).await;
    let run = stage.run(HOLD).await;
    stage.ended(&run).await.succeeded();
    assert_eq!(attempts(&stage), 1);
    stage.unharmed().await;
}

/// The password was right and the account was repaired at the device: any change by a person is worth one more attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repaired_account_is_tried_again_once_per_change() {
    let broken = |w: &mut WorldFile| w.console.users[0].password = "of another day".into();
    let Some(stage) = Stage::new(broken, as_it_is).await else {
        return;
    };
    stage.not_ready(HOLD, "LoginFailed").await;
    stage.verified_again(HOLD, 2).await;
    assert_eq!(stage.effects("hmc.logon-failed"), 1);
    let label = json!({"metadata": {"labels": {"tried": "2"}}});
    stage.change_secret("hmc", label).await;
    stage.until_effects("hmc.logon-failed", 2).await;
    stage.verified_again(HOLD, 2).await;
    assert_eq!(
        stage.effects("hmc.logon-failed"),
        2,
        "one change, one attempt"
    );
    stage.world(|w| {
        let hmc = &mut w.console;
        hmc.users[0].password = "simulated-hmc".into();
    });
    stage
        .change_spec(HOLD, json!({"timeouts": {"runSeconds": 7000}}))
        .await;
    stage.ready(HOLD).await;
    assert_eq!(stage.effects("hmc.logon-failed"), 2);
    stage.unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_password_at_the_console_is_tried_once() {
    let attempts = |s: &Stage| s.effects("hmc.logon-failed");
    wrong_password_is_tried_once("hmc", "simulated-hmc", attempts, &["HMC", "cloneop"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_password_at_the_array_is_tried_once() {
    let attempts = |s: &Stage| s.effects("array.auth-failed");
    wrong_password_is_tried_once("svc", "simulated-svc", attempts, &["cloneop"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_password_at_production_is_tried_once() {
    let attempts = |s: &Stage| s.effects("ibmi.PROD.LOGIN-REJECTED");
    wrong_password_is_tried_once("prod-ssh", "simulated-prod", attempts, &["CLONEOP"]).await;
}
