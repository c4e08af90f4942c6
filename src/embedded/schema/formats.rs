//! Formats that are looked at, and regular expressions as the real server reads them.

use super::names;
use super::node::Type;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

/// A format that is looked at. Others are remarks, as on the real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 3339.
    DateTime,
    /// Like `2026-12-31`.
    Date,
    /// Like `1h30m`.
    Duration,
    /// Base64.
    Byte,
    /// Any text.
    Password,
    /// Also without hyphens, also in upper case.
    Uuid,
    /// Like `192.0.2.1`.
    Ipv4,
    /// Like `2001:db8::1`.
    Ipv6,
    /// DNS label.
    ShortName,
    /// DNS subdomain.
    LongName,
    /// Fits 32 bits.
    Int32,
    /// Fits 64 bits.
    Int64,
    /// Fits 32 bits.
    Float,
    /// Any number.
    Double,
}

/// Formats that the real server looks at and this one does not.
const MISSING: [&str; 17] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "cidr",
    "mac",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "float32",
];

impl Format {
    /// The format of a type, if it is looked at.
    ///
    /// # Errors
    /// The real server would look at it and this one cannot.
    pub fn of(type_: Type, format: Option<&str>, at: &str) -> Result<Option<Self>, String> {
        let format = format.unwrap_or_default();
        Ok(match type_ {
            Type::Integer => match format {
                "int32" => Some(Self::Int32),
                "int64" => Some(Self::Int64),
                _ => None,
            },
            Type::Number => match format {
                "float" => Some(Self::Float),
                "double" => Some(Self::Double),
                _ => None,
            },
            Type::String | Type::Any => Self::of_text(format, at)?,
            Type::Object | Type::Array | Type::Boolean | Type::IntOrString => None,
        })
    }

    fn of_text(format: &str, at: &str) -> Result<Option<Self>, String> {
        Ok(match format.replace('-', "").as_str() {
            "datetime" => Some(Self::DateTime),
            "date" => Some(Self::Date),
            "duration" => Some(Self::Duration),
            "byte" => Some(Self::Byte),
            "password" => Some(Self::Password),
            "uuid" => Some(Self::Uuid),
            "ipv4" => Some(Self::Ipv4),
            "ipv6" => Some(Self::Ipv6),
            "k8sshortname" => Some(Self::ShortName),
            "k8slongname" => Some(Self::LongName),
            other if MISSING.contains(&other) => {
                return Err(format!("{at}: format {format} is not supported"));
            }
            _ => None,
        })
    }

    /// As messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DateTime => "date-time",
            Self::Date => "date",
            Self::Duration => "duration",
            Self::Byte => "byte",
            Self::Password => "password",
            Self::Uuid => "uuid",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::ShortName => "k8s-short-name",
            Self::LongName => "k8s-long-name",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float => "float",
            Self::Double => "double",
        }
    }

    /// Whether a text has this format; formats of numbers say nothing about a text.
    pub fn takes(self, text: &str) -> bool {
        match self {
            Self::DateTime => is_date_time(text),
            Self::Date => NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() && text.len() == 10,
            Self::Duration => duration(text).is_some(),
            Self::Byte => STANDARD.decode(text).is_ok() && !text.is_empty(),
            Self::Uuid => UUID.is_match(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::ShortName => names::label(text).is_empty(),
            Self::LongName => names::subdomain(text).is_empty(),
            Self::Password | Self::Int32 | Self::Int64 | Self::Float | Self::Double => true,
        }
    }
}

static UUID: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
});
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$")
});

/// A pattern of this file or of `names`; a wrong one would take nothing.
pub fn fixed(pattern: &str) -> Regex {
    #[allow(clippy::expect_used)] // Constants; compiled by the tests of this room.
    Regex::new(pattern).expect("a constant pattern")
}

/// As loose as the real server: it looks at hours, minutes and seconds, not at the offset.
fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let Some((date, time)) = lower.split_once('t') else {
        return false;
    };
    let Some(parts) = TIME.captures(time) else {
        return false;
    };
    let within = |group: usize, max: &str| parts.get(group).is_some_and(|m| m.as_str() <= max);
    Format::Date.takes(date) && within(1, "23") && within(2, "59") && within(3, "59")
}

/// The moment that a `date-time` or `date` names, for CEL.
pub fn moment(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    let with_offset = DateTime::parse_from_rfc3339(text).ok();
    let local = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok();
    let date = || {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(0, 0, 0)
    };
    with_offset.or_else(|| Some(local().or_else(date)?.and_utc().fixed_offset()))
}

/// Like `1h30m`, `-2.5s`, `0`.
pub fn duration(text: &str) -> Option<TimeDelta> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(TimeDelta::zero());
    }
    let mut nanoseconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, next) = behind.split_at(letters);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        nanoseconds += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    // Saturates beyond 292 years, as far as the real server counts.
    Some(TimeDelta::nanoseconds((sign * nanoseconds) as i64))
}

/// A regular expression as the real server reads it: `\d`, `\w` and `\s` are ASCII.
///
/// # Errors
/// No regular expression.
pub fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    let mut text = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            in_class = (in_class || c == '[') && c != ']';
            text.push(c);
            continue;
        }
        let Some(escaped) = characters.next() else {
            text.push(c);
            break;
        };
        let set = match escaped {
            'd' | 'D' => "0-9",
            'w' | 'W' => "0-9A-Za-z_",
            's' | 'S' => r"\t\n\x0c\r ",
            _ => "",
        };
        if set.is_empty() {
            text.push(c);
            text.push(escaped);
        } else if escaped.is_lowercase() && in_class {
            text.push_str(set);
        } else {
            let not = if escaped.is_lowercase() { "" } else { "^" };
            text.push_str(&format!("[{not}{set}]"));
        }
    }
    Regex::new(&text)
}
