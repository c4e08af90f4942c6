//! What vendors' own clients rely on: paths, methods, bodies and shapes of the simulated REST API.

use super::{Bench, file};
use ibmi_clone_operator::drivers::transport::http::{Answer, HttpDevice, Intent, Request};
use ibmi_clone_operator::site::CopyServices;
use ibmi_clone_operator::site::transcript::Transcript;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::time::Duration;

/// A client that says exactly what it is told to.
struct Raw<'a> {
    bench: &'a Bench,
    http: HttpDevice,
    token: String,
}

impl<'a> Raw<'a> {
    async fn new(bench: &'a Bench) -> Self {
        let http = HttpDevice::new("raw", &bench.options().tls, Transcript::default()).unwrap();
        let mut raw = Self {
            bench,
            http,
            token: String::new(),
        };
        let answer = raw.login("cloneop", "right").await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        raw.token = body["token"].as_str().unwrap().to_owned();
        raw
    }
    async fn login(&self, user: &str, password: &str) -> Answer {
        let headers = [("x-auth-username", user), ("x-auth-password", password)];
        self.send(Method::POST, "/rest/v1/auth", &headers, "").await
    }
    async fn post(&self, path: &str, body: &str) -> Answer {
        let headers = [("x-auth-token", self.token.as_str())];
        self.send(Method::POST, path, &headers, body).await
    }
    async fn json(&self, path: &str, body: &str) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        let url = format!("https://{}{path}", self.bench.address);
        let request = Request {
            method,
            url: url.parse().unwrap(),
            headers: HeaderMap::from_iter(headers),
            body: body.as_bytes().to_vec(),
            intent: Intent::Read,
            label: path.to_owned(),
            timeout: Duration::from_secs(20),
        };
        self.http.send(request).await.unwrap()
    }
}

#[tokio::test]
async fn every_path_of_the_field_reaches_the_same_command() {
    let bench = Bench::small();
    let raw = Raw::new(&bench).await;
    let wanted = raw.json("/rest/v1/lssystem", "").await;
    for path in [
        "/rest/lssystem",
        "/rest/v1/lssystem/",
        "/proxy/svc/rest/v1/lssystem",
    ] {
        assert_eq!(raw.json(path, "").await, wanted, "{path}");
    }
    for path in [
        "/lssystem",
        "/rest/v1/lsnothing",
        "/rest/v1/",
        "/rest/v1/lsvdisk/%zz",
    ] {
        assert_eq!(raw.post(path, "").await.status, 404, "{path}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = raw.send(method, "/rest/v1/lssystem", &[], "").await;
        assert_eq!(answer.status, 405);
    }
}

#[tokio::test]
async fn an_object_is_one_percent_encoded_segment() {
    let mut file = file();
    file.array.groups[1].name = "SPARE 100%.é".to_owned();
    let bench = Bench::start(&file);
    let raw = Raw::new(&bench).await;
    let path = "/rest/v1/lsfcconsistgrp/SPARE%20100%25.%C3%A9";
    assert_eq!(raw.json(path, "").await["status"], "empty");
    let copy = bench.copy_of("SPARE 100%.é");
    assert!(copy.observe().await.is_ok());
}

#[tokio::test]
async fn absent_null_and_empty_bodies_are_no_flags_and_null_is_not_given() {
    let bench = Bench::small();
    let raw = Raw::new(&bench).await;
    for body in ["", "null", "{}", r#"{"filtervalue": null, "bytes": false}"#] {
        assert_eq!(
            raw.json("/rest/v1/lsfcmap", body)
                .await
                .as_array()
                .map(Vec::len),
            Some(2),
            "{body}"
        );
    }
    let answer = raw.post("/rest/v1/lsfcmap", r#"{"colour": "red"}"#).await;
    assert!(answer.body.starts_with("CMMVC5709E"));
}

#[tokio::test]
async fn numbers_come_as_numbers_or_text() {
    let bench = Bench::small();
    let raw = Raw::new(&bench).await;
    for (size, rate) in [(json!("10"), json!(0)), (json!(10), json!("0"))] {
        let volume = json!({"mdiskgrp": "P1", "size": size, "unit": "gb", "name": Value::Null});
        let made = raw.json("/rest/v1/mkvdisk", &volume.to_string()).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let message = format!("Virtual Disk, id [{id}], successfully created");
        assert_eq!(made["message"], message.as_str());
        let other = raw.json("/rest/v1/mkvdisk", &volume.to_string()).await;
        let map =
            json!({"source": id, "target": other["id"], "copyrate": rate, "grainsize": "256"});
        let map = raw.json("/rest/v1/mkfcmap", &map.to_string()).await;
        let path = format!("/rest/v1/lsfcmap/{}", map["id"].as_str().unwrap());
        assert_eq!(raw.json(&path, "").await["copy_rate"], "0");
    }
}

#[tokio::test]
async fn shapes_of_answers_are_those_of_the_array() {
    let bench = Bench::small();
    let raw = Raw::new(&bench).await;
    let action = raw.post("/rest/v1/prestartfcconsistgrp/CLONE1", "").await;
    assert_eq!((action.status, action.body.as_str()), (200, ""));
    assert_eq!(action.headers["content-length"], "0");
    let none = raw.json("/rest/v1/lsvdiskhostmap/OLD_0", "").await;
    assert_eq!(none, json!([]));
    let volume = raw
        .json("/rest/v1/lsvdisk/CLN_0", r#"{"bytes": true}"#)
        .await;
    let sections = volume.as_array().unwrap();
    assert_eq!(sections.len(), 2);
    assert_eq!(sections[1]["capacity"], (100u64 << 30).to_string().as_str());
    assert_eq!(
        raw.json("/rest/v1/lsvdisk/CLN_0", "").await[0]["capacity"],
        "100.00GB"
    );
    let pools = raw.json("/rest/v1/lsmdiskgrp", "").await;
    assert!(pools[0].get("physical_capacity").is_none());
    let cells = raw.json("/rest/v1/lsfcmap", "").await;
    let cells = cells[0].as_object().unwrap();
    assert!(cells.values().all(Value::is_string));
    assert!(cells.contains_key("start_time") && !cells.contains_key("autodelete"));
}

#[tokio::test]
async fn both_styles_of_errors_carry_the_code() {
    for (json, status) in [(false, 500), (true, 404)] {
        let mut file = file();
        file.knobs.array_errors_as_json = json;
        let bench = Bench::start(&file);
        let raw = Raw::new(&bench).await;
        let answer = raw.post("/rest/v1/lsvdisk/NOBODY", "{}").await;
        assert_eq!(answer.status, status);
        let text = if json {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            body["message"].as_str().unwrap().to_owned()
        } else {
            answer.body
        };
        assert!(text.starts_with("CMMVC5754E "), "{text}");
    }
}

#[tokio::test]
async fn a_token_looks_like_the_array_s_and_a_fifth_one_pushes_the_first_out() {
    let bench = Bench::small();
    let raw = Raw::new(&bench).await;
    let parts: Vec<&str> = raw.token.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert!(parts[0].starts_with("eyJ"), "a JSON header in base64");
    assert_eq!(raw.post("/rest/v1/lssystem", "").await.status, 200);
    for _ in 0..4 {
        bench.pass(1);
        assert_eq!(raw.login("cloneop", "right").await.status, 200);
    }
    assert_eq!(raw.post("/rest/v1/lssystem", "").await.status, 401);
    let failed = raw.login("cloneop", "wrong").await;
    assert_eq!(failed.status, 403);
    assert!(failed.body.starts_with('"'), "a JSON string");
}

#[tokio::test]
async fn the_limits_answer_429_with_a_time_to_wait() {
    let mut file = file();
    file.array.auth_per_second = 2;
    let bench = Bench::start(&file);
    let raw = Raw::new(&bench).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(raw.login("cloneop", "right").await);
    }
    let refused = answers.iter().find(|a| a.status == 429).unwrap();
    assert_eq!(refused.headers["retry-after"], "1");
}

#[tokio::test]
async fn hosts_are_mapped_and_unmapped_with_the_array_s_checks() {
    let bench = Bench::small();
    let raw = Raw::new(&bench).await;
    let map = "/rest/v1/mkvdiskhostmap/OLD_0";
    let made = raw.json(map, r#"{"host": "OTHER", "scsi": null}"#).await;
    assert_eq!(
        made["message"],
        "Virtual Disk to Host map, id [0], successfully created"
    );
    for (body, code) in [
        (r#"{"host": "VIOS1"}"#, "CMMVC6071E"),
        (r#"{"host": "OTHER"}"#, "CMMVC5878E"),
        (
            r#"{"host": "VIOS1", "scsi": "0", "force": true}"#,
            "CMMVC5879E",
        ),
    ] {
        let answer = raw.post(map, body).await;
        assert!(answer.body.starts_with(code), "{body}: {}", answer.body);
    }
    let unmap = "/rest/v1/rmvdiskhostmap/OLD_0";
    assert_eq!(raw.post(unmap, r#"{"host": "OTHER"}"#).await.status, 200);
    let again = raw.post(unmap, r#"{"host": "OTHER"}"#).await;
    assert!(again.body.starts_with("CMMVC5842E"));
}
