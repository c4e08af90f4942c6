//! What the VIOS lists: disks, devices, mappings of both kinds (`hmc.md` § 5.2, § 5.3).

use super::commands::{Output, no_device};
use super::npiv::lsmap_npiv;
use super::options::Options;
use super::{Hdisk, Vios, Vtd, client_of, identifier, slot_of, vhosts_of};
use crate::simulators::storage::spectrum_virtualize;
use crate::simulators::world::World;
use std::fmt::Write as _;

/// A row of a listing: field names in the command's own order, and their values.
pub(super) type Row = Vec<(&'static str, String)>;

/// Rows with a separator (`-fmt`), or in columns. `-field` chooses, but the order stays the command's own.
pub(super) fn table(rows: &[Row], options: &Options<'_>, verb: &str) -> Output {
    let wanted = options.values("field");
    let names: Vec<&str> = rows
        .iter()
        .flat_map(|r| r.iter().map(|(n, _)| *n))
        .collect();
    if let Some(wrong) = wanted.iter().find(|w| !names.contains(w)) {
        if rows.is_empty() {
            return Output::done("");
        }
        return Output::failed(
            1,
            format!("{verb}: \"{wrong}\" is not a valid field name.\n"),
        );
    }
    let mut text = String::new();
    for row in rows {
        let shown: Vec<&str> = row
            .iter()
            .filter(|(name, _)| wanted.is_empty() || wanted.contains(name))
            .map(|(_, value)| value.as_str())
            .collect();
        let line = match options.value("fmt") {
            Some(separator) => shown.join(separator),
            None => shown.iter().map(|v| format!("{v:<17}")).collect(),
        };
        let _ = writeln!(text, "{}", line.trim_end());
    }
    Output::done(text)
}

fn is_mapped(vios: &Vios, disk: &Hdisk) -> bool {
    vios.vtds.iter().any(|t| t.hdisk == disk.name)
}

/// Size of a disk in MB, by the array's word.
pub(crate) fn megabytes(world: &World, disk: &Hdisk) -> u64 {
    let volume = disk.uid.as_ref().and_then(|uid| {
        let mut volumes = world.array.vdisks.values();
        volumes.find(|v| &v.uid == uid)
    });
    volume.map_or(286_102, |v| v.capacity >> 20)
}

fn pvid(disk: &Hdisk) -> &'static str {
    if disk.volume_group.is_some() {
        "00f6db0a6c7aece5"
    } else {
        "none"
    }
}

/// `lspv`, `-size`, `-free` (without a volume group), `-avail` (nor backing a device).
pub(super) fn lspv(world: &World, vios: &Vios, options: &Options<'_>) -> Output {
    let known = ["avail", "free", "size", "fmt", "field"];
    if let Some(wrong) = options.unknown(&known) {
        return Output::failed(
            1,
            format!("Illegal option -{wrong}\nusage: lspv [-avail | -free | -size]\n"),
        );
    }
    let free_only = options.has("free") || options.has("avail");
    let disks: Vec<&Hdisk> = vios
        .hdisks
        .iter()
        .filter(|d| !d.defined)
        .filter(|d| !free_only || d.volume_group.is_none())
        .filter(|d| !options.has("avail") || !is_mapped(vios, d))
        .collect();
    if options.has("fmt") {
        let rows: Vec<Row> = disks
            .iter()
            .map(|d| {
                vec![
                    ("name", d.name.clone()),
                    ("pvid", pvid(d).to_owned()),
                    ("size", megabytes(world, d).to_string()),
                ]
            })
            .collect();
        return table(&rows, options, "lspv");
    }
    let sizes = free_only || options.has("size");
    let mut text = String::from(if sizes {
        "NAME            PVID                                SIZE(megabytes)\n"
    } else {
        "NAME             PVID                                 VG               STATUS\n"
    });
    for d in disks {
        let _ = if sizes {
            let size = megabytes(world, d);
            writeln!(text, "{:<16}{:<36}{size}", d.name, pvid(d))
        } else {
            let (vg, status) = match &d.volume_group {
                Some(vg) => (vg.as_str(), "active"),
                None => ("None", ""),
            };
            writeln!(text, "{:<17}{:<37}{vg:<17}{status}", d.name, pvid(d))
        };
    }
    Output::done(text)
}

fn description(disk: &Hdisk) -> &'static str {
    if disk.uid.is_some() {
        "MPIO IBM 2076 FC Disk"
    } else {
        "SAS Disk Drive"
    }
}

fn device_row(disk: &Hdisk) -> Row {
    let status = if disk.defined { "Defined" } else { "Available" };
    vec![
        ("name", disk.name.clone()),
        ("status", status.to_owned()),
        ("description", description(disk).to_owned()),
    ]
}

/// `lsdev -type disk`, `lsdev -dev NAME`, `lsdev -dev NAME -attr ATTRIBUTE`.
pub(super) fn lsdev(vios: &Vios, options: &Options<'_>) -> Output {
    let rows: Vec<Row> = match options.value("dev") {
        Some(name) => {
            let Some(disk) = vios.disk(name) else {
                return no_device("lsdev", name);
            };
            if options.has("attr") {
                return attribute(disk, options.value("attr"));
            }
            vec![device_row(disk)]
        }
        None => vios.hdisks.iter().map(device_row).collect(),
    };
    let mut output = table(&rows, options, "lsdev");
    if output.status == 0 && !options.has("fmt") {
        output.text = format!(
            "name             status           description\n{}",
            output.text
        );
    }
    output
}

fn attribute(disk: &Hdisk, name: Option<&str>) -> Output {
    let value = match name {
        Some("unique_id") => identifier(disk),
        Some("reserve_policy") => disk.reserve_policy.clone(),
        Some("pvid") => pvid(disk).to_owned(),
        Some(other) => {
            return Output::failed(
                2,
                format!(
                    "Some error messages may contain invalid information\nfor the Virtual I/O Server environment.\n\nlsattr: 0514-528 The \"{other}\" attribute does not exist in the predefined\n\tdevice configuration database.\n"
                ),
            );
        }
        None => {
            return Output::done(format!(
                "attribute      value            description             user_settable\n\n\
                 pvid           {:<16} Physical volume identifier False\n\
                 reserve_policy {:<16} Reserve Policy             True\n\
                 unique_id      {} Unique device identifier False\n",
                pvid(disk),
                disk.reserve_policy,
                identifier(disk)
            ));
        }
    };
    Output::done(format!("value\n\n{value}\n"))
}

/// `chkdev -dev NAME`.
pub(super) fn chkdev(vios: &Vios, options: &Options<'_>) -> Output {
    let Some(name) = options.value("dev") else {
        return Output::failed(1, "usage: chkdev -dev DeviceName [-verbose]\n");
    };
    let Some(disk) = vios.disk(name) else {
        return no_device("chkdev", name);
    };
    let vtds = vios.vtds.iter().filter(|t| t.hdisk == disk.name);
    let vtds: Vec<&str> = vtds.map(|t| t.name.as_str()).collect();
    let row = vec![
        ("name", disk.name.clone()),
        ("identifier", identifier(disk)),
        ("pvid", pvid(disk).to_owned()),
        ("vtd", vtds.join(",")),
    ];
    if options.has("fmt") {
        return table(&[row], options, "chkdev");
    }
    let lines = row
        .iter()
        .map(|(n, v)| format!("{:<26}{v}\n", format!("{}:", n.to_uppercase())));
    Output::done(lines.collect::<String>())
}

/// Location of a server adapter: `U9105.42A.78ABCD0-V1-C23`.
pub(super) fn server_location(world: &World, vios: &str, slot: u32) -> String {
    let id = world
        .console
        .identity_of(vios)
        .map_or(0, |i| i.partition_id);
    let system = world
        .console
        .partitions
        .get(vios)
        .map(|p| p.system.as_str());
    let base = world.console.location(system.unwrap_or_default());
    format!("{base}-V{id}-C{slot}")
}

/// Location of a disk: port of the VIOS, port of the array, LUN of the array's host mapping.
pub(crate) fn disk_location(world: &World, vios: &Vios, disk: &Hdisk) -> String {
    let Some(uid) = &disk.uid else {
        return format!(
            "U78DA.ND0.WZS01AB-P3-D{}",
            disk.name.trim_start_matches("hdisk")
        );
    };
    let luns = spectrum_virtualize::volumes_of_host(world, &vios.array_host);
    let lun = luns.iter().position(|u| u == uid).unwrap_or_default();
    format!("U78DA.ND0.WZS01AB-P0-C2-T0-W500507680B215660-L{lun:X}000000000000")
}

fn vtd_fields(world: &World, vios: &Vios, vtd: &Vtd) -> [(&'static str, String); 6] {
    let place = vios.disk(&vtd.hdisk).map(|d| disk_location(world, vios, d));
    let defined = vios.disk(&vtd.hdisk).is_none_or(|d| d.defined);
    [
        ("vtd", vtd.name.clone()),
        (
            "status",
            if defined { "Defined" } else { "Available" }.to_owned(),
        ),
        ("lun", format!("0x{:02x}00000000000000", vtd.lun)),
        ("backing", vtd.hdisk.clone()),
        ("bdphysloc", place.unwrap_or_default()),
        ("mirrored", "false".to_owned()),
    ]
}

/// `lsmap {-all | -vadapter NAME} [-npiv] [-fmt S] [-field …]`.
pub(super) fn lsmap(world: &World, vios: &Vios, options: &Options<'_>) -> Output {
    let known = ["all", "vadapter", "npiv", "fmt", "field", "dec", "type"];
    if let Some(wrong) = options.unknown(&known) {
        return Output::failed(1, format!("Illegal option -{wrong}\n"));
    }
    if options.has("all") == options.has("vadapter") {
        return Output::failed(1, "usage: lsmap {-vadapter ServerVirtualAdapter | -all}\n");
    }
    if options.has("npiv") {
        return lsmap_npiv(world, vios, options);
    }
    let names = vhosts_of(world, &vios.name);
    let wanted = options.value("vadapter");
    if let Some(vhost) = wanted
        && !names.iter().any(|n| n == vhost)
    {
        return Output::failed(
            2,
            format!("Device \"{vhost}\" is not a valid virtual server adapter.\n"),
        );
    }
    let mut text = String::new();
    for vhost in names
        .iter()
        .filter(|n| wanted.is_none_or(|w| w == n.as_str()))
    {
        let client = client_of(world, &vios.name, vhost)
            .and_then(|(client, ..)| world.console.identity_of(&client))
            .map_or(0, |i| i.partition_id);
        let client = if options.has("dec") {
            client.to_string()
        } else {
            format!("0x{client:08x}")
        };
        let location = server_location(world, &vios.name, slot_of(world, &vios.name, vhost));
        let mut vtds: Vec<&Vtd> = vios.vtds.iter().filter(|v| &v.vhost == vhost).collect();
        vtds.sort_by_key(|v| v.lun);
        let adapter = [
            ("svsa", vhost.clone()),
            ("physloc", location),
            ("clientid", client),
        ];
        text.push_str(&match options.value("fmt") {
            Some(separator) => one_line(
                world,
                vios,
                &adapter,
                &vtds,
                separator,
                options.values("field"),
            ),
            None => long_form(world, vios, &adapter, &vtds),
        });
    }
    Output::done(text)
}

/// One line per adapter: its fields, then six per virtual target device, blank ones where there is none.
fn one_line(
    world: &World,
    vios: &Vios,
    adapter: &[(&'static str, String)],
    vtds: &[&Vtd],
    separator: &str,
    wanted: &[&str],
) -> String {
    let mut fields: Vec<(&'static str, String)> = adapter.to_vec();
    for vtd in vtds {
        fields.extend(vtd_fields(world, vios, vtd));
    }
    if vtds.is_empty() {
        let names = ["vtd", "status", "lun", "backing", "bdphysloc", "mirrored"];
        fields.extend(names.map(|name| (name, " ".to_owned())));
    }
    let chosen: Vec<String> = fields
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(name))
        .map(|(_, value)| value)
        .collect();
    chosen.join(separator) + "\n"
}

fn long_form(
    world: &World,
    vios: &Vios,
    adapter: &[(&'static str, String)],
    vtds: &[&Vtd],
) -> String {
    let [svsa, physloc, client] = adapter else {
        return String::new();
    };
    let mut text = String::from(
        "SVSA            Physloc                                      Client Partition ID\n\
         --------------- -------------------------------------------- ------------------\n",
    );
    let _ = writeln!(text, "{:<16}{:<45}{}\n", svsa.1, physloc.1, client.1);
    if vtds.is_empty() {
        text.push_str("VTD                   NO VIRTUAL TARGET DEVICE FOUND\n\n");
    }
    for vtd in vtds {
        let titles = [
            "VTD",
            "Status",
            "LUN",
            "Backing device",
            "Physloc",
            "Mirrored",
        ];
        for (title, (_, value)) in titles.iter().zip(vtd_fields(world, vios, vtd)) {
            let _ = writeln!(text, "{title:<22}{value}");
        }
        text.push('\n');
    }
    text
}
