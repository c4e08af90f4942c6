//! Everything that an export is made of, read before any of it is written.

use super::export::Arguments;
use super::file::Format;
use super::obstacles::{self, Images};
use super::pick::{self, Schedules};
use super::{Counts, GROUP, Header, KIND, Source, ToBeMade, VERSION, summed};
use crate::api::{CloneEnvironment, CloneRun};
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::controllers::OPEN;
use crate::controllers::history::archive::{
    ARCHIVE_LABEL, archive_name, last_number_of, with_number,
};
use crate::controllers::pages::pages as by_pages;
use crate::controllers::run::logs::{RUN_LABEL, stored};
use crate::engine::time::Timestamp;
use chrono::{DateTime, Utc};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Objects asked for at once; of logs, which are large, fewer.
pub(super) const PAGE: u32 = 500;
pub(super) const PAGE_OF_LOGS: u32 = 20;

/// What was read, as it is written.
pub(super) struct Everything {
    pub(super) header: Header,
    /// All but the logs.
    pub(super) documents: Vec<String>,
    /// Names of the parts of logs by namespace.
    pub(super) logs: BTreeMap<String, BTreeSet<String>>,
    /// Environments that still start runs where they are.
    pub(super) at_work: Vec<String>,
}

/// A look at everything.
pub(super) struct Reading<'a> {
    cluster: Cluster,
    namespace: Option<String>,
    arguments: &'a Arguments,
    now: DateTime<Utc>,
    obstacles: Vec<String>,
}

impl<'a> Reading<'a> {
    /// Of the namespace that a command works in, or of all.
    pub(super) fn new(cluster: Cluster, arguments: &'a Arguments) -> Self {
        Self {
            namespace: (!arguments.all_namespaces).then(|| cluster.namespace.clone()),
            cluster,
            arguments,
            now: Utc::now(),
            obstacles: Vec::new(),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let client = self.cluster.client.clone();
        match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    /// Reads, and says what is in the way of an export, if anything is.
    ///
    /// # Errors
    /// Something is in the way, or the API does not answer.
    pub(super) async fn everything(mut self) -> Result<Everything, CommandError> {
        let format = self.arguments.format;
        let mut counts = Counts::default();
        let mut numbers: BTreeMap<Place, i64> = BTreeMap::new();
        let environments = self.environments().await?;
        let (rows, runs): (BTreeSet<Place>, Vec<String>) =
            self.runs(&mut numbers).await?.into_iter().unzip();
        counts.runs = runs.len();
        let mut archives = Vec::new();
        for (name, map) in self.archives(&mut numbers, &environments).await? {
            archives.push(rendered(format, &name, pick::config_map(&map))?);
        }
        counts.archives = archives.len();
        let mut documents = Vec::new();
        let mut to_be_made = ToBeMade::default();
        let mut at_work = Vec::new();
        for environment in &environments {
            let place = place(environment);
            let number = numbers.get(&place).copied().unwrap_or_default();
            let schedules = match self.arguments.keep_schedules {
                true => Schedules::Kept,
                false => Schedules::Paused,
            };
            let picked = pick::environment(environment, number, schedules);
            if let Ok(value) = &picked {
                pick::referred(&place.0, &value["spec"], &mut to_be_made);
            }
            documents.push(rendered(format, &place.1, picked)?);
            if !environment.spec.suspend && environment.spec.schedule.is_some() {
                at_work.push(format!("{}/{}", place.0, place.1));
            }
        }
        counts.environments = documents.len();
        documents.extend(archives);
        documents.extend(runs);
        let logs = self.names_of_logs(&rows).await?;
        counts.logs = logs.values().map(BTreeSet::len).sum();
        self.refuse(&environments).await?;
        Ok(Everything {
            header: self.header(counts, to_be_made, &rows, &environments).await,
            documents,
            logs,
            at_work,
        })
    }

    async fn header(
        &self,
        counts: Counts,
        to_be_made: ToBeMade,
        rows: &BTreeSet<Place>,
        environments: &[CloneEnvironment],
    ) -> Header {
        let spaces: Api<Namespace> = Api::all(self.cluster.client.clone());
        let system = spaces.get("kube-system").await;
        let id: u128 = rand::random();
        let mut namespaces: BTreeSet<String> = rows.iter().map(|row| row.0.clone()).collect();
        namespaces.extend(environments.iter().map(|e| place(e).0));
        Header {
            api_version: format!("{GROUP}{VERSION}"),
            kind: KIND.to_owned(),
            id: format!("{id:032x}"),
            tool: concat!("ibmi-clone ", env!("CARGO_PKG_VERSION")).to_owned(),
            created_at: Timestamp::new(self.now),
            source: Source {
                installation: system.ok().and_then(|s| s.uid()).unwrap_or_default(),
                namespaces: namespaces.into_iter().collect(),
            },
            counts,
            to_be_made,
        }
    }

    async fn environments(&self) -> Result<Vec<CloneEnvironment>, CommandError> {
        let mut all = Vec::new();
        let api = self.api::<CloneEnvironment>();
        pages(&api, ListParams::default(), PAGE, |environment| {
            all.push(environment);
            Ok(())
        })
        .await?;
        // One that goes away is as good as gone.
        all.retain(|e| e.metadata.deletion_timestamp.is_none());
        Ok(all)
    }

    /// The rows as they are written. `numbers`: the highest of each environment.
    async fn runs(
        &mut self,
        numbers: &mut BTreeMap<Place, i64>,
    ) -> Result<Vec<(Place, String)>, CommandError> {
        let images = match self.arguments.leave_images {
            true => Images::Left,
            false => Images::Refused,
        };
        let (api, format, now) = (self.api::<CloneRun>(), self.arguments.format, self.now);
        let (mut rows, mut obstacles) = (Vec::new(), Vec::new());
        pages(&api, ListParams::default(), PAGE, |run| {
            if let Some(obstacle) = obstacles::of_run(&run, images, now) {
                obstacles.push(obstacle);
                return Ok(());
            }
            let mut status = run.status.clone().unwrap_or_default();
            if obstacles::is_live(&status) {
                obstacles::close(&mut status, Timestamp::new(now));
            }
            let at = place(&run);
            let of = (at.0.clone(), run.spec.environment.clone());
            let highest = numbers.entry(of).or_default();
            *highest = status.number.unwrap_or_default().max(*highest);
            let text = rendered(format, &at.1, pick::run(&run, &status))?;
            rows.push((at, text));
            Ok(())
        })
        .await?;
        self.obstacles.extend(obstacles);
        Ok(rows)
    }

    /// The archives, of environments that are gone too. Each knows the highest number, so that a run that is opened while the
    /// rest is still being imported has the next one.
    async fn archives(
        &self,
        numbers: &mut BTreeMap<Place, i64>,
        environments: &[CloneEnvironment],
    ) -> Result<BTreeMap<String, ConfigMap>, CommandError> {
        for environment in environments {
            let known = environment.status.as_ref().map_or(0, |s| s.last_run_number);
            let highest = numbers.entry(place(environment)).or_default();
            *highest = known.max(*highest);
        }
        let mut found: BTreeMap<Place, ConfigMap> = BTreeMap::new();
        let selector = ListParams::default().labels(ARCHIVE_LABEL);
        pages(&self.api::<ConfigMap>(), selector, PAGE_OF_LOGS, |map| {
            found.insert(place(&map), map);
            Ok(())
        })
        .await?;
        let mut all = BTreeMap::new();
        for ((namespace, environment), number) in numbers.iter_mut() {
            let name = archive_name(environment);
            let map = found.remove(&(namespace.clone(), name.clone()));
            *number = map.as_ref().map_or(0, last_number_of).max(*number);
            if map.is_some() || *number > 0 {
                let mut map = with_number(map, environment, *number);
                map.metadata.namespace = Some(namespace.clone());
                all.insert(format!("{namespace}/{name}"), map);
            }
        }
        let of_the_gone = found.into_iter();
        all.extend(
            of_the_gone.map(|((namespace, name), map)| (format!("{namespace}/{name}"), map)),
        );
        Ok(all)
    }

    async fn names_of_logs(
        &self,
        rows: &BTreeSet<Place>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, CommandError> {
        let api = self.api::<ConfigMap>();
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        log_metadata(&api, stored(), |map| {
            let (namespace, name) = place(&map);
            let run = map.labels().get(RUN_LABEL).cloned().unwrap_or_default();
            if rows.contains(&(namespace.clone(), run)) {
                names.entry(namespace).or_default().insert(name);
            }
        })
        .await?;
        Ok(names)
    }

    /// Says what is in the way, if anything is. Runs are looked at last once more: one may have begun while the others were read.
    async fn refuse(&mut self, environments: &[CloneEnvironment]) -> Result<(), CommandError> {
        let client = &self.cluster.client;
        let namespace = self.namespace.as_deref();
        let leases = self.arguments.lease_namespace.as_deref();
        let used = obstacles::used(environments);
        let held = obstacles::held(client, leases, namespace, &used).await?;
        let left = match namespace {
            Some(namespace) => obstacles::left_behind(client, namespace, &used).await?,
            None => Vec::new(),
        };
        if self.obstacles.is_empty() {
            let open = ListParams::default().fields(OPEN);
            let open = self.api::<CloneRun>().list_metadata(&open).await;
            let open = open.map_err(|e| CommandError::kube("list open runs", &e))?;
            let begun = open.items.iter().map(place);
            let begun = begun.map(|(space, run)| format!("run {space}/{run} has just begun"));
            self.obstacles.extend(begun);
        }
        let all = [held, left, std::mem::take(&mut self.obstacles)].concat();
        match summed(&all) {
            Some(all) => Err(CommandError::Declined(format!(
                "{all}; nothing was exported"
            ))),
            None => Ok(()),
        }
    }
}

/// Namespace and name.
type Place = (String, String);

fn place(object: &impl ResourceExt) -> Place {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// A document, or why there is none.
pub(super) fn rendered(
    format: Format,
    name: &str,
    value: Result<serde_json::Value, serde_json::Error>,
) -> Result<String, CommandError> {
    let value = value.map_err(|e| CommandError::Other(format!("{name} cannot be written: {e}")))?;
    Ok(format.document(&value))
}

/// Every object, by pages: a list of all at once could be large.
pub(super) async fn pages<K>(
    api: &Api<K>,
    parameters: ListParams,
    size: u32,
    each: impl FnMut(K) -> Result<(), CommandError>,
) -> Result<(), CommandError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let list = async |page: ListParams| {
        let found = api.list(&page).await;
        let what = || format!("list {}", K::plural(&()));
        found.map_err(|e| CommandError::kube(what(), &e))
    };
    by_pages(parameters, size, list, each).await
}

/// The metadata of logs, by pages.
pub(super) async fn log_metadata(
    api: &Api<ConfigMap>,
    parameters: ListParams,
    mut each: impl FnMut(PartialObjectMeta<ConfigMap>),
) -> Result<(), CommandError> {
    let list = async |page: ListParams| {
        let found = api.list_metadata(&page).await;
        found.map_err(|e| CommandError::kube("list logs", &e))
    };
    by_pages(parameters, PAGE, list, |map| {
        each(map);
        Ok(())
    })
    .await
}
