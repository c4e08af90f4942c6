//! A long-lived command that is talked to in lines: one line out, one line in, far below a millisecond of our own.
//!
//! A thread of its own owns session and channel. Idle, it sleeps on its queue; with a request under way it sleeps in
//! libssh2's wait for the socket, which an answer wakes at once. It looks up from there every few milliseconds only to
//! see a caller who gave up and sent something more urgent: a RESUME never waits behind the SUSPEND that hangs.

use super::connect::milliseconds;
use super::exec::start;
use super::{KEEPALIVE, KEEPALIVE_SECONDS, SshSession};
use crate::drivers::transport::transcript::Transcript;
use crate::site::DeviceError;
use ssh2::{Channel, Session};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a wait for an answer lasts before the queue is looked at again. An answer ends it at once.
const LOOK_UP: Duration = Duration::from_millis(10);
/// How often an idle channel is looked at.
const IDLE: Duration = Duration::from_secs(1);
/// Limit of writing one line of at most 256 bytes.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// Longest line taken; longer ones are noise.
const LONGEST_LINE: usize = 64 << 10;
/// How much of what else it printed is kept for messages.
const NOISE: usize = 400;

struct Request {
    key: String,
    line: String,
    deadline: Instant,
    reply: oneshot::Sender<Result<String, DeviceError>>,
}

struct Pending {
    key: String,
    deadline: Instant,
    reply: oneshot::Sender<Result<String, DeviceError>>,
}

/// The open channel. Dropping it cuts the connection, which the command sees as end of file.
#[derive(Debug)]
pub struct LineChannel {
    device: String,
    transcript: Transcript,
    requests: Sender<Request>,
    /// Holds the session's place in the bound, and cuts when dropped.
    session: SshSession,
}

impl SshSession {
    /// Starts a command and keeps it. The answer to the first line proves that it runs.
    ///
    /// # Errors
    /// `Unreachable` when it was not started, `Indeterminate` when that is unknown.
    pub async fn lines(self, line: &str, limit: Duration) -> Result<LineChannel, DeviceError> {
        let (session, command) = (self.session.clone(), line.to_owned());
        let deadline = Instant::now() + limit;
        let started = tokio::task::spawn_blocking(move || start(&session, &command, deadline));
        let opened = match started.await {
            Ok(Ok(opened)) => opened,
            Ok(Err((false, text))) => return Err(DeviceError::unreachable(&self.device, text)),
            Ok(Err((true, text))) => return Err(DeviceError::indeterminate(&self.device, text)),
            Err(lost) => return Err(DeviceError::indeterminate(&self.device, lost)),
        };
        let (requests, queue) = channel();
        let server = Server {
            device: self.device.clone(),
            session: self.session.clone(),
            channel: opened,
            pending: VecDeque::new(),
            buffer: Vec::new(),
            noise: String::new(),
            keepalive: Instant::now() + KEEPALIVE,
        };
        std::thread::Builder::new()
            .name("ssh-lines".to_owned())
            .spawn(move || server.serve(&queue))
            .map_err(|e| DeviceError::unreachable(&self.device, e))?;
        Ok(LineChannel {
            device: self.device.clone(),
            transcript: self.transcript.clone(),
            requests,
            session: self,
        })
    }
}

impl LineChannel {
    /// Sends `line` and waits for the line whose first word is `key`. A caller that stops waiting loses only its own
    /// answer.
    ///
    /// # Errors
    /// `Unreachable` when the line was not sent because the command has ended, `Indeterminate` when no answer came.
    pub async fn ask(&self, key: &str, line: &str, limit: Duration) -> Result<String, DeviceError> {
        let sent = Instant::now();
        let (reply, answer) = oneshot::channel();
        let request = Request {
            key: key.to_owned(),
            line: line.to_owned(),
            deadline: sent + limit,
            reply,
        };
        let result = if self.requests.send(request).is_err() {
            Err(DeviceError::unreachable(
                &self.device,
                format!("{line}: not sent, the command on the other side has ended"),
            ))
        } else {
            // The thread answers every request it takes; a lost one means that it ended before it sent it.
            answer.await.unwrap_or_else(|_| {
                let text = format!("{line}: the command on the other side ended");
                Err(DeviceError::indeterminate(&self.device, text))
            })
        };
        let told = match &result {
            Ok(text) => text.clone(),
            Err(error) => error.to_string(),
        };
        let spent = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.transcript.add(&self.device, line, &told, spent);
        result
    }

    /// Cuts the connection now.
    pub fn cut(&self) {
        self.session.cut();
    }
}

/// The thread's side.
struct Server {
    device: String,
    session: Session,
    channel: Channel,
    pending: VecDeque<Pending>,
    buffer: Vec<u8>,
    noise: String,
    keepalive: Instant,
}

impl Server {
    fn serve(mut self, queue: &Receiver<Request>) {
        self.session.set_keepalive(true, KEEPALIVE_SECONDS);
        let why = loop {
            if self.pending.is_empty() {
                match queue.recv_timeout(IDLE) {
                    Ok(request) => self.send(request),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break "closed".to_owned(),
                }
            }
            while let Ok(request) = queue.try_recv() {
                self.send(request);
            }
            if let Err(why) = self.read() {
                break why;
            }
            self.expire();
            if Instant::now() >= self.keepalive {
                // A lost connection shows at the next read.
                let _ = self.session.keepalive_send();
                self.keepalive = Instant::now() + KEEPALIVE;
            }
        };
        self.fail_all(&why);
        // Requests that came too late were never sent.
        while let Ok(request) = queue.try_recv() {
            let text = format!("{}: not sent, {why}", request.line);
            let _ = request
                .reply
                .send(Err(DeviceError::unreachable(&self.device, text)));
        }
        self.session.set_blocking(false);
        // Both are politeness; the connection is cut by its owner.
        let _ = self.channel.send_eof();
        let _ = self.channel.close();
    }

    fn send(&mut self, request: Request) {
        if self.channel.eof() {
            let text = format!(
                "{}: not sent, the command has ended{}",
                request.line,
                self.said()
            );
            let _ = request
                .reply
                .send(Err(DeviceError::unreachable(&self.device, text)));
            return;
        }
        self.session.set_blocking(true);
        self.session.set_timeout(milliseconds(WRITE_LIMIT));
        let line = format!("{}\n", request.line);
        if let Err(e) = self.channel.write_all(line.as_bytes()) {
            // Part of it may be under way.
            let text = format!("{}: the connection was lost: {e}", request.line);
            let _ = request
                .reply
                .send(Err(DeviceError::indeterminate(&self.device, text)));
            return;
        }
        self.pending.push_back(Pending {
            key: request.key,
            deadline: request.deadline,
            reply: request.reply,
        });
    }

    /// Waits a moment for bytes; without a request under way it only looks.
    fn read(&mut self) -> Result<(), String> {
        let mut bytes = [0_u8; 4096];
        self.session.set_blocking(!self.pending.is_empty());
        self.session.set_timeout(milliseconds(LOOK_UP));
        match self.channel.read(&mut bytes) {
            Ok(0) if self.channel.eof() => {
                return Err(format!("the command has ended{}", self.said()));
            }
            Ok(n) => self.take(&bytes[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.read_errors();
            }
            Err(e) => return Err(format!("the connection was lost: {e}{}", self.said())),
        }
        Ok(())
    }

    /// Standard error counts against the same window and would block the command; what it says is kept for messages.
    fn read_errors(&mut self) {
        let mut bytes = [0_u8; 4096];
        self.session.set_blocking(false);
        while let Ok(n @ 1..) = self.channel.stderr().read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..n]).into_owned();
            self.keep(&text);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
        while let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=at).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let key = line.split(' ').next().unwrap_or_default();
            match self.pending.iter().position(|p| p.key == key) {
                Some(at) => {
                    if let Some(pending) = self.pending.remove(at) {
                        // The caller may have stopped waiting.
                        let _ = pending.reply.send(Ok(line));
                    }
                }
                // Login noise, or the late answer to a request nobody waits for any more.
                None => self.keep(&line),
            }
        }
        if self.buffer.len() > LONGEST_LINE {
            self.buffer.clear();
        }
    }

    fn keep(&mut self, text: &str) {
        self.noise.push_str(text.trim());
        self.noise.push(' ');
        if self.noise.chars().count() > NOISE {
            let from = self.noise.chars().count() - NOISE;
            self.noise = self.noise.chars().skip(from).collect();
        }
    }

    fn said(&mut self) -> String {
        self.read_errors();
        let said = self.noise.trim();
        if said.is_empty() {
            String::new()
        } else {
            format!(" (it said: {said})")
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        let mut kept = VecDeque::new();
        for pending in std::mem::take(&mut self.pending) {
            if pending.reply.is_closed() {
                continue;
            }
            if now < pending.deadline {
                kept.push_back(pending);
                continue;
            }
            let text = format!("no answer in time{}", self.said());
            let _ = pending
                .reply
                .send(Err(DeviceError::indeterminate(&self.device, text)));
        }
        self.pending = kept;
    }

    fn fail_all(&mut self, why: &str) {
        for pending in self.pending.drain(..) {
            let _ = pending
                .reply
                .send(Err(DeviceError::indeterminate(&self.device, why)));
        }
    }
}
