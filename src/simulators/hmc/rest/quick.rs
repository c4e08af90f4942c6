//! Quick JSON: flat objects, booleans as strings, numbers with exponents, blanks (`hmc.md` § 1.7).

use super::{Ask, Reply};
use crate::simulators::hmc::file::PartitionKind;
use crate::simulators::hmc::partition::Partition;
use crate::simulators::hmc::role::shown_state;
use crate::simulators::hmc::{power, rest::views::state_word};
use crate::simulators::world::World;
use serde_json::{Value, json};

pub(super) fn answer(world: &World, ask: &Ask<'_>, parts: &[&str]) -> Reply {
    // Typed Accept on quick is not liked by some levels: any uom type is refused here.
    if ask.accept.contains("powervm.uom+xml") {
        return Reply::error(
            406,
            ask.path,
            "The requested media type is not supported.",
            "REST0006 Not acceptable.",
        );
    }
    let of_system = |s: &str, kind: fn(PartitionKind) -> bool| -> Option<Value> {
        let system = world
            .console
            .systems
            .iter()
            .find(|m| m.uuid.eq_ignore_ascii_case(s))?;
        let members = world
            .console
            .partitions
            .values()
            .filter(|p| p.system == system.name && kind(p.kind));
        Some(Value::Array(
            members.map(|p| partition(world, ask, p)).collect(),
        ))
    };
    let found = match parts {
        ["ManagedSystem", "quick", "All"] => Some(Value::Array(
            world
                .console
                .systems
                .iter()
                .map(|s| managed_system(&s.uuid, world))
                .collect(),
        )),
        ["ManagedSystem", uuid, "quick"] => {
            Some(managed_system(uuid, world)).filter(|v| !v.is_null())
        }
        ["ManagedSystem", s, "LogicalPartition", "quick", "All"] => {
            of_system(s, |k| k != PartitionKind::Vios)
        }
        ["ManagedSystem", s, "VirtualIOServer", "quick", "All"] => {
            of_system(s, |k| k == PartitionKind::Vios)
        }
        ["LogicalPartition", uuid, "quick"] | ["VirtualIOServer", uuid, "quick"] => world
            .console
            .by_uuid(uuid)
            .map(|p| partition(world, ask, p)),
        ["LogicalPartition", uuid, "quick", "PartitionState"] => world
            .console
            .by_uuid(uuid)
            .map(|p| json!(state_word(&shown_state(p)))),
        _ => None,
    };
    match found {
        Some(value) if value.as_array().is_some_and(Vec::is_empty) => Reply::empty(204),
        Some(value) => Reply::json(value.to_string().replace("262144", "2.62144E+5")),
        None => Reply::not_found(ask.path),
    }
}

fn managed_system(uuid: &str, world: &World) -> Value {
    let Some(s) = world
        .console
        .systems
        .iter()
        .find(|s| s.uuid.eq_ignore_ascii_case(uuid))
    else {
        return Value::Null;
    };
    json!({
        "SystemName": s.name, "UUID": s.uuid, "MTMS": format!("{}*{}", s.type_model, s.serial), "State": s.state,
        "SystemFirmware": "FW1050.10 (116)", "ReferenceCode": " ", "MergedReferenceCode": " ",
        "IsClassicHMCManagement": "true", "IsPowerVMManagementMaster": "false", "MaximumPartitions": 400,
        "InstalledSystemMemory": 262_144, "IPAddress": "10.0.9.1", "Description": null
    })
}

fn partition(world: &World, ask: &Ask<'_>, p: &Partition) -> Value {
    let system = world
        .console
        .system(&p.system)
        .map(|s| s.uuid.clone())
        .unwrap_or_default();
    let rmc = match p.kind {
        PartitionKind::OS400 => "none",
        PartitionKind::AixLinux => "active",
        PartitionKind::Vios if world.vioses.get(&p.name).is_some_and(|v| v.rmc) => "active",
        PartitionKind::Vios => "inactive",
    };
    let code = power::reference_code(world, &p.name);
    json!({
        "PartitionName": p.name, "PartitionID": p.identity.partition_id, "PartitionType": p.kind.as_str(),
        "PartitionState": state_word(&shown_state(p)), "RMCState": rmc, "UUID": p.uuid.as_str(),
        "OperatingSystemVersion": "Unknown", "MigrationState": "Not_Migrating",
        "ReferenceCode": if code.is_empty() { " ".to_owned() } else { code },
        "AssociatedManagedSystem": format!("https://{}/rest/api/uom/ManagedSystem/{system}", ask.host),
        "IsVirtualServiceAttentionLEDOn": "false", "CurrentMemory": 1024.0, "ProgressState": null
    })
}
