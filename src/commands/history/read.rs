//! Where the rows come from: run objects, and the archive of each environment.

use super::{Arguments, Row};
use crate::api::CloneRun;
use crate::commands::cluster::Cluster;
use crate::commands::{CommandError, KubeFlags, text};
use crate::controllers::history::archive;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use kube::{Api, ResourceExt};
use std::collections::BTreeSet;

/// Archives asked for at the same time.
const AT_ONCE: usize = 8;

/// Namespace and name of an environment.
type Place = (String, String);

/// All rows that were asked for, in no order.
pub async fn rows(
    kube: &KubeFlags,
    arguments: &Arguments,
    now: DateTime<Utc>,
) -> Result<Vec<Row>, CommandError> {
    let cluster = kube.connect().await?;
    let runs = objects(&cluster, arguments).await?;
    let places = places(&cluster, arguments, &runs).await?;
    let mut rows: Vec<Row> = runs.iter().map(|run| Row::new(run, now)).collect();
    let read = places.into_iter().map(|place| archived(&cluster, place));
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
    if let (true, Some(environment)) = (rows.is_empty(), &arguments.environment)
        && !arguments.all_namespaces
    {
        // Tells a wrong name from an environment that never ran.
        cluster.environment(environment).await?;
    }
    Ok(rows)
}

async fn objects(cluster: &Cluster, arguments: &Arguments) -> Result<Vec<CloneRun>, CommandError> {
    if arguments.all_namespaces {
        let api: Api<CloneRun> = Api::all(cluster.client.clone());
        let list = api.list(&Default::default()).await;
        let mut runs = list
            .map_err(|e| CommandError::kube("list runs of all namespaces", &e))?
            .items;
        if let Some(environment) = &arguments.environment {
            runs.retain(|run| &run.spec.environment == environment);
        }
        return Ok(runs);
    }
    match &arguments.environment {
        Some(environment) => cluster.runs_of(environment).await,
        None => {
            let what = format!("list runs of namespace {}", cluster.namespace);
            let list = cluster.runs().list(&Default::default()).await;
            Ok(list.map_err(|e| CommandError::kube(what, &e))?.items)
        }
    }
}

/// Environments whose archive is asked for by name, since people may get ConfigMaps and not list them: those that exist
/// and those of the runs that are shown.
async fn places(
    cluster: &Cluster,
    arguments: &Arguments,
    runs: &[CloneRun],
) -> Result<BTreeSet<Place>, CommandError> {
    if let (Some(environment), false) = (&arguments.environment, arguments.all_namespaces) {
        return Ok([(cluster.namespace.clone(), environment.clone())].into());
    }
    let of_run = |run: &CloneRun| {
        let namespace = run.namespace().unwrap_or_default();
        (namespace, run.spec.environment.clone())
    };
    let mut places: BTreeSet<Place> = runs.iter().map(of_run).collect();
    let api = if arguments.all_namespaces {
        Api::all(cluster.client.clone())
    } else {
        cluster.environments()
    };
    let found = api.list_metadata(&Default::default()).await;
    let found = found.map_err(|e| CommandError::kube("list environments", &e))?;
    places.extend(
        found
            .iter()
            .map(|e| (e.namespace().unwrap_or_default(), e.name_any()))
            .filter(|(_, name)| arguments.environment.as_ref().is_none_or(|e| e == name)),
    );
    Ok(places)
}

/// An archive that cannot be read is said, and hides no row of an object.
async fn archived(cluster: &Cluster, (namespace, environment): Place) -> Vec<Row> {
    match archive::read(&cluster.client, &namespace, &environment).await {
        Ok(lines) => lines
            .into_iter()
            .map(|line| Row::archived(&namespace, &environment, line))
            .collect(),
        Err(error) => {
            let why = text::one_line(&error.to_string());
            eprintln!("older rows of {namespace}/{environment} are not shown: {why}");
            Vec::new()
        }
    }
}
