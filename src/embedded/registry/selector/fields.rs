//! Field selectors: `a.b=c`, `a.b==c`, `a.b!=c`, joined by commas. Which fields there are is said by the kind.

use serde_json::Value;

use crate::embedded::refusal::Refusal;
use crate::embedded::registry::family::Family;
use crate::embedded::registry::refusals;
use crate::embedded::registry::served::Served;

/// One term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Of the stored form; the first that is not empty counts.
    pointers: Vec<String>,
    equal: bool,
    value: String,
}

impl Term {
    /// Where it looks, as names of fields.
    pub fn paths(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.pointers.iter().map(|p| p.split('/').skip(1))
    }

    /// Of an object in its stored form.
    pub fn matches(&self, object: &Value) -> bool {
        let found = self.pointers.iter().map(|p| text(object.pointer(p)));
        let found = found
            .into_iter()
            .find(|t| !t.is_empty())
            .unwrap_or_default();
        (found == self.value) == self.equal
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(_) | Value::Number(_)) => value.map(Value::to_string).unwrap_or_default(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// Reads a selector; an empty one requires nothing.
pub fn parse(served: &Served, text: &str) -> Result<Vec<Term>, Refusal> {
    let terms = split(text).into_iter().filter(|t| !t.is_empty());
    terms.map(|term| read(served, term, text)).collect()
}

/// At commas that no backslash stands before.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn read(served: &Served, term: &str, whole: &str) -> Result<Term, Refusal> {
    let no_term = || {
        refusals::bad_request(format!(
            "invalid selector: '{whole}'; can't understand '{term}'"
        ))
    };
    let at = term.find(['=', '!']).ok_or_else(no_term)?;
    let (label, rest) = term.split_at(at);
    let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
        (false, value)
    } else if let Some(value) = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')) {
        (true, value)
    } else {
        return Err(no_term());
    };
    Ok(Term {
        pointers: pointers(served, label)?,
        equal,
        value: unescape(value)?,
    })
}

fn unescape(value: &str) -> Result<String, Refusal> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let bad = |what: String| {
            refusals::bad_request(format!(
                "invalid field selector: invalid escape sequence: {what}"
            ))
        };
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    return Err(bad(format!(
                        "\\{}",
                        other.map(String::from).unwrap_or_default()
                    )));
                }
            },
            c @ (',' | '=') => return Err(bad(format!("unescaped {c} in value"))),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Where a field is in the stored form.
fn pointers(served: &Served, label: &str) -> Result<Vec<String>, Refusal> {
    let pointer = |path: &str| vec![format!("/{}", path.replace('.', "/"))];
    let own = match label {
        "metadata.name" => Some(pointer(label)),
        "metadata.namespace" if served.family != Family::Namespace => Some(pointer(label)),
        _ if served.family == Family::Event => event(served, label),
        _ => {
            let path = format!(".{label}");
            served
                .kind
                .selectable
                .contains(&path)
                .then(|| pointer(label))
        }
    };
    own.ok_or_else(|| match served.family {
        Family::ConfigMap | Family::Lease | Family::ServiceAccount => refusals::bad_request(format!(
            "\"{label}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )),
        Family::Custom | Family::Secret | Family::Event | Family::Namespace | Family::Definition => {
            refusals::bad_request(format!("field label not supported: {label}"))
        }
    })
}

fn event(served: &Served, label: &str) -> Option<Vec<String>> {
    let core = served.kind.group.is_empty();
    let holder = if core {
        "involvedObject."
    } else {
        "regarding."
    };
    if let Some(field) = label.strip_prefix(holder) {
        let fields = [
            "kind",
            "namespace",
            "name",
            "uid",
            "apiVersion",
            "resourceVersion",
            "fieldPath",
        ];
        return fields
            .contains(&field)
            .then(|| vec![format!("/involvedObject/{field}")]);
    }
    let pointers: &[&str] = match (label, core) {
        ("reason", _) => &["/reason"],
        ("type", _) => &["/type"],
        ("source", true) => &["/source/component", "/reportingComponent"],
        ("reportingComponent", true) | ("reportingController", false) => &["/reportingComponent"],
        _ => return None,
    };
    Some(pointers.iter().map(|p| (*p).to_owned()).collect())
}
