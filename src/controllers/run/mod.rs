//! Runs: from the created object to the final row.

pub mod broken;
pub mod ended;
pub mod finish;
pub mod forced;
mod imported;
pub mod logs;
pub mod numbers;
pub mod opening;
pub mod order;
pub mod orphaned;
mod run_conditions;
pub mod status;
pub mod store;
pub mod tally;
pub mod target;
pub mod target_set;

use crate::api::{CloneRun, CloneRunStatus};
use crate::controllers::context::{Caller, Context};
use crate::controllers::environment::status as environment_status;
use crate::controllers::events::publish;
use crate::controllers::forget_bookkeeping;
use crate::controllers::locks::{KubeLocks, device_locks};
use crate::controllers::ports::OpenError;
use crate::engine::drive::{Cancel, Engine, Pass};
use crate::engine::journal::{Journal, ObligationKind, Phase, Verdict};
use crate::engine::obligations::take_persons_word;
use crate::engine::ports::{JournalStore, StoreError};
use crate::engine::time::Timestamp;
use crate::site::{Site, errand};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use logs::RunLogs;
use opening::Opening;
use order::PlanFailed;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use store::{KubeStore, call, is_open};
use tracing::Instrument;

/// Reconciles one run: opens it, or takes one pass over it, or closes its row.
///
/// # Errors
/// When the API server cannot be asked, or somebody changed the object meanwhile.
pub async fn reconcile(
    object: Arc<DeserializeGuard<CloneRun>>,
    context: Arc<Context>,
) -> Result<Action, StoreError> {
    let cached = match &object.0 {
        Ok(run) => run,
        Err(invalid) => return broken::report(&context, invalid).await,
    };
    // One that nobody opened owes nothing: creates of due slots go before it, and before the look at it.
    if !is_open(cached.status.as_ref()) && cached.metadata.deletion_timestamp.is_none() {
        context.gate.wait().await;
    }
    // The cache may be older than our own last write.
    let runs = context.runs(&cached.namespace().unwrap_or_default());
    let Some(mut run) = call(runs.get_opt(&cached.name_any())).await? else {
        return Ok(Action::await_change());
    };
    forget_bookkeeping(&mut run);
    let status = run.status.clone().unwrap_or_default();
    if status.phase.is_final() {
        finish::finish(&context, &run).await?;
        return Ok(Action::await_change());
    }
    if run.spec.imported.is_some() {
        return Ok(imported::left_alone(&context, &run).await);
    }
    if !is_open(run.status.as_ref()) {
        return Ok(match opening::open(&context, &run).await? {
            Opening::Opened(opened) if is_over(&opened) => {
                finish::finish(&context, &opened).await?;
                Action::await_change()
            }
            // Behind those that are not opened yet.
            Opening::Opened(_) => Action::requeue(Duration::ZERO),
            Opening::NotYet(wait) => Action::requeue(wait),
            Opening::Over => Action::await_change(),
        });
    }
    if opening::is_restored(&run) {
        let message = "this object was restored or copied while its run was under way; it is not executed again. Look with `ibmi-clone source-status` whether production runs";
        opening::close(&context, &run, Phase::Failed, "Restored", message).await?;
        return Ok(Action::await_change());
    }
    let span = tracing::info_span!(
        "run",
        run = run.name_any(),
        namespace = run.namespace().unwrap_or_default(),
        environment = run.spec.environment,
        number = status.number,
        step = status.step,
    );
    pass(&context, &run, &status).instrument(span).await
}

fn is_over(run: &CloneRun) -> bool {
    run.status.as_ref().is_some_and(|s| s.phase.is_final())
}

/// One pass over an open run.
async fn pass(
    context: &Context,
    run: &CloneRun,
    status: &CloneRunStatus,
) -> Result<Action, StoreError> {
    let namespace = run.namespace().unwrap_or_default();
    let journal = status::journal_of(status);
    let metrics = context.config.metrics.clone();
    let tail = context.live.of(&run.uid().unwrap_or_default());
    let store = KubeStore::new(context.runs(&namespace), run)
        .counted_by(metrics)
        .told_by(tail.clone());
    let opened_for = status.resolved.as_ref().map(|r| &r.environment_uid);
    if let Some(uid) = opened_for {
        let name = &run.spec.environment;
        let unwanted = orphaned::unwanted(context, &namespace, name, uid, &journal).await?;
        if let Some(why) = unwanted {
            return leave_queue(context, run, status, &store, &why).await;
        }
    }
    let plan = match order::plan(context, run, status, &journal.run_token).await {
        Ok(plan) => plan,
        Err(PlanFailed::Store(error)) => return Err(error),
        Err(PlanFailed::Unusable(why)) => {
            return blocked(context, run, &store, "SpecUnusable", &why, Patience::None).await;
        }
    };
    let Some(spec) = order::frozen(status) else {
        return Ok(Action::await_change());
    };
    let pins = order::pins(status);
    let opened = context
        .sites
        .open(&context.client, &namespace, spec, &pins, Caller::Run)
        .await;
    let site = match opened {
        Ok(site) => site,
        Err(error) => {
            let (reason, text) = (error.reason(), error.to_string());
            let patience = Patience::of(&error, plan.run_limit());
            return blocked(context, run, &store, reason, &text, patience).await;
        }
    };
    let logs = RunLogs::new(
        context.client.clone(),
        run,
        status.number,
        spec.logs.max_bytes_per_run,
    );
    let logs = logs.with_programs(plan.function_jobs() + plan.hooks.len());
    let sink = Arc::new(logs.with_tail(tail, context.pace().scale()));
    let store = store.with_logs(sink.clone(), site.transcript.clone());
    let recipe = context.recipes.build(&plan, sink);
    let locks = locks_of(context, run, status);
    let errand = context.errand("run", &namespace, &run.name_any());
    let pass = drive(context, &store, &recipe, &locks, &site);
    let outcome = errand::on_behalf_of(&errand, pass).await;
    if let Pass::Final(_) = &outcome {
        let environments = context.environments(&namespace);
        let name = &run.spec.environment;
        let seen =
            environment_status::record_devices(&environments, name, &site, context.now()).await;
        if let Err(error) = seen {
            tracing::warn!(environment = name, %error, "the clone's state is shown at the next look");
        }
    }
    after(context, run, &store, &locks, outcome).await
}

/// Ends a run that only waits, and gives its place in the queues back.
async fn leave_queue(
    context: &Context,
    run: &CloneRun,
    status: &CloneRunStatus,
    store: &KubeStore,
    why: &str,
) -> Result<Action, StoreError> {
    let journal = store.load().await?;
    let mut next = journal.clone();
    next.revision += 1;
    next.writer = context.config.writer.clone();
    // Where it waits is written there.
    next.steps.iter_mut().for_each(|entry| entry.message = None);
    let now = context.now();
    end(&mut next, Phase::Cancelled, "EnvironmentDeleted", why, now);
    store.replace(&journal, &next).await?;
    let locks = locks_of(context, run, status);
    after(context, run, store, &locks, Pass::Final(Box::new(next))).await
}

fn locks_of(context: &Context, run: &CloneRun, status: &CloneRunStatus) -> KubeLocks {
    let spec = order::frozen(status);
    let locks = spec
        .map(|spec| device_locks(spec, &order::pins(status)))
        .unwrap_or_default();
    let namespace = &context.config.lease_namespace;
    let grace = context.lock_grace();
    KubeLocks::new(context.client.clone(), namespace, run, locks, grace)
        .keeping_mappings(spec.is_some_and(|spec| spec.virtual_io.keeps_mappings()))
}

async fn drive(
    context: &Context,
    store: &KubeStore,
    recipe: &crate::engine::ports::Recipe,
    locks: &KubeLocks,
    site: &Site,
) -> Pass {
    let engine = Engine {
        recipe,
        site,
        store,
        locks,
        clock: &context.clock,
        fence: &context.term,
        writer: &context.config.writer,
    };
    // The store knows what is wished of the run, as of the last read or write.
    engine.pass(Cancel::No).await
}

/// What follows a pass: events of the accepted writes, the environment's SourceFrozen, the end of a final run.
async fn after(
    context: &Context,
    run: &CloneRun,
    store: &KubeStore,
    locks: &KubeLocks,
    outcome: Pass,
) -> Result<Action, StoreError> {
    publish(&context.recorder, run, &store.take_events()).await;
    match outcome {
        Pass::Again(wait, journal) => {
            frozen_source(context, run, &journal).await?;
            if !journal.owed_nothing() && forced::let_go(context, store, &journal).await? {
                return Ok(Action::await_change());
            }
            acknowledge(context, store).await?;
            let faster = context.pace().scale();
            context.live.write(&context.client, run, faster).await;
            Ok(Action::requeue(wait))
        }
        Pass::Final(journal) => {
            frozen_source(context, run, &journal).await?;
            // Needed for the next in the queue only; whoever needs a lock finds its holder final anyway.
            if let Err(error) = locks.let_go().await {
                tracing::warn!(run = run.name_any(), %error, "locks are left to be replaced");
            }
            let row = store.last().unwrap_or_else(|| run.clone());
            finish::finish(context, &row).await?;
            Ok(Action::await_change())
        }
        Pass::Stale => Ok(Action::requeue(Duration::from_millis(500))),
        Pass::Lost(text) => {
            let name = run.name_any();
            tracing::warn!(run = name, error = text, "pass ended early, tried again");
            Ok(Action::requeue(context.pace().seconds(5)))
        }
        Pass::Forbidden(what) => Err(StoreError::Forbidden(what)),
    }
}

/// A field that was set and changed nothing yet is acknowledged all the same.
async fn acknowledge(context: &Context, store: &KubeStore) -> Result<(), StoreError> {
    match store.last() {
        Some(run) => acknowledge_run(context, &run).await,
        None => Ok(()),
    }
}

/// Writes `observedGeneration` where it is behind.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn acknowledge_run(context: &Context, run: &CloneRun) -> Result<(), StoreError> {
    let generation = run.metadata.generation;
    if run.status.as_ref().and_then(|s| s.observed_generation) == generation {
        return Ok(());
    }
    let runs = context.runs(&run.namespace().unwrap_or_default());
    let seen = Patch::Merge(json!({
        "metadata": {"uid": run.uid()},
        "status": {"observedGeneration": generation},
    }));
    let parameters = PatchParams::default();
    match call(runs.patch_status(&run.name_any(), &parameters, &seen)).await {
        Ok(_) | Err(StoreError::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What the environment says of production while this run owes it something: `SourceFrozen`, `BackupsFrozen`.
async fn frozen_source(
    context: &Context,
    run: &CloneRun,
    journal: &Journal,
) -> Result<(), StoreError> {
    let ever = |kind| journal.obligations.iter().any(|o| o.kind == kind);
    let suspended =
        ever(ObligationKind::ResumeSource).then(|| journal.owes(ObligationKind::ResumeSource));
    let mut owed = journal.open_obligations();
    let backups = owed.find(|o| o.kind == ObligationKind::ReleaseBackups);
    let backups = ever(ObligationKind::ReleaseBackups).then(|| backups.map(|o| o.since));
    if suspended.is_none() && backups.is_none() {
        return Ok(());
    }
    let api = context.environments(&run.namespace().unwrap_or_default());
    let (name, now) = (run.name_any(), context.now());
    environment_status::update(&api, &run.spec.environment, |object, status| {
        if let Some(frozen) = suspended {
            environment_status::source_frozen(object, status, &name, frozen, now);
        }
        if let Some(since) = backups {
            environment_status::backups_frozen(object, status, &name, since, now);
        }
    })
    .await
    .map(drop)
}

/// How long a run without devices is waited for.
enum Patience {
    /// A person must change something: the run fails now.
    None,
    /// Waiting may cure it, up to the run's own limit.
    Until(Duration),
}

impl Patience {
    fn of(error: &OpenError, limit: Duration) -> Self {
        if error.may_pass() {
            Self::Until(limit)
        } else {
            Self::None
        }
    }
}

/// A run whose devices cannot be opened. While something is owed it is tried for ever and loudly; otherwise it fails.
async fn blocked(
    context: &Context,
    run: &CloneRun,
    store: &KubeStore,
    reason: &str,
    text: &str,
    patience: Patience,
) -> Result<Action, StoreError> {
    let journal = store.load().await?;
    let mut next = journal.clone();
    next.revision += 1;
    next.writer = context.config.writer.clone();
    let now = context.now();
    let wishes = store.wishes();
    if wishes.resumed_by_hand {
        take_persons_word(&mut next, now);
    }
    let owed = next.window_open() || !next.owed_nothing();
    let overdue = match patience {
        Patience::None => true,
        Patience::Until(limit) => {
            let since = journal.started_at.or_else(|| {
                let created = run.creation_timestamp()?.0.as_second();
                chrono::DateTime::from_timestamp(created, 0).map(Timestamp::new)
            });
            let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
            since.is_some_and(|since| now.since(since) > limit)
        }
    };
    if owed {
        for owed in next.obligations.iter_mut().filter(|o| o.met.is_none()) {
            // Loud from the first try; counting every one would be a write per poll.
            owed.attempts = owed.attempts.max(1);
            owed.message = Some(text.to_owned());
        }
    } else if wishes.cancel != Cancel::No {
        let why = format!("cancelled while its devices could not be used: {text}");
        end(&mut next, Phase::Cancelled, "Aborted", &why, now);
    } else if overdue {
        end(&mut next, Phase::Failed, reason, text, now);
    } else if let Some(entry) = journal.current().and_then(|at| next.steps.get_mut(at)) {
        entry.message = Some(text.to_owned());
    }
    let unchanged = Journal {
        revision: journal.revision,
        writer: journal.writer.clone(),
        ..next.clone()
    } == journal;
    if !unchanged {
        store.replace(&journal, &next).await?;
        publish(&context.recorder, run, &store.take_events()).await;
    }
    frozen_source(context, run, &next).await?;
    if next.phase.is_final() {
        let row = store.last().unwrap_or_else(|| run.clone());
        finish::finish(context, &row).await?;
        return Ok(Action::await_change());
    }
    let stored = if unchanged { &journal } else { &next };
    if owed && forced::let_go(context, store, stored).await? {
        return Ok(Action::await_change());
    }
    acknowledge(context, store).await?;
    Ok(Action::requeue(context.pace().seconds(10)))
}

fn end(journal: &mut Journal, phase: Phase, reason: &str, message: &str, now: Timestamp) {
    journal.phase = phase;
    journal.started_at = journal.started_at.or(Some(now));
    journal.finished_at = Some(now);
    journal.verdict.get_or_insert_with(|| Verdict {
        phase,
        reason: reason.to_owned(),
        message: message.to_owned(),
        at: now,
    });
}

/// After an error of the API server: again soon.
pub fn again(
    object: Arc<DeserializeGuard<CloneRun>>,
    error: &StoreError,
    context: Arc<Context>,
) -> Action {
    match error {
        StoreError::Conflict => Action::requeue(Duration::from_millis(200)),
        StoreError::Gone => Action::await_change(),
        StoreError::Lost(text) => {
            let name = object.name_any();
            tracing::warn!(
                run = name,
                error = text,
                "the API server could not be asked"
            );
            Action::requeue(context.pace().seconds(5))
        }
        StoreError::Forbidden(what) => {
            let name = object.name_any();
            tracing::error!(run = name, what, "a permission is missing");
            Action::requeue(context.pace().seconds(15))
        }
    }
}
