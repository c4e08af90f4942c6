//! How the recorded objects are made from their bases; the test that records them uses it too (`tests/it/recorded`).

use serde_json::Value;

/// Puts a value where a JSON pointer leads to; `"__remove__"` takes away what is there.
pub fn set(object: &mut Value, pointer: &str, value: &Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let mut at = object;
    for step in parent.split('/').skip(1) {
        at = match at {
            Value::Array(list) => &mut list[step.parse::<usize>().unwrap()],
            other => &mut other[step],
        };
    }
    match at {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value.clone(),
        other if value == "__remove__" => drop(other.as_object_mut().unwrap().remove(&key)),
        other => other[&key] = value.clone(),
    }
}
