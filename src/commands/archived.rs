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

/// How a person has named a run.
enum Named<'r> {
    /// `ENV/NUMBER`.
    Number(i64),
    /// By its name.
    Name(&'r str),
}

impl Named<'_> {
    fn is(&self, row: &ArchivedRun) -> bool {
        match self {
            Self::Number(number) => row.number == Some(*number),
            Self::Name(name) => row.name == *name,
        }
    }
}

/// The environment in whose archive the run is. An archive that cannot be read gives no hint.
async fn environment_of(cluster: &Cluster, reference: &str) -> Option<String> {
    let (candidates, named) = match reference.split_once('/') {
        Some((environment, number)) => {
            let number = number.parse().ok()?;
            (vec![environment.to_owned()], Named::Number(number))
        }
        None => (
            environments(cluster, reference).await?,
            Named::Name(reference),
        ),
    };
    for environment in candidates {
        let rows = archive::read(&cluster.client, &cluster.namespace, &environment);
        if rows
            .await
            .is_ok_and(|rows| rows.iter().any(|r| named.is(r)))
        {
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
