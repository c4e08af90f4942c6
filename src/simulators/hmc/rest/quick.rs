//! Quick JSON: flat objects, booleans as strings, numbers with exponents, blanks (`hmc.md` § 1.7).

use super::partitions::{rmc, state_word, version};
use super::views::members;
use super::{Ask, Reply};
use crate::simulators::hmc::file::PartitionKind;
use crate::simulators::hmc::partition::{ManagedSystem, Partition};
use crate::simulators::hmc::power;
use crate::simulators::hmc::role::shown_state;
use crate::simulators::ibmi;
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
    let systems = || world.console.systems.iter();
    let of_system = |uuid: &str, kind: fn(PartitionKind) -> bool| -> Option<Value> {
        let system = systems().find(|m| m.uuid.eq_ignore_ascii_case(uuid))?;
        let members = members(world, &system.name, kind);
        let objects = members.iter().map(|p| partition(world, ask, p));
        Some(Value::Array(objects.collect()))
    };
    let found = match parts {
        ["ManagedSystem", "quick", "All"] => Some(Value::Array(
            systems().map(|s| managed_system(world, s)).collect(),
        )),
        ["ManagedSystem", uuid, "quick"] => systems()
            .find(|s| s.uuid.eq_ignore_ascii_case(uuid))
            .map(|s| managed_system(world, s)),
        ["ManagedSystem", s, "LogicalPartition", "quick", "All"] => {
            of_system(s, |k| k != PartitionKind::Vios)
        }
        ["ManagedSystem", s, "VirtualIOServer", "quick", "All"] => {
            of_system(s, |k| k == PartitionKind::Vios)
        }
        ["LogicalPartition", uuid, "quick"] => {
            let p = world.console.by_uuid(uuid);
            p.filter(|p| p.kind != PartitionKind::Vios)
                .map(|p| partition(world, ask, p))
        }
        ["VirtualIOServer", uuid, "quick"] => {
            let p = world.console.by_uuid(uuid);
            p.filter(|p| p.kind == PartitionKind::Vios)
                .map(|p| partition(world, ask, p))
        }
        [
            "LogicalPartition" | "VirtualIOServer",
            uuid,
            "quick",
            "PartitionState",
        ] => world
            .console
            .by_uuid(uuid)
            .map(|p| json!(state_word(&shown_state(p)))),
        _ => None,
    };
    match found {
        Some(value) if value.as_array().is_some_and(Vec::is_empty) => Reply::empty(204),
        // The real one writes some numbers with exponents.
        Some(value) => Reply::json(value.to_string().replace(":5120,", ":5.12E+3,")),
        None => Reply::not_found(ask.path),
    }
}

fn managed_system(world: &World, s: &ManagedSystem) -> Value {
    json!({
        "SystemName": s.name, "UUID": world.console.written(&s.uuid),
        "MTMS": format!("{}*{}", s.type_model, s.serial), "State": s.state,
        "SystemFirmware": "FW1050.10 (116)", "ReferenceCode": " ", "MergedReferenceCode": " ",
        "IsClassicHMCManagement": "true", "IsPowerVMManagementMaster": "false",
        "MaximumPartitions": 400, "InstalledSystemMemory": 5120, "IPAddress": "10.0.9.1",
        "Description": null, "ActivatedLevel": "116"
    })
}

/// Partitions and VIOSes have fields of their own besides the common ones.
fn partition(world: &World, ask: &Ask<'_>, p: &Partition) -> Value {
    let system = world.console.system(&p.system);
    let system = world
        .console
        .written(system.map_or("", |s| s.uuid.as_str()));
    let code = power::reference_code(world, &p.name);
    let attention = ibmi::attention(world, &p.name);
    let rmc = rmc(world, p);
    let mut object = json!({
        "PartitionName": p.name, "PartitionID": p.identity.partition_id,
        "PartitionType": p.kind.as_str(), "PartitionState": state_word(&shown_state(p)),
        "RMCState": rmc, "UUID": world.console.written(p.uuid.as_str()),
        "OperatingSystemVersion": version(p), "ReferenceCode": code,
        "AssociatedManagedSystem": format!("https://{}/rest/api/uom/ManagedSystem/{system}", ask.host),
        "IsVirtualServiceAttentionLEDOn": attention.to_string(), "CurrentMemory": 5120,
        "HasDedicatedProcessors": "false", "SharingMode": "uncapped",
        "CurrentProcessors": null, "CurrentProcessingUnits": 0.2
    });
    let more = if p.kind == PartitionKind::Vios {
        let on = (rmc == "active").to_string();
        json!({
            "APICapable": on, "VirtualIOServerLicenseAccepted": "true",
            "ResourceMonitoringIPAddress": "10.0.9.2", "AllocatedVirtualProcessors": 2
        })
    } else {
        json!({ "MigrationState": "Not_Migrating", "ProgressState": null, "RemoteRestartState": "Invalid" })
    };
    if let (Value::Object(all), Value::Object(more)) = (&mut object, more) {
        all.extend(more);
    }
    object
}
