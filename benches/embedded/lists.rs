//! Environments and runs of some years: a start with them, and lists of them.

use super::process::{Usage, usage};
use super::server::{self, Server, Which};
use super::{AT_ONCE, SETTLED, number, percentile, rows};
use futures::{AsyncReadExt, StreamExt};
use ibmi_clone_operator::api::{CloneEnvironment, CloneRun};
use ibmi_clone_operator::commands::kube_stack::usual_binaries;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Lists by kubectl, of which the median counts.
const LISTS: usize = 5;
const RUNS: &str = "/apis/ibmiclone.dev/v1alpha1/cloneruns";
/// What kubectl asks for.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// What was written before the lists.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    pub environments: usize,
    pub runs: usize,
    pub seconds: f64,
}

pub struct Lists {
    pub filled: Filled,
    /// Until ready, with all of it.
    pub start: f64,
    pub after_start: Usage,
    /// Seconds, sorted.
    pub kubectl: Vec<f64>,
    /// The same pages without kubectl.
    pub pages: f64,
    /// After the lists of kubectl.
    pub after_lists: Usage,
    /// Everything in one answer, and how many bytes that is.
    pub whole: f64,
    pub whole_bytes: usize,
    pub after_whole: Usage,
}

/// What `standalone` needs with the same data, its operator included.
pub struct Standalone {
    pub start: f64,
    pub after_start: Usage,
    pub kubectl: f64,
    pub after_lists: Usage,
}

pub async fn namespaces(client: &Client) {
    let api: Api<Namespace> = Api::all(client.clone());
    for i in 0..rows::NAMESPACES {
        let object = json!({"metadata": {"name": rows::namespace_of(i)}});
        let object = serde_json::from_value(object).unwrap();
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

pub async fn fill(server: &Server) -> Filled {
    let (environments, runs) = (number("ENVIRONMENTS", 1_000), number("RUNS", 20));
    let begun = Instant::now();
    each(environments, |i| {
        environment(server.client.clone(), i, runs)
    })
    .await;
    Filled {
        environments,
        runs: environments * runs,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// An environment and its runs, each with its last status.
async fn environment(client: Client, i: usize, runs: usize) {
    let namespace = rows::namespace_of(i);
    let environments: Api<CloneEnvironment> = Api::namespaced(client.clone(), &namespace);
    let api: Api<CloneRun> = Api::namespaced(client, &namespace);
    let none = PostParams::default();
    let made = environments.create(&none, &rows::environment(i)).await;
    let uid = made.unwrap().metadata.uid.unwrap();
    for n in 0..runs {
        let mut run = api.create(&none, &rows::run(i, n, &uid)).await.unwrap();
        run.status = Some(rows::finished(i * runs + n));
        let name = run.metadata.name.clone().unwrap();
        api.replace_status(&name, &none, &run).await.unwrap();
    }
}

/// Does something for each index, several at once.
async fn each<F, Fut>(n: usize, work: F)
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = ()>,
{
    let all = futures::stream::iter((0..n).map(work));
    all.buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
}

pub async fn measure(which: Which, dir: &Path, filled: Filled) -> Lists {
    let server = Server::start(which, dir).await;
    tokio::time::sleep(SETTLED).await;
    let after_start = server.memory();
    let mut kubectl: Vec<f64> = Vec::new();
    for _ in 0..LISTS {
        kubectl.push(by_kubectl(&server.kubeconfig, filled.runs));
    }
    kubectl.sort_by(f64::total_cmp);
    let pages = pages(&server.client).await;
    let after_lists = server.memory();
    let begun = Instant::now();
    let whole_bytes = bytes(&server.client).await;
    let whole = begun.elapsed().as_secs_f64();
    let after_whole = server.memory();
    let start = server.took.as_secs_f64();
    server.stop().await;
    Lists {
        filled,
        start,
        after_start,
        kubectl,
        pages,
        after_lists,
        whole,
        whole_bytes,
        after_whole,
    }
}

/// Seconds of `kubectl get cloneruns -A`, which must print all of them.
fn by_kubectl(kubeconfig: &Path, runs: usize) -> f64 {
    let program = usual_binaries().expect("HOME is set").join("kubectl");
    let begun = Instant::now();
    let printed = Command::new(program)
        .args(["get", "cloneruns", "-A"])
        .env("KUBECONFIG", kubeconfig)
        .stderr(Stdio::inherit())
        .output()
        .expect("run `make kube` first");
    let took = begun.elapsed().as_secs_f64();
    let lines = printed.stdout.iter().filter(|b| **b == b'\n').count();
    assert_eq!(lines, runs + 1, "a heading and the runs");
    took
}

/// Seconds of the same requests, without reading what is in them but the token of the next.
async fn pages(client: &Client) -> f64 {
    let begun = Instant::now();
    let mut next = String::new();
    loop {
        let path = format!("{RUNS}?limit=500&continue={next}");
        let request = axum::http::Request::get(path).header("accept", TABLE);
        let text = client.request_text(request.body(Vec::new()).unwrap());
        let text = text.await.unwrap();
        let found = text.find("\"continue\":\"").map(|at| &text[at + 12..]);
        match found.and_then(|rest| rest.split('"').next()) {
            Some(token) if !token.is_empty() => next = token.to_owned(),
            Some(_) | None => return begun.elapsed().as_secs_f64(),
        }
    }
}

/// Length of a list of everything, which is not kept here.
async fn bytes(client: &Client) -> usize {
    let request = axum::http::Request::get(RUNS).body(Vec::new()).unwrap();
    let mut answer = std::pin::pin!(client.request_stream(request).await.unwrap());
    let mut part = vec![0; 64 * 1024];
    let mut length = 0;
    loop {
        match answer.read(&mut part).await.unwrap() {
            0 => return length,
            n => length += n,
        }
    }
}

/// `ibmi-clone standalone` on the data of the embedded API.
pub async fn standalone(dir: &Path) -> Standalone {
    let data = server::data(dir);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ibmi-clone"));
    command.args([
        "standalone",
        "--listen",
        "127.0.0.1:0",
        "--log",
        "error",
        "--data",
    ]);
    command.arg(&data).stderr(Stdio::piped());
    let kubeconfig = data.join("kubeconfig");
    let (mut child, _client, took) = server::started(
        command,
        |child| Box::new(child.stderr.take().unwrap()),
        &kubeconfig,
    )
    .await;
    tokio::time::sleep(SETTLED + Duration::from_secs(20)).await;
    let pid = child.id().unwrap();
    let after_start = usage(pid);
    let runs = number("ENVIRONMENTS", 1_000) * number("RUNS", 20);
    let mut kubectl: Vec<f64> = Vec::new();
    for _ in 0..LISTS {
        kubectl.push(by_kubectl(&kubeconfig, runs));
    }
    kubectl.sort_by(f64::total_cmp);
    let after_lists = usage(pid);
    child.kill().await.unwrap();
    Standalone {
        start: took.as_secs_f64(),
        after_start,
        kubectl: percentile(&kubectl, 0.5),
        after_lists,
    }
}
