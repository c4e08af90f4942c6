//! What one device's act means for the others. Called by the devices, never by a server.

use super::{Content, Image, ImageId, Origin, Quality, World};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::{hmc, ibmi, storage::spectrum_virtualize, vios};
use crate::site::{Uid, Wwpn};

/// Whether a volume can be read now, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskAccess {
    /// Online.
    Usable,
    /// I/O fails (target preparing or prepared, or offline).
    Failing(String),
}

/// A disk a partition sees, in its own order (LUN, or SCSI id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDisk {
    /// Storage identity.
    pub uid: Uid,
    /// Through which VIOS, or `npiv`.
    pub path: String,
}

/// Called by the array when the targets of a prepare lose their content.
pub fn targets_discarded(world: &mut World, targets: &[Uid]) {
    for uid in targets {
        refuse_when_in_use(world, uid, "prepare of a copy");
        world.contents.insert(uid.clone(), Content::Garbage);
    }
}

/// Called by the array at the instant of a copy: every target becomes the same disk of a new image of its source's
/// system. Pairs of several systems give several images.
pub fn copy_started(world: &mut World, pairs: &[(Uid, Uid)]) {
    let mut made: Vec<(ImageId, ImageId)> = Vec::new();
    for (source, target) in pairs {
        refuse_when_in_use(world, target, "start of a copy");
        if let Some(Content::Part { image, .. }) = world.contents.get(target)
            && let Some(owner) = owner_of_image(world, *image)
            && world.sources.contains(&owner)
        {
            world.violation(
                ViolationKind::SourceOverwritten,
                format!("{target} of {owner} was overwritten"),
            );
        }
        let content = world
            .contents
            .get(source)
            .copied()
            .unwrap_or(Content::Garbage);
        let copied = match content {
            Content::Garbage => Content::Garbage,
            Content::Part { image, index } => {
                let copy = made
                    .iter()
                    .find(|(of, _)| *of == image)
                    .map(|(_, copy)| *copy);
                let copy = copy.unwrap_or_else(|| {
                    let copy = copy_image(world, image);
                    made.push((image, copy));
                    copy
                });
                Content::Part { image: copy, index }
            }
        };
        world.contents.insert(target.clone(), copied);
    }
}

fn copy_image(world: &mut World, image: ImageId) -> ImageId {
    let owner = owner_of_image(world, image).unwrap_or_default();
    let quality = ibmi::quality(world, &owner);
    if quality == Quality::Dirty {
        world.violation(
            ViolationKind::CopyWithoutSuspension,
            format!("a copy of {owner} was taken while it was neither suspended nor force-written"),
        );
    }
    let now = world.now;
    let (disk, volumes) = match world.images.get(&image) {
        Some(i) => (i.disk.clone(), i.volumes),
        None => return image,
    };
    let origin = Some(Origin {
        source: owner,
        at: now,
        quality,
    });
    world.add_image(Image {
        disk,
        volumes,
        origin,
    })
}

/// Partition that runs on this image now.
pub fn owner_of_image(world: &World, image: ImageId) -> Option<String> {
    world
        .systems
        .iter()
        .find(|(_, s)| s.image() == Some(image))
        .map(|(name, _)| name.clone())
}

fn refuse_when_in_use(world: &mut World, target: &Uid, what: &str) {
    if world.pinned.contains(target) {
        world.violation(
            ViolationKind::PinnedImageOverwritten,
            format!("{what} onto {target}, which belongs to a held image"),
        );
    }
    let users: Vec<String> = world
        .console
        .partition_names()
        .into_iter()
        .filter(|p| hmc::is_on(world, p) && seen_disks(world, p).iter().any(|d| &d.uid == target))
        .collect();
    for partition in users {
        world.violation(
            ViolationKind::CopyOntoRunningClone,
            format!("{what} onto {target} while {partition} runs on it"),
        );
    }
}

/// The disks a partition sees now: vSCSI through every VIOS that serves it, then NPIV.
pub fn seen_disks(world: &World, partition: &str) -> Vec<SeenDisk> {
    let mut seen = vios::client_disks(world, partition);
    let ports: Vec<Wwpn> = world.console.live_ports_of(partition);
    if !ports.is_empty() {
        seen.extend(
            spectrum_virtualize::volumes_of_ports(world, &ports)
                .into_iter()
                .map(|uid| SeenDisk {
                    uid,
                    path: "npiv".to_owned(),
                }),
        );
    }
    seen
}

/// Called by the array when it has mapped a volume to a host object, or taken it away: whoever has a port of it must be
/// off, must not be production, and must not see the targets of two groups.
pub fn host_mapping_changed(world: &mut World, ports: &[Wwpn], what: &str) {
    let owners: Vec<String> = world
        .console
        .partition_names()
        .into_iter()
        .filter(|p| world.console.ports_of(p).iter().any(|w| ports.contains(w)))
        .collect();
    for partition in owners {
        if world.sources.contains(&partition) {
            world.violation(
                ViolationKind::SourceHostChanged,
                format!("{what} at the host of {partition}"),
            );
        }
        if hmc::is_on(world, &partition) {
            world.violation(
                ViolationKind::MappingWhileRunning,
                format!("{what} while {partition} was on"),
            );
        }
        let of_partition = world.console.ports_of(&partition);
        let groups = spectrum_virtualize::target_sets_of_ports(world, &of_partition);
        if groups.len() > 1 {
            world.violation(
                ViolationKind::TwoTargetSets,
                format!("{partition} sees targets of {}", groups.join(" and ")),
            );
        }
    }
}

/// Running systems read and write their disks: the array keeps the time of it for its volume protection.
pub fn disks_used(world: &mut World) {
    if !spectrum_virtualize::protects_volumes(world) {
        return;
    }
    let works = |p: &hmc::Partition| match p.kind {
        hmc::PartitionKind::OS400 => {
            let system = world.systems.get(&p.name);
            system.is_some_and(|s| s.image().is_some())
        }
        hmc::PartitionKind::AixLinux => p.state == hmc::PowerState::Running,
        // Its own disks are internal; what its clients do is theirs.
        hmc::PartitionKind::Vios => false,
    };
    let working = world.console.partitions.values().filter(|p| works(p));
    let used: Vec<Uid> = working
        .flat_map(|p| seen_disks(world, &p.name))
        .map(|d| d.uid)
        .collect();
    spectrum_virtualize::used_now(world, &used);
}

/// What an IPL finds on the partition's disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IplFinding {
    /// A whole image, every disk of it readable.
    System(ImageId),
    /// No load source: the code the console shows.
    Failed {
        /// System reference code, B-class.
        reference_code: &'static str,
        /// Why.
        text: String,
    },
}

/// Looks at the disks as the LIC would: the load source must be the first disk and readable, all disks must belong to
/// one image, and none may be missing.
pub fn find_system(world: &World, partition: &str) -> IplFinding {
    let mut uids: Vec<Uid> = Vec::new();
    for disk in seen_disks(world, partition) {
        if !uids.contains(&disk.uid) {
            uids.push(disk.uid);
        }
    }
    let failed = |reference_code, text: String| IplFinding::Failed {
        reference_code,
        text,
    };
    let Some(first) = uids.first() else {
        return failed("B2003110", format!("{partition} sees no disk"));
    };
    let Some(Content::Part { image, index: 0 }) = world.contents.get(first).copied() else {
        return failed(
            "B2003120",
            format!("the first disk {first} of {partition} is not a load source"),
        );
    };
    for uid in &uids {
        if let DiskAccess::Failing(why) = spectrum_virtualize::access(world, uid) {
            return failed("B6000103", format!("{uid} cannot be read: {why}"));
        }
    }
    let parts = uids
        .iter()
        .filter(|u| matches!(world.contents.get(*u), Some(Content::Part { image: i, .. }) if *i == image))
        .count();
    let wanted = world.images.get(&image).map_or(0, |i| i.volumes);
    if parts != uids.len() || parts != wanted {
        return failed(
            "B6000103",
            format!(
                "{partition} sees {parts} of {wanted} disks of one image, {} in all",
                uids.len()
            ),
        );
    }
    IplFinding::System(image)
}
