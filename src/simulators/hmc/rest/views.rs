//! Feeds and entries of the object model (`hmc.md` § 1.6, § 1.8).

use super::atom::{CONSOLE_UUID, element, entry, etag, feed, group, link};
use super::{Ask, Reply, vios_views};
use crate::simulators::hmc::file::PartitionKind;
use crate::simulators::hmc::partition::{ManagedSystem, Partition};
use crate::simulators::hmc::role::shown_state;
use crate::simulators::hmc::{power, rest::Reply as R};
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

pub(super) fn answer(world: &World, ask: &Ask<'_>, parts: &[&str]) -> Reply {
    let system = |uuid: &str| {
        world
            .console
            .systems
            .iter()
            .find(|s| s.uuid.eq_ignore_ascii_case(uuid))
    };
    let members = |name: &str, kind: fn(PartitionKind) -> bool| -> Vec<&Partition> {
        world
            .console
            .partitions
            .values()
            .filter(|p| p.system == name && kind(p.kind))
            .collect()
    };
    match parts {
        ["ManagementConsole"] => of_feed(ask, vec![console(world, ask)]),
        ["ManagementConsole", CONSOLE_UUID] => R::atom(console(world, ask)),
        ["ManagedSystem"] => of_feed(
            ask,
            world
                .console
                .systems
                .iter()
                .map(|s| managed_system(ask, s))
                .collect(),
        ),
        ["ManagedSystem", "search", condition] => of_feed(
            ask,
            world
                .console
                .systems
                .iter()
                .filter(|s| searched(condition, "SystemName", &s.name))
                .map(|s| managed_system(ask, s))
                .collect(),
        ),
        ["ManagedSystem", uuid] => system(uuid).map_or_else(
            || R::not_found(ask.path),
            |s| of_entry(managed_system(ask, s)),
        ),
        ["ManagedSystem", uuid, "LogicalPartition"] => match system(uuid) {
            Some(s) => of_feed(
                ask,
                members(&s.name, |k| k != PartitionKind::Vios)
                    .iter()
                    .map(|p| partition(world, ask, p))
                    .collect(),
            ),
            None => R::not_found(ask.path),
        },
        ["ManagedSystem", uuid, "VirtualIOServer"] => match system(uuid) {
            Some(s) => {
                let all: Vec<&Partition> = members(&s.name, |k| k == PartitionKind::Vios);
                let ignore = ask.query.contains("ignoreError=true");
                let mut entries = Vec::new();
                for p in all {
                    match vios_views::entry_of(world, ask, p) {
                        Ok(text) => entries.push(text),
                        Err(reply) if !ignore => return reply,
                        Err(_) => {}
                    }
                }
                of_feed(ask, entries)
            }
            None => R::not_found(ask.path),
        },
        ["LogicalPartition"] => of_feed(
            ask,
            world
                .console
                .partitions
                .values()
                .filter(|p| p.kind != PartitionKind::Vios)
                .map(|p| partition(world, ask, p))
                .collect(),
        ),
        ["LogicalPartition", "search", condition] => of_feed(
            ask,
            world
                .console
                .partitions
                .values()
                .filter(|p| searched(condition, "PartitionName", &p.name))
                .map(|p| partition(world, ask, p))
                .collect(),
        ),
        ["LogicalPartition", uuid] | ["ManagedSystem", _, "LogicalPartition", uuid] => {
            match world.console.by_uuid(uuid) {
                Some(p) if p.kind != PartitionKind::Vios => of_entry(partition(world, ask, p)),
                Some(_) | None => R::not_found(ask.path),
            }
        }
        ["LogicalPartition", uuid, "LogicalPartitionProfile"] => {
            match world.console.by_uuid(uuid) {
                Some(p) => of_feed(
                    ask,
                    p.profiles
                        .iter()
                        .map(|(id, name)| profile(ask, p, id, name))
                        .collect(),
                ),
                None => R::not_found(ask.path),
            }
        }
        ["LogicalPartition", uuid, "LogicalPartitionProfile", wanted] => {
            let found = world.console.by_uuid(uuid).and_then(|p| {
                p.profiles
                    .iter()
                    .find(|(id, _)| id.eq_ignore_ascii_case(wanted))
                    .map(|(id, name)| profile(ask, p, id, name))
            });
            found.map_or_else(|| R::not_found(ask.path), of_entry)
        }
        ["LogicalPartition", uuid, "VirtualSCSIClientAdapter"] => {
            adapters(world, ask, uuid, scsi_adapters)
        }
        ["LogicalPartition", uuid, "VirtualFibreChannelClientAdapter"] => {
            adapters(world, ask, uuid, fc_adapters)
        }
        ["VirtualIOServer", uuid] | ["ManagedSystem", _, "VirtualIOServer", uuid] => match world
            .console
            .by_uuid(uuid)
        {
            Some(p) if p.kind == PartitionKind::Vios => match vios_views::entry_of(world, ask, p) {
                Ok(text) => of_entry(text),
                Err(reply) => reply,
            },
            Some(_) | None => R::not_found(ask.path),
        },
        _ => R::not_found(ask.path),
    }
}

fn of_entry(text: String) -> Reply {
    let tag = etag(&text);
    Reply {
        etag: Some(tag),
        ..R::atom(text)
    }
}

/// An empty collection is 204 without a body.
fn of_feed(ask: &Ask<'_>, entries: Vec<String>) -> Reply {
    if entries.is_empty() {
        return R::empty(204);
    }
    R::atom(feed(
        ask.host,
        ask.path.trim_start_matches("uom/"),
        &entries,
    ))
}

/// `(PartitionName=='NAME')`, with or without quotes.
fn searched(condition: &str, field: &str, value: &str) -> bool {
    let inner = condition.trim_start_matches('(').trim_end_matches(')');
    inner
        .split_once("==")
        .is_some_and(|(key, wanted)| key == field && wanted.trim_matches('\'') == value)
}

fn console(world: &World, ask: &Ask<'_>) -> String {
    let version = group(
        "VersionInfo",
        &[
            element("Version", "10"),
            element("Release", "3"),
            element("ServicePackName", "1060"),
        ]
        .concat(),
    );
    let systems: String = world
        .console
        .systems
        .iter()
        .map(|s| link("link", ask.host, &format!("ManagedSystem/{}", s.uuid)))
        .collect();
    let inner = [
        element("ManagementConsoleName", &world.console.name),
        group("ManagedSystems", &systems),
        version,
    ];
    entry(
        "ManagementConsole",
        CONSOLE_UUID,
        ask.host,
        &format!("ManagementConsole/{CONSOLE_UUID}"),
        &inner.concat(),
    )
}

fn managed_system(ask: &Ask<'_>, s: &ManagedSystem) -> String {
    let (machine_type, model) = s.type_model.split_once('-').unwrap_or((&s.type_model, ""));
    let mtms = group(
        "MachineTypeModelAndSerialNumber",
        &[
            element("MachineType", machine_type),
            element("Model", model),
            element("SerialNumber", &s.serial),
        ]
        .concat(),
    );
    let inner = [
        mtms,
        element("State", &s.state),
        element("SystemName", &s.name),
    ];
    entry(
        "ManagedSystem",
        &s.uuid,
        ask.host,
        &format!("ManagedSystem/{}", s.uuid),
        &inner.concat(),
    )
}

fn partition(world: &World, ask: &Ask<'_>, p: &Partition) -> String {
    let path = format!("LogicalPartition/{}", p.uuid);
    let system = world
        .console
        .system(&p.system)
        .map(|s| s.uuid.clone())
        .unwrap_or_default();
    let default = p
        .profiles
        .first()
        .map(|(id, _)| id.clone())
        .unwrap_or_default();
    let code = power::reference_code(world, &p.name);
    let is_ibm_i = p.kind == PartitionKind::OS400;
    let state = shown_state(p);
    let version = match (&state, is_ibm_i) {
        (PartitionState::Running, true) => "IBM i Licensed Internal Code 7.5.0 48 1",
        _ => "Unknown",
    };
    let mut inner = [
        link(
            "AssociatedPartitionProfile",
            ask.host,
            &format!("{path}/LogicalPartitionProfile/{default}"),
        ),
        element("IsOperationInProgress", "false"),
        element("KeylockPosition", &p.keylock),
        element(
            "LogicalSerialNumber",
            &format!("{}{:X}", p.identity.serial_number, p.identity.partition_id),
        ),
        element("OperatingSystemVersion", version),
        element("PartitionID", &p.identity.partition_id.to_string()),
        element("PartitionName", &p.name),
        element("PartitionState", &state_word(&state)),
        element("PartitionType", p.kind.as_str()),
        element("PartitionUUID", p.uuid.as_str()),
        // Blank means new line and spaces on the real one.
        if code.is_empty() {
            "<ReferenceCode kb=\"ROR\" kxe=\"false\">\n   </ReferenceCode>\n".to_owned()
        } else {
            element("ReferenceCode", &code)
        },
        link(
            "AssociatedManagedSystem",
            ask.host,
            &format!("ManagedSystem/{system}"),
        ),
        element(
            "ResourceMonitoringControlState",
            if is_ibm_i { "none" } else { "active" },
        ),
        element("MigrationState", "Not_Migrating"),
    ]
    .concat();
    if is_ibm_i {
        inner.push_str(&element("DesignatedIPLSource", &p.ipl_source.to_string()));
    }
    let profiles: String = p
        .profiles
        .iter()
        .map(|(id, _)| {
            link(
                "link",
                ask.host,
                &format!("{path}/LogicalPartitionProfile/{id}"),
            )
        })
        .collect();
    inner.push_str(&group("PartitionProfiles", &profiles));
    entry("LogicalPartition", p.uuid.as_str(), ask.host, &path, &inner)
}

fn profile(ask: &Ask<'_>, p: &Partition, id: &str, name: &str) -> String {
    let path = format!("LogicalPartition/{}/LogicalPartitionProfile/{id}", p.uuid);
    entry(
        "LogicalPartitionProfile",
        id,
        ask.host,
        &path,
        &element("ProfileName", name),
    )
}

fn adapters(
    world: &World,
    ask: &Ask<'_>,
    uuid: &str,
    of: fn(&World, &Ask<'_>, &Partition) -> Vec<String>,
) -> Reply {
    match world.console.by_uuid(uuid) {
        Some(p) => of_feed(ask, of(world, ask, p)),
        None => R::not_found(ask.path),
    }
}

fn scsi_adapters(world: &World, ask: &Ask<'_>, p: &Partition) -> Vec<String> {
    let id_of = |name: &str| {
        world
            .console
            .identity_of(name)
            .map_or(0, |i| i.partition_id)
    };
    let adapters = p.scsi.iter().map(|a| {
        let inner = [
            element("AdapterType", "Client"),
            element("LocalPartitionID", &p.identity.partition_id.to_string()),
            element("VirtualSlotNumber", &a.slot.to_string()),
            element("RemoteLogicalPartitionID", &id_of(&a.vios).to_string()),
            element("RemoteSlotNumber", &a.server_slot.to_string()),
        ];
        let id = format!(
            "a0000000-0000-3000-8000-{:04x}{:08x}",
            p.identity.partition_id, a.slot
        );
        let path = format!("LogicalPartition/{}/VirtualSCSIClientAdapter/{id}", p.uuid);
        entry(
            "VirtualSCSIClientAdapter",
            &id,
            ask.host,
            &path,
            &inner.concat(),
        )
    });
    adapters.collect()
}

fn fc_adapters(_world: &World, ask: &Ask<'_>, p: &Partition) -> Vec<String> {
    let adapters = p.fibre_channel.iter().map(|a| {
        let wwpns: Vec<String> = a.wwpns.iter().map(|w| w.to_ascii_lowercase()).collect();
        let inner = [
            element("AdapterType", "Client"),
            element("LocalPartitionID", &p.identity.partition_id.to_string()),
            element("VirtualSlotNumber", &a.slot.to_string()),
            element("WWPNs", &wwpns.join(" ")),
        ];
        let id = format!(
            "f0000000-0000-3000-8000-{:04x}{:08x}",
            p.identity.partition_id, a.slot
        );
        let path = format!(
            "LogicalPartition/{}/VirtualFibreChannelClientAdapter/{id}",
            p.uuid
        );
        entry(
            "VirtualFibreChannelClientAdapter",
            &id,
            ask.host,
            &path,
            &inner.concat(),
        )
    });
    adapters.collect()
}
