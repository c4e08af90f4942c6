//! Environments and runs that are deleted while a run waits for its devices (`product.md` § 7.7, § 9).

use crate::controllers::field::{Field, Operator, phase, reason};
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::controllers::locks::lease;
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use macro_rules_attribute::apply;
use serde_json::{Value, json};

/// Two environments on one clone partition.
async fn two_on_one_clone(field: &Field, change: impl Fn(&mut Value)) {
    for name in ["nightly", "other"] {
        other(field, name, &change).await;
    }
}

async fn other(field: &Field, name: &str, change: impl Fn(&mut Value)) -> CloneEnvironment {
    let partition = json!(format!("SHARED-{}", field.namespace));
    field
        .environment(name, |spec| {
            spec["clone"]["partition"]["name"] = partition.clone();
            if name == "other" {
                change(spec);
            }
        })
        .await
}

/// Run `holder` of `nightly` has the clone partition.
async fn taken(field: &Field, operator: impl FnOnce(&Field) -> Operator) -> Operator {
    field.world.hold("run-function");
    let operator = operator(field);
    field.verified("nightly").await;
    field.verified("other").await;
    field.run("holder", "nightly").await;
    field.at_step("holder", "run-function").await;
    operator
}

async fn queued(field: &Field, run: &str) -> CloneRun {
    let seen = field.until(run, |r| phase(r) == Phase::Queued).await;
    let queue = seen.status.clone().unwrap().queue.unwrap();
    assert!(queue.blocked_by.contains("holder"), "{queue:?}");
    seen
}

/// No lock is held by the run, and no queue names it.
async fn left_nothing_behind(field: &Field, uid: &str) {
    let leases: Api<Lease> = Api::namespaced(field.client.clone(), &field.namespace);
    wait::found("leases without the run", async || {
        let all = leases.list(&ListParams::default()).await.unwrap();
        for found in &all {
            let said = serde_json::to_string(&found.metadata.annotations).unwrap();
            if lease::holder(found).as_deref() == Some(uid) || said.contains(uid) {
                return Err(format!("{} says {said}", found.name_any()));
            }
        }
        Ok(())
    })
    .await;
}

async fn next_is_number(field: &Field, number: i64) {
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("holder").await), Phase::Succeeded);
    field.run("next", "other").await;
    let next = field.ended("next").await;
    assert_eq!(phase(&next), Phase::Succeeded);
    assert_eq!(next.status.unwrap().number, Some(number));
}

#[apply(on_both!)]
async fn a_queued_run_whose_environment_is_deleted_ends_and_does_nothing(server: Server) {
    let field = Field::new(server).await;
    two_on_one_clone(&field, |_| {}).await;
    let _operator = taken(&field, Field::operator).await;
    field.run("waits", "other").await;
    let uid = queued(&field, "waits").await.uid().unwrap();
    let environments = field.environments();
    environments
        .delete("other", &DeleteParams::default())
        .await
        .unwrap();
    let end = field.ended("waits").await;
    assert_eq!(
        (phase(&end), reason(&end)),
        (Phase::Cancelled, "EnvironmentDeleted")
    );
    let status = end.status.unwrap();
    assert!(status.message.unwrap().contains("nothing was done"));
    assert_eq!((status.queue, status.number), (None, Some(1)));
    assert_eq!(field.world.acts_of("waits"), 0);
    left_nothing_behind(&field, &uid).await;
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("holder").await), Phase::Succeeded);
}

#[apply(on_both!)]
async fn a_queued_run_does_not_go_on_for_an_environment_that_was_created_again(server: Server) {
    let field = Field::new(server).await;
    two_on_one_clone(&field, |_| {}).await;
    let operator = taken(&field, Field::operator).await;
    field.run("waits", "other").await;
    let uid = queued(&field, "waits").await.uid().unwrap();
    // `kubectl replace --force` while nobody looks.
    operator.ends().await;
    let environments = field.environments();
    environments
        .delete("other", &DeleteParams::default())
        .await
        .unwrap();
    other(&field, "other", |_| {}).await;
    let _operator = field.operator();
    let end = field.ended("waits").await;
    assert_eq!(
        (phase(&end), reason(&end)),
        (Phase::Cancelled, "EnvironmentDeleted")
    );
    let message = end.status.unwrap().message.unwrap();
    assert!(message.contains("created again"), "{message}");
    assert_eq!(field.world.acts_of("waits"), 0);
    left_nothing_behind(&field, &uid).await;
    // The row keeps its number; the new environment counts on from it.
    next_is_number(&field, 2).await;
}

#[apply(on_both!)]
async fn a_run_under_way_goes_to_its_end_when_its_environment_is_deleted(server: Server) {
    let field = Field::new(server).await;
    two_on_one_clone(&field, |_| {}).await;
    let _operator = taken(&field, Field::operator).await;
    let environments = field.environments();
    environments
        .delete("nightly", &DeleteParams::default())
        .await
        .unwrap();
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("holder").await), Phase::Succeeded);
    assert_eq!(field.world.acts_of("holder"), 14);
}

/// The schedule's runs belong to their environment: the garbage collector deletes them with it.
#[apply(on_both!)]
async fn a_scheduled_run_goes_with_its_environment_and_the_slot_is_not_run_for_the_next_one(
    server: Server,
) {
    let field = Field::new(server).await;
    let every_midnight = |spec: &mut Value| spec["schedule"] = json!({"cron": ["0 0 * * *"]});
    two_on_one_clone(&field, every_midnight).await;
    let clock = ScheduleClock::scaled("2026-11-23T23:59:50Z".parse().unwrap(), 1.0);
    let with_clock = |field: &Field| field.operator_with(|c| c.schedule_clock = clock.clone());
    let _operator = taken(&field, with_clock).await;
    let slot = "other-20261124t0000z";
    let uid = queued(&field, slot).await.uid().unwrap();
    let environments = field.environments();
    environments
        .delete("other", &DeleteParams::background())
        .await
        .unwrap();
    other(&field, "other", every_midnight).await;
    field.gone(slot).await;
    left_nothing_behind(&field, &uid).await;
    assert_eq!(field.world.acts_of(slot), 0);
    field
        .environment_until("other", |e| {
            let next = e.status.as_ref().and_then(|s| s.next_run_time.as_deref());
            next == Some("2026-11-25T00:00:00Z")
        })
        .await;
    let runs = field.runs().list(&ListParams::default()).await.unwrap();
    let names: Vec<String> = runs.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["holder"]);
    // No row of the old environment is left to remember numbers by.
    next_is_number(&field, 1).await;
}

#[apply(on_both!)]
async fn a_run_deleted_while_queued_gives_its_place_back_and_numbers_go_on(server: Server) {
    let field = Field::new(server).await;
    two_on_one_clone(&field, |_| {}).await;
    let _operator = taken(&field, Field::operator).await;
    field.run("waits", "other").await;
    let uid = queued(&field, "waits").await.uid().unwrap();
    field
        .runs()
        .delete("waits", &Default::default())
        .await
        .unwrap();
    field.gone("waits").await;
    assert_eq!(field.world.acts_of("waits"), 0);
    left_nothing_behind(&field, &uid).await;
    let environment = field
        .environment_until("other", |e| {
            e.status.as_ref().is_some_and(|s| s.last_run.is_some())
        })
        .await;
    let status = environment.status.unwrap();
    let last = status.last_run.unwrap();
    assert_eq!((last.number, last.phase), (1, Phase::Cancelled));
    assert_eq!((status.active_run, status.opening), (None, None));
    next_is_number(&field, 2).await;
}

#[apply(on_both!)]
async fn a_run_deleted_while_running_gives_its_devices_to_the_next_in_the_queue(server: Server) {
    let field = Field::new(server).await;
    two_on_one_clone(&field, |_| {}).await;
    let _operator = taken(&field, Field::operator).await;
    let uid = field.runs().get("holder").await.unwrap().uid().unwrap();
    field.run("waits", "other").await;
    queued(&field, "waits").await;
    field
        .runs()
        .delete("holder", &Default::default())
        .await
        .unwrap();
    field.gone("holder").await;
    left_nothing_behind(&field, &uid).await;
    field.at_step("waits", "run-function").await;
    field.world.let_go("run-function");
    assert_eq!(phase(&field.ended("waits").await), Phase::Succeeded);
}
