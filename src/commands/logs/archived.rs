//! A run that is no object any more: the archive of its environment tells when it was, and where its logs may still be.

use crate::api::CloneEnvironment;
use crate::commands::CommandError;
use crate::commands::cluster::Cluster;
use crate::controllers::history::archive;
use crate::controllers::history::line::ArchivedRun;
use kube::ResourceExt;

/// Archives looked into for a run that is named without its environment.
const MOST: usize = 20;

/// What to say of a run that is not found. Whatever cannot be asked leaves the bare answer.
pub async fn hint(cluster: &Cluster, reference: &str, not_found: String) -> CommandError {
    let environments = cluster.environments().list(&Default::default()).await;
    let environments = environments.map(|list| list.items).unwrap_or_default();
    let may_be = |environment: &&CloneEnvironment| match reference.split_once('/') {
        Some((name, _)) => environment.name_any() == name,
        None => reference.starts_with(&environment.name_any()),
    };
    for environment in environments.iter().filter(may_be).take(MOST) {
        let name = environment.name_any();
        let rows = archive::read(&cluster.client, &cluster.namespace, &name).await;
        let rows = rows.unwrap_or_default();
        if let Some(row) = rows.iter().rev().find(|row| is(row, reference)) {
            return CommandError::NotFound(words(row, environment));
        }
    }
    CommandError::NotFound(not_found)
}

fn is(row: &ArchivedRun, reference: &str) -> bool {
    match reference.split_once('/') {
        Some((_, number)) => row.number.map(|n| n.to_string()).as_deref() == Some(number),
        None => row.name == reference,
    }
}

fn words(row: &ArchivedRun, environment: &CloneEnvironment) -> String {
    let name = environment.name_any();
    let number = row.number.map_or("-".to_owned(), |n| n.to_string());
    let started = row.started.as_deref().unwrap_or("an unknown time");
    let on_source = match &environment.spec.logs.on_source {
        Some(there) => format!(
            "copies on production in {} are kept for {} days",
            there.directory, there.retain_days
        ),
        None => "with logs.onSource copies would be kept on production".to_owned(),
    };
    format!(
        "run {} ({name}/{number}, started {started}) is only a line of the archive: its logs went with it (`ibmi-clone history {name}` shows the row); {on_source}",
        row.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CloneRun;
    use crate::api::run::CloneRunStatus;
    use crate::commands::samples;
    use crate::engine::journal::Phase;

    fn row() -> ArchivedRun {
        let mut run: CloneRun = samples::run("nightly-user-x");
        run.status = Some(CloneRunStatus {
            phase: Phase::Succeeded,
            number: Some(12),
            ..CloneRunStatus::default()
        });
        ArchivedRun::of(&run).expect("is final")
    }

    #[test]
    fn an_archived_run_is_found_by_name_and_by_number() {
        let row = row();
        assert!(is(&row, "nightly-user/12") && is(&row, "nightly-user-x"));
        assert!(!is(&row, "nightly-user/1") && !is(&row, "nightly-user"));
        let said = words(&row, &samples::environment());
        assert!(
            said.contains("nightly-user/12") && said.contains("archive"),
            "{said}"
        );
    }
}
