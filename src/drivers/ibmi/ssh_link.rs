//! The driver's way over the network: [`Link`] on the SSH transport.

use super::freeze::{FreezeOptions, IbmIFreeze};
use super::link::{Chunks, Connection, ExecOutput, LineChannel, Link};
use super::system::{IbmIDriver, Limits};
use crate::drivers::transport::latch::Version;
use crate::drivers::transport::ssh::{self, Credential, SshHost, SshSession, SshTarget};
use crate::drivers::transport::transcript::Transcript;
use crate::site::{DeviceError, Identity};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long one answer of the helper may take, beyond what the command itself is allowed.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// An unused connection of the role `IbmI` is closed after this time (`architecture.md` § 6).
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// What is needed to reach one IBM i.
#[derive(Debug, Clone)]
pub struct IbmiSsh {
    /// Name or address.
    pub address: String,
    /// TCP port of sshd.
    pub port: u16,
    /// User profile.
    pub username: String,
    /// Password or key of that profile.
    pub credential: Credential,
    /// Accepted host keys, `SHA256:…`. The clone's default to the source's: the keys are copied with the disks
    /// (`ibmi.md` § 1.2).
    pub host_keys: Vec<String>,
    /// Where a host key is written, for messages: `source.host.hostKeys` or `clone.host.hostKeys`.
    pub host_keys_field: String,
    /// TCP connect, handshake and login, each.
    pub connect_limit: Duration,
    /// Limits of commands.
    pub limits: Limits,
    /// Where requests and answers are kept.
    pub transcript: Transcript,
}

/// One host over SSH. All roles of one host share it: a refused login is remembered once for all of them.
#[derive(Clone)]
pub struct SshLink {
    host: Arc<SshHost>,
    limits: Limits,
}

impl SshLink {
    /// Nothing is sent before the first use.
    pub fn new(options: IbmiSsh) -> Self {
        let target = SshTarget {
            device: format!("IBM i {}:{}", options.address, options.port),
            address: options.address,
            port: options.port,
            username: options.username,
            credential: options.credential,
            host_keys: options.host_keys,
            host_keys_field: options.host_keys_field,
            connect_limit: options.connect_limit,
        };
        Self {
            host: SshHost::new(target, options.transcript),
            limits: options.limits,
        }
    }

    /// What the login is made from: a change releases a refused one.
    pub fn made_from(&self, versions: &[Version]) {
        self.host.made_from(versions);
    }

    /// The role `IbmI` of this host.
    pub fn system(&self) -> Arc<IbmIDriver> {
        Arc::new(IbmIDriver::new(Arc::new(self.clone()), self.limits))
    }

    /// The role `SourceFreeze` of this host. `sources` = every pair that is production.
    pub fn freeze(&self, system: Arc<IbmIDriver>, sources: Vec<Identity>) -> IbmIFreeze {
        let options = FreezeOptions {
            sources,
            answer: ANSWER_LIMIT,
        };
        IbmIFreeze::new(Arc::new(self.clone()), system, options)
    }
}

#[async_trait]
impl Link for SshLink {
    fn address(&self) -> String {
        let target = self.host.target();
        format!("{}:{}", target.address, target.port)
    }
    fn user(&self) -> String {
        self.host.target().username.clone()
    }
    async fn open(&self) -> Result<Box<dyn Connection>, DeviceError> {
        let session = self.host.connect().await?;
        session.close_when_idle(IDLE_LIMIT);
        Ok(Box::new(session))
    }
    /// Without the idle limit: a spare helper waits for as long as its window lasts.
    async fn open_at_once(&self) -> Result<Box<dyn Connection>, DeviceError> {
        Ok(Box::new(self.host.connect_at_once().await?))
    }
}

impl From<ssh::Output> for ExecOutput {
    fn from(done: ssh::Output) -> Self {
        Self {
            stdout: done.stdout,
            stderr: done.stderr,
            status: done.status,
        }
    }
}

#[async_trait]
impl Connection for SshSession {
    async fn exec(
        &self,
        command: &str,
        stdin: &[u8],
        limit: Duration,
    ) -> Result<ExecOutput, DeviceError> {
        let done = SshSession::exec(self, command, stdin, limit).await?;
        Ok(done.into())
    }
    async fn stream(
        &self,
        command: &str,
        silence: Duration,
        chunks: Chunks,
    ) -> Result<ExecOutput, DeviceError> {
        let done = SshSession::stream(self, command, silence, chunks).await?;
        Ok(done.into())
    }
    async fn feed(
        &self,
        command: &str,
        silence: Duration,
        pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<ExecOutput, DeviceError> {
        let done = SshSession::feed(self, command, silence, pieces).await?;
        Ok(done.into())
    }
    async fn start(self: Box<Self>, command: &str) -> Result<Box<dyn LineChannel>, DeviceError> {
        Ok(Box::new((*self).lines(command, ANSWER_LIMIT).await?))
    }
    async fn close(&self) {
        self.log_off().await;
    }
}

#[async_trait]
impl LineChannel for ssh::LineChannel {
    async fn ask(&mut self, lines: &[String], limit: Duration) -> Result<Vec<String>, DeviceError> {
        ssh::LineChannel::ask(self, lines, limit).await
    }
}
