//! Mappings of volumes to hosts (`storage-virtualize.md` § 5).

use super::volumes::protected;
use super::{Answer, Command, created, object};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::storage::spectrum_virtualize::model::{Array, Host, find, free_id};
use crate::simulators::world::{World, coupling};
use crate::site::Wwpn;

/// Ids of the volume and of the host that a mapping command names.
fn volume_and_host(array: &Array, command: &Command) -> Result<(u32, u32), Answer> {
    let vdisk = object(&array.vdisks, command)?.id;
    let name = command
        .text("host")
        .ok_or_else(|| Answer::refused("CMMVC5707E", "Required parameters are missing."))?;
    let host = find(&array.hosts, &name).ok_or_else(|| Answer::absent(&name))?;
    Ok((vdisk, host.id))
}

/// Tells the world which ports now see more, or less.
fn changed(world: &mut World, command: &Command, host: u32) {
    let host = world.array.hosts.get(&host);
    let ports: Vec<Wwpn> = host
        .into_iter()
        .flat_map(|h| h.wwpns.iter().map(Wwpn::new))
        .collect();
    let volume = command.object.as_deref().unwrap_or_default();
    let what = format!("{} {volume}", command.verb);
    coupling::host_mapping_changed(world, &ports, &what);
}

pub(super) fn map_to_host(world: &mut World, command: &Command) -> Answer {
    let (vdisk, host) = match volume_and_host(&world.array, command) {
        Ok(pair) => pair,
        Err(answer) => return answer,
    };
    let mapped: Vec<u32> = world
        .array
        .hosts_of(vdisk)
        .iter()
        .map(|(_, h)| h.id)
        .collect();
    let Some(Host { luns, .. }) = world.array.hosts.get_mut(&host) else {
        return Answer::absent("host");
    };
    let scsi = match command.text("scsi").map(|s| s.parse::<u32>()) {
        Some(Ok(scsi)) => scsi,
        Some(Err(_)) => return Answer::refused("CMMVC5767E", "-scsi is not valid."),
        None => free_id(luns),
    };
    if luns.contains_key(&scsi) {
        return Answer::refused("CMMVC5879E", "The SCSI ID is already in use on this host.");
    }
    if mapped.contains(&host) {
        return Answer::refused(
            "CMMVC5878E",
            "The virtual disk is already mapped to this host.",
        );
    }
    if !mapped.is_empty() && !command.is_set("force") {
        return Answer::refused(
            "CMMVC6071E",
            "The virtual disk is already mapped to another host.",
        );
    }
    luns.insert(scsi, vdisk);
    if !mapped.is_empty() {
        world.violation(
            ViolationKind::ForcedMapping,
            format!("volume {vdisk} was mapped to a second host with force"),
        );
    }
    changed(world, command, host);
    created(world, &command.verb, scsi, "Virtual Disk to Host map")
}

pub(super) fn unmap_from_host(world: &mut World, command: &Command) -> Answer {
    let (vdisk, host) = match volume_and_host(&world.array, command) {
        Ok(pair) => pair,
        Err(answer) => return answer,
    };
    if let Some(answer) = protected(world, vdisk) {
        return answer;
    }
    let Some(host) = world.array.hosts.get_mut(&host) else {
        return Answer::absent("host");
    };
    let before = host.luns.len();
    host.luns.retain(|_, v| *v != vdisk);
    if host.luns.len() == before {
        return Answer::refused("CMMVC5842E", "The virtual disk is not mapped to this host.");
    }
    let host = host.id;
    changed(world, command, host);
    world.ledger.effect("array.rmvdiskhostmap");
    Answer::Nothing
}
