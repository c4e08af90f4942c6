//! Opening (`product.md` § 3 and § 9): numbers without gaps, restored runs are never executed, what is missing is said.

use super::field::{Field, phase, ready, reason};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{
    CloneEnvironmentStatus, ENVIRONMENT_LABEL, NUMBER_LABEL, OPENED_ANNOTATION, OUTCOME_LABEL,
    PINS_ANNOTATION,
};
use ibmi_clone_operator::engine::journal::Phase;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use macro_rules_attribute::apply;
use serde_json::json;
use std::time::{Duration, Instant};

#[apply(on_both!)]
async fn runs_are_numbered_in_order_and_their_rows_are_closed(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let _operator = field.operator();
    field.verified("nightly").await;
    for number in 1..=3_i64 {
        let name = format!("night-{number}");
        field.run(&name, "nightly").await;
        let run = field.ended(&name).await;
        let status = run.status.clone().unwrap();
        assert_eq!(status.number, Some(number));
        assert_eq!(
            (status.phase, status.state.as_deref()),
            (Phase::Succeeded, Some("USER_END"))
        );
        assert_eq!(run.labels()[NUMBER_LABEL], number.to_string());
        assert_eq!(run.labels()[ENVIRONMENT_LABEL], "nightly");
        assert_eq!(run.labels()[OUTCOME_LABEL], "Succeeded");
        assert_eq!(run.annotations()[OPENED_ANNOTATION], run.uid().unwrap());
        assert_eq!(field.world.acts_of(&name), 14, "each effect once");
    }
    let environment = field.environments().get("nightly").await.unwrap();
    let status = environment.status.clone().unwrap();
    assert_eq!((status.last_run_number, status.opening), (3, None));
    assert_eq!(status.active_run, None);
    assert_eq!(status.last_run.unwrap().name, "night-3");
    assert_eq!(status.consecutive_failures, 0);
    assert!(status.last_success_time.is_some());
    assert_eq!(status.device_number, Some(1));
    assert_eq!(ready(&environment).unwrap().0, "True");
    // The look opened it before anything was pinned.
    assert_eq!(field.world.sites_opened(), 2, "one site for all passes");
}

#[apply(on_both!)]
async fn a_crash_after_the_reservation_is_completed_with_the_same_number(server: Server) {
    let field = Field::new(server).await;
    let mut environment = field.environment("nightly", |_| {}).await;
    let run = field.run("stopped", "nightly").await;
    field.run("gone", "nightly").await;
    environment.status = Some(CloneEnvironmentStatus {
        last_run_number: 7,
        opening: Some(format!("stopped/{}", run.uid().unwrap())),
        ..CloneEnvironmentStatus::default()
    });
    let api = field.environments();
    let written = api
        .replace_status("nightly", &PostParams::default(), &environment)
        .await;
    written.unwrap();
    field
        .runs()
        .delete("gone", &Default::default())
        .await
        .unwrap();
    let _operator = field.operator();
    assert_eq!(field.ended("stopped").await.status.unwrap().number, Some(7));

    // A reservation whose run vanished before it was opened leaves no gap.
    let mut environment = api.get("nightly").await.unwrap();
    let status = environment.status.as_mut().unwrap();
    status.last_run_number = 8;
    status.opening = Some("gone/of-old".to_owned());
    api.replace_status("nightly", &PostParams::default(), &environment)
        .await
        .unwrap();
    field.run("next", "nightly").await;
    assert_eq!(field.ended("next").await.status.unwrap().number, Some(8));
}

#[apply(on_both!)]
async fn the_highest_label_wins_at_start(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    // The environment was restored from git and has forgotten its numbers; an old row has not.
    let old = field.run("old", "nightly").await;
    let marks = json!({"metadata": {
        "labels": {NUMBER_LABEL: "41", ENVIRONMENT_LABEL: "nightly"},
        "annotations": {OPENED_ANNOTATION: "another-uid"},
    }});
    let patch = Patch::Merge(&marks);
    field
        .runs()
        .patch(&old.name_any(), &PatchParams::default(), &patch)
        .await
        .unwrap();
    field.run("new", "nightly").await;
    let _operator = field.operator();
    assert_eq!(field.ended("new").await.status.unwrap().number, Some(42));
}

#[apply(on_both!)]
async fn a_restored_run_is_skipped_and_never_executed(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let mut copy = field.run("first", "nightly").await;
    let _operator = field.operator();
    let first = field.ended("first").await;
    copy.metadata = kube::api::ObjectMeta {
        name: Some("restored".to_owned()),
        labels: first.metadata.labels.clone(),
        annotations: first.metadata.annotations.clone(),
        ..Default::default()
    };
    copy.status = None;
    field
        .runs()
        .create(&PostParams::default(), &copy)
        .await
        .unwrap();
    let restored = field.ended("restored").await;
    assert_eq!(
        (phase(&restored), reason(&restored)),
        (Phase::Skipped, "Restored")
    );
    assert_eq!(field.world.acts_of("restored"), 0);
    assert_eq!(restored.status.unwrap().number, None);
    let status = field
        .environments()
        .get("nightly")
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status.last_run_number, 1);
}

#[apply(on_both!)]
async fn a_run_without_environment_says_so(server: Server) {
    let field = Field::new(server).await;
    field.run("orphan", "nowhere").await;
    let _operator = field.operator();
    let run = field.ended("orphan").await;
    assert_eq!(
        (phase(&run), reason(&run)),
        (Phase::Skipped, "EnvironmentNotFound")
    );
    let message = run.status.unwrap().message.unwrap();
    assert!(
        message.contains("create it, then a new CloneRun"),
        "{message}"
    );
}

#[apply(on_both!)]
async fn a_missing_secret_is_named_and_its_arrival_is_noticed(server: Server) {
    let field = Field::new(server).await;
    let name = "other-ssh";
    field
        .environment("nightly", |spec| {
            spec["source"]["host"]["credentials"]["name"] = json!(name);
        })
        .await;
    field.run("early", "nightly").await;
    let _operator = field.operator();
    let run = field.ended("early").await;
    assert_eq!(
        (phase(&run), reason(&run)),
        (Phase::Failed, "SecretMissing")
    );
    let message = run.status.unwrap().message.unwrap();
    assert!(
        message.contains("Secret other-ssh does not exist"),
        "{message}"
    );
    let refused = |e: &_| ready(e) == Some(("False".to_owned(), "SecretMissing".to_owned()));
    field.environment_until("nightly", refused).await;
    field.secret(name).await;
    let fine = |e: &_| ready(e).is_some_and(|(status, _)| status == "True");
    field.environment_until("nightly", fine).await;
    field.run("late", "nightly").await;
    assert_eq!(phase(&field.ended("late").await), Phase::Succeeded);
}

#[apply(on_both!)]
async fn a_clone_that_is_anothers_source_is_refused(server: Server) {
    let field = Field::new(server).await;
    let production = format!("PROD-{}", field.namespace);
    field.environment("good", |_| {}).await;
    field
        .environment("reversed", |spec| {
            spec["source"]["partition"]["name"] = json!("ELSEWHERE");
            spec["clone"]["partition"]["name"] = json!(production);
        })
        .await;
    field.run("fatal", "reversed").await;
    let _operator = field.operator();
    let run = field.ended("fatal").await;
    assert_eq!(
        (phase(&run), reason(&run)),
        (Phase::Failed, "CloneIsASource")
    );
    assert_eq!(field.world.acts_of("fatal"), 0);
    let refused = |e: &_| ready(e) == Some(("False".to_owned(), "CloneIsASource".to_owned()));
    field.environment_until("reversed", refused).await;
}

/// The environment's own look and the one before its first run come together; a console that is slow to open must not get
/// two sessions for one environment.
#[apply(on_both!)]
async fn a_look_and_a_run_that_come_together_open_one_set_of_devices(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.run("first", "nightly").await;
    let slow = format!("open nightly-{}", field.namespace);
    field.world.slow_down(&slow);
    let _operator = field.operator();
    field.until_opened(1).await;
    // An environment beside it is not kept waiting; when it is verified, both have long asked for the devices.
    field.environment("other", |_| {}).await;
    field.verified("other").await;
    let opened = field.world.opened(&slow);
    field.world.speed_up(&slow);
    field.ended("first").await;
    assert_eq!(opened, 1, "sets of devices opened at once");
}

#[apply(on_both!)]
async fn a_changed_secret_opens_a_new_site(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    let _operator = field.operator();
    field.verified("nightly").await;
    field.run("one", "nightly").await;
    field.ended("one").await;
    assert_eq!(field.world.sites_opened(), 2, "before and after the pin");
    field.change_secret("hmc").await;
    // Credentials are read again after 30 s, here one.
    field.world.hold("run-function");
    field.run("two", "nightly").await;
    field.until_opened(3).await;
    field.world.let_go("run-function");
    field.ended("two").await;
    assert_eq!(field.world.sites_opened(), 3);
}

#[apply(on_both!)]
async fn a_run_under_way_keeps_its_sessions_when_the_secrets_go(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", |_| {}).await;
    field.world.hold("run-function");
    let _operator = field.operator();
    field.run("under-way", "nightly").await;
    field
        .until("under-way", |r| {
            r.status.as_ref().and_then(|s| s.step.as_deref()) == Some("run-function")
        })
        .await;
    field.remove_secrets().await;
    // Passes go on after the time when credentials are read again: 30 s, here one.
    let later = Instant::now() + Duration::from_secs(2);
    wait::until("a pass without secrets", async || {
        let looks = field.world.looks("run-function");
        looks.last().is_some_and(|at| *at > later)
    })
    .await;
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("under-way").await), Phase::Succeeded);
}

#[apply(on_both!)]
async fn numbers_behind_device_names_are_unique_and_survive_a_restore(server: Server) {
    let field = Field::new(server).await;
    let _operator = field.operator();
    let mut numbers = Vec::new();
    for name in ["left", "right"] {
        field.environment(name, |_| {}).await;
        field.run(&format!("{name}-1"), name).await;
        field.ended(&format!("{name}-1")).await;
        let status = field
            .environments()
            .get(name)
            .await
            .unwrap()
            .status
            .unwrap();
        numbers.push(status.device_number.unwrap());
    }
    assert_eq!(numbers, [1, 2]);
    let pinned = field.environments().get("right").await.unwrap();
    let pins = pinned.annotations()[PINS_ANNOTATION].clone();
    let pins: serde_json::Value = serde_json::from_str(&pins).unwrap();
    assert_eq!(pins["deviceNumber"], "2");
    // Deleted and applied again from git, without the annotation.
    field
        .environments()
        .delete("right", &Default::default())
        .await
        .unwrap();
    field.environment("right", |_| {}).await;
    field.run("right-2", "right").await;
    field.ended("right-2").await;
    let again = field
        .environments()
        .get("right")
        .await
        .unwrap()
        .status
        .unwrap();
    assert_eq!(again.device_number, Some(2));
    assert_eq!(again.last_run_number, 2, "the labels of its rows remember");
}

/// It would hang until it is killed, and a service manager waits long for an operator that may be in a freeze window.
#[apply(on_both!)]
async fn an_operator_that_is_told_to_stop_while_it_starts_ends(server: Server) {
    let field = Field::new(server).await;
    field.operator().ends().await;
}
