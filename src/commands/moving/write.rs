//! Writes what was checked, in an order in which an interruption at any point does no harm and the next try goes on: archives
//! with the last numbers, environments, runs with their status, logs with the first part of each last.

use super::check::{Item, Plan};
use super::target::{api, each, imported, is_ours};
use crate::api::{CloneEnvironment, CloneEnvironmentStatus, CloneRun, IMPORT_ANNOTATION};
use crate::commands::{CommandError, MANAGER};
use crate::controllers::run::logs::RUN_LABEL;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, DynamicObject, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::Value;
use std::collections::BTreeMap;

/// Namespace and name → UID.
type Uids = BTreeMap<(String, String), String>;

/// An object as it is created, and what belongs to it and is written later.
pub(super) struct Prepared {
    /// Without owner and status.
    pub(super) object: DynamicObject,
    /// Of a run: UID of the one that was executed.
    pub(super) origin: Option<String>,
    status: Option<Value>,
    owner: Option<OwnerReference>,
    /// UID where it comes from.
    uid: String,
}

/// From its document.
///
/// # Errors
/// A document that was good and is not any more.
pub(super) fn prepared(plan: &Plan<'_>, item: &Item<'_>) -> Result<Prepared, CommandError> {
    let value = plan.text.value(item.piece)?;
    let object = serde_json::from_value(value);
    let mut object: DynamicObject =
        object.map_err(|e| plan.text.wrong(item.piece, &e.to_string()))?;
    let status = object.data.as_object_mut().and_then(|o| o.remove("status"));
    let uid = object.metadata.uid.take().unwrap_or_default();
    let owner = object.metadata.owner_references.take().unwrap_or_default();
    object.metadata.namespace = Some(item.namespace.clone());
    object.metadata.creation_timestamp = None;
    object.metadata.resource_version = None;
    let notes = object.annotations_mut();
    notes.insert(IMPORT_ANNOTATION.to_owned(), plan.header.id.clone());
    Ok(Prepared {
        origin: imported(&object).map(str::to_owned),
        object,
        status,
        owner: owner.into_iter().next(),
        uid,
    })
}

pub(super) fn posts() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// Writes all of it, or what an earlier try has left.
///
/// # Errors
/// The API server refuses something or does not answer: the same import goes on from there.
pub(super) async fn all(client: &Client, plan: &Plan<'_>) -> Result<(), CommandError> {
    let writing = Writing { client, plan };
    let archives = plan.archives.iter().map(|item| async move {
        let prepared = prepared(plan, item)?;
        writing.create::<ConfigMap>(item, &prepared).await.map(drop)
    });
    each(archives).await?;
    let environments = plan.environments.iter();
    let environments = each(environments.map(|item| writing.environment(item))).await?;
    // Of the old side to those of the new one.
    let renamed: BTreeMap<String, String> = environments.into_iter().collect();
    let runs = plan.runs.iter().map(|item| writing.run(item, &renamed));
    let runs: Uids = each(runs).await?.into_iter().collect();
    // The first part of a log says that it is whole.
    let mut logs: Vec<&Item<'_>> = plan.logs.iter().collect();
    logs.sort_by_key(|item| std::cmp::Reverse(item.place()));
    for item in logs {
        writing.log(item, &runs).await?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Writing<'p, 't> {
    client: &'p Client,
    plan: &'p Plan<'t>,
}

impl Writing<'_, '_> {
    /// The object, made now or by an earlier try.
    async fn create<K: Resource<DynamicType = ()>>(
        &self,
        item: &Item<'_>,
        prepared: &Prepared,
    ) -> Result<DynamicObject, CommandError> {
        let what = format!("{} {}/{}", K::kind(&()), item.namespace, item.name);
        let api = api::<K>(self.client, &item.namespace);
        match api.create(&posts(), &prepared.object).await {
            Ok(created) => Ok(created),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                let there = api.get(&item.name).await;
                let there = there.map_err(|e| CommandError::kube(format!("get {what}"), &e))?;
                if is_ours(&there, self.plan, prepared.origin.as_deref()) {
                    return Ok(there);
                }
                Err(CommandError::Declined(format!(
                    "{what} was made by somebody else meanwhile"
                )))
            }
            Err(error) => Err(CommandError::kube(format!("create {what}"), &error)),
        }
    }

    /// Its old UID and its new one.
    async fn environment(&self, item: &Item<'_>) -> Result<(String, String), CommandError> {
        let prepared = prepared(self.plan, item)?;
        let created = self.create::<CloneEnvironment>(item, &prepared).await?;
        let uid = created.uid().unwrap_or_default();
        let wanted = prepared.status.unwrap_or_default();
        let wanted: CloneEnvironmentStatus = serde_json::from_value(wanted)
            .map_err(|e| self.plan.text.wrong(item.piece, &e.to_string()))?;
        let api: Api<CloneEnvironment> = Api::namespaced(self.client.clone(), &item.namespace);
        let what = format!("the status of environment {}", item.name);
        loop {
            // An operator that is at work writes its own part.
            let found = api.get(&item.name).await;
            let mut found = found.map_err(|e| CommandError::kube(&what, &e))?;
            let known = found.status.clone().unwrap_or_default();
            let mut next = known.clone();
            fill(&mut next, &wanted);
            if next == known {
                return Ok((prepared.uid, uid));
            }
            found.status = Some(next);
            found.metadata.managed_fields = None;
            match api.replace_status(&item.name, &posts(), &found).await {
                Ok(_) => return Ok((prepared.uid, uid)),
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => return Err(CommandError::kube(&what, &error)),
            }
        }
    }

    /// Its place and its new UID.
    async fn run(
        &self,
        item: &Item<'_>,
        renamed: &BTreeMap<String, String>,
    ) -> Result<((String, String), String), CommandError> {
        let mut prepared = prepared(self.plan, item)?;
        let owner = prepared.owner.take().and_then(|mut owner| {
            owner.uid = renamed.get(&owner.uid)?.clone();
            Some(vec![owner])
        });
        prepared.object.metadata.owner_references = owner;
        let created = self.create::<CloneRun>(item, &prepared).await?;
        let api = api::<CloneRun>(self.client, &item.namespace);
        if imported(&created) != prepared.origin.as_deref() {
            self.take_back(&api, &created).await;
            return Err(CommandError::Declined(format!(
                "run {} lost its spec.imported on the way and was deleted again: the definitions there are older than this version",
                item.name
            )));
        }
        let mut status = prepared.status.unwrap_or_default();
        if let Some(environment) = status.pointer_mut("/resolved/environmentUID")
            && let Some(new) = environment.as_str().and_then(|uid| renamed.get(uid))
        {
            *environment = Value::from(new.clone());
        }
        let uid = created.uid().unwrap_or_default();
        self.close(&api, item, created, status).await?;
        Ok((item.place(), uid))
    }

    /// The one status that the row ever gets.
    async fn close(
        &self,
        api: &Api<DynamicObject>,
        item: &Item<'_>,
        created: DynamicObject,
        status: Value,
    ) -> Result<(), CommandError> {
        let what = format!("the status of run {}", item.name);
        let mut object = created;
        while object.data.pointer("/status/phase").is_none() {
            object.metadata.managed_fields = None;
            if let Some(fields) = object.data.as_object_mut() {
                fields.insert("status".to_owned(), status.clone());
            }
            match api.replace_status(&item.name, &posts(), &object).await {
                Ok(_) => return Ok(()),
                // Somebody touched a label.
                Err(kube::Error::Api(status)) if status.is_conflict() => {
                    let found = api.get(&item.name).await;
                    object = found.map_err(|e| CommandError::kube(&what, &e))?;
                }
                Err(error) => return Err(CommandError::kube(&what, &error)),
            }
        }
        Ok(())
    }

    /// Deletes an object that must not be there.
    async fn take_back(&self, api: &Api<DynamicObject>, created: &DynamicObject) {
        let this_one = DeleteParams {
            preconditions: Some(Preconditions {
                uid: created.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        // It names another as the one that was opened, so no operator executes it either.
        let _ = api.delete(&created.name_any(), &this_one).await;
    }

    async fn log(&self, item: &Item<'_>, runs: &Uids) -> Result<(), CommandError> {
        let mut prepared = prepared(self.plan, item)?;
        let run = prepared.object.labels().get(RUN_LABEL).cloned();
        let run = (item.namespace.clone(), run.unwrap_or_default());
        let owner = prepared.owner.take().zip(runs.get(&run));
        prepared.object.metadata.owner_references = owner.map(|(mut owner, uid)| {
            owner.uid.clone_from(uid);
            vec![owner]
        });
        self.create::<ConfigMap>(item, &prepared).await.map(drop)
    }
}

/// What the environment knows of its runs, beside what an operator has written meanwhile. Filling it twice changes nothing.
fn fill(known: &mut CloneEnvironmentStatus, wanted: &CloneEnvironmentStatus) {
    known.last_run_number = known.last_run_number.max(wanted.last_run_number);
    known.missed_count = known.missed_count.max(wanted.missed_count);
    known.last_success_time = known.last_success_time.max(wanted.last_success_time);
    known.last_failure_time = known.last_failure_time.max(wanted.last_failure_time);
    let number = |status: &CloneEnvironmentStatus| status.last_run.as_ref().map(|l| l.number);
    if number(wanted) > number(known) {
        known.last_run.clone_from(&wanted.last_run);
        known.consecutive_failures = wanted.consecutive_failures;
    }
    for condition in &wanted.conditions {
        if known.conditions.iter().all(|c| c.type_ != condition.type_) {
            known.conditions.push(condition.clone());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(value: Value) -> CloneEnvironmentStatus {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_an_operator_has_written_meanwhile_stays_and_filling_twice_changes_nothing() {
        let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-11-23T00:00:00Z"});
        let last = |number| json!({"name": "n", "number": number, "phase": "Failed"});
        let wanted = status(json!({
            "lastRunNumber": 41, "missedCount": 3, "consecutiveFailures": 2, "lastRun": last(41),
            "lastSuccessTime": "2026-11-23T00:00:00.000Z", "conditions": [condition("LastRunSucceeded")],
        }));
        let mut known = status(json!({"nextRunTime": "soon", "conditions": [condition("Ready")]}));
        fill(&mut known, &wanted);
        assert_eq!((known.last_run_number, known.missed_count), (41, 3));
        assert_eq!(known.consecutive_failures, 2);
        assert_eq!(known.conditions.len(), 2);
        assert_eq!(known.next_run_time.as_deref(), Some("soon"));
        let once = known.clone();
        fill(&mut known, &wanted);
        assert_eq!(known, once);
        // A run that was opened here since.
        let since =
            status(json!({"lastRunNumber": 42, "lastRun": last(42), "consecutiveFailures": 1}));
        let mut known = since.clone();
        fill(&mut known, &wanted);
        assert_eq!(
            (known.last_run, known.consecutive_failures),
            (since.last_run, 1)
        );
        assert_eq!(known.last_run_number, 42);
    }
}
