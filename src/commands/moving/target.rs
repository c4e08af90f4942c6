//! What is where an export goes: asked before anything is written, and sent as a trial, so that what the API server refuses is
//! refused as a whole.

use super::check::{Item, Plan};
use super::reading::log_metadata;
use super::summed;
use super::write::{Prepared, posts, prepared};
use crate::api::{CloneEnvironment, CloneRun, IMPORT_ANNOTATION};
use crate::commands::CommandError;
use crate::controllers::run::logs::{LOG_LABEL, RUN_LABEL};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client, Resource, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};

/// Requests under way at the same time.
const AT_ONCE: usize = 8;

/// Does it all, some of it at the same time. What comes of it, in order.
pub(super) async fn each<T, F>(work: impl Iterator<Item = F>) -> Result<Vec<T>, CommandError>
where
    F: Future<Output = Result<T, CommandError>>,
{
    let work = futures::stream::iter(work);
    work.buffered(AT_ONCE).try_collect().await
}

/// The API of one kind in one namespace, for objects as they stand in the file.
pub(super) fn api<K: Resource<DynamicType = ()>>(
    client: &Client,
    namespace: &str,
) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<K>(&()))
}

/// Looks and tries.
///
/// # Errors
/// Something is in the way, or the API server refuses an object; then nothing was written.
pub(super) async fn check(client: &Client, plan: &Plan<'_>) -> Result<(), CommandError> {
    let all = [&plan.environments, &plan.runs, &plan.archives, &plan.logs];
    let spaces: BTreeSet<&String> = all.into_iter().flatten().map(|i| &i.namespace).collect();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut findings = Vec::new();
    for space in &spaces {
        match namespaces.get_metadata_opt(space).await {
            Ok(Some(_)) => {}
            Ok(None) => findings.push(format!(
                "there is no namespace {space}: `kubectl create namespace {space}`"
            )),
            // Who may write in a namespace need not be able to read it.
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            Err(error) => {
                return Err(CommandError::kube(format!("get namespace {space}"), &error));
            }
        }
    }
    refused(&findings)?;
    findings.extend(trials::<CloneEnvironment>(client, plan, &plan.environments).await?);
    findings.extend(trials::<CloneRun>(client, plan, &plan.runs).await?);
    findings.extend(trials::<ConfigMap>(client, plan, &plan.archives).await?);
    findings.extend(logs(client, plan).await?);
    refused(&findings)
}

fn refused(findings: &[String]) -> Result<(), CommandError> {
    match summed(findings) {
        Some(found) => Err(CommandError::Declined(format!(
            "{found}; nothing was imported"
        ))),
        None => Ok(()),
    }
}

async fn trials<K: Resource<DynamicType = ()>>(
    client: &Client,
    plan: &Plan<'_>,
    items: &[Item<'_>],
) -> Result<Vec<String>, CommandError> {
    let found = each(items.iter().map(|item| trial::<K>(client, plan, item))).await?;
    Ok(found.into_iter().flatten().collect())
}

/// Sends the create as a trial. What is in the way, if anything is.
async fn trial<K: Resource<DynamicType = ()>>(
    client: &Client,
    plan: &Plan<'_>,
    item: &Item<'_>,
) -> Result<Option<String>, CommandError> {
    let Prepared { object, origin, .. } = prepared(plan, item)?;
    let what = format!("{} {}/{}", K::kind(&()), item.namespace, item.name);
    let api = api::<K>(client, &item.namespace);
    let trial = PostParams {
        dry_run: true,
        ..posts()
    };
    match api.create(&trial, &object).await {
        // Definitions of before the field drop it: the row would be executed.
        Ok(tried) if imported(&tried) != origin.as_deref() => Err(CommandError::Declined(
            "the definitions there are older than this version: `ibmi-clone crd | kubectl apply --server-side -f -`, and its operator too; nothing was imported"
                .to_owned(),
        )),
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let there = api.get_opt(&item.name).await;
            let there = there.map_err(|e| CommandError::kube(format!("get {what}"), &e))?;
            let ours = there.is_none_or(|there| is_ours(&there, plan, origin.as_deref()));
            Ok((!ours).then(|| format!("{what} is there already: import where it is not")))
        }
        Err(kube::Error::Api(status)) => Ok(Some(format!("{what}: {}", status.message))),
        Err(error) => Err(CommandError::kube(format!("try {what}"), &error)),
    }
}

/// UID of the run that an object is a row of.
pub(super) fn imported(object: &DynamicObject) -> Option<&str> {
    object.data.pointer("/spec/imported/uid")?.as_str()
}

/// Whether an earlier try of this import has made it.
pub(super) fn is_ours(there: &DynamicObject, plan: &Plan<'_>, origin: Option<&str>) -> bool {
    there.annotations().get(IMPORT_ANNOTATION) == Some(&plan.header.id) && imported(there) == origin
}

/// Logs are large, and are not tried: only whether somebody else's have their names.
async fn logs(client: &Client, plan: &Plan<'_>) -> Result<Vec<String>, CommandError> {
    let mut wanted: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for item in &plan.logs {
        wanted
            .entry(&item.namespace)
            .or_default()
            .insert(&item.name);
    }
    let mut findings = Vec::new();
    for (namespace, names) in wanted {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let all = ListParams::default().labels(&format!("{RUN_LABEL},{LOG_LABEL}"));
        log_metadata(&maps, all, |map| {
            let ours = map.annotations().get(IMPORT_ANNOTATION) == Some(&plan.header.id);
            let name = map.name_any();
            if !ours && names.contains(&name) {
                findings.push(format!(
                    "ConfigMap {namespace}/{name} is there already: import where it is not"
                ));
            }
        })
        .await?;
    }
    Ok(findings)
}
