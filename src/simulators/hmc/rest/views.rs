//! Feeds and entries of the object model: which object a path names (`hmc.md` § 1.6).

use super::atom::{Object, console_uuid, element, etag, feed, group, links};
use super::{Ask, Reply, adapters, partitions, vios_views};
use crate::simulators::hmc::file::PartitionKind;
use crate::simulators::hmc::partition::{ManagedSystem, Partition};
use crate::simulators::world::World;

/// Extended attribute groups of this level; another name is 400 (`hmc.md` § 1.6).
const GROUPS: [&str; 13] = [
    "None",
    "All",
    "Advanced",
    "Hypervisor",
    "SystemNetwork",
    "EnergyManagement",
    "NVRAM",
    "TierThreshold",
    "VNIC",
    "ViosSCSIMapping",
    "ViosFCMapping",
    "ViosStorage",
    "ViosNetwork",
];

/// The groups a request asks for; percent-encoded commas occur.
pub(super) fn groups<'q>(ask: &Ask<'q>) -> Vec<&'q str> {
    let parameters = ask.query.split('&');
    let wanted = parameters.filter_map(|p| p.strip_prefix("group="));
    wanted
        .flat_map(|list| list.split("%2C").flat_map(|part| part.split(',')))
        .filter(|name| !name.is_empty())
        .collect()
}

pub(super) fn answer(world: &World, ask: &Ask<'_>, parts: &[&str]) -> Reply {
    if let Some(wrong) = groups(ask).into_iter().find(|g| !GROUPS.contains(g)) {
        return Reply::error(
            400,
            ask.path,
            "The value of a query parameter is not valid.",
            &format!("REST0026 The extended attribute group {wrong} is not supported."),
        );
    }
    let found = match parts.first() {
        Some(&"ManagementConsole") => consoles(world, ask, parts),
        Some(&"ManagedSystem") => systems(world, ask, parts),
        Some(&"LogicalPartition") => of_partitions(world, ask, parts),
        Some(&"VirtualIOServer") => of_vioses(world, ask, parts),
        Some(_) | None => None,
    };
    found.unwrap_or_else(|| Reply::not_found(ask.path))
}

fn consoles(world: &World, ask: &Ask<'_>, parts: &[&str]) -> Option<Reply> {
    match parts {
        ["ManagementConsole"] => Some(of_feed(ask, vec![console(world, ask)])),
        ["ManagementConsole", uuid] if uuid.eq_ignore_ascii_case(&console_uuid(ask.endpoint)) => {
            Some(of_entry(ask, &console(world, ask)))
        }
        _ => None,
    }
}

fn systems(world: &World, ask: &Ask<'_>, parts: &[&str]) -> Option<Reply> {
    let all = world.console.systems.iter();
    let one = |uuid: &str| {
        let mut all = world.console.systems.iter();
        all.find(|s| s.uuid.eq_ignore_ascii_case(uuid))
    };
    match parts {
        ["ManagedSystem"] => Some(of_feed(
            ask,
            all.map(|s| managed_system(world, ask, s)).collect(),
        )),
        ["ManagedSystem", "search", condition] => {
            Some(searching(ask, condition, "SystemName", |name| {
                all.filter(|s| s.name == name)
                    .map(|s| managed_system(world, ask, s))
                    .collect()
            }))
        }
        ["ManagedSystem", uuid] => one(uuid).map(|s| of_entry(ask, &managed_system(world, ask, s))),
        ["ManagedSystem", uuid, "LogicalPartition"] => {
            let members = members(world, &one(uuid)?.name, |k| k != PartitionKind::Vios);
            let objects = members.iter().map(|p| partitions::partition(world, ask, p));
            Some(of_feed(ask, objects.collect()))
        }
        ["ManagedSystem", uuid, "VirtualIOServer"] => {
            let members = members(world, &one(uuid)?.name, |k| k == PartitionKind::Vios);
            Some(vios_feed(world, ask, &members))
        }
        ["ManagedSystem", uuid, rest @ ..] => {
            one(uuid)?;
            match rest.first() {
                Some(&"LogicalPartition") => of_partitions(world, ask, rest),
                Some(&"VirtualIOServer") => of_vioses(world, ask, rest),
                Some(_) | None => None,
            }
        }
        _ => None,
    }
}

/// Partitions of a system, as far as the console reaches it.
pub(super) fn members<'w>(
    world: &'w World,
    system: &str,
    kind: fn(PartitionKind) -> bool,
) -> Vec<&'w Partition> {
    let all = world.console.partitions.values();
    all.filter(|p| p.system == system && kind(p.kind) && world.console.reaches(system))
        .collect()
}

/// With `ignoreError=true` a VIOS that does not answer comes with partial data; without, it fails the whole feed.
fn vios_feed(world: &World, ask: &Ask<'_>, vioses: &[&Partition]) -> Reply {
    let ignore = ask.query.contains("ignoreError=true");
    let mut objects = Vec::new();
    for p in vioses {
        match vios_views::object(world, ask, p, ignore) {
            Ok(object) => objects.push(object),
            Err(reply) => return reply,
        }
    }
    of_feed(ask, objects)
}

fn of_partitions(world: &World, ask: &Ask<'_>, parts: &[&str]) -> Option<Reply> {
    let client = |uuid: &str| {
        let p = world.console.by_uuid(uuid);
        p.filter(|p| p.kind != PartitionKind::Vios)
    };
    let every = || {
        let all = world.console.partitions.values();
        all.filter(|p| p.kind != PartitionKind::Vios && world.console.reaches(&p.system))
    };
    match parts {
        ["LogicalPartition"] => {
            let objects = every().map(|p| partitions::partition(world, ask, p));
            Some(of_feed(ask, objects.collect()))
        }
        ["LogicalPartition", "search", condition] => {
            Some(searching(ask, condition, "PartitionName", |name| {
                every()
                    .filter(|p| p.name == name)
                    .map(|p| partitions::partition(world, ask, p))
                    .collect()
            }))
        }
        ["LogicalPartition", uuid] => {
            client(uuid).map(|p| of_entry(ask, &partitions::partition(world, ask, p)))
        }
        ["LogicalPartition", uuid, "LogicalPartitionProfile"] => {
            let p = client(uuid)?;
            let profiles = p.profiles.iter();
            let objects = profiles.map(|(id, name)| partitions::profile(p, id, name));
            Some(of_feed(ask, objects.collect()))
        }
        ["LogicalPartition", uuid, "LogicalPartitionProfile", wanted] => {
            let p = client(uuid)?;
            let mut profiles = p.profiles.iter();
            let (id, name) = profiles.find(|(id, _)| id.eq_ignore_ascii_case(wanted))?;
            Some(of_entry(ask, &partitions::profile(p, id, name)))
        }
        ["LogicalPartition", uuid, "VirtualSCSIClientAdapter"] => {
            Some(of_feed(ask, adapters::scsi(world, ask, client(uuid)?)))
        }
        ["LogicalPartition", uuid, "VirtualFibreChannelClientAdapter"] => Some(of_feed(
            ask,
            adapters::fibre_channel(world, ask, client(uuid)?),
        )),
        ["LogicalPartition", uuid, "VirtualSCSIClientAdapter", id] => {
            of_these(ask, &adapters::scsi(world, ask, client(uuid)?), id)
        }
        [
            "LogicalPartition",
            uuid,
            "VirtualFibreChannelClientAdapter",
            id,
        ] => of_these(ask, &adapters::fibre_channel(world, ask, client(uuid)?), id),
        _ => None,
    }
}

fn of_vioses(world: &World, ask: &Ask<'_>, parts: &[&str]) -> Option<Reply> {
    let one = |uuid: &str| {
        let p = world.console.by_uuid(uuid);
        p.filter(|p| p.kind == PartitionKind::Vios)
    };
    match parts {
        ["VirtualIOServer"] => {
            let all = world.console.systems.iter();
            let vioses: Vec<&Partition> = all
                .flat_map(|s| members(world, &s.name, |k| k == PartitionKind::Vios))
                .collect();
            Some(vios_feed(world, ask, &vioses))
        }
        ["VirtualIOServer", uuid] => {
            let object = vios_views::object(world, ask, one(uuid)?, false);
            Some(object.map_or_else(|reply| reply, |o| of_entry(ask, &o)))
        }
        ["VirtualIOServer", uuid, "VirtualSCSIServerAdapter"] => {
            Some(of_feed(ask, adapters::scsi_servers(world, one(uuid)?)))
        }
        ["VirtualIOServer", uuid, "VirtualSCSIServerAdapter", id] => {
            of_these(ask, &adapters::scsi_servers(world, one(uuid)?), id)
        }
        _ => None,
    }
}

/// The one of these with this id.
fn of_these(ask: &Ask<'_>, objects: &[Object], id: &str) -> Option<Reply> {
    let found = objects.iter().find(|o| o.id.eq_ignore_ascii_case(id))?;
    Some(of_entry(ask, found))
}

/// One entry, with its etag.
fn of_entry(ask: &Ask<'_>, object: &Object) -> Reply {
    Reply {
        etag: Some(object.etag()),
        ..Reply::atom(object.entry(ask))
    }
}

/// An empty collection is 204 without a body.
fn of_feed(ask: &Ask<'_>, objects: Vec<Object>) -> Reply {
    if objects.is_empty() {
        return Reply::empty(204);
    }
    let tags: String = objects.iter().map(|o| o.etag().to_string()).collect();
    Reply {
        etag: Some(etag(&tags)),
        ..Reply::atom(feed(ask, &objects))
    }
}

/// `(PartitionName=='NAME')`, with or without quotes; anything else is a bad expression.
fn searching(
    ask: &Ask<'_>,
    condition: &str,
    field: &str,
    found: impl FnOnce(&str) -> Vec<Object>,
) -> Reply {
    let inner = condition.trim_start_matches('(').trim_end_matches(')');
    match inner.split_once("==") {
        Some((key, wanted)) if key.trim() == field => {
            of_feed(ask, found(wanted.trim().trim_matches(['\'', '"'])))
        }
        Some(_) | None => Reply::error(
            400,
            ask.path,
            "The search expression is not valid.",
            &format!("REST0027 The search expression {condition} is not valid."),
        ),
    }
}

fn console(world: &World, ask: &Ask<'_>) -> Object {
    let id = console_uuid(ask.endpoint);
    let path = format!("ManagementConsole/{id}");
    let version = [
        ("BuildLevel", "2308150456"),
        ("Maintenance", "1060"),
        ("Minor", "0"),
        ("Release", "3"),
        ("ServicePackName", "1060"),
        ("Version", "10"),
    ];
    let mtms = [
        ("MachineType", "7063"),
        ("Model", "CR2"),
        ("SerialNumber", "78SIMUL"),
    ];
    let fields =
        |fields: &[(&str, &str)]| -> String { fields.iter().map(|(n, v)| element(n, v)).collect() };
    let systems = world.console.systems.iter();
    // The name comes with a line break behind it, as the recorded one.
    let inner = [
        group("MachineTypeModelAndSerialNumber", &fields(&mtms)),
        links(
            ask,
            "ManagedSystems",
            systems.map(|s| format!("{path}/ManagedSystem/{}", s.uuid)),
        ),
        element(
            "ManagementConsoleName",
            &format!("{}\n", world.console.name),
        ),
        group("VersionInfo", &fields(&version)),
        element("BaseVersion", "V10R3"),
    ];
    Object {
        kind: "ManagementConsole",
        id,
        path,
        inner: inner.concat(),
    }
}

fn managed_system(world: &World, ask: &Ask<'_>, s: &ManagedSystem) -> Object {
    let (machine_type, model) = s.type_model.split_once('-').unwrap_or((&s.type_model, ""));
    let id = world.console.written(&s.uuid);
    let path = format!("ManagedSystem/{id}");
    let of = |kind: &str, members: Vec<&Partition>| -> Vec<String> {
        let uuids = members
            .iter()
            .map(|p| world.console.written(p.uuid.as_str()));
        uuids.map(|uuid| format!("{path}/{kind}/{uuid}")).collect()
    };
    let clients = members(world, &s.name, |k| k != PartitionKind::Vios);
    let servers = members(world, &s.name, |k| k == PartitionKind::Vios);
    let mtms = [
        element("MachineType", machine_type),
        element("Model", model),
        element("SerialNumber", &s.serial),
    ];
    let inner = [
        links(
            ask,
            "AssociatedLogicalPartitions",
            of("LogicalPartition", clients),
        ),
        links(
            ask,
            "AssociatedVirtualIOServers",
            of("VirtualIOServer", servers),
        ),
        element("DetailedState", "None"),
        group("MachineTypeModelAndSerialNumber", &mtms.concat()),
        element("MaximumPartitions", "400"),
        element("PrimaryIPAddress", "10.0.9.1"),
        element("State", &s.state),
        element("SystemName", &s.name),
        element("SystemTime", &world.now.timestamp_millis().to_string()),
        element("ReferenceCode", " "),
        element("MergedReferenceCode", " "),
        element("SystemFirmware", "FW1050.10 (116)"),
        element("IsPowerVMManagementMaster", "false"),
        element("IsClassicHMCManagement", "true"),
    ];
    Object {
        kind: "ManagedSystem",
        id,
        path,
        inner: inner.concat(),
    }
}
