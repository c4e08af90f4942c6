//! Stream files as the shell's tools see them.

use super::disk::DiskState;
use super::saves::save_file::name_of_path;
use super::shell::{Outcome, Target};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Content of a stream file, or of a save file in the library file system.
fn bytes_of<'d>(disk: &'d DiskState, path: &str) -> Option<&'d Vec<u8>> {
    match name_of_path(path) {
        Some(name) => disk.save_files.get(&name),
        None => disk.files.get(path),
    }
}

/// Runs `dd`, `wc -c` and `openssl dgst -sha256`, which only read; `None` for any other tool.
pub(super) fn reading(
    disk: &DiskState,
    name: &str,
    words: &[String],
    digests: bool,
    outcome: &mut Outcome,
) -> Option<u32> {
    let value = |key: &str| words.iter().find_map(|w| w.strip_prefix(key));
    let path = match name {
        "dd" => value("if=")?,
        "wc" if words.get(1).is_some_and(|w| w == "-c") => words.get(2)?,
        "openssl" if digests && words.get(1).is_some_and(|w| w == "dgst") => words.last()?,
        _ => return None,
    };
    let Some(bytes) = bytes_of(disk, path) else {
        let text =
            format!("{name}: {path}: A file or directory in the path name does not exist.\n");
        outcome.stderr.extend(text.as_bytes());
        return Some(1);
    };
    match name {
        "dd" => {
            let number = |key: &str| value(key).and_then(|v| v.parse::<usize>().ok());
            let block = number("bs=").unwrap_or(512);
            let from = number("skip=").unwrap_or(0).saturating_mul(block);
            let count = number("count=").map_or(usize::MAX, |c| c.saturating_mul(block));
            outcome.stdout.extend(bytes.iter().skip(from).take(count));
        }
        "wc" => outcome
            .stdout
            .extend(format!("{:8} {path}\n", bytes.len()).as_bytes()),
        _ => {
            let hex = Sha256::digest(bytes)
                .iter()
                .fold(String::new(), |mut hex, b| {
                    let _ = write!(hex, "{b:02x}");
                    hex
                });
            let text = format!("SHA256({path})= {hex}\n");
            outcome.stdout.extend(text.as_bytes());
        }
    }
    Some(0)
}

/// Runs `cat`, `mv`, `rm`, `ls`, `mkdir`, `ln`, `chown`; anything else is not found. Gives the exit status.
pub(super) fn run(
    disk: &mut DiskState,
    name: &str,
    words: &[String],
    output: Option<Target<'_>>,
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
        ("cat", Some(Target { path, append })) => {
            if let Some(name) = name_of_path(path) {
                let Some(bytes) = disk.save_files.get_mut(&name) else {
                    return complain(format!("{path}: cannot create"));
                };
                if !append {
                    bytes.clear();
                }
                bytes.extend(stdin);
                return 0;
            }
            if !disk.directories.contains(parent(path)) {
                return complain(format!(
                    "{path}: A file or directory in the path name does not exist."
                ));
            }
            let bytes = disk.files.entry(path.to_owned()).or_default();
            if !append {
                bytes.clear();
            }
            bytes.extend(stdin);
            0
        }
        ("cat", None) => match paths.first().and_then(|p| bytes_of(disk, p)) {
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
            let known = disk.directories.contains(path.as_str()) || bytes_of(disk, path).is_some();
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
