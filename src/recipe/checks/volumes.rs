//! Volumes: what production uses, found from outside, must be exactly what the group copies, onto targets that nobody
//! else uses (`product.md` § 7.3).

use super::{Finding, Level, SeenImage, SiteReport, VOLUME_DRIFT};
use crate::api::devices::CopyKind;
use crate::recipe::image::image_mark;
use crate::recipe::plan::Plan;
use crate::site::{Attachment, CopyPair, CopyPhase, DeviceError, Inventory, Site, Uid, Volume};
use std::collections::{BTreeMap, BTreeSet};

/// What array and VIOSes said.
pub(super) struct Group {
    inventory: Result<Inventory, DeviceError>,
    source: Result<SourceVolumes, DeviceError>,
    image: Result<Option<SeenImage>, DeviceError>,
}

/// Production's storage, seen from outside.
#[derive(Debug, Default)]
pub(super) struct SourceVolumes {
    uids: BTreeSet<Uid>,
    /// `VIOS/disk` without a readable identity.
    nameless: Vec<String>,
}

impl Group {
    pub(super) async fn read(site: &Site) -> Self {
        let (inventory, source) = futures::join!(site.copy.inventory(), source_volumes(site));
        let image = match &inventory {
            Ok(inventory) if may_hold_image(inventory.phase) => image(site).await,
            Ok(_) | Err(_) => Ok(None),
        };
        Self {
            inventory,
            source,
            image,
        }
    }
}

fn may_hold_image(phase: CopyPhase) -> bool {
    match phase {
        CopyPhase::Copying | CopyPhase::Idle => true,
        CopyPhase::Empty
        | CopyPhase::Preparing
        | CopyPhase::Prepared
        | CopyPhase::Stopping
        | CopyPhase::Stopped
        | CopyPhase::Suspended => false,
    }
}

/// Whose image it is and how it grows. An array that cannot tell the space used is no reason not to run.
async fn image(site: &Site) -> Result<Option<SeenImage>, DeviceError> {
    let state = site.copy.observe().await?;
    if !state.exists() {
        return Ok(None);
    }
    let usage = match site.copy.usage().await {
        Ok(usage) => Some(usage),
        Err(DeviceError::Refused { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(Some(SeenImage {
        mark: image_mark(&state.mark()),
        progress: usage.as_ref().map_or(state.progress, |u| u.progress),
        disk_used_percent: usage.and_then(|u| u.disk_used_percent),
    }))
}

async fn source_volumes(site: &Site) -> Result<SourceVolumes, DeviceError> {
    let mut found = SourceVolumes::default();
    let mut ports = Vec::new();
    for attachment in site.source_partition.attachments().await? {
        match attachment {
            Attachment::Volume { uid: Some(uid), .. } => {
                found.uids.insert(uid);
            }
            Attachment::Volume {
                vios,
                uid: None,
                disk,
            } => {
                found.nameless.push(format!("{vios}/{disk}"));
            }
            Attachment::Ports(wwpns) => ports.extend(wwpns),
        }
    }
    if !ports.is_empty() {
        // The array knows which volumes a client adapter with these names can reach.
        let behind = site.copy.volumes_of_ports(&ports).await?;
        found.uids.extend(behind.into_iter().map(|v| v.uid));
    }
    Ok(found)
}

pub(super) fn judge(group: Group, plan: &Plan, report: &mut SiteReport) {
    let source = report.take(group.source);
    let Some(inventory) = report.take(group.inventory) else {
        return;
    };
    remember(&inventory, report);
    report.facts.image = report.take(group.image).flatten();
    judge_array(plan, report);
    judge_group(&inventory, plan, report);
    judge_pool(&inventory, plan, report);
    for pair in &inventory.pairs {
        judge_pair(pair, plan, report);
    }
    judge_doubles(&inventory, plan, report);
    if let Some(source) = source {
        judge_drift(&inventory, &source, plan, report);
        report.facts.source_volumes = source.uids.into_iter().collect();
    }
}

fn remember(inventory: &Inventory, report: &mut SiteReport) {
    let facts = &mut report.facts;
    facts.targets = inventory
        .pairs
        .iter()
        .map(|p| p.target.uid.clone())
        .collect();
    facts.phase = Some(inventory.phase);
    facts.copy_progress = inventory.pairs.iter().map(|p| p.progress).min();
    facts.pool_fill = inventory.pool_fill.clone();
    facts.storage_level = Some(inventory.level.clone());
    facts.array = Some(inventory.system.clone()).filter(|id| !id.is_empty());
}

/// The lock of a target set is named after its array: two environments that reach it by different addresses must meet.
fn judge_array(plan: &Plan, report: &mut SiteReport) {
    let Some(found) = report.facts.array.clone() else {
        report.add(Finding::fatal(
            "ArrayUnknown",
            "the array does not tell its own identity (id of lssystem), by which its target sets are locked: give the user a role that may read it (Monitor or CopyOperator)",
        ));
        return;
    };
    if let Some(pinned) = plan.pins.array.as_ref().filter(|pinned| **pinned != found) {
        report.add(Finding::fatal(
            "PinnedArrayChanged",
            format!("storage.spectrumVirtualize.endpoint leads to array {found}, this environment was verified with array {pinned}: correct the address; if the array was replaced, remove arraySystem from the annotation ibmiclone.dev/pins"),
        ));
    }
}

fn judge_group(inventory: &Inventory, plan: &Plan, report: &mut SiteReport) {
    let group = &plan.copy_group;
    match inventory.phase {
        CopyPhase::Empty => report.add(group_empty(group)),
        CopyPhase::Suspended => report.add(Finding::fatal(
            "CopySuspended",
            format!("consistency group {group} is suspended, it lost access to its bitmap or storage: repair the array, then stop the group by hand"),
        )),
        CopyPhase::Preparing | CopyPhase::Prepared => report.add(Finding::new(
            Level::Warning,
            "GroupPrepared",
            format!("consistency group {group} is armed: production writes through meanwhile; unless a run is under way, stop it (the next run does)"),
        )),
        CopyPhase::Idle | CopyPhase::Copying | CopyPhase::Stopping | CopyPhase::Stopped => {
            if inventory.pairs.is_empty() {
                report.add(group_empty(group));
            }
        }
    }
}

fn group_empty(group: &str) -> Finding {
    Finding::fatal(
        "GroupEmpty",
        format!(
            "consistency group {group} has no map: create one map per volume of production in it"
        ),
    )
}

fn judge_pool(inventory: &Inventory, plan: &Plan, report: &mut SiteReport) {
    let Some((pool, fill)) = &inventory.pool_fill else {
        return;
    };
    if *fill > plan.alarm_percent {
        report.add(Finding::fatal(
            "PoolAlarm",
            format!("pool {pool} is {fill} % full, above alarmPercent {}: a full pool takes production's copies or worse offline; free space now, no run starts", plan.alarm_percent),
        ));
    } else if *fill > plan.refuse_above_percent {
        report.add(Finding::fatal(
            "PoolFull",
            format!("pool {pool} is {fill} % full, above refuseAbovePercent {}: no run starts; end images that are not needed, or add capacity", plan.refuse_above_percent),
        ));
    }
}

fn judge_pair(pair: &CopyPair, plan: &Plan, report: &mut SiteReport) {
    let map = &pair.name;
    let mut fatal = |reason, message: String| report.add(Finding::fatal(reason, message));
    if pair.phase == CopyPhase::Suspended {
        fatal(
            "CopySuspended",
            format!(
                "map {map} is suspended, it lost access to its bitmap or storage: repair the array, then stop the group by hand"
            ),
        );
    }
    if pair.auto_delete {
        fatal(
            "MapDeletesItself",
            format!(
                "map {map} has autodelete on: it would vanish with the first full copy; set chfcmap -autodelete off"
            ),
        );
    }
    if pair.remote_controlled {
        fatal(
            "MapOfRemoteCopy",
            format!(
                "map {map} belongs to remote copy and is never touched: take it out of consistency group {}",
                plan.copy_group
            ),
        );
    }
    match (plan.copy_kind, pair.copy_rate) {
        (CopyKind::SpaceEfficient, 0) | (CopyKind::Full, 1..) => {}
        (CopyKind::SpaceEfficient, rate) => fatal(
            "CopyRateContradicts",
            format!(
                "map {map} has copy rate {rate}, but copy.kind SpaceEfficient needs 0: set chfcmap -copyrate 0, or copy.kind Full"
            ),
        ),
        (CopyKind::Full, 0) => fatal(
            "CopyRateContradicts",
            format!(
                "map {map} has copy rate 0, but copy.kind Full needs more: set chfcmap -copyrate, or copy.kind SpaceEfficient"
            ),
        ),
    }
    if pair.source.capacity_bytes != pair.target.capacity_bytes {
        fatal(
            "SizesDiffer",
            format!(
                "map {map}: source {} has {} bytes, target {} has {}: they must be equal",
                pair.source.name,
                pair.source.capacity_bytes,
                pair.target.name,
                pair.target.capacity_bytes
            ),
        );
    }
    if !pair.target_is_source_of.is_empty() {
        fatal(
            "TargetIsSource",
            format!(
                "target {} of map {map} is itself the source of {}: it would be overwritten under that copy; use another target",
                pair.target.name,
                pair.target_is_source_of.join(", ")
            ),
        );
    }
    if pair.source.status.eq_ignore_ascii_case("offline") {
        fatal(
            "SourceVolumeOffline",
            format!(
                "map {map}: volume {} of production is offline at the array: repair it first",
                volume(&pair.source)
            ),
        );
    }
}

/// A volume twice in the group, or on both sides of it.
fn judge_doubles(inventory: &Inventory, plan: &Plan, report: &mut SiteReport) {
    let sources: BTreeSet<&Uid> = inventory.pairs.iter().map(|p| &p.source.uid).collect();
    let mut seen: BTreeMap<&Uid, &str> = BTreeMap::new();
    for pair in &inventory.pairs {
        if let Some(other) = seen.insert(&pair.source.uid, &pair.name) {
            report.add(Finding::fatal(
                "SourceTwice",
                format!("maps {other} and {} of consistency group {} copy the same volume {}: the clone would see it twice; remove one", pair.name, plan.copy_group, volume(&pair.source)),
            ));
        }
        if sources.contains(&pair.target.uid) {
            report.add(Finding::fatal(
                "TargetIsSource",
                format!(
                    "target {} of map {} is a source in the same group: correct the maps",
                    volume(&pair.target),
                    pair.name
                ),
            ));
        }
    }
}

fn judge_drift(
    inventory: &Inventory,
    source: &SourceVolumes,
    plan: &Plan,
    report: &mut SiteReport,
) {
    for pair in inventory
        .pairs
        .iter()
        .filter(|p| source.uids.contains(&p.target.uid))
    {
        report.add(Finding::fatal(
            "TargetIsProduction",
            format!("target {} of map {} is mapped to source {}: the copy would overwrite production; correct the map or the mapping", volume(&pair.target), pair.name, plan.source_label()),
        ));
    }
    let copied: BTreeSet<&Uid> = inventory.pairs.iter().map(|p| &p.source.uid).collect();
    let forgotten: Vec<String> = source
        .uids
        .iter()
        .filter(|u| !copied.contains(u) && !plan.allow_partial.contains(u))
        .map(ToString::to_string)
        .chain(source.nameless.iter().cloned())
        .collect();
    let strange: Vec<String> = copied
        .iter()
        .filter(|u| !source.uids.contains(**u))
        .map(ToString::to_string)
        .collect();
    if !forgotten.is_empty() {
        report.add(Finding::fatal(
            VOLUME_DRIFT,
            format!(
                "source {} uses volumes that consistency group {} does not copy: {}; add a map for each, or list it in storage.allowPartial (an internal disk or a file of a VIOS cannot be copied at all)",
                plan.source_label(), plan.copy_group, forgotten.join(", ")
            ),
        ).about(VOLUME_DRIFT));
    }
    if !strange.is_empty() {
        report.add(Finding::fatal(
            VOLUME_DRIFT,
            format!(
                "consistency group {} copies volumes that source {} does not use: {}; remove those maps from the group, or attach the volumes",
                plan.copy_group, plan.source_label(), strange.join(", ")
            ),
        ).about(VOLUME_DRIFT));
    }
    report.facts.drift = forgotten.into_iter().chain(strange).collect();
    report.facts.drift.sort();
}

fn volume(v: &Volume) -> String {
    format!("{} ({})", v.name, v.uid)
}
