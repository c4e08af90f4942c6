//! Clones with virtual Fibre Channel adapters, end to end on a real API server against simulated devices on real sockets:
//! host mappings that stay, host mappings that runs swap, and what stops a run before it touches anything.

mod held;
mod refused;
mod runs;

use crate::failures::stage::environments;
use ibmi_clone_operator::simulators::hmc::FibreChannelFile;
use ibmi_clone_operator::simulators::storage::spectrum_virtualize::HostFile;
use ibmi_clone_operator::simulators::world::World;
use ibmi_clone_operator::simulators::world::file::WorldFile;
use serde_json::{Value, json};

/// The four WWPNs of a clone, a pair behind each VIOS.
fn wwpns(clone: &str) -> [String; 4] {
    let digit = &clone[clone.len() - 1..];
    [0, 1, 2, 3].map(|n| format!("c050760a1b2c0{digit}2{n}"))
}

fn adapters(clone: &str) -> Vec<FibreChannelFile> {
    let [a, b, c, d] = wwpns(clone);
    let adapters = json!([
        {"slot": 30, "vios": "VIOS1", "wwpns": [a, b]},
        {"slot": 31, "vios": "VIOS2", "wwpns": [c, d]},
    ]);
    serde_json::from_value(adapters).unwrap()
}

/// Both clones of the demo get virtual Fibre Channel adapters and host objects of their own; no VIOS sees a target.
fn by_fibre_channel(world: &mut WorldFile, mapped: bool) {
    for clone in ["CLONE1", "CLONE2"] {
        let mut partitions = world.console.partitions.iter_mut();
        let partition = partitions.find(|p| p.name == clone).unwrap();
        partition.scsi.clear();
        partition.fibre_channel = adapters(clone);
        let volumes: Vec<String> = (0..4).map(|n| format!("{clone}_{n}")).collect();
        let volumes = if mapped { volumes } else { Vec::new() };
        let host =
            json!({"name": format!("{clone}_LPAR"), "wwpns": wwpns(clone), "volumes": volumes});
        world
            .array
            .hosts
            .push(serde_json::from_value(host).unwrap());
    }
    for vios in ["VIOS1", "VIOS2"] {
        host(world, vios).volumes.clear();
    }
}

fn host<'w>(world: &'w mut WorldFile, name: &str) -> &'w mut HostFile {
    let hosts = &mut world.array.hosts;
    hosts.iter_mut().find(|h| h.name == name).unwrap()
}

/// Host mappings that are there before the first run, and stay.
fn kept(world: &mut WorldFile) {
    by_fibre_channel(world, true);
}

/// None: runs make and remove them.
fn swapped(world: &mut WorldFile) {
    by_fibre_channel(world, false);
}

fn npiv(swap: bool) -> impl Fn(&mut Value) {
    environments(move |s| s["virtualIo"] = json!({"npiv": {"swapHostMappings": swap}}))
}

/// SCSI id and name of everything a host object of the array sees.
fn seen_by(world: &World, host: &str) -> Vec<(u32, String)> {
    let array = &world.array;
    let host = array.hosts.values().find(|h| h.name == host).unwrap();
    let luns = host.luns.iter();
    luns.map(|(scsi, id)| (*scsi, array.vdisks[id].name.clone()))
        .collect()
}

fn in_order(clone: &str) -> Vec<(u32, String)> {
    (0..4).map(|n| (n, format!("{clone}_{n}"))).collect()
}
