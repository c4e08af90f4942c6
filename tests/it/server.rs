//! The two servers that tests of the controllers run on: a real kube-apiserver, and the embedded one without a socket.
//!
//! ```ignore
//! #[apply(on_both!)]
//! async fn a_rule(server: Server) {
//!     let (client, namespace) = server.namespace().await;
//! ```
//!
//! makes two tests, `a_rule::real` and `a_rule::embedded`. Each server is one for the whole run, with a namespace per test.

use crate::support::kube;
use ::kube::config::{KubeConfigOptions, Kubeconfig};
use ::kube::{Client, Config};
use ibmi_clone_operator::commands::embedded_api::{self, EmbeddedApi};
use ibmi_clone_operator::commands::kube_stack::KubeStack;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// Two tests of one function. What comes from outside of Rust is needed by `real` alone, which says so when it skips.
///
/// Two threads beside the test's own: a test that blocks must not keep the embedded server's work from going on, which is done
/// on the threads of whoever asks.
macro_rules! on_both {
    ($(#[$about:meta])* async fn $name:ident($server:ident: Server $(,)?) $body:block) => {
        $(#[$about])*
        async fn $name($server: Server) $body

        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn real() {
                if let Some(server) = crate::server::Server::real().await {
                    super::$name(server).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::$name(crate::server::Server::embedded().await).await;
            }
        }
    };
}

/// A server with both definitions and the controllers that Kubernetes has beside it.
#[derive(Clone, Copy)]
pub enum Server {
    Real(&'static KubeStack),
    Embedded(&'static Embedded),
}

/// What `standalone` starts, without its operator.
pub struct Embedded {
    api: EmbeddedApi,
    config: Config,
}

/// Outlives every test: the embedded server's own work would end with the runtime that it was started in.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static EMBEDDED: OnceCell<Embedded> = OnceCell::const_new();

impl Server {
    /// Nothing, with a word about it, when the real one is not there: the test is to be skipped.
    pub async fn real() -> Option<Self> {
        Some(Self::Real(kube::shared().await?))
    }

    pub async fn embedded() -> Self {
        let start = async || RUNTIME.spawn(start()).await.unwrap();
        Self::Embedded(EMBEDDED.get_or_init(start).await)
    }

    /// Makes a namespace nobody else uses, and a client whose default it is. Nobody waits for its end.
    pub async fn namespace(self) -> (Client, String) {
        let name = kube::create_namespace(self.client("default")).await;
        (self.client(&name), name)
    }

    /// A client of the tokio runtime that this is called in; it ends with it. No socket is between it and the embedded server.
    pub fn client(self, namespace: &str) -> Client {
        match self {
            Self::Real(_) => {
                let mut config = self.config();
                config.default_namespace = namespace.to_owned();
                Client::try_from(config).unwrap()
            }
            Self::Embedded(server) => server.api.client(namespace),
        }
    }

    /// How clients with a socket reach it.
    pub fn config(self) -> Config {
        match self {
            Self::Real(stack) => stack.config().clone(),
            Self::Embedded(server) => server.config.clone(),
        }
    }

    /// The same for other processes.
    pub fn kubeconfig(self) -> &'static Path {
        match self {
            Self::Real(stack) => stack.kubeconfig(),
            Self::Embedded(server) => server.api.kubeconfig(),
        }
    }
}

async fn start() -> Embedded {
    let place = embedded_api::Place {
        data: directory(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        names: Vec::new(),
        namespace: "default".to_owned(),
    };
    let api = EmbeddedApi::start(&place).await.unwrap();
    let config = config(api.kubeconfig()).await;
    Embedded { api, config }
}

/// Reads the file that the server wrote for others.
pub async fn config(kubeconfig: &Path) -> Config {
    let parsed = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(parsed, &options).await;
    let mut config = config.unwrap();
    // A proxy from the environment cannot reach our loopback interface.
    config.proxy_url = None;
    config
}

/// A new directory below the build directory. Nothing drops a static: it stays until the next run removes it.
fn directory() -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("embedded");
    std::fs::create_dir_all(&parent).unwrap();
    for entry in std::fs::read_dir(&parent).unwrap().flatten() {
        let in_use = std::fs::File::open(entry.path().join("data/lock"))
            .is_ok_and(|lock| lock.try_lock().is_err());
        if !in_use {
            // Another run may be removing it too.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    tempfile::tempdir_in(&parent).unwrap().keep().join("data")
}
