//! Creating the run of a slot. The name is the slot's: a create that is sent twice, by us after a lost answer or by two
//! operators at once, makes one run, and "exists already" is success.

use super::board::Key;
use crate::api::run::{RunMode, Trigger};
use crate::api::schedule::{Skip, SkipReason};
use crate::api::{
    CloneEnvironment, CloneRun, CloneRunSpec, ENVIRONMENT_LABEL, FINALIZER, OUTCOME_LABEL,
};
use crate::controllers::answer::told;
use crate::controllers::conditions::time;
use crate::controllers::context::Context;
use crate::controllers::run::store::writes_as_us;
use crate::engine::time::Timestamp;
use crate::schedule::slot_name;
use chrono::{DateTime, SecondsFormat, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::{PartialObjectMeta, PartialObjectMetaExt, Request};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest wait for one answer.
const CALL: Duration = Duration::from_secs(5);
/// Cause of a refusal, as kube-apiserver writes it.
const NAMESPACE_GOES: &str = "NamespaceTerminating";
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A run to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The environment.
    pub key: Key,
    /// Its UID: a run belongs to this very object.
    pub uid: String,
    /// The slot.
    pub slot: DateTime<Utc>,
    /// The slot is not run.
    pub skip: Option<Skipped>,
    /// Tries before this one.
    pub tries: u32,
}

/// Slots that are not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Why.
    pub reason: SkipReason,
    /// How many.
    pub slots: i64,
    /// The oldest of them.
    pub first: DateTime<Utc>,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It was created by this try.
    Ours,
    /// It was there: an earlier try of ours, or another operator.
    Before,
    /// Not created as far as known; tried again.
    Not(String),
    /// Refused for good: the namespace is being deleted, and the environment goes with it.
    Never(String),
}

impl Order {
    /// Whether nothing was sent for it yet.
    pub fn first_try(&self) -> bool {
        self.tries == 0
    }
    /// How long to wait before this try.
    pub fn pause(&self) -> Duration {
        match self.tries {
            0 => Duration::ZERO,
            n => (FIRST_PAUSE * 2_u32.saturating_pow((n - 1).min(8))).min(LONGEST_PAUSE),
        }
    }
    /// The environment by its metadata, for events.
    pub fn environment(&self) -> PartialObjectMeta<CloneEnvironment> {
        let metadata = ObjectMeta {
            name: Some(self.key.name.clone()),
            namespace: Some(self.key.namespace.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectMeta::default()
        };
        metadata.into_response_partial()
    }
    /// The object. Finalizer, label and owner are in the create: a crash after it leaves nothing to be added. A skipped
    /// run never opens and needs no finalizer.
    pub fn object(&self) -> CloneRun {
        let mut labels = BTreeMap::from([(ENVIRONMENT_LABEL.to_owned(), self.key.name.clone())]);
        let mut finalizers = None;
        match &self.skip {
            Some(_) => drop(labels.insert(OUTCOME_LABEL.to_owned(), "Skipped".to_owned())),
            None => finalizers = Some(vec![FINALIZER.to_owned()]),
        }
        let owner = OwnerReference {
            api_version: CloneEnvironment::api_version(&()).into_owned(),
            kind: CloneEnvironment::kind(&()).into_owned(),
            name: self.key.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        CloneRun {
            metadata: ObjectMeta {
                name: Some(slot_name(&self.key.name, self.slot)),
                namespace: Some(self.key.namespace.clone()),
                labels: Some(labels),
                finalizers,
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            spec: CloneRunSpec {
                environment: self.key.name.clone(),
                mode: RunMode::Clone,
                trigger: Trigger::Schedule,
                scheduled_time: Some(time(Timestamp::new(self.slot))),
                skip: self.skip.as_ref().map(|s| Skip {
                    reason: s.reason,
                    slots: s.slots,
                }),
                ..CloneRunSpec::default()
            },
            status: None,
        }
    }
}

impl Skipped {
    /// For the event: which times, and why.
    pub fn note(&self, order: &Order) -> String {
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let why = skip_words(self.reason);
        if self.slots == 1 {
            return format!("{} is not run: {why}", text(order.slot));
        }
        let (count, first, last) = (self.slots, text(self.first), text(order.slot));
        format!("{count} times of the schedule from {first} to {last} are not run: {why}")
    }
}

/// What happened and what a person can do.
pub fn skip_words(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::DeadlineExceeded => {
            "the starting deadline had passed when the schedule was looked at, the operator was down or the clock jumped; create a CloneRun to run it now"
        }
        SkipReason::PreviousRunActive => {
            "the previous run of this environment was still active at the end of the starting deadline; give the runs more room in schedule.cron, or raise schedule.startingDeadlineSeconds"
        }
        SkipReason::ImageKept => {
            "the image of an earlier run is kept by its keepUntil; end it or wait for that time"
        }
        SkipReason::HeldImageInUse => {
            "the image is pinned by a clone that was started with StartHeld; release it with a run of mode ReleaseHeld"
        }
    }
}

/// Sends one create. Nobody reads the object in the answer: the watch brings it, and a burst has other work.
pub async fn create(context: &Context, order: &Order) -> Created {
    let api = context.runs(&order.key.namespace);
    let body = match serde_json::to_vec(&order.object()) {
        Ok(body) => body,
        Err(error) => return Created::Not(format!("the run cannot be written as JSON: {error}")),
    };
    let request = Request::new(api.resource_url()).create(&writes_as_us(), body);
    let request = match request {
        Ok(request) => request,
        Err(error) => return Created::Not(told(kube::Error::BuildRequest(error))),
    };
    match tokio::time::timeout(CALL, context.client.request_text(request)).await {
        Ok(Ok(_)) => Created::Ours,
        Ok(Err(kube::Error::Api(status))) if status.is_already_exists() => Created::Before,
        Ok(Err(kube::Error::Api(status))) if namespace_goes(&status) => {
            Created::Never(status.message.clone())
        }
        Ok(Err(error)) => Created::Not(told(error)),
        Err(_) => Created::Not("the API server did not answer".to_owned()),
    }
}

/// A namespace never comes back from its deletion. One that is gone already answers that it was not found.
fn namespace_goes(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|d| &d.causes);
    let named = causes.into_iter().any(|c| c.reason == NAMESPACE_GOES);
    let of_namespace = status
        .details
        .as_ref()
        .is_some_and(|d| d.kind == "namespaces");
    (status.code == 403 && named) || (status.is_not_found() && of_namespace)
}
