//! What can go wrong with a control plane, said so that one can act on it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thiserror::Error;

/// Why a control plane did not start or did not do what it was asked for.
#[derive(Debug, Error)]
pub enum KubeStackError {
    /// The directory of binaries lacks one.
    #[error("there is no {name} in {}; `make kube` builds it", directory.display())]
    BinaryMissing {
        /// The missing executable.
        name: &'static str,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// Another control plane runs in the same working directory.
    #[error("another control plane runs in {}", workdir.display())]
    InUse {
        /// The working directory of both.
        workdir: PathBuf,
    },
    /// A file or directory cannot be made.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No free port was found.
    #[error("cannot find a free port on loopback")]
    Port(#[source] io::Error),
    /// A key or certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The HTTP client that asks for readiness cannot be made.
    #[error("cannot set up HTTPS to the API server")]
    Http(#[source] reqwest::Error),
    /// A server cannot be started at all.
    #[error("cannot run {name}")]
    Spawn {
        /// The server.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A server ended before it was ready.
    #[error("{name} ended before it was ready ({status}); the end of its log:\n{log}")]
    Ended {
        /// The server.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines it wrote.
        log: String,
    },
    /// A server runs but does not get ready.
    #[error("{name} is not ready after {seconds} s ({last}); the end of its log:\n{log}")]
    NotReady {
        /// The server.
        name: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// What the last question for readiness was answered.
        last: String,
        /// The last lines it wrote.
        log: String,
    },
    /// The kubeconfig just written cannot be read.
    #[error("cannot read the kubeconfig of the control plane")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// The API server refused a request, or no client could be made for it.
    #[error("request to the API server of the control plane failed")]
    Client(#[source] Box<kube::Error>),
    /// A custom resource definition was accepted but is not served.
    #[error("the API server does not serve {crd} after {seconds} s")]
    CrdNotServed {
        /// Name of the definition.
        crd: String,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl KubeStackError {
    pub(super) fn client(source: kube::Error) -> Self {
        Self::Client(Box::new(source))
    }
}
