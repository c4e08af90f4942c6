//! Libraries and objects: what the installation of the kit needs.

use super::cl::Command;
use super::commands::ClAnswer;
use super::disk::DiskState;
use super::saves::save_file::name_of_path;

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
            if let Some(file) = name_of_path(&word("TOMBR")) {
                return Some(stream_to_save_file(disk, command, &from, &file));
            }
            if disk.files.contains_key(&from) {
                disk.data_areas
                    .insert(format!("member {}", word("TOMBR")), from.clone());
                ClAnswer::completed("CPCA082", format!("{from} copied."))
            } else {
                ClAnswer::escape("CPFA0A9", format!("Object not found. Object is {from}."))
            }
        }
        "CPYTOSTMF" => save_file_to_stream(disk, command),
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
            disk.save_files.retain(|f, _| !f.starts_with(&prefix));
            disk.brms_copies.remove(&library);
            ClAnswer::completed("CPC2194", format!("Library {library} deleted."))
        }
        "CLRLIB" => {
            let library = word("LIB");
            if !disk.objects.contains(&format!("QSYS/{library} *LIB")) {
                return Some(ClAnswer::escape(
                    "CPF2110",
                    format!("Library {library} not found."),
                ));
            }
            let prefix = format!("{library}/");
            disk.objects.retain(|o| !o.starts_with(&prefix));
            disk.save_files.retain(|f, _| !f.starts_with(&prefix));
            disk.brms_copies.remove(&library);
            ClAnswer::completed("CPC2195", format!("Library {library} cleared."))
        }
        _ => return None,
    })
}

/// A save file must be copied without conversion: anything else makes it useless.
fn stream_to_save_file(
    disk: &mut DiskState,
    command: &Command,
    from: &str,
    file: &str,
) -> ClAnswer {
    let Some(bytes) = disk.files.get(from).cloned() else {
        return ClAnswer::escape("CPFA0A9", format!("Object not found. Object is {from}."));
    };
    if command.word("CVTDTA").as_deref() != Some("*NONE") {
        let text = format!("Save file {file} needs CVTDTA(*NONE).");
        return ClAnswer::escape("CPF9898", text);
    }
    match disk.save_files.get_mut(file) {
        None => ClAnswer::escape("CPFA0A9", format!("Object not found. Object is {file}.")),
        Some(saved)
            if !saved.is_empty() && command.word("MBROPT").as_deref() != Some("*REPLACE") =>
        {
            ClAnswer::escape("CPF9898", format!("Save file {file} is not empty."))
        }
        Some(saved) => {
            *saved = bytes;
            ClAnswer::completed("CPCA082", format!("{from} copied."))
        }
    }
}

fn save_file_to_stream(disk: &mut DiskState, command: &Command) -> ClAnswer {
    let word = |k: &str| command.word(k).unwrap_or_default();
    let (from, to) = (word("FROMMBR"), word("TOSTMF"));
    let bytes = name_of_path(&from).and_then(|f| disk.save_files.get(&f).cloned());
    let Some(bytes) = bytes else {
        return ClAnswer::escape("CPFA0A9", format!("Object not found. Object is {from}."));
    };
    if word("CVTDTA") != "*NONE" {
        return ClAnswer::escape("CPF9898", format!("Save file {from} needs CVTDTA(*NONE)."));
    }
    if disk.files.contains_key(&to) && word("STMFOPT") != "*REPLACE" {
        return ClAnswer::escape("CPFA0A0", format!("Object already exists. Object is {to}."));
    }
    disk.files.insert(to, bytes);
    ClAnswer::completed("CPCA081", format!("{from} copied."))
}

fn library_exists(disk: &DiskState, object: &str) -> bool {
    match object.split_once('/') {
        Some((library, _)) if library != "QSYS" && library != "QGPL" => {
            disk.objects.contains(&format!("QSYS/{library} *LIB"))
        }
        Some(_) | None => true,
    }
}
