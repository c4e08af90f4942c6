//! The servers that are measured.

use super::process::{Usage, usage};
use super::stack;
use ibmi_clone_operator::commands::embedded_api::{EmbeddedApi, Place};
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// First argument of the process that serves the embedded API.
pub const SERVE: &str = "serve-embedded";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Embedded,
    Kubernetes,
}

impl Which {
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// A running server.
pub struct Server {
    pub client: Client,
    pub kubeconfig: PathBuf,
    /// Where its data is.
    pub dir: PathBuf,
    /// From the start of the process until it said that it was ready.
    pub took: Duration,
    pub pids: Vec<u32>,
    running: Running,
}

enum Running {
    /// Ends when its standard input does.
    Embedded(Child),
    Kubernetes(Box<KubeStack>),
}

impl Server {
    pub async fn start(which: Which, dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        match which {
            Which::Embedded => Self::embedded(dir).await,
            Which::Kubernetes => Self::kubernetes(dir).await,
        }
    }

    async fn embedded(dir: &Path) -> Self {
        let own = std::env::current_exe().unwrap();
        let program = std::env::var_os("BENCH_EMBEDDED_PROGRAM").map_or(own, PathBuf::from);
        let mut command = Command::new(program);
        command.args([SERVE.as_ref(), dir.as_os_str()]);
        command.stdout(Stdio::piped());
        let (child, client, took) = started(
            command,
            |child| Box::new(child.stdout.take().unwrap()),
            &data(dir).join("kubeconfig"),
        )
        .await;
        Self {
            client,
            kubeconfig: data(dir).join("kubeconfig"),
            dir: data(dir),
            took,
            pids: child.id().into_iter().collect(),
            running: Running::Embedded(child),
        }
    }

    async fn kubernetes(dir: &Path) -> Self {
        let begun = Instant::now();
        let stack = stack::bare(dir).await;
        let took = begun.elapsed();
        stack::define(&stack).await;
        Self {
            client: stack.client().unwrap(),
            kubeconfig: stack.kubeconfig().to_owned(),
            dir: dir.to_owned(),
            took,
            pids: vec![stack.api_server_pid(), stack.etcd_pid()],
            running: Running::Kubernetes(Box::new(stack)),
        }
    }

    /// Of all its processes together.
    pub fn memory(&self) -> Usage {
        let each = self.pids.iter().map(|pid| usage(*pid));
        each.fold(Usage::default(), |sum, one| Usage {
            now_mib: sum.now_mib + one.now_mib,
            peak_mib: sum.peak_mib + one.peak_mib,
        })
    }

    /// Bytes that its processes have sent to the disk.
    pub fn written(&self) -> u64 {
        self.pids.iter().map(|pid| written(*pid)).sum()
    }

    pub async fn stop(self) {
        match self.running {
            Running::Embedded(child) => ended(child).await,
            Running::Kubernetes(stack) => stack.stop(),
        }
    }
}

/// Below the directory of a server, because the store wants one that nobody else may read.
pub fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// Starts a server, waits for its first line and then for its readiness.
pub async fn started(
    mut command: Command,
    output: impl FnOnce(&mut Child) -> Box<dyn tokio::io::AsyncRead + Unpin + Send>,
    kubeconfig: &Path,
) -> (Child, Client, Duration) {
    command.stdin(Stdio::piped()).kill_on_drop(true);
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(output(&mut child)).lines();
    let first = lines.next_line().await.unwrap();
    assert!(first.is_some(), "the server ended");
    let client = client(kubeconfig).await;
    loop {
        let request = axum::http::Request::get("/readyz")
            .body(Vec::new())
            .unwrap();
        if client.request_text(request).await.is_ok() {
            break;
        }
    }
    let took = begun.elapsed();
    // It would wait for a reader of what it says next.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, client, took)
}

/// Closes its standard input and waits.
pub async fn ended(mut child: Child) {
    drop(child.stdin.take());
    child.wait().await.unwrap();
}

pub async fn client(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let usual = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &usual).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Bytes that a process has sent to the disk.
pub fn written(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let line = io.lines().find(|l| l.starts_with("write_bytes"));
    let bytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok());
    bytes.unwrap_or_default()
}

pub fn place(dir: &Path) -> Place {
    Place {
        data: data(dir),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        names: Vec::new(),
        namespace: "default".to_owned(),
    }
}

/// The embedded API, until standard input ends.
pub async fn serve(dir: &Path) {
    let api = EmbeddedApi::start(&place(dir)).await.unwrap();
    println!("{}", api.url());
    let input = || std::io::stdin().read_to_end(&mut Vec::new());
    let _ = tokio::task::spawn_blocking(input).await;
    api.stop().await.unwrap();
}
