//! Virtual Fibre Channel on a VIOS: server adapters, the physical port behind them, `vfcmap` (`hmc.md` § 5.2, § 5.3).

use super::Vios;
use super::commands::Output;
use super::listings::{Row, server_location, table};
use super::options::Options;
use crate::simulators::hmc;
use crate::simulators::hmc::{FibreChannelFile, Partition};
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::World;
use std::fmt::Write as _;

/// The one physical port.
const PORT: &str = "fcs0";

/// Virtual Fibre Channel client adapters that a VIOS serves, with the number of their server adapter.
pub(crate) fn fibre_channel<'w>(
    world: &'w World,
    vios: &'w str,
) -> impl Iterator<Item = (usize, &'w Partition, &'w FibreChannelFile)> {
    let partitions = world.console.partitions.values();
    let adapters = partitions.flat_map(|p| p.fibre_channel.iter().map(move |a| (p, a)));
    adapters
        .filter(move |(_, a)| a.vios == vios)
        .enumerate()
        .map(|(n, (p, a))| (n, p, a))
}

/// Slot of the n-th virtual Fibre Channel server adapter.
pub(crate) fn fibre_channel_slot(number: usize) -> u32 {
    100 + u32::try_from(number).unwrap_or_default()
}

/// Twelve fields per server adapter.
pub(super) fn lsmap_npiv(world: &World, vios: &Vios, options: &Options<'_>) -> Output {
    let mut rows: Vec<Row> = Vec::new();
    for (n, p, adapter) in fibre_channel(world, &vios.name) {
        let on = hmc::is_on(world, &p.name);
        let system = match (on, p.kind.as_str()) {
            (true, "OS400") => "IBM i",
            (true, "AIX/Linux") => "AIX",
            _ => " ",
        };
        let client_base = world.console.location(&p.system);
        let place = |text: String| if on { text } else { " ".to_owned() };
        let port = |text: &str| if adapter.connected { text } else { " " }.to_owned();
        let logged_in = on && adapter.connected;
        rows.push(vec![
            ("name", format!("vfchost{n}")),
            (
                "physloc",
                server_location(world, &vios.name, fibre_channel_slot(n)),
            ),
            ("clntid", p.identity.partition_id.to_string()),
            ("clntname", p.name.clone()),
            ("clntos", system.to_owned()),
            (
                "status",
                if logged_in {
                    "LOGGED_IN"
                } else {
                    "NOT_LOGGED_IN"
                }
                .to_owned(),
            ),
            ("fc", port(PORT)),
            ("fcphysloc", port("U78DA.ND0.WZS01AB-P0-C2-T0")),
            ("ports", if logged_in { "1" } else { "0" }.to_owned()),
            ("flags", if logged_in { "a" } else { "4" }.to_owned()),
            ("vfcclient", place(format!("DC{:02}", adapter.slot))),
            (
                "vfcclientdrc",
                place(format!(
                    "{client_base}-V{}-C{}",
                    p.identity.partition_id, adapter.slot
                )),
            ),
        ]);
    }
    if let Some(wanted) = options.value("vadapter") {
        rows.retain(|r| r.first().is_some_and(|(_, name)| name == wanted));
        if rows.is_empty() {
            return Output::failed(
                2,
                format!("Device \"{wanted}\" is not a valid virtual server adapter.\n"),
            );
        }
    }
    if options.has("fmt") {
        return table(&rows, options, "lsmap");
    }
    let titles = [
        "Name",
        "Physloc",
        "ClntID",
        "ClntName",
        "ClntOS",
        "Status",
        "FC name",
        "FC loc code",
        "Ports logged in",
        "Flags",
        "VFC client name",
        "VFC client DRC",
    ];
    let mut text = String::new();
    for row in &rows {
        for (title, (_, value)) in titles.iter().zip(row) {
            let _ = writeln!(text, "{title:<22}{}", value.trim());
        }
        text.push('\n');
    }
    Output::done(text)
}

/// `lsnports`: the physical port and how many virtual ports it has left.
pub(super) fn lsnports(world: &World, vios: &Vios, options: &Options<'_>) -> Output {
    let used = fibre_channel(world, &vios.name).count();
    let row = vec![
        ("name", PORT.to_owned()),
        ("physloc", "U78DA.ND0.WZS01AB-P0-C2-T0".to_owned()),
        ("fabric", "1".to_owned()),
        ("tports", "64".to_owned()),
        ("aports", 64usize.saturating_sub(used).to_string()),
        ("swwpns", "2048".to_owned()),
        ("awwpns", 2048usize.saturating_sub(used * 2).to_string()),
    ];
    let mut output = table(&[row], options, "lsnports");
    if !options.has("fmt") {
        output.text = format!(
            "name             physloc          fabric           tports           aports           swwpns           awwpns\n{}",
            output.text
        );
    }
    output
}

/// `vfcmap -vadapter NAME -fcp [PORT]`: connects a server adapter to a physical port; without one it is disconnected.
pub(super) fn vfcmap(world: &mut World, vios: &str, options: &Options<'_>) -> Output {
    let (Some(adapter), true) = (options.value("vadapter"), options.has("fcp")) else {
        return Output::failed(
            1,
            "usage: vfcmap -vadapter VirtualServerAdapter -fcp FCPName\n",
        );
    };
    let mut adapters = fibre_channel(world, vios);
    let Some((place, connected)) = adapters
        .find(|(n, ..)| format!("vfchost{n}") == adapter)
        .map(|(_, p, a)| ((p.name.clone(), a.slot), a.connected))
    else {
        return Output::failed(
            2,
            format!("Device \"{adapter}\" is not a valid virtual server adapter.\n"),
        );
    };
    drop(adapters);
    let port = options.value("fcp");
    if let Some(unknown) = port.filter(|p| *p != PORT) {
        return Output::failed(2, format!("Device \"{unknown}\" is not a valid FC port.\n"));
    }
    if connected && port.is_none() && hmc::is_on(world, &place.0) {
        world.violation(
            ViolationKind::MappingWhileRunning,
            format!(
                "vfcmap {adapter} without a port on {vios} while {} was on",
                place.0
            ),
        );
    }
    connect(world, &place, port.is_some());
    world.ledger.effect(format!("vios.{vios}.vfcmap"));
    Output::done("")
}

fn connect(world: &mut World, (partition, slot): &(String, u32), connected: bool) {
    let partition = world.console.partitions.get_mut(partition);
    let mut adapters = partition.into_iter().flat_map(|p| &mut p.fibre_channel);
    if let Some(adapter) = adapters.find(|a| a.slot == *slot) {
        adapter.connected = connected;
    }
}
