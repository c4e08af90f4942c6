//! One server of the control plane as a child process: its log, its readiness, its end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::KubeStackError;

/// How long a server may take to get ready. Usually it is 1 to 4 s; a machine that is busy compiling needs more.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How often readiness is asked for.
const READY_INTERVAL: Duration = Duration::from_millis(50);
/// What a server logs when somebody else got its port between our search and its start.
const PORT_TAKEN: &str = "address already in use";
/// How often a start is repeated because of [`PORT_TAKEN`].
const PORT_ATTEMPTS: usize = 5;
/// How much of the end of a log goes into an error, in bytes.
const LOG_TAIL: u64 = 3000;

/// Where a server says whether it is ready: any success status counts.
pub(super) struct Probe {
    pub http: reqwest::Client,
    pub url: String,
}

/// What starts a server: everything but its ports, which are in `arguments`.
pub(super) struct Program<'a> {
    pub name: &'static str,
    pub binaries: &'a Path,
    pub logs: &'a Path,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    // Its stdin stays open in here for as long as this process lives: the end of that pipe ends the server, however
    // this process ends.
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the server; it is not ready yet.
    pub fn spawn(program: &Program<'_>, arguments: &[String]) -> Result<Self, KubeStackError> {
        let name = program.name;
        let log = program.logs.join(format!("{name}.log"));
        let open_log = || -> io::Result<(File, File)> {
            let file = OpenOptions::new().create(true).append(true).open(&log)?;
            let copy = file.try_clone()?;
            Ok((file, copy))
        };
        let (stdout, stderr) = open_log().map_err(|source| KubeStackError::File {
            action: "write",
            path: log.clone(),
            source,
        })?;
        let child = Command::new(program.binaries.join(name))
            .args(arguments)
            // etcd takes ETCD_… variables as flags: nothing of the caller's environment belongs in here.
            .env_clear()
            .env("IBMICLONE_EXIT_ON_STDIN_EOF", "1")
            // Ctrl-C in a terminal is for us: we still need the API while we clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|source| KubeStackError::Spawn { name, source })?;
        Ok(Self { name, child, log })
    }

    /// Starts a server on `N` free loopback ports and waits until it is ready; again on other ports when somebody took
    /// one of them meanwhile.
    pub async fn start<const N: usize>(
        program: &Program<'_>,
        arguments: impl Fn([u16; N]) -> (Vec<String>, Probe),
    ) -> Result<(Self, [u16; N]), KubeStackError> {
        let mut attempt = 1;
        loop {
            let ports = free_ports().map_err(KubeStackError::Port)?;
            let (arguments, probe) = arguments(ports);
            let mut process = Self::spawn(program, &arguments)?;
            match process.wait_ready(&probe).await {
                Ok(()) => return Ok((process, ports)),
                Err(error) if error.is_port_taken() && attempt < PORT_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the probe answers with success.
    ///
    /// # Errors
    /// When the server ends first, or is not ready within [`READY_LIMIT`]; both carry the end of its log.
    pub async fn wait_ready(&mut self, probe: &Probe) -> Result<(), KubeStackError> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let asked = probe
                .http
                .get(&probe.url)
                .send()
                .await
                .and_then(|answer| answer.error_for_status());
            let last = match asked {
                Ok(_) => return Ok(()),
                Err(error) => with_causes(&error),
            };
            let ended = self
                .child
                .try_wait()
                .map_err(|source| KubeStackError::Spawn {
                    name: self.name,
                    source,
                })?;
            if let Some(status) = ended {
                return Err(KubeStackError::Ended {
                    name: self.name,
                    status,
                    log: self.log_tail(),
                });
            }
            if Instant::now() >= deadline {
                let seconds = READY_LIMIT.as_secs();
                return Err(KubeStackError::NotReady {
                    name: self.name,
                    seconds,
                    last,
                    log: self.log_tail(),
                });
            }
            sleep(READY_INTERVAL).await;
        }
    }

    /// Kills the server at once and waits for its end. etcd loses nothing by it: what it wrote is with the kernel.
    pub fn kill(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The end of the server's log, or why it cannot be read.
    fn log_tail(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.log)?;
            let from = file.metadata()?.len().saturating_sub(LOG_TAIL);
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl KubeStackError {
    /// Whether a server ended because somebody else listens on its port.
    pub(super) fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains(PORT_TAKEN))
    }
}

/// `N` different loopback ports nobody listens on at this moment.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        // Kept until all are found: a port given back is likely to be found again.
        listeners.push(listener);
    }
    Ok(ports)
}

/// An error and what caused it, in one line: reqwest says the interesting part only in the cause.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::free_ports;

    #[test]
    fn free_ports_are_different() {
        let mut ports = free_ports::<16>()
            .expect("loopback has free ports")
            .to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 16);
    }
}
