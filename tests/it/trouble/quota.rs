//! No room for ConfigMaps (`product.md` § 9, § 10): a run ends all the same, and its row says that logs are missing.

use crate::commands::whole::{InProcess, SCALE, apply_demo, demo_world};
use crate::support::kube::{namespace, shared};
use crate::support::wait;
use ibmi_clone_operator::api::{CloneRun, CloneRunSpec};
use ibmi_clone_operator::controllers::{OperatorConfig, run_operator};
use ibmi_clone_operator::engine::journal::Phase;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// As the quota controller would write it, which does not run here.
async fn no_more_config_maps(client: &Client, namespace: &str) {
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
    let hard = json!({"count/configmaps": "2"});
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": hard}});
    let quota = serde_json::from_value(quota).unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let status = json!({"status": {"hard": hard, "used": hard}});
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(&status));
    quotas
        .patch_status("small", &parameters, &patch)
        .await
        .unwrap();
}

async fn run(client: &Client, namespace: &str, environment: &str) -> CloneRun {
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), namespace);
    let spec: CloneRunSpec = serde_json::from_value(json!({"environment": environment})).unwrap();
    let object = CloneRun::new(environment, spec);
    runs.create(&PostParams::default(), &object).await.unwrap();
    let over = |run: Option<&CloneRun>| {
        let status = run.and_then(|r| r.status.as_ref());
        status.is_some_and(|s| s.phase.is_final())
    };
    let ended = tokio::time::timeout(
        wait::LIMIT,
        await_condition(runs.clone(), environment, over),
    )
    .await;
    match ended {
        Ok(run) => run.unwrap().unwrap(),
        Err(_) => panic!("{:#?}", runs.get(environment).await.unwrap().status),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_quota_of_config_maps_makes_a_warning_and_no_run_waits_for_it() {
    let Some(stack) = shared().await else { return };
    let (client, namespace) = namespace(stack).await;
    let world = demo_world();
    apply_demo(&client, &namespace).await;
    no_more_config_maps(&client, &namespace).await;
    let shutdown = CancellationToken::new();
    let _end = shutdown.clone().drop_guard();
    let config = OperatorConfig {
        namespaces: vec![namespace.clone()],
        pace: SCALE,
        ..OperatorConfig::new(&namespace, "test", "test")
    };
    let factory = Arc::new(InProcess(world.clone()));
    let operator = run_operator(client.clone(), config, factory, shutdown.clone());
    let operator = tokio::spawn(operator);
    for (environment, state) in [("nightly-user", "USER_END"), ("midday-hold", "HOLD")] {
        let row = run(&client, &namespace, environment).await.status.unwrap();
        let message = row.message.clone().unwrap_or_default();
        assert_eq!(row.phase, Phase::Warning, "{environment}: {message}");
        assert_eq!(row.state.as_deref(), Some(state));
        assert!(message.contains("could not be stored"), "{message}");
        assert!(row.logs.is_empty(), "{:?}", row.logs);
        if environment == "nightly-user" {
            assert!(message.contains("exceeded quota"), "{message}");
            let logs = row.conditions.iter().find(|c| c.type_ == "LogsCollected");
            let logs = logs.map(|c| (c.status.as_str(), c.reason.as_str()));
            assert_eq!(logs, Some(("False", "NotStored")));
            assert!(
                row.messages.unwrap() > 0,
                "messages are counted all the same"
            );
        }
    }
    shutdown.cancel();
    wait::finished("the operator", operator)
        .await
        .unwrap()
        .unwrap();
    let mut world = world.now();
    world.check_left_behind();
    assert!(
        world.ledger.violations.is_empty(),
        "{:#?}",
        world.ledger.violations
    );
}
