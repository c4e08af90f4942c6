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

type Reply = oneshot::Sender<Result<Vec<String>, DeviceError>>;

struct Request {
    lines: Vec<String>,
    deadline: Instant,
    reply: Reply,
}

struct Pending {
    /// First word of each line that has no answer yet, and where the answer belongs.
    open: Vec<(String, usize)>,
    answers: Vec<String>,
    deadline: Instant,
    reply: Reply,
}

fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
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
    /// Sends all lines in one write and waits for one answer to each: the line that begins with the same first word. A
    /// caller that stops waiting loses only its own answers.
    ///
    /// # Errors
    /// `Unreachable` when nothing was sent because the command has ended, `Indeterminate` when not all answers came.
    pub async fn ask(&self, lines: &[String], limit: Duration) -> Result<Vec<String>, DeviceError> {
        let sent = Instant::now();
        let shown = lines.join("; ");
        let (reply, answer) = oneshot::channel();
        let request = Request {
            lines: lines.to_vec(),
            deadline: sent + limit,
            reply,
        };
        let result = if self.requests.send(request).is_err() {
            Err(DeviceError::unreachable(
                &self.device,
                format!("{shown}: not sent, the command on the other side has ended"),
            ))
        } else {
            // The thread answers every request it takes; a lost one came while it ended.
            answer.await.unwrap_or_else(|_| {
                let text = format!("{shown}: the command on the other side ended");
                Err(DeviceError::indeterminate(&self.device, text))
            })
        };
        let told = match &result {
            Ok(answers) => answers.join("; "),
            Err(error) => error.to_string(),
        };
        let spent = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.transcript.add(&self.device, &shown, &told, spent);
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
            let text = format!("{}: not sent, {why}", request.lines.join("; "));
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
                request.lines.join("; "),
                self.said()
            );
            let _ = request
                .reply
                .send(Err(DeviceError::unreachable(&self.device, text)));
            return;
        }
        self.session.set_blocking(true);
        self.session.set_timeout(milliseconds(WRITE_LIMIT));
        let text: String = request.lines.iter().map(|l| format!("{l}\n")).collect();
        if let Err(e) = self.channel.write_all(text.as_bytes()) {
            // Part of it may be under way.
            let text = format!("{}: the connection was lost: {e}", request.lines.join("; "));
            let _ = request
                .reply
                .send(Err(DeviceError::indeterminate(&self.device, text)));
            return;
        }
        let keys = request.lines.iter().map(|l| first_word(l).to_owned());
        self.pending.push_back(Pending {
            open: keys.zip(0..).collect(),
            answers: vec![String::new(); request.lines.len()],
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
            Ok(0) => {
                // libssh2 shows no end of file before both streams are empty.
                self.read_errors();
                if self.channel.eof() {
                    return Err(format!("the command has ended{}", self.said()));
                }
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
            if !self.answered(&line) {
                // Login noise, or the late answer to a request nobody waits for any more.
                self.keep(&line);
            }
        }
        if self.buffer.len() > LONGEST_LINE {
            self.buffer.clear();
        }
    }

    /// Puts an answer where it belongs; a request that has all of them is done.
    fn answered(&mut self, line: &str) -> bool {
        let key = first_word(line);
        for at in 0..self.pending.len() {
            let Some(pending) = self.pending.get_mut(at) else {
                continue;
            };
            let Some(found) = pending.open.iter().position(|(k, _)| k == key) else {
                continue;
            };
            let (_, place) = pending.open.remove(found);
            if let Some(answer) = pending.answers.get_mut(place) {
                line.clone_into(answer);
            }
            if pending.open.is_empty()
                && let Some(done) = self.pending.remove(at)
            {
                // The caller may have stopped waiting.
                let _ = done.reply.send(Ok(done.answers));
            }
            return true;
        }
        false
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
