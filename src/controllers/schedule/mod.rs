//! The schedule of all environments: one timer queue, creates first (`architecture.md` § 8).
//!
//! The queue wakes at least every 10 s and compares the wall clock, because tokio's timers are monotonic. What is known
//! ([`board`]) comes from the watches of the other loops; what to do is decided by the pure room `schedule`; runs are
//! created through a pool of [`CREATES`], and statuses are written when no slot is due any more.

pub mod board;
pub mod clock;
pub mod create;
pub mod entry;
pub mod gate;
pub mod status;
mod warm;

pub use clock::ScheduleClock;
pub use gate::Gate;

use super::context::Context;
use super::events::{Transition, publish};
use board::{Board, Key, Watched};
use chrono::{DateTime, Utc};
use create::{Created, Order};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Creates on their way at the same time. Each needs a connection, and to open one costs the API server more than a create.
const CREATES: usize = 16;
/// Statuses written at the same time.
const STATUSES: usize = 16;
/// Longest sleep on a monotonic timer, real seconds.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// Pause after a status that could not be written.
const PAUSE: Duration = Duration::from_secs(1);

/// Shared by the watches, the timer queue and the writers.
#[derive(Default)]
pub struct Schedules {
    board: Mutex<Board>,
    changed: Notify,
    written: Notify,
}

impl Schedules {
    /// For watches on so many scopes: nothing is decided before all of them were listed once.
    pub fn expect_scopes(&self, count: usize) {
        self.with(|board| board.expect_scopes(count));
    }

    /// Another operator decides until the term begins.
    pub fn stand_by(&self) {
        self.with(|board| board.stand_by(true));
    }

    /// Enters an event of a watch.
    pub fn saw(&self, scope: Option<&str>, event: Watched<'_>, clock: &ScheduleClock) {
        let woken = self.with(|board| board.saw(scope, event, clock));
        if woken.unwrap_or_default() {
            self.changed.notify_one();
        }
    }

    /// Enters an event of the watch on lock Leases.
    pub fn saw_lock(&self, event: &Event<PartialObjectMeta<Lease>>) {
        self.with(|board| board.saw_lock(event));
    }

    /// Whether every watch has listed its objects once.
    pub fn is_complete(&self) -> bool {
        self.with(|board| board.is_complete()).unwrap_or_default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Board) -> T) -> Option<T> {
        // Poisoned only by a panic inside, which no code here does; the schedule would stand still and say so at once.
        match self.board.lock() {
            Ok(mut board) => Some(work(&mut board)),
            Err(_) => {
                tracing::error!("the schedule's state is lost: restart the operator");
                None
            }
        }
    }
}

/// Runs the timer queue from the beginning of the term until `shutdown`; creates on their way are waited for.
pub async fn run(context: Arc<Context>, shutdown: CancellationToken) {
    context.term.begun().await;
    context.schedules.with(|board| board.stand_by(false));
    let statuses = tokio::spawn(write_statuses(context.clone(), shutdown.clone()));
    let pool = Arc::new(Semaphore::new(CREATES));
    let mut creates = JoinSet::new();
    let mut warm = warm::Warm::default();
    while !shutdown.is_cancelled() {
        context.config.metrics.scheduler_ticked();
        let now = context.schedule_clock().now();
        let turn = context.schedules.with(|board| board.turn(now));
        let turn = turn.unwrap_or_default();
        for order in turn.orders {
            let first = order.first_try().then(|| context.gate.hold());
            let (context, pool) = (context.clone(), pool.clone());
            creates.spawn(async move { carry_out(context, pool, order, first).await });
        }
        if turn.unwritten {
            context.schedules.written.notify_one();
        }
        while creates.try_join_next().is_some() {}
        let lead = context.schedule_clock().seconds(warm::LEAD_SECONDS);
        let next = turn
            .wake
            .map(|at| warm.before(at, turn.together, now, lead));
        let (open, wait) = next.unwrap_or((false, LONGEST_SLEEP));
        if open {
            tokio::spawn(warm::open(context.client.clone(), turn.together));
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = context.schedules.changed.notified() => {}
            () = context.schedule_clock().sleep(wait) => {}
            () = tokio::time::sleep(LONGEST_SLEEP) => {}
        }
    }
    while creates.join_next().await.is_some() {}
    if let Err(error) = statuses.await {
        tracing::error!(%error, "the writer of schedule statuses ended badly");
    }
}

/// One create with its place in the pool; a retry waits before it takes one.
async fn carry_out(
    context: Arc<Context>,
    pool: Arc<Semaphore>,
    order: Order,
    first: Option<gate::Hold>,
) {
    tokio::time::sleep(order.pause()).await;
    let place = pool.acquire().await;
    if !context.term.leads() {
        // In the middle of a burst: the next leader finds the slot by itself, and this board is thrown away.
        return;
    }
    let outcome = create::create(&context, &order).await;
    drop(place);
    let now = context.schedule_clock().now();
    if outcome == Created::Ours {
        count(&context, &order, now);
    }
    context
        .schedules
        .with(|board| board.answered(&order, &outcome, now));
    drop(first);
    context.schedules.changed.notify_one();
    if let (Created::Ours, Some(skip)) = (&outcome, &order.skip) {
        let note = skip.note(&order);
        let told = Transition::new(true, "SlotMissed", skip.reason.as_str(), note);
        publish(&context.recorder, &order.environment(), &[told]).await;
    }
}

/// A run of a slot is there by our create: how late, or how many were missed. On the schedule's clock.
fn count(context: &Context, order: &Order, now: DateTime<Utc>) {
    let counted = &context.config.metrics.counted;
    let key = &order.key;
    match &order.skip {
        Some(skip) => {
            let slots = u64::try_from(skip.slots).unwrap_or_default();
            counted.missed(&key.namespace, &key.name, skip.reason.as_str(), slots);
        }
        None => {
            let due = context
                .schedules
                .with(|board| board.entry(key).map(|e| e.due(&key.name, order.slot)));
            let due = due.flatten().unwrap_or(order.slot);
            counted.created((now - due).to_std().unwrap_or_default());
        }
    }
}

/// Writes what changed, when no slot is due.
async fn write_statuses(context: Arc<Context>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = context.schedules.written.notified() => {}
        }
        context.gate.wait().await;
        let keys: Vec<Key> = context
            .schedules
            .with(Board::take_unwritten)
            .unwrap_or_default();
        let write = |key: Key| {
            let context = context.clone();
            async move {
                if let Err(error) = status::write(&context, &key).await {
                    tracing::debug!(environment = key.name, %error, "schedule status is written later");
                    tokio::time::sleep(PAUSE).await;
                    context.schedules.with(|board| board.write_again(&key));
                    context.schedules.changed.notify_one();
                }
            }
        };
        futures::stream::iter(keys.into_iter().map(write))
            .buffer_unordered(STATUSES)
            .for_each(|()| async {})
            .await;
    }
}
