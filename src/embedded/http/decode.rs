//! JSON and YAML into values, with every key that was written twice: `fieldValidation` has something to say about those, and a
//! parser of values would drop them silently.

use std::cell::RefCell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

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
/// What Go's parser says, as far as this one knows.
pub fn json(bytes: &[u8]) -> Result<Decoded, String> {
    let found = Found::new(Language::Json);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node(&found)
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| go_error(&error, bytes))?;
    Ok(found.with(value))
}

/// Reads one YAML document; an empty one is null.
///
/// # Errors
/// What the parser says.
pub fn yaml(bytes: &[u8]) -> Result<Decoded, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid UTF-8".to_owned())?;
    if text.trim().is_empty() {
        return Ok(Decoded::from(Value::Null));
    }
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
    };
    let found = Found::new(Language::Yaml);
    let value =
        serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
            Node(&found).deserialize(deserializer)
        });
    let value = value.map_err(|error| yaml_error(&error.to_string()))?;
    Ok(found.with(value))
}

/// What Go calls the type of a JSON value.
pub fn go_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What Go says about a value that should have been an object. `into` is the type it was to become.
pub fn not_an_object(value: &Value, into: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type {into}",
        go_name(value)
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Json,
    Yaml,
}

/// What a reading gathers: where it is, and what it found.
struct Found {
    language: Language,
    path: RefCell<Vec<Step>>,
    duplicates: RefCell<Vec<Duplicate>>,
}

enum Step {
    Key(String),
    Index(usize),
}

impl Found {
    fn new(language: Language) -> Self {
        Self {
            language,
            path: RefCell::default(),
            duplicates: RefCell::default(),
        }
    }

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

    fn twice(&self, key: &str, line: u64) {
        let duplicate = match self.language {
            Language::Json => Duplicate::Json { path: self.path() },
            Language::Yaml => Duplicate::Yaml {
                line,
                key: key.to_owned(),
            },
        };
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
        while let Some((key, line)) = entries.next_key_seed(KeyOf(self.0.language))? {
            self.0.path.borrow_mut().push(Step::Key(key.clone()));
            if fields.contains_key(&key) {
                self.0.twice(&key, line);
            }
            let value = entries.next_value_seed(self)?;
            self.0.path.borrow_mut().pop();
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

/// Reads a key and its line, which only YAML has.
struct KeyOf(Language);

impl<'de> DeserializeSeed<'de> for KeyOf {
    type Value = (String, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            Language::Json => String::deserialize(deserializer).map(|key| (key, 0)),
            Language::Yaml => {
                let key = Spanned::<Key>::deserialize(deserializer)?;
                Ok((key.value.0, key.referenced.line()))
            }
        }
    }
}

/// A key of YAML, which need not be text.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Found::new(Language::Yaml);
        match Node(&found).deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(Self(value.to_string())),
            value @ (Value::Null | Value::Array(_) | Value::Object(_)) => Err(D::Error::custom(
                format!("a key cannot be of type {}", go_name(&value)),
            )),
        }
    }
}

/// Where and what, as Go's parser says it: its text has no column.
fn yaml_error(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    match text
        .split_once(" column ")
        .and_then(|(line, rest)| Some((line, rest.split_once(": ")?.1)))
    {
        Some((line, what)) => format!("yaml: {line}: {what}"),
        None => format!("yaml: {text}"),
    }
}

/// Go's words for what this parser found.
fn go_error(error: &serde_json::Error, bytes: &[u8]) -> String {
    if error.is_eof() || bytes.is_empty() {
        return "unexpected end of JSON input".to_owned();
    }
    let text = error.to_string();
    let line = bytes
        .split(|b| *b == b'\n')
        .nth(error.line().saturating_sub(1));
    let at = error.column().saturating_sub(1);
    let odd = line.and_then(|l| l.get(at)).map_or(' ', |b| char::from(*b));
    let place = [
        ("trailing characters", "after top-level value"),
        (
            "key must be a string",
            "looking for beginning of object key string",
        ),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing comma", "looking for beginning of value"),
        ("expected value", "looking for beginning of value"),
    ];
    match place.iter().find(|(ours, _)| text.starts_with(ours)) {
        Some((_, theirs)) => format!("invalid character '{odd}' {theirs}"),
        None => text,
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
    fn broken_json_is_told_in_the_words_of_the_real_server() {
        for (text, words) in [
            ("", "unexpected end of JSON input"),
            ("{\"kind", "unexpected end of JSON input"),
            (
                "garbage",
                "invalid character 'g' looking for beginning of value",
            ),
            ("{\"a\":1}x", "invalid character 'x' after top-level value"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (
                "{\"a\":1 2}",
                "invalid character '2' after object key:value pair",
            ),
            ("[1 2]", "invalid character '2' after array element"),
        ] {
            assert_eq!(json(text.as_bytes()).unwrap_err(), words, "{text}");
        }
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
