//! One step of the way to a field, as managed fields write it: `f:spec`, `k:{"type":"Ready"}`, `v:"a/finalizer"`.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number, Value};

/// One step from a value into it.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A field of an object.
    Field(String),
    /// The item of a list with these keys, sorted by name.
    Key(Vec<(String, Value)>),
    /// The item of a set.
    Item(Value),
    /// An item by its place. We never write it; older owners may have it.
    Index(i64),
}

impl Step {
    /// A field of an object.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// As a key of `fieldsV1`.
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let keys = keys.iter().map(|(name, value)| {
                    format!(
                        "{}:{}",
                        html_safe(&Value::from(name.as_str())),
                        html_safe(value)
                    )
                });
                format!("k:{{{}}}", keys.collect::<Vec<_>>().join(","))
            }
            Self::Item(value) => format!("v:{}", html_safe(value)),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// From a key of `fieldsV1`. `None` is a sort of step that a later version may know: it is ignored.
    ///
    /// # Errors
    /// Not a step at all.
    pub fn decode(text: &str) -> Result<Option<Self>, String> {
        let (sort, rest) = text
            .split_once(':')
            .ok_or_else(|| format!("missing colon: {text}"))?;
        let bad = |e: serde_json::Error| format!("{text}: {e}");
        Ok(Some(match sort {
            "f" => Self::field(rest),
            "v" => Self::Item(serde_json::from_str(rest).map_err(bad)?),
            "i" => Self::Index(rest.parse().map_err(|_| format!("not an index: {text}"))?),
            "k" => {
                // A map of serde_json is sorted by name already.
                let keys: serde_json::Map<String, Value> =
                    serde_json::from_str(rest).map_err(bad)?;
                Self::Key(keys.into_iter().collect())
            }
            _ if sort.len() == 1 => return Ok(None),
            _ => return Err(format!("missing colon: {text}")),
        }))
    }
}

/// Go's encoder writes these three characters escaped; the same set of fields must read the same.
fn html_safe(value: &Value) -> String {
    let text = value.to_string();
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let keys = keys.iter().map(|(name, value)| format!("{name}={value}"));
                write!(f, "[{}]", keys.collect::<Vec<_>>().join(","))
            }
            Self::Item(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path for people: `.status.conditions[type="Ready"].status`.
pub(super) fn text(path: &[Step]) -> String {
    path.iter().map(ToString::to_string).collect()
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |step: &Self| match step {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Item(_) => 2,
            Self::Index(_) => 3,
        };
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            (Self::Item(a), Self::Item(b)) => order(a, b),
            (Self::Key(a), Self::Key(b)) => order_all(a.iter().zip(b), |((na, va), (nb, vb))| {
                na.cmp(nb).then_with(|| order(va, vb))
            })
            .then(a.len().cmp(&b.len())),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }
}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Step {}

/// Equal for ownership: 1 and 1.0 are the same number, which they are not for `==` on values.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    order(a, b) == Ordering::Equal
}

/// A total order of values: numbers, texts, truths, lists, maps, null.
fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            order_all(a.iter().zip(b), |(a, b)| order(a, b)).then(a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            order_all(a.iter().zip(b), |((ka, va), (kb, vb))| {
                ka.cmp(kb).then_with(|| order(va, vb))
            })
            .then(a.len().cmp(&b.len()))
        }
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn order_all<T>(pairs: impl Iterator<Item = T>, by: impl Fn(T) -> Ordering) -> Ordering {
    pairs
        .map(by)
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn order_numbers(a: &Number, b: &Number) -> Ordering {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return a.cmp(&b);
    }
    let float = |n: &Number| n.as_f64().unwrap_or(f64::NAN);
    float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let steps = [
            (Step::field("spec"), "f:spec"),
            (
                Step::Key(vec![
                    ("port".to_owned(), json!(80)),
                    ("protocol".to_owned(), json!("TCP")),
                ]),
                r#"k:{"port":80,"protocol":"TCP"}"#,
            ),
            (Step::Item(json!("a<b")), r#"v:"a\u003cb""#),
            (Step::Index(3), "i:3"),
        ];
        for (step, text) in steps {
            assert_eq!(step.encode(), text);
            assert_eq!(Step::decode(text), Ok(Some(step)));
        }
    }

    #[test]
    fn an_unknown_sort_of_step_is_ignored_and_nonsense_is_not() {
        assert_eq!(Step::decode("z:later"), Ok(None));
        assert!(Step::decode("spec").is_err());
        assert!(Step::decode("v:{").is_err());
    }

    #[test]
    fn a_whole_number_equals_itself_as_a_fraction() {
        assert!(same(&json!({"a": [1]}), &json!({"a": [1.0]})));
        assert!(!same(&json!({"a": [1]}), &json!({"a": [1, 2]})));
        assert!(!same(&json!("1"), &json!(1)));
    }
}
