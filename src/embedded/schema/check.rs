//! A value against its schema, with the words of the real server. Where the value is the same as before, nothing is looked at:
//! what was taken once stays as it is (Kubernetes calls it ratcheting).

use super::cause;
use super::formats::Format;
use super::node::{Additional, Node, Type};
use super::path::Path;
use crate::embedded::refusal::Cause;
use serde_json::{Map, Value};

/// Beyond this a floating-point number is not taken for a whole one.
const WHOLE: f64 = 9_007_199_254_740_991.0;

/// What was found, and how much was good: of several alternatives the one that fits best is explained.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is wrong.
    pub causes: Vec<Cause>,
    good: usize,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.causes.extend(other.causes);
        self.good += other.good;
    }
}

/// Checks one value; `old` is what was at this place before.
pub fn check(node: &Node, value: &Value, old: Option<&Value>, path: &Path<'_>) -> Outcome {
    // The root is never unchanged as a whole: its version differs.
    if old == Some(value) && !path.is_root() {
        return Outcome::default();
    }
    whole(node, value, old, path)
}

fn whole(node: &Node, value: &Value, old: Option<&Value>, path: &Path<'_>) -> Outcome {
    let mut found = Outcome {
        causes: wrong_type(node, value, path).into_iter().collect(),
        good: 1,
    };
    if node.type_ != Type::Any || node.format.is_some() {
        found.good += 1 + usize::from(found.causes.is_empty());
    }
    if value.is_null() {
        not_allowed(node, value, path, &mut found);
        return found;
    }
    combined(node, value, old, path, &mut found);
    match value {
        Value::String(text) => string(node, text, path, &mut found),
        Value::Number(number) => super::numbers::check(node, number, path, &mut found.causes),
        Value::Array(list) => items(node, list, old, path, &mut found),
        Value::Null | Value::Bool(_) | Value::Object(_) => {}
    }
    not_allowed(node, value, path, &mut found);
    if let Value::Object(object) = value {
        fields(node, object, old, path, &mut found);
    }
    found
}

/// JSON type of a value and the format that the real server thinks of.
fn type_of(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::String(_) => ("string", ""),
        Value::Number(n) if n.is_i64() => ("integer", "int64"),
        Value::Number(_) => ("number", "float64"),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

fn wrong_type(node: &Node, value: &Value, path: &Path<'_>) -> Option<Cause> {
    if node.type_ == Type::Any && (node.format.is_none() || value.is_null()) {
        return None;
    }
    let (found, found_format) = type_of(value);
    let wanted = node.type_.name();
    let refuse = |wanted: &str, found: &str| {
        let detail = format!(
            "{} in body must be of type {wanted}: \"{found}\"",
            path.words()
        );
        Some(cause::wrong_type(schema_path(path), found, &detail))
    };
    if value.is_null() {
        let refused = !node.nullable && node.type_ != Type::Any;
        return if refused { refuse(wanted, found) } else { None };
    }
    let takes_numbers = matches!(node.type_, Type::Integer | Type::Number | Type::IntOrString);
    let whole = value
        .as_f64()
        .is_some_and(|f| f.fract() == 0.0 && f.abs() <= WHOLE);
    let number_fits = match node.type_ {
        Type::Integer | Type::IntOrString => found == "number" && whole,
        Type::Number => found == "integer",
        Type::Any | Type::Object | Type::Array | Type::String | Type::Boolean => false,
    };
    let fits = node.type_.takes(found) || number_fits;
    match node.format {
        Some(format) if !value.is_string() && !value.is_array() && !fits => {
            return refuse(format.name(), found_format);
        }
        // So loose is the real server: a list passes where a text with a format is wanted.
        Some(_) if !takes_numbers && (value.is_string() || value.is_array()) => return None,
        Some(_) | None => {}
    }
    if fits { None } else { refuse(wanted, found) }
}

/// Where a cause is said to be: the root has no name.
pub fn schema_path(path: &Path<'_>) -> String {
    if path.is_root() {
        path.name()
    } else {
        path.body()
    }
}

fn not_allowed(node: &Node, value: &Value, path: &Path<'_>, found: &mut Outcome) {
    let allowed = &node.limits.allowed;
    found.good += 1;
    // A null is no value of an enumeration, even if it is written there.
    let is_allowed = !value.is_null() && allowed.iter().any(|a| same(a, value));
    if !allowed.is_empty() && !is_allowed {
        found
            .causes
            .push(cause::unsupported(schema_path(path), value, allowed));
    }
}

fn same(allowed: &Value, value: &Value) -> bool {
    match (allowed.as_i64(), allowed.as_f64(), value.as_f64()) {
        // The real server cuts the value before it compares; other checks refuse a fraction.
        (Some(_), Some(a), Some(b)) => a == b.trunc(),
        (None, Some(a), Some(b)) => a == b,
        _ => allowed == value,
    }
}

fn invalid(path: &Path<'_>, value: &Value, should: &str) -> Cause {
    let detail = format!("{} in body should {should}", path.words());
    cause::invalid(schema_path(path), value, &detail)
}

/// The first thing that is wrong with a text; then, apart from it, its format.
fn string(node: &Node, text: &str, path: &Path<'_>, found: &mut Outcome) {
    let (min, max) = node.limits.length;
    let counted = (min.is_some() || max.is_some()).then(|| text.chars().count() as i64);
    let length = counted.unwrap_or_default();
    let value = || Value::from(text);
    found.good += 1;
    if let Some(max) = max.filter(|max| length > *max) {
        found.causes.push(cause::too_long(schema_path(path), max));
    } else if let Some(min) = min.filter(|min| length < *min) {
        let should = format!("be at least {min} chars long");
        found.causes.push(invalid(path, &value(), &should));
    } else if let Some((pattern, _)) =
        (node.limits.pattern.as_ref()).filter(|(_, r)| !r.is_match(text))
    {
        let should = format!("match '{pattern}'");
        found.causes.push(invalid(path, &value(), &should));
    }
    if let Some(format) = node.format {
        found.good += 1;
        if !format.takes(text) {
            let shown = cause::quoted(text);
            let detail = format!(
                "{} in body must be of type {}: {shown}",
                path.words(),
                format.name()
            );
            found
                .causes
                .push(cause::wrong_type(schema_path(path), text, &detail));
        }
    }
}

fn items(node: &Node, list: &[Value], old: Option<&Value>, path: &Path<'_>, found: &mut Outcome) {
    found.good += 2;
    if let Some(below) = node.items.as_deref() {
        for (index, item) in list.iter().enumerate() {
            let old = node.counterpart(item, old);
            found.add(check(below, item, old, &path.index(index)));
        }
    }
    let (min, max) = node.limits.items;
    let size = list.len();
    if let Some(min) = min.filter(|min| (size as i64) < *min) {
        let should = format!("have at least {min} items");
        found
            .causes
            .push(invalid(path, &Value::from(size), &should));
    }
    if let Some(max) = max.filter(|max| (size as i64) > *max) {
        found
            .causes
            .push(cause::too_many(schema_path(path), size, max));
    }
}

fn fields(
    node: &Node,
    object: &Map<String, Value>,
    old: Option<&Value>,
    path: &Path<'_>,
    found: &mut Outcome,
) {
    found.good += 1;
    let size = object.len();
    let (min, max) = node.limits.properties;
    if let Some(min) = min.filter(|min| (size as i64) < *min) {
        let should = format!("have at least {min} properties");
        found
            .causes
            .push(invalid(path, &Value::from(size), &should));
    }
    if let Some(max) = max.filter(|max| (size as i64) > *max) {
        found
            .causes
            .push(cause::too_many(schema_path(path), size, max));
    }
    for (name, value) in object {
        if path.is_root() && name == "metadata" {
            continue; // Has checks of its own.
        }
        let step = match node.properties.contains_key(name) {
            // Of a change, only one that was sent to the status differs there.
            true if node.status_apart && old.is_some() && name == "status" => path.apart(name),
            true => path.field(name),
            false => path.key(name),
        };
        match node.child(name) {
            Some(below) => {
                let old = old.and_then(|o| o.get(name));
                found.add(check(below, value, old, &step));
            }
            None if matches!(node.additional, Additional::Forbidden) => {
                let detail = format!("{}.{name} in body is a forbidden property", path.words());
                let cause = cause::invalid_text(schema_path(path), "", &detail);
                found.causes.push(cause);
            }
            None => {}
        }
    }
    for name in &node.required {
        if !object.contains_key(name) {
            let field = path.field(name).body();
            found.causes.push(cause::required(field, ""));
        }
    }
}

/// `allOf`, `anyOf`, `oneOf`, `not`. Their own words have no field.
fn combined(node: &Node, value: &Value, old: Option<&Value>, path: &Path<'_>, found: &mut Outcome) {
    found.good += 2;
    let whole_list = |branches: &[Node]| -> Vec<Outcome> {
        branches
            .iter()
            .map(|b| whole(b, value, old, path))
            .collect()
    };
    let about = cause::quoted(&path.words());
    let say = |found: &mut Outcome, words: String| {
        let cause = cause::invalid_text("<nil>".to_owned(), "", &words);
        found.causes.push(cause);
    };
    if !node.any_of.is_empty() {
        let outcomes = whole_list(&node.any_of);
        if outcomes.iter().all(|o| !o.causes.is_empty()) {
            say(
                found,
                format!("{about} must validate at least one schema (anyOf)"),
            );
            best(outcomes, found);
        }
    }
    if !node.one_of.is_empty() {
        let outcomes = whole_list(&node.one_of);
        let good = outcomes.iter().filter(|o| o.causes.is_empty()).count();
        let words = format!("{about} must validate one and only one schema (oneOf).");
        match good {
            1 => {}
            0 => {
                say(found, format!("{words} Found none valid"));
                best(outcomes, found);
            }
            several => say(found, format!("{words} Found {several} valid alternatives")),
        }
    }
    if !node.all_of.is_empty() {
        let outcomes = whole_list(&node.all_of);
        let bad = outcomes.iter().filter(|o| !o.causes.is_empty()).count();
        let none = bad == outcomes.len();
        outcomes.into_iter().for_each(|o| found.add(o));
        if bad > 0 {
            let end = if none { ". None validated" } else { "" };
            say(
                found,
                format!("{about} must validate all the schemas (allOf){end}"),
            );
        }
    }
    if let Some(not) = node.not.as_deref()
        && whole(not, value, old, path).causes.is_empty()
    {
        say(found, format!("{about} must not validate the schema (not)"));
    }
}

/// Adds what is wrong with the first of the alternatives that fit best.
fn best(outcomes: Vec<Outcome>, found: &mut Outcome) {
    let most = outcomes.iter().map(|o| o.good).max().unwrap_or_default();
    if let Some(outcome) = outcomes.into_iter().find(|o| o.good == most) {
        found.add(outcome);
    }
}

/// Whether a format is one of numbers, for [`super::numbers`].
pub fn bits(format: Option<Format>) -> Option<Format> {
    match format {
        Some(Format::Int32 | Format::Int64 | Format::Float | Format::Double) => format,
        Some(
            Format::DateTime
            | Format::Date
            | Format::Duration
            | Format::Byte
            | Format::Password
            | Format::Uuid
            | Format::Ipv4
            | Format::Ipv6
            | Format::ShortName
            | Format::LongName,
        )
        | None => None,
    }
}
