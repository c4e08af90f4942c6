//! Environments: verified on change, before a run and hourly with jitter.

mod image;
pub mod known;
pub mod partitions;
pub mod pins;
pub mod status;
pub mod verify;

use crate::api::CloneEnvironment;
use crate::controllers::conditions;
use crate::controllers::context::{Context, Due};
use crate::controllers::locks::{device_locks, lease};
use crate::controllers::run::store::call;
use crate::engine::ports::StoreError;
use crate::engine::step::LockKind;
use crate::engine::time::Timestamp;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reconciles one environment.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn reconcile(
    object: Arc<DeserializeGuard<CloneEnvironment>>,
    context: Arc<Context>,
) -> Result<Action, StoreError> {
    let environment = match &object.0 {
        Ok(environment) => environment,
        Err(invalid) => {
            // Reported by name; the others go on (rule 13).
            tracing::error!(
                environment = invalid.metadata.name.as_deref().unwrap_or_default(),
                namespace = invalid.metadata.namespace.as_deref().unwrap_or_default(),
                error = invalid.error,
                "this environment cannot be read: correct or delete it"
            );
            return Ok(Action::await_change());
        }
    };
    if environment.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let uid = environment.uid().unwrap_or_default();
    let known = context.due.lock().ok().and_then(|d| d.get(&uid).copied());
    if let Some(due) = known
        && due.generation == environment.metadata.generation
        && let Some(rest) = due.at.checked_duration_since(Instant::now())
    {
        return Ok(Action::requeue(rest));
    }
    let pace = context.pace();
    // Creates of due slots go first.
    context.gate.wait().await;
    if source_is_busy(&context, environment).await? {
        // Logins and queries may hang while production is suspended: a run looks for itself.
        return Ok(Action::requeue(pace.seconds(60)));
    }
    let (outcome, _) = verify::verify(&context, environment).await?;
    let wait = if outcome.ready {
        pace.seconds(3600).mul_f64(jitter(&uid))
    } else {
        // A changed Secret or ConfigMap is noticed here; a latched driver sends nothing meanwhile.
        pace.seconds(again_after(not_ready_for(environment, context.now())))
    };
    if let Ok(mut due) = context.due.lock() {
        due.insert(
            uid,
            Due {
                generation: environment.metadata.generation,
                at: Instant::now() + wait,
            },
        );
    }
    Ok(Action::requeue(wait))
}

/// For how many seconds an environment has not been ready; 0 = it was ready, or was never looked at.
fn not_ready_for(environment: &CloneEnvironment, now: Timestamp) -> u64 {
    let status = environment.status.as_ref();
    let ready = status.and_then(|s| conditions::get(&s.conditions, "Ready"));
    let since = ready.filter(|c| c.status != "True");
    since.map_or(0, |c| {
        let seconds = now.utc().timestamp() - c.last_transition_time.0.as_second();
        u64::try_from(seconds).unwrap_or_default()
    })
}

/// Seconds until an environment that is not ready is looked at again: often while somebody may be mending it, less often
/// when nobody does, so that hundreds of forgotten ones are no load.
fn again_after(not_ready_for: u64) -> u64 {
    (not_ready_for / 5).clamp(60, 300)
}

/// 0.9 to 1.1, the same for one environment: hundreds of environments do not ask one console at once.
fn jitter(uid: &str) -> f64 {
    let sum: u32 = uid.bytes().map(u32::from).sum();
    0.9 + f64::from(sum % 200) / 1000.0
}

/// Whether a run holds production's lock: it may be suspended at any moment.
async fn source_is_busy(
    context: &Context,
    environment: &CloneEnvironment,
) -> Result<bool, StoreError> {
    let locks = device_locks(&environment.spec, &pins::of(environment));
    for lock in locks.iter().filter(|l| l.kind == LockKind::Source) {
        let found = call(context.leases().get_opt(&lock.lease)).await?;
        if let Some(found) = found
            && lease::in_use(&context.client, &found).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// After an error of the API server: again soon.
pub fn again(
    object: Arc<DeserializeGuard<CloneEnvironment>>,
    error: &StoreError,
    context: Arc<Context>,
) -> Action {
    match error {
        StoreError::Conflict => Action::requeue(Duration::from_millis(200)),
        StoreError::Gone => Action::await_change(),
        StoreError::Lost(text) => {
            let name = object.name_any();
            tracing::warn!(
                environment = name,
                error = text,
                "the API server could not be asked"
            );
            Action::requeue(context.pace().seconds(5))
        }
        StoreError::Forbidden(what) => {
            let name = object.name_any();
            tracing::error!(environment = name, what, "a permission is missing");
            Action::requeue(context.pace().seconds(15))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta, Utc};

    #[test]
    fn an_environment_nobody_mends_is_looked_at_less_often_and_still_within_five_minutes() {
        let yaml = include_str!("../testdata/environment.yaml");
        let mut environment =
            CloneEnvironment::new("nightly", serde_saphyr::from_str(yaml).unwrap());
        let since: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
        let seconds = |environment: &CloneEnvironment, later: i64| {
            let now = Timestamp::new(since + TimeDelta::seconds(later));
            again_after(not_ready_for(environment, now))
        };
        assert_eq!(seconds(&environment, 86_400), 60, "never looked at");
        let mut status = crate::api::CloneEnvironmentStatus::default();
        let list = &mut status.conditions;
        let at = Timestamp::new(since);
        let no = conditions::Truth::False;
        conditions::set(list, "Ready", no, "SecretMissing", "", Some(1), at);
        environment.status = Some(status);
        let waits = [0, 300, 600, 86_400].map(|later| seconds(&environment, later));
        assert_eq!(waits, [60, 60, 120, 300]);
        let list = &mut environment.status.as_mut().unwrap().conditions;
        let yes = conditions::Truth::True;
        conditions::set(list, "Ready", yes, "Verified", "", Some(1), at);
        assert_eq!(seconds(&environment, 86_400), 60, "it was ready until now");
    }
}
