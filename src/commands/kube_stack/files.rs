//! The working directory of one control plane and the command lines that refer to it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::KubeStackError;
use super::access::write_private;
use super::certs::{Authority, Pair, service_account_key};
use super::process::Program;

/// The executables a control plane and its user need.
const BINARIES: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kubectl",
];
/// The file in the working directory that is locked while a control plane uses it.
pub(super) const LOCK: &str = "lock";

/// What a server needs beyond memory: programs, keys, data, logs.
#[derive(Debug)]
pub(super) struct Files {
    pub binaries: PathBuf,
    pub workdir: PathBuf,
    pub logs: PathBuf,
}

impl Files {
    /// Checks the binaries and makes the directories, closed to other users of the machine.
    pub fn make(binaries: &Path, workdir: &Path) -> Result<Self, KubeStackError> {
        for name in BINARIES {
            if !binaries.join(name).is_file() {
                return Err(KubeStackError::BinaryMissing {
                    name,
                    directory: binaries.to_owned(),
                });
            }
        }
        for directory in ["logs", "keys", "users"].map(|name| workdir.join(name)) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(|source| KubeStackError::File {
                    action: "make the directory",
                    path: directory.clone(),
                    source,
                })?;
        }
        // A relative path would break for kubectl and for children with another working directory.
        let absolute = |path: &Path| {
            path.canonicalize().map_err(|source| KubeStackError::File {
                action: "find",
                path: path.to_owned(),
                source,
            })
        };
        let workdir = absolute(workdir)?;
        Ok(Self {
            binaries: absolute(binaries)?,
            logs: workdir.join("logs"),
            workdir,
        })
    }

    /// Takes the working directory for this process. The lock ends with the returned file, or with the process.
    pub fn lock(&self) -> Result<File, KubeStackError> {
        let path = self.workdir.join(LOCK);
        let failed = |source| KubeStackError::File {
            action: "lock",
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(KubeStackError::InUse {
                workdir: self.workdir.clone(),
            }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Writes the certificates and keys of etcd and of its one client, and returns the latter.
    pub fn write_store_keys(&self, authority: &Authority) -> Result<Pair, KubeStackError> {
        let server = authority.server("etcd")?;
        let client = authority.client("kube-apiserver", None)?;
        write_private(&self.key("etcd-ca.crt"), authority.certificate())?;
        write_private(&self.key("etcd.crt"), &server.certificate)?;
        write_private(&self.key("etcd.key"), &server.key)?;
        write_private(&self.key("etcd-client.crt"), &client.certificate)?;
        write_private(&self.key("etcd-client.key"), &client.key)?;
        Ok(client)
    }

    /// Writes the certificates and keys of the other servers.
    pub fn write_keys(&self, authority: &Authority) -> Result<(), KubeStackError> {
        let server = authority.server("kube-apiserver")?;
        let (service_account_public, service_account_private) = service_account_key()?;
        write_private(&self.key("ca.crt"), authority.certificate())?;
        write_private(&self.key("server.crt"), &server.certificate)?;
        write_private(&self.key("server.key"), &server.key)?;
        write_private(&self.key("service-account.pub"), &service_account_public)?;
        write_private(&self.key("service-account.key"), &service_account_private)
    }

    /// The server of this name, from these binaries, with its log here.
    pub fn program(&self, name: &'static str) -> Program<'_> {
        Program {
            name,
            binaries: &self.binaries,
            logs: &self.logs,
        }
    }

    pub fn etcd_arguments(&self, client_port: u16, peer_port: u16) -> Vec<String> {
        let client = format!("https://127.0.0.1:{client_port}");
        let mut arguments = vec![
            format!("--data-dir={}", self.workdir.join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls=https://127.0.0.1:{peer_port}"),
            // Only a crash of the whole machine could lose something, and then nobody needs it any more.
            "--unsafe-no-fsync=true".to_owned(),
        ];
        // Also for the port of other members, of which there are none: somebody could pretend to be one.
        for prefix in ["", "peer-"] {
            arguments.push(format!(
                "--{prefix}cert-file={}",
                self.key("etcd.crt").display()
            ));
            arguments.push(format!(
                "--{prefix}key-file={}",
                self.key("etcd.key").display()
            ));
            arguments.push(format!(
                "--{prefix}trusted-ca-file={}",
                self.key("etcd-ca.crt").display()
            ));
            arguments.push(format!("--{prefix}client-cert-auth=true"));
        }
        arguments
    }

    pub fn api_server_arguments(&self, etcd_port: u16, port: u16) -> Vec<String> {
        vec![
            format!("--etcd-servers=https://127.0.0.1:{etcd_port}"),
            format!("--etcd-cafile={}", self.key("etcd-ca.crt").display()),
            format!("--etcd-certfile={}", self.key("etcd-client.crt").display()),
            format!("--etcd-keyfile={}", self.key("etcd-client.key").display()),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            // Without an address of its own it looks for the interface of the default route and fails on a machine
            // without network; and it must not publish a loopback address as the `kubernetes` service.
            "--advertise-address=127.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--tls-cert-file={}", self.key("server.crt").display()),
            format!(
                "--tls-private-key-file={}",
                self.key("server.key").display()
            ),
            format!("--client-ca-file={}", self.key("ca.crt").display()),
            // Also lets the probe ask for readiness without a credential: the default mode answers it with 401.
            "--authorization-mode=RBAC".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!(
                "--service-account-key-file={}",
                self.key("service-account.pub").display()
            ),
            format!(
                "--service-account-signing-key-file={}",
                self.key("service-account.key").display()
            ),
        ]
    }

    pub fn controller_manager_arguments(&self, kubeconfig: &Path, port: u16) -> Vec<String> {
        let kubeconfig = kubeconfig.display();
        vec![
            format!("--kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            "--leader-elect=false".to_owned(),
            // Its own user may neither delete nor patch: without this nothing is ever collected.
            "--use-service-account-credentials=true".to_owned(),
            "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,\
             clusterrole-aggregation-controller"
                .to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", self.key("server.crt").display()),
            format!("--tls-private-key-file={}", self.key("server.key").display()),
            "--authentication-skip-lookup=true".to_owned(),
            format!("--client-ca-file={}", self.key("ca.crt").display()),
        ]
    }

    fn key(&self, name: &str) -> PathBuf {
        self.workdir.join("keys").join(name)
    }
}
