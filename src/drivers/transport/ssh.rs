//! SSH: the only module that knows libssh2, with the rules of `rust-dependencies.md` § 3.
//!
//! libssh2 blocks, has no total time limit and reports exit status 0 when none arrived. So every session lives in
//! threads of its own with deadlines, can be cut at any time by shutting down its TCP connection, and a command is only
//! believed when it printed its own end (`exec`). The host key is compared before anything secret is sent.

mod connect;
mod exec;
mod lines;

pub use exec::Output;
pub use lines::LineChannel;

use super::transcript::Transcript;
use crate::drivers::transport::latch::{LoginLatch, Version};
use crate::site::DeviceError;
use secrecy::SecretString;
use std::fmt;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sessions one host gets from us at a time: each costs up to three jobs on IBM i (`ibmi.md` § 1.2).
const SESSIONS: usize = 6;
/// How often an idle connection is kept alive. libssh2 ends every *blocking* wait after this time once it is set, so it is
/// only set where reads do not block for longer.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_SECONDS: u32 = 15;

/// How a user proves itself. The secrets never show in Debug.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A password.
    Password(SecretString),
    /// A private key as text: OpenSSH, PKCS#1 or PKCS#8.
    Key {
        /// The key.
        text: SecretString,
        /// Its passphrase.
        passphrase: Option<SecretString>,
    },
}

/// Where to connect to and as whom.
#[derive(Debug, Clone)]
pub struct SshTarget {
    /// The device in the user's words, such as `IBM i prod.example.com`.
    pub device: String,
    /// Name or address.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub username: String,
    /// Password or key.
    pub credential: Credential,
    /// Accepted host keys, `SHA256:…`. Empty = refused with the key that was seen.
    pub host_keys: Vec<String>,
    /// Field of the environment where a host key belongs, for messages: `source.host.hostKeys`.
    pub host_keys_field: String,
    /// Limit of connecting, of the handshake, of the login: each.
    pub connect_limit: Duration,
}

/// One host: bounds its sessions and remembers that a login was refused.
#[derive(Debug)]
pub struct SshHost {
    target: SshTarget,
    transcript: Transcript,
    sessions: Arc<Semaphore>,
    /// Set by the first refused login: an account that locks after three must not be locked by us.
    latch: LoginLatch,
    /// A login succeeded once: from then on logins need not wait for each other.
    proved: AtomicBool,
    first_login: tokio::sync::Mutex<()>,
}

impl SshHost {
    /// Nothing is sent.
    pub fn new(target: SshTarget, transcript: Transcript) -> Arc<Self> {
        Arc::new(Self {
            target,
            transcript,
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            latch: LoginLatch::default(),
            proved: AtomicBool::new(false),
            first_login: tokio::sync::Mutex::new(()),
        })
    }

    /// The device in the user's words.
    pub fn device(&self) -> &str {
        &self.target.device
    }

    /// Where and as whom.
    pub fn target(&self) -> &SshTarget {
        &self.target
    }

    /// Connects, compares the host key, logs in.
    ///
    /// # Errors
    /// `Unreachable`; `Busy` when this operator holds all its sessions; `Refused` with `HostKeyNotPinned`,
    /// `HostKeyChanged`, `NoCommonAlgorithm`, `KeyNotReadable` or `LoginFailed` – the last two only once, afterwards the
    /// same answer comes without another attempt.
    pub async fn connect(&self) -> Result<SshSession, DeviceError> {
        let free = self.sessions.clone().acquire_owned();
        let permit = tokio::time::timeout(self.target.connect_limit, free).await;
        let Ok(Ok(permit)) = permit else {
            let text =
                format!("all {SESSIONS} SSH sessions of this operator to the host are in use");
            return Err(DeviceError::busy(self.device(), text));
        };
        self.log_in(Some(permit)).await
    }

    /// As [`Self::connect`], but outside the bound: a RESUME never waits for a session.
    ///
    /// # Errors
    /// As [`Self::connect`], without `Busy`.
    pub async fn connect_at_once(&self) -> Result<SshSession, DeviceError> {
        self.log_in(None).await
    }

    async fn log_in(
        &self,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<SshSession, DeviceError> {
        let _turn = if self.proved.load(Ordering::Acquire) {
            None
        } else {
            Some(self.first_login.lock().await)
        };
        if let Some(refused) = self.latch.refused() {
            return Err(refused);
        }
        let target = self.target.clone();
        let started = Instant::now();
        let opened = tokio::task::spawn_blocking(move || connect::open(&target)).await;
        let opened = opened.unwrap_or_else(|lost| {
            Err(connect::Failed::passing(DeviceError::unreachable(
                self.device(),
                format!("the thread that connected ended: {lost}"),
            )))
        });
        let answer = match &opened {
            Ok(_) => "logged in".to_owned(),
            Err(failed) => failed.error.to_string(),
        };
        let spent = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let request = format!("connect as {}", self.target.username);
        self.transcript.add(self.device(), &request, &answer, spent);
        match opened {
            Ok((session, tcp)) => {
                self.proved.store(true, Ordering::Release);
                Ok(SshSession {
                    device: self.device().to_owned(),
                    transcript: self.transcript.clone(),
                    session,
                    tcp: Arc::new(tcp),
                    turn: Arc::new(tokio::sync::Mutex::new(())),
                    broken: Arc::new(AtomicBool::new(false)),
                    used: Arc::new(Mutex::new(Instant::now())),
                    _permit: permit,
                })
            }
            Err(failed) => {
                if failed.latches {
                    self.latch.close(failed.error.clone());
                }
                Err(failed.error)
            }
        }
    }

    /// What the login is made from: a change releases a refused one.
    pub fn made_from(&self, versions: &[Version]) {
        self.latch.look(versions);
    }
}

/// A logged-in connection. One command at a time; dropped = cut.
pub struct SshSession {
    device: String,
    transcript: Transcript,
    session: ssh2::Session,
    tcp: Arc<TcpStream>,
    turn: Arc<tokio::sync::Mutex<()>>,
    broken: Arc<AtomicBool>,
    /// When the last command ended.
    used: Arc<Mutex<Instant>>,
    /// This session's place in the host's bound.
    _permit: Option<OwnedSemaphorePermit>,
}

impl fmt::Debug for SshSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshSession to {}", self.device)
    }
}

impl SshSession {
    /// Whether a command failed in a way that leaves the connection in doubt. Such a session sends nothing any more.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Ends the connection now: whatever waits on it fails within milliseconds (`rust-dependencies.md` § 3.4).
    pub fn cut(&self) {
        self.broken.store(true, Ordering::Release);
        // The peer may have closed it already; there is nothing to do about either.
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Says goodbye, then cuts. Waits at most a second.
    pub async fn log_off(&self) {
        if !self.is_broken() {
            goodbye(self.session.clone()).await;
        }
        self.cut();
    }

    /// Logs off by itself once no command ran for `limit`: each session costs the system up to three jobs. Not for a
    /// session that is given to a resident command.
    pub fn close_when_idle(&self, limit: Duration) {
        let (turn, used) = (Arc::downgrade(&self.turn), Arc::clone(&self.used));
        let (tcp, broken) = (Arc::clone(&self.tcp), Arc::clone(&self.broken));
        let session = self.session.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(limit / 4).await;
                let Some(turn) = turn.upgrade().filter(|_| !broken.load(Ordering::Acquire)) else {
                    return;
                };
                let since = *used.lock().unwrap_or_else(PoisonError::into_inner);
                // A command that runs holds the turn.
                let Ok(_turn) = turn.try_lock() else {
                    continue;
                };
                if since.elapsed() < limit {
                    continue;
                }
                broken.store(true, Ordering::Release);
                goodbye(session.clone()).await;
                // The peer may have closed it already.
                let _ = tcp.shutdown(Shutdown::Both);
                return;
            }
        });
    }
}

/// At most a second; a peer that does not take it loses the connection all the same.
async fn goodbye(session: ssh2::Session) {
    let polite = tokio::task::spawn_blocking(move || {
        session.set_blocking(true);
        session.set_timeout(500);
        let _ = session.disconnect(None, "done", None);
    });
    let _ = tokio::time::timeout(Duration::from_secs(1), polite).await;
}

impl Drop for SshSession {
    fn drop(&mut self) {
        self.cut();
    }
}
