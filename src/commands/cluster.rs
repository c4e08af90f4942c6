//! The Kubernetes API a command talks to, with the flags people know from kubectl.

use super::CommandError;
use super::error::chain;
use crate::api::{CloneEnvironment, CloneRun, ENVIRONMENT_LABEL, NUMBER_LABEL, created_at};
use crate::observability::api_requests::CountingLayer;
use crate::observability::metrics::Metrics;
use kube::api::ListParams;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::path::PathBuf;
use std::sync::Arc;

/// Flags of every command that talks to a cluster; as kubectl's.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct KubeFlags {
    /// Namespace; default the context's.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Path of the kubeconfig file; default KUBECONFIG, then ~/.kube/config, then the pod's own.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig file.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
}

impl KubeFlags {
    /// `-n` is kubectl's; who means a count gets no answer about a namespace called 10. `instead`: `10 times write --count`
    /// without the number.
    ///
    /// # Errors
    /// When the namespace is a number.
    pub fn namespace_is_no_count(&self, instead: &str) -> Result<(), CommandError> {
        match self.namespace.as_deref() {
            Some(name) if name.parse::<u16>().is_ok() => Err(CommandError::Usage(format!(
                "-n is the namespace, as with kubectl: for {name} {instead} {name}"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// Finds the cluster. Sends nothing yet.
    ///
    /// # Errors
    /// A kubeconfig that cannot be read, or none at all.
    pub async fn connect(&self) -> Result<Cluster, CommandError> {
        let (config, namespace) = self.found().await?;
        let client = Client::try_from(config).map_err(|e| CommandError::Unavailable(chain(&e)))?;
        Ok(Cluster { client, namespace })
    }

    /// [`connect`](Self::connect), with every request counted.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_counted(&self, metrics: Arc<Metrics>) -> Result<Cluster, CommandError> {
        let (config, namespace) = self.found().await?;
        let client = ClientBuilder::try_from(config);
        let client = client.map_err(|e| CommandError::Unavailable(chain(&e)))?;
        let client = client.with_layer(&CountingLayer(metrics)).build();
        Ok(Cluster { client, namespace })
    }

    async fn found(&self) -> Result<(Config, String), CommandError> {
        let config = self.config().await?;
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        Ok((config, namespace))
    }

    async fn config(&self) -> Result<Config, CommandError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let unusable = |e: kube::config::KubeconfigError| CommandError::Unavailable(chain(&e));
        match (&self.kubeconfig, &self.context) {
            (Some(path), _) => {
                let parsed = Kubeconfig::read_from(path).map_err(unusable)?;
                Config::from_custom_kubeconfig(parsed, &options)
                    .await
                    .map_err(unusable)
            }
            // A context is only in a kubeconfig: never fall back to the pod's own account silently.
            (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(unusable),
            (None, None) => Config::infer()
                .await
                .map_err(|e| CommandError::Unavailable(chain(&e))),
        }
    }
}

/// A client and the namespace a command works in.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
    /// The namespace.
    pub namespace: String,
}

impl Cluster {
    /// The runs of the namespace.
    pub fn runs(&self) -> Api<CloneRun> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The environments of the namespace.
    pub fn environments(&self) -> Api<CloneEnvironment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// One environment.
    ///
    /// # Errors
    /// When there is none of this name, or the API does not answer.
    pub async fn environment(&self, name: &str) -> Result<CloneEnvironment, CommandError> {
        let what = format!("environment {name} in namespace {}", self.namespace);
        self.environments()
            .get(name)
            .await
            .map_err(|e| CommandError::kube(what, &e))
    }

    /// The runs of one environment.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn runs_of(&self, environment: &str) -> Result<Vec<CloneRun>, CommandError> {
        let selector = ListParams::default().fields(&format!("spec.environment={environment}"));
        let what = format!("runs of {environment} in namespace {}", self.namespace);
        let list = self.runs().list(&selector).await;
        Ok(list.map_err(|e| CommandError::kube(what, &e))?.items)
    }

    /// A run by its name, or by `ENVIRONMENT/NUMBER` as the history shows it.
    ///
    /// # Errors
    /// When there is none, or the API does not answer.
    pub async fn run(&self, reference: &str) -> Result<CloneRun, CommandError> {
        let what = format!("run {reference} in namespace {}", self.namespace);
        let Some((environment, number)) = reference.split_once('/') else {
            return self
                .runs()
                .get(reference)
                .await
                .map_err(|e| CommandError::kube(what, &e));
        };
        let selector = ListParams::default().labels(&format!(
            "{ENVIRONMENT_LABEL}={environment},{NUMBER_LABEL}={number}"
        ));
        let found = self.runs().list(&selector).await;
        let found = found.map_err(|e| CommandError::kube(what.clone(), &e))?;
        found
            .items
            .into_iter()
            .max_by_key(created_at)
            .ok_or_else(|| CommandError::NotFound(format!("{what}: none has this number")))
    }
}
