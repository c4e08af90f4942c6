//! What people read of the schedule, in the status of the environment.

use super::board::Key;
use crate::api::schedule::ScheduleLine;
use crate::api::{CloneEnvironment, CloneEnvironmentStatus};
use crate::controllers::conditions::{self, Truth};
use crate::controllers::context::Context;
use crate::controllers::environment::status::{update, update_known};
use crate::controllers::text::cut;
use crate::engine::ports::StoreError;
use crate::engine::time::Timestamp;
use chrono::{DateTime, SecondsFormat, Utc};
use kube::ResourceExt;

/// Longest message of a condition, bytes.
const MESSAGE: usize = 800;

/// The schedule's part of a status.
struct View {
    uid: String,
    suspended: bool,
    lines: Vec<ScheduleLine>,
    expected: Option<i64>,
    missed: i64,
    wrong: Option<(&'static str, String)>,
    /// Since when the environment is overdue, if it is.
    overdue: Option<DateTime<Utc>>,
}

/// Writes the schedule's part of an environment's status, if it changed.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn write(context: &Context, key: &Key) -> Result<(), StoreError> {
    let schedule_now = context.schedule_clock().now();
    let view = context.schedules.with(|board| {
        let entry = board.entry(key).filter(|entry| !entry.deleting)?;
        Some(View {
            uid: entry.uid.clone(),
            suspended: entry.suspend,
            lines: entry.shown(&key.name, schedule_now),
            expected: entry.expected,
            missed: entry.missed,
            wrong: entry.wrong(),
            overdue: entry.overdue_at().filter(|at| *at <= schedule_now),
        })
    });
    let Some(view) = view.flatten() else {
        return Ok(());
    };
    let now = context.now();
    let environments = context.environments(&key.namespace);
    let change = |object: &CloneEnvironment, status: &mut CloneEnvironmentStatus| {
        if object.uid().as_deref() == Some(view.uid.as_str()) {
            put(object, status, &view, now);
        }
    };
    // Every event of the environment leads here, so what the watch does not show yet is seen by then.
    let cached = context.known.get(&key.namespace, &key.name);
    let written = match cached.as_ref().map(|cached| &cached.0) {
        Some(Ok(known)) => update_known(&environments, known, change).await,
        Some(Err(_)) | None => update(&environments, &key.name, change).await,
    };
    written.map(drop)
}

fn put(
    environment: &CloneEnvironment,
    status: &mut CloneEnvironmentStatus,
    view: &View,
    now: Timestamp,
) {
    status.suspended = view.suspended;
    let next = view.lines.iter().filter_map(|line| line.next).min();
    status.next_run_time = next.map(|at| at.utc().to_rfc3339_opts(SecondsFormat::Secs, true));
    status.schedule.clone_from(&view.lines);
    status.expected_interval_seconds = view.expected;
    status.missed_count = view.missed;
    let generation = environment.metadata.generation;
    let list = &mut status.conditions;
    if view.lines.is_empty() {
        conditions::clear(list, "ScheduleValid");
        conditions::clear(list, "Overdue");
        return;
    }
    let mut set = |kind: &str, truth, reason: &str, message: &str| {
        let message = cut(message, MESSAGE);
        conditions::set(list, kind, truth, reason, &message, generation, now);
    };
    match &view.wrong {
        None => set("ScheduleValid", Truth::True, "Valid", ""),
        Some((reason, message)) => set("ScheduleValid", Truth::False, reason, message),
    }
    match (view.suspended, view.overdue) {
        (true, _) => set("Overdue", Truth::False, "Suspended", ""),
        (false, None) => set("Overdue", Truth::False, "InTime", ""),
        (false, Some(at)) => {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let message = format!(
                "a success was expected before {at}; `kubectl get history` shows what the last runs ended with"
            );
            set("Overdue", Truth::True, "NoRecentSuccess", &message);
        }
    }
}
