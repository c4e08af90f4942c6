//! The padmin command line: the verbs a clone run needs (`hmc.md` § 5.2), with their refusals.

use super::disks::{configure, renumber};
use super::listings::{chkdev, lsdev, lsmap, lspv};
use super::npiv::{lsnports, vfcmap};
use super::options::Options;
use super::{Hdisk, Vios, client_of, vhosts_of};
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::hmc;
use crate::simulators::ledger::ViolationKind;
use crate::simulators::world::World;

/// What a command printed and its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// 0 = done.
    pub status: i32,
    /// Both streams.
    pub text: String,
}

impl Output {
    pub(super) fn done(text: impl Into<String>) -> Self {
        Self {
            status: 0,
            text: text.into(),
        }
    }
    pub(super) fn failed(status: i32, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

/// Executes one command line of `padmin` on a VIOS.
pub fn command(world: &mut World, vios: &str, line: &str) -> Output {
    let words: Vec<&str> = line.split_whitespace().filter(|w| *w != "ioscli").collect();
    let Some((verb, arguments)) = words.split_first() else {
        return Output::failed(1, "no command");
    };
    let special = world.faults.take_special(Device::Vios, vios, verb);
    if special.as_deref() == Some("renumber") {
        renumber(world, vios);
    }
    match world.faults.take(Device::Vios, vios, line.trim()) {
        Some(FaultKind::Busy) => {
            return Output::failed(4, "VIOS0014 The system is currently too busy. HSCL3205");
        }
        Some(FaultKind::Refuse { code, text }) => {
            return Output::failed(4, format!("{code} {text}"));
        }
        // The command runs, but the console's answer to whoever sent it never arrives.
        Some(FaultKind::AnswerLost) => world.console.answer_lost = true,
        Some(
            FaultKind::Refused
            | FaultKind::NoAnswer
            | FaultKind::Delay { .. }
            | FaultKind::Special(_),
        )
        | None => {}
    }
    let options = Options::parse(arguments);
    match *verb {
        "ioslevel" => Output::done("3.1.4.21\n"),
        "cfgdev" => {
            if let Some(wrong) = options.value("dev").filter(|d| !d.starts_with("fscsi")) {
                return no_device("cfgdev", wrong);
            }
            configure(world, vios);
            world.ledger.effect(format!("vios.{vios}.cfgdev"));
            Output::done("")
        }
        "lspv" => with(world, vios, |w, v| lspv(w, v, &options)),
        "lsnports" => with(world, vios, |w, v| lsnports(w, v, &options)),
        "lsdev" => with(world, vios, |_, v| lsdev(v, &options)),
        "lsmap" => with(world, vios, |w, v| lsmap(w, v, &options)),
        "chkdev" => with(world, vios, |_, v| chkdev(v, &options)),
        "chdev" => chdev(world, vios, &options),
        "mkvdev" => mkvdev(world, vios, &options),
        "rmvdev" => rmvdev(world, vios, &options),
        "vfcmap" => vfcmap(world, vios, &options),
        "rmdev" => rmdev(world, vios, &options),
        _ => Output::failed(1, format!("rksh: {verb}: not found")),
    }
}

fn with(world: &World, vios: &str, f: impl FnOnce(&World, &Vios) -> Output) -> Output {
    world
        .vioses
        .get(vios)
        .map_or_else(|| Output::failed(2, "no such VIOS"), |v| f(world, v))
}

/// The AIX message for a device that is not there.
pub(super) fn no_device(verb: &str, name: &str) -> Output {
    Output::failed(
        2,
        format!(
            "Some error messages may contain invalid information\nfor the Virtual I/O Server environment.\n\n{verb}: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{name}\n"
        ),
    )
}

fn chdev(world: &mut World, vios: &str, options: &Options<'_>) -> Output {
    let (Some(name), Some(attribute)) = (options.value("dev"), options.value("attr")) else {
        return Output::failed(1, "usage: chdev -dev Name -attr Attribute=Value");
    };
    let Some((key, value)) = attribute.split_once('=') else {
        return Output::failed(1, "chdev: 0514-018 bad attribute");
    };
    if key != "reserve_policy" {
        return Output::failed(
            1,
            format!(
                "chdev: 0514-018 The values specified for the following attributes\n\tare not valid: {key}"
            ),
        );
    }
    let Some(v) = world.vioses.get_mut(vios) else {
        return no_device("chdev", name);
    };
    let mapped = v.vtds.iter().any(|t| t.hdisk == name);
    let Some(disk) = v.hdisks.iter_mut().find(|d| d.name == name) else {
        return no_device("chdev", name);
    };
    if mapped && disk.reserve_policy != value {
        return Output::failed(
            4,
            format!(
                "chdev: 0514-062 Cannot perform the requested function because the\n\tspecified device is busy: {name}"
            ),
        );
    }
    disk.reserve_policy = value.to_owned();
    Output::done(format!("{name} changed\n"))
}

fn while_running(world: &mut World, vios: &str, vhost: &str, what: &str) {
    if let Some((client, ..)) = client_of(world, vios, vhost)
        && hmc::is_on(world, &client)
    {
        world.violation(
            ViolationKind::MappingWhileRunning,
            format!("{what} on {vios} while {client} was on"),
        );
    }
}

fn mkvdev(world: &mut World, vios: &str, options: &Options<'_>) -> Output {
    let (Some(disk), Some(vhost)) = (options.value("vdev"), options.value("vadapter")) else {
        return Output::failed(
            1,
            "usage: mkvdev [-f] -vdev TargetDevice -vadapter VirtualServerAdapter [-dev DeviceName]",
        );
    };
    if !vhosts_of(world, vios).iter().any(|v| v == vhost) {
        return Output::failed(
            2,
            format!("\"{vhost}\" is not a valid virtual server adapter."),
        );
    }
    let Some(v) = world.vioses.get(vios) else {
        return no_device("mkvdev", disk);
    };
    match v.disk(disk) {
        Some(d) if d.volume_group.is_some() => {
            return Output::failed(
                4,
                format!("Volume group must be varied off: {disk} belongs to a volume group.\n"),
            );
        }
        Some(d) if !d.defined => {}
        Some(_) | None => {
            return Output::failed(2, format!("Device \"{disk}\" is not in AVAILABLE state.\n"));
        }
    }
    let name = options
        .value("dev")
        .map_or_else(|| format!("vtscsi{}", v.vtds.len()), str::to_owned);
    if name.len() > 15 {
        return Output::failed(
            1,
            format!("mkvdev: 0514-023 The device name {name} is longer than 15 characters."),
        );
    }
    if v.vtds.iter().any(|t| t.name == name) {
        return Output::failed(
            4,
            format!("mkvdev: 0514-520 A device named {name} is already defined."),
        );
    }
    let in_use = v.vtds.iter().any(|t| t.hdisk == disk);
    if in_use && !options.has("f") {
        return Output::failed(
            4,
            format!(
                "\"{disk}\" is already being used as a backing device.  Specify the -f flag\nto force this device to be used anyway.\n"
            ),
        );
    }
    if in_use {
        world.violation(
            ViolationKind::ForcedMapping,
            format!("{disk} of {vios} was mapped a second time with -f"),
        );
    }
    while_running(world, vios, vhost, &format!("mkvdev {name}"));
    if let Some(v) = world.vioses.get_mut(vios) {
        v.add_vtd(&name, vhost, disk);
    }
    world.ledger.effect(format!("vios.{vios}.mkvdev"));
    Output::done(format!("{name} Available\n"))
}

fn rmvdev(world: &mut World, vios: &str, options: &Options<'_>) -> Output {
    let Some(v) = world.vioses.get(vios) else {
        return no_device("rmvdev", vios);
    };
    let doomed: Vec<(String, String)> = match (options.value("vtd"), options.value("vdev")) {
        (Some(vtd), _) => v
            .vtds
            .iter()
            .filter(|t| t.name == vtd)
            .map(|t| (t.name.clone(), t.vhost.clone()))
            .collect(),
        (None, Some(disk)) => v
            .vtds
            .iter()
            .filter(|t| t.hdisk == disk)
            .map(|t| (t.name.clone(), t.vhost.clone()))
            .collect(),
        (None, None) => {
            return Output::failed(
                1,
                "usage: rmvdev [-f] {-vdev TargetDevice | -vtd VirtualTargetDevice}",
            );
        }
    };
    if doomed.is_empty() {
        return no_device(
            "rmvdev",
            options
                .value("vtd")
                .or(options.value("vdev"))
                .unwrap_or_default(),
        );
    }
    if doomed.len() > 1 && !options.has("f") {
        return Output::failed(
            4,
            "The device is mapped several times. Specify the -f flag to remove all.",
        );
    }
    let mut text = String::new();
    for (name, vhost) in doomed {
        while_running(world, vios, &vhost, &format!("rmvdev {name}"));
        if let Some(v) = world.vioses.get_mut(vios) {
            v.vtds.retain(|t| t.name != name);
        }
        text.push_str(&format!("{name} deleted\n"));
    }
    world.ledger.effect(format!("vios.{vios}.rmvdev"));
    Output::done(text)
}

fn rmdev(world: &mut World, vios: &str, options: &Options<'_>) -> Output {
    let Some(name) = options.value("dev") else {
        return Output::failed(1, "usage: rmdev -dev Name [-recursive] [-ucfg]");
    };
    let Some(v) = world.vioses.get_mut(vios) else {
        return no_device("rmdev", name);
    };
    let Some(Hdisk { uid, .. }) = v.disk(name) else {
        return no_device("rmdev", name);
    };
    if v.vtds.iter().any(|t| t.hdisk == name) {
        return Output::failed(
            4,
            format!(
                "rmdev: 0514-029 Cannot perform the requested function because a\n\tchild device of the specified device is not in a correct state: {name}"
            ),
        );
    }
    if uid.is_none() {
        return Output::failed(
            4,
            format!(
                "rmdev: 0514-062 Cannot perform the requested function because the\n\tspecified device is busy: {name}"
            ),
        );
    }
    if options.has("ucfg") {
        if let Some(disk) = v.hdisks.iter_mut().find(|d| d.name == name) {
            disk.defined = true;
        }
        return Output::done(format!("{name} Defined\n"));
    }
    v.hdisks.retain(|d| d.name != name);
    world.ledger.effect(format!("vios.{vios}.rmdev"));
    Output::done(format!("{name} deleted\n"))
}
