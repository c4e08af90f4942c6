//! One IBM i and its one live connection.

use super::{command, files, jobs, logs, probe, query};
use crate::drivers::transport::ssh::{Completed, Credential, SshHost, SshSession, SshTarget};
use crate::drivers::transport::transcript::Transcript;
use crate::site::{
    ClCommand, CommandOutput, DeviceError, IbmI, JobName, JobStatus, LogSource, Message, Row,
    Session, Submission,
};
use crate::wire::ibmi::{Exec, line};
use async_trait::async_trait;
use rand::Rng;
use rand::distr::Alphanumeric;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long the question "are you still there" may take before the connection is replaced.
const ALIVE_LIMIT: Duration = Duration::from_secs(5);
/// A connection used within this time is not asked whether it lives.
const FRESH: Duration = Duration::from_secs(2);
/// An unused connection is closed after this time (`architecture.md` § 6).
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// Limits of one exchange each.
#[derive(Debug, Clone, Copy)]
pub struct HostDeadlines {
    /// TCP connect, handshake and login, each.
    pub connect: Duration,
    /// A query, a file, the identity probe.
    pub read: Duration,
    /// A CL command.
    pub command: Duration,
}

impl Default for HostDeadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            read: Duration::from_secs(60),
            command: Duration::from_secs(300),
        }
    }
}

/// What is needed to reach one IBM i.
#[derive(Debug, Clone)]
pub struct HostOptions {
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
    /// Limits.
    pub deadlines: HostDeadlines,
    /// Where requests and answers are kept.
    pub transcript: Transcript,
}

/// The connection that session numbers count.
#[derive(Debug)]
struct Live {
    number: u64,
    session: Arc<SshSession>,
    used: Instant,
}

#[derive(Debug, Default)]
struct Connection {
    live: Option<Live>,
    counted: u64,
}

/// One IBM i, reached over SSH.
#[derive(Debug)]
pub struct IbmiHost {
    ssh: Arc<SshHost>,
    deadlines: HostDeadlines,
    connection: Mutex<Connection>,
    /// For the watch over idle connections.
    this: Weak<IbmiHost>,
}

/// A random word for the marks of one line: nothing a profile prints can be taken for it.
pub(super) fn nonce() -> String {
    let mut rng = rand::rng();
    std::iter::repeat_with(|| rng.sample(Alphanumeric))
        .map(|b| char::from(b).to_ascii_uppercase())
        .take(12)
        .collect()
}

impl IbmiHost {
    /// Nothing is sent before the first use.
    pub fn open(options: HostOptions) -> Arc<Self> {
        let target = SshTarget {
            device: format!("IBM i {}", options.address),
            address: options.address,
            port: options.port,
            username: options.username,
            credential: options.credential,
            host_keys: options.host_keys,
            host_keys_field: options.host_keys_field,
            connect_limit: options.deadlines.connect,
        };
        Arc::new_cyclic(|this| Self {
            ssh: SshHost::new(target, options.transcript),
            deadlines: options.deadlines,
            connection: Mutex::new(Connection::default()),
            this: this.clone(),
        })
    }

    /// The SSH side, for connections of its own (freeze).
    pub(super) fn ssh(&self) -> &Arc<SshHost> {
        &self.ssh
    }

    /// The device in the user's words.
    pub(super) fn device(&self) -> &str {
        self.ssh.device()
    }

    /// Limits.
    pub(super) fn deadlines(&self) -> HostDeadlines {
        self.deadlines
    }

    /// The live connection, when it still is the one that was proved.
    async fn proved(&self, session: &Session) -> Result<Arc<SshSession>, DeviceError> {
        let mut connection = self.connection.lock().await;
        match &mut connection.live {
            Some(live) if live.number == session.number && !live.session.is_broken() => {
                live.used = Instant::now();
                Ok(live.session.clone())
            }
            Some(_) | None => Err(DeviceError::unreachable(
                self.device(),
                "the connection was replaced or ended since its identity was proved; identity must be proved again, nothing was sent",
            )),
        }
    }

    /// The live connection if it answers, else a new one with a new number.
    async fn usable(
        &self,
        connection: &mut Connection,
    ) -> Result<(u64, Arc<SshSession>), DeviceError> {
        if let Some(live) = connection.live.as_mut() {
            let fresh = live.used.elapsed() < FRESH;
            if !live.session.is_broken() && (fresh || answers(&live.session).await) {
                live.used = Instant::now();
                return Ok((live.number, live.session.clone()));
            }
            live.session.cut();
            connection.live = None;
        }
        let session = Arc::new(self.ssh.connect().await?);
        connection.counted += 1;
        let number = connection.counted;
        connection.live = Some(Live {
            number,
            session: session.clone(),
            used: Instant::now(),
        });
        tokio::spawn(close_when_idle(self.this.clone(), number));
        Ok((number, session))
    }

    async fn connect_and_probe(&self) -> Result<Session, DeviceError> {
        let mut connection = self.connection.lock().await;
        let (number, session) = self.usable(&mut connection).await?;
        let limit = self.deadlines.read;
        let probed = probe::run(&session, self.device(), limit).await;
        let (number, probed) = match probed {
            // A read may be repeated, once, on a connection that is surely new.
            Err(DeviceError::Unreachable { .. } | DeviceError::Indeterminate { .. })
                if session.is_broken() =>
            {
                let (number, session) = self.usable(&mut connection).await?;
                (number, probe::run(&session, self.device(), limit).await)
            }
            probed => (number, probed),
        };
        if let Some(live) = connection.live.as_mut() {
            live.used = Instant::now();
        }
        Ok(Session {
            number,
            system: probed?,
        })
    }
}

/// A cheap question; a connection that does not answer it at once is replaced.
async fn answers(session: &SshSession) -> bool {
    send(session, &Exec::Alive, "alive?", &[], ALIVE_LIMIT)
        .await
        .is_ok_and(|done| done.status == 0)
}

/// Runs one line of `wire::ibmi`.
pub(super) async fn send(
    session: &SshSession,
    exec: &Exec,
    shown: &str,
    stdin: &[u8],
    limit: Duration,
) -> Result<Completed, DeviceError> {
    let nonce = nonce();
    session
        .exec(&nonce, &line(&nonce, exec), shown, stdin, limit)
        .await
}

/// Ends with the connection it watches.
async fn close_when_idle(host: Weak<IbmiHost>, number: u64) {
    loop {
        tokio::time::sleep(IDLE_LIMIT / 4).await;
        let Some(host) = host.upgrade() else {
            return;
        };
        let mut connection = host.connection.lock().await;
        match &connection.live {
            Some(live) if live.number == number => {
                // Somebody holds it beside us: a command is running.
                let resting = Arc::strong_count(&live.session) == 1;
                if !resting || live.used.elapsed() < IDLE_LIMIT {
                    continue;
                }
            }
            Some(_) | None => return,
        }
        let taken = connection.live.take();
        drop(connection);
        if let Some(session) = taken.and_then(|l| Arc::into_inner(l.session)) {
            session.log_off().await;
        }
        return;
    }
}

#[async_trait]
impl IbmI for IbmiHost {
    fn address(&self) -> String {
        format!("{}:{}", self.ssh.target().address, self.ssh.target().port)
    }
    async fn connect(&self) -> Result<Session, DeviceError> {
        self.connect_and_probe().await
    }
    async fn run(
        &self,
        session: &Session,
        command: &ClCommand,
    ) -> Result<CommandOutput, DeviceError> {
        let ssh = self.proved(session).await?;
        command::run(&ssh, command, self.deadlines.command).await
    }
    async fn query(&self, session: &Session, sql: &str) -> Result<Vec<Row>, DeviceError> {
        let ssh = self.proved(session).await?;
        query::rows(&ssh, self.device(), sql, self.deadlines.read).await
    }
    async fn submit(&self, session: &Session, job: &Submission) -> Result<JobName, DeviceError> {
        let ssh = self.proved(session).await?;
        jobs::submit(&ssh, self.device(), job, self.deadlines.command).await
    }
    async fn job(&self, session: &Session, name: &str) -> Result<Option<JobStatus>, DeviceError> {
        let ssh = self.proved(session).await?;
        jobs::find(&ssh, self.device(), name, self.deadlines.read).await
    }
    async fn messages(
        &self,
        session: &Session,
        source: &LogSource,
    ) -> Result<Vec<Message>, DeviceError> {
        let ssh = self.proved(session).await?;
        logs::read(&ssh, self.device(), source, self.deadlines.read).await
    }
    async fn put(&self, session: &Session, path: &str, content: &[u8]) -> Result<(), DeviceError> {
        let ssh = self.proved(session).await?;
        files::put(&ssh, self.device(), path, content, self.deadlines.read).await
    }
    async fn get(&self, session: &Session, path: &str) -> Result<Option<Vec<u8>>, DeviceError> {
        let ssh = self.proved(session).await?;
        files::get(&ssh, self.device(), path, self.deadlines.read).await
    }
    async fn remove(&self, session: &Session, path: &str) -> Result<(), DeviceError> {
        let ssh = self.proved(session).await?;
        files::remove(&ssh, self.device(), path, self.deadlines.read).await
    }
    async fn disconnect(&self) {
        let taken = self.connection.lock().await.live.take();
        if let Some(live) = taken {
            match Arc::try_unwrap(live.session) {
                Ok(session) => session.log_off().await,
                // A command is still running on it: it loses its connection.
                Err(shared) => shared.cut(),
            }
        }
    }
}
