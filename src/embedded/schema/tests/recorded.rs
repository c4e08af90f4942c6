//! The comparison with what was recorded.

use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One object and the answer to it.
#[derive(Deserialize, Debug)]
pub struct Case {
    pub base: String,
    before: Option<Vec<(String, Value)>>,
    after: Vec<(String, Value)>,
    #[serde(default)]
    status: bool,
    /// What `tests/it/crd_rules` looks for; set = the case is one of its.
    says: Option<String>,
    /// What was stored.
    spec: Option<Value>,
    stored: Option<Value>,
    causes: Vec<(String, String, String)>,
}

#[derive(Deserialize)]
pub struct Recorded {
    bases: BTreeMap<String, Value>,
    pub cases: Vec<Case>,
}

pub fn recorded() -> Recorded {
    serde_json::from_str(include_str!("recorded.json")).unwrap()
}

pub fn structurals() -> BTreeMap<&'static str, Structural> {
    let all = [
        ("environment", ENVIRONMENT),
        ("run", RUN),
        ("sample", SAMPLE),
    ];
    all.into_iter()
        .map(|(n, text)| (n, structural(text)))
        .collect()
}

impl Recorded {
    fn object(&self, base: &str, changes: &[(String, Value)]) -> Value {
        let mut object = self.bases[base].clone();
        for (pointer, value) in changes {
            pointer::set(&mut object, pointer, value);
        }
        object
    }

    /// The object as it would be stored, and what it replaces.
    pub fn pair(&self, structural: &Structural, case: &Case) -> (Value, Option<Value>) {
        let mut new = taken(structural, self.object(&case.base, &case.after));
        let Some(before) = &case.before else {
            new.as_object_mut().unwrap().remove("status");
            return (new, None);
        };
        let mut old = taken(structural, self.object(&case.base, before));
        old["metadata"]["uid"] = json!("u");
        old["metadata"]["resourceVersion"] = json!("1");
        let (kept, from) = match case.status {
            true => (["spec", "metadata"].as_slice(), &old),
            false => (["status"].as_slice(), &old),
        };
        for field in kept {
            match from.get(field) {
                Some(value) => new[*field] = value.clone(),
                None => drop(new.as_object_mut().unwrap().remove(*field)),
            }
        }
        new["metadata"]["resourceVersion"] = json!("2");
        (new, Some(old))
    }
}

#[test]
fn the_same_is_said_of_every_recorded_object() {
    let recorded = recorded();
    let structurals = structurals();
    let mut different = Vec::new();
    for case in &recorded.cases {
        let structural = &structurals[case.base.as_str()];
        let (new, old) = recorded.pair(structural, case);
        let mut found: Vec<(String, String, String)> = structural
            .validate(&new, old.as_ref())
            .into_iter()
            .map(|c| (c.field, c.reason.to_owned(), c.message))
            .collect();
        let mut wanted = case.causes.clone();
        found.sort();
        wanted.sort();
        // Wrong labels of a changed object are listed three times by the real server.
        wanted.dedup();
        let about = format!("{} {:?} -> {:?}", case.base, case.before, case.after);
        if found != wanted {
            different.push(format!("{about}\n  found  {found:?}\n  wanted {wanted:?}"));
            continue;
        }
        if let Some(spec) = case.spec.as_ref().filter(|s| **s != new["spec"]) {
            different.push(format!(
                "{about}\n  spec   {}\n  wanted {spec}",
                new["spec"]
            ));
        }
        if let Some(status) = case.stored.as_ref().filter(|s| **s != new["status"]) {
            different.push(format!(
                "{about}\n  status {}\n  wanted {status}",
                new["status"]
            ));
        }
        if let Some(says) = case
            .says
            .as_ref()
            .filter(|s| !s.starts_with("field not declared"))
        {
            let refusal = invalid(
                &structural.kind,
                "bad",
                structural.validate(&new, old.as_ref()),
            );
            assert!(
                refusal.message.contains(says.as_str()),
                "{}",
                refusal.message
            );
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
fn fields_that_are_not_declared_are_named_in_the_cases_that_have_some() {
    let recorded = recorded();
    let structurals = structurals();
    let says = |c: &&Case| {
        c.says
            .as_deref()
            .is_some_and(|s| s.starts_with("field not declared"))
    };
    let cases: Vec<&Case> = recorded.cases.iter().filter(says).collect();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let object = recorded.object(&case.base, &case.after);
        let found = structurals[case.base.as_str()].unknown_fields(&object);
        let place = case.after[0].0[1..].replace('/', ".");
        assert!(
            found[0].starts_with(&format!("unknown field \"{place}")),
            "{found:?}"
        );
    }
}
