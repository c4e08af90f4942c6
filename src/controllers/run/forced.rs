//! A person's last resort (`product.md` § 3): a deleted run is let go although something is still owed.

use super::finish::finish;
use super::status::obligation_words;
use super::store::KubeStore;
use crate::controllers::context::Context;
use crate::controllers::events::publish;
use crate::engine::journal::{Journal, ObligationKind, Phase, Verdict};
use crate::engine::ports::{JournalStore, StoreError};
use kube::ResourceExt;

/// Ends a deleted run with `forceDelete` after its obligations were tried once more, and takes its finalizer off. A resume
/// that is owed is never let go: only `resumedByHand` can meet it without the source. `false` = the run stays.
///
/// Its locks are not given back: the Leases of a vanished run are respected for a while, longer than any window.
///
/// # Errors
/// When the API server cannot be asked, or somebody changed the object meanwhile.
pub async fn let_go(
    context: &Context,
    store: &KubeStore,
    journal: &Journal,
) -> Result<bool, StoreError> {
    let Some(run) = store.last() else {
        return Ok(false);
    };
    let wanted = run.metadata.deletion_timestamp.is_some() && run.spec.force_delete == Some(true);
    if !wanted || journal.owes(ObligationKind::ResumeSource) {
        return Ok(false);
    }
    let left: Vec<String> = journal
        .open_obligations()
        .map(|o| match &o.message {
            Some(why) => format!("{} ({why})", obligation_words(o.kind)),
            None => obligation_words(o.kind).to_owned(),
        })
        .collect();
    let message = format!(
        "deleted by force; left for a person to do: {}",
        if left.is_empty() {
            "to look whether the freeze window has ended".to_owned()
        } else {
            left.join("; ")
        }
    );
    let now = context.now();
    let mut next = journal.clone();
    next.revision += 1;
    next.writer = context.config.writer.clone();
    next.phase = Phase::Failed;
    next.started_at = next.started_at.or(Some(now));
    next.finished_at = Some(now);
    next.verdict = Some(Verdict {
        phase: Phase::Failed,
        reason: "ForceDeleted".to_owned(),
        message: message.clone(),
        at: now,
    });
    store.replace(journal, &next).await?;
    tracing::error!(
        run = run.name_any(),
        namespace = run.namespace().unwrap_or_default(),
        message,
        "run let go by force"
    );
    publish(&context.recorder, &run, &store.take_events()).await;
    finish(context, &store.last().unwrap_or(run)).await?;
    Ok(true)
}
