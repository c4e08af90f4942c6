//! What two servers may say differently without differing: random uids and suffixes, times, resource versions. A uid becomes
//! its number in the order of appearance, a resource version of an object its place among those of the case, so that "the same
//! as before" and "newer" are compared; the version of a list or bookmark, which others' writes move, is only known to be there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::talk::{Names, Talk};

static UID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?<fraction>\.\d+)?(Z|[+-]\d\d:\d\d)").unwrap()
});
static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+[dhms])+$").unwrap());
/// Resource versions in messages.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?<what>resource version: |ResourceVersion in precondition: |ResourceVersion in object meta: |current: |resourceVersion: \"|ResourceVersion in the precondition \(|ResourceVersion in record \()\d+( \(\d+\))?"#)
        .unwrap()
});

/// The talk as a text that two servers can be compared by. `said` is what the case itself says.
pub fn text(talk: &Talk, said: &str) -> String {
    let mut versions = BTreeSet::new();
    for body in talk.entries.iter().flat_map(|entry| &entry.bodies) {
        collect(body, &mut versions);
    }
    let mut normal = Normal {
        names: &talk.names,
        said,
        uids: BTreeMap::new(),
        versions: versions.into_iter().collect(),
    };
    let mut lines = Vec::new();
    for entry in &talk.entries {
        lines.push(entry.request.clone());
        lines.extend(
            entry
                .head
                .iter()
                .map(|head| format!("  {}", normal.words(head))),
        );
        for body in entry.bodies.iter().filter(|body| !body.is_null()) {
            let body = normal.value(body, Place::Object);
            let body = match body {
                Value::String(text) => text,
                other => serde_json::to_string_pretty(&sorted(&other)).unwrap(),
            };
            lines.extend(body.lines().map(|line| format!("  {line}")));
        }
        lines.push(String::new());
    }
    lines.join("\n")
}

/// Whose `resourceVersion` it is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Object,
    /// The metadata of a list or a bookmark.
    List,
}

struct Normal<'a> {
    names: &'a Names,
    said: &'a str,
    uids: BTreeMap<String, usize>,
    /// Of objects, ascending.
    versions: Vec<u64>,
}

impl Normal<'_> {
    fn value(&mut self, value: &Value, place: Place) -> Value {
        match value {
            Value::String(text) => Value::String(self.words(text)),
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(item, Place::Object))
                .collect(),
            Value::Object(fields) => self.fields(fields, place),
            other => other.clone(),
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>, place: Place) -> Value {
        let list = is_list(fields);
        let bookmark = fields.get("type").is_some_and(|kind| kind == "BOOKMARK");
        let mut normal = Map::new();
        for (key, value) in fields {
            let place = if list
                || (place == Place::List && key == "metadata")
                || (bookmark && key == "object")
            {
                Place::List
            } else {
                Place::Object
            };
            let value = match (key.as_str(), value) {
                ("resourceVersion", Value::String(version)) => self.version(version, place),
                ("continue", Value::String(token)) if !token.is_empty() => "<continue>".into(),
                (key, value) if key.ends_with("cells") => self.cell(value),
                ("managedFields", Value::Array(entries)) => self.managers(entries),
                ("metadata", value) if place == Place::List => self.list_metadata(value),
                (_, value) => self.value(value, place),
            };
            normal.insert(self.words(key), value);
        }
        order_causes(&mut normal);
        Value::Object(normal)
    }

    fn list_metadata(&mut self, metadata: &Value) -> Value {
        let mut normal = self.value(metadata, Place::Object);
        if let Some(version) = normal.get_mut("resourceVersion")
            && metadata["resourceVersion"] != ""
        {
            *version = "<version>".into();
        }
        normal
    }

    fn version(&self, version: &str, place: Place) -> Value {
        let rank = version
            .parse()
            .ok()
            .and_then(|v: u64| self.versions.iter().position(|known| *known == v));
        match (rank, place) {
            (_, Place::List) => "<version>".into(),
            (Some(rank), Place::Object) => format!("<version {}>", rank + 1).into(),
            (None, Place::Object) => version.into(),
        }
    }

    /// A cell of a table, or several.
    fn cell(&mut self, cell: &Value) -> Value {
        match cell {
            Value::String(age) if AGE.is_match(age) => "<age>".into(),
            Value::Array(cells) => cells.iter().map(|cell| self.cell(cell)).collect(),
            _ => self.value(cell, Place::Object),
        }
    }

    /// Their order is by time in seconds first: two servers cross a second at different places.
    fn managers(&mut self, entries: &[Value]) -> Value {
        let mut entries: Vec<Value> = entries
            .iter()
            .map(|entry| sorted(&self.value(entry, Place::Object)))
            .collect();
        entries.sort_by_key(Value::to_string);
        Value::Array(entries)
    }

    fn words(&mut self, text: &str) -> String {
        let uids = &mut self.uids;
        let said = self.said;
        let text = UID.replace_all(text, |found: &regex::Captures| {
            if said.contains(&found[0]) {
                return found[0].to_owned();
            }
            let next = uids.len() + 1;
            format!("<uid {}>", uids.entry(found[0].to_owned()).or_insert(next))
        });
        let text = TIME.replace_all(&text, |found: &regex::Captures| {
            if said.contains(&found[0]) {
                return found[0].to_owned();
            }
            let digits = found
                .name("fraction")
                .map_or(0, |fraction| fraction.len() - 1);
            if digits == 0 {
                "<time>".to_owned()
            } else {
                format!("<time .{digits}>")
            }
        });
        let mut text = VERSION.replace_all(&text, "${what}<version>").into_owned();
        for (name, value) in self.names {
            let distinct =
                value.len() > 4 && value.parse::<f64>().is_err() && !value.starts_with(['{', '[']);
            if distinct && !UID.is_match(value) {
                text = text.replace(value, &format!("<{name}>"));
            }
        }
        text
    }
}

/// The real server finds the causes of a refusal in maps, which have no order, and joins them to its message in that order.
fn order_causes(status: &mut Map<String, Value>) {
    let Some(Value::Array(causes)) = status.get_mut("details").and_then(|d| d.get_mut("causes"))
    else {
        return;
    };
    causes.sort_by_key(Value::to_string);
    let texts = causes.iter().map(|cause| {
        let [field, message] =
            ["field", "message"].map(|key| cause[key].as_str().unwrap_or_default());
        format!("{field}: {message}")
    });
    let texts: Vec<_> = texts.collect();
    let Some(Value::String(message)) = status.get_mut("message") else {
        return;
    };
    if let Some((start, joined)) = message.split_once('[')
        && let Some(joined) = joined.strip_suffix(']')
        && joined.len() == texts.iter().map(|text| text.len() + 2).sum::<usize>() - 2
        && texts.iter().all(|text| joined.contains(text.as_str()))
    {
        *message = format!("{start}[<the causes>]");
    }
}

fn is_list(fields: &Map<String, Value>) -> bool {
    let kind = fields
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    kind.ends_with("List") || kind == "Table"
}

/// The resource versions of objects.
fn collect(value: &Value, versions: &mut BTreeSet<u64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, versions)),
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "BOOKMARK") {
                return;
            }
            let list = is_list(fields);
            let version = fields.get("resourceVersion").and_then(Value::as_str);
            versions.extend(
                version
                    .and_then(|version| version.parse::<u64>().ok())
                    .filter(|v| *v > 0),
            );
            let inner = fields
                .iter()
                .filter(|(key, _)| !(list && *key == "metadata"));
            inner.for_each(|(_, value)| collect(value, versions));
        }
        _ => {}
    }
}

/// Keys in the order of the alphabet: objects are not ordered.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            fields.into_iter().collect()
        }
        other => other.clone(),
    }
}
