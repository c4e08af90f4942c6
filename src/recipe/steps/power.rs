//! A partition that was told to switch and has not done so yet: the console's job and the partition's state are judged
//! together, for the start and the stop of the clone alike.

use super::gate::{self, Stop, state_word};
use crate::engine::journal::Entry;
use crate::engine::step::{Observation, StepContext};
use crate::recipe::plan::Plan;
use crate::site::{PartitionStatus, PowerJob, PowerJobState};
use std::time::Duration;

/// What the console is told.
pub(super) struct Order {
    /// Codes of its job that say nothing: the partition's state decides, not they (`hmc.md` § 1.11).
    pub(super) state_decides: &'static [&'static str],
    /// Reason of a job that failed with any other code.
    pub(super) reason: &'static str,
    /// `start`, `switch off`: for messages.
    pub(super) verb: &'static str,
}

/// Judges a clone that is not where the order wants it. Absent = the order may be sent (again).
pub(super) async fn told(
    context: &StepContext<'_>,
    plan: &Plan,
    order: &Order,
    entry: &Entry,
    status: &PartitionStatus,
    poll: Duration,
) -> Result<Observation, Stop> {
    let (clone, verb) = (plan.clone_label(), order.verb);
    if let Some(job) = gate::given(entry) {
        let job = PowerJob(job.to_owned());
        match context.site.clone_partition.job(&job).await? {
            PowerJobState::Running => {
                return Ok(Observation::underway(
                    poll,
                    format!("the console was told to {verb} clone {clone} and works on it"),
                ));
            }
            PowerJobState::Failed { code, text }
                if !order.state_decides.contains(&code.as_str()) =>
            {
                return Ok(Observation::broken(
                    order.reason,
                    format!("the console could not {verb} clone {clone}: {code} {text}"),
                ));
            }
            PowerJobState::Failed { .. } | PowerJobState::Ended | PowerJobState::Forgotten => {}
        }
    }
    if !migration_allows(&status.migration_state) {
        return Ok(Observation::broken(
            "CloneMigrating",
            format!(
                "clone {clone} is in migration state {}: finish or recover the migration first",
                status.migration_state
            ),
        ));
    }
    if status.operation_in_progress {
        return Ok(Observation::underway(
            poll,
            format!("another console operation holds clone {clone}"),
        ));
    }
    Ok(gate::retry_gate(
        entry,
        context.now,
        plan.pace.retry(),
        poll,
        || {
            format!(
                "the console was told to {verb} clone {clone}, which is still {}",
                state_word(&status.state)
            )
        },
    ))
}

/// `Not_Migrating` is the only state in which we act; a console level without the field shows nothing.
pub(crate) fn migration_allows(state: &str) -> bool {
    state.trim().is_empty() || state.trim().eq_ignore_ascii_case("Not_Migrating")
}
