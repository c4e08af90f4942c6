//! `recorded.json` is what a kube-apiserver 1.36.3 answered to these objects: 400, 422 with its causes, or what it stored.
//! `tests/it/recorded` writes it.

use super::*;
use crate::embedded::schema::{Structural, invalid};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    kind: String,
    new: Value,
    old: Option<Value>,
    code: u16,
    #[serde(default)]
    message: String,
    #[serde(default)]
    causes: Vec<(String, String, String)>,
    stored: Option<Value>,
}

fn structural(kind: &str) -> (Kind, Structural) {
    let group = if kind == "NewEvent" {
        "events.k8s.io"
    } else {
        ""
    };
    let name = kind.replace("New", "");
    let kinds = builtin().unwrap();
    let same = |k: &&Kind| k.kind == name && (name != "Event" || k.group == group);
    let kind = kinds.iter().find(same).unwrap().clone();
    let structural = Structural::new(&kind).unwrap();
    (kind, structural)
}

fn taken(kind: &Kind, structural: &Structural, mut object: Value) -> Value {
    if kind.namespaced {
        object["metadata"]["namespace"] = json!("default");
    }
    structural.prune(&mut object);
    structural.default(&mut object);
    complete(kind, &mut object);
    object
}

#[test]
fn the_same_is_said_of_every_recorded_object() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let mut different = Vec::new();
    for case in &cases {
        let (kind, structural) = structural(&case.kind);
        let mut differ = |found: String, wanted: String| {
            if found != wanted {
                different.push(format!("{}\n  found  {found}\n  wanted {wanted}", case.new));
            }
        };
        if let Err(refusal) = structural.readable(&case.new) {
            differ(
                format!("{} {}", refusal.code, refusal.message),
                format!("{} {}", case.code, case.message),
            );
            continue;
        }
        let new = taken(&kind, &structural, case.new.clone());
        let old = case.old.clone().map(|old| taken(&kind, &structural, old));
        let causes = structural.validate(&new, old.as_ref());
        let name = new["metadata"]["name"].as_str().unwrap_or_default();
        match &case.stored {
            Some(stored) => differ(format!("{causes:?} {new}"), format!("[] {stored}")),
            None => {
                let refusal = invalid(&kind, name, causes);
                let sorted = |mut all: Vec<(String, String, String)>| {
                    all.sort();
                    format!("{} {all:#?}", case.code)
                };
                let found = refusal.causes.iter();
                let found =
                    found.map(|c| (c.field.clone(), c.reason.to_owned(), c.message.clone()));
                differ(sorted(found.collect()), sorted(case.causes.clone()));
                if refusal.causes.len() == 1 {
                    differ(refusal.message, case.message.clone());
                }
            }
        }
    }
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different.join("\n")
    );
}

#[test]
fn a_large_config_map_or_secret_is_refused() {
    let text = "x".repeat(1024 * 1024 + 1);
    for (name, field, data) in [
        ("ConfigMap", "[]", "data"),
        ("Secret", "data", "stringData"),
    ] {
        let (kind, structural) = structural(name);
        let object =
            json!({"apiVersion": "v1", "kind": name, "metadata": {"name": "x"}, data: {"a": text}});
        let causes = structural.validate(&taken(&kind, &structural, object), None);
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].field, field);
        assert_eq!(
            causes[0].message,
            "Too long: may not be more than 1048576 bytes"
        );
    }
}

#[test]
fn a_secret_is_not_repeated_when_it_is_refused() {
    let (kind, structural) = structural("Secret");
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": "geheim"},
    });
    let causes = structural.validate(&taken(&kind, &structural, object), None);
    assert_eq!(causes.len(), 1);
    assert!(
        causes[0]
            .message
            .starts_with("Invalid value: \"<secret contents redacted>\": ")
    );
}

#[test]
fn every_computed_column_has_a_cell_and_every_cell_says_what_kubectl_prints() {
    for kind in builtin().unwrap() {
        for column in &kind.columns {
            let computed = column.json_path.starts_with('{');
            assert_eq!(
                Cell::of(&column.json_path).is_some(),
                computed,
                "{}",
                column.json_path
            );
        }
        assert_eq!(name_column(&kind), kind.kind != "Event");
    }
    let now: DateTime<Utc> = "2026-11-30T17:30:48Z".parse().unwrap();
    let row = |kind: &str, object: &Value| -> Vec<Value> {
        let (kind, _) = structural(kind);
        let computed = kind.columns.iter().filter_map(|c| Cell::of(&c.json_path));
        computed.map(|c| c.value(object, now)).collect()
    };
    // The rows of a kube-apiserver 1.36.3 for these events.
    let about = json!({"kind": "ConfigMap", "name": "a", "namespace": "default"});
    let series = json!({
        "involvedObject": about, "message": "ho", "eventTime": "2026-01-01T00:00:00.000000Z",
        "series": {"count": 2, "lastObservedTime": "2026-01-02T00:00:00.000000Z"}, "source": {},
        "firstTimestamp": null, "lastTimestamp": null, "reportingComponent": "a.b/c", "reportingInstance": "i",
    });
    assert_eq!(
        row("Event", &series),
        [
            json!("332d"),
            json!("configmap/a"),
            json!(""),
            json!("a.b/c, i"),
            json!("ho"),
            json!("333d"),
            json!(2)
        ]
    );
    let plain = json!({
        "involvedObject": about, "message": " hi\n", "source": {"component": "c", "host": "h"}, "count": 3,
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-02T00:00:00Z", "eventTime": null,
    });
    assert_eq!(
        row("Event", &plain),
        [
            json!("332d"),
            json!("configmap/a"),
            json!(""),
            json!("c, h"),
            json!("hi"),
            json!("333d"),
            json!(3)
        ]
    );
    let bare =
        json!({"regarding": {"kind": "ConfigMap", "name": "a", "fieldPath": "f.p"}, "note": " hi"});
    assert_eq!(
        row("NewEvent", &bare),
        [
            json!("<unknown>"),
            json!("configmap/a"),
            json!("f.p"),
            json!(""),
            json!("hi"),
            json!("<unknown>"),
            json!(1)
        ]
    );
    assert_eq!(
        row(
            "ConfigMap",
            &json!({"data": {"a": "1", "b": "2"}, "binaryData": {"c": ""}})
        ),
        [json!(3)]
    );
    assert_eq!(row("Secret", &json!({})), [json!(0)]);
}
