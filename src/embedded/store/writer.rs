//! The thread that writes.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{oneshot, watch};

use super::codec::Body;
use super::reader::held;
use super::{Keep, Key, Last, Options, StoreError, Verb, compaction, format};

/// What a write wants, and what must be true for it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Intent {
    /// The object is not there.
    Create,
    /// It is there, at this revision.
    Replace { expected: u64 },
    /// It is there, at this revision if one is given.
    Delete { expected: Option<u64> },
}

type Reply = oneshot::Sender<Result<u64, StoreError>>;

struct Write {
    key: Key,
    intent: Intent,
    body: Body,
    reply: Reply,
}

enum Job {
    Write(Write),
    Compact(Keep, Reply),
    ForgetBackup(Reply),
}

/// Takes writes, and ends its thread when dropped.
pub(super) struct Writer {
    jobs: Option<Mutex<Sender<Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Arc<Mutex<Connection>>,
        newest: watch::Sender<u64>,
        last: Last,
        options: Options,
    ) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel();
        let desk = Desk {
            connection,
            jobs,
            newest,
            last,
            options,
            compactions: VecDeque::new(),
            logged: 0,
        };
        let thread = thread::Builder::new().name("store-writer".to_owned());
        Ok(Self {
            thread: Some(thread.spawn(move || desk.serve())?),
            jobs: Some(Mutex::new(sender)),
        })
    }

    /// The revision of the write, after its commit.
    pub(super) async fn write(
        &self,
        key: Key,
        intent: Intent,
        body: Body,
    ) -> Result<u64, StoreError> {
        self.ask(|reply| {
            Job::Write(Write {
                key,
                intent,
                body,
                reply,
            })
        })
        .await
    }

    /// Where history begins afterwards.
    pub(super) async fn compact(&self, keep: Keep) -> Result<u64, StoreError> {
        self.ask(|reply| Job::Compact(keep, reply)).await
    }

    /// The store is no copy any more.
    pub(super) async fn forget_backup(&self) -> Result<u64, StoreError> {
        self.ask(Job::ForgetBackup).await
    }

    async fn ask(&self, job: impl FnOnce(Reply) -> Job) -> Result<u64, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(StoreError::Closed)?;
        let sent = held(jobs).send(job(reply));
        sent.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread has before it.
struct Desk {
    connection: Arc<Mutex<Connection>>,
    jobs: Receiver<Job>,
    newest: watch::Sender<u64>,
    last: Last,
    options: Options,
    compactions: VecDeque<(Keep, Reply)>,
    /// Bytes that went into the write-ahead log since it was last carried over, about.
    logged: u64,
}

impl Desk {
    fn serve(mut self) {
        while let Some(group) = self.take() {
            self.commit(group);
            self.compact();
            self.carry_over();
        }
    }

    /// The writes that wait; waits for something to do. None: the store is closed.
    fn take(&mut self) -> Option<Vec<Write>> {
        let mut group = Vec::new();
        if self.compactions.is_empty() {
            let first = self.jobs.recv().ok()?;
            self.sort(first, &mut group);
        }
        while group.len() < self.options.group.max(1) {
            match self.jobs.try_recv() {
                Ok(job) => self.sort(job, &mut group),
                Err(TryRecvError::Disconnected) if group.is_empty() => return None,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        Some(group)
    }

    fn sort(&mut self, job: Job, group: &mut Vec<Write>) {
        match job {
            Job::Write(write) => group.push(write),
            Job::Compact(keep, reply) => self.compactions.push_back((keep, reply)),
            Job::ForgetBackup(reply) => {
                let done = format::forget_backup(&held(&self.connection));
                let newest = *self.newest.borrow();
                let _ = reply.send(done.map(|()| newest).map_err(StoreError::from));
            }
        }
    }

    fn commit(&mut self, group: Vec<Write>) {
        if group.is_empty() {
            return;
        }
        let now = (self.options.now)().timestamp_millis();
        let before = *self.newest.borrow();
        let done = apply(&mut held(&self.connection), &group, now);
        match done {
            Ok((newest, answers)) => {
                // First: whoever sees the newest revision relies on it.
                self.note(&group, &answers);
                if newest != before {
                    self.newest.send_replace(newest);
                }
                for (write, answer) in group.into_iter().zip(answers) {
                    self.logged += if answer.is_ok() { cost(&write) } else { 0 };
                    let _ = write.reply.send(answer);
                }
            }
            Err(e) => {
                let failed = StoreError::from(e);
                for write in group {
                    let _ = write.reply.send(Err(failed.clone()));
                }
            }
        }
    }

    fn note(&self, group: &[Write], answers: &Answers) {
        let mut last = held(&self.last);
        for (write, answer) in group.iter().zip(answers) {
            if let Ok(revision) = answer {
                match last.get_mut(&write.key.resource) {
                    Some(last) => *last = *revision,
                    None => {
                        last.insert(write.key.resource.clone(), *revision);
                    }
                }
            }
        }
    }

    /// One step of the compaction that is first in the queue: writes that came meanwhile go before the next step.
    fn compact(&mut self) {
        let Some((keep, _)) = self.compactions.front() else {
            return;
        };
        let (now, changes) = ((self.options.now)(), self.options.compact_step);
        let mut connection = held(&self.connection);
        let step = compaction::target(&connection, *keep, now).and_then(|target| {
            let beginning = compaction::step(&mut connection, target, changes)?;
            Ok((beginning, beginning >= target))
        });
        drop(connection);
        self.logged += changes * PAGE;
        let answer = match step {
            Ok((_, false)) => return,
            Ok((beginning, true)) => Ok(beginning),
            Err(e) => Err(e.into()),
        };
        if let Some((_, reply)) = self.compactions.pop_front() {
            let _ = reply.send(answer);
        }
    }

    /// Carries the write-ahead log over into the file, so that it begins anew. After the answers: nobody waits for it but the next
    /// write.
    fn carry_over(&mut self) {
        if self.logged < self.options.checkpoint {
            return;
        }
        self.logged = 0;
        let connection = held(&self.connection);
        // A failure costs nothing but room: the log keeps all, and the next time comes.
        let done = checkpoint(&connection, "PASSIVE");
        // A reader keeps the log from beginning anew. When it has grown much, wait for the readers of now, though not for long.
        let much = self.options.checkpoint.saturating_mul(4);
        if done.is_ok_and(|bytes| bytes > much) {
            let _ = connection.busy_timeout(PATIENCE);
            let _ = checkpoint(&connection, "RESTART");
            let _ = connection.busy_timeout(super::file::BUSY);
        }
    }
}

const PAGE: u64 = 4_096;
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);

/// Size of the log. Without a log, in memory, it is 0.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<u64> {
    let mut checkpoint = connection.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    let pages: i64 = checkpoint.query_row([], |row| row.get(1))?;
    Ok(u64::try_from(pages).unwrap_or(0) * PAGE)
}

/// What a write adds to the log: its body and a page of each of the five trees.
fn cost(write: &Write) -> u64 {
    write.body.bytes.len() as u64 + 5 * PAGE
}

type Answers = Vec<Result<u64, StoreError>>;

/// All writes of a group in one transaction. An error is of the whole group; a precondition that does not hold is an answer.
fn apply(
    connection: &mut Connection,
    group: &[Write],
    now: i64,
) -> rusqlite::Result<(u64, Answers)> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = format::revision(&tx)?;
    let mut newest = before;
    let mut answers = Vec::with_capacity(group.len());
    for write in group {
        answers.push(match allowed(&tx, write)? {
            Ok((verb, previous)) => {
                newest += 1;
                put(&tx, write, newest, verb, previous, now)?;
                Ok(newest)
            }
            Err(refused) => Err(refused),
        });
    }
    if newest != before {
        format::set_revision(&tx, newest)?;
    }
    tx.commit()?;
    Ok((newest, answers))
}

type Allowed = Result<(Verb, Option<u64>), StoreError>;

/// What the write does, and which state it replaces. Nothing is written before this is known, so a refusal leaves nothing to undo.
fn allowed(tx: &Transaction<'_>, write: &Write) -> rusqlite::Result<Allowed> {
    let mut find = tx.prepare_cached(
        "SELECT revision FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3",
    )?;
    let key = &write.key;
    let found = find.query_row(params![key.resource, key.namespace, key.name], |row| {
        row.get::<_, i64>(0)
    });
    let found = found.optional()?.map(i64::cast_unsigned);
    Ok(match (write.intent, found) {
        (Intent::Create, None) => Ok((Verb::Added, None)),
        (Intent::Create, Some(_)) => Err(StoreError::Exists),
        (Intent::Replace { expected }, Some(newest)) if newest == expected => {
            Ok((Verb::Modified, found))
        }
        (Intent::Delete { expected }, Some(newest)) if expected.is_none_or(|e| e == newest) => {
            Ok((Verb::Deleted, found))
        }
        (Intent::Replace { .. } | Intent::Delete { .. }, _) => Err(StoreError::Conflict { found }),
    })
}

fn put(
    tx: &Transaction<'_>,
    write: &Write,
    revision: u64,
    verb: Verb,
    previous: Option<u64>,
    now: i64,
) -> rusqlite::Result<()> {
    let (key, revision) = (&write.key, revision.cast_signed());
    tx.prepare_cached(
        "INSERT INTO history
         (revision, resource, namespace, name, verb, previous, written, form, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        revision,
        key.resource,
        key.namespace,
        key.name,
        verb as i64,
        previous.map(u64::cast_signed),
        now,
        write.body.form as i64,
        write.body.bytes,
    ])?;
    let object = params![key.resource, key.namespace, key.name, revision];
    match verb {
        Verb::Added => tx
            .prepare_cached(
                "INSERT INTO objects (resource, namespace, name, revision) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(object)?,
        Verb::Modified => tx
            .prepare_cached(
                "UPDATE objects SET revision = ?4
                 WHERE resource = ?1 AND namespace = ?2 AND name = ?3",
            )?
            .execute(object)?,
        Verb::Deleted => tx
            .prepare_cached(
                "DELETE FROM objects WHERE resource = ?1 AND namespace = ?2 AND name = ?3",
            )?
            .execute(&object[..3])?,
    };
    Ok(())
}
