//! Cells of a table that no JSON path can compute.

use super::age;
use crate::embedded::kind::Kind;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// A column whose `json_path` is one of these names in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `{data}`: number of keys of a ConfigMap or Secret.
    Data,
    /// `{last-seen}`: age of an event.
    LastSeen,
    /// `{first-seen}`: age of its first time.
    FirstSeen,
    /// `{event-object}`: `clonerun/nightly-1`.
    EventObject,
    /// `{event-subobject}`: part of the object.
    EventSubobject,
    /// `{event-source}`: `controller, instance`.
    EventSource,
    /// `{event-message}`: without white space at the ends.
    EventMessage,
    /// `{event-count}`: at least 1.
    EventCount,
    /// `{created-at}`: a moment, not an age.
    CreatedAt,
}

/// Whether the table of a kind begins with a column NAME; events have theirs at the end, among the columns.
pub fn name_column(kind: &Kind) -> bool {
    kind.custom || kind.kind != "Event"
}

impl Cell {
    /// The cell that a column's `json_path` asks for; none = it is a path.
    pub fn of(json_path: &str) -> Option<Self> {
        Some(match json_path {
            "{data}" => Self::Data,
            "{last-seen}" => Self::LastSeen,
            "{first-seen}" => Self::FirstSeen,
            "{event-object}" => Self::EventObject,
            "{event-subobject}" => Self::EventSubobject,
            "{event-source}" => Self::EventSource,
            "{event-message}" => Self::EventMessage,
            "{event-count}" => Self::EventCount,
            "{created-at}" => Self::CreatedAt,
            _ => return None,
        })
    }

    /// What stands in the cell.
    pub fn value(self, object: &Value, now: DateTime<Utc>) -> Value {
        let first_text = |pointers: &[&str]| first_text(object, pointers).to_owned();
        match self {
            Self::Data => Value::from(
                ["data", "binaryData"]
                    .iter()
                    .filter_map(|field| object[*field].as_object())
                    .map(|map| map.len())
                    .sum::<usize>(),
            ),
            Self::LastSeen => Value::from(seen(object, &LAST_SEEN, now)),
            Self::FirstSeen => Value::from(seen(object, &FIRST_SEEN, now)),
            Self::EventObject => {
                let about = match object.get("involvedObject") {
                    Some(about) => about,
                    None => &object["regarding"],
                };
                let part = |name: &str| about[name].as_str().unwrap_or_default();
                Value::from(format!("{}/{}", part("kind").to_lowercase(), part("name")))
            }
            Self::EventSubobject => Value::from(first_text(&[
                "/involvedObject/fieldPath",
                "/regarding/fieldPath",
            ])),
            Self::EventSource => {
                let who = first_text(&[
                    "/source/component",
                    "/deprecatedSource/component",
                    "/reportingComponent",
                    "/reportingController",
                ]);
                let on = first_text(&[
                    "/source/host",
                    "/deprecatedSource/host",
                    "/reportingInstance",
                ]);
                let parts: Vec<String> = [who, on].into_iter().filter(|p| !p.is_empty()).collect();
                Value::from(parts.join(", "))
            }
            Self::EventMessage => Value::from(first_text(&["/message", "/note"]).trim().to_owned()),
            Self::EventCount => Value::from(count(object)),
            Self::CreatedAt => object["metadata"]["creationTimestamp"].clone(),
        }
    }
}

const LAST_SEEN: [&str; 4] = [
    "/series/lastObservedTime",
    "/lastTimestamp",
    "/deprecatedLastTimestamp",
    "/eventTime",
];
const FIRST_SEEN: [&str; 3] = ["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"];

fn first_text<'a>(object: &'a Value, pointers: &[&str]) -> &'a str {
    let texts = pointers
        .iter()
        .filter_map(|p| object.pointer(p)?.as_str())
        .filter(|t| !t.is_empty());
    texts.into_iter().next().unwrap_or_default()
}

fn count(object: &Value) -> i64 {
    ["/series/count", "/count", "/deprecatedCount"]
        .iter()
        .filter_map(|p| object.pointer(p)?.as_i64())
        .find(|n| *n > 0)
        .unwrap_or(1)
}

fn seen(object: &Value, pointers: &[&str], now: DateTime<Utc>) -> String {
    age::since(first_text(object, pointers), now).unwrap_or_else(|| "<unknown>".to_owned())
}
