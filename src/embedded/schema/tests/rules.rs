//! Every rule of our definitions runs, once for good and once against it.

use super::recorded::{recorded, structurals};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use std::collections::BTreeMap;

/// All rules of a schema with the words that they are refused with.
fn rules(schema: &JSONSchemaProps, at: &str, found: &mut BTreeMap<(String, String), String>) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let message = rule.message.clone().unwrap();
        found.insert((at.to_owned(), rule.rule.clone()), message);
    }
    for (name, below) in schema.properties.iter().flatten() {
        rules(below, &format!("{at}.{name}"), found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(below)) = &schema.items {
        rules(below, &format!("{at}[]"), found);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(below)) = &schema.additional_properties {
        rules(below, &format!("{at}[*]"), found);
    }
}

#[test]
fn every_rule_of_our_definitions_accepts_and_refuses_a_recorded_object() {
    let recorded = recorded();
    let structurals = structurals();
    for base in ["environment", "run"] {
        let structural = &structurals[base];
        let mut all = BTreeMap::new();
        rules(&structural.kind.schema, "", &mut all);
        assert!(all.len() > 20, "{}", all.len());
        // A rule that was looked at and did not refuse an accepted object has accepted it; which were looked at is counted there.
        let mut refused: Vec<String> = Vec::new();
        super::super::cel::seen::start();
        for case in recorded.cases.iter().filter(|c| c.base == base) {
            let (new, old) = recorded.pair(structural, case);
            refused.extend(
                structural
                    .validate(&new, old.as_ref())
                    .into_iter()
                    .map(|c| c.message),
            );
        }
        let seen = super::super::cel::seen::stop();
        let refuses = |message: &str| refused.iter().any(|r| r.ends_with(message));
        let mut idle = Vec::new();
        for ((at, rule), message) in &all {
            if !refuses(message) {
                idle.push(format!("never refused: {at}: {rule}"));
            }
            if !seen.contains(rule) {
                idle.push(format!("never accepted: {at}: {rule}"));
            }
        }
        assert!(idle.is_empty(), "{base}:\n{}", idle.join("\n"));
    }
}
