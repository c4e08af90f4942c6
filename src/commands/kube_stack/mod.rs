//! A real Kubernetes control plane on this machine: etcd, kube-apiserver and kube-controller-manager.
//!
//! For `ibmi-clone demo` and for the tests. It listens on loopback only, finds its ports itself, keeps everything in
//! one working directory and ends with the process that started it, even when that one is killed. There are no nodes:
//! objects, watches, access rules, garbage collection and namespaces are real, pods never run.
//!
//! Order matters: the garbage collector of kube-controller-manager looks for new kinds only every 30 s, so install the
//! custom resource definitions first ([`KubeStack::install_crds`]) and call
//! [`KubeStack::start_controller_manager`] after that.

mod access;
mod certs;
mod error;
mod files;
mod process;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, ResourceExt};
use tokio::time::timeout;

pub use access::Access;
use access::kubeconfig_name;
use certs::{Authority, Pair};
pub use error::KubeStackError;
use files::{Files, LOCK};
use process::{Probe, Process};

/// How long a server may take to say whether it is ready.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// How long the API server may take to serve a new custom resource definition; usually well under 1 s.
const CRD_LIMIT: Duration = Duration::from_secs(60);

/// Where `make kube` puts the binaries: `IBMICLONE_KUBE_BINARIES`, else below the home directory. `None` = neither is set.
pub fn usual_binaries() -> Option<PathBuf> {
    let named = std::env::var_os("IBMICLONE_KUBE_BINARIES").map(PathBuf::from);
    named.or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".cache/ibmi-clone-operator/kube"))
    })
}

/// A running control plane. Dropping it kills its processes; the working directory stays.
#[derive(Debug)]
pub struct KubeStack {
    // Dropped in this order: clients before servers, so that no log ends in complaints about a lost connection.
    controller_manager: Option<Process>,
    api_server: Process,
    etcd: Process,
    files: Files,
    authority: Authority,
    http: reqwest::Client,
    etcd_port: u16,
    api_port: u16,
    admin: Access,
    _lock: File,
}

impl KubeStack {
    /// Starts etcd and kube-apiserver and returns when the API is ready, usually after 3 to 5 s.
    ///
    /// `binaries` is what `make kube` fills. `workdir` is made if need be; objects a former control plane left in it are
    /// there again, certificates and ports are new.
    ///
    /// # Errors
    /// A missing binary, a working directory in use, or a server that does not get ready, with the end of its log.
    pub async fn start(binaries: &Path, workdir: &Path) -> Result<Self, KubeStackError> {
        // The only error is that there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let files = Files::make(binaries, workdir)?;
        let lock = files.lock()?;
        let authority = Authority::new()?;
        files.write_keys(&authority)?;
        // etcd asks nobody for permission, so it has an authority of its own and the API server is its only client. The
        // certificates also prove that it is our etcd which answers, not one that got the port before ours.
        let store_authority = Authority::new()?;
        let store_client = files.write_store_keys(&store_authority)?;
        let http = http_client(authority.certificate(), None).map_err(KubeStackError::Http)?;
        let store_http = http_client(store_authority.certificate(), Some(&store_client))
            .map_err(KubeStackError::Http)?;

        let (etcd, [etcd_port, _]) = Process::start(&files.program("etcd"), |[client, peer]| {
            let probe = Probe {
                http: store_http.clone(),
                url: format!("https://127.0.0.1:{client}/health"),
            };
            (files.etcd_arguments(client, peer), probe)
        })
        .await?;
        let (api_server, [api_port]) =
            Process::start(&files.program("kube-apiserver"), |[port]| {
                (
                    files.api_server_arguments(etcd_port, port),
                    api_probe(&http, port),
                )
            })
            .await?;
        let admin = Access::write(
            files.workdir.join("kubeconfig"),
            &server_url(api_port),
            authority.certificate(),
            &authority.client("admin", Some("system:masters"))?,
        )
        .await?;
        let controller_manager = None;
        Ok(Self {
            controller_manager,
            api_server,
            etcd,
            files,
            authority,
            http,
            etcd_port,
            api_port,
            admin,
            _lock: lock,
        })
    }

    /// Whether a control plane, of this process or another, runs in a working directory.
    pub fn runs_in(workdir: &Path) -> bool {
        File::open(workdir.join(LOCK))
            .is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// The kubeconfig file of a user who may do everything.
    pub fn kubeconfig(&self) -> &Path {
        self.admin.kubeconfig()
    }

    /// The client configuration of a user who may do everything.
    pub fn config(&self) -> &kube::Config {
        self.admin.config()
    }

    /// A new client of a user who may do everything. It ends with the tokio runtime it is made in.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn client(&self) -> Result<kube::Client, KubeStackError> {
        self.admin.client()
    }

    /// The kubectl that fits this API server.
    pub fn kubectl(&self) -> PathBuf {
        self.files.binaries.join("kubectl")
    }

    /// Where the servers write their logs, one file each.
    pub fn logs(&self) -> &Path {
        &self.files.logs
    }

    /// Access for another user, who may do only what role bindings say. One group at most, because the certificate
    /// library writes one organization; a service account is the user `system:serviceaccount:<namespace>:<name>`.
    ///
    /// # Errors
    /// When the certificate or the kubeconfig cannot be made.
    pub async fn access_for(
        &self,
        user: &str,
        group: Option<&str>,
    ) -> Result<Access, KubeStackError> {
        let path = self
            .files
            .workdir
            .join("users")
            .join(kubeconfig_name(user, group));
        let pair = self.authority.client(user, group)?;
        Access::write(
            path,
            &server_url(self.api_port),
            self.authority.certificate(),
            &pair,
        )
        .await
    }

    /// Installs or updates custom resource definitions and waits until the API server serves them.
    ///
    /// # Errors
    /// When one is refused, or not served within a minute.
    pub async fn install_crds(
        &self,
        crds: &[CustomResourceDefinition],
    ) -> Result<(), KubeStackError> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client()?);
        let manager = PatchParams::apply("ibmi-clone").force();
        for crd in crds {
            api.patch(&crd.name_any(), &manager, &Patch::Apply(crd))
                .await
                .map_err(KubeStackError::client)?;
        }
        for crd in crds {
            let name = crd.name_any();
            let served = await_condition(api.clone(), &name, conditions::is_crd_established());
            if !matches!(timeout(CRD_LIMIT, served).await, Ok(Ok(_))) {
                return Err(KubeStackError::CrdNotServed {
                    crd: name,
                    seconds: CRD_LIMIT.as_secs(),
                });
            }
        }
        Ok(())
    }

    /// Starts kube-controller-manager: garbage collection, namespace deletion, service accounts, aggregated roles.
    /// Does nothing when it was started before.
    ///
    /// # Errors
    /// When it does not get ready.
    pub async fn start_controller_manager(&mut self) -> Result<(), KubeStackError> {
        self.start_controller_manager_with(&[]).await
    }

    /// The same with more flags; `--controllers=NAME` adds a controller.
    ///
    /// # Errors
    /// As [`KubeStack::start_controller_manager`].
    pub async fn start_controller_manager_with(
        &mut self,
        flags: &[&str],
    ) -> Result<(), KubeStackError> {
        if self.controller_manager.is_some() {
            return Ok(());
        }
        let access = self
            .access_for("system:kube-controller-manager", None)
            .await?;
        let program = self.files.program("kube-controller-manager");
        let (process, [_]) = Process::start(&program, |[port]| {
            let probe = Probe {
                http: self.http.clone(),
                url: format!("https://127.0.0.1:{port}/healthz"),
            };
            let mut arguments = self
                .files
                .controller_manager_arguments(access.kubeconfig(), port);
            arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
            (arguments, probe)
        })
        .await?;
        self.controller_manager = Some(process);
        Ok(())
    }

    /// Process id of kube-apiserver.
    pub fn api_server_pid(&self) -> u32 {
        self.api_server.id()
    }

    /// Process id of etcd.
    pub fn etcd_pid(&self) -> u32 {
        self.etcd.id()
    }

    /// Process id of kube-controller-manager, once it was started.
    pub fn controller_manager_pid(&self) -> Option<u32> {
        self.controller_manager.as_ref().map(Process::id)
    }

    /// Kills kube-apiserver as a power failure would. Clients see refused connections until
    /// [`KubeStack::restart_api_server`].
    pub fn kill_api_server(&mut self) {
        self.api_server.kill();
    }

    /// Starts kube-apiserver again on its old port and waits until it is ready; kills it first when it still runs.
    ///
    /// # Errors
    /// When it does not get ready, or its port was taken by somebody else meanwhile.
    pub async fn restart_api_server(&mut self) -> Result<(), KubeStackError> {
        self.api_server.kill();
        let program = self.files.program("kube-apiserver");
        (self.api_server, []) = Process::start(&program, |[]: [u16; 0]| {
            let arguments = self
                .files
                .api_server_arguments(self.etcd_port, self.api_port);
            (arguments, api_probe(&self.http, self.api_port))
        })
        .await?;
        Ok(())
    }

    /// Kills all processes and waits for their end. The working directory stays, with the objects in it.
    pub fn stop(self) {
        drop(self);
    }
}

fn server_url(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

/// /readyz, not /healthz: it waits for the built-in roles too.
fn api_probe(http: &reqwest::Client, port: u16) -> Probe {
    Probe {
        http: http.clone(),
        url: format!("https://127.0.0.1:{port}/readyz"),
    }
}

fn http_client(authority: &str, user: Option<&Pair>) -> Result<reqwest::Client, reqwest::Error> {
    let root = reqwest::Certificate::from_pem(authority.as_bytes())?;
    let mut builder = reqwest::Client::builder()
        .tls_certs_only([root])
        .no_proxy()
        .timeout(PROBE_LIMIT);
    if let Some(user) = user {
        let pem = format!("{}{}", user.key, user.certificate);
        builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes())?);
    }
    builder.build()
}
