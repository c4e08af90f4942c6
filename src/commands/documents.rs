//! YAML files of several documents, with the line at which each begins.

use super::CommandError;
use crate::embedded::go_yaml;
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// One document of a file.
#[derive(Debug, Clone)]
pub struct Document {
    /// Line of the file at which it begins, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// Its content, or why it is no YAML, with the line of the file where that is known.
    pub value: Result<Value, String>,
}

impl Document {
    /// `kind`, empty without one.
    pub fn kind(&self) -> &str {
        self.word("/kind")
    }

    /// `metadata.name` or `metadata.generateName`, empty without one.
    pub fn name(&self) -> &str {
        let name = self.word("/metadata/name");
        if name.is_empty() {
            self.word("/metadata/generateName")
        } else {
            name
        }
    }

    fn word(&self, pointer: &str) -> &str {
        let value = self.value.as_ref().ok();
        let found = value.and_then(|v| v.pointer(pointer)?.as_str());
        found.unwrap_or_default()
    }

    /// Line of the file on which a path of the document stands, or the nearest part of the path that is there. Only keys
    /// in block style have a line of their own; in `{ flow: style }` it is the line of the block they are in.
    pub fn line_of(&self, path: &[String]) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let (mut from, mut until, mut found) = (0, lines.len(), None);
        for part in path {
            let at = if part.parse::<usize>().is_ok() {
                item(&lines, from, until, part.parse().unwrap_or_default())
            } else {
                key(&lines, from, until, part)
            };
            let Some(at) = at else { break };
            found = Some(at);
            let indent = indent(lines[at]);
            let item = lines[at].trim_start().starts_with("- ");
            let inside =
                |line: &str| self::indent(line) > indent || (!item && is_item(line, indent));
            let end = (at + 1..until).find(|n| !blank(lines[*n]) && !inside(lines[*n]));
            // `- name: x` is an item and its first key at once.
            from = if part.parse::<usize>().is_ok() {
                at
            } else {
                at + 1
            };
            until = end.unwrap_or(until);
        }
        self.line + found.unwrap_or_else(|| lines.iter().position(|l| !blank(l)).unwrap_or(0))
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn blank(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#')
}

/// A list may stand at the indent of its key.
fn is_item(line: &str, at: usize) -> bool {
    indent(line) == at && line.trim_start().starts_with("- ")
}

/// The line of a key that is a direct child of the block.
fn key(lines: &[&str], from: usize, until: usize, key: &str) -> Option<usize> {
    let bare = |line: &str| line.trim_start().trim_start_matches("- ").to_owned();
    let place = |line: &str| line.len() - bare(line).len();
    let child = (from..until).find(|n| !blank(lines[*n]))?;
    let wanted = place(lines[child]);
    let starts = |line: &str| {
        let text = bare(line);
        let rest = text.strip_prefix(key).or_else(|| {
            let quoted = text.strip_prefix(['"', '\''])?.strip_prefix(key)?;
            quoted.strip_prefix(['"', '\''])
        });
        rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    (from..until).find(|n| place(lines[*n]) == wanted && !blank(lines[*n]) && starts(lines[*n]))
}

/// The line of the nth item of the list in the block.
fn item(lines: &[&str], from: usize, until: usize, nth: usize) -> Option<usize> {
    let first = (from..until).find(|n| !blank(lines[*n]))?;
    let wanted = indent(lines[first]);
    (from..until)
        .filter(|n| is_item(lines[*n], wanted))
        .nth(nth)
}

/// Reads a file; `-` is the standard input.
///
/// # Errors
/// A file that cannot be read.
pub fn read(path: &Path) -> Result<Vec<Document>, CommandError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|e| CommandError::io("read the standard input", e))?;
        text
    } else {
        let what = format!("read {}", path.display());
        std::fs::read_to_string(path).map_err(|e| CommandError::io(what, e))?
    };
    Ok(split(&text))
}

/// Documents that have content.
pub fn split(text: &str) -> Vec<Document> {
    let mut parts: Vec<(usize, String)> = vec![(1, String::new())];
    for (at, line) in text.lines().enumerate() {
        if let Some(rest) = line
            .strip_prefix("---")
            .filter(|r| r.is_empty() || r.starts_with(' '))
        {
            // A document may begin behind the mark; blanks keep its columns.
            match blank(rest) {
                true => parts.push((at + 2, String::new())),
                false => parts.push((at + 1, format!("   {rest}\n"))),
            }
            continue;
        }
        if line == "..." {
            parts.push((at + 2, String::new()));
            continue;
        }
        if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts.retain(|(_, text)| text.lines().any(|line| !blank(line)));
    let document = |(line, text): (usize, String)| Document {
        value: parse(&text, line),
        line,
        text,
    };
    parts.into_iter().map(document).collect()
}

/// Parsed below empty lines, so that the parser's line numbers are those of the file.
fn parse(text: &str, line: usize) -> Result<Value, String> {
    value(&("\n".repeat(line - 1) + text))
}

/// What one document says. What kubectl would take otherwise than it looks is read as kubectl reads it; a key that is there
/// twice is nobody's wish.
///
/// # Errors
/// Why it is no good, with the line of this text where that is known.
pub fn value(text: &str) -> Result<Value, String> {
    let read = go_yaml::read(text).map_err(|error| error.to_string())?;
    match read.duplicates.first() {
        None => Ok(read.value),
        Some(twice) => Err(format!(
            "line {}: key {:?} is in its object already",
            twice.line, twice.key
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    const FILE: &str = "\
# two
kind: A
metadata: { name: one }
---
kind: B
metadata:
  name: two
spec:
  # a comment
  list:
  - name: x
    port: 1
  - name: y

    port: 2
  flow: { deep: 1 }
---
kind: [C
";

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn documents_are_told_apart_and_lines_are_those_of_the_file() {
        let documents = split(FILE);
        let lines: Vec<usize> = documents.iter().map(|d| d.line).collect();
        assert_eq!(lines, [1, 5, 18]);
        assert_eq!((documents[0].kind(), documents[0].name()), ("A", "one"));
        let second = &documents[1];
        for (wanted, line) in [
            ("metadata.name", 7),
            ("spec.list.0.port", 12),
            ("spec.list.1.name", 13),
            ("spec.list.1.port", 15),
            ("spec.list.1.missing", 13),
            ("spec.flow.deep", 16),
            ("spec.missing", 8),
            ("missing", 5),
        ] {
            assert_eq!(second.line_of(&path(wanted)), line, "{wanted}");
        }
        let wrong = documents[2].value.as_ref().unwrap_err();
        assert!(wrong.contains("18") || wrong.contains("19"), "{wrong}");
    }

    #[test]
    fn a_document_may_begin_behind_its_mark() {
        let documents = split("--- # one\na: 1\n--- {b: 2}\n");
        let values: Vec<_> = documents
            .iter()
            .map(|d| (d.line, d.value.clone().unwrap()))
            .collect();
        assert_eq!(values, [(2, json!({"a": 1})), (3, json!({"b": 2}))]);
    }

    #[test]
    fn values_are_those_that_kubectl_applies_and_a_key_twice_is_an_error_with_its_line() {
        let documents = split("a: yes\nb: 010\nc: \"no\"\n---\na: 1\nb: 2\na: 3\n");
        let first = documents[0].value.as_ref().unwrap();
        assert_eq!(*first, json!({"a": true, "b": 8, "c": "no"}));
        let twice = documents[1].value.as_ref().unwrap_err();
        assert_eq!(twice, "line 7: key \"a\" is in its object already");
    }
}
