//! The image of a run as its row names it, and when the operator is to end it.

use super::order;
use crate::api::run::{CloneRunStatus, RunImage};
use crate::api::surroundings::OnFailure;
use crate::engine::journal::{EntryState, Journal, Phase};
use crate::recipe::steps::job_may_run;
use crate::recipe::{END_OF_IMAGE, image_mark};

/// Only a clean image is worth a name. A final row has dropped what proves it, and keeps what was written with it.
pub(super) fn put_image(status: &mut CloneRunStatus, journal: &Journal) {
    let copied = journal
        .entry("start-copy")
        .filter(|e| e.state == EntryState::Done);
    if ended_its_image(journal) {
        status.image = None;
        return;
    }
    let (true, Some(entry)) = (journal.image_clean(), copied) else {
        return;
    };
    let Some(mark) = entry.output.get("started") else {
        return;
    };
    status.image = Some(RunImage {
        target_set: target_set(status),
        mark: image_mark(mark),
        taken_at: entry.end,
        end_after_seconds: end_after(status, journal),
    });
}

/// When the operator ends the image of a run that is over: after a success, and after a failure where `onFailure` says
/// so, unless a job on the clone may still be running.
fn end_after(status: &CloneRunStatus, journal: &Journal) -> Option<i64> {
    let after = &order::frozen(status)?.after;
    let ends = match (journal.phase, after.on_failure) {
        (Phase::Succeeded | Phase::Warning, _) => true,
        (Phase::Failed, OnFailure::Apply) => !job_may_run(journal),
        (Phase::Failed, OnFailure::Keep)
        | (
            Phase::Pending
            | Phase::Queued
            | Phase::Running
            | Phase::Cancelling
            | Phase::Cancelled
            | Phase::Skipped,
            _,
        ) => false,
    };
    (ends && after.end_after_seconds > 0).then(|| i64::from(after.end_after_seconds))
}

/// `ARRAY/GROUP` of the frozen environment.
fn target_set(status: &CloneRunStatus) -> String {
    let storage = order::frozen(status).map(|spec| &spec.storage);
    let groups = storage.and_then(|s| Some(&s.spectrum_virtualize.as_ref()?.consistency_groups));
    let Some(groups) = groups else {
        return String::new();
    };
    let array = order::pins(status).array.unwrap_or_default();
    let group = groups.first().cloned().unwrap_or_default();
    format!("{array}/{group}")
}

/// Whether the run has ended its own image (`after.image: End`).
pub(super) fn ended_its_image(journal: &Journal) -> bool {
    let ended = journal.entry(END_OF_IMAGE);
    ended.is_some_and(|e| e.state == EntryState::Done)
}
