//! Two servers beside each other, and the list of the differences that are accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Held;

/// The case ids of the table in `docs/embedded-api.md`: its rows begin with the id in backticks.
pub fn accepted() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/embedded-api.md");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let ids = text.lines().filter_map(|line| {
        let row = line.strip_prefix("| `")?;
        Some(row.split_once('`')?.0.to_owned())
    });
    ids.collect()
}

/// What is wrong with two servers that should answer alike; nothing = all is as `docs/embedded-api.md` says.
pub fn complaints(real: &[Held], other: &[Held], accepted: &BTreeSet<String>) -> Vec<String> {
    let texts: BTreeMap<_, _> = other.iter().map(|held| (&held.id, held)).collect();
    let mut complaints = Vec::new();
    for held in real {
        let theirs = texts[&held.id];
        let listed = accepted.contains(&held.id);
        if held.text == theirs.text && listed {
            complaints.push(format!(
                "{}: answers alike; take it out of docs/embedded-api.md",
                held.id
            ));
        }
        if held.text != theirs.text && !listed {
            let difference = difference(&held.text, &theirs.text);
            let trouble = theirs.trouble.as_ref();
            let trouble = trouble.map_or(String::new(), |trouble| format!("  ({trouble})\n"));
            complaints.push(format!("{}: {}\n{trouble}{difference}", held.id, held.rule));
        }
    }
    complaints
}

/// Listed ids that no case or program has.
pub fn unknown(accepted: &BTreeSet<String>, ids: &BTreeSet<String>) -> Vec<String> {
    accepted.difference(ids).cloned().collect()
}

/// The lines that differ, `-` of the first and `+` of the second, each with a few before it.
pub fn difference(first: &str, second: &str) -> String {
    let [first, second] = [first, second].map(|text| text.lines().collect::<Vec<_>>());
    let mut lines = Vec::new();
    let (mut i, mut j) = (0, 0);
    while (i < first.len() || j < second.len()) && lines.len() < 60 {
        if i < first.len() && j < second.len() && first[i] == second[j] {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let context = first[i.saturating_sub(3)..i].iter();
        lines.extend(context.map(|line| format!("    {line}")));
        let (gone, come) = meeting(&first[i..], &second[j..]);
        lines.extend(first[i..i + gone].iter().map(|line| format!("  - {line}")));
        lines.extend(second[j..j + come].iter().map(|line| format!("  + {line}")));
        (i, j) = (i + gone, j + come);
    }
    lines.join("\n")
}

/// After how many lines of each they agree again; the least in sum.
fn meeting(first: &[&str], second: &[&str]) -> (usize, usize) {
    let furthest = first.len() + second.len();
    for sum in 1..furthest {
        for gone in 0..=sum.min(first.len()) {
            let come = sum - gone;
            if come > second.len() {
                continue;
            }
            let again = |ahead: usize| first.get(gone + ahead) == second.get(come + ahead);
            if gone < first.len() && come < second.len() && again(0) && again(1) {
                return (gone, come);
            }
        }
    }
    (first.len(), second.len())
}

/// Case, status codes, rule: the same for both servers where they answer alike.
pub fn table(held: &[Held]) -> String {
    let rows = held.iter().map(|held| {
        let outcome = if held.trouble.is_some() {
            "NOT AS EXPECTED"
        } else {
            "ok"
        };
        format!("{:44} {:4} {}", held.id, outcome, held.rule)
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Tells how long it took; not by eprintln!, which the test harness swallows.
pub fn took(what: &str, since: Instant) {
    let seconds = since.elapsed().as_secs_f32();
    let mut terminal = std::io::stderr();
    writeln!(terminal, "conformance: {what} took {seconds:.1} s").unwrap();
}

/// Writes what was said where somebody can read it, one file per case.
pub fn keep(place: &str, held: &[Held]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("conformance")
        .join(place);
    std::fs::create_dir_all(&directory).unwrap();
    for held in held {
        let trouble = held
            .trouble
            .iter()
            .map(|trouble| format!("TROUBLE {trouble}\n"));
        let text = trouble.chain([held.text.clone()]).collect::<String>();
        std::fs::write(directory.join(format!("{}.txt", held.id)), text).unwrap();
    }
    std::fs::write(directory.join("table"), table(held) + "\n").unwrap();
    directory
}
