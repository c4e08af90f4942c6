//! What the driver needs of a transport.

use crate::site::DeviceError;
use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::mpsc;

/// Standard output of a command, piece by piece as it arrives. Bounded: what is not taken is not read, and the far side
/// waits.
pub type Chunks = mpsc::Sender<Vec<u8>>;

/// What an exec left behind. It ended in order: end of file on both streams, clean close, no signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Standard output, as bytes: systems convert between code pages, so it may be no UTF-8.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Exit status as the transport shows it. With libssh2 0 may also mean that none arrived
    /// (`rust-dependencies.md` § 3.4), so this alone never means success.
    pub status: i32,
}

/// A way to one host.
#[async_trait]
pub trait Link: Send + Sync {
    /// Address and port.
    fn address(&self) -> String;
    /// Profile that logs in.
    fn user(&self) -> String;
    /// A new connection, logged in.
    ///
    /// # Errors
    /// `Unreachable`: no connection. `Refused`: `HostKeyNotPinned`, `HostKeyChanged`, `NoCommonAlgorithm`,
    /// `LoginFailed` and `KeyNotReadable` (tried once, then latched).
    async fn open(&self) -> Result<Box<dyn Connection>, DeviceError>;
    /// As [`Self::open`], but never behind a bound of connections: what may have to resume production does not wait.
    ///
    /// # Errors
    /// As [`Self::open`].
    async fn open_at_once(&self) -> Result<Box<dyn Connection>, DeviceError> {
        self.open().await
    }
}

/// One connection: one stream of commands, one at a time.
#[async_trait]
pub trait Connection: Send + Sync {
    /// Runs a command line to its end.
    ///
    /// # Errors
    /// `Unreachable`: it was not started. `Indeterminate`: started, and anything but an orderly end.
    async fn exec(
        &self,
        command: &str,
        stdin: &[u8],
        limit: Duration,
    ) -> Result<ExecOutput, DeviceError>;
    /// As [`Self::exec`] without input, for output that may be larger than memory: it is handed over in `chunks` and is not
    /// in the answer. `silence` is the longest time without a byte.
    ///
    /// # Errors
    /// As [`Self::exec`]; `Indeterminate` as well when nobody takes the chunks any more.
    async fn stream(
        &self,
        command: &str,
        silence: Duration,
        chunks: Chunks,
    ) -> Result<ExecOutput, DeviceError>;
    /// As [`Self::exec`], for input that may be larger than memory: it is taken piece by piece, and ends when nobody sends
    /// any more. `silence` is the longest time in which the far side takes nothing.
    ///
    /// # Errors
    /// As [`Self::exec`].
    async fn feed(
        &self,
        command: &str,
        silence: Duration,
        mut pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<ExecOutput, DeviceError> {
        let mut input = Vec::new();
        while let Some(piece) = pieces.recv().await {
            input.extend(piece);
        }
        self.exec(command, &input, silence).await
    }
    /// Starts a command that stays, and gives the connection to it.
    ///
    /// # Errors
    /// `Unreachable`: it was not started.
    async fn start(self: Box<Self>, command: &str) -> Result<Box<dyn LineChannel>, DeviceError>;
    /// Ends it, politely where possible.
    async fn close(&self);
}

/// A running command that answers lines. Dropping it ends the connection at once.
#[async_trait]
pub trait LineChannel: Send {
    /// Sends all lines (without line ends) in one write, and waits for one answer to each: the next line that begins
    /// with the request's first word. Lines with another beginning (login noise, answers that were given up) are dropped.
    ///
    /// # Errors
    /// `Unreachable`: the channel had ended before anything was sent. `Indeterminate`: sent, and not all answers came
    /// within the limit; the channel can still be used.
    async fn ask(&mut self, lines: &[String], limit: Duration) -> Result<Vec<String>, DeviceError>;
    /// Waits on the far side's time: the machine's timer, or a simulated clock where there is no network.
    async fn pause(&mut self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
