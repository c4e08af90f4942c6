//! The controllers: they open runs, drive them pass by pass, keep the status readable and the environments verified.
//!
//! Devices are reached only through [`SiteFactory`], so that tests use fakes and the binary the drivers; the journal's
//! store and the lock Leases are here because only this room knows Kubernetes (`architecture.md` § 8).

pub mod conditions;
pub mod context;
pub mod environment;
pub mod events;
pub mod locks;
pub mod ports;
pub mod run;
pub mod schedule;
pub mod secrets;
pub mod text;

pub use ports::{BuiltinRecipes, OpenError, OperatorConfig, OperatorError, Recipes, SiteFactory};
pub use schedule::ScheduleClock;

use crate::api::{CloneEnvironment, CloneRun, FINALIZER};
use context::Context;
use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{Config, Controller, Error as LoopError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::runtime::{WatchStreamExt, predicates, reflector};
use kube::{Api, Client, ResourceExt};
use schedule::board::Watched;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs that are not final: the only ones that are kept in memory.
const OPEN: &str = "status.phase!=Succeeded,status.phase!=Warning,status.phase!=Failed,status.phase!=Cancelled,status.phase!=Skipped";
/// Runs under way at the same time; more wait for a place, none is lost.
const RUNS: u16 = 256;
/// Environments verified at the same time.
const VERIFIES: u16 = 16;

/// Runs the operator until `shutdown` is cancelled: then no pass is started any more, and a pass in the freeze window
/// is waited for.
///
/// # Errors
/// When the API server refuses what the operator cannot live without (the kinds are not installed, no access).
pub async fn run_operator(
    client: Client,
    config: OperatorConfig,
    factory: Arc<dyn SiteFactory>,
    shutdown: CancellationToken,
) -> Result<(), OperatorError> {
    run_operator_with(client, config, factory, Arc::new(BuiltinRecipes), shutdown).await
}

/// [`run_operator`] with other recipes, for tests of the controllers.
///
/// # Errors
/// As [`run_operator`].
pub async fn run_operator_with(
    client: Client,
    config: OperatorConfig,
    factory: Arc<dyn SiteFactory>,
    recipes: Arc<dyn Recipes>,
    shutdown: CancellationToken,
) -> Result<(), OperatorError> {
    let context = Arc::new(Context::new(client, config, factory, recipes));
    probe(&context).await?;
    let scopes: Vec<Option<String>> = if context.config.namespaces.is_empty() {
        vec![None]
    } else {
        context
            .config
            .namespaces
            .iter()
            .cloned()
            .map(Some)
            .collect()
    };
    tracing::info!(
        writer = context.config.writer,
        namespaces = context.config.namespaces.join(","),
        pace = context.config.pace,
        "operator started"
    );
    context.schedules.expect_scopes(scopes.len());
    context.known.expect(scopes.len());
    let mut loops = vec![tokio::spawn(schedule::run(
        context.clone(),
        shutdown.clone(),
    ))];
    loops.push(tokio::spawn(lock_leases(context.clone(), shutdown.clone())));
    for scope in scopes {
        loops.push(tokio::spawn(runs(
            context.clone(),
            scope.clone(),
            shutdown.clone(),
        )));
        loops.push(tokio::spawn(environments(
            context.clone(),
            scope.clone(),
            shutdown.clone(),
        )));
        loops.push(tokio::spawn(left_behind(
            context.clone(),
            scope,
            shutdown.clone(),
        )));
    }
    let ready = tokio::spawn(say_when_ready(context.clone()));
    for task in loops {
        if let Err(error) = task.await {
            tracing::error!(%error, "a loop of the operator ended badly");
        }
    }
    ready.abort();
    tracing::info!("operator stopped");
    Ok(())
}

/// Readiness is the environments': before all are listed, a source that is not known yet would look like none.
async fn say_when_ready(context: Arc<Context>) {
    while context.known.all().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let ready = &context.config.ready;
    ready.store(true, std::sync::atomic::Ordering::Relaxed);
}

/// Both kinds can be listed: said once and clearly, instead of a watch that fails for ever.
async fn probe(context: &Context) -> Result<(), OperatorError> {
    let one = ListParams::default().limit(1);
    let fail = |kind, source: kube::Error| OperatorError::Kind {
        kind,
        source: Box::new(source),
    };
    let scope = context.config.namespaces.first().map(String::as_str);
    let environments: Api<CloneEnvironment> = api(&context.client, scope);
    let runs: Api<CloneRun> = api(&context.client, scope);
    let answer = environments.list_metadata(&one).await;
    answer.map_err(|e| fail("cloneenvironments", e))?;
    runs.list_metadata(&one)
        .await
        .map_err(|e| fail("cloneruns", e))?;
    Ok(())
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

async fn runs(context: Arc<Context>, scope: Option<String>, shutdown: CancellationToken) {
    let runs: Api<DeserializeGuard<CloneRun>> = api(&context.client, scope.as_deref());
    let (reader, writer) = reflector::store();
    let stream = watcher::watcher(runs, watcher::Config::default().fields(OPEN))
        .default_backoff()
        .modify(forget_bookkeeping)
        .inspect({
            let (context, scope) = (context.clone(), scope.clone());
            move |event| {
                if let Ok(event) = event {
                    saw(&context, &scope, Watched::OpenRun(event));
                }
            }
        })
        .reflect(writer)
        .applied_objects()
        // Our own status writes must not start a pass: the requeue says when to look again, and devices punish clients
        // that ask too often. Creation and deletion both change the generation.
        .predicate_filter(predicates::generation, Default::default());
    Controller::for_stream(stream, reader)
        .with_config(Config::default().concurrency(RUNS))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(run::reconcile, run::again, context)
        .for_each(|outcome| async move { complain(outcome) })
        .await;
}

async fn environments(context: Arc<Context>, scope: Option<String>, shutdown: CancellationToken) {
    let all: Api<DeserializeGuard<CloneEnvironment>> = api(&context.client, scope.as_deref());
    let (reader, writer) = reflector::store();
    context.known.add(reader.clone());
    let stream = watcher::watcher(all, watcher::Config::default())
        .default_backoff()
        .modify(forget_bookkeeping)
        .inspect({
            let (context, scope) = (context.clone(), scope.clone());
            move |event| {
                if let Ok(event) = event {
                    saw(&context, &scope, Watched::Environment(event));
                }
            }
        })
        .reflect(writer)
        .applied_objects()
        .predicate_filter(predicates::generation, Default::default());
    Controller::for_stream(stream, reader)
        .with_config(Config::default().concurrency(VERIFIES))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(environment::reconcile, environment::again, context)
        .for_each(|outcome| async move { complain(outcome) })
        .await;
}

/// The schedule learns from the watches that are there anyway.
fn saw(context: &Context, scope: &Option<String>, event: Watched<'_>) {
    let clock = context.schedule_clock();
    context.schedules.saw(scope.as_deref(), event, clock);
}

/// Managed fields are a third of an object and nobody here reads them.
fn forget_bookkeeping<K: kube::Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

fn complain<K, E: std::fmt::Display + std::error::Error + 'static>(
    outcome: Result<
        (ObjectRef<K>, kube::runtime::controller::Action),
        LoopError<E, watcher::Error>,
    >,
) where
    K: reflector::Lookup,
    K::DynamicType: std::fmt::Debug,
{
    if let Err(error) = outcome {
        match &error {
            // Left the selection between trigger and reconcile: it is final.
            LoopError::ObjectNotFound(_) => {}
            LoopError::ReconcilerFailed(_, _)
            | LoopError::QueueError(_)
            | LoopError::RunnerError(_) => tracing::debug!(%error, "reconcile"),
        }
    }
}

/// Final runs whose finalizer a crash has left. They are not among the open ones, so a watch on the metadata of all runs
/// finds them, at start and later.
async fn left_behind(context: Arc<Context>, scope: Option<String>, shutdown: CancellationToken) {
    let all: Api<PartialObjectMeta<CloneRun>> = api(&context.client, scope.as_deref());
    let seen = (context.clone(), scope);
    let stream = watcher::watcher(all, watcher::Config::default())
        .default_backoff()
        .inspect(move |event| {
            if let Ok(event) = event {
                saw(&seen.0, &seen.1, Watched::AnyRun(event));
            }
        })
        .applied_objects();
    let work = finish_each(context, stream);
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}

/// The schedule learns which images are held. Nothing else is decided by this watch: runs ask the Leases themselves.
async fn lock_leases(context: Arc<Context>, shutdown: CancellationToken) {
    let namespace = Some(context.config.lease_namespace.as_str());
    let all: Api<PartialObjectMeta<Lease>> = api(&context.client, namespace);
    let locks = watcher::Config::default().labels(locks::lease::LOCK_LABEL);
    let work = watcher::watcher(all, locks)
        .default_backoff()
        .for_each(|event| {
            match &event {
                Ok(event) => context.schedules.saw_lock(event),
                Err(error) => tracing::debug!(%error, "watch of lock Leases"),
            }
            std::future::ready(())
        });
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}

async fn finish_each(
    context: Arc<Context>,
    stream: impl Stream<Item = Result<PartialObjectMeta<CloneRun>, watcher::Error>>,
) {
    let mut stream = std::pin::pin!(stream);
    while let Some(item) = stream.next().await {
        let Ok(run) = item else { continue };
        if !run.finalizers().iter().any(|f| f == FINALIZER) {
            continue;
        }
        let namespace = run.namespace().unwrap_or_default();
        if let Err(error) = run::finish::finish_left(&context, &namespace, &run.name_any()).await {
            // A conflict is the pass that is just finishing it.
            tracing::debug!(run = run.name_any(), %error, "not finished");
        }
    }
}
