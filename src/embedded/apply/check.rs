//! Whether a value can be divided into fields as its schema says, and which fields it then has. This is less than validation:
//! it only tells what could not be merged.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::step::{self, Step};
use super::types::{ListType, MapType, Scalar, Shape, Type};

/// Whether two items of a list may be the same. In what is stored they may, because a plain write can bring them in; in what
/// is applied they may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    Allowed,
    Refused,
}

/// A place where a value cannot be divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Like `.spec.x`.
    pub path: String,
    /// In the words of the real server.
    pub message: String,
}

/// All problems in one text, as the real server writes it.
pub(super) fn text(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match problem.path.as_str() {
        "" => problem.message.clone(),
        path => format!("{path}: {}", problem.message),
    };
    match problems {
        [one] => line(one),
        many => many.iter().fold("errors:".to_owned(), |text, problem| {
            format!("{text}\n  {}", line(problem))
        }),
    }
}

/// Everything that keeps a value from being divided; empty when nothing does.
pub(super) fn problems(of: Type<'_>, value: &Value, duplicates: Duplicates) -> Vec<Problem> {
    let mut check = Check {
        duplicates,
        path: Vec::new(),
        found: Vec::new(),
    };
    check.value(of, value);
    check.found
}

struct Check {
    duplicates: Duplicates,
    path: Vec<Step>,
    found: Vec<Problem>,
}

impl Check {
    fn say(&mut self, message: String) {
        let path = step::text(&self.path);
        self.found.push(Problem { path, message });
    }

    fn value(&mut self, of: Type<'_>, value: &Value) {
        match of.shape(Some(value)) {
            Shape::Scalar(scalar) => {
                if let Some(message) = scalar_problem(scalar, value) {
                    self.say(message);
                }
            }
            Shape::Map(map) => match value {
                Value::Null => {}
                Value::Object(fields) => self.fields(&map, fields),
                other => self.say(format!("expected map, got &{{{}}}", go(other))),
            },
            Shape::List(list) => match value {
                Value::Null => {}
                Value::Array(items) => self.items(&list, items),
                other => self.say(format!("expected list, got &{{{}}}", go(other))),
            },
        }
    }

    fn fields(&mut self, map: &MapType<'_>, fields: &Map<String, Value>) {
        for (name, value) in fields {
            self.path.push(Step::field(name));
            match map.field(name) {
                Some(of) => self.value(of, value),
                None => self.say("field not declared in schema".to_owned()),
            }
            self.path.pop();
        }
    }

    fn items(&mut self, list: &ListType<'_>, items: &[Value]) {
        let mut seen: Vec<Step> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let step = if list.is_atomic() {
                Step::Index(i64::try_from(index).unwrap_or(i64::MAX))
            } else {
                match list.step(item) {
                    Ok(step) => step,
                    Err(why) => return self.say(format!("element {index}: {why}")),
                }
            };
            if !list.is_atomic() {
                if self.duplicates == Duplicates::Refused && seen.contains(&step) {
                    self.say(format!("duplicate entries for key {step}"));
                }
                seen.push(step.clone());
            }
            self.path.push(step);
            self.value(list.item, item);
            self.path.pop();
        }
    }
}

fn scalar_problem(scalar: Scalar, value: &Value) -> Option<String> {
    let good = match scalar {
        Scalar::Number => value.is_number(),
        Scalar::Text => value.is_string(),
        Scalar::Truth => value.is_boolean(),
        Scalar::Any => !value.is_array() && !value.is_object(),
    };
    if good || value.is_null() {
        return None;
    }
    Some(match scalar {
        Scalar::Number => format!("expected numeric (int or float), got {}", go_type(value)),
        Scalar::Text => format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            go_literal(value)
        ),
        Scalar::Truth => format!("expected boolean, got &{{{}}}", go(value)),
        Scalar::Any => format!("expected any scalar, got &{{{}}}", go(value)),
    })
}

/// As Go prints a value with `%v`: the real server's messages hold values in that form.
pub(in crate::embedded) fn go(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}:{}", go(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// As Go prints a value with `%#v`.
fn go_literal(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_literal).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", go_literal(value)));
            format!(
                "map[string]interface {{}}{{{}}}",
                fields.collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// The fields that a value has: every leaf, and every item of a list.
pub(super) fn fields_of(of: Type<'_>, value: &Value) -> Fields {
    let mut fields = Fields::default();
    collect(of, value, &mut Vec::new(), &mut fields);
    fields
}

fn collect(of: Type<'_>, value: &Value, path: &mut Vec<Step>, fields: &mut Fields) {
    match of.shape(Some(value)) {
        Shape::Scalar(_) => fields.insert(path),
        Shape::Map(map) if map.atomic => fields.insert(path),
        Shape::Map(map) => {
            for (name, value) in value.as_object().into_iter().flatten() {
                path.push(Step::field(name));
                if let Some(of) = map.field(name) {
                    collect(of, value, path, fields);
                }
                let nothing = value.as_object().is_some_and(Map::is_empty) || value.is_null();
                if nothing || !map.declares(name) {
                    fields.insert(path);
                }
                path.pop();
            }
        }
        Shape::List(list) if list.is_atomic() => fields.insert(path),
        Shape::List(list) => {
            let items = value.as_array().into_iter().flatten();
            let steps: Vec<(Step, &Value)> = items
                .filter_map(|item| Some((list.step(item).ok()?, item)))
                .collect();
            for (step, item) in &steps {
                // Items that cannot be told apart are owned together, without their parts.
                let alone = steps.iter().filter(|(other, _)| other == step).count() == 1;
                path.push(step.clone());
                if alone {
                    collect(list.item, item, path, fields);
                }
                fields.insert(path);
                path.pop();
            }
        }
    }
}
