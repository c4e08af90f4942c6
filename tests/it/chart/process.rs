//! The operator as a process, with the arguments, the account and the rules that the chart gives it, on simulated devices
//! behind their real protocols: it can do all it has to, and asks for nothing it may not.

use super::{OPERATORS, RELEASE, installed, read, with_chart};
use crate::support::chart::{Helm, OperatorProcess, chart, container_arguments};
use crate::support::kube::namespace;
use crate::support::wait;
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::commands::demo::objects::{SITE, WORLD, apply, objects, placeholders};
use ibmi_clone_operator::commands::simulated_site::{SimulatedSite, parse_world};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::time::Duration;

const SCALE: f64 = 60.0;
const LIMIT: Duration = Duration::from_secs(240);

/// Simulated devices, and the demo's environments in a namespace.
async fn demo(client: &Client, namespace: &str) -> SimulatedSite {
    let site = SimulatedSite::start(&parse_world(WORLD).unwrap(), SCALE)
        .await
        .unwrap();
    let values = placeholders(&site).unwrap();
    let objects = objects(SITE, &values).unwrap();
    apply(client, namespace, &objects).await.unwrap();
    site
}

/// Looks until there is an answer; the operator must live meanwhile.
async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    process: &mut OperatorProcess,
    look: impl Fn() -> F,
) -> T {
    wait::found_within(LIMIT, what, async || {
        if let Some(found) = look().await {
            return Ok(found);
        }
        assert_eq!(process.forbidden(), Vec::<String>::new(), "{what}");
        let ended = process.ended();
        assert!(ended.is_none(), "{what}: {ended:?}\n{}", process.log());
        Err(process.log())
    })
    .await
}

/// Verified, then one run of an environment to its end.
async fn runs_one(
    process: &mut OperatorProcess,
    client: &Client,
    namespace: &str,
    name: &str,
) -> CloneRun {
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), namespace);
    until("the environment is verified", process, || async {
        let status = environments.get(name).await.unwrap().status?;
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready")?;
        (ready.status == "True").then_some(())
    })
    .await;
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), namespace);
    let run = json!({"metadata": {"name": format!("{name}-1")}, "spec": {"environment": name}});
    runs.create(&PostParams::default(), &read(run))
        .await
        .unwrap();
    until("the run ends", process, || async {
        let run = runs.get(&format!("{name}-1")).await.unwrap();
        let ended = run.status.as_ref().is_some_and(|s| s.phase.is_final());
        let free = run.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
        (ended && free).then_some(run)
    })
    .await
}

async fn assert_done(process: &mut OperatorProcess, run: &CloneRun) {
    let status = run.status.as_ref().unwrap();
    assert_eq!(
        format!("{:?}", status.phase),
        "Succeeded",
        "{:?}\n{}",
        status.message,
        process.log()
    );
    let status = process.stop().await;
    assert!(status.success(), "{status}\n{}", process.log());
    assert_eq!(process.forbidden(), Vec::<String>::new());
}

/// On a control plane of its own: an operator for the whole cluster would work on the other tests' environments too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_charts_account_the_operator_clones_and_is_refused_nothing() {
    let Some(helm) = Helm::find() else { return };
    let stack = &with_chart(helm, "chart-whole").await.unwrap();
    let (client, here) = namespace(stack).await;
    let site = demo(&client, &here).await;
    let mut process = OperatorProcess::start(stack, OPERATORS, RELEASE, SCALE).await;
    let run = runs_one(&mut process, &client, &here, "nightly-user").await;
    let scrape = process.get("/metrics").await;
    assert!(scrape.starts_with("HTTP/1.1 200"), "{scrape}");
    let labels = format!("{{namespace=\"{here}\",environment=\"nightly-user\"}}");
    let held = format!("ibmiclone_freeze_duration_seconds_count{labels} 1\n");
    assert!(scrape.contains(&held), "{scrape}");
    assert!(scrape.contains("\nibmiclone_leader 1"), "{scrape}");
    assert!(scrape.contains("environment_source_frozen"), "{scrape}");
    assert_done(&mut process, &run).await;

    // What it wrote where, so that a right it does not use is seen as well as one it lacks.
    let all = ListParams::default();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &here);
    let logs = ListParams::default().labels("ibmiclone.dev/run=nightly-user-1");
    assert!(!maps.list(&logs).await.unwrap().items.is_empty(), "logs");
    let events: Api<Event> = Api::namespaced(client.clone(), &here);
    assert!(!events.list(&all).await.unwrap().items.is_empty(), "events");
    let leases: Api<Lease> = Api::namespaced(client, OPERATORS);
    assert!(!leases.list(&all).await.unwrap().items.is_empty(), "locks");
    let report = site.last_report().await;
    assert!(report.violations.is_empty(), "{:?}", report.violations);
}

/// A second release in a namespace of its name, beside the shared one.
async fn install(helm: &Helm, release: &str, values: &str) {
    let chart = chart();
    let arguments = ["install", release, chart.to_str().unwrap()];
    let place = [
        "--namespace",
        release,
        "--create-namespace",
        "--set",
        values,
    ];
    helm.does(&[&arguments[..], &place[..]].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_one_namespace_the_operator_needs_no_right_of_the_whole_cluster() {
    let Some(stack) = installed().await else {
        return;
    };
    let (client, here) = namespace(stack).await;
    let _site = demo(&client, &here).await;
    let release = "scoped";
    let helm = Helm::find().unwrap().on(stack);
    let values = format!(
        "fullnameOverride={release},crds.install=false,operator.id=scoped-1,scope.namespaces={{{here}}}"
    );
    install(&helm, release, &values).await;
    let mut process = OperatorProcess::start(stack, release, release, SCALE).await;
    let run = runs_one(&mut process, &client, &here, "midday-hold").await;
    assert_done(&mut process, &run).await;
}

/// Who holds the leader's Lease of a release, by process.
async fn leads(leases: &Api<Lease>, release: &str, process: &OperatorProcess) -> Option<()> {
    let lease = leases.get_opt(&format!("{release}-leader")).await.unwrap();
    let holder = lease?.spec?.holder_identity?;
    holder
        .contains(&format!("-{}-", process.id()))
        .then_some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_the_second_finishes_what_the_killed_first_has_begun() {
    let Some(stack) = installed().await else {
        return;
    };
    let (client, here) = namespace(stack).await;
    let _site = demo(&client, &here).await;
    let (release, helm) = ("paired", Helm::find().unwrap().on(stack));
    let values = format!(
        "fullnameOverride={release},crds.install=false,operator.id=paired-1,scope.namespaces={{{here}}},replicas=2,leaderElection.durationSeconds=6,leaderElection.renewDeadlineSeconds=4,leaderElection.renewEverySeconds=1,podDisruptionBudget.create=true"
    );
    install(&helm, release, &values).await;
    let leases: Api<Lease> = Api::namespaced(client.clone(), release);
    let mut first = OperatorProcess::start(stack, release, release, SCALE).await;
    wait::until("the first leads", async || {
        leads(&leases, release, &first).await.is_some()
    })
    .await;
    let mut second = OperatorProcess::start(stack, release, release, SCALE).await;
    wait::until("the second stands by", async || {
        second.log().contains("standing by, the leader is")
    })
    .await;
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), &here);
    until("the environment is verified", &mut first, || async {
        let status = environments.get("midday-hold").await.unwrap().status?;
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready")?;
        (ready.status == "True").then_some(())
    })
    .await;
    let runs: Api<CloneRun> = Api::namespaced(client.clone(), &here);
    let run = json!({"metadata": {"name": "noon"}, "spec": {"environment": "midday-hold"}});
    runs.create(&PostParams::default(), &read(run))
        .await
        .unwrap();
    until("the run is under way", &mut first, || async {
        let status = runs.get("noon").await.unwrap().status?;
        (format!("{:?}", status.phase) == "Running").then_some(())
    })
    .await;
    drop(first);
    let left = runs.get("noon").await.unwrap().status.unwrap();
    let window = left.journal.and_then(|j| j.window);
    let inside = window.is_some_and(|w| w.closed.is_none());
    let run = until("the run ends", &mut second, || async {
        let run = runs.get("noon").await.unwrap();
        let free = run.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
        let ended = run.status.as_ref().is_some_and(|s| s.phase.is_final());
        (ended && free).then_some(run)
    })
    .await;
    assert!(leads(&leases, release, &second).await.is_some());
    if inside {
        let reason = run.status.unwrap().reason;
        assert_eq!(reason.as_deref(), Some("WindowInterrupted"));
        let status = second.stop().await;
        assert!(status.success(), "{status}\n{}", second.log());
    } else {
        assert_done(&mut second, &run).await;
    }
    let lease = leases.get(&format!("{release}-leader")).await.unwrap();
    let holder = lease.spec.unwrap().holder_identity.unwrap_or_default();
    assert_eq!(holder, "", "given up at SIGTERM: {}", second.log());

    // Back to one: the strategy changes with it.
    let chart = chart();
    let arguments = ["upgrade", release, chart.to_str().unwrap(), "-n", release];
    let values = ["--reuse-values", "--set", "replicas=1"];
    helm.does(&[&arguments[..], &values[..]].concat()).await;
    let deployments: Api<Deployment> = Api::namespaced(client, release);
    let deployment = deployments.get(release).await.unwrap();
    let strategy = deployment.spec.clone().unwrap().strategy.unwrap();
    assert_eq!(strategy.type_.as_deref(), Some("Recreate"));
    let arguments = container_arguments(&deployment);
    assert!(!arguments.contains(&"--leader-elect".to_owned()));
}

/// Otherwise the tests above could not fail.
#[tokio::test]
async fn a_right_that_is_missing_ends_the_operator_with_a_word_about_it() {
    let Some(stack) = installed().await else {
        return;
    };
    let helm = Helm::find().unwrap().on(stack);
    let values =
        "fullnameOverride=poor,crds.install=false,operator.id=poor-1,scope.namespaces={poor}";
    install(&helm, "poor", values).await;
    let bindings: Api<RoleBinding> = Api::namespaced(stack.client().unwrap(), "poor");
    bindings
        .delete("poor", &DeleteParams::default())
        .await
        .unwrap();
    let mut process = OperatorProcess::start(stack, "poor", "poor", SCALE).await;
    let status = process.until_ended(LIMIT).await;
    assert!(!status.success(), "{status}");
    assert!(!process.forbidden().is_empty(), "{}", process.log());
}
