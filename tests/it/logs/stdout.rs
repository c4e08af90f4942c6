//! Standard output of the operator as a process: what a collector of logs (Loki, Elasticsearch, Splunk) reads.

use crate::commands::user::User;
use crate::failures::stage::{SCALE, Stage, USER, as_it_is};
use crate::support::kube::shared;
use crate::support::wait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use kube::api::ListParams;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

type Object = Map<String, Value>;

/// Ended with the test.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Operator {
    /// The real binary with its usual form of the log, and more to say than usual.
    fn start(stage: &Stage, kubeconfig: &str, stdout: &Path, stderr: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_ibmi-clone"))
            .args(["operator", "--operator-id", "test"])
            .args(["--lease-namespace", &stage.namespace])
            .args(["--watch", &stage.namespace])
            .args(["--simulated-time-scale", &SCALE.to_string()])
            .args(["--kubeconfig", kubeconfig])
            .env("RUST_LOG", "info,ibmi_clone_operator=debug")
            .stdin(Stdio::null())
            .stdout(File::create(stdout).unwrap())
            .stderr(File::create(stderr).unwrap())
            .spawn();
        Self(child.unwrap())
    }

    /// SIGTERM, and its end.
    async fn stop(&mut self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        wait::found("the end of the operator", async || {
            self.0.try_wait().unwrap().ok_or("it runs")
        })
        .await;
    }
}

fn keys(object: &Object) -> BTreeSet<&str> {
    object.keys().map(String::as_str).collect()
}

/// A line of a run's log, as every line of it must be.
fn assert_run_line(line: &Object, run: &str, stage: &Stage) {
    let always = [
        "level",
        "log",
        "message",
        "part",
        "sev",
        "span",
        "target",
        "text",
        "timestamp",
        "ts",
    ];
    let sometimes = ["id", "job", "second", "type"];
    let found = keys(line);
    for key in always {
        assert!(found.contains(key), "{key}: {line:?}");
    }
    for key in &found {
        assert!(
            always.contains(key) || sometimes.contains(key),
            "{key}: {line:?}"
        );
    }
    for key in sometimes {
        assert_ne!(line.get(key), Some(&Value::from("")), "{line:?}");
    }
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "run log");
    assert!(line["sev"].is_u64(), "{line:?}");
    let span = &line["span"];
    for (key, wanted) in [
        ("run", Value::from(run)),
        ("namespace", Value::from(stage.namespace.as_str())),
        ("environment", Value::from(USER)),
        ("number", Value::from(1)),
    ] {
        assert_eq!(span[key], wanted, "{key}: {line:?}");
    }
}

/// The line as it is kept: without what the output adds.
fn kept(line: &Object) -> Value {
    let added = ["level", "log", "message", "span", "target", "timestamp"];
    let own = line
        .iter()
        .filter(|(key, _)| !added.contains(&key.as_str()));
    Value::Object(
        own.map(|(key, value)| (key.clone(), value.clone()))
            .collect(),
    )
}

/// Passwords of the namespace, plain and as HTTP sends them.
async fn secrets(stage: &Stage) -> Vec<String> {
    let mut found = Vec::new();
    for secret in stage.secrets().list(&ListParams::default()).await.unwrap() {
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| {
            data.get(key)
                .map(|v| String::from_utf8(v.0.clone()).unwrap())
        };
        let (Some(user), Some(password)) = (text("username"), text("password")) else {
            panic!("{:?} has other keys", secret.metadata.name);
        };
        found.push(STANDARD.encode(&password));
        found.push(STANDARD.encode(format!("{user}:{password}")));
        found.push(password);
    }
    assert!(found.len() > 3);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_output_is_one_json_object_per_line_with_the_logs_of_the_run_and_no_secret() {
    let Some(stage) = Stage::without_operator(as_it_is, as_it_is).await else {
        return;
    };
    let user = User {
        namespace: stage.namespace.clone(),
        kubeconfig: shared().await.unwrap().kubeconfig().display().to_string(),
    };
    let files = tempfile::tempdir().unwrap();
    let (stdout, stderr) = (files.path().join("stdout"), files.path().join("stderr"));
    let mut operator = Operator::start(&stage, &user.kubeconfig, &stdout, &stderr);
    stage.ready(USER).await;
    let run = stage.run(USER).await;
    stage.ended(&run).await.succeeded();
    operator.stop().await;

    let text = std::fs::read_to_string(&stdout).unwrap();
    let lines = text.lines().map(|line| {
        let object: Object = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let time = object["timestamp"].as_str().unwrap_or_default();
        assert!(DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
        assert!(
            object["level"].is_string() && object["target"].is_string(),
            "{line}"
        );
        object
    });
    let of_run: Vec<Object> = lines
        .filter(|line| line["target"] == "ibmi_clone::run_log")
        .collect();
    for line in &of_run {
        assert_run_line(line, &run, &stage);
    }
    let of = |log: &str| -> Vec<Value> {
        let lines = of_run.iter().filter(|line| line["log"] == log);
        lines.map(kept).collect()
    };
    let live = of("live");
    assert!(
        live.iter()
            .any(|l| l["job"] == "start-copy" && l["text"] == "done")
    );
    for kind in ["steps", "joblog", "history", "devices"] {
        let (told, wanted) = (of(kind), user.log(&run, kind).await);
        assert!(!wanted.is_empty(), "{kind}");
        assert!(told.ends_with(&wanted), "{kind}: {told:#?}\n{wanted:#?}");
    }

    let everything = text + &std::fs::read_to_string(&stderr).unwrap();
    for secret in secrets(&stage).await {
        let line = everything.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret}");
    }
    stage.unharmed().await;
}
