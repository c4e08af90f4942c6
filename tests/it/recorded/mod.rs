//! What the embedded API is tested with and a real server has said: the objects of these files are asked about again, and the
//! answers must be the recorded ones. `UPDATE_RECORDED=1 cargo test --test it recorded::` writes down what is said now.

mod kinds;
mod schema;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use axum::body::to_bytes;
use axum::http::Request;
use kube::Client;
use kube::client::Body;
use serde::Serialize;
use serde_json::Value;

use crate::support::kube as stack;

/// Nothing of a request is stored.
const DRY: &str = "?dryRun=All";

#[tokio::test]
async fn the_recorded_answers_are_those_of_the_real_server() {
    let Some(stack) = stack::own().await else {
        return;
    };
    let server = Server {
        client: stack.client().unwrap(),
    };
    let mut changed = schema::again(&server).await;
    changed.extend(kinds::again(&server).await);
    assert!(
        changed.is_empty(),
        "{} answers have changed; UPDATE_RECORDED=1 writes them down:\n{}",
        changed.len(),
        changed.join("\n\n")
    );
}

/// A control plane that nobody else uses.
struct Server {
    client: Client,
}

impl Server {
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json");
        let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let request = request.body(Body::from(bytes)).unwrap();
        let (head, body) = self.client.send(request).await.unwrap().into_parts();
        let bytes = to_bytes(axum::body::Body::new(body), usize::MAX).await;
        let body = serde_json::from_slice(&bytes.unwrap()).unwrap_or_default();
        (head.status.as_u16(), body)
    }
}

fn file(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/embedded");
    directory.join(name)
}

/// Field, reason and message of each cause.
type Causes = Vec<(String, String, String)>;

fn causes(answer: &Value) -> Causes {
    let causes = answer.pointer("/details/causes").and_then(Value::as_array);
    let word = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    let causes = causes.into_iter().flatten();
    causes
        .map(|c| (word(c, "field"), word(c, "reason"), word(c, "message")))
        .collect()
}

/// One case per line: a change of one shows as one.
fn lines<T: Serialize>(cases: &[T]) -> String {
    let lines = cases.iter().map(|c| serde_json::to_string(c).unwrap());
    lines.collect::<Vec<_>>().join(",\n")
}

fn updates() -> bool {
    std::env::var_os("UPDATE_RECORDED").is_some()
}

/// What has changed, in words.
fn changed<T: PartialEq + Debug>(recorded: &[T], now: &[T]) -> Vec<String> {
    let pairs = recorded.iter().zip(now);
    let changed = pairs.filter(|(was, is)| was != is);
    changed
        .map(|(was, is)| format!("recorded {was:?}\nnow      {is:?}"))
        .collect()
}
