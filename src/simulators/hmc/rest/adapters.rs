//! Virtual adapters of both kinds, client and server side (`hmc.md` §§ 1.6, 2.2), in the order of the schema.

use super::Ask;
use super::atom::{Object, element, group, link};
use crate::simulators::hmc::FibreChannelFile;
use crate::simulators::hmc::partition::Partition;
use crate::simulators::vios;
use crate::simulators::world::World;

/// One end of a virtual adapter: partition id and slot.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) id: i32,
    pub(super) slot: u32,
}

/// Any partition, any slot.
pub(super) const ANY: End = End {
    id: 65535,
    slot: 65535,
};

pub(super) fn end(world: &World, partition: &str, slot: u32) -> End {
    let identity = world.console.identity_of(partition);
    let id = identity.map_or(0, |i| i.partition_id);
    End { id, slot }
}

/// Location of an adapter: `U9105.42A.78ABCD0-V4-C20`.
pub(super) fn location(world: &World, system: &str, at: End) -> String {
    format!("{}-V{}-C{}", world.console.location(system), at.id, at.slot)
}

/// The fields with which every virtual adapter begins.
fn head(kind: &str, location: &str, at: End) -> String {
    [
        element("AdapterType", kind),
        element("DynamicReconfigurationConnectorName", location),
        element("LocationCode", location),
        element("LocalPartitionID", &at.id.to_string()),
        element("RequiredAdapter", "false"),
        element("VariedOn", "true"),
        element("VirtualSlotNumber", &at.slot.to_string()),
    ]
    .concat()
}

/// Client side of a virtual SCSI adapter.
pub(super) fn scsi_client(world: &World, system: &str, client: End, server: End) -> String {
    [
        head("Client", &location(world, system, client), client),
        element("RemoteLogicalPartitionID", &server.id.to_string()),
        element("RemoteSlotNumber", &server.slot.to_string()),
        element("ServerLocationCode", &location(world, system, server)),
    ]
    .concat()
}

/// Server side, with its name and backing disk when the VIOS told them.
pub(super) fn scsi_server(
    world: &World,
    system: &str,
    server: End,
    client: End,
    name: Option<(&str, Option<&str>)>,
) -> String {
    let own = location(world, system, server);
    let mut inner = head("Server", &own, server);
    if let Some((name, backing)) = name {
        inner.push_str(&element("AdapterName", name));
        if let Some(backing) = backing {
            inner.push_str(&element("BackingDeviceName", backing));
        }
    }
    inner.push_str(&element("RemoteLogicalPartitionID", &client.id.to_string()));
    inner.push_str(&element("RemoteSlotNumber", &client.slot.to_string()));
    if client.id != ANY.id {
        let other = location(world, system, client);
        inner.push_str(&element("ServerLocationCode", &other));
    }
    if name.is_some() {
        inner.push_str(&element("UniqueDeviceID", &format!("1e{own}")));
    }
    inner
}

fn id_of(kind: char, at: End) -> String {
    format!("{kind}0000000-0000-3000-8000-{:04x}{:08x}", at.id, at.slot)
}

/// Path of a partition's virtual SCSI client adapter.
pub(super) fn scsi_path(world: &World, p: &Partition, slot: u32) -> String {
    let id = id_of('a', end(world, &p.name, slot));
    let uuid = world.console.written(p.uuid.as_str());
    format!("LogicalPartition/{uuid}/VirtualSCSIClientAdapter/{id}")
}

/// Path of a partition's virtual Fibre Channel client adapter.
pub(super) fn fibre_channel_path(world: &World, p: &Partition, slot: u32) -> String {
    let id = id_of('f', end(world, &p.name, slot));
    let uuid = world.console.written(p.uuid.as_str());
    format!("LogicalPartition/{uuid}/VirtualFibreChannelClientAdapter/{id}")
}

/// Reference to the VIOS behind an adapter; nothing when the console has no such partition.
fn connecting(world: &World, ask: &Ask<'_>, vios: &str) -> String {
    let Some(p) = world.console.partitions.get(vios) else {
        return String::new();
    };
    let system = world.console.system(&p.system);
    let system = world
        .console
        .written(system.map_or("", |s| s.uuid.as_str()));
    let uuid = world.console.written(p.uuid.as_str());
    let path = format!("ManagedSystem/{system}/VirtualIOServer/{uuid}");
    link(ask, "ConnectingPartition", &path)
}

pub(super) fn scsi(world: &World, ask: &Ask<'_>, p: &Partition) -> Vec<Object> {
    let adapters = p.scsi.iter().map(|a| {
        let client = end(world, &p.name, a.slot);
        let server = end(world, &a.vios, a.server_slot);
        let behind = scsi_server(world, &p.system, server, client, None);
        Object {
            kind: "VirtualSCSIClientAdapter",
            id: id_of('a', client),
            path: scsi_path(world, p, a.slot),
            inner: [
                scsi_client(world, &p.system, client, server),
                group("ServerAdapter", &behind),
                connecting(world, ask, &a.vios),
            ]
            .concat(),
        }
    });
    adapters.collect()
}

/// Server adapters of a VIOS: hypervisor data, so there without RMC.
pub(super) fn scsi_servers(world: &World, p: &Partition) -> Vec<Object> {
    let adapters = vios::vhosts_of(world, &p.name).into_iter().map(|vhost| {
        let server = end(world, &p.name, vios::slot_of(world, &p.name, &vhost));
        let client = vios::client_of(world, &p.name, &vhost)
            .map_or(ANY, |(name, slot, _)| end(world, &name, slot));
        let id = id_of('b', server);
        Object {
            kind: "VirtualSCSIServerAdapter",
            path: format!("VirtualIOServer/{}/VirtualSCSIServerAdapter/{id}", p.uuid),
            id,
            inner: scsi_server(world, &p.system, server, client, Some((&vhost, None))),
        }
    });
    adapters.collect()
}

/// The fields with which one end of a virtual Fibre Channel adapter tells the other.
fn connecting_ids(other: End) -> String {
    [
        element("ConnectingPartitionID", &other.id.to_string()),
        element("ConnectingVirtualSlotNumber", &other.slot.to_string()),
    ]
    .concat()
}

/// World wide port names as the console writes them: a lower-case pair with a blank between.
fn wwpns(adapter: &FibreChannelFile) -> String {
    element("WWPNs", &adapter.wwpns.join(" ").to_ascii_lowercase())
}

/// Slot of the server adapter behind a client adapter.
fn server_slot(world: &World, p: &Partition, adapter: &FibreChannelFile) -> u32 {
    let mut served = vios::fibre_channel(world, &adapter.vios);
    let found = served.find(|(_, q, a)| q.name == p.name && a.slot == adapter.slot);
    found.map_or(0, |(n, ..)| vios::fibre_channel_slot(n))
}

pub(super) fn fibre_channel(world: &World, ask: &Ask<'_>, p: &Partition) -> Vec<Object> {
    let adapters = p.fibre_channel.iter().map(|a| {
        let client = end(world, &p.name, a.slot);
        let server = end(world, &a.vios, server_slot(world, p, a));
        let behind = [
            head("Server", &location(world, &p.system, server), server),
            connecting_ids(client),
        ];
        Object {
            kind: "VirtualFibreChannelClientAdapter",
            id: id_of('f', client),
            path: fibre_channel_path(world, p, a.slot),
            inner: [
                head("Client", &location(world, &p.system, client), client),
                connecting(world, ask, &a.vios),
                connecting_ids(server),
                group("ServerAdapter", &behind.concat()),
                wwpns(a),
            ]
            .concat(),
        }
    });
    adapters.collect()
}

/// `VirtualFibreChannelMapping` of every adapter that a VIOS serves.
pub(super) fn fibre_channel_mappings(world: &World, ask: &Ask<'_>, vios: &Partition) -> String {
    let port = || -> String {
        [
            ("LocationCode", "U78DA.ND0.WZS01AB-P0-C2-T0"),
            ("PortName", "fcs0"),
            ("UniqueDeviceID", "1aU78DA.ND0.WZS01AB-P0-C2-T0"),
            ("WWPN", "10000090fa02f602"),
            ("WWNN", "20000090fa02f602"),
            ("AvailablePorts", "60"),
            ("TotalPorts", "64"),
        ]
        .iter()
        .map(|(name, value)| element(name, value))
        .collect()
    };
    let served = vios::fibre_channel(world, &vios.name).map(|(n, p, adapter)| {
        // What stands for a physical port is absent while the adapter is mapped to none.
        let connected = |text: String| {
            if adapter.connected {
                text
            } else {
                String::new()
            }
        };
        let client = end(world, &p.name, adapter.slot);
        let server = end(world, &vios.name, vios::fibre_channel_slot(n));
        let own = location(world, &vios.system, server);
        let client_side = [
            head("Client", &location(world, &p.system, client), client),
            connecting_ids(server),
            wwpns(adapter),
        ];
        let server_side = [
            head("Server", &own, server),
            element("AdapterName", &format!("vfchost{n}")),
            connecting_ids(client),
            element("UniqueDeviceID", &format!("1d{own}")),
            connected(element("MapPort", "fcs0")),
            connected(group("PhysicalPort", &port())),
        ];
        let uuid = world.console.written(p.uuid.as_str());
        let inner = [
            link(
                ask,
                "AssociatedLogicalPartition",
                &format!("LogicalPartition/{uuid}"),
            ),
            group("ClientAdapter", &client_side.concat()),
            connected(group("Port", &port())),
            group("ServerAdapter", &server_side.concat()),
        ];
        group("VirtualFibreChannelMapping", &inner.concat())
    });
    served.collect()
}
