//! Reads some fields of an object's text and passes over the rest: of a run of 6 KB a table shows a dozen fields, and making a
//! value of everything takes most of a long list's time.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Which fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// All of what is here.
    whole: bool,
    below: BTreeMap<String, Fields>,
}

/// An object's text in parts.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Its metadata, as it is written.
    pub metadata: &'a str,
    /// The object with nothing but the wanted fields, as far as it has them.
    pub fields: Value,
}

impl Fields {
    /// Adds what a path of field names leads to; an empty path is everything.
    pub fn want<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) {
        let mut at = self;
        for name in path {
            at = at.below.entry(name.to_owned()).or_default();
        }
        at.whole = true;
    }

    /// From a text.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn read(&self, text: &[u8]) -> serde_json::Result<Value> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = self.deserialize(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// From the text of an object, with its metadata beside.
    ///
    /// # Errors
    /// It is not JSON, or has no metadata.
    pub fn parts<'a>(&self, text: &'a [u8]) -> serde_json::Result<Parts<'a>> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let parts = reader.deserialize_map(OfObject(self))?;
        reader.end()?;
        Ok(parts)
    }
}

impl<'de> DeserializeSeed<'de> for &Fields {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.whole {
            return Value::deserialize(deserializer);
        }
        deserializer.deserialize_any(OfValue(self))
    }
}

struct OfValue<'f>(&'f Fields);

// Where fields were expected and something else is, there is nothing to be had.
impl<'de> Visitor<'de> for OfValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut found = Map::new();
        while let Some(wanted) = map.next_key_seed(Name(&self.0.below))? {
            match wanted {
                Some((name, fields)) => {
                    found.insert(name.to_owned(), map.next_value_seed(fields)?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(found))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, _: &str) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// The fields of an object, when the next one is among those that are wanted.
struct Name<'f>(&'f BTreeMap<String, Fields>);

impl<'de, 'f> DeserializeSeed<'de> for Name<'f> {
    type Value = Option<(&'f str, &'f Fields)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, 'f> Visitor<'de> for Name<'f> {
    type Value = Option<(&'f str, &'f Fields)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let found = self.0.get_key_value(name);
        Ok(found.map(|(name, fields)| (name.as_str(), fields)))
    }
}

const METADATA: &str = "metadata";

struct OfObject<'f>(&'f Fields);

impl<'de> Visitor<'de> for OfObject<'_> {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts<'de>, A::Error> {
        let all = Fields {
            whole: true,
            below: BTreeMap::new(),
        };
        let mut metadata = None;
        let mut found = Map::new();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let wanted = if self.0.whole {
                Some(&all)
            } else {
                self.0.below.get(name.as_ref())
            };
            if name == METADATA {
                let raw = map.next_value::<&'de RawValue>()?.get();
                metadata = Some(raw);
                if let Some(fields) = wanted {
                    let value = fields.read(raw.as_bytes()).map_err(A::Error::custom)?;
                    found.insert(METADATA.to_owned(), value);
                }
            } else if let Some(fields) = wanted {
                let value = map.next_value_seed(fields)?;
                found.insert(name.into_owned(), value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Parts {
            metadata: metadata.ok_or_else(|| A::Error::missing_field(METADATA))?,
            fields: Value::Object(found),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use serde_json::{Value, json};

    fn fields(paths: &[&[&str]]) -> Fields {
        let mut fields = Fields::default();
        for path in paths {
            fields.want(path.iter().copied());
        }
        fields
    }

    fn object() -> Value {
        json!({
            "metadata": {"name": "a", "labels": {"x": "\u{e4}\"y\\"}, "n": 1},
            "spec": {"list": [{"a": 1}, [null, true, 1.5, -3]], "deep": {"er": {"est": "v"}, "other": 1}, "text": "t"},
            "with \"quotes\"": 7,
        })
    }

    #[test]
    fn only_what_is_wanted_is_read() {
        let text = serde_json::to_vec(&object()).unwrap();
        let wanted = fields(&[
            &["spec", "deep", "er"],
            &["spec", "list"],
            &["spec", "missing", "too"],
            &["spec", "text", "is no object"],
            &["with \"quotes\""],
        ]);
        let read = wanted.read(&text).unwrap();
        let expected = json!({
            "spec": {"list": [{"a": 1}, [null, true, 1.5, -3]], "deep": {"er": {"est": "v"}}, "text": null},
            "with \"quotes\"": 7,
        });
        assert_eq!(read, expected);
        assert_eq!(fields(&[]).read(&text).unwrap(), json!({}));
        assert_eq!(fields(&[&[]]).read(&text).unwrap(), object());
        assert!(wanted.read(&text[..text.len() - 1]).is_err());
    }

    #[test]
    fn the_wider_of_two_paths_counts() {
        let text = serde_json::to_vec(&object()).unwrap();
        for paths in [
            [&["spec"][..], &["spec", "deep"]],
            [&["spec", "deep"], &["spec"]],
        ] {
            let read = fields(&paths).read(&text).unwrap();
            assert_eq!(read["spec"], object()["spec"]);
        }
    }

    #[test]
    fn metadata_stays_as_it_is_written() {
        let text = serde_json::to_vec(&object()).unwrap();
        let parts = fields(&[&["metadata", "name"], &["spec", "text"]]);
        let parts = parts.parts(&text).unwrap();
        let metadata: Value = serde_json::from_str(parts.metadata).unwrap();
        assert_eq!(metadata, object()["metadata"]);
        let expected = json!({"metadata": {"name": "a"}, "spec": {"text": "t"}});
        assert_eq!(parts.fields, expected);
        assert_eq!(fields(&[&[]]).parts(&text).unwrap().fields, object());
        assert!(fields(&[]).parts(b"{\"spec\":{}}").is_err());
        assert!(fields(&[]).parts(b"[]").is_err());
    }
}
