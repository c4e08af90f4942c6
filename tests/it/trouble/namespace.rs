//! A namespace that is being deleted: obligations are met, and nobody storms the API server with creates it refuses.

use crate::controllers::cancel::owes;
use crate::controllers::fakes::OWED;
use crate::controllers::field::{Field, phase};
use crate::server::Server;
use crate::support::kube::{namespace, without_controllers};
use crate::support::proxy::Proxy;
use crate::support::wait;
use chrono::TimeDelta;
use ibmi_clone_operator::controllers::ScheduleClock;
use ibmi_clone_operator::engine::journal::{ObligationKind, Phase};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use macro_rules_attribute::apply;
use serde_json::json;

async fn delete_namespace(field: &Field) {
    let namespaces: Api<Namespace> = Api::all(field.client.clone());
    let parameters = Default::default();
    namespaces
        .delete(&field.namespace, &parameters)
        .await
        .unwrap();
}

#[apply(on_both!)]
async fn what_is_owed_is_met_in_a_namespace_that_is_being_deleted(server: Server) {
    let field = Field::new(server).await;
    let (_, operators) = server.namespace().await;
    field.world.cannot_meet(OWED);
    field.world.hold("start-copy");
    field.environment("nightly", |_| {}).await;
    let _operator = field.operator_with(|c| c.lease_namespace = operators.clone());
    field.run("r", "nightly").await;
    field
        .until("r", |r| owes(r, ObligationKind::ResumeSource))
        .await;
    delete_namespace(&field).await;
    // Environment and Secrets go at once, the run stays with its finalizer.
    wait::found("an empty namespace but for the run", async || {
        let environments = field.environments();
        match environments.get_opt("nightly").await.unwrap() {
            None => Ok(()),
            Some(_) => Err("the environment is there"),
        }
    })
    .await;
    let held = field
        .until("r", |r| {
            phase(r) == Phase::Cancelling && r.metadata.deletion_timestamp.is_some()
        })
        .await;
    assert!(owes(&held, ObligationKind::ResumeSource));
    let sent = field.world.acts();
    field.world.cannot_meet(&[]);
    field.gone("r").await;
    assert_eq!(field.world.acts(), sent, "nothing more was sent");
    let leases: Api<Lease> = Api::namespaced(field.client.clone(), &operators);
    wait::until("locks given back", async || {
        let all = leases.list(&ListParams::default()).await.unwrap();
        let locks = all.iter().filter(|l| {
            let labels = l.metadata.labels.as_ref();
            labels.is_some_and(|l| l.contains_key("ibmiclone.dev/lock"))
        });
        let held = |l: &Lease| ibmi_clone_operator::controllers::locks::lease::holder(l);
        locks.filter_map(held).count() == 0
    })
    .await;
    let namespaces: Api<Namespace> = Api::all(field.client.clone());
    wait::until("the end of the namespace", async || {
        let found = namespaces.get_opt(&field.namespace).await.unwrap();
        found.is_none()
    })
    .await;
}

/// Slots are due every second here, and every create is refused: each environment asks once.
#[tokio::test]
async fn slots_that_are_due_in_a_namespace_that_is_being_deleted_make_no_storm() {
    let Some(stack) = without_controllers().await else {
        return;
    };
    let (client, namespace) = namespace(&stack).await;
    let field = Field::on(client, namespace).await;
    let proxy = Proxy::before(stack.client().unwrap()).await;
    for name in ["one", "two"] {
        field
            .environment(name, |spec| {
                spec["schedule"] = json!({"cron": ["* * * * *"]})
            })
            .await;
    }
    delete_namespace(&field).await;
    let start = "2026-11-24T12:00:30Z".parse().unwrap();
    let clock = ScheduleClock::scaled(start, 60.0);
    let _operator = field.operator_via(proxy.client(), |c| c.schedule_clock = clock.clone());
    wait::until("both environments' creates", async || proxy.creates() >= 2).await;
    let later = clock.now() + TimeDelta::minutes(5);
    wait::until("five more slots", async || clock.now() > later).await;
    assert_eq!(proxy.creates(), 2);
}
