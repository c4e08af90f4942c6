//! What several steps must ask before they act: is this really the clone, is it off, may the effect be sent again?

use crate::api::run::RunMode;
use crate::engine::journal::{Entry, Facts, Journal};
use crate::engine::step::{Failure, Observation, StepContext};
use crate::engine::time::Timestamp;
use crate::recipe::image;
use crate::recipe::plan::{Mapping, Plan};
use crate::site::{
    DeviceError, Identity, PartitionState, PartitionStatus, ProofError, ProvenClone, ProvenSource,
    Site, Uid, VirtualIoState,
};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::time::Duration;

/// Why a device may not be touched.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It could not be asked.
    Device(DeviceError),
    /// It was asked, and the answer forbids the step.
    Failure(Failure),
}

impl From<DeviceError> for Stop {
    fn from(error: DeviceError) -> Self {
        Stop::Device(error)
    }
}

impl From<ProofError> for Stop {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Device(error) => Stop::Device(error),
            stranger @ (ProofError::IsProduction { .. } | ProofError::Stranger { .. }) => {
                Stop::Failure(Failure::new(
                    identity_reason(&stranger),
                    stranger.to_string(),
                ))
            }
        }
    }
}

impl Stop {
    /// As an observation.
    pub(super) fn observed(self, again: Duration) -> Observation {
        match self {
            Stop::Device(error) => Observation::from_error(&error, again),
            Stop::Failure(failure) => Observation::Broken(failure),
        }
    }

    /// As the answer of an act: nothing was sent.
    pub(crate) fn refused(self) -> DeviceError {
        match self {
            Stop::Device(error) => error,
            Stop::Failure(f) => DeviceError::refused("the operator", f.reason, f.message),
        }
    }
}

fn identity_reason(error: &ProofError) -> &'static str {
    match error {
        ProofError::IsProduction { .. } => "CloneIsProduction",
        ProofError::Stranger { .. } => "IdentityUnexpected",
        ProofError::Device(_) => "DeviceRefused",
    }
}

/// Whether the partition that the console offers as the clone may be switched: it must be no one's production
/// (`product.md` § 7.2). `source` is `None` where the console does not show the source; then only serial and partition
/// id can be compared.
pub(crate) fn judge_clone(
    clone: &PartitionStatus,
    source: Option<&PartitionStatus>,
    plan: &Plan,
) -> Result<(), Failure> {
    let production = source.is_some_and(|s| s.uuid == clone.uuid)
        || plan.pins.source_partition.as_ref() == Some(&clone.uuid)
        || plan.pinned_sources.contains(&clone.uuid)
        || plan.source_identities.contains(&clone.identity);
    if production {
        return Err(Failure::new(
            "CloneIsProduction",
            format!(
                "partition {} ({}, UUID {}) is a source of an environment; it is never switched or overwritten: name another partition in clone.partition",
                plan.clone_label(),
                clone.identity,
                clone.uuid
            ),
        ));
    }
    match &plan.pins.clone_partition {
        Some(pin) if pin != &clone.uuid => Err(Failure::new(
            "PinnedPartitionChanged",
            format!(
                "partition {} has UUID {}, pinned is {pin}: if it was re-created on purpose, remove annotation ibmiclone.dev/pins from the environment",
                plan.clone_label(),
                clone.uuid
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// Reads clone and source at the console and compares them, before anything is sent to the clone's partition.
pub(super) async fn clone_for_power(site: &Site, plan: &Plan) -> Result<PartitionStatus, Stop> {
    let clone = site.clone_partition.status().await?;
    let source = match site.source_partition.status().await {
        Ok(status) => Some(status),
        // The console answered that it has no such partition: the comparison by identity remains.
        Err(DeviceError::Refused { .. }) if !plan.source_identities.is_empty() => None,
        // After a disaster its console may be gone with it: pinned UUID and identities remain.
        Err(_) if plan.source_is_down && knows_source(plan) => None,
        Err(error) => return Err(error.into()),
    };
    judge_clone(&clone, source.as_ref(), plan).map_err(Stop::Failure)?;
    Ok(clone)
}

fn knows_source(plan: &Plan) -> bool {
    plan.pins.source_partition.is_some() && !plan.source_identities.is_empty()
}

/// Whether this run has to have the clone switched off while its volumes change: always when it starts the clone or maps
/// to it later, and always while volumes stay mapped. A HOLD on unmapped volumes does not care what the partition does.
fn needs_clone_off(plan: &Plan) -> bool {
    plan.uses_clone() || plan.keep_mappings
}

/// Proves that nothing can write to the targets. `mapped` = a target is mapped to the clone now.
pub(super) async fn clone_off(site: &Site, plan: &Plan, mapped: bool) -> Result<(), Stop> {
    if !mapped && !needs_clone_off(plan) {
        return Ok(());
    }
    let clone = site.clone_partition.status().await?;
    match &clone.state {
        PartitionState::NotActivated => Ok(()),
        state @ (PartitionState::Starting
        | PartitionState::Running
        | PartitionState::ShuttingDown) => Err(Stop::Failure(Failure::new(
            "CloneStartedByOthers",
            format!(
                "clone {} is {} although this run has switched it off: somebody else switched it on; switch it off and run again",
                plan.clone_label(),
                state_word(state)
            ),
        ))),
        // Neither on nor off: nothing is sent until the console can tell.
        state @ (PartitionState::Error
        | PartitionState::NotAvailable
        | PartitionState::Other(_)) => Err(Stop::Device(DeviceError::busy(
            "the console",
            format!(
                "clone {} is shown as {}, so it cannot be proved off",
                plan.clone_label(),
                state_word(state)
            ),
        ))),
    }
}

/// The console's word.
pub(crate) fn state_word(state: &PartitionState) -> &str {
    match state {
        PartitionState::NotActivated => "not activated",
        PartitionState::Starting => "starting",
        PartitionState::Running => "running",
        PartitionState::ShuttingDown => "shutting down",
        PartitionState::Error => "in error",
        PartitionState::NotAvailable => "not available",
        PartitionState::Other(word) => word,
    }
}

/// The console's pair for the clone, read now, and the proof that the clone answers.
pub(in crate::recipe) async fn prove_clone(
    site: &Site,
    plan: &Plan,
    clone: &Identity,
) -> Result<ProvenClone, ProofError> {
    site.clone.prove(clone, &plan.source_identities).await
}

/// The proof that production answers.
pub(crate) async fn prove_source(site: &Site, plan: &Plan) -> Result<ProvenSource, Stop> {
    Ok(site.source.prove(&plan.source_identities).await?)
}

/// A fact of the step that looked at the site first: verify-site, or verify-image of a run about another run's image.
pub(crate) fn seen<'j>(journal: &'j Journal, key: &str) -> Option<&'j str> {
    let of = |step| journal.output(step, key);
    of("verify-site").or_else(|| of("verify-image"))
}

/// A run about another run's image acts only while the array shows that image; every other run is not asked.
pub(super) async fn image_unchanged(site: &Site, plan: &Plan) -> Result<(), Stop> {
    if plan.image.is_none() {
        return Ok(());
    }
    let state = site.copy.observe().await?;
    image::still_on_array(&state, plan).map_err(Stop::Failure)
}

/// Two systems with production's name and data must not run: a held image is started only while production's partition
/// is off, or a person says that it is down.
pub(super) async fn source_allows_start(site: &Site, plan: &Plan) -> Result<(), Stop> {
    if plan.mode != RunMode::StartHeld || plan.source_is_down {
        return Ok(());
    }
    let source = plan.source_label();
    let say = "if production is really down, create the run with sourceIsDown: true (`start-held RUN --source-is-down`)";
    match site.source_partition.status().await {
        Ok(status) if status.state == PartitionState::NotActivated => Ok(()),
        Ok(status) => Err(Stop::Failure(Failure::new(
            "SourceRunning",
            format!(
                "the console shows source {source} as {}: switch it off first; {say}",
                state_word(&status.state)
            ),
        ))),
        Err(error @ DeviceError::Refused { .. }) => Err(Stop::Failure(Failure::new(
            "SourceNotSeen",
            format!("the console does not show source {source} ({error}): {say}"),
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Targets of this run, as the first step found them: the set does not change under way.
pub(super) fn targets(context: &StepContext<'_>) -> Result<Vec<Uid>, Stop> {
    match seen(context.journal, "targets") {
        Some(text) if !text.is_empty() => Ok(text.split(',').map(Uid::new).collect()),
        Some(_) | None => Err(Stop::Failure(Failure::new(
            "JournalIncomplete",
            "the journal holds no output of the first step, so the volumes of this run are not known: start a new run",
        ))),
    }
}

/// Time since the step began.
pub(in crate::recipe) fn elapsed(entry: &Entry, now: DateTime<Utc>) -> Duration {
    entry
        .start
        .and_then(|start| (now - start.utc()).to_std().ok())
        .unwrap_or_default()
}

/// Whether no effect of this step has been sent. An intent alone proves nothing: it is also written while a device does
/// not answer the first look.
pub(in crate::recipe) fn unsent(entry: &Entry) -> bool {
    entry.attempts == 0
}

/// Baseline fact of every step with an effect: our time just before the first intent.
const SENT_AT: &str = "sentAt";

/// The baseline of a step that compares nothing of the device: when its effect was first sent.
pub(super) fn stamp(now: DateTime<Utc>) -> Facts {
    facts([(SENT_AT, instant(now))])
}

/// Handle of an effect that was accepted: what the device gave, and when it was sent.
pub(super) fn handle(given: &str, now: DateTime<Utc>) -> String {
    format!("{given}@{}", instant(now))
}

/// What the device gave with the last accepted effect.
pub(in crate::recipe) fn given(entry: &Entry) -> Option<&str> {
    let (given, _) = entry.handle.as_deref()?.rsplit_once('@')?;
    (!given.is_empty()).then_some(given)
}

fn instant(time: DateTime<Utc>) -> String {
    Timestamp::new(time).to_string()
}

/// When the effect was first sent: the time of the baseline.
pub(super) fn first_sent(entry: &Entry) -> Option<DateTime<Utc>> {
    read(entry.baseline.get(SENT_AT)?)
}

fn read(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|t| t.to_utc())
}

/// After a try whose effect cannot be seen, the next one has to wait: `spacing` after an accepted one; after tries whose
/// answers were lost or that never got out, `spacing` for each of them since the first.
pub(super) fn retry_gate(
    entry: &Entry,
    now: DateTime<Utc>,
    spacing: Duration,
    poll: Duration,
    message: impl FnOnce() -> String,
) -> Observation {
    if unsent(entry) {
        return Observation::Absent;
    }
    let accepted = entry
        .handle
        .as_deref()
        .and_then(|h| h.rsplit_once('@'))
        .and_then(|(_, time)| read(time));
    let first = first_sent(entry);
    let (since, tries) = match accepted {
        Some(time) => (Some(time), 1),
        None => (first.or(entry.start.map(Timestamp::utc)), entry.attempts),
    };
    let passed = since
        .and_then(|then| (now - then).to_std().ok())
        .unwrap_or_default();
    let until = spacing.saturating_mul(u32::try_from(tries).unwrap_or(1));
    match until.checked_sub(passed) {
        Some(rest) if !rest.is_zero() => Observation::underway(rest.min(poll), message()),
        Some(_) | None => Observation::Absent,
    }
}

/// A volume in the hands of somebody else, or twice on one VIOS: never ours to touch (`product.md` § 4 rows 4, 11).
pub(crate) fn volume_conflict(state: &VirtualIoState, mapping: Mapping) -> Option<Failure> {
    for path in &state.paths {
        if let Some(other) = path.mapped_elsewhere.first() {
            let text = match mapping {
                Mapping::Vscsi => format!(
                    "VIOS {}: volume {} is mapped to {other}, which is not an adapter of the clone: remove that map, or take the volume out of the group",
                    path.vios, path.uid
                ),
                Mapping::Npiv => format!(
                    "volume {} is mapped to host {other} of the array, which does not hold the clone's ports: whoever is behind it would see the image; remove that mapping (rmvdiskhostmap), or take the volume out of the group",
                    path.uid
                ),
            };
            return Some(Failure::new("VolumeMappedElsewhere", text));
        }
        if path.disks.len() > 1 {
            return Some(Failure::new(
                "DiskTwice",
                format!(
                    "VIOS {}: volume {} appears as {}: remove the stale disk with rmdev and check multipathing",
                    path.vios,
                    path.uid,
                    path.disks.join(" and ")
                ),
            ));
        }
    }
    None
}

/// `2 on VIOS1, 2 on VIOS2`.
pub(super) fn per_vios<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let parts: Vec<String> = counts.iter().map(|(v, n)| format!("{n} on {v}")).collect();
    parts.join(", ")
}

/// Facts from pairs.
pub(super) fn facts<const N: usize>(pairs: [(&str, String); N]) -> Facts {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}
