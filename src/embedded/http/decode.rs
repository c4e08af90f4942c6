//! JSON and YAML into values, with every key that was written twice: `fieldValidation` has something to say about those, and a
//! parser of values would drop them silently.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::embedded::{go_json, go_yaml};

/// A key that was written twice. The last one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duplicate {
    /// Like `spec.items[0].name`.
    Json {
        /// Where.
        path: String,
    },
    /// YAML is read by line.
    Yaml {
        /// From 1.
        line: u64,
        /// The key.
        key: String,
    },
}

/// What was read.
#[derive(Clone, PartialEq)]
pub struct Decoded {
    /// The value.
    pub value: Value,
    /// In the order in which they were found.
    pub duplicates: Vec<Duplicate>,
}

// By hand: the value may be a Secret.
impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoded({} duplicates)", self.duplicates.len())
    }
}

impl From<Value> for Decoded {
    fn from(value: Value) -> Self {
        Self {
            value,
            duplicates: Vec::new(),
        }
    }
}

/// Reads JSON.
///
/// # Errors
/// What Go's parser says.
pub fn json(bytes: &[u8]) -> Result<Decoded, String> {
    let found = Found::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node(&found)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| go_json::complaint(bytes).unwrap_or_else(|| error.to_string()))?;
    Ok(found.with(value))
}

/// Reads one YAML document; an empty one is null.
///
/// # Errors
/// What the parser says.
pub fn yaml(bytes: &[u8]) -> Result<Decoded, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid UTF-8".to_owned())?;
    let read = go_yaml::read(text).map_err(|why| format!("yaml: {why}"))?;
    let duplicates = read.duplicates.into_iter();
    let duplicates = duplicates.map(|d| Duplicate::Yaml {
        line: d.line,
        key: d.key,
    });
    Ok(Decoded {
        value: read.value,
        duplicates: duplicates.collect(),
    })
}

/// What a reading gathers: where it is, and what it found.
#[derive(Default)]
struct Found {
    path: RefCell<Vec<Step>>,
    duplicates: RefCell<Vec<Duplicate>>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Found {
    fn with(self, value: Value) -> Decoded {
        Decoded {
            value,
            duplicates: self.duplicates.into_inner(),
        }
    }

    fn path(&self) -> String {
        let mut text = String::new();
        for step in self.path.borrow().iter() {
            match step {
                Step::Key(key) if text.is_empty() => text.push_str(key),
                Step::Key(key) => text.extend([".", key]),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }

    fn twice(&self) {
        let duplicate = Duplicate::Json { path: self.path() };
        let mut duplicates = self.duplicates.borrow_mut();
        if !duplicates.contains(&duplicate) {
            duplicates.push(duplicate);
        }
    }
}

/// Reads a value at the present place.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Value, E> {
        let number = Number::from_f64(v);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_string<E: Error>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        loop {
            self.0.path.borrow_mut().push(Step::Index(values.len()));
            let item = items.next_element_seed(self)?;
            self.0.path.borrow_mut().pop();
            match item {
                Some(item) => values.push(item),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.0.path.borrow_mut().push(Step::Key(key.clone()));
            if fields.contains_key(&key) {
                self.0.twice();
            }
            let value = entries.next_value_seed(self)?;
            self.0.path.borrow_mut().pop();
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duplicate, json, yaml};
    use serde_json::json;

    fn json_paths(text: &str) -> Vec<String> {
        let found = json(text.as_bytes()).unwrap().duplicates.into_iter();
        let paths = found.map(|d| match d {
            Duplicate::Json { path } => path,
            Duplicate::Yaml { .. } => panic!("not of JSON"),
        });
        paths.collect()
    }

    #[test]
    fn every_key_written_twice_is_told_once_and_the_last_counts() {
        let text = r#"{"a":1,"a":2,"a":3,"b":[{"c":1,"c":{"d":0,"d":0}}]}"#;
        assert_eq!(json_paths(text), ["a", "b[0].c", "b[0].c.d"]);
        let value = json(text.as_bytes()).unwrap().value;
        assert_eq!(value, json!({"a": 3, "b": [{"c": {"d": 0}}]}));
    }

    #[test]
    fn yaml_is_read_as_go_reads_it() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dup3}\ndata:\n  a: b\n  a: c\n1: yes\nn: ~\nt: \"true\"\n";
        let decoded = yaml(text.as_bytes()).unwrap();
        let duplicates = [Duplicate::Yaml {
            line: 6,
            key: "a".to_owned(),
        }];
        assert_eq!(decoded.duplicates, duplicates);
        assert_eq!(decoded.value["data"], json!({"a": "c"}));
        assert_eq!(decoded.value["1"], json!(true));
        assert_eq!(decoded.value["t"], json!("true"));
        assert!(yaml(b"a: b\n c: d").unwrap_err().starts_with("yaml: "));
        assert_eq!(
            yaml(b"{\"a\": [1, null]}").unwrap().value,
            json!({"a": [1, null]})
        );
    }
}
