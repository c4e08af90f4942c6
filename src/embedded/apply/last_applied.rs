//! kubectl's way from client-side to server-side apply: what it applied before is in an annotation, and fields that are still
//! as it says are no conflict for the manager `kubectl`.

use serde_json::Value;

use super::check::{Duplicates, fields_of, problems};
use super::compare::Comparison;
use super::fields::Fields;
use super::ownership::Ownership;

/// The manager this is for.
pub(super) const KUBECTL: &str = "kubectl";
/// Where client-side apply keeps what it applied.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// All annotations together may not be larger, in bytes.
const MOST_ANNOTATIONS: usize = 256 * 1024;

fn annotation(object: &Value) -> Option<&str> {
    let text = object
        .get("metadata")?
        .get("annotations")?
        .get(ANNOTATION)?;
    text.as_str().filter(|text| !text.is_empty())
}

/// The fields that client-side apply set and that are still so. `None`: nothing can be said.
pub(super) fn still_applied(rules: &Ownership<'_>, live: &Value) -> Option<Fields> {
    let last: Value = serde_json::from_str(annotation(live)?).ok()?;
    let version = last.get("apiVersion").and_then(Value::as_str)?;
    let divisible = |value| problems(rules.of, value, Duplicates::Refused).is_empty();
    if version != rules.version || !divisible(&last) || !divisible(live) {
        return None;
    }
    let change = Comparison::of(rules.of, &last, live);
    let applied = fields_of(rules.of, &last);
    Some(applied.minus(&change.changed()).minus(&change.removed))
}

/// Writes into the annotation, where there is one, what was applied now: client-side apply may come again.
pub(super) fn renew(object: &mut Value, applied: &Value) {
    if annotation(object).is_none() {
        return;
    }
    let mut applied = applied.clone();
    if let Some(annotations) = annotations(&mut applied) {
        annotations.remove(ANNOTATION);
    }
    let Some(annotations) = annotations(object) else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), Value::from(format!("{applied}\n")));
    let sizes = annotations
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(0, str::len));
    if sizes.sum::<usize>() > MOST_ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}

fn annotations(object: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    object
        .get_mut("metadata")?
        .get_mut("annotations")?
        .as_object_mut()
}
