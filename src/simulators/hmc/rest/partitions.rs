//! A partition and its profiles (`hmc.md` § 1.8), in the order of the schema.

use super::Ask;
use super::adapters::{fibre_channel_path, scsi_path};
use super::atom::{Object, element, group, link, links};
use crate::simulators::hmc::file::PartitionKind;
use crate::simulators::hmc::partition::Partition;
use crate::simulators::hmc::power;
use crate::simulators::hmc::role::shown_state;
use crate::simulators::world::World;
use crate::site::PartitionState;

/// The console's word, lower case.
pub(super) fn state_word(state: &PartitionState) -> String {
    match state {
        PartitionState::NotActivated => "not activated".to_owned(),
        PartitionState::Starting => "starting".to_owned(),
        PartitionState::Running => "running".to_owned(),
        PartitionState::ShuttingDown => "shutting down".to_owned(),
        PartitionState::Error => "error".to_owned(),
        PartitionState::NotAvailable => "not available".to_owned(),
        PartitionState::Other(word) => word.clone(),
    }
}

/// RMC: none on IBM i, active on an AIX that is up, as the VIOS file says on a VIOS.
pub(super) fn rmc(world: &World, p: &Partition) -> &'static str {
    let up = shown_state(p) == PartitionState::Running;
    match p.kind {
        PartitionKind::OS400 => "none",
        PartitionKind::AixLinux if up => "active",
        PartitionKind::Vios if up && world.vioses.get(&p.name).is_some_and(|v| v.rmc) => "active",
        PartitionKind::AixLinux | PartitionKind::Vios => "inactive",
    }
}

/// Version as the console shows it; unknown while the partition is off.
pub(super) fn version(p: &Partition) -> &'static str {
    let up = shown_state(p) == PartitionState::Running;
    match (p.kind, up) {
        (PartitionKind::OS400, true) => "IBM i Licensed Internal Code 7.5.0 48 1",
        (PartitionKind::AixLinux, true) => "AIX 7.3 7300-00-00-0000",
        (PartitionKind::Vios, true) => "VIOS 3.1.4.21 ",
        (PartitionKind::Vios, false) => "VIOS ",
        (PartitionKind::OS400 | PartitionKind::AixLinux, false) => "Unknown",
    }
}

/// `78ABCD0` and the partition id in hexadecimal, as recorded.
fn logical_serial(p: &Partition) -> String {
    format!("{}{:X}", p.identity.serial_number, p.identity.partition_id)
}

/// The fields that every type of partition has, up to the reference code.
pub(super) fn common(world: &World, ask: &Ask<'_>, p: &Partition, path: &str) -> String {
    let profiles = || p.profiles.iter().map(|(id, _)| id);
    let profile_path = |id: &String| format!("{path}/LogicalPartitionProfile/{id}");
    let default = profiles().next().cloned().unwrap_or_default();
    let system = world.console.system(&p.system);
    let system = world
        .console
        .written(system.map_or("", |s| s.uuid.as_str()));
    let code = power::reference_code(world, &p.name);
    let capabilities = group(
        "PartitionCapabilities",
        &element(
            "ResourceMonitoringControlOperatingSystemShutdownCapable",
            "true",
        ),
    );
    [
        link(ask, "AssociatedPartitionProfile", &profile_path(&default)),
        element("IsOperationInProgress", "false"),
        element("KeylockPosition", &p.keylock),
        element("LogicalSerialNumber", &logical_serial(p)),
        element("OperatingSystemVersion", version(p)),
        capabilities,
        element("PartitionID", &p.identity.partition_id.to_string()),
        io_configuration(p),
        element("PartitionName", &p.name),
        links(ask, "PartitionProfiles", profiles().map(profile_path)),
        element("PartitionState", &state_word(&shown_state(p))),
        element("PartitionType", p.kind.as_str()),
        element("PartitionUUID", &world.console.written(p.uuid.as_str())),
        element("ResourceMonitoringControlState", rmc(world, p)),
        link(
            ask,
            "AssociatedManagedSystem",
            &format!("ManagedSystem/{system}"),
        ),
        // Blank means a new line and spaces on the real one.
        if code.is_empty() {
            "<ReferenceCode kb=\"ROR\" kxe=\"false\">\n    </ReferenceCode>\n".to_owned()
        } else {
            element("ReferenceCode", &code)
        },
    ]
    .concat()
}

/// Slots; on IBM i also the tagged ones: the load source is the first disk adapter.
fn io_configuration(p: &Partition) -> String {
    let mut inner = element("MaximumVirtualIOSlots", "200");
    if p.kind == PartitionKind::OS400 {
        let disk = p.scsi.iter().map(|a| a.slot);
        let slots = disk.chain(p.fibre_channel.iter().map(|a| a.slot));
        let load_source = slots.min().map_or("NONE".to_owned(), |s| s.to_string());
        let tagged = [
            element("AlternateLoadSource", "NONE"),
            element("Console", "HMC"),
            element("LoadSource", &load_source),
        ];
        inner.push_str(&group("TaggedIO", &tagged.concat()));
    }
    group("PartitionIOConfiguration", &inner)
}

pub(super) fn partition(world: &World, ask: &Ask<'_>, p: &Partition) -> Object {
    let id = world.console.written(p.uuid.as_str());
    let path = format!("LogicalPartition/{id}");
    let scsi = p.scsi.iter().map(|a| scsi_path(world, p, a.slot));
    let fibre_channel = p
        .fibre_channel
        .iter()
        .map(|a| fibre_channel_path(world, p, a.slot));
    let mut inner = common(world, ask, p, &path);
    inner.push_str(&element("LastActivatedProfile", &p.last_profile));
    inner.push_str(&element("MigrationState", "Not_Migrating"));
    inner.push_str(&links(
        ask,
        "VirtualFibreChannelClientAdapters",
        fibre_channel,
    ));
    inner.push_str(&links(ask, "VirtualSCSIClientAdapters", scsi));
    if p.kind == PartitionKind::OS400 {
        inner.push_str(&element("DesignatedIPLSource", &p.ipl_source.to_string()));
    }
    Object {
        kind: "LogicalPartition",
        id,
        path,
        inner,
    }
}

pub(super) fn profile(p: &Partition, id: &str, name: &str) -> Object {
    Object {
        kind: "LogicalPartitionProfile",
        id: id.to_owned(),
        path: format!("LogicalPartition/{}/LogicalPartitionProfile/{id}", p.uuid),
        inner: element("ProfileName", name),
    }
}
