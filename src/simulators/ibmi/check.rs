//! CHECK, INSTALL and ISPROD of the guest kit (`ibmi/CONTRACT.md` §§ 6.1, 11, 12).

use super::disk::{DiskState, lib_pgm};
use super::kit;
use super::record;
use super::system::{disk_of, identity, own_clock, running, scpf, start_production, tell_operator};
use crate::simulators::world::World;
use chrono::SecondsFormat;

/// The record CHECK prints for the calling profile.
pub(super) fn check(
    world: &World,
    partition: &str,
    user: &str,
) -> Result<String, (String, String)> {
    let escape = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    let disk = disk_of(world, partition).ok_or_else(|| escape("CPF9999", "Function check."))?;
    let pair =
        identity(world, partition).ok_or_else(|| escape("CLN0105", "identity not readable"))?;
    let profile = disk.user(user);
    let yes = |condition: bool| if condition { "Yes" } else { "No" }.to_owned();
    let area = |name: &str| {
        disk.data_areas
            .get(name)
            .map_or("", String::as_str)
            .trim()
            .to_owned()
    };
    let dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    let original = disk
        .data_areas
        .get("QGPL/CLNORIG")
        .map_or_else(|| "-".to_owned(), |v| lib_pgm(v));
    let leftovers: Vec<&str> = ["run.parm", "watchdog.fired"]
        .into_iter()
        .filter(|f| disk.files.contains_key(&format!("/ibmiclone/{f}")))
        .collect();
    let bytes = record::write(
        "check",
        &[
            ("kit", dash(area("IBMICLONE/VERSION"))),
            ("serial", pair.serial_number),
            ("partition", pair.partition_id.to_string()),
            ("scpf", scpf(world, partition)),
            (
                "clock",
                own_clock(world, partition).to_rfc3339_opts(SecondsFormat::Secs, true),
            ),
            ("startup", disk.start_up_program()),
            ("original", original),
            ("strtcp", yes(disk.strtcp)),
            ("identities", dash(kit::identities(disk).join(","))),
            ("missing", dash(missing(disk))),
            (
                "canary",
                yes(["IBMICLONE/CLNJRN *JRN", "IBMICLONE/CLNCANARY *FILE"]
                    .iter()
                    .all(|o| disk.objects.contains(*o))),
            ),
            ("qpmlpmgt", yes(profile.is_some_and(|p| p.qpmlpmgt))),
            ("jobctl", yes(profile.is_some_and(|p| p.jobctl))),
            ("sshd", yes(disk.sshd_autostart)),
            ("leftovers", dash(leftovers.join(","))),
            ("js1", yes(disk.objects.contains("QSYS/QIJS *LIB"))),
        ],
    );
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn missing(disk: &DiskState) -> String {
    // QSRC, the receiver and VERSION are not needed to run and not looked at.
    let unneeded = [
        "IBMICLONE/QSRC",
        "IBMICLONE/CLNRCV0001",
        "IBMICLONE/VERSION",
        "IBMICLONE/CLNJRN",
    ];
    let names: Vec<String> = kit::OBJECTS
        .iter()
        .filter(|(name, _)| !unneeded.contains(name))
        .filter(|(name, kind)| !disk.objects.contains(&format!("{name} {kind}")))
        .map(|(name, kind)| format!("{kind}:{}", name.rsplit('/').next().unwrap_or(name)))
        .collect();
    names.join(",")
}

/// INSTALL: builds from the sources that lie in `/ibmiclone/src`.
pub(super) fn install(
    world: &mut World,
    partition: &str,
    version: &str,
) -> Result<(String, String), (String, String)> {
    let escape = |id: &str, text: &str| (id.to_owned(), text.to_owned());
    let Some(r) = running(world, partition) else {
        return Err(escape("CPF9999", "Function check."));
    };
    r.disk.data_areas.remove("IBMICLONE/VERSION");
    let needed = [
        "helper.c",
        "hellojob.c",
        "helpdog.c",
        "canary.c",
        "clnid.c",
        "clnget.c",
        "clnrec.c",
        "guard.clle",
        "watchdog.clle",
        "isprod.clle",
        "person.clle",
        "persjs1.clle",
        "persnet.clle",
        "ready.clle",
        "save21.clle",
        "check.clle",
        "msgs.clle",
        "clnstrup.clle",
        "kit.sql",
    ];
    let lost = needed
        .iter()
        .find(|f| !r.disk.files.contains_key(&format!("/ibmiclone/src/{f}")));
    if let Some(f) = lost {
        return Err(escape("CLN0301", &format!("object not built: {f} CPFA0A9")));
    }
    kit::build(r.disk, version);
    Ok((
        "CLN0302".to_owned(),
        format!("kit version {version} installed"),
    ))
}

/// ISPROD: adds this partition's pair to production's identities.
pub(super) fn is_production(
    world: &mut World,
    partition: &str,
    parameters: &[String],
) -> Result<(String, String), (String, String)> {
    let Some(pair) = identity(world, partition) else {
        return Err(("CLN0105".to_owned(), "identity not readable".to_owned()));
    };
    let forced = parameters.iter().any(|p| p.trim() == "*FORCE");
    let clone = disk_of(world, partition)
        .and_then(|d| d.files.get(kit::RUN_PARM))
        .and_then(|b| record::read(b))
        .is_some_and(|m| {
            m.get("clone.serialNumber") == Some(&pair.serial_number)
                && m.get("clone.partitionId") == Some(&pair.partition_id.to_string())
        });
    if clone && !forced {
        return Err((
            "CLN0207".to_owned(),
            "this pair is the clone of the run on disk".to_owned(),
        ));
    }
    let full = disk_of(world, partition).is_some_and(|d| kit::identities(d).len() >= 100);
    if full {
        return Err(("CLN0208".to_owned(), "CLNIDS is full".to_owned()));
    }
    if let Some(r) = running(world, partition) {
        kit::add_identity(r.disk, &pair.serial_number, pair.partition_id);
    }
    tell_operator(
        world,
        partition,
        "CLN0206",
        40,
        "pair added to production's identities",
    );
    if parameters.iter().any(|p| p.trim() == "*START") {
        start_production(world, partition);
    }
    Ok((
        "CLN0206".to_owned(),
        "pair added to production's identities".to_owned(),
    ))
}
