//! Protobuf bodies of requests. kubectl sends `create configmap|secret|namespace`, `auth can-i` and deletions in no other form, and
//! does not try JSON when that is refused (`kubernetes-api.md` § 3.3). Answers are JSON, which every client reads.
//!
//! A table per message says what each field is called; what a table does not know is left out, as protobuf wants it.

mod tables;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

pub use tables::{DELETE_OPTIONS, table};

/// What a body of this form begins with.
const MAGIC: &[u8] = b"k8s\0";
/// Deepest message in a message: the tables know no deeper one.
const DEEPEST: usize = 12;

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    number: u32,
    name: &'static str,
    form: Form,
}

/// Fields of a message.
pub type Table = &'static [Field];

/// How a field is written. Go writes fields that are not optional even when they are empty; JSON leaves those out.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Left out when empty.
    Text,
    /// A text that may be empty.
    OptionalText,
    /// Left out when zero.
    Integer,
    /// A number that may be zero.
    OptionalInteger,
    /// True or false.
    Flag,
    /// JSON as bytes: `fieldsV1`.
    Json,
    /// Seconds, in RFC 3339.
    Time,
    /// With microseconds.
    MicroTime,
    /// Another message; left out when empty.
    Message(Table),
    /// From text to text, or to bytes.
    Map(Entry),
    /// Texts.
    Texts,
    /// Messages.
    Messages(Table),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Text,
    Bytes,
}

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not of this form at all.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    NoPrefix,
    /// It ends within a field.
    #[error("unexpected EOF")]
    CutOff,
    /// A field is not written as its number says.
    #[error("proto: wrong wireType = {wire} for field {name}")]
    WrongType {
        /// How it is written.
        wire: u8,
        /// Its name.
        name: &'static str,
    },
    /// Text that is none, a time out of range, or fields as JSON that are none.
    #[error("proto: field {name} cannot be read")]
    BadValue {
        /// Its name.
        name: &'static str,
    },
    /// An unknown way to write a field, or nesting without end.
    #[error("proto: illegal wireType {wire}")]
    Illegal {
        /// How it is written.
        wire: u8,
    },
}

/// Reads a body: `k8s\0`, then the envelope `runtime.Unknown` with apiVersion and kind, then the object.
///
/// # Errors
/// When it is cut off or not of this form.
pub fn decode(body: &[u8], table: Table) -> Result<Value, Unreadable> {
    let envelope = body.strip_prefix(MAGIC).ok_or(Unreadable::NoPrefix)?;
    let (mut type_meta, mut raw): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader(envelope);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => type_meta = bytes,
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(raw, table, 0)?;
    object.extend(message(type_meta, tables::TYPE_META, 0)?);
    Ok(Value::Object(object))
}

fn message(bytes: &[u8], table: Table, depth: usize) -> Result<Map<String, Value>, Unreadable> {
    if depth > DEEPEST {
        return Err(Unreadable::Illegal { wire: 2 });
    }
    let mut fields = Map::new();
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        if let Some(field) = table.iter().find(|f| f.number == number) {
            set(&mut fields, field, wire, depth)?;
        }
    }
    Ok(fields)
}

fn set(
    fields: &mut Map<String, Value>,
    field: &Field,
    wire: Wire<'_>,
    depth: usize,
) -> Result<(), Unreadable> {
    let name = field.name;
    let value = match (field.form, wire) {
        (Form::Text, Wire::Bytes(bytes)) => Some(text(bytes, name)?)
            .filter(|t| !t.is_empty())
            .map(Value::from),
        (Form::OptionalText, Wire::Bytes(bytes)) => Some(text(bytes, name)?.into()),
        (Form::Integer, Wire::Number(n)) => {
            Some(n).filter(|n| *n != 0).map(|n| json!(n.cast_signed()))
        }
        (Form::OptionalInteger, Wire::Number(n)) => Some(json!(n.cast_signed())),
        (Form::Flag, Wire::Number(n)) => Some(json!(n != 0)),
        (Form::Json, Wire::Bytes(bytes)) => Some(raw_json(bytes, name)?),
        (Form::Time, Wire::Bytes(bytes)) => time(bytes, SecondsFormat::Secs, name)?,
        (Form::MicroTime, Wire::Bytes(bytes)) => time(bytes, SecondsFormat::Micros, name)?,
        (Form::Message(table), Wire::Bytes(bytes)) => {
            let inner = message(bytes, table, depth + 1)?;
            (!inner.is_empty()).then_some(Value::Object(inner))
        }
        (Form::Texts, Wire::Bytes(bytes)) => {
            push(fields, name, text(bytes, name)?.into());
            None
        }
        (Form::Messages(table), Wire::Bytes(bytes)) => {
            push(
                fields,
                name,
                Value::Object(message(bytes, table, depth + 1)?),
            );
            None
        }
        (Form::Map(entry), Wire::Bytes(bytes)) => {
            let (key, value) = map_entry(bytes, entry, name)?;
            if let Some(map) = fields
                .entry(name)
                .or_insert_with(|| json!({}))
                .as_object_mut()
            {
                map.insert(key, value);
            }
            None
        }
        (_, wire) => {
            return Err(Unreadable::WrongType {
                wire: wire.id(),
                name,
            });
        }
    };
    if let Some(value) = value {
        fields.insert(name.to_owned(), value);
    }
    Ok(())
}

fn push(fields: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some(items) = fields
        .entry(name)
        .or_insert_with(|| json!([]))
        .as_array_mut()
    {
        items.push(value);
    }
}

fn text<'a>(bytes: &'a [u8], name: &'static str) -> Result<&'a str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|_| Unreadable::BadValue { name })
}

/// `FieldsV1` is a message whose first field is JSON.
fn raw_json(bytes: &[u8], name: &'static str) -> Result<Value, Unreadable> {
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        if let (1, Wire::Bytes(json)) = (number, wire) {
            return serde_json::from_slice(json).map_err(|_| Unreadable::BadValue { name });
        }
    }
    Ok(json!({}))
}

/// Empty = no time.
fn time(
    bytes: &[u8],
    format: SecondsFormat,
    name: &'static str,
) -> Result<Option<Value>, Unreadable> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Number(n)) => seconds = n.cast_signed(),
            (2, Wire::Number(n)) => nanos = n,
            _ => {}
        }
    }
    let nanos = u32::try_from(nanos).map_err(|_| Unreadable::BadValue { name })?;
    let time = DateTime::from_timestamp(seconds, nanos).ok_or(Unreadable::BadValue { name })?;
    Ok(Some(time.to_rfc3339_opts(format, true).into()))
}

fn map_entry(
    bytes: &[u8],
    entry: Entry,
    name: &'static str,
) -> Result<(String, Value), Unreadable> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    let value = match entry {
        Entry::Text => text(value, name)?.into(),
        Entry::Bytes => STANDARD.encode(value).into(),
    };
    Ok((text(key, name)?.to_owned(), value))
}

/// A field as it is written.
#[derive(Debug, Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Fixed64,
    Bytes(&'a [u8]),
    Fixed32,
}

impl Wire<'_> {
    fn id(self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Fixed64 => 1,
            Self::Bytes(_) => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// Fields one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Unreadable> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Unreadable::CutOff)?;
        let wire = match (tag & 7) as u8 {
            0 => Wire::Number(self.number()?),
            1 => self.take(8).map(|_| Wire::Fixed64)?,
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| Unreadable::CutOff)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed32)?,
            wire => return Err(Unreadable::Illegal { wire }),
        };
        Ok(Some((number, wire)))
    }

    fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Unreadable::CutOff)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }
}
