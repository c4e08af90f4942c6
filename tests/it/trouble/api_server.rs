//! An API server that answers 429 and 500 (`product.md` § 8: a slot is one run; § 3: a row is closed).

use crate::controllers::field::{Field, phase};
use crate::server::Server;
use crate::support::proxy::{Proxy, Trouble};
use crate::support::wait;
use chrono::{DateTime, Utc};
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::engine::journal::Phase;
use kube::ResourceExt;
use kube::api::ListParams;
use macro_rules_attribute::apply;
use serde_json::json;

const NAMES: [&str; 3] = ["first", "second", "third"];

/// Twenty seconds of it, shortened: until every environment's create was refused several times and then carried out
/// without an answer.
#[apply(on_both!)]
async fn a_slot_at_which_the_api_server_refuses_and_forgets_is_one_late_run_each(server: Server) {
    let field = Field::new(server).await;
    let proxy = Proxy::before(server.client("default")).await;
    for name in NAMES {
        field
            .environment(name, |spec| {
                spec["schedule"] = json!({"cron": ["0 0 * * *"]});
            })
            .await;
    }
    let slot: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
    let start = slot - chrono::TimeDelta::seconds(8);
    let clock = ScheduleClock::scaled(start, 1.0);
    let _operator = field.operator_via(proxy.client(), |c| c.schedule_clock = clock.clone());
    for name in NAMES {
        field.verified(name).await;
        let scheduled = |e: &ibmi_clone_operator::api::CloneEnvironment| {
            let status = e.status.as_ref();
            status.is_some_and(|s| s.next_run_time.is_some())
        };
        field.environment_until(name, scheduled).await;
    }
    assert_eq!(proxy.creates(), 0, "the machine was too slow for this test");
    proxy.set(Trouble::Refuse);
    wait::until("creates that are refused again and again", async || {
        proxy.refused_creates() >= 4 * NAMES.len()
            && proxy.refused("POST", 429) > 0
            && proxy.refused("POST", 500) > 0
    })
    .await;
    assert!(clock.now() >= slot, "nothing is created before its time");
    assert_eq!(names(&field).await, [""; 0]);
    proxy.set(Trouble::LoseCreates);
    wait::until("creates without an answer", async || {
        proxy.lost_creates() >= 2 * NAMES.len()
    })
    .await;
    proxy.set(Trouble::None);
    let wanted = NAMES.map(|name| format!("{name}-20261124t0000z"));
    for name in &wanted {
        let run = field.ended(name).await;
        assert_eq!(phase(&run), Phase::Succeeded);
        assert_eq!(run.status.unwrap().number, Some(1));
        assert_eq!(field.world.acts_of(name), 14, "each effect once");
    }
    assert_eq!(names(&field).await, wanted);
    for name in NAMES {
        // It knows that the create that was answered with "exists" was its own.
        let environment = field
            .environment_until(name, |e| {
                let lines = e.status.iter().flat_map(|s| &s.schedule);
                lines.filter_map(|l| l.last_slot).any(|t| t.utc() == slot)
            })
            .await;
        let status = environment.status.unwrap();
        assert_eq!(
            status.next_run_time.as_deref(),
            Some("2026-11-25T00:00:00Z")
        );
        assert_eq!(status.missed_count, 0);
    }
}

async fn names(field: &Field) -> Vec<String> {
    let runs = field.runs().list(&ListParams::default()).await.unwrap();
    let mut names: Vec<String> = runs.iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}

/// A final run leaves the watch on open runs; that its finalizer could not be taken off must not be forgotten.
#[apply(on_both!)]
async fn a_row_that_could_not_be_closed_is_closed_when_the_api_server_answers_again(
    server: Server,
) {
    let field = Field::new(server).await;
    let proxy = Proxy::before(server.client("default")).await;
    field.environment("nightly", |_| {}).await;
    field.world.hold("run-function");
    let _operator = field.operator_via(proxy.client(), |_| {});
    field.run("r", "nightly").await;
    field.at_step("r", "run-function").await;
    proxy.set(Trouble::RefuseOnly("PATCH", "/cloneruns/r"));
    field.world.let_go("run-function");
    let open = field.until("r", |r| phase(r).is_final()).await;
    assert!(!open.finalizers().is_empty());
    // The pass that ended the run and the event of its last write try twice each; whatever comes after them is by time.
    wait::until("tries that go on", async || {
        proxy.refused("PATCH", 429) + proxy.refused("PATCH", 500) >= 9
    })
    .await;
    proxy.set(Trouble::None);
    assert_eq!(phase(&field.ended("r").await), Phase::Succeeded);
}
