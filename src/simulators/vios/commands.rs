//! The padmin command line: the verbs a clone run needs (`hmc.md` § 5.2, § 5.3), with their refusals.

use super::disks::{configure, unique_id};
use super::{Hdisk, Vios, Vtd, client_of, vhosts_of};
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
    fn done(text: impl Into<String>) -> Self {
        Self {
            status: 0,
            text: text.into(),
        }
    }
    fn failed(status: i32, text: impl Into<String>) -> Self {
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
            configure(world, vios);
            world.ledger.effect(format!("vios.{vios}.cfgdev"));
            Output::done("")
        }
        "lspv" => with(world, vios, |_, v| lspv(v)),
        "lsdev" => with(world, vios, |_, v| lsdev(v, &options)),
        "lsmap" => with(world, vios, |w, v| lsmap(w, v, &options)),
        "chkdev" => with(world, vios, |_, v| chkdev(v, &options)),
        "chdev" => chdev(world, vios, &options),
        "mkvdev" => mkvdev(world, vios, &options),
        "rmvdev" => rmvdev(world, vios, &options),
        "rmdev" => rmdev(world, vios, &options),
        _ => Output::failed(1, format!("rksh: {verb}: not found")),
    }
}

/// `-key value` pairs and lone flags.
struct Options<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Options<'a> {
    fn parse(words: &[&'a str]) -> Self {
        let mut options: Vec<(&str, Option<&str>)> = Vec::new();
        for word in words {
            match word.strip_prefix('-') {
                Some(key) if !key.is_empty() && !key.starts_with(|c: char| c.is_ascii_digit()) => {
                    options.push((key, None))
                }
                _ => {
                    if let Some((_, value @ None)) = options.last_mut() {
                        *value = Some(word);
                    }
                }
            }
        }
        Self(options)
    }
    fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(k, _)| *k == key).and_then(|(_, v)| *v)
    }
    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(k, _)| *k == key)
    }
}

fn with(world: &World, vios: &str, f: impl FnOnce(&World, &Vios) -> Output) -> Output {
    world
        .vioses
        .get(vios)
        .map_or_else(|| Output::failed(2, "no such VIOS"), |v| f(world, v))
}

fn lspv(vios: &Vios) -> Output {
    let mut text = String::from(
        "NAME             PVID                                 VG               STATUS\n",
    );
    for disk in &vios.hdisks {
        let (pvid, vg, status) = if disk.uid.is_none() {
            ("00f6db0a6c7aece5", "rootvg", "active")
        } else {
            ("none", "None", "")
        };
        text.push_str(&format!("{:<17}{pvid:<37}{vg:<17}{status}\n", disk.name));
    }
    Output::done(text)
}

fn lsdev(vios: &Vios, options: &Options<'_>) -> Output {
    if let Some(name) = options.value("dev") {
        let Some(disk) = vios.disk(name) else {
            return no_device(name);
        };
        let value = match options.value("attr") {
            Some("unique_id") => disk.uid.as_ref().map(unique_id).unwrap_or_default(),
            Some("reserve_policy") => disk.reserve_policy.clone(),
            Some(attribute) => {
                return Output::failed(
                    2,
                    format!(
                        "lsdev: 0514-528 The \"{attribute}\" attribute does not exist in the predefined\n\tdevice configuration database."
                    ),
                );
            }
            None => {
                return Output::done(format!(
                    "name             status      description\n{name:<17}Available   MPIO IBM 2076 FC Disk\n"
                ));
            }
        };
        return Output::done(format!("value\n\n{value}\n"));
    }
    let separator = options.value("fmt").unwrap_or(" ");
    let rows = vios.hdisks.iter().map(|d| {
        format!(
            "{}{separator}Available{separator}MPIO IBM 2076 FC Disk\n",
            d.name
        )
    });
    Output::done(rows.collect::<String>())
}

fn physloc(world: &World, vios: &str, vhost: &str) -> (String, String) {
    let id = world
        .console
        .identity_of(vios)
        .map_or(0, |i| i.partition_id);
    let model = "U9105.42A.78ABCD0";
    match client_of(world, vios, vhost) {
        Some((client, _, slot)) => {
            let client_id = world
                .console
                .identity_of(&client)
                .map_or(0, |i| i.partition_id);
            (
                format!("{model}-V{id}-C{slot}"),
                format!("0x{client_id:08x}"),
            )
        }
        None => (format!("{model}-V{id}-C0"), "0x00000000".to_owned()),
    }
}

fn disk_location(vios: &Vios, vtd: &Vtd) -> String {
    let at = vios
        .hdisks
        .iter()
        .position(|d| d.name == vtd.hdisk)
        .unwrap_or_default();
    format!("U78DA.ND0.WZS01AB-P0-C2-T0-W500507680B215660-L{at:X}000000000000")
}

fn lsmap(world: &World, vios: &Vios, options: &Options<'_>) -> Output {
    if options.has("npiv") {
        return Output::done("");
    }
    let wanted = options.value("vadapter");
    let names = vhosts_of(world, &vios.name);
    if let Some(vhost) = wanted
        && !names.iter().any(|n| n == vhost)
    {
        return Output::failed(
            2,
            format!("\"{vhost}\" is not a valid virtual server adapter."),
        );
    }
    let chosen: Vec<&String> = names
        .iter()
        .filter(|n| wanted.is_none_or(|w| w == n.as_str()))
        .collect();
    let mut text = String::new();
    for vhost in chosen {
        let (location, client) = physloc(world, &vios.name, vhost);
        let mut vtds: Vec<&Vtd> = vios.vtds.iter().filter(|v| &v.vhost == vhost).collect();
        vtds.sort_by_key(|v| v.lun);
        match options.value("fmt") {
            Some(s) => {
                text.push_str(&format!("{vhost}{s}{location}{s}{client}"));
                if vtds.is_empty() {
                    text.push_str(&format!("{s} {s} {s} {s} {s} {s} "));
                }
                for v in vtds {
                    let lun = format!("0x{:02x}00000000000000", v.lun);
                    let place = disk_location(vios, v);
                    text.push_str(&format!(
                        "{s}{}{s}Available{s}{lun}{s}{}{s}{place}{s}false",
                        v.name, v.hdisk
                    ));
                }
                text.push('\n');
            }
            None => {
                text.push_str("SVSA            Physloc                                      Client Partition ID\n");
                text.push_str("--------------- -------------------------------------------- ------------------\n");
                text.push_str(&format!("{vhost:<16}{location:<45}{client}\n\n"));
                if vtds.is_empty() {
                    text.push_str("VTD                   NO VIRTUAL TARGET DEVICE FOUND\n\n");
                }
                for v in vtds {
                    text.push_str(&format!(
                        "VTD                   {}\nStatus                Available\nLUN                   0x{:02x}00000000000000\nBacking device        {}\nPhysloc               {}\nMirrored              false\n\n",
                        v.name, v.lun, v.hdisk, disk_location(vios, v)
                    ));
                }
            }
        }
    }
    Output::done(text)
}

fn chkdev(vios: &Vios, options: &Options<'_>) -> Output {
    let Some(disk) = options.value("dev").and_then(|d| vios.disk(d)) else {
        return no_device(options.value("dev").unwrap_or_default());
    };
    let vtds: Vec<&str> = vios
        .vtds
        .iter()
        .filter(|v| v.hdisk == disk.name)
        .map(|v| v.name.as_str())
        .collect();
    let identifier = disk.uid.as_ref().map(unique_id).unwrap_or_default();
    Output::done(format!(
        "{}:{identifier}:none:{}\n",
        disk.name,
        vtds.join(",")
    ))
}

fn no_device(name: &str) -> Output {
    Output::failed(
        2,
        format!(
            "Some error messages may contain invalid information\nfor the Virtual I/O Server environment.\n\nlsdev: 0514-519 The following device was not found in the customized\n\tdevice configuration database:\n\t{name}\n"
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
        return no_device(name);
    };
    let mapped = v.vtds.iter().any(|t| t.hdisk == name);
    let Some(disk) = v.hdisks.iter_mut().find(|d| d.name == name) else {
        return no_device(name);
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
        return no_device(disk);
    };
    if v.disk(disk).is_none() {
        return Output::failed(2, format!("Device \"{disk}\" is not in AVAILABLE state."));
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
        return no_device(vios);
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
        return no_device(name);
    };
    let Some(Hdisk { uid, .. }) = v.disk(name) else {
        return no_device(name);
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
        return Output::done(format!("{name} Defined\n"));
    }
    v.hdisks.retain(|d| d.name != name);
    world.ledger.effect(format!("vios.{vios}.rmdev"));
    Output::done(format!("{name} deleted\n"))
}
