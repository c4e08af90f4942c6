//! The OpenAPI schema of a definition, as an API server applies it with strict validation: an unknown field is refused.

use regex::Regex;
use serde_json::{Map, Value};
use std::fmt;

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Keys and indexes from the top of the document.
    pub path: Vec<String>,
    /// What is wrong and what to write.
    pub text: String,
    /// The line of the file, where it is known better than by the path.
    pub line: Option<usize>,
}

impl Finding {
    /// At a path.
    pub fn new(path: &[String], text: impl Into<String>) -> Self {
        Self {
            path: path.to_vec(),
            text: text.into(),
            line: None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        for part in &self.path {
            match part.parse::<usize>() {
                Ok(index) => name.push_str(&format!("[{index}]")),
                Err(_) if name.is_empty() => name.push_str(part),
                Err(_) => name.push_str(&format!(".{part}")),
            }
        }
        match name.is_empty() {
            true => write!(f, "{}", self.text),
            false => write!(f, "{name}: {}", self.text),
        }
    }
}

/// A whole object: of the metadata only the name is ours to judge, the rest is Kubernetes' own.
pub fn check_object(schema: &Value, object: &Value, findings: &mut Vec<Finding>) {
    let Some(fields) = object.as_object() else {
        findings.push(Finding::new(
            &[],
            "write an object with apiVersion, kind, metadata, spec",
        ));
        return;
    };
    check_name(&object["metadata"], findings);
    let mut path = Vec::new();
    let own = |key: &str| !matches!(key, "apiVersion" | "kind" | "metadata");
    let fields: Map<String, Value> = fields
        .iter()
        .filter(|(key, _)| own(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    check(schema, &Value::Object(fields), &mut path, findings);
}

fn check_name(metadata: &Value, findings: &mut Vec<Finding>) {
    let path = ["metadata".to_owned(), "name".to_owned()];
    let given = |key: &str| metadata[key].as_str().unwrap_or_default();
    let name = given("name");
    if name.is_empty() {
        if given("generateName").is_empty() {
            findings.push(Finding::new(&path, "write a name"));
        }
        return;
    }
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| word(c) || matches!(c, '-' | '.');
    if !(name.starts_with(word) && name.ends_with(word) && name.chars().all(inner)) {
        let text = "write lower-case letters, digits, - and ., beginning and ending with a letter or digit";
        findings.push(Finding::new(&path, text));
    }
}

/// One value and all in it.
fn check(schema: &Value, value: &Value, path: &mut Vec<String>, findings: &mut Vec<Finding>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if let Some(wanted) = schema["type"].as_str()
        && !is(wanted, value)
    {
        let found = kind(value);
        let hint = if wanted == "string" {
            ", in quotes"
        } else {
            ""
        };
        findings.push(Finding::new(
            path,
            format!("write {}{hint}, this is {found}", article(wanted)),
        ));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        let words: Vec<String> = words
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        findings.push(Finding::new(
            path,
            format!("write one of {}", words.join(", ")),
        ));
    }
    bounds(schema, value, path, findings);
    forms(schema, value, path, findings);
    match value {
        Value::Object(fields) => object(schema, fields, path, findings),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push(at.to_string());
                check(&schema["items"], item, path, findings);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn object(
    schema: &Value,
    fields: &Map<String, Value>,
    path: &mut Vec<String>,
    findings: &mut Vec<Finding>,
) {
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    let required = schema["required"].as_array().map(Vec::as_slice);
    for name in required
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
    {
        if !fields.contains_key(name) {
            path.push(name.to_owned());
            findings.push(Finding::new(path, "is missing and has no default"));
            path.pop();
        }
    }
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (name, value) in fields {
        path.push(name.clone());
        match known.get(name) {
            Some(schema) => check(schema, value, path, findings),
            None if schema["additionalProperties"].is_object() => {
                check(&schema["additionalProperties"], value, path, findings);
            }
            None if open => {}
            None => {
                let text = format!("unknown field{}", near(name, known));
                findings.push(Finding::new(path, text));
            }
        }
        path.pop();
    }
}

fn near(name: &str, known: &Map<String, Value>) -> String {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    match known.keys().find(|key| plain(key) == plain(name)) {
        Some(key) => format!(", write {key}"),
        None => {
            let mut names: Vec<&str> = known.keys().map(String::as_str).collect();
            names.sort_unstable();
            format!("; known here: {}", names.join(", "))
        }
    }
}

fn bounds(schema: &Value, value: &Value, path: &[String], findings: &mut Vec<Finding>) {
    let (size, unit, least, most) = match value {
        Value::Number(n) => (n.as_f64(), "", "minimum", "maximum"),
        Value::String(text) => {
            let length = text.chars().count() as f64;
            (Some(length), " characters", "minLength", "maxLength")
        }
        Value::Array(items) => (Some(items.len() as f64), " items", "minItems", "maxItems"),
        Value::Null | Value::Bool(_) | Value::Object(_) => return,
    };
    let Some(size) = size else { return };
    if let Some(least) = schema[least].as_f64().filter(|least| size < *least) {
        findings.push(Finding::new(path, format!("write at least {least}{unit}")));
    }
    if let Some(most) = schema[most].as_f64().filter(|most| size > *most) {
        findings.push(Finding::new(path, format!("write at most {most}{unit}")));
    }
}

/// Rules about the form of one value: `self.matches(r'…')` and the same of each item. The others need an API server.
fn forms(schema: &Value, value: &Value, path: &[String], findings: &mut Vec<Finding>) {
    for rule in rules(schema) {
        let Some(form) = Form::of(rule["rule"].as_str().unwrap_or_default()) else {
            continue;
        };
        let good = match value {
            Value::String(text) => form.fits(text),
            Value::Array(items) => items.iter().filter_map(Value::as_str).all(|t| form.fits(t)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
        };
        if !good {
            findings.push(Finding::new(path, said(rule, path)));
        }
    }
}

/// The rule's own words, without the name of the field they begin with.
fn said(rule: &Value, path: &[String]) -> String {
    let text = rule["message"]
        .as_str()
        .unwrap_or("has not the form it needs");
    let last = path
        .iter()
        .rev()
        .find(|part| part.parse::<usize>().is_err());
    let rest = last.and_then(|name| text.strip_prefix(&format!("{name}: ")));
    rest.unwrap_or(text).to_owned()
}

fn rules(schema: &Value) -> &[Value] {
    let rules = schema["x-kubernetes-validations"].as_array();
    rules.map(Vec::as_slice).unwrap_or_default()
}

struct Form(Regex);

impl Form {
    fn of(rule: &str) -> Option<Self> {
        let each = rule
            .strip_prefix("self.all(x, x")
            .and_then(|r| r.strip_suffix(')'));
        let form = each.or(rule.strip_prefix("self"))?;
        let form = form.strip_prefix(".matches(r'")?.strip_suffix("')")?;
        // A second quote means that more stands behind the first pattern.
        let plain = !form.contains('\'');
        plain.then(|| Regex::new(form).ok().map(Self))?
    }
    fn fits(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// How many rules about new objects an API server evaluates and this command does not.
pub fn unchecked(schemas: &[Value]) -> usize {
    fn count(schema: &Value) -> usize {
        let open = |rule: &&Value| {
            let text = rule["rule"].as_str().unwrap_or_default();
            Form::of(text).is_none() && !text.contains("oldSelf") && !super::rules::covers(text)
        };
        let own = rules(schema).iter().filter(open).count();
        let inner = schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(Map::values);
        own + inner.map(count).sum::<usize>()
            + if schema["items"].is_object() {
                count(&schema["items"])
            } else {
                0
            }
    }
    schemas.iter().map(count).sum()
}

fn is(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn article(kind: &str) -> String {
    match kind {
        "array" => "a list".to_owned(),
        "integer" => "a whole number".to_owned(),
        "object" => "a block of fields".to_owned(),
        "boolean" => "true or false".to_owned(),
        "string" => "a text".to_owned(),
        other => format!("a {other}"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a block of fields",
    }
}
