//! How much is served at once. The numbers are knobs; beyond them a client is told to come again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::texts;
use crate::embedded::refusal::Refusal;

/// Bounds of one server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that are open at once; one too many is closed. 640: room for all watches and requests, each on a connection of
    /// its own, within the 1,024 open files that a process usually may have.
    pub connections: usize,
    /// Most bytes of a body: 3 MiB, as the real server.
    pub body: usize,
    /// How long a client may take to send a body.
    pub body_time: Duration,
    /// Requests that are worked on at once, watches apart.
    pub requests: usize,
    /// How long a request waits for its turn before it is told to come again.
    pub turn: Duration,
    /// Watches that are open at once.
    pub watches: usize,
    /// How long a connection may take to send the head of a request, the time before it included.
    pub head: Duration,
    /// How long a connection may take for TLS.
    pub handshake: Duration,
    /// How long answers may take to end once the server is told to stop.
    pub drain: Duration,
    /// Answers to lists of at least so many bytes are compressed for a client that asks for it: 128 KiB, as the real server. Not
    /// for one on this machine: between two processes of a machine compressing takes longer than what it saves.
    pub compress: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 640,
            body: 3 * 1024 * 1024,
            body_time: Duration::from_secs(60),
            requests: 64,
            turn: Duration::from_secs(10),
            watches: 512,
            head: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            compress: 128 * 1024,
        }
    }
}

/// The turns that are left.
#[derive(Debug, Clone)]
pub struct Turns {
    requests: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    wait: Duration,
}

impl Turns {
    /// All of them.
    pub fn new(limits: &Limits) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(limits.requests)),
            watches: Arc::new(Semaphore::new(limits.watches)),
            wait: limits.turn,
        }
    }

    /// Waits for the turn of a request; given back when dropped.
    ///
    /// # Errors
    /// 429 when the turn does not come.
    pub async fn request(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = self.requests.clone().acquire_owned();
        match tokio::time::timeout(self.wait, turn).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(texts::too_many_requests()),
        }
    }

    /// The turn of a watch. It does not wait: a watch may take half an hour.
    ///
    /// # Errors
    /// 429 when too many are open.
    pub fn watch(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = self.watches.clone().try_acquire_owned();
        turn.map_err(|_| texts::too_many_requests())
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Turns};
    use std::time::Duration;

    #[tokio::test]
    async fn a_request_whose_turn_does_not_come_is_told_to_come_again() {
        let turns = Turns::new(&Limits {
            requests: 1,
            turn: Duration::from_millis(20),
            ..Limits::default()
        });
        let first = turns.request().await.unwrap();
        let refusal = turns.request().await.unwrap_err();
        assert_eq!((refusal.code, refusal.reason), (429, "TooManyRequests"));
        assert_eq!(refusal.details["retryAfterSeconds"], 1);
        drop(first);
        assert!(turns.request().await.is_ok());
    }

    #[test]
    fn every_watch_and_request_finds_a_connection() {
        let limits = Limits::default();
        assert!(limits.connections > limits.watches + limits.requests);
    }
}
