//! Libraries and objects: what the installation of the kit needs.

use super::cl::Command;
use super::commands::ClAnswer;
use super::disk::DiskState;

/// Runs a command on objects; `None` for any other command.
pub(super) fn run(
    disk: &mut DiskState,
    user: &str,
    _known: bool,
    command: &Command,
) -> Option<ClAnswer> {
    let word = |k: &str| command.word(k).unwrap_or_default();
    let create = |disk: &mut DiskState, name: String, kind: &str| {
        if disk.objects.insert(format!("{name} {kind}")) {
            ClAnswer::completed("CPC2102", format!("Object {name} created."))
        } else {
            ClAnswer::escape("CPF2111", format!("Object {name} already exists."))
        }
    };
    Some(match command.name.as_str() {
        "CHKOBJ" => {
            let object = format!("{} {}", word("OBJ"), word("OBJTYPE"));
            if disk.objects.contains(&object) {
                ClAnswer::completed("CPC9801", format!("Object {} checked.", word("OBJ")))
            } else if !library_exists(disk, &word("OBJ")) {
                ClAnswer::escape("CPF9810", format!("Library of {} not found.", word("OBJ")))
            } else {
                ClAnswer::escape("CPF9801", format!("Object {} not found.", word("OBJ")))
            }
        }
        "CRTLIB" => create(disk, format!("QSYS/{}", word("LIB")), "*LIB"),
        "DSPLIB" => {
            let library = word("LIB");
            if disk.objects.contains(&format!("QSYS/{library} *LIB")) {
                ClAnswer::completed("CPC2103", "Library displayed.")
            } else {
                ClAnswer::escape("CPF2110", format!("Library {library} not found."))
            }
        }
        "CRTSRCPF" => create(disk, word("FILE"), "*FILE"),
        "CPYFRMSTMF" => {
            let from = word("FROMSTMF");
            if disk.files.contains_key(&from) {
                disk.data_areas
                    .insert(format!("member {}", word("TOMBR")), from.clone());
                ClAnswer::completed("CPCA082", format!("{from} copied."))
            } else {
                ClAnswer::escape("CPFA0A9", format!("Object not found. Object is {from}."))
            }
        }
        "CRTBNDCL" => {
            let member = format!(
                "member /QSYS.LIB/IBMICLONE.LIB/QSRC.FILE/{}.MBR",
                word("SRCMBR")
            );
            if disk.data_areas.contains_key(&member) {
                disk.objects.insert(format!("{} *PGM", word("PGM")));
                ClAnswer::completed("CPC5D07", format!("Program {} created.", word("PGM")))
            } else {
                ClAnswer::escape("CPF5D12", "Compilation failed: source member not found.")
            }
        }
        "GRTOBJAUT" => {
            let object = word("OBJ");
            if object == "QSYS/QPMLPMGT" {
                let wanted = word("USER");
                for u in &mut disk.users {
                    u.qpmlpmgt |= u.name.eq_ignore_ascii_case(&wanted);
                }
            }
            let _ = user;
            ClAnswer::completed("CPC2201", format!("Authority to {object} changed."))
        }
        "DLTPGM" | "DLTDTAARA" => {
            let (key, kind) = if command.name == "DLTPGM" {
                ("PGM", "*PGM")
            } else {
                ("DTAARA", "*DTAARA")
            };
            let name = word(key);
            disk.data_areas.remove(&name);
            if disk.objects.remove(&format!("{name} {kind}")) {
                ClAnswer::completed("CPC2191", format!("Object {name} deleted."))
            } else {
                ClAnswer::escape("CPF2105", format!("Object {name} not found."))
            }
        }
        "DLTLIB" => {
            let library = word("LIB");
            if !disk.objects.remove(&format!("QSYS/{library} *LIB")) {
                return Some(ClAnswer::escape(
                    "CPF2110",
                    format!("Library {library} not found."),
                ));
            }
            let prefix = format!("{library}/");
            disk.objects.retain(|o| !o.starts_with(&prefix));
            disk.data_areas.retain(|a, _| !a.starts_with(&prefix));
            ClAnswer::completed("CPC2194", format!("Library {library} deleted."))
        }
        _ => return None,
    })
}

fn library_exists(disk: &DiskState, object: &str) -> bool {
    match object.split_once('/') {
        Some((library, _)) if library != "QSYS" && library != "QGPL" => {
            disk.objects.contains(&format!("QSYS/{library} *LIB"))
        }
        Some(_) | None => true,
    }
}
