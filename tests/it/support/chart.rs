//! The chart and the real Helm, and the operator as a process with what the chart gives it: arguments, account, rules.
//! There is no kubelet, so nothing else starts it.

use super::kube::helm;
use super::wait;
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{AuthInfo, Kubeconfig};
use kube::{Api, Client};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The chart of this checkout.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/ibmi-clone-operator")
}

/// Helm, with nothing of this machine's settings.
pub struct Helm {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    home: TempDir,
}

impl Helm {
    /// Nothing, with a word about it, where Helm was not built.
    pub fn find() -> Option<Self> {
        Some(Self {
            program: helm()?,
            kubeconfig: None,
            home: tempfile::tempdir().unwrap(),
        })
    }

    /// For this cluster.
    pub fn on(mut self, stack: &KubeStack) -> Self {
        self.kubeconfig = Some(stack.kubeconfig().to_owned());
        self
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null());
        command.env_remove("KUBECONFIG");
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, self.home.path().join(name));
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        let mut command = tokio::process::Command::from(command);
        let output = command.kill_on_drop(true).output();
        wait::finished("helm", output).await.unwrap()
    }

    /// What a command prints that must succeed.
    pub async fn does(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Installs the chart of this checkout, with default values, in a namespace of its own.
    pub async fn installs(&self, release: &str, namespace: &str) -> String {
        let chart = chart();
        let install = ["install", release, chart.to_str().unwrap()];
        let place = ["--namespace", namespace, "--create-namespace"];
        self.does(&[&install[..], &place[..]].concat()).await
    }

    /// What a command says that must fail.
    pub async fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "helm {arguments:?}: {said}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// What the chart's Deployment says of its one container: the arguments.
pub fn container_arguments(deployment: &Deployment) -> Vec<String> {
    let template = &deployment.spec.as_ref().unwrap().template;
    let containers = &template.spec.as_ref().unwrap().containers;
    assert_eq!(containers.len(), 1);
    containers[0].args.clone().unwrap()
}

/// A running operator. Dropped = killed.
pub struct OperatorProcess {
    child: Child,
    log: PathBuf,
    _files: TempDir,
}

impl Drop for OperatorProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OperatorProcess {
    /// Starts the program as the kubelet would: arguments of the release's Deployment, a token of its account and no
    /// other way to the API. Its health is served on a free loopback port, simulated devices are `scale` times as fast.
    pub async fn start(stack: &KubeStack, namespace: &str, release: &str, scale: f64) -> Self {
        Self::start_with(stack, namespace, release, scale, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(
        stack: &KubeStack,
        namespace: &str,
        release: &str,
        scale: f64,
        more: &[&str],
    ) -> Self {
        let client = stack.client().unwrap();
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let deployment = deployments.get(release).await.unwrap();
        let account = deployment.spec.as_ref().unwrap().template.spec.as_ref();
        let account = account.unwrap().service_account_name.clone().unwrap();
        let files = tempfile::tempdir().unwrap();
        let kubeconfig = files.path().join("kubeconfig");
        let token = token(&client, namespace, &account).await;
        write_kubeconfig(stack, token, &kubeconfig);
        let log = files.path().join("log");
        let mut arguments = container_arguments(&deployment);
        serve_on_loopback(&mut arguments);
        let output = File::create(&log).unwrap();
        let child = Command::new(assert_cmd::cargo::cargo_bin("ibmi-clone"))
            .args(&arguments)
            .args(["--simulated-time-scale", &scale.to_string()])
            .args(more)
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .env_clear()
            .env("POD_NAMESPACE", namespace)
            // What a watch is refused is said at this level only.
            .env("RUST_LOG", "info,ibmi_clone_operator=debug")
            .env("HOSTNAME", format!("{release}-0"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self {
            child,
            log,
            _files: files,
        }
    }

    /// Its process id, which is part of its name in Leases.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote until now.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What it serves at a path of the address of `--listen`, which the log tells.
    pub async fn get(&self, path: &str) -> String {
        let log = self.log();
        let line = log
            .lines()
            .find(|l| l.contains("health and metrics are served"));
        let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
        let address = line["address"].as_str().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n\r\n");
        let answer = async {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        wait::finished(path, answer).await.unwrap()
    }

    /// Lines that say the API server refused something for want of a permission.
    pub fn forbidden(&self) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().map(str::to_owned);
        lines
            .filter(|l| l.to_lowercase().contains("forbidden"))
            .collect()
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Ends it as the kubelet does, with SIGTERM, and waits.
    pub async fn stop(&mut self) -> ExitStatus {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.until_ended(wait::LIMIT).await
    }

    /// Waits until it has ended.
    pub async fn until_ended(&mut self, limit: Duration) -> ExitStatus {
        wait::found_within(limit, "the end of the operator", async || {
            self.ended().ok_or_else(|| self.log())
        })
        .await
    }
}

/// Tests listen on loopback only, and on ports that are free.
fn serve_on_loopback(arguments: &mut [String]) {
    let at = arguments.iter().position(|a| a == "--listen").unwrap();
    arguments[at + 1] = "127.0.0.1:0".to_owned();
}

/// A token as the kubelet asks for one.
async fn token(client: &Client, namespace: &str, account: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = TokenRequest::default();
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .unwrap();
    answer.status.unwrap().token
}

/// The administrator's file with the token in place of his certificate.
fn write_kubeconfig(stack: &KubeStack, token: String, path: &Path) {
    let mut file = Kubeconfig::read_from(stack.kubeconfig()).unwrap();
    file.auth_infos[0].auth_info = Some(AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    });
    // JSON is YAML.
    std::fs::write(path, serde_json::to_string(&file).unwrap()).unwrap();
}
