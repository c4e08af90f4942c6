//! Stream files as the shell's tools see them.

use super::disk::DiskState;
use super::shell::Outcome;
use std::collections::BTreeSet;

/// Runs `cat`, `mv`, `rm`, `ls`, `mkdir`, `ln`, `chown`; anything else is not found. Gives the exit status.
pub(super) fn run(
    disk: &mut DiskState,
    name: &str,
    words: &[String],
    output: Option<&str>,
    stdin: &[u8],
    outcome: &mut Outcome,
) -> u32 {
    let (flags, paths): (Vec<&String>, Vec<&String>) =
        words[1..].iter().partition(|w| w.starts_with('-'));
    let has = |letter: char| flags.iter().any(|f| f.contains(letter));
    let mut complain = |text: String| {
        outcome
            .stderr
            .extend(format!("{name}: {text}\n").as_bytes());
        1
    };
    match (name, output) {
        ("cat", Some(path)) => {
            if !disk.directories.contains(parent(path)) {
                return complain(format!(
                    "{path}: A file or directory in the path name does not exist."
                ));
            }
            disk.files.insert(path.to_owned(), stdin.to_vec());
            0
        }
        ("cat", None) => match paths.first().and_then(|p| disk.files.get(*p)) {
            Some(bytes) => {
                outcome.stdout.extend(bytes);
                0
            }
            None => complain(
                "cannot open: A file or directory in the path name does not exist.".to_owned(),
            ),
        },
        ("mv", _) | ("ln", _) => {
            let [from, to] = paths.as_slice() else {
                return complain("usage".to_owned());
            };
            let Some(bytes) = disk.files.get(*from).cloned() else {
                return complain(format!("{from}: not found"));
            };
            if name == "ln" && disk.files.contains_key(*to) {
                return complain(format!("{to}: File exists."));
            }
            disk.files.insert((*to).clone(), bytes);
            if name == "mv" {
                disk.files.remove(*from);
            }
            0
        }
        ("rm", _) => {
            for path in paths {
                disk.files.remove(path);
                if has('r') {
                    let below = format!("{path}/");
                    disk.files.retain(|p, _| !p.starts_with(&below));
                    disk.directories
                        .retain(|p| p != path && !p.starts_with(&below));
                }
            }
            0
        }
        ("mkdir", _) => {
            for path in paths {
                let mut at = path.as_str();
                while !at.is_empty() && at != "/" {
                    disk.directories.insert(at.to_owned());
                    at = parent(at);
                }
            }
            0
        }
        ("chown", _) => {
            if let Some(owner) = paths.first() {
                disk.directory_owner = owner.to_ascii_uppercase();
            }
            0
        }
        ("ls", _) => {
            let Some(path) = paths.first() else {
                return complain("usage".to_owned());
            };
            let known = disk.directories.contains(path.as_str()) || disk.files.contains_key(*path);
            if !known {
                return complain(format!(
                    "{path}: A file or directory in the path name does not exist."
                ));
            }
            let text = if has('l') {
                format!(
                    "drwx------    2 {:<8} 0   8192 Jan 01 00:00 {path}\n",
                    disk.directory_owner.to_ascii_lowercase()
                )
            } else if has('d') {
                format!("{path}\n")
            } else {
                listing(disk, path)
            };
            outcome.stdout.extend(text.as_bytes());
            0
        }
        (other, _) => {
            outcome
                .stderr
                .extend(format!("sh: {other}: not found.\n").as_bytes());
            127
        }
    }
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(at) => &path[..at],
    }
}

fn listing(disk: &DiskState, path: &str) -> String {
    let names: BTreeSet<&str> = disk
        .files
        .keys()
        .map(String::as_str)
        .chain(disk.directories.iter().map(String::as_str))
        .filter(|p| *p != "/" && parent(p) == path)
        .filter_map(|p| p.rsplit('/').next())
        .collect();
    let mut text = ".\n..\n".to_owned();
    for name in names {
        text.push_str(name);
        text.push('\n');
    }
    text
}
