//! `src/embedded/kinds/recorded.json`: objects of the kinds that Kubernetes has built in.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Causes, DRY, Server, causes, changed, file, lines, updates};

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Case {
    /// `NewEvent` is that of `events.k8s.io`.
    kind: String,
    new: Value,
    /// What it replaces; none = it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    code: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Causes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<Value>,
}

fn url(kind: &str) -> &'static str {
    match kind {
        "ConfigMap" => "/api/v1/namespaces/default/configmaps",
        "Secret" => "/api/v1/namespaces/default/secrets",
        "Event" => "/api/v1/namespaces/default/events",
        "NewEvent" => "/apis/events.k8s.io/v1/namespaces/default/events",
        "Lease" => "/apis/coordination.k8s.io/v1/namespaces/default/leases",
        "Namespace" => "/api/v1/namespaces",
        "ServiceAccount" => "/api/v1/namespaces/default/serviceaccounts",
        other => panic!("{other} is not recorded"),
    }
}

/// What is said now and was not.
pub async fn again(server: &Server) -> Vec<String> {
    let file = file("kinds/recorded.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let recorded: Vec<Case> = serde_json::from_str(&text).unwrap();
    let mut now = Vec::new();
    for (index, case) in recorded.iter().enumerate() {
        now.push(answered(server, case, index).await);
    }
    if updates() {
        std::fs::write(&file, format!("[\n{}\n]\n", lines(&now))).unwrap();
        return Vec::new();
    }
    let sorted = |cases: Vec<Case>| -> Vec<Case> {
        let cases = cases.into_iter().map(|mut case| {
            case.causes.sort();
            // It lists the causes in the server's order.
            if case.causes.len() > 1 {
                case.message.clear();
            }
            case
        });
        cases.collect()
    };
    changed(&sorted(recorded), &sorted(now))
}

async fn answered(server: &Server, case: &Case, index: usize) -> Case {
    let place = url(&case.kind);
    let name = format!("k{index}");
    let (code, mut answer) = match &case.old {
        None => {
            server
                .ask("POST", &format!("{place}{DRY}"), Some(&case.new))
                .await
        }
        Some(old) => {
            let mut old = old.clone();
            old["metadata"]["name"] = json!(name);
            let (code, live) = server.ask("POST", place, Some(&old)).await;
            assert_eq!(code, 201, "case {index} cannot be prepared: {live}");
            let mut new = case.new.clone();
            new["metadata"]["name"] = json!(name);
            new["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
            server
                .ask("PUT", &format!("{place}/{name}{DRY}"), Some(&new))
                .await
        }
    };
    let mut found = Case {
        code,
        message: String::new(),
        causes: Causes::new(),
        stored: None,
        ..case.clone()
    };
    if code < 300 {
        let metadata = answer["metadata"].as_object_mut().unwrap();
        for field in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
        ] {
            metadata.remove(field);
        }
        metadata.insert("name".to_owned(), case.new["metadata"]["name"].clone());
        found.stored = Some(answer);
    } else {
        let message = answer["message"].as_str().unwrap_or_default();
        found.message = message.replace(&format!("\"{name}\""), "\"x\"");
        found.causes = causes(&answer);
    }
    found
}
