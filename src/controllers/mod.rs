//! The controllers: they open runs, drive them pass by pass, keep the status readable and the environments verified.
//!
//! Devices are reached only through [`SiteFactory`], so that tests use fakes and the binary the drivers; the journal's
//! store and the lock Leases are here because only this room knows Kubernetes (`architecture.md` § 8).

mod answer;
pub mod conditions;
pub mod context;
pub mod endings;
pub mod environment;
pub mod events;
pub mod history;
pub mod leader;
mod left_behind;
pub mod locks;
pub mod pages;
pub mod ports;
mod rounds;
pub mod run;
pub mod schedule;
pub mod secrets;
pub mod text;

pub use leader::Election;
pub use ports::{BuiltinRecipes, OpenError, OperatorConfig, OperatorError, Recipes, SiteFactory};
pub use schedule::ScheduleClock;

use crate::api::{CloneEnvironment, CloneRun};
use crate::engine::ports::StoreError;
use context::Context;
use events::{Transition, publish};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{Action, Config, Controller, Error as LoopError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::runtime::{WatchStreamExt, predicates, reflector};
use kube::{Api, Client};
use leader::elector::Elector;
use leader::{Term, presence};
use schedule::board::Watched;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Field selector of runs that are not final: the only ones that are kept in memory.
pub(crate) const OPEN: &str = "status.phase!=Succeeded,status.phase!=Warning,status.phase!=Failed,status.phase!=Cancelled,status.phase!=Skipped";
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
    tracing::info!(
        writer = config.writer,
        namespaces = config.namespaces.join(","),
        pace = config.pace,
        "operator started"
    );
    probe(&client, &config).await?;
    loop {
        // What was known in a lost term may be old: each begins with caches of its own.
        let ending = shutdown.child_token();
        let term = match &config.election {
            None => Term::alone(ending.clone()),
            Some(_) => Term::standing_by(ending.clone()),
        };
        let (client, config) = (client.clone(), config.clone());
        let (factory, recipes) = (factory.clone(), recipes.clone());
        let context = Arc::new(Context::new(client, config, factory, recipes, term));
        let caches: Weak<Context> = Arc::downgrade(&context);
        context.config.metrics.follow(caches);
        serve_a_term(&context, ending).await;
        context.config.ready.store(false, Ordering::Relaxed);
        if shutdown.is_cancelled() || context.config.election.is_none() {
            break;
        }
    }
    tracing::info!("operator stopped");
    Ok(())
}

/// Keeps the caches, acts while it leads, and returns when the process is told to stop or the Lease is lost, and every
/// pass under way has ended.
async fn serve_a_term(context: &Arc<Context>, ending: CancellationToken) {
    let done = CancellationToken::new();
    let elected = tokio::spawn(stand(context.clone(), done.clone()));
    let loops = loops(context, &ending);
    let ready = tokio::spawn(say_when_ready(context.clone()));
    for task in loops {
        if let Err(error) = task.await {
            tracing::error!(%error, "a loop of the operator ended badly");
        }
    }
    ready.abort();
    done.cancel();
    if let Err(error) = elected.await {
        tracing::error!(%error, "the election ended badly");
    }
}

/// The Lease is kept until no pass is under way any more, and then given up.
async fn stand(context: Arc<Context>, done: CancellationToken) {
    match context.config.election.clone() {
        Some(election) => {
            let elector = Elector::new(context.leases(), election, &context.config.writer);
            elector.stand(&context.term, &done).await;
        }
        None => presence::show(context.leases(), &context.config.writer, &done).await,
    }
}

fn loops(context: &Arc<Context>, ending: &CancellationToken) -> Vec<JoinHandle<()>> {
    let scopes: Vec<Option<String>> = match context.config.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    context.schedules.expect_scopes(scopes.len());
    context.known.expect(scopes.len());
    context.open_runs.expect(scopes.len());
    if !context.term.has_begun() {
        context.schedules.stand_by();
    }
    let parts = |scope: &Option<String>| (context.clone(), scope.clone(), ending.clone());
    let mut loops = vec![
        tokio::spawn(schedule::run(context.clone(), ending.clone())),
        tokio::spawn(history::run(context.clone(), ending.clone())),
        tokio::spawn(endings::run(context.clone(), ending.clone())),
        tokio::spawn(lock_leases(context.clone(), ending.clone())),
    ];
    for scope in scopes {
        let (context, name, ending) = parts(&scope);
        loops.push(tokio::spawn(runs(context, name, ending)));
        let (context, name, ending) = parts(&scope);
        loops.push(tokio::spawn(environments(context, name, ending)));
        let (context, name, ending) = parts(&scope);
        loops.push(tokio::spawn(left_behind::run(context, name, ending)));
    }
    loops
}

/// Before all environments are listed, a source that is not known yet would look like none; before all runs are, open ones
/// and the rows of ended ones, nothing is decided.
async fn say_when_ready(context: Arc<Context>) {
    let listed = |context: &Context| {
        context.known.all().is_some()
            && context.open_runs.all().is_some()
            && context.schedules.is_complete()
    };
    while !listed(&context) {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let ready = &context.config.ready;
    ready.store(true, Ordering::Relaxed);
}

/// Both kinds can be listed, and the leader's Lease be read: said once and clearly, instead of a watch that fails for ever.
async fn probe(client: &Client, config: &OperatorConfig) -> Result<(), OperatorError> {
    let one = ListParams::default().limit(1);
    let fail = |kind, source: kube::Error| OperatorError::Kind {
        kind,
        source: Box::new(source),
    };
    let scope = config.namespaces.first().map(String::as_str);
    let environments: Api<CloneEnvironment> = api(client, scope);
    let runs: Api<CloneRun> = api(client, scope);
    let answer = environments.list_metadata(&one).await;
    answer.map_err(|e| fail("cloneenvironments", e))?;
    runs.list_metadata(&one)
        .await
        .map_err(|e| fail("cloneruns", e))?;
    let Some(election) = &config.election else {
        return Ok(());
    };
    election.check()?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), &config.lease_namespace);
    let read = leases.get_opt(&election.lease).await;
    read.map(drop).map_err(|source| OperatorError::Lease {
        namespace: config.lease_namespace.clone(),
        lease: election.lease.clone(),
        source: Box::new(source),
    })
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
    context.open_runs.add(reader.clone());
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
    let work = Controller::for_stream(stream, reader.clone())
        .with_config(Config::default().concurrency(RUNS))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(
            |object, context| once_leading(object, context, run::reconcile),
            run::again,
            context,
        )
        .for_each(|outcome| async move { complain(outcome) });
    until_stopped(&reader, &shutdown, work).await;
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
        .inspect({
            let context = context.clone();
            move |event| {
                if let Ok(event) = event {
                    context.partitions.saw(event);
                }
            }
        })
        .applied_objects()
        .predicate_filter(predicates::generation, Default::default());
    let work = Controller::for_stream(stream, reader.clone())
        .with_config(Config::default().concurrency(VERIFIES))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(
            |object, context| once_leading(object, context, environment::reconcile),
            environment::again,
            context,
        )
        .for_each(|outcome| async move { complain(outcome) });
    until_stopped(&reader, &shutdown, work).await;
}

/// Runs a controller until it has ended: a pass under way is waited for. It begins none before its objects are listed, but told
/// to stop before that it would wait for the list, which may never come.
async fn until_stopped<K>(
    listed: &reflector::Store<K>,
    shutdown: &CancellationToken,
    work: impl Future<Output = ()>,
) where
    K: reflector::Lookup + Clone + 'static,
    K::DynamicType: std::hash::Hash + Eq + Clone,
{
    let stopped_unlisted = async {
        shutdown.cancelled().await;
        if let Some(Ok(())) = listed.wait_until_ready().now_or_never() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stopped_unlisted => {}
    }
}

/// What is seen while standing by waits for the term, and is then taken from the cache again: it may have changed.
async fn once_leading<K, F>(
    object: Arc<K>,
    context: Arc<Context>,
    reconcile: impl FnOnce(Arc<K>, Arc<Context>) -> F,
) -> Result<Action, StoreError>
where
    K: kube::Resource<DynamicType = ()>,
    F: Future<Output = Result<Action, StoreError>>,
{
    if !context.term.has_begun() {
        context.term.begun().await;
        return Ok(Action::requeue(Duration::ZERO));
    }
    if !context.term.leads() {
        return Ok(Action::await_change());
    }
    let (kind, since, metrics) = (
        K::kind(&()).into_owned(),
        Instant::now(),
        context.config.metrics.clone(),
    );
    let outcome = reconcile(object.clone(), context.clone()).await;
    if let Err(StoreError::Forbidden(what)) = &outcome {
        let told = Transition::new(true, "PermissionMissing", "Reconcile", what.clone());
        publish(&context.recorder, object.as_ref(), &[told]).await;
    }
    metrics
        .counted
        .reconciled(&kind, since.elapsed(), outcome.is_err());
    outcome
}

/// Schedule and history learn from the watches that are there anyway.
fn saw(context: &Context, scope: &Option<String>, event: Watched<'_>) {
    match &event {
        Watched::Environment(event) => context.histories.saw_environment(event),
        Watched::OpenRun(_) => {}
        Watched::AnyRun(event) => {
            context.histories.saw_run(scope.as_deref(), event);
            context.endings.saw_run(event);
        }
    }
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

/// The schedule learns which images are held, the history whose image is gone. Nothing else is decided by this watch: runs
/// ask the Leases themselves.
async fn lock_leases(context: Arc<Context>, shutdown: CancellationToken) {
    let namespace = Some(context.config.lease_namespace.as_str());
    let all: Api<PartialObjectMeta<Lease>> = api(&context.client, namespace);
    let locks = watcher::Config::default().labels(locks::lease::LOCK_LABEL);
    let work = watcher::watcher(all, locks)
        .default_backoff()
        .for_each(|event| {
            match &event {
                Ok(event) => {
                    context.schedules.saw_lock(event);
                    context.histories.saw_lock(event);
                }
                Err(error) => tracing::debug!(%error, "watch of lock Leases"),
            }
            std::future::ready(())
        });
    tokio::select! {
        () = work => {}
        () = shutdown.cancelled() => {}
    }
}
