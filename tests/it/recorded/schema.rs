//! `src/embedded/schema/tests/recorded.json`: objects of our definitions and of `sample.yaml`, which has everything that a schema
//! can say. To record more of them, add them to the file without causes and let it be updated.

#[path = "../../../src/embedded/schema/tests/pointer.rs"]
mod pointer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Causes, DRY, Server, causes, changed, file, lines, updates};
use crate::support::wait;

type Changes = Vec<(String, Value)>;

/// One object and the answer to it.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Case {
    /// Which object it is made from.
    base: String,
    /// What it replaces; none = it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Changes>,
    /// Pointers and values in the base.
    after: Changes,
    /// It is replaced through its status.
    #[serde(default, skip_serializing_if = "is_false")]
    status: bool,
    /// What the tests of the rules look for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    says: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spec: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<Value>,
    #[serde(default)]
    causes: Causes,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Deserialize)]
struct Recorded {
    bases: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

/// What is said now and was not.
pub async fn again(server: &Server) -> Vec<String> {
    let file = file("schema/tests/recorded.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let recorded: Recorded = serde_json::from_str(&text).unwrap();
    let now = server.record(&recorded).await;
    if updates() {
        let bases = serde_json::to_string(&recorded.bases).unwrap();
        let cases = lines(&now);
        let text = format!("{{\"bases\": {bases},\n\"cases\": [\n{cases}\n]}}\n");
        std::fs::write(&file, text).unwrap();
        return Vec::new();
    }
    let sorted = |cases: &[Case]| cases.iter().map(sorted).collect::<Vec<_>>();
    changed(&sorted(&recorded.cases), &sorted(&now))
}

/// The order of causes is the server's own affair.
fn sorted(case: &Case) -> Case {
    let mut case = case.clone();
    case.causes.sort();
    case
}

const SAMPLES: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/samples.test.ibmiclone.dev";
/// May be written only while a run works, not when it is created.
const LATE: [&str; 5] = [
    "replies",
    "cancel",
    "forceDelete",
    "resumedByHand",
    "releaseBackups",
];

fn url(base: &str) -> &'static str {
    match base {
        "environment" => "/apis/ibmiclone.dev/v1alpha1/namespaces/default/cloneenvironments",
        "run" => "/apis/ibmiclone.dev/v1alpha1/namespaces/default/cloneruns",
        "sample" => "/apis/test.ibmiclone.dev/v1/namespaces/default/samples",
        other => panic!("{other} is no base"),
    }
}

impl Server {
    async fn record(&self, recorded: &Recorded) -> Vec<Case> {
        let strict: Value = serde_saphyr::from_str(
            &std::fs::read_to_string(file("schema/tests/sample.yaml")).unwrap(),
        )
        .unwrap();
        let loose = loosened(&strict);
        let (code, answer) = self
            .ask("POST", SAMPLES.rsplit_once('/').unwrap().0, Some(&loose))
            .await;
        assert_eq!(code, 201, "{answer}");
        self.serves(recorded, 201).await;
        // Some samples were stored before their definition became as strict as it is.
        let mut live = BTreeMap::new();
        for (index, case) in recorded.cases.iter().enumerate() {
            if let Some(before) = &case.before {
                let object = built(recorded, &case.base, before);
                live.insert(index, self.prepare(&case.base, index, object).await);
            }
        }
        let (_, installed) = self.ask("GET", SAMPLES, None).await;
        let mut strict = strict;
        strict["metadata"]["resourceVersion"] = installed["metadata"]["resourceVersion"].clone();
        let (code, answer) = self.ask("PUT", SAMPLES, Some(&strict)).await;
        assert_eq!(code, 200, "{answer}");
        self.serves(recorded, 422).await;
        let mut cases = Vec::new();
        for (index, case) in recorded.cases.iter().enumerate() {
            cases.push(self.again(recorded, case, index, live.get(&index)).await);
        }
        cases
    }

    /// The definition that was installed last is the one that is looked at.
    async fn serves(&self, recorded: &Recorded, wanted: u16) {
        let changes = [("/spec/text".to_owned(), json!("A"))];
        let object = built(recorded, "sample", &changes);
        let path = format!("{}{DRY}", url("sample"));
        wait::until("the definition is served", async || {
            self.ask("POST", &path, Some(&object)).await.0 == wanted
        })
        .await;
    }

    /// Stores what is to be replaced.
    async fn prepare(&self, base: &str, index: usize, mut object: Value) -> Value {
        let place = url(base);
        let name = format!("c{index}");
        object["metadata"]["name"] = json!(name);
        let (one, its_status) = (format!("{place}/{name}"), format!("{place}/{name}/status"));
        let status = object.get("status").cloned();
        let mut late = Map::new();
        if base == "run" {
            let spec = object["spec"].as_object_mut().unwrap();
            late.extend(LATE.iter().filter_map(|field| spec.remove_entry(*field)));
        }
        let stored = async |method: &str, path: &str, object: &Value| {
            let (code, stored) = self.ask(method, path, Some(object)).await;
            assert!(code < 300, "case {index} cannot be prepared: {stored}");
            stored
        };
        let mut live = stored("POST", place, &object).await;
        if !late.is_empty() {
            let mut running = status.clone().unwrap_or_else(|| json!({}));
            running["phase"] = json!("Running");
            live["status"] = running;
            live = stored("PUT", &its_status, &live).await;
            live["spec"].as_object_mut().unwrap().extend(late);
            live = stored("PUT", &one, &live).await;
        }
        if let Some(status) = status {
            live["status"] = status;
            live = stored("PUT", &its_status, &live).await;
        }
        live
    }

    async fn again(
        &self,
        recorded: &Recorded,
        case: &Case,
        index: usize,
        live: Option<&Value>,
    ) -> Case {
        let mut object = built(recorded, &case.base, &case.after);
        let place = url(&case.base);
        let (code, answer) = match live {
            None => {
                self.ask("POST", &format!("{place}{DRY}"), Some(&object))
                    .await
            }
            Some(live) => {
                object["metadata"]["name"] = json!(format!("c{index}"));
                object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
                let part = if case.status { "/status" } else { "" };
                let path = format!("{place}/c{index}{part}{DRY}");
                self.ask("PUT", &path, Some(&object)).await
            }
        };
        assert!(
            code < 300 || code == 422,
            "case {index}, {case:?}: {code} {answer}"
        );
        let shown = code < 300 && (case.base == "sample" || case.after.is_empty());
        Case {
            spec: answer.get("spec").cloned().filter(|_| shown),
            stored: answer
                .get("status")
                .cloned()
                .filter(|_| shown && case.status),
            causes: causes(&answer),
            ..case.clone()
        }
    }
}

fn built(recorded: &Recorded, base: &str, changes: &[(String, Value)]) -> Value {
    let mut object = recorded.bases[base].clone();
    for (pointer, value) in changes {
        pointer::set(&mut object, pointer, value);
    }
    object
}

/// The definition as it was before it forbade anything.
fn loosened(strict: &Value) -> Value {
    let mut loose = strict.clone();
    let schema = &mut loose["spec"]["versions"][0]["schema"];
    loosen(schema);
    let fields = &mut schema["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for (field, rule) in [("set", "x-kubernetes-list-type"), ("bounded", "anyOf")] {
        fields[field].as_object_mut().unwrap().remove(rule);
    }
    loose
}

fn loosen(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("type") || fields.contains_key("properties") {
                fields.retain(|name, rule| {
                    !FORBID.contains(&name.as_str()) || (rule.is_object() && name != "not")
                });
            }
            fields.values_mut().for_each(loosen);
        }
        Value::Array(items) => items.iter_mut().for_each(loosen),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Rules of a schema; a field may have such a name, but its value is an object then.
const FORBID: [&str; 16] = [
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "enum",
    "x-kubernetes-validations",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "format",
    "minProperties",
    "maxProperties",
];
