//! The text of an export: one document after the other, YAML or JSON. Read piece by piece, since logs may make it large.

use super::{GROUP, Header, KIND, VERSION};
use crate::commands::{CommandError, documents};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Form of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Documents of YAML.
    Yaml,
    /// One JSON object per line.
    Json,
}

impl Format {
    /// A document as it stands in the file.
    pub(super) fn document(self, value: &Value) -> String {
        match self {
            Self::Json => format!("{value}\n"),
            Self::Yaml => {
                let yaml = serde_saphyr::to_string(value).unwrap_or_default();
                // JSON is YAML too: for a text that would be read as something else.
                let same = documents::value(&yaml).is_ok_and(|read| read == *value);
                let alone = yaml.lines().all(|line| !divides(line));
                match same && alone {
                    true => format!("---\n{}\n", yaml.trim_end()),
                    false => format!("---\n{value}\n"),
                }
            }
        }
    }
}

fn divides(line: &str) -> bool {
    line == "---" || line.starts_with("--- ") || line == "..."
}

/// A file that was read.
pub(super) struct Text {
    path: PathBuf,
    text: String,
}

/// One document in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'t> {
    /// Line at which it begins, from 1.
    pub(super) line: usize,
    text: &'t str,
}

impl Text {
    /// Reads a file; `-` is the standard input.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let mut text = String::new();
        let read = if path == Path::new("-") {
            std::io::stdin().read_to_string(&mut text)
        } else {
            std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
        };
        read.map_err(|e| CommandError::io(format!("read {}", path.display()), e))?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// The documents that have content.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let json = self.text.trim_start().starts_with('{');
        let (mut pieces, mut begin, mut line_of_begin, mut at) = (Vec::new(), 0, 1, 0);
        for (nth, line) in self.text.split_inclusive('\n').enumerate() {
            let (text, end) = (line.trim_end_matches(['\n', '\r']), at + line.len());
            if json || divides(text) {
                // A line of JSON is a document; a line that divides belongs to none.
                let until = if json { end } else { at };
                pieces.push((line_of_begin, &self.text[begin..until]));
                (begin, line_of_begin) = (end, nth + 2);
            }
            at = end;
        }
        pieces.push((line_of_begin, &self.text[begin..]));
        let filled = |text: &str| {
            let mut lines = text.lines().map(str::trim);
            lines.any(|line| !line.is_empty() && !line.starts_with('#'))
        };
        pieces.retain(|(_, text)| filled(text));
        let piece = |(line, text)| Piece { line, text };
        pieces.into_iter().map(piece).collect()
    }

    /// What a document says.
    ///
    /// # Errors
    /// With its line.
    pub(super) fn value(&self, piece: Piece<'_>) -> Result<Value, CommandError> {
        let parsed = match piece.text.trim_start().starts_with('{') {
            true => serde_json::from_str(piece.text).map_err(|e| e.to_string()),
            false => documents::value(piece.text),
        };
        parsed.map_err(|why| self.wrong(piece, &format!("cannot be read: {why}")))
    }

    /// The header, which is the first document.
    ///
    /// # Errors
    /// A file that is no export, or one of a later version.
    pub(super) fn header(&self, first: Option<Piece<'_>>) -> Result<Header, CommandError> {
        let none = "this is no export: its first document must be of kind Export, as `ibmi-clone export` writes it";
        let first = first.ok_or_else(|| CommandError::data(&self.path, none))?;
        let value = self.value(first)?;
        let group = value["apiVersion"].as_str().unwrap_or_default();
        match group.strip_prefix(GROUP) {
            Some(VERSION) if value["kind"] == KIND => {}
            Some(later) if value["kind"] == KIND => {
                let tool = value["tool"].as_str().unwrap_or("a later version");
                let why = format!(
                    "it was written by {tool} in form {later}, and this version reads {VERSION}: use that one"
                );
                return Err(CommandError::data(&self.path, why));
            }
            Some(_) | None => return Err(CommandError::data(&self.path, none)),
        }
        serde_json::from_value(value).map_err(|e| self.wrong(first, &e.to_string()))
    }

    /// An error about a document.
    pub(super) fn wrong(&self, piece: Piece<'_>, why: &str) -> CommandError {
        CommandError::data(&self.path, format!("line {}: {why}", piece.line))
    }

    /// An error about the whole.
    pub(super) fn whole(&self, why: impl std::fmt::Display) -> CommandError {
        CommandError::data(&self.path, why)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(text: &str) -> Text {
        Text {
            path: PathBuf::from("x.yaml"),
            text: text.to_owned(),
        }
    }

    fn values(file: &Text) -> Vec<Value> {
        let pieces = file.pieces().into_iter();
        pieces.map(|piece| file.value(piece).unwrap()).collect()
    }

    #[test]
    fn documents_are_told_apart_with_their_lines() {
        let file = text("# a comment\n---\na: 1\n---\n\n--- # b\nb:\n- 2\n...\n");
        let lines: Vec<usize> = file.pieces().iter().map(|p| p.line).collect();
        assert_eq!(lines, [3, 7]);
        assert_eq!(values(&file), [json!({"a": 1}), json!({"b": [2]})]);
        let file = text("{\"a\": 1}\n\n{\"b\": \"---\"}");
        let lines: Vec<usize> = file.pieces().iter().map(|p| p.line).collect();
        assert_eq!(lines, [1, 3]);
        let wrong = text("---\na: 1\n---\na: [\n");
        let wrong = wrong.value(wrong.pieces()[1]).unwrap_err().to_string();
        assert!(wrong.contains("x.yaml: line 4: cannot be read"), "{wrong}");
    }

    /// Texts that YAML readers have taken for something else.
    fn tricky() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ -~]{0,12}",
            "(.|\\n|\\r|\\t){0,8}",
            "[0-9]{1,3}:[0-5][0-9](:[0-5][0-9])?",
            Just("---\nkind: Secret".to_owned()),
            Just("y".to_owned()),
            Just("null".to_owned()),
            Just("1e3".to_owned()),
            Just("0x1F".to_owned()),
            Just("2026-11-23".to_owned()),
            Just("a: b\n  c".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(key in tricky(), list in proptest::collection::vec(tricky(), 0..4), number in any::<i64>()) {
            let document = json!({"kind": "X", "inner": {key: list, "n": number, "none": null, "yes": true}});
            for format in [Format::Yaml, Format::Json] {
                let file = text(&(format.document(&document) + &format.document(&document)));
                prop_assert_eq!(values(&file), vec![document.clone(), document.clone()]);
            }
        }
    }
}
