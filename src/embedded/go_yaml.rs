//! YAML as kubectl and the real server read it, which is the YAML 1.1 of their parser: `y`, `no` and `on` are true or false, `010` is
//! eight, `1_000` a number. What is read otherwise here than there would be applied otherwise.
//!
//! The parser below gives the structure and the texts; what a plain text means is worked out here, as Go does it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};

use super::go_json;

/// What was read.
#[derive(Clone, PartialEq)]
pub struct Read {
    /// The value. Of a key that is written twice the last one counts.
    pub value: Value,
    /// Keys that are written twice, in the order in which they were found.
    pub duplicates: Vec<DuplicateKey>,
}

// By hand: the value may be a Secret.
impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Read({} duplicates)", self.duplicates.len())
    }
}

/// A key that is in its object already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKey {
    /// From 1.
    pub line: u64,
    /// The key.
    pub key: String,
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// From 1; none where it is not known.
    pub line: Option<u64>,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Reads one document; an empty one is null.
///
/// # Errors
/// What is no YAML, and what has no place in JSON.
pub fn read(text: &str) -> Result<Read, Unreadable> {
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(blank) {
        return Ok(Read {
            value: Value::Null,
            duplicates: Vec::new(),
        });
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
    };
    let node: Node = serde_saphyr::from_str_with_options(text, options)
        .map_err(|e| unreadable(&e.to_string()))?;
    let mut reading = Reading {
        text,
        duplicates: Vec::new(),
    };
    let value = reading.value(node)?;
    Ok(Read {
        value,
        duplicates: reading.duplicates,
    })
}

/// `error: line 3 column 8: what`, perhaps with more lines that draw the place.
fn unreadable(text: &str) -> Unreadable {
    let text = text.lines().next().unwrap_or_default();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let place = |text: &str| {
        let (line, rest) = text.strip_prefix("line ")?.split_once(" column ")?;
        let (_, what) = rest.split_once(": ")?;
        Some((line.parse().ok()?, what.to_owned()))
    };
    match place(text) {
        Some((line, what)) => Unreadable {
            line: Some(line),
            what,
        },
        None => Unreadable {
            line: None,
            what: text.to_owned(),
        },
    }
}

/// A node with its place.
struct Node {
    raw: Raw,
    /// Where it is used.
    line: u64,
    /// Where its text is: elsewhere when it is an alias.
    defined: Location,
}

enum Raw {
    /// As the parser takes it.
    Scalar(Value),
    List(Vec<Node>),
    Object(Vec<(Node, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned {
            value,
            referenced,
            defined,
        } = Spanned::<Raw>::deserialize(deserializer)?;
        Ok(Self {
            raw: value,
            line: referenced.line(),
            defined,
        })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.into()))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.into()))
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.into()))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(number(v)))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Raw::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut nodes = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            nodes.push(entry);
        }
        Ok(Raw::Object(nodes))
    }
}

/// From nodes to a value.
struct Reading<'a> {
    text: &'a str,
    duplicates: Vec<DuplicateKey>,
}

impl Reading<'_> {
    fn value(&mut self, node: Node) -> Result<Value, Unreadable> {
        match node.raw {
            Raw::Scalar(found) => self.scalar(found, node.line, &node.defined),
            Raw::List(nodes) => nodes.into_iter().map(|n| self.value(n)).collect(),
            Raw::Object(entries) => {
                let mut fields = Map::new();
                for (key, value) in entries {
                    let line = key.line;
                    let key = self.key(key)?;
                    let value = self.value(value)?;
                    if fields.insert(key.clone(), value).is_some() {
                        self.twice(DuplicateKey { line, key });
                    }
                }
                Ok(Value::Object(fields))
            }
        }
    }

    fn twice(&mut self, key: DuplicateKey) {
        if !self.duplicates.contains(&key) {
            self.duplicates.push(key);
        }
    }

    /// A key need not be a text.
    fn key(&mut self, node: Node) -> Result<String, Unreadable> {
        let line = node.line;
        match self.value(node)? {
            Value::String(text) => Ok(text),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(value.to_string()),
            value @ (Value::Null | Value::Array(_) | Value::Object(_)) => Err(Unreadable {
                line: Some(line),
                what: format!("a key cannot be of type {}", go_json::type_name(&value)),
            }),
        }
    }

    fn scalar(&self, found: Value, line: u64, at: &Location) -> Result<Value, Unreadable> {
        let Some(plain) = self.plain(at) else {
            return Ok(found);
        };
        match meaning(plain) {
            Meaning::Is(value) => Ok(value),
            Meaning::NoJson => Err(Unreadable {
                line: Some(line),
                what: format!("{plain} is no number that JSON has"),
            }),
            Meaning::Text => Ok(plain.into()),
        }
    }

    /// The text of a scalar that is written without quotes, without a tag, in one line and not as a block: what it is depends on it.
    fn plain(&self, at: &Location) -> Option<&str> {
        let span = at.span();
        let begin = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        let text = self.text.get(begin..begin.checked_add(length)?)?.trim_end();
        let marked = text.starts_with(['"', '\'', '|', '>', '!', '&', '*']);
        let before = self.text.get(..begin)?;
        let mut lines = before.lines().rev();
        let line = lines.find(|l| !l.trim().is_empty()).unwrap_or_default();
        let line = line.split_once(" #").map_or(line, |(line, _)| line);
        let mut words = line.rsplit(|c: char| c.is_whitespace() || "[{,".contains(c));
        let word = words.find(|word| !word.is_empty() && !word.starts_with('&'));
        // A tag says what it is; what follows a `|` or `>` is a text.
        let told = word.is_some_and(|word| word.starts_with(['!', '|', '>']));
        (!text.is_empty() && !marked && !text.contains('\n') && !told).then_some(text)
    }
}

/// What a plain text means.
enum Meaning {
    Is(Value),
    Text,
    /// A number that JSON does not have.
    NoJson,
}

fn meaning(text: &str) -> Meaning {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Meaning::Is(true.into());
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Meaning::Is(false.into());
        }
        "~" | "null" | "Null" | "NULL" => return Meaning::Is(Value::Null),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return Meaning::NoJson,
        _ => {}
    }
    let found = match text.as_bytes().first() {
        Some(b'.') => float(text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits = text.replace('_', "");
            whole(&digits).or_else(|| float(&digits))
        }
        Some(_) | None => None,
    };
    found.map_or(Meaning::Text, Meaning::Is)
}

/// A whole number, in the base that its beginning says: `0x1F`, `0b101`, `0o17`, and `017` too.
fn whole(text: &str) -> Option<Value> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        Some("0b" | "0B") => (2, digits.get(2..)?),
        Some("0o" | "0O") => (8, digits.get(2..)?),
        Some(octal) if octal.starts_with('0') => (8, digits.get(1..)?),
        Some(_) | None => (10, digits),
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = u64::from_str_radix(digits, radix).ok()?;
    let small = match negative {
        true => 0_i64.checked_sub_unsigned(number),
        false => i64::try_from(number).ok(),
    };
    match small {
        Some(small) => Some(small.into()),
        None if signed => None,
        None => Some(number.into()),
    }
}

/// A number with a point or an exponent, or one that is too large for a whole one.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
    number.filter(|_| mantissa && exponent).map(self::number)
}

/// Go writes a number without a fraction as a whole one.
fn number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e18 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::read;
    use serde_json::{Value, json};

    fn one(scalar: &str) -> Result<Value, String> {
        let found = read(&format!("a: {scalar}\nz: end\n"));
        found
            .map(|r| r.value["a"].clone())
            .map_err(|e| e.to_string())
    }

    /// What `kubectl apply` of 1.36.3 sent to the server.
    #[test]
    fn a_plain_text_means_what_it_means_to_kubectl() {
        let table: &[(&str, Value)] = &[
            ("y yes on Yes On Y true True TRUE", json!(true)),
            ("n no off NO OFF N false", json!(false)),
            ("~ null Null NULL", json!(null)),
            ("010 0o10 +010 08 8.0 8. 0b1000", json!(8)),
            ("10 1_0_ 1__0", json!(10)),
            ("0x1F 037 31", json!(31)),
            ("1_000 1e3 1E3 1__000 +1000 1000.0", json!(1000)),
            ("-5 -0x5 -0b101", json!(-5)),
            ("0 00 -0 -0.0 1e-400", json!(0)),
            ("1.5 +1.5 15e-1 1_.5", json!(1.5)),
            (".5 0.5", json!(0.5)),
            ("685_230.15", json!(685_230.15)),
            (
                "18446744073709551615",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("99999999999999999999", json!(1e20)),
        ];
        for (scalars, value) in table {
            for scalar in scalars.split(' ') {
                assert_eq!(one(scalar), Ok(value.clone()), "{scalar}");
            }
        }
        for text in [
            "yEs",
            "tRue",
            "t",
            "f",
            "1:30",
            "190:20:30",
            "2026-01-01",
            "2026-01-01T00:00:00Z",
            "_1",
            "0o8",
            "1e400",
            "1e",
            "0x",
            "1,000",
            "0xFFFFFFFFFFFFFFFFFF",
            "=",
            "1.2.3",
            "10.0.0.1",
            "+",
            "1-2",
            ".",
            ".5_0",
        ] {
            assert_eq!(one(text), Ok(json!(text)), "{text}");
        }
        assert_eq!(one(""), Ok(json!(null)));
        for number in [".inf", "-.INF", ".nan"] {
            let words = format!("line 1: {number} is no number that JSON has");
            assert_eq!(one(number), Err(words));
        }
    }

    #[test]
    fn what_is_quoted_tagged_or_in_a_block_stays_a_text() {
        for text in [
            "\"yes\"",
            "'yes'",
            "!!str yes",
            "!!str &x yes",
            "|-\n  yes",
            ">-\n  yes",
        ] {
            assert_eq!(one(text), Ok(json!("yes")), "{text}");
        }
        assert_eq!(one("!!int \"5\""), Ok(json!(5)));
        assert!(one("!x y").unwrap_err().starts_with("line 1: "));
        let text = "a: &x on\nb: *x\nc: [no, \"no\", {y: 010}]\nd: one\n  two\ne: # nothing\n";
        let wanted = json!({"a": true, "b": true, "c": [false, "no", {"true": 8}], "d": "one two", "e": null});
        assert_eq!(read(text).unwrap().value, wanted);
    }

    #[test]
    fn keys_are_read_as_values_and_told_when_they_are_there_twice() {
        let read = read("on: 1\n1: x\n1.5: z\na: b\n\na: c\n\"on\": 2\n").unwrap();
        assert_eq!(
            read.value,
            json!({"true": 1, "1": "x", "1.5": "z", "a": "c", "on": 2})
        );
        let told: Vec<_> = read
            .duplicates
            .iter()
            .map(|d| (d.line, d.key.as_str()))
            .collect();
        assert_eq!(told, [(6, "a")]);
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        let wrong = read("a: b\n c: d\n").unwrap_err();
        assert_eq!(wrong.line, Some(2), "{wrong}");
        assert!(
            read("~: x\n")
                .unwrap_err()
                .to_string()
                .contains("a key cannot be of type null")
        );
        assert_eq!(read("# nothing\n\n").unwrap().value, json!(null));
    }
}
