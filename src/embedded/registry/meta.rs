//! Metadata, the same for all kinds: reading it, and what the server sets or carries over in it.

use chrono::{DateTime, SecondsFormat, Utc};
use rand::seq::IndexedRandom;
use serde_json::{Map, Value};

use crate::embedded::refusal::Cause;
use crate::embedded::schema::invalid_value;

/// Keeps an owner until its blocking dependents are gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Keeps an owner until its dependents no longer name it.
pub const ORPHAN: &str = "orphan";

const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// The longest name that is generated.
const GENERATED: usize = 63;

/// The metadata.
pub fn of(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata").and_then(Value::as_object)
}

/// The metadata, to change it.
pub fn of_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata").and_then(Value::as_object_mut)
}

/// A text field of the metadata; empty when it is not there.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    let found = of(object).and_then(|m| m.get(field));
    found.and_then(Value::as_str).unwrap_or_default()
}

/// Sets a field of the metadata.
pub fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(metadata) = of_mut(object) {
        metadata.insert(field.to_owned(), value);
    }
}

/// Takes a field of the metadata out.
pub fn remove(object: &mut Value, field: &str) {
    if let Some(metadata) = of_mut(object) {
        metadata.remove(field);
    }
}

/// The finalizers.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = of(object).and_then(|m| m.get("finalizers"));
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// The owner references.
pub fn owners(object: &Value) -> &[Value] {
    let list = of(object).and_then(|m| m.get("ownerReferences"));
    list.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Has a deletion timestamp.
pub fn is_deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// A time as metadata has it: RFC 3339, whole seconds, `Z`.
pub fn stamp(now: DateTime<Utc>) -> Value {
    now.to_rfc3339_opts(SecondsFormat::Secs, true).into()
}

/// Takes over what a client may not set in something new.
pub fn begin(object: &mut Value, uid: String, now: DateTime<Utc>) {
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        remove(object, field);
    }
    set(object, "uid", uid.into());
    set(object, "creationTimestamp", stamp(now));
}

/// Takes over from the live object what a client need not repeat and cannot change.
pub fn carry(object: &mut Value, live: &Value) {
    remove(object, "selfLink");
    let Some(old) = of(live) else { return };
    let keep = ["creationTimestamp", "generation"];
    let fill = ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"];
    let Some(new) = of_mut(object) else { return };
    for field in keep {
        match old.get(field) {
            Some(value) => new.insert(field.to_owned(), value.clone()),
            None => new.remove(field),
        };
    }
    for field in fill {
        if let (Some(value), false) = (old.get(field), new.contains_key(field)) {
            new.insert(field.to_owned(), value.clone());
        }
    }
}

/// A deletion is begun by a delete alone. The schema's rules see only what was there before and is another thing now.
pub fn deletion_begun(object: &Value, live: &Value) -> Vec<Cause> {
    let fields = ["deletionTimestamp", "deletionGracePeriodSeconds"];
    let value = |object, field: &str| of(object).and_then(|m: &Map<String, Value>| m.get(field));
    let new = fields.iter().filter(|field| value(live, field).is_none());
    let new = new.filter_map(|field| Some((field, value(object, field)?)));
    new.map(|(field, value)| {
        invalid_value(format!("metadata.{field}"), value, "field is immutable")
    })
    .collect()
}

/// Finalizers of custom kinds without a domain are accepted with a warning.
pub fn finalizer_warnings(object: &Value) -> Vec<String> {
    let bare = |name: &&str| !name.contains('/') && ![ORPHAN, FOREGROUND].contains(name);
    let names = finalizers(object).into_iter().filter(bare);
    names
        .map(|name| {
            format!(
                "metadata.finalizers: \"{name}\": prefer a domain-qualified finalizer name to avoid accidental conflicts with \
                 other finalizer writers"
            )
        })
        .collect()
}

/// A name from `generateName`: with five characters more, no vowels among them and nothing that looks like another.
pub fn generate_name(base: &str) -> String {
    let mut end = base.len().min(GENERATED - SUFFIX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut rng = rand::rng();
    let suffix = (0..SUFFIX).filter_map(|_| ALPHABET.choose(&mut rng).map(|b| char::from(*b)));
    base[..end].chars().chain(suffix).collect()
}

/// A new uid: a random UUID.
pub fn new_uid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}
