//! Partitions at the console: the right ones, and never production as the clone.

use super::{Finding, GUEST_KIT, Level, SiteReport};
use crate::recipe::plan::{Plan, identity_text};
use crate::recipe::steps::gate::{judge_clone, state_word};
use crate::recipe::steps::power::migration_allows;
use crate::site::{DeviceError, Identity, PartitionState, PartitionStatus, Site};

/// What the console said.
pub(super) struct Seen {
    clone: Result<PartitionStatus, DeviceError>,
    source: Result<PartitionStatus, DeviceError>,
    profiles: Result<Vec<String>, DeviceError>,
}

impl Seen {
    pub(super) async fn read(site: &Site) -> Self {
        let (clone, source, profiles) = futures::join!(
            site.clone_partition.status(),
            site.source_partition.status(),
            site.clone_partition.profiles(),
        );
        Self {
            clone,
            source,
            profiles,
        }
    }

    /// The console's pair of the source.
    pub(super) fn source_identity(&self) -> Option<Identity> {
        self.source.as_ref().ok().map(|s| s.identity.clone())
    }
}

pub(super) fn judge(seen: Seen, plan: &Plan, report: &mut SiteReport) {
    let source = match seen.source {
        Err(DeviceError::Refused { code, text, .. }) if !plan.source_identities.is_empty() => {
            report.add(Finding::new(
                Level::Warning,
                "SourceNotAtConsole",
                format!(
                    "no console shows source {} ({code} {text}): clone and production are told apart by serial number and partition id only",
                    plan.source_label()
                ),
            ));
            None
        }
        other => known(other, "source.partition", report),
    };
    if let Some(source) = &source {
        judge_source(source, plan, report);
    }
    if let Some(clone) = known(seen.clone, "clone.partition", report) {
        judge_the_clone(&clone, source.as_ref(), plan, report);
    }
    if let Some(profiles) = report.take(seen.profiles) {
        judge_profile(&profiles, plan, report);
    }
}

/// The answer; a name the console does not know is said with the field that has it.
fn known(
    answer: Result<PartitionStatus, DeviceError>,
    field: &str,
    report: &mut SiteReport,
) -> Option<PartitionStatus> {
    if let Err(error) = &answer
        && error.code() == Some("PartitionUnknown")
    {
        let text = format!("{error}: correct {field}");
        report.add(Finding::fatal("PartitionUnknown", text));
        return None;
    }
    report.take(answer)
}

fn judge_source(source: &PartitionStatus, plan: &Plan, report: &mut SiteReport) {
    report.facts.source_uuid = Some(source.uuid.clone());
    let label = plan.source_label();
    if !source.is_ibm_i {
        report.add(not_ibm_i("source.partition", &label));
    }
    if let Some(pin) = plan
        .pins
        .source_partition
        .as_ref()
        .filter(|p| **p != source.uuid)
    {
        report.add(Finding::fatal(
            "PinnedPartitionChanged",
            format!("source {label} has UUID {}, pinned is {pin}: if it was re-created on purpose, remove annotation ibmiclone.dev/pins from the environment", source.uuid),
        ));
    }
    let known = &plan.source_identities;
    if !known.is_empty() && !known.contains(&source.identity) {
        report.add(
            Finding::fatal(
                "IdentityChanged",
                format!(
                    "the console shows source {label} as {}, which is not in source.identities: if production has moved there, add serialNumber and partitionId to source.identities and CALL IBMICLONE/ISPROD on it",
                    identity_text(&source.identity)
                ),
            )
            .about(GUEST_KIT),
        );
    }
}

fn judge_the_clone(
    clone: &PartitionStatus,
    source: Option<&PartitionStatus>,
    plan: &Plan,
    report: &mut SiteReport,
) {
    report.facts.clone_uuid = Some(clone.uuid.clone());
    report.facts.clone_identity = Some(clone.identity.clone());
    report.facts.clone_state = Some(state_word(&clone.state).to_owned());
    report.facts.reference_code = Some(clone.reference_code.clone());
    let label = plan.clone_label();
    if let Err(failure) = judge_clone(clone, source, plan) {
        report.add(Finding::fatal(failure.reason, failure.message));
    }
    if source.is_some_and(|s| s.identity == clone.identity) {
        report.add(Finding::fatal(
            "CloneIsProduction",
            format!("clone {label} and the source have the same serial number and partition id: correct clone.partition"),
        ));
    }
    if !clone.is_ibm_i {
        report.add(not_ibm_i("clone.partition", &label));
    }
    if !migration_allows(&clone.migration_state) {
        report.add(Finding::fatal(
            "CloneMigrating",
            format!(
                "clone {label} is in migration state {}: finish or recover the migration first",
                clone.migration_state
            ),
        ));
    }
    match &clone.state {
        PartitionState::Error | PartitionState::NotAvailable => report.add(Finding::new(
            Level::Warning,
            "CloneUnwell",
            format!("the console shows clone {label} as {}: it cannot be proved off like that; look at it there", state_word(&clone.state)),
        )),
        PartitionState::NotActivated
        | PartitionState::Starting
        | PartitionState::Running
        | PartitionState::ShuttingDown
        | PartitionState::Other(_) => {}
    }
}

fn judge_profile(profiles: &[String], plan: &Plan, report: &mut SiteReport) {
    if !plan.starts_clone() {
        return;
    }
    let label = plan.clone_label();
    match &plan.profile {
        Some(wanted) if !profiles.contains(wanted) => report.add(Finding::fatal(
            "ProfileUnknown",
            format!(
                "clone {label} has no profile {wanted}; it has {}: correct clone.partition.profile",
                profiles.join(", ")
            ),
        )),
        None if profiles.is_empty() => report.add(Finding::fatal(
            "ProfileUnknown",
            format!(
                "clone {label} has no profile at the console: create one, an activation needs it"
            ),
        )),
        Some(_) | None => {}
    }
}

fn not_ibm_i(field: &str, label: &str) -> Finding {
    Finding::fatal(
        "NotIbmI",
        format!("partition {label} is not an IBM i partition: correct {field}"),
    )
}
