//! The arrows of the layout (`architecture.md` § 2): which room may know which. Tests inside a room are free.

use std::fs;
use std::path::{Path, PathBuf};

/// Room → rooms it may name with `crate::`.
const ARROWS: &[(&str, &[&str])] = &[
    ("site", &[]),
    ("wire", &[]),
    ("schedule", &[]),
    ("engine", &["site"]),
    ("api", &["engine", "site"]),
    ("recipe", &["api", "engine", "site"]),
    ("drivers", &["api", "site", "wire"]),
    ("simulators", &["site", "wire"]),
    (
        "controllers",
        &[
            "api",
            "drivers",
            "engine",
            "observability",
            "recipe",
            "schedule",
            "site",
        ],
    ),
    ("observability", &["api", "controllers", "engine", "site"]),
];

/// Files that may do more, each with its reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "src/simulators/ibmi/role.rs",
    "drivers",
    "the IBM i driver over the simulated shell without a network, for the crash matrix",
)];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_test = name == "tests" || name == "fakes" || name.ends_with("tests.rs");
        if path.is_dir() && !is_test {
            files(&path, found);
        } else if name.ends_with(".rs") && !is_test {
            found.push(path);
        }
    }
}

/// What a file names of other rooms, without its test modules and comments.
fn named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    let mut rooms = Vec::new();
    for line in lines {
        for part in line.split("crate::").skip(1) {
            let room: String = part
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            rooms.push(room);
        }
    }
    rooms
}

#[test]
fn no_room_names_a_room_it_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for (room, allowed) in ARROWS {
        let mut all = Vec::new();
        files(&root.join("src").join(room), &mut all);
        for file in all {
            let shown = file
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            for other in named(&fs::read_to_string(&file).unwrap()) {
                let excepted = EXCEPTIONS
                    .iter()
                    .any(|(f, r, _)| *f == shown && *r == other);
                let is_room = ARROWS.iter().any(|(r, _)| *r == other) || other == "commands";
                if is_room && other != *room && !allowed.contains(&other.as_str()) && !excepted {
                    wrong.push(format!("{shown} names {other}"));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_forbidden_arrow_would_be_seen() {
    assert_eq!(
        named("use crate::commands::x;\nfn f() { crate::drivers::y() }\n// crate::api"),
        ["commands", "drivers"]
    );
}
