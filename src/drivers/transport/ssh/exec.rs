//! One command on a session: sent, drained on both streams, its orderly end awaited.

use super::connect::milliseconds;
use super::{KEEPALIVE, KEEPALIVE_SECONDS, SshSession};
use crate::site::DeviceError;
use ssh2::{Channel, ErrorCode, Session};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED: the server does not run commands for this user.
const REQUEST_DENIED: i32 = -22;
/// Most that is kept of one stream; a listing that is longer is not one we ask for.
const LARGEST_OUTPUT: usize = 32 << 20;
/// Longest pause between two looks at the streams.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// What a command left that ended in order: end of file, a clean close, no signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output, bytes.
    pub stdout: Vec<u8>,
    /// Standard error, bytes.
    pub stderr: Vec<u8>,
    /// Exit status; 0 also when the server sent none (`rust-dependencies.md` § 3.4), so 0 alone never means success.
    pub status: i32,
}

/// How a command failed: before it was sent, or after.
enum Lost {
    Before(String),
    After(String),
}

/// Cuts the connection when the caller stops waiting: the blocked thread ends within milliseconds.
struct CutOnDrop {
    tcp: Arc<TcpStream>,
    broken: Arc<AtomicBool>,
    armed: bool,
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if self.armed {
            self.broken.store(true, Ordering::Release);
            // Already closed is as good.
            let _ = self.tcp.shutdown(Shutdown::Both);
        }
    }
}

/// Where standard input comes from.
enum Stdin {
    Whole(Vec<u8>),
    /// Sent as it comes; the time limit begins anew with each piece.
    Pieces {
        pieces: mpsc::Receiver<Vec<u8>>,
        silence: Duration,
    },
}

impl Stdin {
    fn send(
        self,
        session: &Session,
        channel: &mut Channel,
        deadline: &mut Instant,
    ) -> std::io::Result<()> {
        match self {
            Self::Whole(all) => channel.write_all(&all),
            Self::Pieces {
                mut pieces,
                silence,
            } => {
                while let Some(piece) = pieces.blocking_recv() {
                    session.set_timeout(milliseconds(silence));
                    channel.write_all(&piece)?;
                    *deadline = Instant::now() + silence;
                }
                Ok(())
            }
        }
    }
}

/// What is done with standard output.
enum Stdout {
    /// Kept until the end, up to [`LARGEST_OUTPUT`].
    Keep(Vec<u8>),
    /// Handed over as it arrives; the time limit begins anew with each piece. What nobody takes is not read.
    Pass {
        chunks: mpsc::Sender<Vec<u8>>,
        silence: Duration,
        bytes: u64,
    },
}

impl Stdout {
    fn take(&mut self, piece: &[u8], deadline: &mut Instant) -> Result<(), String> {
        match self {
            Self::Keep(all) => keep(all, piece),
            Self::Pass {
                chunks,
                silence,
                bytes,
            } => {
                *bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                let taken = chunks.blocking_send(piece.to_vec());
                taken.map_err(|_| "nobody takes its output any more".to_owned())?;
                *deadline = Instant::now() + *silence;
                Ok(())
            }
        }
    }

    /// What is kept, and what the transcript says of what is not.
    fn end(self) -> (Vec<u8>, String) {
        match self {
            Self::Keep(all) => (all, String::new()),
            Self::Pass { bytes, .. } => (Vec::new(), format!("({bytes} bytes)")),
        }
    }
}

fn keep(all: &mut Vec<u8>, piece: &[u8]) -> Result<(), String> {
    all.extend(piece);
    if all.len() > LARGEST_OUTPUT {
        return Err("its output is larger than 32 MiB".to_owned());
    }
    Ok(())
}

impl SshSession {
    /// Runs one line to its end. `limit` is for all of it, waiting for an earlier command included.
    ///
    /// # Errors
    /// `Unreachable` when nothing was sent, `Indeterminate` for anything but an orderly end. Both break the session,
    /// except when the only reason is another command that is still running.
    pub async fn exec(
        &self,
        line: &str,
        stdin: &[u8],
        limit: Duration,
    ) -> Result<Output, DeviceError> {
        let stdin = Stdin::Whole(stdin.to_vec());
        self.run_line(line, stdin, limit, Stdout::Keep(Vec::new()))
            .await
    }

    /// As [`Self::exec`], for input that may be larger than memory: `pieces` are sent as they come, until nobody has any
    /// more. `silence` bounds each write.
    ///
    /// # Errors
    /// As [`Self::exec`].
    pub async fn feed(
        &self,
        line: &str,
        silence: Duration,
        pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<Output, DeviceError> {
        let stdin = Stdin::Pieces { pieces, silence };
        self.run_line(line, stdin, silence, Stdout::Keep(Vec::new()))
            .await
    }

    /// As [`Self::exec`] without input, for output that may be larger than memory: it goes into `chunks` as it arrives and
    /// is not in the answer. `silence` bounds the time to the first byte and between two pieces.
    ///
    /// # Errors
    /// As [`Self::exec`].
    pub async fn stream(
        &self,
        line: &str,
        silence: Duration,
        chunks: mpsc::Sender<Vec<u8>>,
    ) -> Result<Output, DeviceError> {
        let stdout = Stdout::Pass {
            chunks,
            silence,
            bytes: 0,
        };
        let stdin = Stdin::Whole(Vec::new());
        self.run_line(line, stdin, silence, stdout).await
    }

    async fn run_line(
        &self,
        line: &str,
        stdin: Stdin,
        limit: Duration,
        stdout: Stdout,
    ) -> Result<Output, DeviceError> {
        let shown = line;
        let started = Instant::now();
        let deadline = started + limit;
        let Ok(turn) = tokio::time::timeout(limit, self.turn.clone().lock_owned()).await else {
            let text = format!("{shown}: another command is still running on this connection");
            return Err(DeviceError::unreachable(&self.device, text));
        };
        if self.is_broken() {
            let text = format!("{shown}: the connection has ended");
            return Err(DeviceError::unreachable(&self.device, text));
        }
        let mut cut = CutOnDrop {
            tcp: self.tcp.clone(),
            broken: self.broken.clone(),
            armed: true,
        };
        let (session, command) = (self.session.clone(), line.to_owned());
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            run(&session, &command, stdin, deadline, stdout)
        });
        let mut passed = String::new();
        let answer = match work.await {
            Ok(Ok((done, bytes))) => {
                cut.armed = false;
                passed = bytes;
                Ok(done)
            }
            Ok(Err(Lost::Before(text))) => Err(DeviceError::unreachable(
                &self.device,
                format!("{shown}: {text}"),
            )),
            Ok(Err(Lost::After(text))) => Err(DeviceError::indeterminate(
                &self.device,
                format!("{shown}: {text}"),
            )),
            Err(lost) => Err(DeviceError::indeterminate(
                &self.device,
                format!("{shown}: {lost}"),
            )),
        };
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let told = match &answer {
            Ok(done) => format!(
                "status {}: {passed}{} {}",
                done.status,
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            ),
            Err(error) => error.to_string(),
        };
        let spent = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.transcript.add(&self.device, shown, &told, spent);
        answer
    }
}

fn left(deadline: Instant) -> u32 {
    milliseconds(deadline.saturating_duration_since(Instant::now()))
}

/// Opens a channel and sends the command; `Before` only while nothing can have run.
pub(super) fn start(
    session: &Session,
    line: &str,
    deadline: Instant,
) -> Result<Channel, (bool, String)> {
    session.set_blocking(true);
    session.set_timeout(left(deadline));
    let mut channel = session
        .channel_session()
        .map_err(|e| (false, format!("no channel was opened: {e}")))?;
    session.set_timeout(left(deadline));
    match channel.exec(line) {
        Ok(()) => Ok(channel),
        Err(e) if e.code() == ErrorCode::Session(REQUEST_DENIED) => Err((
            false,
            "the SSH server does not run commands for this user".to_owned(),
        )),
        Err(e) => Err((true, format!("no answer to the command: {e}"))),
    }
}

fn run(
    session: &Session,
    line: &str,
    stdin: Stdin,
    mut deadline: Instant,
    mut stdout: Stdout,
) -> Result<(Output, String), Lost> {
    let mut channel = start(session, line, deadline).map_err(|(sent, text)| {
        if sent {
            Lost::After(text)
        } else {
            Lost::Before(text)
        }
    })?;
    let lost = |what: &str, e: &dyn std::fmt::Display| Lost::After(format!("{what}: {e}"));
    session.set_timeout(left(deadline));
    stdin
        .send(session, &mut channel, &mut deadline)
        .map_err(|e| lost("its input was not taken", &e))?;
    channel
        .send_eof()
        .map_err(|e| lost("its input was not ended", &e))?;
    let mut stderr = Vec::new();
    session.set_blocking(false);
    session.set_keepalive(true, KEEPALIVE_SECONDS);
    let drained = drain(session, &channel, &mut deadline, &mut stdout, &mut stderr);
    session.set_keepalive(false, 0);
    session.set_blocking(true);
    drained.map_err(Lost::After)?;
    session.set_timeout(left(deadline));
    channel
        .wait_close()
        .map_err(|e| lost("the connection ended before its clean end", &e))?;
    // The status may only be read after the close (`rust-dependencies.md` § 3.4).
    let status = channel
        .exit_status()
        .map_err(|e| lost("its status cannot be read", &e))?;
    let signal = channel
        .exit_signal()
        .map_err(|e| lost("its signal cannot be read", &e))?;
    if let Some(signal) = signal.exit_signal {
        return Err(Lost::After(format!("it was ended by signal {signal}")));
    }
    let (stdout, passed) = stdout.end();
    let output = Output {
        stdout,
        stderr,
        status,
    };
    Ok((output, passed))
}

/// Reads both streams until end of file: one after the other would block for ever once the second one's window is full.
fn drain(
    session: &Session,
    channel: &Channel,
    deadline: &mut Instant,
    stdout: &mut Stdout,
    stderr: &mut Vec<u8>,
) -> Result<(), String> {
    let mut buffer = vec![0_u8; 64 << 10];
    let mut pause = Duration::from_micros(100);
    let mut keepalive = Instant::now() + KEEPALIVE;
    loop {
        let mut progress = false;
        for id in [0, 1] {
            loop {
                let piece = match channel.stream(id).read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => &buffer[..n],
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(format!("the connection was lost: {e}")),
                };
                progress = true;
                match id {
                    0 => stdout.take(piece, deadline)?,
                    _ => keep(stderr, piece)?,
                }
            }
        }
        if channel.eof() {
            return Ok(());
        }
        let now = Instant::now();
        if now >= *deadline {
            return Err("it did not end in time".to_owned());
        }
        if now >= keepalive {
            // A lost connection shows at the next read.
            let _ = session.keepalive_send();
            keepalive = now + KEEPALIVE;
        }
        if progress {
            pause = Duration::from_micros(100);
        } else {
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
