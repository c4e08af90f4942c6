//! One of several operators: it can be killed like a process, and cut off from the API server.

use crate::controllers::fakes::{FakeFactory, FakeRecipes};
use crate::controllers::field::Field;
use crate::server::Server;
use crate::support::wait;
use ibmi_clone_operator::controllers::{Election, OperatorConfig, run_operator_with};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client, Config};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Short, and long enough for a machine that is busy with other tests.
pub fn election() -> Election {
    Election {
        duration: Duration::from_secs(6),
        renew_deadline: Duration::from_secs(4),
        renew_every: Duration::from_millis(500),
        ..Election::default()
    }
}

/// An operator with threads of its own.
pub struct Replica {
    runtime: Option<Runtime>,
    task: JoinHandle<()>,
    shutdown: CancellationToken,
    pub ready: Arc<AtomicBool>,
}

impl Replica {
    pub fn start(server: Server, field: &Field, name: &str) -> Self {
        Self::with(server, field, name, None, |_| {})
    }

    pub fn with(
        server: Server,
        field: &Field,
        name: &str,
        line: Option<&Line>,
        change: impl FnOnce(&mut OperatorConfig),
    ) -> Self {
        let line = line.map(|line| line.behind(server));
        let namespace = field.namespace.clone();
        let mut config = OperatorConfig {
            namespaces: vec![field.namespace.clone()],
            pace: 30.0,
            election: Some(election()),
            ..OperatorConfig::new(&field.namespace, name, "test-operator")
        };
        change(&mut config);
        let (ready, shutdown) = (config.ready.clone(), CancellationToken::new());
        let (world, token) = (field.world.clone(), shutdown.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let task = runtime.spawn(async move {
            let client = match line {
                Some(config) => Client::try_from(config).unwrap(),
                None => server.client(&namespace),
            };
            let factory = Arc::new(FakeFactory(world.clone()));
            let recipes = Arc::new(FakeRecipes(world));
            let ended = run_operator_with(client, config, factory, recipes, token).await;
            ended.unwrap();
        });
        Self {
            runtime: Some(runtime),
            task,
            shutdown,
            ready,
        }
    }

    /// As kill -9: nothing is finished, nothing is given up.
    pub fn kill(mut self) {
        self.end_threads();
    }

    /// SIGTERM; returns when it has ended.
    pub async fn terminate(mut self) {
        self.shutdown.cancel();
        wait::finished("the replica", &mut self.task).await.unwrap();
    }

    /// Whether its caches are full.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub async fn until_ready(&self) {
        wait::until("readiness", async || self.is_ready()).await;
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    fn end_threads(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.end_threads();
    }
}

pub fn leases(field: &Field) -> Api<Lease> {
    Api::namespaced(field.client.clone(), &field.namespace)
}

/// The leader's Lease.
pub async fn lease(field: &Field) -> LeaseSpec {
    let name = election().lease;
    let found = leases(field).get_opt(&name).await.unwrap();
    found.and_then(|l| l.spec).unwrap_or_default()
}

/// Waits until this one leads; gives the Lease.
pub async fn until_leads(field: &Field, name: &str) -> LeaseSpec {
    let what = format!("leadership of {name}");
    wait::found(&what, async || {
        let lease = lease(field).await;
        let holder = lease.holder_identity.clone();
        (holder.as_deref() == Some(name))
            .then_some(lease)
            .ok_or_else(|| format!("{holder:?} holds it"))
    })
    .await
}

/// Somebody writes his name into the Lease; he never renews it.
pub async fn steal(field: &Field) {
    let theft = serde_json::json!({"spec": {
        "holderIdentity": "thief", "leaseDurationSeconds": election().duration.as_secs(),
    }});
    leases(field)
        .patch(
            &election().lease,
            &Default::default(),
            &kube::api::Patch::Merge(&theft),
        )
        .await
        .unwrap();
}

/// A line to the API server that can be cut.
pub struct Line {
    url: String,
    whole: watch::Sender<bool>,
}

impl Line {
    pub async fn new(server: Server) -> Self {
        let server = server.config().cluster_url;
        let server = format!("{}:{}", server.host().unwrap(), server.port_u16().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (whole, cut) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, server.clone(), cut.clone()));
            }
        });
        Self { url, whole }
    }
    fn behind(&self, server: Server) -> Config {
        let mut config = server.config();
        config.cluster_url = self.url.parse().unwrap();
        config
    }
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry(mut near: TcpStream, server: String, mut whole: watch::Receiver<bool>) {
    if !*whole.borrow() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = whole.wait_for(|whole| !whole) => {}
    }
}
