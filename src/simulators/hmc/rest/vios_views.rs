//! A VIOS with its extended groups: `ViosSCSIMapping`, `ViosFCMapping`, `ViosStorage` (`hmc.md` § 2.2).

use super::adapters::{ANY, end, fibre_channel_mappings, scsi_client, scsi_server};
use super::atom::{Object, element, group, link};
use super::partitions::common;
use super::views::groups;
use super::{Ask, Reply};
use crate::simulators::hmc;
use crate::simulators::hmc::partition::Partition;
use crate::simulators::vios::{self, Hdisk, Vios, Vtd, client_of, slot_of, vhosts_of};
use crate::simulators::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The VIOS with the groups asked for. Without RMC the console cannot ask the VIOS for them: the request fails, or with
/// `partial` the groups are left out.
pub(super) fn object(
    world: &World,
    ask: &Ask<'_>,
    p: &Partition,
    partial: bool,
) -> Result<Object, Reply> {
    let Some(vios) = world.vioses.get(&p.name) else {
        return Err(Reply::not_found(ask.path));
    };
    let wanted = groups(ask);
    let wants = |name: &str| wanted.contains(&name) || wanted.contains(&"All");
    let answers = vios.rmc && hmc::is_on(world, &p.name);
    let extended = ["ViosSCSIMapping", "ViosFCMapping", "ViosStorage"];
    if !answers && !partial && extended.iter().any(|g| wants(g)) {
        let text = format!(
            "HSCL294C The RMC connection to the Virtual I/O Server {} is not active.",
            p.name
        );
        return Err(Reply::error(
            500,
            ask.path,
            "Unknown internal error.",
            &text,
        ));
    }
    let id = world.console.written(p.uuid.as_str());
    let path = format!("VirtualIOServer/{id}");
    let mut inner = common(world, ask, p, &path);
    inner.push_str(&element(
        "APICapable",
        if answers { "true" } else { "false" },
    ));
    if answers && wants("ViosStorage") {
        let disks = vios.hdisks.iter().filter(|d| !d.defined);
        let volumes: String = disks.map(|d| physical_volume(world, vios, d)).collect();
        inner.push_str(&group("PhysicalVolumes", &volumes));
    }
    inner.push_str(&element("VirtualIOServerLicenseAccepted", "true"));
    if answers && wants("ViosFCMapping") {
        let mappings = fibre_channel_mappings(world, ask, p);
        inner.push_str(&group("VirtualFibreChannelMappings", &mappings));
    }
    if answers && wants("ViosSCSIMapping") {
        inner.push_str(&group(
            "VirtualSCSIMappings",
            &mappings(world, ask, p, vios),
        ));
    }
    Ok(Object {
        kind: "VirtualIOServer",
        id,
        path,
        inner,
    })
}

fn physical_volume(world: &World, vios: &Vios, disk: &Hdisk) -> String {
    let mapped = vios.vtds.iter().any(|t| t.hdisk == disk.name);
    let usable = !mapped && disk.volume_group.is_none();
    let (description, product) = match disk.uid {
        Some(_) => ("MPIO IBM 2076 FC Disk", "IBM     2145            "),
        None => ("SAS Disk Drive", "IBM     MBF2300RC       "),
    };
    let policy = if disk.reserve_policy == "no_reserve" {
        "NoReserve"
    } else {
        "SinglePath"
    };
    let number = disk.uid.as_ref().map_or(disk.name.as_str(), |u| u.as_str());
    let label = disk.volume_group.as_deref().unwrap_or_default();
    let capacity = vios::megabytes(world, disk).to_string();
    let fields = [
        ("Description", description.to_owned()),
        ("LocationCode", vios::disk_location(world, vios, disk)),
        ("PersistentReserveKeyValue", "none".to_owned()),
        ("ReservePolicy", policy.to_owned()),
        ("ReservePolicyAlgorithm", "Failover".to_owned()),
        (
            "UniqueDeviceID",
            format!("01{}", STANDARD.encode(format!("3{product}{number}"))),
        ),
        ("AvailableForUsage", usable.to_string()),
        ("VolumeCapacity", capacity),
        ("VolumeName", disk.name.clone()),
        ("VolumeState", "active".to_owned()),
        ("VolumeUniqueID", vios::identifier(disk)),
        ("IsFibreChannelBacked", disk.uid.is_some().to_string()),
        ("StorageLabel", STANDARD.encode(label)),
        ("DescriptorPage83", STANDARD.encode(number)),
    ];
    let inner: String = fields.iter().map(|(n, v)| element(n, v)).collect();
    group("PhysicalVolume", &inner)
}

/// One element per adapter and disk; an adapter with none appears once.
fn mappings(world: &World, ask: &Ask<'_>, p: &Partition, vios: &Vios) -> String {
    let mut text = String::new();
    for vhost in vhosts_of(world, &vios.name) {
        let mut vtds: Vec<Option<&Vtd>> = vios
            .vtds
            .iter()
            .filter(|t| t.vhost == vhost)
            .map(Some)
            .collect();
        vtds.sort_by_key(|t| t.map(|t| t.lun));
        if vtds.is_empty() {
            vtds.push(None);
        }
        for vtd in vtds {
            text.push_str(&mapping(world, ask, p, vios, &vhost, vtd));
        }
    }
    text
}

fn mapping(
    world: &World,
    ask: &Ask<'_>,
    p: &Partition,
    vios: &Vios,
    vhost: &str,
    vtd: Option<&Vtd>,
) -> String {
    let server = end(world, &p.name, slot_of(world, &p.name, vhost));
    let mut inner = String::new();
    let mut client = ANY;
    if let Some((name, slot, _)) = client_of(world, &vios.name, vhost) {
        client = end(world, &name, slot);
        let uuid = world.console.partitions.get(&name);
        let uuid = world.console.written(uuid.map_or("", |c| c.uuid.as_str()));
        let path = format!("LogicalPartition/{uuid}");
        inner.push_str(&link(ask, "AssociatedLogicalPartition", &path));
        let side = scsi_client(world, &p.system, client, server);
        inner.push_str(&group("ClientAdapter", &side));
    }
    let name = Some((vhost, vtd.map(|t| t.hdisk.as_str())));
    let side = scsi_server(world, &p.system, server, client, name);
    inner.push_str(&group("ServerAdapter", &side));
    if let Some(vtd) = vtd {
        let disk = vios.disk(&vtd.hdisk);
        let disk = disk.map_or_else(String::new, |d| physical_volume(world, vios, d));
        let lun = format!("0x{:02x}00000000000000", vtd.lun);
        let device = [
            element("LogicalUnitAddress", &lun),
            element("TargetName", &vtd.name),
            element("UniqueDeviceID", &format!("08f51c2398b250{:02x}", vtd.lun)),
        ];
        inner.push_str(&wrapped("Storage", &disk));
        inner.push_str(&wrapped(
            "TargetDevice",
            &group("PhysicalVolumeVirtualTargetDevice", &device.concat()),
        ));
    }
    group("VirtualSCSIMapping", &inner)
}

/// A choice of several types: without metadata of its own.
fn wrapped(name: &str, inner: &str) -> String {
    format!("<{name} kb=\"CUR\" kxe=\"false\">\n{inner}</{name}>\n")
}
