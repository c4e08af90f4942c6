//! The guest kit's guard, personality and ready record, as `ibmi/CONTRACT.md` §§ 6–8 says.

mod personality;
mod save21;

use personality::{personality, ready, start_network};

use super::disk::{DiskState, Interface, Route};
use super::job_scheduler;
use super::record;
use super::system::{
    Phase, disk_of, history, identity, own_clock, running, scpf, start_interface, start_production,
    start_tcp, tell_operator, view,
};
use crate::simulators::faults::{Device, FaultKind};
use crate::simulators::hmc;
use crate::simulators::world::World;
use chrono::{Duration, SecondsFormat};
use std::collections::{BTreeMap, BTreeSet};

/// Version the simulator's kit reports.
pub const VERSION: &str = "1.2.0";
/// Parameter file.
pub const RUN_PARM: &str = "/ibmiclone/run.parm";
const MARKER: &str = "/ibmiclone/marker";
const READY: &str = "/ibmiclone/ready";

/// Objects of the kit, as § 1.1 names them.
pub const OBJECTS: [(&str, &str); 27] = [
    ("IBMICLONE/CLNMSGF", "*MSGF"),
    ("IBMICLONE/CLNMSGS", "*PGM"),
    ("IBMICLONE/VERSION", "*DTAARA"),
    ("IBMICLONE/CLNIDS", "*DTAARA"),
    ("IBMICLONE/CLNWDOG", "*USRSPC"),
    ("IBMICLONE/CLNCANARY", "*FILE"),
    ("IBMICLONE/CLNJRN", "*JRN"),
    ("IBMICLONE/CLNRCV0001", "*JRNRCV"),
    ("IBMICLONE/CLNLIST", "*FILE"),
    ("IBMICLONE/QSRC", "*FILE"),
    ("IBMICLONE/CLNID", "*PGM"),
    ("IBMICLONE/CLNGET", "*PGM"),
    ("IBMICLONE/CLNREC", "*PGM"),
    ("IBMICLONE/HELPER", "*PGM"),
    ("IBMICLONE/CANARY", "*PGM"),
    ("IBMICLONE/WATCHDOG", "*PGM"),
    ("IBMICLONE/GUARD", "*PGM"),
    ("IBMICLONE/ISPROD", "*PGM"),
    ("IBMICLONE/PERSON", "*PGM"),
    ("IBMICLONE/PERSJS1", "*PGM"),
    ("IBMICLONE/PERSNET", "*PGM"),
    ("IBMICLONE/READY", "*PGM"),
    ("IBMICLONE/SAVE21", "*PGM"),
    ("IBMICLONE/CHECK", "*PGM"),
    ("IBMICLONE/INSTALL", "*PGM"),
    ("QGPL/CLNSTRUP", "*PGM"),
    ("QGPL/CLNORIG", "*DTAARA"),
];

/// A second job of the full save, as an IPL leaves one on the queue beside the one that is submitted after it.
#[cfg(test)]
pub(super) fn submit_save_again(
    world: &mut World,
    partition: &str,
    run: &BTreeMap<String, String>,
    queue: &str,
) {
    save21::queue(world, partition, run, queue);
}

/// Puts a whole kit on a disk; production's pair is added when the partition is known.
pub(super) fn installed_at_the_factory(disk: &mut DiskState) {
    for directory in ["/ibmiclone", "/ibmiclone/src"] {
        disk.directories.insert(directory.to_owned());
    }
    disk.objects.insert("QSYS/IBMICLONE *LIB".to_owned());
    build(disk, VERSION);
    disk.files.insert(
        "/ibmiclone/version".to_owned(),
        format!("{VERSION}\n").into_bytes(),
    );
    disk.values
        .insert("QSTRUPPGM".to_owned(), "CLNSTRUP  QGPL      ".to_owned());
    if let Some(user) = disk.users.first() {
        disk.directory_owner = user.name.clone();
    }
}

/// What INSTALL builds.
pub(super) fn build(disk: &mut DiskState, version: &str) {
    for (name, kind) in OBJECTS {
        disk.objects.insert(format!("{name} {kind}"));
    }
    let before = disk.values.get("QSTRUPPGM").cloned().unwrap_or_default();
    if !before.starts_with("CLNSTRUP") {
        disk.data_areas.insert("QGPL/CLNORIG".to_owned(), before);
    }
    disk.data_areas
        .entry("IBMICLONE/CLNIDS".to_owned())
        .or_default();
    disk.data_areas
        .insert("IBMICLONE/VERSION".to_owned(), version.to_owned());
}

/// Identities in CLNIDS, `SERIAL/ID`.
pub(super) fn identities(disk: &DiskState) -> Vec<String> {
    let text = disk
        .data_areas
        .get("IBMICLONE/CLNIDS")
        .map_or("", String::as_str);
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(20)
        .filter_map(|slot| {
            let (serial, id): (String, String) = (
                slot.iter().take(10).collect(),
                slot.iter().skip(10).collect(),
            );
            (!serial.trim().is_empty()).then(|| format!("{}/{}", serial.trim(), id.trim()))
        })
        .collect()
}

/// Adds a pair to CLNIDS.
pub(super) fn add_identity(disk: &mut DiskState, serial: &str, partition_id: i32) {
    if identities(disk).contains(&format!("{serial}/{partition_id}")) {
        return;
    }
    let area = disk
        .data_areas
        .entry("IBMICLONE/CLNIDS".to_owned())
        .or_default();
    let used = area.trim_end().chars().count().div_ceil(20) * 20;
    *area = format!("{area:<used$}{serial:<10}{partition_id:<10}");
}

/// The autostart job of the controlling subsystem: the program of QSTRUPPGM.
pub(super) fn start_up(world: &mut World, partition: &str) {
    let Some(disk) = disk_of(world, partition) else {
        return;
    };
    if disk.start_up_program() != "QGPL/CLNSTRUP" {
        start_production(world, partition);
        return;
    }
    if !disk.objects.contains("IBMICLONE/GUARD *PGM") {
        tell_operator(
            world,
            partition,
            "CLN0209",
            80,
            "library lost, original start-up program called",
        );
        start_production(world, partition);
        return;
    }
    guard(world, partition);
}

/// § 6.1, in its order.
fn guard(world: &mut World, partition: &str) {
    let Some(pair) = identity(world, partition) else {
        return tell_operator(
            world,
            partition,
            "CLN0202",
            80,
            "identity not readable, nothing started",
        );
    };
    let Some(disk) = disk_of(world, partition) else {
        return;
    };
    let me = format!("{}/{}", pair.serial_number, pair.partition_id);
    if identities(disk).contains(&me) {
        history(
            world,
            partition,
            "CLN0201",
            0,
            "production: original start-up program called",
        );
        start_production(world, partition);
        return;
    }
    let parameters = disk.files.get(RUN_PARM).and_then(|b| record::read(b));
    let Some(run) = parameters.filter(|m| names_clone(m, &me)) else {
        let text = format!("unknown partition {me}, nothing started: CALL IBMICLONE/ISPROD");
        return tell_operator(world, partition, "CLN0205", 80, &text);
    };
    let now = own_clock(world, partition).to_rfc3339_opts(SecondsFormat::Secs, true);
    if run.get("notAfter").is_none_or(|limit| now > *limit) {
        return tell_operator(
            world,
            partition,
            "CLN0203",
            70,
            "clone of a run that is over, nothing started",
        );
    }
    let marker = marker_of(world, partition, &run);
    let text = |m: &BTreeMap<String, String>, k: &str| m.get(k).cloned().unwrap_or_default();
    let (stage, state) = marker
        .as_ref()
        .map_or(("0".to_owned(), String::new()), |m| {
            (text(m, "stage"), text(m, "state"))
        });
    let re_ipls: u32 = marker
        .as_ref()
        .and_then(|m| m.get("reIpls")?.parse().ok())
        .unwrap_or(0);
    let told = format!(
        "this is the clone of run {}, stage {stage}",
        text(&run, "runNumber")
    );
    if state == "FAILED" {
        return tell_operator(
            world,
            partition,
            "CLN0204",
            70,
            "personality failed, nothing started",
        );
    }
    tell_operator(world, partition, "CLN0210", 10, &told);
    if stage == "0" && save21::comes_first(world, partition, &run) {
        return;
    }
    match stage.as_str() {
        "0" => begin_personality(world, partition, &run, 0),
        "1" => {
            let renamed = disk_of(world, partition)
                .is_some_and(|d| Some(&d.system_name) == run.get("systemName"));
            let new_ipl =
                marker.as_ref().and_then(|m| m.get("scpf")) != Some(&scpf(world, partition));
            if renamed && new_ipl {
                ready(world, partition, &run, 2, re_ipls);
            } else if re_ipls >= 2 {
                tell_operator(
                    world,
                    partition,
                    "CLN0204",
                    70,
                    "third re-IPL, nothing started",
                );
            } else {
                begin_personality(world, partition, &run, re_ipls);
            }
        }
        _ => ready(world, partition, &run, 3, re_ipls),
    }
}

fn names_clone(run: &BTreeMap<String, String>, me: &str) -> bool {
    let named = format!(
        "{}/{}",
        run.get("clone.serialNumber").map_or("", String::as_str),
        run.get("clone.partitionId").map_or("", String::as_str)
    );
    let sources = record::list(run, "sourceIdentity", "");
    named == me && sources.is_some_and(|s| !s.is_empty() && !s.iter().any(|s| s == me))
}

fn marker_of(
    world: &World,
    partition: &str,
    run: &BTreeMap<String, String>,
) -> Option<BTreeMap<String, String>> {
    disk_of(world, partition)?
        .files
        .get(MARKER)
        .and_then(|b| record::read(b))
        .filter(|m| m.get("runToken") == run.get("runToken"))
}

fn write_marker(
    world: &mut World,
    partition: &str,
    run: &BTreeMap<String, String>,
    (stage, state, re_ipls): (u32, &str, u32),
    (failed, failed_id): (&str, &str),
) {
    let get = |k: &str| run.get(k).cloned().unwrap_or_default();
    let bytes = record::write(
        "marker",
        &[
            ("runToken", get("runToken")),
            ("runNumber", get("runNumber")),
            ("stage", stage.to_string()),
            ("state", state.to_owned()),
            ("failed", failed.to_owned()),
            ("failedId", failed_id.to_owned()),
            ("reIpls", re_ipls.to_string()),
            ("scpf", scpf(world, partition)),
            ("serialNumber", get("clone.serialNumber")),
            ("partitionId", get("clone.partitionId")),
            ("changedAt", clock(world, partition)),
        ],
    );
    if let Some(r) = running(world, partition) {
        r.disk.files.insert(MARKER.to_owned(), bytes);
    }
}

fn clock(world: &World, partition: &str) -> String {
    own_clock(world, partition).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn begin_personality(
    world: &mut World,
    partition: &str,
    run: &BTreeMap<String, String>,
    re_ipls: u32,
) {
    write_marker(world, partition, run, (0, "RUNNING", re_ipls), ("-", "-"));
    let milliseconds = i64::try_from(world.knobs.personality_milliseconds).unwrap_or(i64::MAX);
    if let Some(r) = running(world, partition) {
        r.system.phase = Phase::Personality {
            until: r.now + Duration::milliseconds(milliseconds),
        };
    }
}

/// The personality's time is over: everything is applied and read back, then the re-IPL.
pub(super) fn personality_ended(world: &mut World, partition: &str) {
    let Some(run) = disk_of(world, partition)
        .and_then(|d| d.files.get(RUN_PARM))
        .and_then(|b| record::read(b))
    else {
        return failed(
            world,
            partition,
            &BTreeMap::new(),
            ("hold-schedule", "CLN0101"),
        );
    };
    let re_ipls: u32 = marker_of(world, partition, &run)
        .and_then(|m| m.get("reIpls")?.parse().ok())
        .unwrap_or(0);
    let endjs_works = world.knobs.endjs_works;
    let fault = world.faults.take(Device::IbmI, partition, "PERSON");
    let outcome = match fault {
        Some(FaultKind::Refuse { code, text }) => Err((code, text)),
        // Failure 19 of the catalogue: somebody releases an entry again behind the kit's back.
        Some(FaultKind::Special(name)) if name == "schedule-released" => running(world, partition)
            .ok_or(("hold-schedule".to_owned(), "CLN0101".to_owned()))
            .and_then(|r| {
                personality(r.disk, &run)?;
                r.disk.schedule.iter_mut().for_each(|e| e.held = false);
                Ok(())
            }),
        _ => running(world, partition)
            .ok_or(("hold-schedule".to_owned(), "CLN0101".to_owned()))
            .and_then(|r| {
                job_scheduler::hold(r.system, r.disk, &run, endjs_works)?;
                personality(r.disk, &run)
            }),
    };
    if let Err((row, id)) = outcome {
        return failed(world, partition, &run, (&row, &id));
    }
    write_marker(world, partition, &run, (1, "DONE", re_ipls + 1), ("-", "-"));
    tell_operator(
        world,
        partition,
        "CLN0211",
        10,
        "personality applied, re-IPL",
    );
    let ignored = matches!(
        world.faults.take(Device::IbmI, partition, "PWRDWNSYS"),
        Some(FaultKind::Special(name)) if name == "no-reipl"
    );
    if ignored {
        // Failure 9 of the catalogue: the network comes up although no new IPL took place.
        if let Some(r) = running(world, partition) {
            r.system.phase = Phase::Up;
        }
        start_network(world, partition, &run);
        return;
    }
    if let Some(system) = world.systems.get_mut(partition) {
        system.phase = Phase::Ending;
        system.tcp = false;
        system.sshd = false;
        system.active_interfaces.clear();
    }
    hmc::guest_power_down(world, partition, true);
}

fn failed(world: &mut World, partition: &str, run: &BTreeMap<String, String>, why: (&str, &str)) {
    write_marker(world, partition, run, (0, "FAILED", 0), why);
    let text = format!("action failed: {} {}", why.0, why.1);
    tell_operator(world, partition, "CLN0212", 70, &text);
    if let Some(system) = world.systems.get_mut(partition) {
        system.phase = Phase::Up;
    }
}
