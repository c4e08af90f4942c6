//! Text files of the kit: `key=value` lines and a checksum (`ibmi/CONTRACT.md` § 2). Written here a second time on
//! purpose: the operator's own writer is proved against it.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Reads a file; `None` for another version, a wrong or missing checksum, bytes after it, or a doubled key.
pub fn read(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    if bytes.len() > 30_000 {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let at = text.rfind("\nchecksum=")? + 1;
    let sum = text[at..].strip_prefix("checksum=")?.strip_suffix('\n')?;
    if sum != hash(&text[..at]) {
        return None;
    }
    let mut map = BTreeMap::new();
    for line in text[..at].lines() {
        let (key, value) = line.split_once('=')?;
        if map.insert(key.to_owned(), value.to_owned()).is_some() {
            return None;
        }
    }
    (map.get("version").map(String::as_str) == Some("1")).then_some(map)
}

/// Writes a record: `version`, `kind`, then the pairs.
pub fn write(kind: &str, pairs: &[(&str, String)]) -> Vec<u8> {
    let mut text = format!("version=1\nkind={kind}\n");
    for (key, value) in pairs {
        let _ = writeln!(text, "{key}={value}");
    }
    let sum = hash(&text);
    let _ = writeln!(text, "checksum={sum}");
    text.into_bytes()
}

/// Values of a numbered list.
pub fn list(map: &BTreeMap<String, String>, prefix: &str, suffix: &str) -> Option<Vec<String>> {
    let count: usize = map.get(&format!("{prefix}.count"))?.parse().ok()?;
    (1..=count)
        .map(|n| map.get(&format!("{prefix}.{n}{suffix}")).cloned())
        .collect()
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
