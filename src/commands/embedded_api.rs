//! The embedded API as `standalone`, `demo` and the tests start it: store, registry and HTTP service of one data directory.

use super::CommandError;
use crate::api::{CloneEnvironment, CloneRun};
use crate::embedded::http::certificates::Identity;
use crate::embedded::http::{Access, Limits, Service, Tls, client, kubeconfig, serve};
use crate::embedded::kind::Kind;
use crate::embedded::kinds::builtin;
use crate::embedded::registry::Registry;
use crate::embedded::store::{Options, Store};
use chrono::{DateTime, Utc};
use kube::{Client, CustomResourceExt};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Namespaces that are there from the beginning: clients expect the first, the operator's id is made from the second.
const NAMESPACES: [&str; 2] = ["default", "kube-system"];

/// Where the data is and where clients reach it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Directory of the data, made when it is not there.
    pub data: PathBuf,
    /// Address and port; port 0 = a free one.
    pub listen: SocketAddr,
    /// Names and addresses in the certificate, beside those of this machine's loopback.
    pub names: Vec<String>,
    /// Namespace of the kubeconfig's context.
    pub namespace: String,
}

/// A running API.
pub struct EmbeddedApi {
    store: Store,
    registry: Registry,
    url: String,
    kubeconfig: PathBuf,
    stop: CancellationToken,
    served: JoinHandle<Result<(), CommandError>>,
    background: JoinHandle<()>,
}

impl EmbeddedApi {
    /// Opens the data, serves it, and writes the kubeconfig.
    ///
    /// # Errors
    /// A directory that another process uses, that holds something else or is damaged, an address that cannot be used.
    pub async fn start(place: &Place) -> Result<Self, CommandError> {
        let listener = TcpListener::bind(place.listen)
            .map_err(|e| CommandError::io(format!("listen on {}", place.listen), e))?;
        let address = listener
            .local_addr()
            .map_err(|e| CommandError::io(format!("listen on {}", place.listen), e))?;
        let store = open(&place.data).await?;
        let registry = registry(store.clone(), &place.namespace).await?;
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        names.extend(place.names.iter().cloned());
        let other = |e: &dyn std::error::Error| CommandError::Other(super::error::chain(e));
        let identity = Identity::keep(&place.data.join("tls"), &names, Utc::now());
        let identity = identity.map_err(|e| other(&e))?;
        let token = kubeconfig::token(&place.data.join("token")).map_err(|e| other(&e))?;
        let url = url(address, &place.names);
        let file = place.data.join("kubeconfig");
        let authority = Some(identity.authority());
        kubeconfig::write(&file, &url, authority, &token, &place.namespace)
            .map_err(|e| other(&e))?;
        let stop = CancellationToken::new();
        let background = registry.start_background(stop.clone());
        let service = Service::new(registry.clone(), Access::Bearer(token), Limits::default());
        let served = tokio::spawn({
            let (tls, stop) = (Tls::On(Box::new(identity)), stop.clone());
            async move {
                let ended = serve(service, listener, tls, stop).await;
                ended.map_err(|e| CommandError::Other(super::error::chain(&e)))
            }
        });
        Ok(Self {
            store,
            registry,
            url,
            kubeconfig: file,
            stop,
            served,
            background,
        })
    }

    /// A client in this process: no socket between it and the store.
    pub fn client(&self, namespace: &str) -> Client {
        client(self.registry.clone(), namespace)
    }

    /// When the backup was made that the data was restored from, until [`EmbeddedApi::settle_restored`].
    pub fn restored(&self) -> Option<DateTime<Utc>> {
        self.store.restored()
    }

    /// What the backup shows as under way has been seen to.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub async fn settle_restored(&self) -> Result<(), CommandError> {
        let settled = self.store.settle_restored().await;
        settled.map_err(|e| CommandError::other(&e))
    }

    /// Where other processes reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file for them, mode 0600; it holds the token.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Ends watches and connections, then closes the file.
    ///
    /// # Errors
    /// Why it had ended before.
    pub async fn stop(self) -> Result<(), CommandError> {
        self.stop.cancel();
        let ended = self.served.await;
        let _ = self.background.await;
        ended.unwrap_or_else(|panic| Err(CommandError::Other(format!("the API broke: {panic}"))))
    }
}

/// The kinds that are served: those that Kubernetes has built in as far as they are needed, and ours.
///
/// # Errors
/// A definition without a schema.
pub fn kinds() -> Result<Vec<Kind>, CommandError> {
    let mut kinds = builtin().map_err(CommandError::Other)?;
    for definition in [CloneEnvironment::crd(), CloneRun::crd()] {
        kinds.push(Kind::of(&definition, true).map_err(|e| CommandError::other(&e))?);
    }
    Ok(kinds)
}

/// Opens the file of a directory.
///
/// # Errors
/// As [`EmbeddedApi::start`].
pub async fn open(data: &Path) -> Result<Store, CommandError> {
    let data = data.to_owned();
    let opened = tokio::task::spawn_blocking(move || Store::open(&data, Options::default())).await;
    let opened = opened.map_err(|e| CommandError::other(&e))?;
    opened.map_err(|e| CommandError::Other(super::error::chain(&e)))
}

/// The registry over a store, with what is there from the beginning: two namespaces of Kubernetes, one of the caller, the
/// definitions.
///
/// # Errors
/// A store that cannot be written.
pub async fn registry(store: Store, namespace: &str) -> Result<Registry, CommandError> {
    let registry = Registry::new(store, kinds()?, Arc::new(Utc::now));
    let registry = registry.map_err(|e| CommandError::other(&e))?;
    let refused = |e| CommandError::Other(format!("the embedded API cannot be prepared: {e}"));
    let namespaces = [&NAMESPACES[..], &[namespace]].concat();
    registry
        .seed_namespaces(&namespaces)
        .await
        .map_err(refused)?;
    let definitions = registry
        .kinds()
        .iter()
        .find(|k| k.plural == "customresourcedefinitions")
        .cloned();
    if let Some(kind) = definitions {
        for definition in [CloneEnvironment::crd(), CloneRun::crd()] {
            let object: Value =
                serde_json::to_value(&definition).map_err(|e| CommandError::other(&e))?;
            registry.seed(&kind, None, object).await.map_err(refused)?;
        }
    }
    Ok(registry)
}

/// A name that was given is what clients outside know; an address that means "all" is none they can use.
fn url(address: SocketAddr, names: &[String]) -> String {
    match names.first() {
        Some(name) => format!("https://{name}:{}", address.port()),
        None => format!("https://{address}"),
    }
}
