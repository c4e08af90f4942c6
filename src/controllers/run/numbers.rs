//! Numbers: of a run within its environment, without gaps; of an environment behind names on devices.
//!
//! A run's number is reserved by a conditional write on the environment (`lastRunNumber` and `opening` together), then
//! written to the run's label. A crash between the two is completed from `opening`, by whoever gives out the next number.

use crate::api::{
    CloneEnvironment, CloneRun, ENVIRONMENT_LABEL, FIELD_MANAGER, NUMBER_LABEL, OPENED_ANNOTATION,
};
use crate::controllers::answer::store_error;
use crate::controllers::context::Context;
use crate::controllers::environment::{pins, status};
use crate::controllers::history::archive;
use crate::controllers::run::store::{call, writes_as_us};
use crate::engine::journal::Facts;
use crate::engine::ports::StoreError;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;

/// Label on the Leases of numbers.
const NUMBER_LEASE: &str = "ibmiclone.dev/device-number";
const ENVIRONMENT: &str = "ibmiclone.dev/environment";

/// Reserves the run's number on the environment as it was just read. The same run gets the same number however often it
/// asks.
///
/// # Errors
/// `Gone` when the environment vanished; `Conflict` when another run's label was changed meanwhile; `Lost` when the API
/// server cannot be asked.
pub async fn run_number(
    context: &Context,
    environment: &CloneEnvironment,
    run: &CloneRun,
) -> Result<i64, StoreError> {
    // Written by an operator that was stopped, or for it by one that opened another run.
    if let Some(number) = own_number(run) {
        return Ok(number);
    }
    let namespace = run.namespace().unwrap_or_default();
    let api = context.environments(&namespace);
    let key = status::opening_key(run);
    let floor = labelled(context, environment).await?;
    let mut read = Some(environment.clone());
    loop {
        let now = match read.take() {
            Some(read) => Some(read),
            None => call(api.get_opt(&environment.name_any())).await?,
        };
        let mut now = now
            .filter(|e| e.uid() == environment.uid())
            .ok_or(StoreError::Gone)?;
        let known = now.status.clone().unwrap_or_default();
        let last = known.last_run_number;
        let number = match known.opening.as_deref() {
            Some(opening) if opening == key => return Ok(last),
            Some(opening) => match complete(context, environment, opening, last).await? {
                Reserved::Taken => last.max(floor) + 1,
                Reserved::Free => last.max(floor + 1),
            },
            None => last.max(floor) + 1,
        };
        let mut next = known;
        next.last_run_number = number;
        next.opening = Some(key.clone());
        next.active_run = Some(run.name_any());
        next.pins = pins::facts(&now);
        next.device_number = pins::device_number(&now);
        now.status = Some(next);
        now.metadata.managed_fields = None;
        let parameters = writes_as_us();
        match api.replace_status(&now.name_any(), &parameters, &now).await {
            Ok(_) => return Ok(number),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(store_error(error)),
        }
    }
}

/// The number on the label of a run that was opened as this very object.
fn own_number(run: &impl ResourceExt) -> Option<i64> {
    let opened = run.annotations().get(OPENED_ANNOTATION);
    let same = opened.is_some() && opened == run.uid().as_ref();
    let label = run.labels().get(NUMBER_LABEL).filter(|_| same)?;
    label.parse().ok()
}

/// What became of the number that was given out last.
enum Reserved {
    /// Its run has it.
    Taken,
    /// Its run is gone, or had another one: no gap.
    Free,
}

/// Sees to it that the run that `opening` names has its number before the next is given out: a crash between the two
/// writes must not leave a gap because another run is opened first.
async fn complete(
    context: &Context,
    environment: &CloneEnvironment,
    opening: &str,
    number: i64,
) -> Result<Reserved, StoreError> {
    let (name, uid) = opening.rsplit_once('/').unwrap_or((opening, ""));
    let runs = context.runs(&environment.namespace().unwrap_or_default());
    let found = call(runs.get_metadata_opt(name)).await?;
    let Some(run) = found.filter(|m| m.uid().as_deref() == Some(uid)) else {
        return Ok(Reserved::Free);
    };
    if let Some(own) = own_number(&run) {
        return Ok(if own == number {
            Reserved::Taken
        } else {
            Reserved::Free
        });
    }
    let patch = serde_json::json!({"metadata": {
        "uid": uid,
        "resourceVersion": run.resource_version(),
        "labels": {NUMBER_LABEL: number.to_string(), ENVIRONMENT_LABEL: environment.name_any()},
        "annotations": {OPENED_ANNOTATION: uid},
    }});
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match runs
        .patch_metadata(name, &parameters, &Patch::Merge(&patch))
        .await
    {
        Ok(_) => Ok(Reserved::Taken),
        Err(kube::Error::Api(status)) if status.is_conflict() => Err(StoreError::Conflict),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Reserved::Free),
        Err(error) => Err(store_error(error)),
    }
}

/// Highest number on a label of this environment's runs or in its archive: wins at the first opening after a start, when
/// a restored environment may have forgotten its numbers.
async fn labelled(context: &Context, environment: &CloneEnvironment) -> Result<i64, StoreError> {
    let uid = environment.uid().unwrap_or_default();
    let done = |set: &std::collections::HashSet<String>| set.contains(&uid);
    if context.numbered.lock().is_ok_and(|set| done(&set)) {
        return Ok(0);
    }
    let namespace = environment.namespace().unwrap_or_default();
    let runs = context.runs(&namespace);
    let selector = format!(
        "{ENVIRONMENT_LABEL}={},{NUMBER_LABEL}",
        environment.name_any()
    );
    // From the API server's own memory, in one page: its store would read every run of the namespace. What a run was given
    // in this moment stands on the environment too, which is read from the store.
    let parameters = ListParams::default().labels(&selector).match_any();
    let name = environment.name_any();
    let highest = archive::last_number(&context.client, &namespace, &name).await?;
    let found = call(runs.list_metadata(&parameters)).await?;
    let numbers = found.items.iter().filter(|run| opened_itself(*run));
    let numbers = numbers.filter_map(|run| run.labels().get(NUMBER_LABEL)?.parse().ok());
    let highest = numbers.fold(highest, i64::max);
    if let Ok(mut set) = context.numbered.lock() {
        set.insert(uid);
    }
    Ok(highest)
}

/// A number label on a run that was never opened was typed by somebody; a restored run's is real.
fn opened_itself(run: &impl ResourceExt) -> bool {
    run.annotations().contains_key(OPENED_ANNOTATION)
}

/// Numbers behind names on devices and who has them, as far as this term knows: many environments that are opened for the
/// first time at once would otherwise all try all numbers. Held while the Leases are listed, never while one is created:
/// a thousand environments would be opened one after the other.
#[derive(Debug, Default)]
pub struct DeviceNumbers(tokio::sync::Mutex<Option<BTreeMap<i64, Given>>>);

/// To whom a number is given.
#[derive(Debug)]
struct Given {
    /// `namespace/environment`.
    to: String,
    /// Its Lease was seen. Otherwise it is on its way, or was lost on it.
    reserved: bool,
}

/// The environment's number behind names on devices: reserved by a Lease, kept in the pins. A restored environment keeps
/// its number unless another one holds it by now.
///
/// # Errors
/// When the API server cannot be asked; `Conflict` when somebody changed the environment meanwhile.
pub async fn device_number(
    context: &Context,
    environment: CloneEnvironment,
) -> Result<(i64, CloneEnvironment), StoreError> {
    let leases = context.leases();
    let namespace = environment.namespace().unwrap_or_default();
    let me = format!("{namespace}/{}", environment.name_any());
    if let Some(pinned) = pins::device_number(&environment) {
        let lease = call(leases.get_opt(&lease_name(pinned))).await?;
        let free = lease.is_none();
        let mine = lease.as_ref().and_then(owner) == Some(&me);
        if mine || (free && reserve(&leases, pinned, &me).await?) {
            return Ok((pinned, environment));
        }
        return Err(StoreError::Lost(format!(
            "number {pinned} of the pins belongs to another environment: remove {:?} from annotation {}",
            pins::DEVICE_NUMBER,
            crate::api::PINS_ANNOTATION
        )));
    }
    let number = context.device_numbers.give(&leases, &me).await?;
    let api = context.environments(&namespace);
    let fact = Facts::from([(pins::DEVICE_NUMBER.to_owned(), number.to_string())]);
    let environment = pins::add(&api, &environment, &fact).await?;
    Ok((number, environment))
}

impl Given {
    fn reserved(to: &str) -> Self {
        Self {
            to: to.to_owned(),
            reserved: true,
        }
    }
}

impl DeviceNumbers {
    /// The number that is reserved for `me`, or the first that nobody has.
    async fn give(&self, leases: &Api<Lease>, me: &str) -> Result<i64, StoreError> {
        loop {
            let number = match self.choose(leases, me).await? {
                (number, true) => return Ok(number),
                (number, false) => number,
            };
            let reserved = reserve(leases, number, me).await?;
            let mut known = self.0.lock().await;
            if reserved {
                if let Some(given) = &mut *known {
                    given.insert(number, Given::reserved(me));
                }
                return Ok(number);
            }
            // Another operator was quicker, or an earlier try of ours whose answer was lost: what is known is old.
            *known = None;
        }
    }

    /// The number of `me` and whether its Lease is known to be there. The Lease decides who has a number, not this choice.
    async fn choose(&self, leases: &Api<Lease>, me: &str) -> Result<(i64, bool), StoreError> {
        let mut known = self.0.lock().await;
        let given = match &mut *known {
            Some(given) => given,
            none => none.insert(taken(leases).await?),
        };
        if let Some((number, own)) = given.iter().find(|(_, given)| given.to == me) {
            return Ok((*number, own.reserved));
        }
        let free = |number: &i64| !given.contains_key(number);
        let Some(number) = (1..).find(free) else {
            return Err(StoreError::Lost("all device numbers are taken".to_owned()));
        };
        let to = me.to_owned();
        let reserved = false;
        given.insert(number, Given { to, reserved });
        Ok((number, false))
    }
}

fn lease_name(number: i64) -> String {
    format!("ibmi-clone-number-{number}")
}

fn owner(lease: &Lease) -> Option<&String> {
    lease.annotations().get(ENVIRONMENT)
}

async fn taken(leases: &Api<Lease>) -> Result<BTreeMap<i64, Given>, StoreError> {
    let found = call(leases.list(&ListParams::default().labels(NUMBER_LEASE))).await?;
    let pair = |lease: &Lease| {
        let number = lease.labels().get(NUMBER_LEASE)?.parse().ok()?;
        Some((number, Given::reserved(owner(lease)?)))
    };
    Ok(found.items.iter().filter_map(pair).collect())
}

/// `false` = somebody was quicker.
async fn reserve(leases: &Api<Lease>, number: i64, me: &str) -> Result<bool, StoreError> {
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(lease_name(number)),
            labels: Some(BTreeMap::from([(
                NUMBER_LEASE.to_owned(),
                number.to_string(),
            )])),
            annotations: Some(BTreeMap::from([(ENVIRONMENT.to_owned(), me.to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            ..LeaseSpec::default()
        }),
    };
    match leases.create(&writes_as_us(), &lease).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Err(error) => Err(store_error(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "numbers_tests.rs"]
mod tests;
