//! Requests that were sent to a kube-apiserver 1.36.3 one after the other, with what it answered. A line without a status is sent
//! for what it changes: its answer differs, as the documentation of the embedded API says.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ask, service};
use crate::embedded::http::{Access, Limits, Service, Token};

/// Fields whose value is of the moment. Descriptions are long and for people.
const OF_THE_MOMENT: [&str; 9] = [
    "uid",
    "time",
    "creationTimestamp",
    "storageVersionHash",
    "resourceVersion",
    "remainingItemCount",
    "serverAddressByClientCIDRs",
    "continue",
    "description",
];

#[derive(Deserialize)]
struct Line {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    body: Option<String>,
    status: Option<u16>,
    #[serde(rename = "type")]
    media_type: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    answer: Option<Value>,
}

fn normal(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(k, v)| field(k, v))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::String(text) => normal_text(&text).into(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn field(key: String, value: Value) -> (String, Value) {
    let said = !value.is_null() && value != "";
    let value = if said && (key == "paths" || OF_THE_MOMENT.contains(&key.as_str())) {
        "*".into()
    } else if OF_THE_MOMENT.contains(&key.as_str()) {
        value
    } else {
        normal(value)
    };
    (key, value)
}

fn normal_text(text: &str) -> String {
    static RULES: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        [
            (
                r#"\\?"(uid|resourceVersion|creationTimestamp|time)\\?": ?\\?"[^"]*""#,
                "$1*",
            ),
            ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UID"),
            (r"^\d+s$", "AGE"),
            (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        ]
        .map(|(rule, to)| (Regex::new(rule).unwrap(), to))
    });
    let mut text = text.to_owned();
    for (rule, to) in RULES.iter() {
        text = rule.replace_all(&text, *to).into_owned();
    }
    text
}

fn read(body: &[u8], media_type: &str) -> Value {
    let text = String::from_utf8_lossy(body);
    if !media_type.contains("json") {
        return text.into_owned().into();
    }
    if text.starts_with("{\"type\":") {
        return text
            .lines()
            .map(|line| normal(serde_json::from_str(line).unwrap()))
            .collect();
    }
    serde_json::from_str(&text)
        .map(normal)
        .unwrap_or_else(|_| text.into_owned().into())
}

#[tokio::test]
async fn every_answer_is_that_of_the_real_server() {
    let token = Token::generate().unwrap();
    let bearer = format!("Bearer {}", token.expose());
    let registry = service().await.registry().clone();
    let service = Service::new(registry, Access::Bearer(token), Limits::default());
    let mut wrong = Vec::new();
    let mut compared = 0;
    for text in include_str!("recorded.jsonl").lines() {
        let line: Line = serde_json::from_str(text).unwrap();
        let mut headers = vec![("user-agent", "test/1")];
        if !line.headers.contains_key("Authorization") {
            headers.push(("authorization", bearer.as_str()));
        }
        headers.extend(
            line.headers
                .iter()
                .filter_map(|(k, v)| Some((k.as_str(), v.as_deref()?))),
        );
        let body = line.body.as_deref().unwrap_or_default();
        let answer = ask(&service, &line.method, &line.path, &headers, body).await;
        let Some(status) = line.status else { continue };
        compared += 1;
        let warnings = answer.headers.get_all("warning").iter();
        let warnings: Vec<&str> = warnings.map(|v| v.to_str().unwrap()).collect();
        let media_type = answer.header("content-type");
        let mut same = answer.status == status && warnings == line.warnings;
        same &= line.media_type.as_deref() == Some(media_type);
        let found = read(&answer.body, media_type);
        same &= line
            .answer
            .as_ref()
            .is_none_or(|wanted| line.method == "HEAD" || *wanted == found);
        if !same {
            wrong.push(format!(
                "{text}\n  {} {media_type} {warnings:?} {found}",
                answer.status
            ));
        }
    }
    assert!(compared > 250, "only {compared} were compared");
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
