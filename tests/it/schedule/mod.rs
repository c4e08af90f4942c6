//! The schedule on a real and on the embedded API server (`product.md` § 8); its decisions are tested where they are made, in the room
//! `schedule` of the crate.

use crate::controllers::field::{Field, Operator, phase, reason};
use crate::server::Server;
use crate::support::wait;
use chrono::{DateTime, Utc};
use ibmi_clone_operator::api::run::Trigger;
use ibmi_clone_operator::api::schedule::{ScheduleLine, SkipReason};
use ibmi_clone_operator::api::{
    CloneEnvironment, CloneEnvironmentStatus, ENVIRONMENT_LABEL, FINALIZER, OUTCOME_LABEL,
};
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::engine::journal::Phase;
use ibmi_clone_operator::engine::time::Timestamp;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use macro_rules_attribute::apply;
use serde_json::{Value, json};

const NIGHT: &str = "nightly-20261124t0000z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A clock of the speed of real time that shows `start` now.
fn clock(start: &str) -> ScheduleClock {
    ScheduleClock::scaled(at(start), 1.0)
}

fn every_midnight(spec: &mut Value) {
    spec["schedule"] = json!({"cron": ["0 0 * * *"]});
}

fn operator(field: &Field, clock: &ScheduleClock) -> Operator {
    field.operator_with(|config| config.schedule_clock = clock.clone())
}

fn status(environment: &CloneEnvironment) -> CloneEnvironmentStatus {
    environment.status.clone().unwrap_or_default()
}

fn condition(environment: &CloneEnvironment, kind: &str) -> Option<(String, String)> {
    let conditions = status(environment).conditions;
    let found = conditions.into_iter().find(|c| c.type_ == kind)?;
    Some((found.status, found.reason))
}

async fn names(field: &Field) -> Vec<String> {
    let runs = field.runs().list(&ListParams::default()).await.unwrap();
    runs.iter().map(ResourceExt::name_any).collect()
}

async fn until_clock(clock: &ScheduleClock, time: &str) {
    wait::until(time, async || clock.now() >= at(time)).await;
}

async fn patch(field: &Field, name: &str, spec: Value) {
    let patch = json!({"spec": spec});
    field
        .environments()
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
}

#[apply(on_both!)]
async fn a_due_slot_is_one_run_and_its_name_label_owner_and_finalizer_are_in_the_create(
    server: Server,
) {
    let field = Field::new(server).await;
    let environment = field.environment("nightly", every_midnight).await;
    field.world.hold("stop-clone");
    let _operator = operator(&field, &clock("2026-11-23T23:59:58Z"));
    let run = field.until(NIGHT, |_| true).await;
    assert_eq!(run.spec.trigger, Trigger::Schedule);
    let time = run.spec.scheduled_time.clone().unwrap();
    assert_eq!(time.0.as_second(), at("2026-11-24T00:00:00Z").timestamp());
    assert_eq!(run.labels()[ENVIRONMENT_LABEL], "nightly");
    assert_eq!(run.finalizers(), [FINALIZER]);
    assert_eq!(run.owner_references()[0].uid, environment.uid().unwrap());
    field.world.let_go("stop-clone");
    assert_eq!(phase(&field.ended(NIGHT).await), Phase::Succeeded);
    assert_eq!(field.world.acts_of(NIGHT), 14, "each effect once");

    let environment = field
        .environment_until("nightly", |e| {
            status(e).schedule.iter().any(|l| l.last_slot.is_some())
        })
        .await;
    let shown = status(&environment);
    assert_eq!(
        shown.schedule[0].last_slot.unwrap().utc(),
        at("2026-11-24T00:00:00Z")
    );
    assert_eq!(shown.next_run_time.as_deref(), Some("2026-11-25T00:00:00Z"));
    assert_eq!(
        (shown.expected_interval_seconds, shown.missed_count),
        (Some(86_400), 0)
    );
    let valid = condition(&environment, "ScheduleValid");
    assert_eq!(valid, Some(("True".into(), "Valid".into())));
    let overdue = condition(&environment, "Overdue");
    assert_eq!(overdue, Some(("False".into(), "InTime".into())));
    assert_eq!(names(&field).await, [NIGHT]);
}

#[apply(on_both!)]
async fn two_operators_at_once_and_a_restarted_one_create_one_run(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", every_midnight).await;
    let clock = clock("2026-11-23T23:59:57Z");
    let one = operator(&field, &clock);
    let two = field.operator_with(|config| {
        config.schedule_clock = clock.clone();
        config.writer = "writer-2".to_owned();
    });
    field.ended(NIGHT).await;
    one.ends().await;
    two.ends().await;
    // What was remembered is lost: the names of the runs are enough.
    let mut environment = field.environments().get("nightly").await.unwrap();
    let lines = &mut environment.status.as_mut().unwrap().schedule;
    lines[0].last_slot = None;
    let written = field
        .environments()
        .replace_status("nightly", &PostParams::default(), &environment)
        .await;
    written.unwrap();
    let _third = operator(&field, &clock);
    patch(&field, "nightly", json!({"timeouts": {"runSeconds": 7200}})).await;
    field
        .environment_until("nightly", |e| status(e).observed_generation == Some(2))
        .await;
    assert_eq!(names(&field).await, [NIGHT]);
}

#[apply(on_both!)]
async fn missed_slots_are_one_skipped_run_that_never_opens(server: Server) {
    let field = Field::new(server).await;
    let mut environment = field.environment("nightly", every_midnight).await;
    environment.status = Some(CloneEnvironmentStatus {
        schedule: vec![ScheduleLine {
            cron: "0 0 * * *".to_owned(),
            time_zone: "UTC".to_owned(),
            next: None,
            last_slot: Some(Timestamp::new(at("2026-11-21T00:00:00Z"))),
            baseline: Timestamp::new(at("2026-11-01T00:00:00Z")),
            valid: true,
            message: String::new(),
        }],
        missed_count: 4,
        ..CloneEnvironmentStatus::default()
    });
    let written = field
        .environments()
        .replace_status("nightly", &PostParams::default(), &environment)
        .await;
    written.unwrap();
    let _operator = operator(&field, &clock("2026-11-24T09:00:00Z"));
    let run = field.ended(NIGHT).await;
    let skip = run.spec.skip.clone().unwrap();
    assert_eq!((skip.reason, skip.slots), (SkipReason::DeadlineExceeded, 3));
    assert_eq!(phase(&run), Phase::Skipped);
    assert_eq!(reason(&run), "DeadlineExceeded");
    assert_eq!(run.labels()[OUTCOME_LABEL], "Skipped");
    let row = run.status.unwrap();
    assert_eq!((row.number, row.state.as_deref()), (None, Some("SKIPPED")));
    let message = row.message.unwrap();
    assert!(message.contains("3 times"), "{message}");
    field
        .environment_until("nightly", |e| status(e).missed_count == 7)
        .await;
    field.told("nightly", "SlotMissed").await;
    assert_eq!(names(&field).await, [NIGHT]);
    assert!(field.world.acts().is_empty());
}

#[apply(on_both!)]
async fn a_suspended_environment_runs_nothing_and_resumed_it_makes_up_for_nothing(server: Server) {
    let field = Field::new(server).await;
    let suspended = |spec: &mut Value| {
        every_midnight(spec);
        spec["suspend"] = json!(true);
    };
    field.environment("nightly", suspended).await;
    let clock = clock("2026-11-23T23:59:58Z");
    let _operator = operator(&field, &clock);
    let shown = field
        .environment_until("nightly", |e| status(e).suspended)
        .await;
    assert_eq!(status(&shown).next_run_time, None);
    until_clock(&clock, "2026-11-24T00:00:01Z").await;
    patch(&field, "nightly", json!({"suspend": false})).await;
    let shown = field
        .environment_until("nightly", |e| {
            status(e).next_run_time.as_deref() == Some("2026-11-25T00:00:00Z")
        })
        .await;
    let shown = status(&shown);
    assert!(!shown.suspended);
    assert!(shown.schedule[0].baseline.utc() >= at("2026-11-24T00:00:01Z"));
    assert!(names(&field).await.is_empty());
}

#[apply(on_both!)]
async fn an_edit_of_another_field_changes_nothing_and_of_a_line_its_baseline(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", every_midnight).await;
    let clock = clock("2026-11-23T12:00:00Z");
    let _operator = operator(&field, &clock);
    let first = field
        .environment_until("nightly", |e| !status(e).schedule.is_empty())
        .await;
    let baseline = status(&first).schedule[0].baseline;
    until_clock(&clock, "2026-11-23T12:00:02Z").await;
    patch(&field, "nightly", json!({"timeouts": {"runSeconds": 7200}})).await;
    let cron = json!({"schedule": {"cron": ["0 0 * * *", "30 2 30 2 *"]}});
    patch(&field, "nightly", cron).await;
    let edited = field
        .environment_until("nightly", |e| status(e).schedule.len() == 2)
        .await;
    let lines = status(&edited).schedule;
    assert_eq!(lines[0].baseline, baseline);
    assert!(lines[0].valid && lines[1].baseline > baseline);
    // A line that never fires is said, and the others go on.
    assert!(!lines[1].valid && lines[1].message.contains("never fires"));
    let valid = condition(&edited, "ScheduleValid");
    assert_eq!(valid, Some(("False".into(), "NeverFires".into())));
    assert_eq!(
        status(&edited).next_run_time.as_deref(),
        Some("2026-11-24T00:00:00Z")
    );
}

#[apply(on_both!)]
async fn a_scheduled_run_found_later_than_its_deadline_is_skipped_at_opening(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", every_midnight).await;
    let run = json!({
        "apiVersion": "ibmiclone.dev/v1alpha1", "kind": "CloneRun",
        "metadata": {"name": NIGHT, "finalizers": [FINALIZER]},
        "spec": {"environment": "nightly", "trigger": "Schedule", "scheduledTime": "2026-11-24T00:00:00Z"},
    });
    let run = serde_json::from_value(run).unwrap();
    let created = field.runs().create(&PostParams::default(), &run).await;
    created.unwrap();
    let _operator = operator(&field, &clock("2026-11-24T03:00:00Z"));
    let run = field.ended(NIGHT).await;
    assert_eq!(phase(&run), Phase::Skipped);
    assert_eq!(reason(&run), "DeadlineExceeded");
    assert!(field.world.acts().is_empty());
}

#[apply(on_both!)]
async fn an_active_run_is_waited_for_inside_the_deadline(server: Server) {
    let field = Field::new(server).await;
    field.environment("nightly", every_midnight).await;
    field.world.hold("stop-clone");
    field.run("by-hand", "nightly").await;
    let clock = clock("2026-11-23T23:59:57Z");
    let _operator = operator(&field, &clock);
    field.until("by-hand", |r| phase(r) == Phase::Running).await;
    until_clock(&clock, "2026-11-24T00:00:02Z").await;
    assert_eq!(names(&field).await, ["by-hand"]);
    field.world.let_go("stop-clone");
    assert_eq!(phase(&field.ended(NIGHT).await), Phase::Succeeded);
}
