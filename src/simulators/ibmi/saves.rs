//! Save files: CRTSAVF, SAVLIB, RSTLIB, CLRSAVF (`ibmi.md` § 11). What was saved lies in the save file and comes back from it.
//!
//! Message ids are those of § 11; what it does not name is CPF9898 with a text.

use super::cl::Command;
use super::commands::ClAnswer;
use super::disk::DiskState;

/// Runs a command on save files; `None` for any other command.
pub(super) fn run(disk: &mut DiskState, command: &Command) -> Option<ClAnswer> {
    let word = |k: &str| command.word(k).unwrap_or_default();
    Some(match command.name.as_str() {
        "CRTSAVF" => create(disk, &word("FILE")),
        "SAVLIB" => save(disk, &word("LIB"), &word("DEV"), &word("SAVF")),
        "RSTLIB" => restore(disk, &word("SAVLIB"), &word("DEV"), &word("SAVF")),
        "CLRSAVF" => match disk.save_files.get_mut(&word("FILE")) {
            None => not_found(&word("FILE")),
            Some(saved) => {
                saved.clear();
                ClAnswer {
                    ok: true,
                    ..ClAnswer::default()
                }
            }
        },
        _ => return None,
    })
}

fn not_found(object: &str) -> ClAnswer {
    ClAnswer::escape("CPF9801", format!("Object {object} not found."))
}

fn no_library(library: &str) -> ClAnswer {
    ClAnswer::escape("CPF2110", format!("Library {library} not found."))
}

/// Libraries that are always there need no object of their own here.
fn exists(disk: &DiskState, library: &str) -> bool {
    matches!(library, "QGPL" | "QSYS" | "QUSRSYS")
        || disk.objects.contains(&format!("QSYS/{library} *LIB"))
}

fn create(disk: &mut DiskState, file: &str) -> ClAnswer {
    let Some((library, _)) = file.split_once('/') else {
        return ClAnswer::escape("CPD0071", "FILE needs a library.");
    };
    if !exists(disk, library) {
        return no_library(library);
    }
    if !disk.objects.insert(format!("{file} *FILE")) {
        return ClAnswer::escape("CPF5813", format!("File {file} already exists."));
    }
    disk.save_files.insert(file.to_owned(), Vec::new());
    ClAnswer::completed("CPC7301", format!("File {file} created."))
}

fn save(disk: &mut DiskState, library: &str, device: &str, file: &str) -> ClAnswer {
    if device != "*SAVF" {
        return ClAnswer::escape("CPF9814", format!("Device {device} not found."));
    }
    if !exists(disk, library) {
        return no_library(library);
    }
    let prefix = format!("{library}/");
    let objects: Vec<String> = disk
        .objects
        .iter()
        .filter(|o| o.starts_with(&prefix) || **o == format!("QSYS/{library} *LIB"))
        .cloned()
        .collect();
    match disk.save_files.get_mut(file) {
        None => not_found(file),
        // The system asks the operator here; the answer of a job that nobody watches is the default, cancel.
        Some(saved) if !saved.is_empty() => ClAnswer::escape(
            "CPF9898",
            format!("Save file {file} holds saved data already and was not cleared."),
        ),
        Some(saved) => {
            let count = objects.len();
            *saved = objects;
            ClAnswer::completed(
                "CPC3722",
                format!("{count} objects saved from library {library}."),
            )
        }
    }
}

fn restore(disk: &mut DiskState, library: &str, device: &str, file: &str) -> ClAnswer {
    if device != "*SAVF" {
        return ClAnswer::escape("CPF9814", format!("Device {device} not found."));
    }
    let Some(saved) = disk.save_files.get(file).cloned() else {
        return not_found(file);
    };
    let of_library = format!("QSYS/{library} *LIB");
    if !saved.contains(&of_library) {
        let text = format!("Library {library} not found on save file {file}.");
        return ClAnswer::escape("CPF9898", text);
    }
    let count = saved.len();
    disk.objects.extend(saved);
    ClAnswer::completed(
        "CPC3703",
        format!("{count} objects restored to library {library}."),
    )
}

#[cfg(test)]
mod tests {
    use super::super::cl::parse;
    use super::*;
    use crate::simulators::ibmi::SystemFile;

    fn say(disk: &mut DiskState, line: &str) -> (bool, String) {
        let answer = run(disk, &parse(line).unwrap()).unwrap();
        (
            answer.ok,
            answer
                .messages
                .first()
                .map(|m| m.id.clone())
                .unwrap_or_default(),
        )
    }
    fn done(id: &str) -> (bool, String) {
        (true, id.to_owned())
    }
    fn refused(id: &str) -> (bool, String) {
        (false, id.to_owned())
    }

    #[test]
    fn what_was_saved_comes_back_and_what_was_not_is_refused() {
        let mut disk = DiskState::from_file(&SystemFile::simple("PROD", &[], "10.0.8.20"));
        let library = || "QSYS/ORDERS *LIB".to_owned();
        let file = || "ORDERS/DATA *FILE".to_owned();
        let save = "SAVLIB LIB(ORDERS) DEV(*SAVF) SAVF(QGPL/S1)";
        let restore = "RSTLIB SAVLIB(ORDERS) DEV(*SAVF) SAVF(QGPL/S1)";
        assert_eq!(say(&mut disk, save), refused("CPF2110"));
        disk.objects.extend([library(), file()]);
        assert_eq!(say(&mut disk, save), refused("CPF9801"));
        assert_eq!(say(&mut disk, "CRTSAVF FILE(NOLIB/S1)"), refused("CPF2110"));
        assert_eq!(say(&mut disk, "CRTSAVF FILE(QGPL/S1)"), done("CPC7301"));
        assert_eq!(say(&mut disk, "CRTSAVF FILE(QGPL/S1)"), refused("CPF5813"));
        assert_eq!(say(&mut disk, restore), refused("CPF9898"), "still empty");
        assert_eq!(say(&mut disk, save), done("CPC3722"));
        assert_eq!(say(&mut disk, save), refused("CPF9898"), "not cleared");
        disk.objects.retain(|o| *o != library() && *o != file());
        assert_eq!(say(&mut disk, restore), done("CPC3703"));
        assert!(disk.objects.contains(&library()) && disk.objects.contains(&file()));
        let tape = save.replace("DEV(*SAVF)", "DEV(TAP01)");
        assert_eq!(say(&mut disk, &tape), refused("CPF9814"));
        assert_eq!(say(&mut disk, "CLRSAVF FILE(QGPL/S1)"), done(""));
        assert_eq!(say(&mut disk, restore), refused("CPF9898"));
    }
}
