//! Times as Go reads them, in the two forms that Kubernetes writes, what it says of others, and how it writes them back.

use super::formats::Format;
use super::node::{Additional, Node};
use crate::embedded::kinds;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::Value;

/// A form of times, as Go names it: the moment 2006-01-02 15:04:05.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Whole seconds; a fraction may follow them.
    Seconds,
    /// Exactly six digits of a second.
    Micros,
}

impl Layout {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "2006-01-02T15:04:05Z07:00",
            Self::Micros => "2006-01-02T15:04:05.000000Z07:00",
        }
    }
}

/// What is wrong with a time.
enum Wrong {
    /// At this part of the form.
    At(&'static str),
    /// This part is a number that does not exist.
    Range(&'static str),
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn digit(&self, index: usize) -> Option<u32> {
        let byte = self.rest.as_bytes().get(index)?;
        char::from(*byte).to_digit(10)
    }

    /// A number of so many digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let number = (0..count).try_fold(0, |sum, i| Some(sum * 10 + self.digit(i)?))?;
        self.skip(count);
        Some(number)
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn literal(&mut self, text: &'static str) -> Result<(), Wrong> {
        self.rest = self.rest.strip_prefix(text).ok_or(Wrong::At(text))?;
        Ok(())
    }

    fn part(&mut self, form: &'static str, count: usize) -> Result<u32, Wrong> {
        self.digits(count).ok_or(Wrong::At(form))
    }

    fn below(&mut self, form: &'static str, end: u32, name: &'static str) -> Result<(), Wrong> {
        match self.part(form, 2)? {
            number if number < end => Ok(()),
            _ => Err(Wrong::Range(name)),
        }
    }

    fn time(&mut self, layout: Layout) -> Result<(), Wrong> {
        let year = self.part("2006", 4)?;
        self.literal("-")?;
        let month = self.part("01", 2)?;
        if !(1..=12).contains(&month) {
            return Err(Wrong::Range("month"));
        }
        self.literal("-")?;
        let day = self.part("02", 2)?;
        self.literal("T")?;
        // One digit is enough for the hour.
        if self.digit(1).is_some() {
            self.below("15", 24, "hour")?;
        } else {
            self.part("15", 1)?;
        }
        self.literal(":")?;
        self.below("04", 60, "minute")?;
        self.literal(":")?;
        self.below("05", 60, "second")?;
        self.fraction(layout)?;
        self.zone()?;
        let year = i32::try_from(year).unwrap_or_default();
        // Go looks at the day last.
        NaiveDate::from_ymd_opt(year, month, day)
            .map(drop)
            .ok_or(Wrong::Range("day"))
    }

    fn fraction(&mut self, layout: Layout) -> Result<(), Wrong> {
        let begun = self.rest.starts_with(['.', ',']);
        let digits = (1..).take_while(|i| self.digit(*i).is_some()).count();
        match layout {
            Layout::Seconds if begun && digits > 0 => self.skip(1 + digits),
            Layout::Seconds => {}
            Layout::Micros if begun && digits >= 6 => self.skip(7),
            Layout::Micros => return Err(Wrong::At(".000000")),
        }
        Ok(())
    }

    fn zone(&mut self) -> Result<(), Wrong> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(());
        }
        let wrong = || Wrong::At("Z07:00");
        let [b'+' | b'-', hour @ .., b':', _, _] =
            self.rest.as_bytes().get(..6).ok_or_else(wrong)?
        else {
            return Err(wrong());
        };
        let number = |digits: &[u8]| {
            let text = std::str::from_utf8(digits).ok();
            let number = text.filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
            number.and_then(|t| t.parse::<u32>().ok()).ok_or_else(wrong)
        };
        let minute = self.rest.as_bytes().get(4..6).unwrap_or_default();
        let (hour, minute) = (number(hour)?, number(minute)?);
        if hour > 24 {
            return Err(Wrong::Range("time zone offset hour"));
        }
        if minute > 60 {
            return Err(Wrong::Range("time zone offset minute"));
        }
        self.skip(6);
        Ok(())
    }
}

/// Reads a time.
///
/// # Errors
/// What Go says of what is none.
pub fn check(text: &str, layout: Layout) -> Result<(), String> {
    let mut reader = Reader { rest: text };
    match reader.time(layout) {
        Ok(()) if reader.rest.is_empty() => Ok(()),
        Ok(()) => Err(format!(
            "parsing time \"{text}\": extra text: \"{}\"",
            reader.rest
        )),
        Err(Wrong::At(form)) => Err(format!(
            "parsing time \"{text}\" as \"{}\": cannot parse \"{}\" as \"{form}\"",
            layout.name(),
            reader.rest
        )),
        Err(Wrong::Range(name)) => Err(format!("parsing time \"{text}\": {name} out of range")),
    }
}

/// Writes the times in a value as the real server does once it has read them: in UTC, with all digits of their form.
pub fn settle(value: &mut Value, node: &Node, name: &str) {
    match value {
        Value::String(text) if node.format == Some(Format::DateTime) => {
            if let Ok(time) = DateTime::parse_from_rfc3339(&text.replace(',', ".")) {
                let digits = match kinds::is_micro_time(name) {
                    true => SecondsFormat::Micros,
                    false => SecondsFormat::Secs,
                };
                *text = time.with_timezone(&Utc).to_rfc3339_opts(digits, true);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                match (node.properties.get(name), &node.additional) {
                    (Some(property), _) => settle(value, &property.node, name),
                    (None, Additional::Of(below)) => settle(value, below, name),
                    (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(below) = node.items.as_deref() {
                items.iter_mut().for_each(|item| settle(item, below, name));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, check};

    /// As a kube-apiserver 1.36.3 says it.
    #[test]
    fn a_time_that_is_none_is_told_in_the_words_of_the_real_server() {
        for (text, wrong) in [
            ("2026-01-01T02:00:00.123456+02:00", ""),
            ("2026-01-01T00:00:00,123456Z", ""),
            ("2026-01-01T00:00:00Z", "cannot parse \"Z\" as \".000000\""),
            (
                "2026-01-01T00:00:00.123Z",
                "cannot parse \".123Z\" as \".000000\"",
            ),
            (
                "2026-01-01T00:00:00.1234567Z",
                "cannot parse \"7Z\" as \"Z07:00\"",
            ),
            (
                "2026-01-01T00:00:00.123456",
                "cannot parse \"\" as \"Z07:00\"",
            ),
            ("yesterday", "cannot parse \"yesterday\" as \"2006\""),
            ("", "cannot parse \"\" as \"2006\""),
            (
                "2026-1-1T00:00:00.123456Z",
                "cannot parse \"1-1T00:00:00.123456Z\" as \"01\"",
            ),
            (
                "2026-01-01 00:00:00.123456Z",
                "cannot parse \" 00:00:00.123456Z\" as \"T\"",
            ),
            (
                "2026-01-01t00:00:00.123456z",
                "cannot parse \"t00:00:00.123456z\" as \"T\"",
            ),
        ] {
            let found = check(text, Layout::Micros);
            match wrong {
                "" => assert_eq!(found, Ok(()), "{text}"),
                _ => {
                    let form = "\"2006-01-02T15:04:05.000000Z07:00\"";
                    let wanted = format!("parsing time \"{text}\" as {form}: {wrong}");
                    assert_eq!(found, Err(wanted));
                }
            }
        }
        for (text, wrong) in [
            ("2026-01-01T25:00:00.123456Z", "hour out of range"),
            ("2026-13-01T00:00:00.123456Z", "month out of range"),
            ("2026-02-30T00:00:00.123456Z", "day out of range"),
            ("2026-01-01T00:00:00.123456Zx", "extra text: \"x\""),
        ] {
            let wanted = format!("parsing time \"{text}\": {wrong}");
            assert_eq!(check(text, Layout::Micros), Err(wanted));
        }
    }

    #[test]
    fn whole_seconds_may_have_a_fraction() {
        for text in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.5Z",
            "2026-12-31T23:59:59-11:30",
        ] {
            assert_eq!(check(text, Layout::Seconds), Ok(()), "{text}");
        }
        assert!(check("2026-01-01", Layout::Seconds).is_err());
        assert!(check("2026-01-01T00:00:00", Layout::Seconds).is_err());
    }
}
