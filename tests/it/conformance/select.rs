//! Parts of an answer, where the rest is not the rule's subject: the real server has many more kinds to tell of.

use serde_json::{Map, Value};

/// `path: part` for each path. Steps of a path are keys, indices, `*` for every element, `[key=value]` for the elements with
/// that value at a dotted key, `keys()` for the sorted keys of an object, `contains(text)` for whether a text has that part.
/// `~1` stands for `/` in a key.
pub fn only(body: &Value, paths: &[String]) -> Value {
    let mut parts = Map::new();
    for path in paths {
        let mut found = vec![body.clone()];
        for step in steps(path) {
            found = found.iter().flat_map(|value| part(value, &step)).collect();
        }
        parts.insert(path.clone(), Value::Array(found));
    }
    Value::Object(parts)
}

/// A `/` within brackets is none between steps.
fn steps(path: &str) -> Vec<String> {
    let mut steps = Vec::new();
    let mut within = false;
    for character in path.chars() {
        match character {
            '/' if !within => {
                steps.push(String::new());
                continue;
            }
            '[' | '(' => within = true,
            ']' | ')' => within = false,
            _ => {}
        }
        if let Some(step) = steps.last_mut() {
            step.push(character);
        }
    }
    steps
}

fn part(value: &Value, step: &str) -> Vec<Value> {
    if step == "*" {
        return match value {
            Value::Array(items) => items.clone(),
            Value::Object(fields) => fields.values().cloned().collect(),
            _ => Vec::new(),
        };
    }
    if step == "keys()" {
        let mut keys: Vec<_> = value
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .cloned()
            .collect();
        keys.sort();
        return vec![Value::from(keys)];
    }
    if let Some(wanted) = step.strip_prefix("contains(") {
        let wanted = wanted.strip_suffix(')').unwrap_or(wanted);
        return vec![
            value
                .as_str()
                .is_some_and(|text| text.contains(wanted))
                .into(),
        ];
    }
    if let Some(condition) = step.strip_prefix('[').and_then(|s| s.strip_suffix(']')) {
        let (key, wanted) = condition.split_once('=').unwrap_or((condition, ""));
        let matches = |item: &&Value| {
            let at = key.split('.').try_fold(*item, |value, key| value.get(key));
            at.and_then(Value::as_str) == Some(wanted)
        };
        let items = value.as_array().into_iter().flatten();
        return items.filter(matches).cloned().collect();
    }
    let key = step.replace("~1", "/");
    let found = match value {
        Value::Array(items) => key.parse().ok().and_then(|index: usize| items.get(index)),
        other => other.get(&key),
    };
    found.cloned().into_iter().collect()
}
