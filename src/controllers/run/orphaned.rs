//! A run that waits in a queue while its environment is deleted, or deleted and created again: nothing was done yet and
//! nobody wants it any more. From the first effect on a run goes to its end, whatever happens to its environment
//! (`product.md` § 7.8).

use super::store::call;
use crate::controllers::context::Context;
use crate::engine::journal::{EntryState, Journal, Phase};
use crate::engine::ports::StoreError;
use kube::ResourceExt;

/// Why a queued run is not wanted any more, if so.
///
/// # Errors
/// When the API server cannot be asked: the run waits on.
pub async fn unwanted(
    context: &Context,
    namespace: &str,
    environment: &str,
    opened_for: &str,
    journal: &Journal,
) -> Result<Option<String>, StoreError> {
    if !only_waits(journal) {
        return Ok(None);
    }
    let api = context.environments(namespace);
    // Metadata only: one that cannot be read is there all the same.
    let found = call(api.get_metadata_opt(environment)).await?;
    let same = |uid: Option<String>| uid.as_deref() == Some(opened_for);
    let what = match found {
        Some(found) if same(found.uid()) && found.metadata.deletion_timestamp.is_none() => {
            return Ok(None);
        }
        Some(found) if same(found.uid()) => "is being deleted",
        Some(_) => "was deleted and created again",
        None => "was deleted",
    };
    Ok(Some(format!(
        "CloneEnvironment {environment} {what} while this run was queued; nothing was done"
    )))
}

/// Queued, nothing owed, no effect sent.
fn only_waits(journal: &Journal) -> bool {
    let sent = |state| match state {
        EntryState::Intended | EntryState::Failed => true,
        EntryState::Pending | EntryState::Done | EntryState::Skipped => false,
    };
    journal.phase == Phase::Queued
        && journal.verdict.is_none()
        && journal.owed_nothing()
        && !journal.window_open()
        && !journal.steps.iter().any(|e| sent(e.state))
}
