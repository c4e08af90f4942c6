//! What is said of a run that is no object any more, but a row of an archive.

use super::CommandError;
use super::cluster::Cluster;
use crate::api::CloneRun;
use crate::controllers::history::archive;
use crate::controllers::history::line::ArchivedRun;
use kube::ResourceExt;
use kube::api::ListParams;

/// The run, or why it is not there: where its row is in an archive, the error says so.
///
/// # Errors
/// As [`Cluster::run`].
pub async fn run_or_hint(cluster: &Cluster, reference: &str) -> Result<CloneRun, CommandError> {
    match cluster.run(reference).await {
        Err(CommandError::NotFound(text)) => Err(CommandError::NotFound(
            match environment_of(cluster, reference).await {
                Some(environment) => hint(cluster, reference, &environment),
                None => text,
            },
        )),
        answer => answer,
    }
}

fn hint(cluster: &Cluster, reference: &str, environment: &str) -> String {
    let namespace = &cluster.namespace;
    format!(
        "run {reference} in namespace {namespace} has gone to the archive, and its logs are deleted: `ibmi-clone -n {namespace} history {environment}` shows its row; spec.history of the environment says how many runs stay with their logs"
    )
}

/// The environment in whose archive the run is. An archive that cannot be read gives no hint.
async fn environment_of(cluster: &Cluster, reference: &str) -> Option<String> {
    let (candidates, named): (Vec<String>, Box<dyn Fn(&ArchivedRun) -> bool>) =
        match reference.split_once('/') {
            Some((environment, number)) => {
                let number: i64 = number.parse().ok()?;
                let named = move |row: &ArchivedRun| row.number == Some(number);
                (vec![environment.to_owned()], Box::new(named))
            }
            None => {
                let name = reference.to_owned();
                let named = move |row: &ArchivedRun| row.name == name;
                (environments(cluster, reference).await?, Box::new(named))
            }
        };
    for environment in candidates {
        let rows = archive::read(&cluster.client, &cluster.namespace, &environment);
        if rows.await.is_ok_and(|rows| rows.iter().any(&named)) {
            return Some(environment);
        }
    }
    None
}

/// Environments after which a run of this name may be named.
async fn environments(cluster: &Cluster, run: &str) -> Option<Vec<String>> {
    let (api, everything) = (cluster.environments(), ListParams::default());
    let all = api.list_metadata(&everything).await.ok()?;
    let names = all.iter().map(ResourceExt::name_any);
    Some(
        names
            .filter(|name| {
                let rest = run.strip_prefix(name.as_str());
                rest.is_some_and(|rest| rest.starts_with('-'))
            })
            .collect(),
    )
}
