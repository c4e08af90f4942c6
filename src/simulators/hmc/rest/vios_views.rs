//! A VIOS with its extended groups: `ViosSCSIMapping`, `ViosFCMapping`, `ViosStorage` (`hmc.md` § 2.2).

use super::atom::{element, entry, group, link};
use super::{Ask, Reply};
use crate::simulators::hmc;
use crate::simulators::hmc::partition::Partition;
use crate::simulators::vios::{Hdisk, Vios, Vtd, client_of, unique_id, vhosts_of};
use crate::simulators::world::World;
use base64::Engine as _;

/// The entry with the groups asked for. Without RMC the console cannot ask the VIOS for them.
pub(super) fn entry_of(world: &World, ask: &Ask<'_>, p: &Partition) -> Result<String, Reply> {
    let Some(vios) = world.vioses.get(&p.name) else {
        return Err(Reply::not_found(ask.path));
    };
    let wants = |name: &str| ask.query.contains(name) || ask.query.contains("group=All");
    let extended = ["ViosSCSIMapping", "ViosFCMapping", "ViosStorage"]
        .iter()
        .any(|g| wants(g));
    if extended && (!vios.rmc || !hmc::is_on(world, &p.name)) {
        return Err(Reply::error(
            500,
            ask.path,
            "Unknown internal error.",
            &format!(
                "HSCL294C The RMC connection to the Virtual I/O Server {} is not active.",
                p.name
            ),
        ));
    }
    let mut inner = [
        element("PartitionID", &p.identity.partition_id.to_string()),
        element("PartitionName", &p.name),
        element("PartitionState", p.state.as_str()),
        element("PartitionType", p.kind.as_str()),
        element("PartitionUUID", p.uuid.as_str()),
        element(
            "ResourceMonitoringControlState",
            if vios.rmc { "active" } else { "inactive" },
        ),
    ]
    .concat();
    if wants("ViosStorage") {
        inner.push_str(&group(
            "PhysicalVolumes",
            &vios
                .hdisks
                .iter()
                .map(|d| physical_volume(vios, d))
                .collect::<String>(),
        ));
    }
    if wants("ViosSCSIMapping") {
        inner.push_str(&group("VirtualSCSIMappings", &mappings(world, ask, vios)));
    }
    if wants("ViosFCMapping") {
        inner.push_str(&group(
            "VirtualFibreChannelMappings",
            &fc_mappings(world, p),
        ));
    }
    Ok(entry(
        "VirtualIOServer",
        p.uuid.as_str(),
        ask.host,
        &format!("VirtualIOServer/{}", p.uuid),
        &inner,
    ))
}

fn physical_volume(vios: &Vios, disk: &Hdisk) -> String {
    let mapped = vios.vtds.iter().any(|t| t.hdisk == disk.name);
    let mut inner = [
        element(
            "Description",
            if disk.uid.is_some() {
                "MPIO IBM 2076 FC Disk"
            } else {
                "SAS Disk Drive"
            },
        ),
        element(
            "ReservePolicy",
            if disk.reserve_policy == "no_reserve" {
                "NoReserve"
            } else {
                "SinglePath"
            },
        ),
        element("AvailableForUsage", if mapped { "false" } else { "true" }),
        element("VolumeCapacity", "102400"),
        element("VolumeName", &disk.name),
        element("VolumeState", "active"),
    ]
    .concat();
    match &disk.uid {
        Some(uid) => {
            inner.push_str(&element("VolumeUniqueID", &unique_id(uid)));
            inner.push_str(&element("IsFibreChannelBacked", "true"));
            let page = base64::engine::general_purpose::STANDARD.encode(uid.as_str());
            inner.push_str(&element("DescriptorPage83", &page));
        }
        None => {
            inner.push_str(&element(
                "VolumeUniqueID",
                "391BIBMIPR-0   5DB603000000004010IPR-0   5DB6030003IBMsas",
            ));
            inner.push_str(&element("IsFibreChannelBacked", "false"));
        }
    }
    group("PhysicalVolume", &inner)
}

fn mappings(world: &World, ask: &Ask<'_>, vios: &Vios) -> String {
    let mut text = String::new();
    for vhost in vhosts_of(world, &vios.name) {
        let mut vtds: Vec<&Vtd> = vios.vtds.iter().filter(|t| t.vhost == vhost).collect();
        vtds.sort_by_key(|t| t.lun);
        if vtds.is_empty() {
            text.push_str(&mapping(world, ask, vios, &vhost, None));
        }
        for vtd in vtds {
            text.push_str(&mapping(world, ask, vios, &vhost, Some(vtd)));
        }
    }
    text
}

fn mapping(world: &World, ask: &Ask<'_>, vios: &Vios, vhost: &str, vtd: Option<&Vtd>) -> String {
    let own = world
        .console
        .identity_of(&vios.name)
        .map_or(0, |i| i.partition_id);
    let mut inner = String::new();
    let (remote, slot, server_slot) = match client_of(world, &vios.name, vhost) {
        Some((client, slot, server_slot)) => {
            let (id, uuid) = world
                .console
                .partitions
                .get(&client)
                .map_or((0, String::new()), |p| {
                    (p.identity.partition_id, p.uuid.to_string())
                });
            inner.push_str(&link(
                "AssociatedLogicalPartition",
                ask.host,
                &format!("LogicalPartition/{uuid}"),
            ));
            inner.push_str(&group(
                "ClientAdapter",
                &[
                    element("AdapterType", "Client"),
                    element("LocalPartitionID", &id.to_string()),
                    element("VirtualSlotNumber", &slot.to_string()),
                    element("RemoteLogicalPartitionID", &own.to_string()),
                    element("RemoteSlotNumber", &server_slot.to_string()),
                ]
                .concat(),
            ));
            (id, slot, server_slot)
        }
        None => (65535, 65535, 0),
    };
    let mut server = [
        element("AdapterType", "Server"),
        element(
            "LocationCode",
            &format!("U9105.42A.78ABCD0-V{own}-C{server_slot}"),
        ),
        element("LocalPartitionID", &own.to_string()),
        element("VirtualSlotNumber", &server_slot.to_string()),
        element("AdapterName", vhost),
        element("RemoteLogicalPartitionID", &remote.to_string()),
        element("RemoteSlotNumber", &slot.to_string()),
        element(
            "UniqueDeviceID",
            &format!("1eU9105.42A.78ABCD0-V{own}-C{server_slot}"),
        ),
    ]
    .concat();
    if let Some(vtd) = vtd {
        server.push_str(&element("BackingDeviceName", &vtd.hdisk));
    }
    inner.push_str(&group("ServerAdapter", &server));
    if let Some(vtd) = vtd {
        let disk = vios
            .disk(&vtd.hdisk)
            .map(|d| physical_volume(vios, d))
            .unwrap_or_default();
        // These two carry no Metadata in the recordings.
        inner.push_str(&format!(
            "<Storage kb=\"CUR\" kxe=\"false\">\n{disk}</Storage>\n"
        ));
        let target = [
            element(
                "LogicalUnitAddress",
                &format!("0x{:02x}00000000000000", vtd.lun),
            ),
            element("TargetName", &vtd.name),
        ];
        let target = group("PhysicalVolumeVirtualTargetDevice", &target.concat());
        inner.push_str(&format!(
            "<TargetDevice kb=\"CUR\" kxe=\"false\">\n{target}</TargetDevice>\n"
        ));
    }
    group("VirtualSCSIMapping", &inner)
}

fn fc_mappings(world: &World, vios: &Partition) -> String {
    let mut text = String::new();
    for p in world.console.partitions.values() {
        for adapter in p.fibre_channel.iter().filter(|a| a.vios == vios.name) {
            let client = [
                element("LocalPartitionID", &p.identity.partition_id.to_string()),
                element("VirtualSlotNumber", &adapter.slot.to_string()),
                element("WWPNs", &adapter.wwpns.join(" ").to_ascii_lowercase()),
            ];
            text.push_str(&group(
                "VirtualFibreChannelMapping",
                &group("ClientAdapter", &client.concat()),
            ));
        }
    }
    text
}
