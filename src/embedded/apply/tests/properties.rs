//! What holds for every apply, whatever is applied.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{kind, time};
use crate::embedded::apply::check::fields_of;
use crate::embedded::apply::fields::Fields;
use crate::embedded::apply::ownership::Ownership;
use crate::embedded::apply::{Manager, apply};
use crate::embedded::kind::Kind;

fn applied(kind: &Kind, live: Option<&Value>, config: &Value, name: &str, step: usize) -> Value {
    let version = kind.api_version();
    let manager = Manager {
        name,
        subresource: None,
        api_version: &version,
        now: time(step),
    };
    apply(kind, live, config, &manager, true).unwrap()
}

fn widget(spec: Option<Value>) -> Value {
    let mut widget =
        json!({"apiVersion": "test.ibmiclone.dev/v1", "kind": "Widget", "metadata": {"name": "x"}});
    if let Some(spec) = spec {
        widget["spec"] = spec;
    }
    widget
}

fn without_owners(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    object
}

fn owned_by(object: &Value, name: &str) -> Option<Value> {
    let owners = object["metadata"]["managedFields"].as_array()?;
    let entry = owners.iter().find(|entry| entry["manager"] == name)?;
    Some(entry["fieldsV1"].clone())
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned)
}

fn words() -> impl Strategy<Value = Value> {
    prop::collection::btree_set(word(), 1..4).prop_map(|set| json!(set))
}

fn map() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(word(), word(), 1..4).prop_map(|map| json!(map))
}

fn ports() -> impl Strategy<Value = Value> {
    let item = (1..4_i64, prop::option::of(word()), prop::option::of(map()));
    prop::collection::vec(item, 1..4).prop_map(|items| {
        let mut seen = Vec::new();
        let mut ports = Vec::new();
        for (port, name, tags) in items {
            if seen.contains(&port) {
                continue;
            }
            seen.push(port);
            let mut item = json!({"port": port, "protocol": "TCP"});
            if let Some(name) = name {
                item["name"] = json!(name);
            }
            if let Some(tags) = tags {
                item["tags"] = tags;
            }
            ports.push(item);
        }
        Value::Array(ports)
    })
}

fn spec() -> impl Strategy<Value = Value> {
    (
        prop::option::of(word()),
        prop::option::of(map()),
        prop::option::of(map()),
        prop::option::of(words()),
        prop::option::of(words()),
        prop::option::of(ports()),
        prop::option::of(prop::collection::btree_map(word(), map(), 1..3)),
    )
        .prop_map(|(text, free, whole, list, set, ports, anything)| {
            let mut spec = Map::new();
            let fields = [
                ("text", text.map(Value::from)),
                ("free", free),
                ("list", list),
                ("set", set),
                ("ports", ports),
                ("whole", whole.map(|_| json!({"left": "l"}))),
                ("anything", anything.map(|map| json!({"other": map}))),
            ];
            for (name, value) in fields {
                spec.extend(value.map(|value| (name.to_owned(), value)));
            }
            Value::Object(spec)
        })
        .prop_filter("something is applied", |spec| spec != &json!({}))
}

proptest! {
    #[test]
    fn an_apply_that_is_repeated_changes_nothing(first in spec(), second in spec()) {
        let kind = kind("Widget");
        let live = applied(&kind, None, &widget(Some(first)), "one", 0);
        let once = applied(&kind, Some(&live), &widget(Some(second.clone())), "two", 1);
        let twice = applied(&kind, Some(&once), &widget(Some(second)), "two", 2);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn the_same_applied_by_another_is_owned_by_both(spec in spec()) {
        let kind = kind("Widget");
        let config = widget(Some(spec));
        let alone = applied(&kind, None, &config, "one", 0);
        let both = applied(&kind, Some(&alone), &config, "two", 1);
        prop_assert_eq!(without_owners(&alone), without_owners(&both));
        prop_assert_eq!(owned_by(&both, "one"), owned_by(&alone, "one"));
        prop_assert_eq!(owned_by(&both, "two"), owned_by(&alone, "one"));
    }

    #[test]
    fn nothing_applied_takes_exactly_what_was_owned_alone(one in spec(), two in spec()) {
        let kind = kind("Widget");
        let first = applied(&kind, None, &widget(Some(one)), "one", 0);
        let both = applied(&kind, Some(&first), &widget(Some(two)), "two", 1);
        let left = applied(&kind, Some(&both), &widget(None), "one", 2);
        let rules = Ownership::of(&kind, None);
        let fields = |object: &Value| fields_of(rules.of, &without_owners(object));
        let owned = |name| Fields::from_json(&owned_by(&both, name).unwrap_or(json!({}))).unwrap();
        let lost = fields(&both).minus(&fields(&left));
        prop_assert_eq!(owned_by(&left, "one"), None);
        prop_assert!(lost.intersection(&owned("two")).is_empty(), "lost what two owns: {}", lost.to_json());
        prop_assert!(owned("two").minus(&fields(&left)).is_empty());
        // What one alone owned is gone, except what holds something of two's together: an item, and its keys.
        for path in owned("one").minus(&owned("two")).paths() {
            let kept = fields(&left).has_path(&path);
            let holds = owned("two").paths().iter().any(|other| other.starts_with(&path))
                || path.split_last().is_some_and(|(_, item)| owned("two").has_path(item));
            prop_assert!(!kept || holds, "{path:?} is still there: {left:#}");
        }
    }
}
