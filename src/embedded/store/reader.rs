//! The threads that read. Each has a connection of its own, so that reads neither wait for writes nor for each other.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, Transaction};
use tokio::sync::oneshot;

use super::StoreError;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// Takes reads, and ends its threads when dropped.
pub(super) struct Readers {
    jobs: Option<Mutex<Sender<Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// One thread for each connection.
    pub(super) fn start(connections: Vec<Arc<Mutex<Connection>>>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut readers = Self {
            jobs: Some(Mutex::new(sender)),
            threads: Vec::new(),
        };
        for connection in connections {
            let receiver = Arc::clone(&receiver);
            let thread = thread::Builder::new().name("store-reader".to_owned());
            let thread = thread.spawn(move || serve(&receiver, &connection))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Reads; all of it sees the store as of one moment.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.run(move |connection| read(&connection.transaction()?))
            .await?
    }

    /// Runs something on a connection that reads.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any longer for what was cancelled in the queue.
            if !reply.is_closed() {
                let _ = reply.send(work(connection));
            }
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        let sent = held(jobs).send(job);
        sent.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(jobs: &Mutex<Receiver<Job>>, connection: &Mutex<Connection>) {
    loop {
        let job = held(jobs).recv();
        match job {
            Ok(job) => job(&mut held(connection)),
            Err(_) => return,
        }
    }
}

/// A thread that panicked leaves nothing half-done here: a transaction is rolled back when it unwinds.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
