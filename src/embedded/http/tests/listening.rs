//! Over a socket: who is let in, how much is served, how it ends.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use chrono::Utc;
use reqwest::{Certificate, Client, Version};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::registry;
use crate::embedded::http::certificates::Identity;
use crate::embedded::http::listen::ListenError;
use crate::embedded::http::{Access, Limits, Service, Tls, Token, serve};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Running {
    pub address: SocketAddr,
    pub token: Token,
    identity: Identity,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ListenError>>,
    _directory: tempfile::TempDir,
}

impl Running {
    pub async fn start(limits: Limits) -> Self {
        Self::begin(limits, |identity| Tls::On(Box::new(identity))).await
    }

    /// Not encrypted, for clients that break the rules of HTTP.
    pub async fn plain(limits: Limits) -> Self {
        Self::begin(limits, |_| Tls::Off).await
    }

    async fn begin(limits: Limits, tls: impl FnOnce(Identity) -> Tls) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let identity = Identity::keep(directory.path(), &names, Utc::now()).unwrap();
        let token = Token::generate().unwrap();
        let service = Service::new(registry().await, Access::Bearer(token.clone()), limits);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let tls = tls(identity.clone());
        let task = tokio::spawn(serve(service, listener, tls, shutdown.clone()));
        Self {
            address,
            token,
            identity,
            shutdown,
            task,
            _directory: directory,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub fn client(&self) -> reqwest::ClientBuilder {
        let provider = rustls::crypto::ring::default_provider();
        let _already = provider.install_default();
        let authority = Certificate::from_pem(self.identity.authority().as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only([authority])
    }

    pub async fn get(&self, client: &Client, path: &str) -> reqwest::Response {
        let request = client.get(self.url(path)).bearer_auth(self.token.expose());
        request.send().await.unwrap()
    }

    pub async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn without_the_token_only_health_and_version_answer() {
    let running = Running::start(Limits::default()).await;
    let client = running.client().build().unwrap();
    for (path, code) in [
        ("/healthz", 200),
        ("/livez", 200),
        ("/readyz", 200),
        ("/version", 200),
        ("/api", 401),
        ("/nope", 401),
    ] {
        let answer = client.get(running.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), code, "{path}");
        if code == 401 {
            assert_eq!(
                answer.json::<Value>().await.unwrap()["reason"],
                "Unauthorized"
            );
        }
    }
    let wrong = client
        .get(running.url("/api"))
        .bearer_auth("x".repeat(64))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(running.get(&client, "/api").await.status(), 200);
    running.end().await;
}

#[tokio::test]
async fn http_2_and_1_are_both_spoken() {
    let running = Running::start(Limits::default()).await;
    let two = running.client().build().unwrap();
    assert_eq!(running.get(&two, "/api").await.version(), Version::HTTP_2);
    let one = running.client().http1_only().build().unwrap();
    assert_eq!(running.get(&one, "/api").await.version(), Version::HTTP_11);
    running.end().await;
}

/// Elsewhere it would be: `a_large_list_is_compressed_for_who_reads_that`.
#[tokio::test]
async fn nothing_is_compressed_between_two_processes_of_a_machine() {
    let limits = Limits {
        compress: 1,
        ..Limits::default()
    };
    let running = Running::start(limits).await;
    let client = running.client().build().unwrap();
    let request = client.get(running.url("/api/v1/namespaces"));
    let request = request
        .bearer_auth(running.token.expose())
        .header("accept-encoding", "gzip");
    let answer = request.send().await.unwrap();
    assert!(!answer.headers().contains_key("content-encoding"));
    let list: Value = answer.json().await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    running.end().await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_watches() {
    let limits = Limits {
        drain: PATIENCE,
        ..Limits::default()
    };
    let running = Running::start(limits).await;
    let client = running.client().build().unwrap();
    let watch = running.get(&client, "/api/v1/configmaps?watch=1").await;
    let shutdown = running.shutdown.clone();
    let body = tokio::spawn(watch.text());
    shutdown.cancel();
    let text = tokio::time::timeout(PATIENCE, body)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(text, "", "the watch ends cleanly");
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn nothing_but_this_machine_is_served_without_tls() {
    let service = Service::new(
        registry().await,
        Access::Bearer(Token::generate().unwrap()),
        Limits::default(),
    );
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = serve(service, listener, Tls::Off, CancellationToken::new())
        .await
        .unwrap_err();
    assert!(matches!(refused, ListenError::Open { .. }));
    assert!(refused.to_string().contains("turn TLS on"));
}
