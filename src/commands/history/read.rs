//! Where the rows come from: run objects, and the archive of each environment.

use super::{Arguments, Row};
use crate::api::{CloneEnvironment, CloneRun};
use crate::commands::cluster::Cluster;
use crate::commands::operator_state::OperatorState;
use crate::commands::{CommandError, text};
use crate::controllers::history::archive::{self, ArchiveReadError};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use kube::{Api, ResourceExt};
use std::collections::BTreeSet;

/// Archives asked for at the same time.
const AT_ONCE: usize = 8;

/// Namespace and name of an environment.
type Place = (String, String);

/// What was read.
pub struct Known {
    /// All rows that were asked for, in no order.
    pub rows: Vec<Row>,
    /// The environments there are.
    pub environments: Vec<CloneEnvironment>,
    /// The runs there are as objects.
    pub runs: Vec<CloneRun>,
    /// The operator.
    pub operator: OperatorState,
}

/// Reads objects and archives.
pub async fn known(
    cluster: &Cluster,
    arguments: &Arguments,
    now: DateTime<Utc>,
) -> Result<Known, CommandError> {
    let wanted = |name: &str| {
        arguments.environments.is_empty() || arguments.environments.iter().any(|e| e == name)
    };
    let mut runs = runs(cluster, arguments).await?;
    runs.retain(|run| wanted(&run.spec.environment));
    let mut environments = environments(cluster, arguments).await?;
    environments.retain(|e| wanted(&e.name_any()));
    let mut rows: Vec<Row> = runs.iter().map(|run| Row::new(run, now)).collect();
    let places = places(cluster, arguments, &environments, &runs);
    let read = places.into_iter().map(|place| archived(cluster, place));
    let mut read = futures::stream::iter(read).buffer_unordered(AT_ONCE);
    // Between archive and delete a run is in both: the object is shown.
    let names: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (row.namespace.clone(), row.name.clone()))
        .collect();
    while let Some(lines) = read.next().await {
        let new = |row: &Row| !names.contains(&(row.namespace.clone(), row.name.clone()));
        rows.extend(lines.into_iter().filter(new));
    }
    for environment in &arguments.environments {
        let shown = rows.iter().any(|row| &row.environment == environment);
        if !shown && !arguments.all_namespaces {
            // Tells a wrong name from an environment that never ran.
            cluster.environment(environment).await?;
        }
    }
    Ok(Known {
        rows,
        environments,
        runs,
        operator: OperatorState::default(),
    })
}

async fn runs(cluster: &Cluster, arguments: &Arguments) -> Result<Vec<CloneRun>, CommandError> {
    if arguments.all_namespaces {
        let api: Api<CloneRun> = Api::all(cluster.client.clone());
        let list = api.list(&Default::default()).await;
        let list = list.map_err(|e| CommandError::kube("list runs of all namespaces", &e))?;
        return Ok(list.items);
    }
    match arguments.environments.as_slice() {
        [environment] => cluster.runs_of(environment).await,
        [] | [_, ..] => {
            let what = format!("list runs of namespace {}", cluster.namespace);
            let list = cluster.runs().list(&Default::default()).await;
            Ok(list.map_err(|e| CommandError::kube(what, &e))?.items)
        }
    }
}

async fn environments(
    cluster: &Cluster,
    arguments: &Arguments,
) -> Result<Vec<CloneEnvironment>, CommandError> {
    let api = match arguments.all_namespaces {
        true => Api::all(cluster.client.clone()),
        false => cluster.environments(),
    };
    let list = api.list(&Default::default()).await;
    Ok(list
        .map_err(|e| CommandError::kube("list environments", &e))?
        .items)
}

/// Environments whose archive is asked for by name, since people may get ConfigMaps and not list them: those that exist
/// and those of the runs that are shown.
fn places(
    cluster: &Cluster,
    arguments: &Arguments,
    environments: &[CloneEnvironment],
    runs: &[CloneRun],
) -> BTreeSet<Place> {
    let of_run = |run: &CloneRun| {
        let namespace = run.namespace().unwrap_or_default();
        (namespace, run.spec.environment.clone())
    };
    let existing = environments
        .iter()
        .map(|e| (e.namespace().unwrap_or_default(), e.name_any()));
    let mut places: BTreeSet<Place> = runs.iter().map(of_run).chain(existing).collect();
    if !arguments.all_namespaces {
        let named = arguments.environments.iter();
        places.extend(named.map(|name| (cluster.namespace.clone(), name.clone())));
    }
    places
}

/// The rows of an environment's archive.
///
/// # Errors
/// As [`archive::read`].
pub async fn archive_of(
    cluster: &Cluster,
    namespace: &str,
    environment: &str,
) -> Result<Vec<Row>, ArchiveReadError> {
    let lines = archive::read(&cluster.client, namespace, environment).await?;
    let row = |line| Row::archived(namespace, environment, line);
    Ok(lines.into_iter().map(row).collect())
}

/// An archive that cannot be read is said, and hides no row of an object.
async fn archived(cluster: &Cluster, (namespace, environment): Place) -> Vec<Row> {
    match archive_of(cluster, &namespace, &environment).await {
        Ok(rows) => rows,
        Err(error) => {
            let why = text::one_line(&error.to_string());
            eprintln!("older rows of {namespace}/{environment} are not shown: {why}");
            Vec::new()
        }
    }
}
