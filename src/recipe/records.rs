//! Text files of the guest kit: `key=value` lines under a checksum (`ibmi/CONTRACT.md` § 2, § 8).

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Parameter file of the run, on the source and, with the flash, on the clone.
pub const PARAMETERS_PATH: &str = "/ibmiclone/run.parm";
/// Ready record, on the clone.
pub const READY_PATH: &str = "/ibmiclone/ready";
/// Marker of the guard's stages, on the clone.
pub const MARKER_PATH: &str = "/ibmiclone/marker";
/// Result record of the function's program, on the clone.
pub const RESULT_PATH: &str = "/ibmiclone/result";
/// Lock of the operator, on the source.
pub const LOCK_PATH: &str = "/ibmiclone/operator.lock";
/// Present when the watchdog fired.
pub const FIRED_PATH: &str = "/ibmiclone/watchdog.fired";
/// File form of the kit's version.
pub const VERSION_PATH: &str = "/ibmiclone/version";
/// Version of the guest kit this operator works with (`ibmi/CONTRACT.md` § 1).
pub const KIT_VERSION: &str = "1.2.0";

/// Why a text is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not UTF-8, no `version=1`, a line without `=`.
    #[error("not a record of the guest kit")]
    Form,
    /// The checksum line is missing, wrong, or not the last one.
    #[error("checksum missing or wrong")]
    Checksum,
    /// A key is there twice.
    #[error("a key is there twice")]
    Twice,
    /// A value holds a character the kit does not take.
    #[error("a value holds a character outside A-Z a-z 0-9 . : / _ - * @ # $ , and blank")]
    Character,
}

/// A proved record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    values: BTreeMap<String, String>,
}

impl Record {
    /// Reads a whole file.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Form)?;
        let at = text.rfind("checksum=").ok_or(RecordError::Checksum)?;
        let (body, last) = text.split_at(at);
        let found = last.strip_prefix("checksum=").unwrap_or_default();
        if found.strip_suffix('\n').unwrap_or(found) != digest(body.as_bytes()) {
            return Err(RecordError::Checksum);
        }
        let mut values = BTreeMap::new();
        for line in body.lines() {
            let (key, value) = line.split_once('=').ok_or(RecordError::Form)?;
            if values.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(RecordError::Twice);
            }
        }
        if values.get("version").map(String::as_str) != Some("1") {
            return Err(RecordError::Form);
        }
        Ok(Self { values })
    }

    /// Reads a record out of a command's output: lines before `version=1` are login noise.
    pub fn find(output: &str) -> Result<Self, RecordError> {
        let mut at = 0;
        for line in output.split_inclusive('\n') {
            if line.trim_end() == "version=1" {
                let text = output.get(at..).unwrap_or_default();
                let text = text.replace('\r', "");
                return Self::parse(format!("{}\n", text.trim_end()).as_bytes());
            }
            at += line.len();
        }
        Err(RecordError::Form)
    }

    /// Value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Value of a key, empty when it is missing or `-`.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).filter(|v| *v != "-").unwrap_or_default()
    }
}

/// Collects lines and closes them with the checksum.
#[derive(Debug, Default)]
pub struct RecordText {
    text: String,
    refused: bool,
}

impl RecordText {
    /// Adds one line.
    pub fn line(&mut self, key: &str, value: impl AsRef<str>) {
        let value = value.as_ref();
        self.refused |= !value.chars().all(taken);
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "{key}={value}");
    }

    /// Adds a numbered list with its count.
    pub fn list<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        self.line(&format!("{key}.count"), values.len().to_string());
        for (n, value) in values.iter().enumerate() {
            self.line(&format!("{key}.{}", n + 1), value);
        }
    }

    /// The whole text with its checksum line.
    pub fn close(mut self) -> Result<String, RecordError> {
        if self.refused {
            return Err(RecordError::Character);
        }
        let sum = digest(self.text.as_bytes());
        let _ = writeln!(self.text, "checksum={sum}");
        Ok(self.text)
    }
}

fn taken(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".:/_-*@#$, ".contains(c)
}

/// SHA-256 as lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let mut text = RecordText::default();
        text.line("version", "1");
        text.line("kind", "ready");
        text.list("asp", &["IASP1"]);
        text.close().expect("plain characters")
    }

    #[test]
    fn what_is_written_is_read_back() {
        let record = Record::parse(sample().as_bytes()).expect("own text");
        assert_eq!(record.get("kind"), Some("ready"));
        assert_eq!(record.get("asp.count"), Some("1"));
        assert_eq!(record.get("asp.1"), Some("IASP1"));
    }

    #[test]
    fn the_checksum_covers_every_byte_before_its_line() {
        let text = sample();
        let body = text.split("checksum=").next().expect("a body");
        assert!(body.ends_with('\n'));
        assert!(text.ends_with(&format!("checksum={}\n", digest(body.as_bytes()))));
        let changed = text.replace("IASP1", "IASP2");
        assert_eq!(
            Record::parse(changed.as_bytes()),
            Err(RecordError::Checksum)
        );
    }

    #[test]
    fn bytes_after_the_checksum_and_double_keys_are_refused() {
        let longer = format!("{}more=1\n", sample());
        assert_eq!(Record::parse(longer.as_bytes()), Err(RecordError::Checksum));
        let mut twice = RecordText::default();
        twice.line("version", "1");
        twice.line("version", "1");
        let twice = twice.close().expect("plain characters");
        assert_eq!(Record::parse(twice.as_bytes()), Err(RecordError::Twice));
    }

    #[test]
    fn login_noise_before_a_record_is_dropped() {
        let noisy = format!("Welcome to PROD\n\n{}", sample());
        assert!(Record::find(&noisy).is_ok());
        assert_eq!(Record::find("Welcome\n"), Err(RecordError::Form));
    }

    #[test]
    fn a_value_the_kit_cannot_take_is_refused() {
        let mut text = RecordText::default();
        text.line("operator", "a=b'");
        assert_eq!(text.close(), Err(RecordError::Character));
    }
}
